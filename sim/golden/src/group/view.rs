//! Where a tile's bytes lie in either weight format (`docs/formats.md`).

use crate::macro_block::{ReservedBits, STRIP_BYTES, STRIPS, TILE};

/// Macros that share a zeros strip in format 2.
const QUAD: usize = 4;
/// Strips of a macro in format 2, its zeros not counted.
const TIGHT_STRIPS: usize = STRIPS - 1;

/// How the macros of a tile are laid out; results are the same bit for bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Scales, zeros and 16 weight strips a macro: `macro_strips` 18.
    #[default]
    One,
    /// Four macros share one zeros strip, which comes first: `macro_strips` 17.
    Two,
}

impl Format {
    /// Strips of a tile of `groups` macros.
    pub fn tile_strips(self, groups: usize) -> usize {
        match self {
            Format::One => STRIPS * groups,
            Format::Two => groups.div_ceil(QUAD) + TIGHT_STRIPS * groups,
        }
    }

    /// Bytes of a tile of `groups` macros.
    pub fn tile_bytes(self, groups: usize) -> usize {
        STRIP_BYTES * self.tile_strips(groups)
    }
}

/// A tile's bytes.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    groups: usize,
    format: Format,
}

/// Scales, zeros and weights of one macro, as they lie in memory.
pub(super) struct Macro<'a> {
    /// Bits of the FP16 scales.
    pub scales: [u16; TILE],
    /// Zero of output channel c at bits 4c..4c+3.
    pub zeros: u32,
    /// 64 words of nibbles: row k, output channel c at bits 4c..4c+3.
    pub weights: &'a [u8; 256],
}

impl<'a> View<'a> {
    /// `bytes` must be [`Format::tile_bytes`] long.
    pub fn new(format: Format, bytes: &'a [u8], groups: usize) -> Self {
        assert_eq!(bytes.len(), format.tile_bytes(groups), "bytes of a tile");
        View {
            bytes,
            groups,
            format,
        }
    }

    fn strip(&self, at: usize) -> &'a [u8; STRIP_BYTES] {
        self.bytes[STRIP_BYTES * at..][..STRIP_BYTES]
            .try_into()
            .expect("a strip")
    }

    /// Macro `group`, its reserved bits checked. In format 2 those are checked with the first macro of a quad.
    pub fn group(&self, group: usize) -> Result<Macro<'a>, ReservedBits> {
        let (scales_at, zeros_at, weights_at, lane) = match self.format {
            Format::One => {
                let at = STRIPS * group;
                (at, at + 1, at + 2, 0)
            }
            Format::Two => {
                let (quad, lane) = (group / QUAD, group % QUAD);
                let zeros = quad * (1 + QUAD * TIGHT_STRIPS);
                let scales = zeros + 1 + TIGHT_STRIPS * lane;
                (scales, zeros, scales + 1, lane)
            }
        };
        let zeros = self.strip(zeros_at);
        // Words of the zeros strip that hold zeros; the others are reserved.
        let used = match self.format {
            Format::One => 1,
            Format::Two => QUAD.min(self.groups - (group - lane)),
        };
        if lane == 0 && zeros[4 * used..].iter().any(|byte| *byte != 0) {
            return Err(ReservedBits);
        }
        let scales = self.strip(scales_at);
        let mut bits = [0; TILE];
        for (bits, pair) in bits.iter_mut().zip(scales.chunks_exact(2)) {
            *bits = u16::from_le_bytes([pair[0], pair[1]]);
        }
        let word: [u8; 4] = zeros[4 * lane..][..4].try_into().expect("a word");
        Ok(Macro {
            scales: bits,
            zeros: u32::from_le_bytes(word),
            weights: self.bytes[STRIP_BYTES * weights_at..][..256]
                .try_into()
                .expect("the weights of a macro"),
        })
    }
}

impl Macro<'_> {
    /// The eight weights of input channel `k` of the group.
    #[inline(always)]
    pub fn word(&self, k: usize) -> u32 {
        let w = self.weights;
        u32::from_le_bytes([w[4 * k], w[4 * k + 1], w[4 * k + 2], w[4 * k + 3]])
    }
}
