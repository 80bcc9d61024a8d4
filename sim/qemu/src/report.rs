//! What the server has counted.

use serde::Serialize;

/// A burst that the device must not make.
#[derive(Debug, Clone, Serialize)]
pub struct Stray {
    /// Memory port: 0..=3 weights, 4 data.
    pub port: usize,
    /// `read` or `write`.
    pub direction: &'static str,
    /// First byte.
    pub address: u64,
    /// Length.
    pub bytes: u64,
}

/// How the guest reaches the device.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Every access is a message.
    #[default]
    VfioUser,
    /// Registers are memory that is looked at.
    PolledMemory,
}

/// The server's summary.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Arithmetic of the device.
    pub profile: &'static str,
    /// How the guest reaches it.
    pub transport: Transport,
    /// Bursts outside of the allowed window, all answered with a bus error.
    pub stray_dma: u64,
    /// The first few of them.
    pub strays: Vec<Stray>,
    /// Loads from the device's registers by the guest; 0 where they cannot be seen.
    pub register_reads: u64,
    /// Stores to the device's registers by the guest that the device has seen.
    pub register_writes: u64,
    /// Stores that are known to have been overwritten by the guest before the device saw them.
    pub lost_stores: u64,
    /// Stores after which the guest has waited for the device; none where a store is a message, which always comes first.
    pub awaited_stores: Option<u32>,
    /// Of the stores, those to the doorbell page.
    pub doorbell_writes: u64,
    /// Accesses that were not whole aligned words: answered with ones, or ignored.
    pub odd_accesses: u64,
    /// Times that the interrupt line was raised towards the guest.
    pub interrupts: u64,
    /// Errors that the guest's tests asked for.
    pub injections: u64,
    /// PL cycles simulated.
    pub clocks: u64,
    /// Wall-clock time spent on them, in seconds.
    pub simulated_s: f64,
    /// Longest time that the guest waited for a load, in milliseconds; none where it never waits.
    pub longest_load_ms: Option<f64>,
    /// Why the simulation ended before the guest did: a broken rule of the bus, a failed assertion of the RTL.
    pub failure: Option<String>,
}
