//! The 64-byte step descriptor (docs/architecture.md, section 3). Encoded by whoever programs the device: the Linux
//! kernel module in C, the simulated board with this code; committed test vectors bind the two.

/// Bytes of one descriptor.
pub const DESCRIPTOR_BYTES: usize = 64;

/// Descriptor format version that this code writes.
pub const DESCRIPTOR_VERSION: u8 = 1;

/// Flag: raise the interrupt when the step is complete.
pub const FLAG_INTERRUPT: u16 = 1;

/// One step of a program, with physical addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Strips of 16 bytes a macro has: 18, or 17 where four share a zeros strip.
    pub macro_strips: u8,
    /// [`FLAG_INTERRUPT`] or 0.
    pub flags: u16,
    /// Padded K / 64.
    pub groups: u16,
    /// Padded N / 32.
    pub tile_rows: u16,
    /// Progress granularity in tile rows; 0: report the end only.
    pub report_tile_rows: u16,
    /// Activation vectors that share the pass.
    pub vectors: u8,
    /// Physical address of the activations, bytes.
    pub activations: u64,
    /// Physical address of the results, bytes.
    pub results: u64,
    /// Physical address of each port's segment, bytes.
    pub weights: [u64; 4],
}

impl Descriptor {
    /// The bytes that the device fetches, little endian.
    pub fn encode(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut b = [0u8; DESCRIPTOR_BYTES];
        b[0x00] = DESCRIPTOR_VERSION;
        b[0x01] = self.macro_strips;
        b[0x02..0x04].copy_from_slice(&self.flags.to_le_bytes());
        b[0x04..0x06].copy_from_slice(&self.groups.to_le_bytes());
        b[0x06..0x08].copy_from_slice(&self.tile_rows.to_le_bytes());
        b[0x08..0x0A].copy_from_slice(&self.report_tile_rows.to_le_bytes());
        b[0x0A] = self.vectors;
        b[0x10..0x18].copy_from_slice(&self.activations.to_le_bytes());
        b[0x18..0x20].copy_from_slice(&self.results.to_le_bytes());
        for (i, w) in self.weights.iter().enumerate() {
            b[0x20 + 8 * i..0x28 + 8 * i].copy_from_slice(&w.to_le_bytes());
        }
        b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed vector: a kernel encoder must produce the same bytes.
    #[test]
    fn worked_example() {
        let d = Descriptor {
            macro_strips: 18,
            flags: FLAG_INTERRUPT,
            groups: 14,
            tile_rows: 36,
            report_tile_rows: 4,
            vectors: 1,
            activations: 0x8_0000_1000,
            results: 0x8_0000_2000,
            weights: [0x8_1000_0000, 0x8_1002_3000, 0x8_1004_6000, 0x8_1006_9000],
        };
        let hex: String = d.encode().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "011201000e00240004000100000000000010000008000000002000000800000000000010080000000030021008000000006004100800000000900610\
             08000000"
                .replace(' ', "")
        );
    }
}
