//! The arithmetic blocks one by one, in the words of `docs/arithmetic.md` and the shape of the RTL
//! units.
//!
//! Scalar and slow on purpose: each function is one formula of the page, so that a unit testbench
//! compares with the formula and not with [`crate::pass`]'s vectorized form of it (a test holds
//! that form against these).

use crate::fp;
use crate::macro_block::{self, GROUP, MACRO_BYTES, ReservedBits, TILE};

/// Rows of a strip: input channels that one 128-bit strip of weights covers.
pub const STRIP_ROWS: usize = 4;

/// One product lane (section 2): `rn(rn(a × s) × (q − z))`.
///
/// `scale` is the group's FP16 scale in FP32; `q` and `z` are 0..=15.
pub fn pe(a: f32, scale: f32, q: i32, z: i32) -> f32 {
    fp::mul_int(fp::mul(a, scale), q - z)
}

/// The 32 products of a weight strip: `[row][column]`, rows 4i .. 4i+3 of the group.
///
/// `acts` are the strip's four activations, `words` its four words of nibbles.
pub fn pe_array(
    acts: [f32; STRIP_ROWS],
    words: [u32; STRIP_ROWS],
    scale: &[f32; TILE],
    zero: &[i32; TILE],
) -> [[f32; TILE]; STRIP_ROWS] {
    std::array::from_fn(|r| {
        std::array::from_fn(|c| pe(acts[r], scale[c], macro_block::nibble(words[r], c), zero[c]))
    })
}

/// Tree levels 1 and 2 of a column (section 3): `rn(rn(p0 + p1) + rn(p2 + p3))`, "lo" or "hi" of a
/// step.
pub fn tree(p: [f32; STRIP_ROWS]) -> f32 {
    fp::add(fp::add(p[0], p[1]), fp::add(p[2], p[3]))
}

/// Sliding window of one column: W = 2 partial accumulators that take turns (section 3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    partial: [f32; 2],
    steps: usize,
}

impl Window {
    /// Adds a step: `S = rn(lo + hi)`, then taken (steps 0 and 1) or accumulated.
    pub fn step(&mut self, lo: f32, hi: f32) {
        let sum = fp::add(lo, hi);
        let turn = self.steps % 2;
        self.partial[turn] = if self.steps < 2 {
            sum
        } else {
            fp::add(self.partial[turn], sum)
        };
        self.steps += 1;
    }

    /// The output channel's result, `rn(w_0 + w_1)`; the window is empty afterwards.
    pub fn fold(&mut self) -> f32 {
        let result = fp::add(self.partial[0], self.partial[1]);
        *self = Self::default();
        result
    }
}

/// One output-channel tile: its macros in rising order of group, and `64 × macros` activations.
///
/// # Errors
///
/// The index of the first macro whose reserved bits are set.
///
/// # Panics
///
/// If `x` does not hold 64 activations a macro.
pub fn tile(macros: &[[u8; MACRO_BYTES]], x: &[f32]) -> Result<[f32; TILE], usize> {
    assert_eq!(
        x.len(),
        GROUP * macros.len(),
        "a macro takes 64 activations"
    );
    let mut windows = [Window::default(); TILE];
    for (group, block) in macros.iter().enumerate() {
        let head = macro_block::header(block).map_err(|ReservedBits| group)?;
        // lo of the step under way: an even strip makes it, the odd strip after it uses it.
        let mut lo = [0.0; TILE];
        for strip in 0..GROUP / STRIP_ROWS {
            let at = STRIP_ROWS * strip;
            let acts = std::array::from_fn(|r| x[GROUP * group + at + r]);
            let words = std::array::from_fn(|r| macro_block::weights(block, at + r));
            let products = pe_array(acts, words, &head.scale, &head.zero);
            for c in 0..TILE {
                let sum = tree(std::array::from_fn(|r| products[r][c]));
                if strip % 2 == 0 {
                    lo[c] = sum;
                } else {
                    windows[c].step(lo[c], sum);
                }
            }
        }
    }
    Ok(std::array::from_fn(|c| windows[c].fold()))
}
