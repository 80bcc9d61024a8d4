//! What the guest is shown, and in which order.

use macromac_board::memory::Beat;
use macromac_driver::DriverError;
use macromac_format::regs;

use super::{DOORBELL, IRQ_STATUS, KEPT, MADE, MARK, Polled, STATUS, STEPS_DONE, TAKEN};
use crate::device::Device;
use crate::test_page;

/// A counter of 64 bits: where its lower half is, and what was shown.
pub struct Counter {
    low: u64,
    value: u64,
}

impl Counter {
    /// All of them, at zero.
    pub fn all() -> Vec<Self> {
        let port = |port| {
            [
                regs::PORT_BEATS_LO,
                regs::PORT_STRIPS_LO,
                regs::PORT_NO_DATA_LO,
                regs::PORT_NO_ACTIVATIONS_LO,
                regs::PORT_NO_ROOM_LO,
                regs::PORT_LOCK_STEP_LO,
            ]
            .map(|at| regs::PORT_BASE + port * regs::PORT_STRIDE + at)
        };
        let all = [regs::CYCLES_LO, regs::STREAM_CYCLES_LO, regs::STEPS_LO];
        let ports = (0..regs::PORT_COUNT).flat_map(port);
        let counter = |low: u32| Self {
            low: low.into(),
            value: 0,
        };
        all.into_iter().chain(ports).map(counter).collect()
    }
}

impl Polled {
    /// All registers as they are after power-up.
    pub(super) fn begin(&mut self, device: &mut Device) -> Result<(), DriverError> {
        for at in (0..u64::from(regs::ERR_ADDR_HI) + 4).step_by(4) {
            self.page.show(at, device.peek(at)?);
        }
        self.page.show(IRQ_STATUS, MARK);
        for (kept, register) in self.kept.iter_mut().zip(KEPT) {
            *kept = self.page.load(register.into());
        }
        self.status = self.page.load(STATUS);
        for at in [
            DOORBELL,
            STEPS_DONE,
            test_page::INJECT,
            test_page::CLEAR,
            MADE,
            TAKEN,
        ] {
            self.page.show(at, 0);
        }
        self.show_counters(device)?;
        self.begun = true;
        Ok(())
    }

    fn show_counters(&mut self, device: &mut Device) -> Result<(), DriverError> {
        for counter in &mut self.counters {
            let low = device.peek(counter.low)?;
            // Asking costs cycles, and the upper half seldom moves.
            let high = if low < counter.value as u32 {
                device.peek(counter.low + 4)?
            } else {
                (counter.value >> 32) as u32
            };
            counter.value = u64::from(high) << 32 | u64::from(low);
            self.page.show(counter.low, low);
            self.page.show(counter.low + 4, high);
        }
        for register in [regs::ERR_CAUSE, regs::ERR_ADDR_LO, regs::ERR_ADDR_HI] {
            self.page
                .show(register.into(), device.peek(register.into())?);
        }
        Ok(())
    }

    /// Shows the record, with all that belongs to it before it, and what comes after it last.
    fn show_status(
        &mut self,
        device: &mut Device,
        record: Option<Beat>,
        at_rest: bool,
    ) -> Result<(), DriverError> {
        const IDLE: u32 = regs::STATUS_IDLE_MASK;
        let mut status = device.peek(STATUS)?;
        if device.memory().holds() {
            // One more record, which must not come after the end.
            status &= !IDLE;
        }
        let news = status & !self.status & (IDLE | regs::STATUS_FAULTED_MASK) != 0;
        let step = record.is_some_and(|beat| beat[0] != self.steps || beat[2] != 0);
        if news || step || at_rest {
            self.show_counters(device)?;
        }
        if let Some(beat) = record {
            self.steps = beat[0];
            self.page.show(STEPS_DONE, self.steps);
            self.page.show(STATUS, status & !IDLE);
            device.memory().release(&beat);
            self.fresh = true;
        }
        if status & IDLE != 0 {
            self.ending = false;
            if self.status & IDLE == 0 {
                // The next program counts from zero, and its first doorbell may be this one's last.
                self.page.exchange(DOORBELL, self.doorbell, 0);
                self.doorbell = 0;
            }
        }
        self.page.show(STATUS, status);
        self.status = status;
        Ok(())
    }

    /// Shows what has changed, if anything may have.
    pub(super) fn show_news(&mut self, device: &mut Device) -> Result<(), DriverError> {
        let record = device.memory().take_held();
        let at_rest = self.awake && !device.awake();
        let moved = device.irq() != self.level || device.awake() != self.awake;
        let ending = self.ending && device.awake();
        if !self.told && !ending && !moved && record.is_none() {
            return Ok(());
        }
        self.told = false;
        self.show_status(device, record, at_rest)?;
        self.show_interrupt(device)?;
        self.awake = device.awake();
        for at in [test_page::STRAYS, test_page::CLOCKS, test_page::AWAKE] {
            self.page.show(at, device.peek(at)?);
        }
        Ok(())
    }

    fn show_interrupt(&mut self, device: &mut Device) -> Result<(), DriverError> {
        let cause = device.peek(IRQ_STATUS)?;
        // If the guest has stored something it stays, to be found.
        if self.page.exchange(IRQ_STATUS, self.pending, MARK | cause) {
            self.pending = MARK | cause;
        }
        let level = device.irq();
        // A fault that the handler cannot see, for it loads what it has just stored, is told once.
        let again =
            std::mem::take(&mut self.acknowledged) && cause & regs::IRQ_STATUS_STEP_DONE_MASK != 0;
        if level && (!self.level || again) {
            self.wire.pulse();
        }
        self.level = level;
        Ok(())
    }
}
