//! The configuration space that QEMU shows to the guest: one memory BAR and INTA. QEMU itself keeps the BAR's size and address.

/// Bytes of it.
pub const BYTES: usize = 256;

/// Bytes of BAR 0: the device's two pages, the test page, and what is missing to a power of two.
pub const BAR_BYTES: u64 = 16384;

/// Vendor and device that nobody has; no driver of the guest may bind to it, for the device tree names its registers.
const IDS: [u8; 4] = [0xF0, 0xFF, 0x4D, 0x4D];
/// Processing accelerator.
const CLASS: u8 = 0x12;
const COMMAND: usize = 0x04;
const CLASS_BASE: usize = 0x0B;
const BAR0: usize = 0x10;
const INTERRUPT_LINE: usize = 0x3C;
const INTERRUPT_PIN: usize = 0x3D;

/// Configuration space.
pub struct Config {
    bytes: [u8; BYTES],
}

impl Config {
    /// As after reset.
    pub fn new() -> Self {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&IDS);
        bytes[CLASS_BASE] = CLASS;
        bytes[INTERRUPT_PIN] = 1;
        Self { bytes }
    }

    /// Reads; what is behind the end is ones.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset as usize..).zip(data) {
            *byte = self.bytes.get(at).copied().unwrap_or(0xFF);
        }
    }

    /// Writes the registers that can be written: command, BAR 0, interrupt line.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let writable = |at: usize| {
            (COMMAND..COMMAND + 2).contains(&at)
                || (BAR0..BAR0 + 4).contains(&at)
                || at == INTERRUPT_LINE
        };
        for (at, byte) in (offset as usize..).zip(data) {
            if writable(at) {
                self.bytes[at] = *byte;
            }
        }
    }
}
