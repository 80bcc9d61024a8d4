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

/// Numbers that lie side by side in a cache: what two vector registers of the A53 hold.
pub const PIECE: usize = 8;

/// Positions of a block of values: what stays in the first-level cache while all columns of them are summed.
pub const VALUES: usize = 128;

/// Which of the two products of attention a cache serves; in both, what is multiplied lies in memory in the order in which it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Keys: eight positions side by side, [positions / 8, d, 8], so that a score needs no fold.
    Keys,
    /// Values: eight columns side by side, [positions / 128, d / 8, 128, 8].
    Values,
}

impl Order {
    /// Positions of a block; storage grows by whole ones.
    fn block(self) -> usize {
        match self {
            Order::Keys => PIECE,
            Order::Values => VALUES,
        }
    }

    /// Where number `i` of position `at` lies, rows being `d` wide, a multiple of [`PIECE`].
    fn place(self, d: usize, at: usize, i: usize) -> usize {
        match self {
            Order::Keys => (at / PIECE * d + i) * PIECE + at % PIECE,
            Order::Values => {
                ((at / VALUES * (d / PIECE) + i / PIECE) * VALUES + at % VALUES) * PIECE + i % PIECE
            }
        }
    }

    /// Where the scale of block `i` of position `at` lies, of `blocks` a row.
    fn scale(self, blocks: usize, at: usize, i: usize) -> usize {
        let n = self.block();
        (at / n * blocks + i) * n + at % n
    }
}

/// Rows of one head: keys or values of a sequence.
#[derive(Debug, Clone)]
pub struct HeadCache {
    order: Order,
    d: usize,
    len: usize,
    numbers: Numbers,
    /// One a block of a row in [`CacheType::Q8`].
    scales: Vec<f32>,
}

#[derive(Debug, Clone)]
enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Q8(Vec<i8>),
}

/// The numbers of a [`HeadCache`], for kernels: rows filled up with zeros to a multiple of [`PIECE`], whole blocks of positions, those
/// after the last arbitrary.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// FP32.
    F32(&'a [f32]),
    /// FP16.
    F16(&'a [f16]),
    /// Bytes and scales.
    Q8(&'a [i8], &'a [f32]),
}

impl HeadCache {
    /// An empty cache of rows of `d` numbers.
    pub fn new(order: Order, cache_type: CacheType, d: usize) -> Self {
        let numbers = match cache_type {
            CacheType::F32 => Numbers::F32(Vec::new()),
            CacheType::F16 => Numbers::F16(Vec::new()),
            CacheType::Q8 => Numbers::Q8(Vec::new()),
        };
        HeadCache {
            order,
            d,
            len: 0,
            numbers,
            scales: Vec::new(),
        }
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

    /// Numbers of a row as stored: filled up to whole pieces.
    pub fn padded(&self) -> usize {
        self.d.next_multiple_of(PIECE)
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If `row` is not as wide as the cache.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.d, "width of a cached row");
        let (order, at, d) = (self.order, self.len, self.padded());
        self.len += 1;
        let rows = self.len.next_multiple_of(order.block());
        match &mut self.numbers {
            Numbers::F32(numbers) => {
                grow(numbers, rows * d, 0.0);
                scatter(order, row, d, at, numbers);
            }
            Numbers::F16(numbers) => {
                grow(numbers, rows * d, f16::ZERO);
                let mut narrowed = vec![f16::ZERO; row.len()];
                narrow(row, &mut narrowed);
                scatter(order, &narrowed, d, at, numbers);
            }
            Numbers::Q8(numbers) => {
                let blocks = row.len().div_ceil(BLOCK);
                grow(numbers, rows * d, 0);
                grow(&mut self.scales, rows * blocks, 0.0);
                let mut quants = vec![0; row.len()];
                for (i, (block, out)) in row.chunks(BLOCK).zip(quants.chunks_mut(BLOCK)).enumerate()
                {
                    self.scales[order.scale(blocks, at, i)] = quantize(block, out);
                }
                scatter(order, &quants, d, at, numbers);
            }
        }
    }

    /// Forgets all but the first `positions` rows.
    pub fn truncate(&mut self, positions: usize) {
        self.len = self.len.min(positions);
    }

    /// The numbers of all rows.
    pub fn view(&self) -> View<'_> {
        match &self.numbers {
            Numbers::F32(rows) => View::F32(rows),
            Numbers::F16(rows) => View::F16(rows),
            Numbers::Q8(rows) => View::Q8(rows, &self.scales),
        }
    }

    /// Row `at` in FP32.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, at: usize) -> Vec<f32> {
        assert!(at < self.len, "row {at} of {}", self.len);
        let d = self.padded();
        let number = |i: usize| {
            let place = self.order.place(d, at, i);
            match &self.numbers {
                Numbers::F32(n) => n[place],
                Numbers::F16(n) => n[place].to_f32(),
                Numbers::Q8(n) => {
                    let blocks = self.d.div_ceil(BLOCK);
                    f32::from(n[place]) * self.scales[self.order.scale(blocks, at, i / BLOCK)]
                }
            }
        };
        (0..self.d).map(number).collect()
    }
}

fn grow<T: Copy>(v: &mut Vec<T>, len: usize, zero: T) {
    if v.len() < len {
        v.resize(len, zero);
    }
}

/// Puts a row in its places.
fn scatter<T: Copy>(order: Order, row: &[T], d: usize, at: usize, numbers: &mut [T]) {
    match order {
        Order::Keys => {
            let tile = &mut numbers[order.place(d, at / PIECE * PIECE, 0)..];
            every_eighth(row, tile, at % PIECE);
        }
        Order::Values => {
            let from = &mut numbers[order.place(d, at, 0)..];
            for (piece, out) in row.chunks(PIECE).zip(from.chunks_mut(VALUES * PIECE)) {
                out[..piece.len()].copy_from_slice(piece);
            }
        }
    }
}

/// `out[8 i + lane] = row[i]`.
#[inline(never)]
fn every_eighth<T: Copy>(row: &[T], out: &mut [T], lane: usize) {
    let lane = lane % PIECE;
    let eights = row.chunks_exact(PIECE);
    let rest = eights.remainder();
    for (row, out) in eights.zip(out.chunks_exact_mut(PIECE * PIECE)) {
        // Loaded together, or each store would hold up the next load.
        let row: [T; PIECE] = std::array::from_fn(|i| row[i]);
        for i in 0..PIECE {
            out[PIECE * i + lane] = row[i];
        }
    }
    let whole = row.len() - rest.len();
    for (i, v) in rest.iter().enumerate() {
        out[(whole + i) * PIECE + lane] = *v;
    }
}

impl<'a> View<'a> {
    /// Pieces `first ..` in FP32, as many as `out` holds; where they are stored so, that storage. `scale` gives the place of the
    /// scale of number i of those.
    pub(crate) fn pieces<'b>(
        self,
        first: usize,
        scale: impl Fn(usize) -> usize,
        out: &'b mut [f32],
    ) -> &'b [f32]
    where
        'a: 'b,
    {
        let (at, n) = (first * PIECE, out.len());
        match self {
            View::F32(numbers) => &numbers[at..][..n],
            View::F16(numbers) => {
                widen(&numbers[at..][..n], out);
                out
            }
            View::Q8(quants, scales) => {
                for (i, (out, q)) in out.iter_mut().zip(&quants[at..]).enumerate() {
                    *out = f32::from(*q) * scales[scale(i)];
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

#[cfg(test)]
mod tests {
    use super::super::portable::both;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_as_near_as_the_format_allows(
            values in prop::collection::vec(-100f32..100.0, 3 * 40), d in 1usize..=40, before in 0usize..140,
        ) {
            let formats = CacheType::ALL.into_iter().zip([0.0, 1.0 / 2048.0, 0.5 / 127.0]);
            for ((t, error), order) in formats.flat_map(|f| [(f, Order::Keys), (f, Order::Values)]) {
                let mut cache = HeadCache::new(order, t, d);
                // Into the second block of either order.
                for at in 0..before + 3 {
                    cache.push(&values[at % 3 * 40..][..d]);
                }
                prop_assert_eq!(cache.len(), before + 3);
                for at in before..before + 3 {
                    let (got, row) = (cache.row(at), &values[at % 3 * 40..][..d]);
                    for (got, want) in got.chunks(BLOCK).zip(row.chunks(BLOCK)) {
                        let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
                        for (g, w) in got.iter().zip(want) {
                            prop_assert!((g - w).abs() <= 1.001 * error * largest, "{} {g} {w}", t.name());
                        }
                    }
                }
                let want = cache.row(before);
                cache.truncate(1);
                cache.push(&values[before % 3 * 40..][..d]);
                prop_assert_eq!(cache.row(1), want);
                prop_assert_eq!(cache.len(), 2);
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
                let mut cache = HeadCache::new(Order::Keys, t, 32);
                let mut row = [1.0; 32];
                row[7] = bad;
                cache.push(&row);
                assert!(!cache.row(0)[7].is_finite(), "{t:?} {bad}");
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
