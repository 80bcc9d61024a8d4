//! What the protocol checkers find.

use std::fmt;

/// An AXI interface of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Weight port 0..=3.
    Weights(u8),
    /// Data port.
    Data,
    /// Register slave.
    Registers,
}

impl Interface {
    /// The memory port with this number (0..=3 weights, 4 data).
    pub fn of_port(port: usize) -> Self {
        if port < 4 {
            Interface::Weights(port as u8)
        } else {
            Interface::Data
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interface::Weights(port) => write!(f, "m_axi_hp{port}"),
            Interface::Data => f.write_str("m_axi_hpc0"),
            Interface::Registers => f.write_str("s_axil"),
        }
    }
}

/// A rule of AXI4, AXI4-Lite or of the device contract that a master or slave broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// VALID fell before READY came.
    ValidDropped,
    /// The payload changed while VALID waited for READY.
    PayloadChanged,
    /// A VALID is high in reset.
    ValidInReset,
    /// Bursts are INCR.
    BurstType,
    /// Beats are 16 bytes.
    BeatSize,
    /// Addresses are multiples of 16.
    Alignment,
    /// A burst is at most so long as the contract says.
    BurstLength,
    /// A burst stays in its 4 KiB.
    Crosses4K,
    /// A burst touches only memory that was allocated for its purpose.
    StrayAddress,
    /// AxCACHE and AxPROT are those of the attribute register.
    Attributes,
    /// No more bursts in flight than the contract says.
    Outstanding,
    /// Every written beat is whole.
    Strobe,
    /// WLAST on the last beat of a burst and on no other.
    WriteLast,
    /// Written data belongs to an address.
    DataWithoutAddress,
    /// The device calls itself idle with bursts in flight.
    BusyWhileIdle,
    /// A response that nobody asked for.
    UnaskedResponse,
    /// Registers answer OKAY.
    RegisterResponse,
    /// No answer to a register access.
    NoAnswer,
    /// A register does not have the value that the contract gives it after reset.
    ResetValue,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::ValidDropped => "VALID must stay high until READY",
            Rule::PayloadChanged => "the payload must be stable while VALID waits for READY",
            Rule::ValidInReset => "every VALID must be low in reset",
            Rule::BurstType => "bursts must be INCR",
            Rule::BeatSize => "beats must be 16 bytes",
            Rule::Alignment => "burst addresses must be multiples of 16",
            Rule::BurstLength => "bursts must not be longer than the contract allows",
            Rule::Crosses4K => "a burst must not cross a 4 KiB line",
            Rule::StrayAddress => "DMA must stay in memory that was allocated for its purpose",
            Rule::Attributes => "AxCACHE and AxPROT must be those of AXI_ATTR",
            Rule::Outstanding => "no more bursts may be in flight than the contract allows",
            Rule::Strobe => "every written beat must be whole",
            Rule::WriteLast => "WLAST must come with the last beat of the burst and only then",
            Rule::DataWithoutAddress => "written data must belong to an address",
            Rule::BusyWhileIdle => "an idle device must have nothing in flight",
            Rule::UnaskedResponse => "a response must have a request",
            Rule::RegisterResponse => "register accesses must be answered with OKAY",
            Rule::NoAnswer => "a register access must be answered",
            Rule::ResetValue => "registers must have their reset values",
        })
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cycle {cycle}, {interface} {what}: {rule}; {found}")]
pub struct Violation {
    /// Where.
    pub interface: Interface,
    /// Channel or register.
    pub what: &'static str,
    /// Which rule.
    pub rule: Rule,
    /// PL cycle since power-up.
    pub cycle: u64,
    /// What was seen.
    pub found: String,
}

/// A check's result; boxed, since it is looked at every cycle and hardly ever an error.
pub type Checked<T = ()> = Result<T, Box<Violation>>;
