//! What the 288 bytes of an AWQ_MACRO mean to the arithmetic.
//!
//! 18 strips of 128 bits, little endian: 8 FP16 scales, 8 INT4 zeros (bits 32..127 reserved), and
//! 16 strips of four 32-bit words. Word r of strip 2 + i holds input channel 4i + r of the group;
//! nibble c of a word, of a scale and of a zero belongs to output channel c of the tile.

use crate::fp;

/// Input channels of a macro (one group).
pub const GROUP: usize = 64;
/// Output channels of a macro (one tile).
pub const TILE: usize = 8;
/// Bytes of a macro.
pub const MACRO_BYTES: usize = 288;
/// Strips of a macro.
pub const STRIPS: usize = 18;
/// Bytes of a strip.
pub const STRIP_BYTES: usize = 16;
/// Byte at which the weights begin.
pub const WEIGHTS_AT: usize = 2 * STRIP_BYTES;

/// Reserved bits of the zero strip are set: the block is no AWQ_MACRO of this format version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservedBits;

/// Scales and zeros of a macro.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Header {
    /// Scale of each output channel, converted exactly.
    pub scale: [f32; TILE],
    /// Zero of each output channel, 0..=15.
    pub zero: [i32; TILE],
}

/// Reads strips 0 and 1.
#[inline(always)]
pub fn header(block: &[u8; MACRO_BYTES]) -> Result<Header, ReservedBits> {
    let reserved = &block[STRIP_BYTES + 4..WEIGHTS_AT];
    if reserved.iter().fold(0, |any, byte| any | byte) != 0 {
        return Err(ReservedBits);
    }
    let zeros = word(block, STRIP_BYTES);
    // Loops rather than closures, for the sake of `pass`: those would be compiled without its features.
    let (mut scale, mut zero) = ([0.0; TILE], [0; TILE]);
    for c in 0..TILE {
        scale[c] = fp::from_f16(u16::from_le_bytes([block[2 * c], block[2 * c + 1]]));
        zero[c] = nibble(zeros, c);
    }
    Ok(Header { scale, zero })
}

/// The eight quantized weights of input channel `k` (0..64) of the group, one an output channel, as
/// a word of nibbles.
#[inline(always)]
pub fn weights(block: &[u8; MACRO_BYTES], k: usize) -> u32 {
    word(block, WEIGHTS_AT + 4 * k)
}

/// Nibble `c` of a word, 0..=15.
#[inline(always)]
pub fn nibble(word: u32, c: usize) -> i32 {
    ((word >> (4 * c)) & 15) as i32
}

#[inline(always)]
fn word(block: &[u8; MACRO_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}
