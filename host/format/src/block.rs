//! One AWQ_MACRO: 64 input channels (a group) x 8 output channels (a tile) in 18 little-endian
//! strips of 128 bits.
//!
//! | strip | content |
//! |---|---|
//! | 0 | 8 FP16 scales, output channel c at bits 16c..16c+15 |
//! | 1 | 8 INT4 zeros, output channel c at bits 4c..4c+3; bits 32..127 reserved, zero |
//! | 2+i | four 32-bit words; word r holds input channel 4i+r of the group, nibble c = channel c |

use half::f16;

/// Input channels of a block (the quantization group).
pub const GROUP: usize = 64;
/// Output channels of a block.
pub const TILE: usize = 8;
/// Bytes of a strip: one beat of a 128-bit port.
pub const STRIP_BYTES: usize = 16;
/// Strips of a block.
pub const STRIPS: usize = 18;
/// Bytes of a block: the macro stride of format version 1.
pub const MACRO_BYTES: usize = STRIPS * STRIP_BYTES;

/// Byte offset of the first weight strip.
const WEIGHTS_AT: usize = 2 * STRIP_BYTES;

/// Why 288 bytes are not an AWQ_MACRO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A reserved bit of a zeros strip is set.
    #[error(
        "reserved bits of the zeros strip must be zero, found byte {byte} = {value:#04x}; \
         the block is damaged or of a newer format"
    )]
    Reserved {
        /// Byte of the strip (4..16).
        byte: usize,
        /// What it holds.
        value: u8,
    },
    /// The slice is not [`MACRO_BYTES`] long.
    #[error("a block is {MACRO_BYTES} bytes, found {found}")]
    Length {
        /// Its length in bytes.
        found: usize,
    },
}

/// A decoded block. Weight (k, c) is worth `(q[k][c] - zeros[c]) * scales[c]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Scale of each output channel.
    pub scales: [f16; TILE],
    /// Zero of each output channel, 0..=15.
    pub zeros: [u8; TILE],
    /// Quantized weights 0..=15, input channel first.
    pub q: [[u8; TILE]; GROUP],
}

impl Block {
    /// Encodes the block.
    ///
    /// # Panics
    /// If a weight or a zero exceeds 15: the quantizer that made it is wrong.
    pub fn encode(&self) -> [u8; MACRO_BYTES] {
        let mut out = [0u8; MACRO_BYTES];
        for (c, s) in self.scales.iter().enumerate() {
            out[2 * c..2 * c + 2].copy_from_slice(&s.to_bits().to_le_bytes());
        }
        out[STRIP_BYTES..STRIP_BYTES + 4].copy_from_slice(&nibbles(&self.zeros).to_le_bytes());
        for (k, row) in self.q.iter().enumerate() {
            let at = WEIGHTS_AT + 4 * k;
            out[at..at + 4].copy_from_slice(&nibbles(row).to_le_bytes());
        }
        out
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// [`BlockError`] if the length is not [`MACRO_BYTES`] or a reserved bit is set.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let raw: &[u8; MACRO_BYTES] = bytes
            .try_into()
            .map_err(|_| BlockError::Length { found: bytes.len() })?;
        check_reserved(raw)?;
        let mut q = [[0; TILE]; GROUP];
        for (k, row) in q.iter_mut().enumerate() {
            *row = split(word(raw, k));
        }
        Ok(Block {
            scales: scales(raw),
            zeros: zeros(raw),
            q,
        })
    }
}

/// Packs eight values of 0..=15 into a word, value c at bits 4c..4c+3.
fn nibbles(values: &[u8; TILE]) -> u32 {
    values.iter().enumerate().fold(0, |word, (c, &v)| {
        assert!(v <= 15, "quantized value {v} does not fit four bits");
        word | u32::from(v) << (4 * c)
    })
}

/// Splits a word into its eight nibbles, lowest first.
pub fn split(word: u32) -> [u8; TILE] {
    std::array::from_fn(|c| (word >> (4 * c)) as u8 & 15)
}

/// The eight scales of an encoded block.
pub fn scales(raw: &[u8; MACRO_BYTES]) -> [f16; TILE] {
    std::array::from_fn(|c| f16::from_bits(u16::from_le_bytes([raw[2 * c], raw[2 * c + 1]])))
}

/// The eight zeros of an encoded block.
pub fn zeros(raw: &[u8; MACRO_BYTES]) -> [u8; TILE] {
    split(le_word(raw, STRIP_BYTES))
}

/// The word of input channel `k` (0..64) of an encoded block.
pub fn word(raw: &[u8; MACRO_BYTES], k: usize) -> u32 {
    le_word(raw, WEIGHTS_AT + 4 * k)
}

/// Checks the reserved bits of an encoded block.
///
/// # Errors
/// [`BlockError::Reserved`] names the first byte that is not zero.
pub fn check_reserved(raw: &[u8; MACRO_BYTES]) -> Result<(), BlockError> {
    check_zeros_strip(&raw[STRIP_BYTES..2 * STRIP_BYTES], 4)
}

/// Checks that a zeros strip is zero from byte `used` on.
pub(crate) fn check_zeros_strip(strip: &[u8], used: usize) -> Result<(), BlockError> {
    match strip.iter().enumerate().skip(used).find(|(_, b)| **b != 0) {
        Some((byte, &value)) => Err(BlockError::Reserved { byte, value }),
        None => Ok(()),
    }
}

fn le_word(raw: &[u8; MACRO_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_block() -> impl Strategy<Value = Block> {
        (
            prop::array::uniform8(any::<u16>()),
            prop::array::uniform8(0u8..16),
            prop::collection::vec(prop::array::uniform8(0u8..16), GROUP),
        )
            .prop_map(|(s, zeros, q)| Block {
                scales: s.map(f16::from_bits),
                zeros,
                q: q.try_into().expect("64 rows"),
            })
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(block in any_block()) {
            let raw = block.encode();
            let back = Block::decode(&raw).unwrap();
            // NaN scales are not equal to themselves, so the bits are compared.
            prop_assert_eq!(back.encode(), raw);
            prop_assert_eq!(back.q, block.q);
            prop_assert_eq!(back.zeros, block.zeros);
        }

        #[test]
        fn any_reserved_bit_is_refused(block in any_block(), bit in 32usize..128) {
            let mut raw = block.encode();
            raw[STRIP_BYTES + bit / 8] |= 1 << (bit % 8);
            prop_assert_eq!(
                Block::decode(&raw),
                Err(BlockError::Reserved { byte: bit / 8, value: 1 << (bit % 8) })
            );
        }
    }

    /// The worked example of docs/formats.md.
    #[test]
    fn worked_example() {
        let block = Block {
            scales: std::array::from_fn(|c| f16::from_f32(0.25 * (c + 1) as f32)),
            zeros: std::array::from_fn(|c| 8 - c as u8),
            q: std::array::from_fn(|k| std::array::from_fn(|c| ((k + 3 * c) % 16) as u8)),
        };
        let raw = block.encode();
        assert_eq!(
            &raw[..16],
            b"\x00\x34\x00\x38\x00\x3a\x00\x3c\x00\x3d\x00\x3e\x00\x3f\x00\x40"
        );
        assert_eq!(&raw[16..32], b"\x78\x56\x34\x12\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(
            &raw[32..40],
            &[0x30, 0x96, 0xfc, 0x52, 0x41, 0xa7, 0x0d, 0x63]
        );
        assert_eq!(Block::decode(&raw).unwrap(), block);
    }

    #[test]
    fn wrong_length_is_refused() {
        assert_eq!(
            Block::decode(&[0; 287]),
            Err(BlockError::Length { found: 287 })
        );
    }
}
