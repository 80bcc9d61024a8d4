//! The products of one tile, vectorized: what [`super::tile`] computes, faster.
//!
//! A group sum is exact, so its order is free. The weights of a macro are unpacked once, as 16-bit pairs of two input
//! channels, and shared by all vectors; eight output channels are the lanes of a register.

use super::term::term_f64;
use super::view::{Macro, View};
use crate::fp;
use crate::macro_block::{GROUP, ReservedBits, TILE};

/// A converted group as the kernel takes it.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    /// Mantissas.
    pub m: [i16; GROUP],
    /// `2^(E - 141)`.
    pub power: f64,
}

/// Pairs of input channels in a group.
const PAIRS: usize = GROUP / 2;

/// `q - z` of two input channels for each output channel: element 2c belongs to the even one.
type Pair = [i16; 2 * TILE];

/// Computes a tile of `groups` macros for vectors whose group g lies at `operands[g * vectors + v]`; adds
/// to `acc[v]`, which begins as +0.
///
/// `Err` is the first group with reserved bits set.
pub(super) type TileDot = fn(&View, &[Operand], &mut [[f32; TILE]]) -> Result<(), usize>;

/// The fastest form that this processor runs; all give the same bits.
pub(super) fn select() -> TileDot {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return |view, operands, acc| {
            // SAFETY: the only requirement is AVX2, and the processor was just asked for it.
            unsafe { avx2::tile_dot(view, operands, acc) }
        };
    }
    portable
}

/// [`TileDot`] without instructions of any particular processor.
pub(super) fn portable(
    view: &View,
    operands: &[Operand],
    acc: &mut [[f32; TILE]],
) -> Result<(), usize> {
    let unpack = |block: &Macro, weights: &mut [Pair; PAIRS]| {
        let zeros: [i32; TILE] = lanes(block.zeros);
        for (i, pair) in weights.iter_mut().enumerate() {
            let (even, odd) = (lanes(block.word(2 * i)), lanes(block.word(2 * i + 1)));
            for c in 0..TILE {
                pair[2 * c] = (even[c] - zeros[c]) as i16;
                pair[2 * c + 1] = (odd[c] - zeros[c]) as i16;
            }
        }
    };
    walk(view, operands, acc, unpack, |weights, m| {
        let mut sum = [0; TILE];
        for (pair, m) in weights.iter().zip(m.chunks_exact(2)) {
            for c in 0..TILE {
                sum[c] += i32::from(pair[2 * c]) * i32::from(m[0])
                    + i32::from(pair[2 * c + 1]) * i32::from(m[1]);
            }
        }
        sum
    })
}

/// Group by group, vector by vector; `unpack` makes the weights of a macro, `dot` the eight sums of a group.
#[inline(always)]
fn walk(
    view: &View,
    operands: &[Operand],
    acc: &mut [[f32; TILE]],
    unpack: impl Fn(&Macro, &mut [Pair; PAIRS]),
    dot: impl Fn(&[Pair; PAIRS], &[i16; GROUP]) -> [i32; TILE],
) -> Result<(), usize> {
    let mut weights = [[0; 2 * TILE]; PAIRS];
    for (g, operands) in operands.chunks_exact(acc.len()).enumerate() {
        let block = view.group(g).map_err(|ReservedBits| g)?;
        unpack(&block, &mut weights);
        let mut scale = [0.0; TILE];
        for (scale, bits) in scale.iter_mut().zip(block.scales) {
            *scale = f64::from(fp::from_f16(bits));
        }
        for (operand, acc) in operands.iter().zip(&mut *acc) {
            let sum = dot(&weights, &operand.m);
            for c in 0..TILE {
                // fp::add of flushed values; the form of a NaN is put right at the end.
                acc[c] = fp::flush(acc[c] + term_f64(sum[c], scale[c], operand.power));
            }
        }
    }
    Ok(())
}

/// The nibbles of a word.
#[inline(always)]
fn lanes(word: u32) -> [i32; TILE] {
    let mut nibbles = [0; TILE];
    for (c, nibble) in nibbles.iter_mut().enumerate() {
        *nibble = ((word >> (4 * c)) & 15) as i32;
    }
    nibbles
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16,
        _mm256_or_si256, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256,
        _mm256_slli_epi32, _mm256_srlv_epi32, _mm256_storeu_si256, _mm256_sub_epi16,
    };

    use super::{GROUP, Macro, Operand, PAIRS, Pair, TILE, View, walk};

    /// [`super::TileDot`] with 16 products an instruction.
    #[target_feature(enable = "avx2")]
    pub fn tile_dot(
        view: &View,
        operands: &[Operand],
        acc: &mut [[f32; TILE]],
    ) -> Result<(), usize> {
        walk(
            view,
            operands,
            acc,
            // SAFETY: whoever called this function vouched for AVX2.
            |block, weights| unsafe { unpack(block, weights) },
            // SAFETY: as above.
            |weights, m| unsafe { dot(weights, m) },
        )
    }

    /// The weights of a macro: nibble c of the even row in the low half of lane c, of the odd row in its high half.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn unpack(block: &Macro, weights: &mut [Pair; PAIRS]) {
        // SAFETY: AVX2 is there; a Pair is 32 bytes, and the store asks for no alignment.
        unsafe {
            let places = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
            let nibble = _mm256_set1_epi32(15);
            let zeros = _mm256_srlv_epi32(_mm256_set1_epi32(block.zeros as i32), places);
            let zeros = _mm256_and_si256(zeros, nibble);
            let zeros = _mm256_or_si256(zeros, _mm256_slli_epi32::<16>(zeros));
            for (i, pair) in weights.iter_mut().enumerate() {
                let even = _mm256_set1_epi32(block.word(2 * i) as i32);
                let odd = _mm256_set1_epi32(block.word(2 * i + 1) as i32);
                let even = _mm256_and_si256(_mm256_srlv_epi32(even, places), nibble);
                let odd = _mm256_and_si256(_mm256_srlv_epi32(odd, places), nibble);
                let both = _mm256_or_si256(even, _mm256_slli_epi32::<16>(odd));
                let both = _mm256_sub_epi16(both, zeros);
                _mm256_storeu_si256(pair.as_mut_ptr().cast::<__m256i>(), both);
            }
        }
    }

    /// The eight sums of a group. |q - z| <= 15 and |m| <= 32767, so 64 products stay far below 2^31.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn dot(weights: &[Pair; PAIRS], m: &[i16; GROUP]) -> [i32; TILE] {
        let mut out = [0; TILE];
        // SAFETY: AVX2 is there; a Pair and the array are 32 bytes, and neither load nor store asks for alignment.
        unsafe {
            let product = |i: usize| {
                let both = i32::from(m[2 * i + 1]) << 16 | i32::from(m[2 * i] as u16);
                let weights = _mm256_loadu_si256(weights[i].as_ptr().cast::<__m256i>());
                _mm256_madd_epi16(weights, _mm256_set1_epi32(both))
            };
            // Two sums in registers, so that an addition need not wait for the one before it.
            let mut sums = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for i in 0..PAIRS / 2 {
                sums.0 = _mm256_add_epi32(sums.0, product(2 * i));
                sums.1 = _mm256_add_epi32(sums.1, product(2 * i + 1));
            }
            let sum = _mm256_add_epi32(sums.0, sums.1);
            _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>(), sum);
        }
        out
    }
}
