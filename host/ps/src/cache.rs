//! The key-value cache: one head's keys or values, row after row, in one of three number formats.

use std::str::FromStr;

use half::f16;

use super::fused;
use super::math::ROUND;

/// Numbers of a row that share a scale in [`CacheType::Q8`].
pub const BLOCK: usize = 32;

/// Number format of cached keys and values; names as of llama.cpp's `-ctk` and `-ctv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheType {
    /// FP32: what attention computes in, and the reference for the others.
    #[default]
    F32,
    /// FP16, rounded to nearest even.
    F16,
    /// Blocks of 32 signed bytes with one FP32 scale: `q = rne(x / s)`, `s = max |x| / 127`.
    Q8,
}

impl CacheType {
    /// All of them.
    pub const ALL: [CacheType; 3] = [CacheType::F32, CacheType::F16, CacheType::Q8];

    /// Name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            CacheType::F32 => "f32",
            CacheType::F16 => "f16",
            CacheType::Q8 => "q8_0",
        }
    }

    /// Bytes of a row of `d` numbers.
    pub fn row_bytes(self, d: usize) -> usize {
        match self {
            CacheType::F32 => 4 * d,
            CacheType::F16 => 2 * d,
            CacheType::Q8 => d + 4 * d.div_ceil(BLOCK),
        }
    }
}

impl FromStr for CacheType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        CacheType::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(|| format!("expected f32, f16 or q8_0, found {name}"))
    }
}

/// Rows of one head: keys or values of a sequence, [positions, d].
#[derive(Debug, Clone)]
pub struct HeadCache {
    d: usize,
    len: usize,
    rows: Rows,
}

#[derive(Debug, Clone)]
enum Rows {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Q8 {
        quants: Vec<i8>,
        /// One a block, [positions, blocks of a row].
        scales: Vec<f32>,
    },
}

/// The numbers of a [`HeadCache`], for kernels.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// [positions, d].
    F32(&'a [f32]),
    /// [positions, d].
    F16(&'a [f16]),
    /// [positions, d] and [positions, blocks of a row].
    Q8(&'a [i8], &'a [f32]),
}

impl HeadCache {
    /// An empty cache of rows of `d` numbers.
    pub fn new(cache_type: CacheType, d: usize) -> Self {
        let rows = match cache_type {
            CacheType::F32 => Rows::F32(Vec::new()),
            CacheType::F16 => Rows::F16(Vec::new()),
            CacheType::Q8 => Rows::Q8 {
                quants: Vec::new(),
                scales: Vec::new(),
            },
        };
        HeadCache { d, len: 0, rows }
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.d
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If `row` is not as wide as the cache.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.d, "width of a cached row");
        self.len += 1;
        match &mut self.rows {
            Rows::F32(rows) => rows.extend_from_slice(row),
            Rows::F16(rows) => {
                let at = rows.len();
                rows.resize(at + row.len(), f16::ZERO);
                narrow(row, &mut rows[at..]);
            }
            Rows::Q8 { quants, scales } => {
                for block in row.chunks(BLOCK) {
                    let at = quants.len();
                    quants.resize(at + block.len(), 0);
                    scales.push(quantize(block, &mut quants[at..]));
                }
            }
        }
    }

    /// Forgets all but the first `positions` rows.
    pub fn truncate(&mut self, positions: usize) {
        self.len = self.len.min(positions);
        let (n, blocks) = (self.len * self.d, self.len * self.d.div_ceil(BLOCK));
        match &mut self.rows {
            Rows::F32(rows) => rows.truncate(n),
            Rows::F16(rows) => rows.truncate(n),
            Rows::Q8 { quants, scales } => {
                quants.truncate(n);
                scales.truncate(blocks);
            }
        }
    }

    /// The numbers of all rows.
    pub fn view(&self) -> View<'_> {
        match &self.rows {
            Rows::F32(rows) => View::F32(rows),
            Rows::F16(rows) => View::F16(rows),
            Rows::Q8 { quants, scales } => View::Q8(quants, scales),
        }
    }
}

impl<'a> View<'a> {
    /// Rows `first ..` of width `d` in FP32, as many as `out` holds; where they are stored so, that storage.
    pub(crate) fn rows<'b>(self, d: usize, first: usize, out: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        let (at, n) = (first * d, out.len());
        match self {
            View::F32(rows) => &rows[at..][..n],
            View::F16(rows) => {
                widen(&rows[at..][..n], out);
                out
            }
            View::Q8(quants, scales) => {
                let scales = &scales[first * d.div_ceil(BLOCK)..];
                let mut blocks = scales.iter();
                for (out, quants) in out.chunks_mut(d).zip(quants[at..].chunks(d)) {
                    for ((out, quants), s) in out
                        .chunks_mut(BLOCK)
                        .zip(quants.chunks(BLOCK))
                        .zip(&mut blocks)
                    {
                        dequantize(quants, *s, out);
                    }
                }
                out
            }
        }
    }
}

fused! {
    /// FP32 to FP16, to nearest even.
    pub fn narrow(x: &[f32], out: &mut [f16]) {
        use half::slice::HalfFloatSliceExt;
        out.convert_from_f32_slice(x);
    }
    neon { crate::neon::cache::narrow(x, out) }
}

fused! {
    /// FP16 to FP32, exact.
    pub fn widen(x: &[f16], out: &mut [f32]) {
        use half::slice::HalfFloatSliceExt;
        x.convert_to_f32_slice(out);
    }
    neon { crate::neon::cache::widen(x, out) }
}

fused! {
    /// One block to bytes; returns its scale. A block of zeros has scale 0.
    pub fn quantize(x: &[f32], out: &mut [i8]) -> f32 {
        // Of bits, not of numbers: so NaN is largest, and reaches the scale.
        let mut largest = 0u32;
        for v in x {
            largest = largest.max(v.abs().to_bits());
        }
        let scale = f32::from_bits(largest) / 127.0;
        // Tiny blocks would give an infinite reciprocal; they are zero.
        let inverse = if scale < f32::MIN_POSITIVE { 0.0 } else { 1.0 / scale };
        for (o, v) in out.iter_mut().zip(x) {
            // Adding and subtracting 1.5 x 2^23 rounds to an integer, nearest even.
            *o = ((v * inverse + ROUND) - ROUND) as i8;
        }
        scale
    }
}

#[inline(always)]
fn dequantize(x: &[i8], scale: f32, out: &mut [f32]) {
    for (o, q) in out.iter_mut().zip(x) {
        *o = f32::from(*q) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::super::portable::both;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_as_near_as_the_format_allows(
            values in prop::collection::vec(-100f32..100.0, 3 * 40), d in 1usize..=40,
        ) {
            for (t, error) in CacheType::ALL.into_iter().zip([0.0, 1.0 / 2048.0, 0.5 / 127.0]) {
                let mut cache = HeadCache::new(t, d);
                for row in values.chunks(40) {
                    cache.push(&row[..d]);
                }
                prop_assert_eq!(cache.len(), 3);
                let mut out = vec![0.0; 2 * d];
                let got = cache.view().rows(d, 1, &mut out).to_vec();
                for (got, row) in got.chunks(d).zip(values.chunks(40).skip(1)) {
                    for (got, want) in got.chunks(BLOCK).zip(row[..d].chunks(BLOCK)) {
                        let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
                        for (g, w) in got.iter().zip(want) {
                            prop_assert!((g - w).abs() <= 1.001 * error * largest, "{} {g} {w}", t.name());
                        }
                    }
                }
                cache.truncate(1);
                cache.push(&values[80..80 + d]);
                let mut last = vec![0.0; d];
                prop_assert_eq!(cache.view().rows(d, 1, &mut last), &got[d..]);
            }
        }

        #[test]
        fn conversions_have_the_same_bits_in_both_forms(bits in prop::collection::vec(any::<u32>(), 1..70)) {
            let x: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).filter(|v| !v.is_nan()).collect();
            let (a, b) = both(|| {
                let mut out = vec![f16::ZERO; x.len()];
                narrow(&x, &mut out);
                let mut back = vec![0f32; x.len()];
                widen(&out, &mut back);
                (out, back.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            });
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for bad in [f32::NAN, f32::INFINITY] {
            for t in CacheType::ALL {
                let mut cache = HeadCache::new(t, 32);
                let mut row = [1.0; 32];
                row[7] = bad;
                cache.push(&row);
                let mut out = vec![0.0; 32];
                assert!(
                    !cache.view().rows(32, 0, &mut out)[7].is_finite(),
                    "{t:?} {bad}"
                );
            }
        }
    }

    #[test]
    fn names_are_understood_and_others_refused() {
        for t in CacheType::ALL {
            assert_eq!(t.name().parse(), Ok(t));
        }
        assert_eq!(
            "q4_0".parse::<CacheType>(),
            Err("expected f32, f16 or q8_0, found q4_0".into())
        );
    }
}
