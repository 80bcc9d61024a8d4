//! The fast operators against the integer definition and Berkeley TestFloat's vectors.

use macromac_golden::fp::{self, exact};

/// SplitMix64: enough randomness for stimulus, no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Records of `N` little-endian words from the project's test data.
fn vectors<const N: usize>(name: &str) -> Vec<[u32; N]> {
    let path = format!(
        "{}/../../tests/data/testfloat/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(bytes.len() % (4 * N), 0, "{path} is truncated");
    bytes
        .chunks_exact(4 * N)
        .map(|r| std::array::from_fn(|i| u32::from_le_bytes(r[4 * i..][..4].try_into().unwrap())))
        .collect()
}

fn fast(op: fn(f32, f32) -> f32, a: u32, b: u32) -> u32 {
    op(f32::from_bits(a), f32::from_bits(b)).to_bits()
}

#[test]
fn testfloat_multiply_and_add() {
    for (file, op, reference) in [
        (
            "f32_mul.bin",
            fp::mul as fn(f32, f32) -> f32,
            exact::mul as fn(u32, u32) -> u32,
        ),
        ("f32_add.bin", fp::add, exact::add),
    ] {
        let cases = vectors::<5>(file);
        assert_eq!(cases.len(), 20_000);
        for [a, b, r, r_flush, _] in cases {
            assert_eq!(reference(a, b), r_flush, "exact {file} {a:08x} {b:08x}");
            assert_eq!(fast(op, a, b), r_flush, "fast {file} {a:08x} {b:08x}");
            let r = f32::from_bits(r);
            assert!(
                !r.is_nan() || r_flush == fp::NAN_BITS,
                "{file} {a:08x} {b:08x}"
            );
        }
    }
}

#[test]
fn testfloat_conversions() {
    for [a, r, _] in vectors::<3>("f16_to_f32.bin") {
        let want = if f32::from_bits(r).is_nan() {
            fp::NAN_BITS
        } else {
            r
        };
        assert_eq!(exact::from_f16(a as u16), want, "{a:04x}");
        assert_eq!(fp::from_f16(a as u16).to_bits(), want, "{a:04x}");
    }
    // 1 × i is float(i), as long as it is exact.
    for [a, r, _] in vectors::<3>("i32_to_f32.bin") {
        let i = a as i32;
        if i.unsigned_abs() < 1 << 24 {
            assert_eq!(exact::mul_int(0x3F80_0000, i), r, "{i}");
            assert_eq!(fp::mul_int(1.0, i).to_bits(), r, "{i}");
        }
    }
}

#[test]
fn every_fp16() {
    for bits in 0..=u16::MAX {
        assert_eq!(
            fp::from_f16(bits).to_bits(),
            exact::from_f16(bits),
            "{bits:04x}"
        );
    }
}

#[test]
fn random_pairs() {
    let mut random = Random(0x6D61_6372_6F6D_6163);
    for case in 0..4_000_000 {
        let r = random.next();
        let a = r as u32;
        let b = match case % 5 {
            // Anything.
            0 => (r >> 32) as u32,
            // Near exponents, either sign: cancellation and ties.
            1 => {
                let near =
                    (a & 0x7F80_0000).wrapping_add(((r >> 40) as u32 % 9).wrapping_sub(4) << 23);
                (near & 0x7F80_0000) | ((r >> 32) as u32 & 0x807F_FFFF)
            }
            // Last bits differ.
            2 => a ^ 0x8000_0000 ^ ((r >> 40) as u32 & 0xF),
            // Sparse mantissa: ties of products and sums.
            3 => (r >> 32) as u32 & 0xFFF8_0000,
            // The partner that makes the product straddle 2^-126.
            _ => {
                let exponent = 128i32 - (((a >> 23) & 0xFF) as i32) + (r >> 33) as i32 % 3 - 1;
                ((exponent.clamp(0, 254) as u32) << 23) | ((r >> 40) as u32 & 0x807F_FFFF)
            }
        };
        let i = (r >> 59) as i32 - 16;
        assert_eq!(fast(fp::add, a, b), exact::add(a, b), "{a:08x} + {b:08x}");
        assert_eq!(fast(fp::mul, a, b), exact::mul(a, b), "{a:08x} * {b:08x}");
        let product = fp::mul_int(f32::from_bits(a), i).to_bits();
        assert_eq!(product, exact::mul_int(a, i), "{a:08x} * {i}");
    }
}
