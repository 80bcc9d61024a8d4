//! The master of the register bus: one access at a time, as a processor's uncached loads and stores are.

use super::check::{At, Held};
use crate::violation::{Checked, Interface, Rule};

/// Cycles after which an access has no answer any more.
const LIMIT: u64 = 1000;

/// An access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiteRequest {
    /// Load from a byte address.
    Read(u16),
    /// Store to a byte address.
    Write(u16, u32),
}

/// What the master drives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiteMasterPins {
    /// AW with AWVALID.
    pub aw: Option<u16>,
    /// W with WVALID.
    pub w: Option<u32>,
    /// BREADY.
    pub b_ready: bool,
    /// AR with ARVALID.
    pub ar: Option<u16>,
    /// RREADY.
    pub r_ready: bool,
}

/// What the device drives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiteSlavePins {
    /// AWREADY.
    pub aw_ready: bool,
    /// WREADY.
    pub w_ready: bool,
    /// BRESP with BVALID.
    pub b: Option<u8>,
    /// ARREADY.
    pub ar_ready: bool,
    /// RDATA and RRESP with RVALID.
    pub r: Option<(u32, u8)>,
}

/// The master.
#[derive(Default)]
pub struct LiteMaster {
    request: Option<LiteRequest>,
    since: u64,
    /// Cycles that READY of the answer is held back.
    hold: u32,
    wait: u32,
    held_b: Held<u8>,
    held_r: Held<(u32, u8)>,
    /// What is driven in this cycle.
    pub pins: LiteMasterPins,
}

impl LiteMaster {
    /// Takes answers only after so many cycles (a busy interconnect).
    pub fn set_hold(&mut self, cycles: u32) {
        self.hold = cycles;
    }

    /// Begins an access; the one before must be over.
    pub fn start(&mut self, request: LiteRequest, cycle: u64) {
        debug_assert!(self.request.is_none());
        self.request = Some(request);
        self.since = cycle;
        self.wait = self.hold;
        match request {
            LiteRequest::Read(address) => self.pins.ar = Some(address),
            LiteRequest::Write(address, data) => {
                self.pins.aw = Some(address);
                self.pins.w = Some(data);
            }
        }
    }

    /// An access is under way.
    pub fn busy(&self) -> bool {
        self.request.is_some()
    }

    /// One cycle; `Some` when the access is over, with the loaded value (0 for a store).
    #[inline]
    pub fn cycle(&mut self, slave: LiteSlavePins, cycle: u64) -> Checked<Option<u32>> {
        if self.request.is_none() && slave.b.is_none() && slave.r.is_none() {
            return Ok(None);
        }
        self.active(slave, cycle)
    }

    fn active(&mut self, slave: LiteSlavePins, cycle: u64) -> Checked<Option<u32>> {
        let at = |what| At {
            interface: Interface::Registers,
            what,
            cycle,
        };
        let pins = self.pins;
        self.held_b.check(slave.b, pins.b_ready, at("B"))?;
        self.held_r.check(slave.r, pins.r_ready, at("R"))?;
        // The answer must come after the request was taken whole, in an earlier cycle.
        let (reads, writes, asked) = match self.request {
            Some(LiteRequest::Read(a)) => (pins.ar.is_none(), false, a),
            Some(LiteRequest::Write(a, _)) => (false, pins.aw.is_none() && pins.w.is_none(), a),
            None => (false, false, 0),
        };
        if slave.b.is_some() && !writes {
            return Err(at("B").broken(Rule::UnaskedResponse, "BVALID is high".into()));
        }
        if slave.r.is_some() && !reads {
            return Err(at("R").broken(Rule::UnaskedResponse, "RVALID is high".into()));
        }
        if slave.aw_ready {
            self.pins.aw = None;
        }
        if slave.w_ready {
            self.pins.w = None;
        }
        if slave.ar_ready {
            self.pins.ar = None;
        }
        let answer = slave.b.map(|code| (0, code)).or(slave.r);
        let taken = pins.b_ready || pins.r_ready;
        match answer {
            Some((value, code)) if taken => {
                self.pins = LiteMasterPins::default();
                self.request = None;
                if code != 0 {
                    let found = format!("register {asked:#06x} answered with response {code}");
                    return Err(at("B or R").broken(Rule::RegisterResponse, found));
                }
                Ok(Some(value))
            }
            waiting => {
                if waiting.is_some() || self.hold == 0 {
                    self.wait = self.wait.saturating_sub(1);
                }
                let open = self.wait == 0;
                let write = matches!(self.request, Some(LiteRequest::Write(..)));
                self.pins.b_ready = open && write;
                self.pins.r_ready = open && !write;
                if cycle - self.since > LIMIT {
                    let found = format!("register {asked:#06x} was silent for {LIMIT} cycles");
                    return Err(at("B or R").broken(Rule::NoAnswer, found));
                }
                Ok(None)
            }
        }
    }
}
