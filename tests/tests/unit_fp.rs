//! The FP32 operators of `rtl/fp` against TestFloat's vectors and against golden, bit for bit.

use macromac_golden::fp::{self, exact};
use macromac_rtl::{
    Harness, Verilated, mm_fp16_to_fp32, mm_fp32_add, mm_fp32_add_deep, mm_fp32_mul,
    mm_fp32_mul_int, mm_fp32_mul_narrow, run,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Random pairs an operator.
const PAIRS: usize = 1_200_000;

/// Records of `N` little-endian words.
fn vectors<const N: usize>(name: &str) -> Vec<[u32; N]> {
    let path = format!("{}/data/testfloat/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(bytes.len() % (4 * N), 0, "{path} is truncated");
    bytes
        .chunks_exact(4 * N)
        .map(|r| std::array::from_fn(|i| u32::from_le_bytes(r[4 * i..][..4].try_into().unwrap())))
        .collect()
}

/// A two-operand operator as the testbench sees it.
trait Operator: Verilated {
    /// Cycles from operands to result.
    const LATENCY: usize;
    /// Puts operands on the inputs.
    fn drive(i: &mut Self::In, a: u32, b: u32);
    /// Reads the result.
    fn result(o: &Self::Out) -> u32;
    /// What it must be.
    fn golden(a: u32, b: u32) -> u32;
}

impl Operator for mm_fp32_add::Top {
    const LATENCY: usize = 4;
    fn drive(i: &mut Self::In, a: u32, b: u32) {
        (i.a_i, i.b_i) = (a, b);
    }
    fn result(o: &Self::Out) -> u32 {
        o.sum_o
    }
    fn golden(a: u32, b: u32) -> u32 {
        exact::add(a, b)
    }
}

impl Operator for mm_fp32_add_deep::Top {
    const LATENCY: usize = 11;
    fn drive(i: &mut Self::In, a: u32, b: u32) {
        (i.a_i, i.b_i, i.en_i) = (a, b, 1);
    }
    fn result(o: &Self::Out) -> u32 {
        o.sum_o
    }
    fn golden(a: u32, b: u32) -> u32 {
        exact::add(a, b)
    }
}

impl Operator for mm_fp32_mul::Top {
    const LATENCY: usize = 3;
    fn drive(i: &mut Self::In, a: u32, b: u32) {
        (i.a_i, i.b_i) = (a, b);
    }
    fn result(o: &Self::Out) -> u32 {
        o.product_o
    }
    fn golden(a: u32, b: u32) -> u32 {
        exact::mul(a, b)
    }
}

impl Operator for mm_fp32_mul_narrow::Top {
    const LATENCY: usize = 3;
    fn drive(i: &mut Self::In, a: u32, b: u32) {
        (i.a_i, i.b_i) = (a, b);
    }
    fn result(o: &Self::Out) -> u32 {
        o.product_o
    }
    fn golden(a: u32, b: u32) -> u32 {
        exact::mul(a, b)
    }
}

/// The second operand is the integer, as the bits of an `i32`.
impl Operator for mm_fp32_mul_int::Top {
    const LATENCY: usize = 3;
    fn drive(i: &mut Self::In, a: u32, b: u32) {
        let b = b as i32;
        i.a_i = a;
        // The integer 0 has no sign: what the sign input says about it does not matter.
        i.int_neg_i = if b == 0 { a as u8 & 1 } else { u8::from(b < 0) };
        i.int_mag_i = b.unsigned_abs() as u8;
    }
    fn result(o: &Self::Out) -> u32 {
        o.product_o
    }
    fn golden(a: u32, b: u32) -> u32 {
        exact::mul_int(a, b as i32)
    }
}

/// One operand pair a cycle, without a gap; each result is looked for exactly `LATENCY` cycles
/// later.
fn check<T: Operator>(h: &mut Harness<T>, operands: impl Iterator<Item = (u32, u32)>) -> usize {
    let mut pipe = [None; 16];
    let mut count = 0;
    let mut operands = operands.fuse();
    loop {
        let next = operands.next();
        if let Some((a, b)) = next {
            T::drive(&mut h.dut.i, a, b);
        }
        h.step();
        h.progress();
        if let Some((a, b)) = pipe[T::LATENCY - 1] {
            let (got, expected) = (T::result(&h.dut.o), T::golden(a, b));
            if got != expected {
                h.check_bits(&format!("operands {a:08x} {b:08x}"), got, expected);
            }
            count += 1;
        } else if next.is_none() && pipe[..T::LATENCY].iter().all(Option::is_none) {
            return count;
        }
        pipe.copy_within(0..15, 1);
        pipe[0] = next;
    }
}

/// A float in which special values, ties and boundaries are frequent.
fn odd_float(rng: &mut ChaCha8Rng) -> u32 {
    let bits: u32 = rng.random();
    match rng.random_range(0..10) {
        // Anything.
        0..3 => bits,
        // Near 1.
        3..5 => (bits & 0x807F_FFFF) | ((120 + (bits >> 23) % 16) << 23),
        // Zero, subnormal, smallest normal.
        5 => {
            bits & 0x80FF_FFFF
                & !(if bits & 0x0300_0000 == 0 {
                    0x7F_FFFF
                } else {
                    0
                })
        }
        // Largest exponents, infinity, NaN.
        6 => {
            (bits & 0x807F_FFFF & !(if bits >> 24 & 3 == 0 { 0x7F_FFFF } else { 0 }))
                | 0x7F00_0000
                | (bits >> 3 & 0x0080_0000)
        }
        // Few fraction bits: ties.
        7 => bits & 0xFFFF_0000,
        8 => bits & 0xFFF0_0000,
        // All ones, but for the last bits.
        _ => bits | (0x007F_FFFF << (bits >> 28 & 3)) & 0x007F_FFFF,
    }
}

/// A partner for `a` that makes a sum difficult.
fn sum_partner(a: u32, rng: &mut ChaCha8Rng) -> u32 {
    let bits: u32 = rng.random();
    match rng.random_range(0..6) {
        // Exponents up to 28 apart: every alignment, round and sticky bit.
        0 | 1 => {
            let exponent = ((a >> 23 & 0xFF) as i32 + rng.random_range(-28..=28)).clamp(0, 255);
            (bits & 0x807F_FFFF) | (exponent as u32) << 23
        }
        // The same with few fraction bits: ties.
        2 => {
            let exponent = ((a >> 23 & 0xFF) as i32 + rng.random_range(-25..=25)).clamp(0, 255);
            (bits & 0x8070_0000) | (exponent as u32) << 23
        }
        // Cancellation of all but the last bits, with and without an exponent step.
        3 => (a ^ 0x8000_0000)
            .wrapping_add(rng.random_range(0..16))
            .wrapping_sub(8),
        4 => {
            (a ^ 0x8000_0000)
                .wrapping_add(rng.random_range(0..3) << 23)
                .wrapping_sub(1 << 23)
                ^ (bits & 7)
        }
        _ => odd_float(rng),
    }
}

/// A partner for `a` that makes a product difficult: about one in three ends near 2^-126, some near
/// 2^128.
fn product_partner(a: u32, rng: &mut ChaCha8Rng) -> u32 {
    let bits = odd_float(rng);
    let exponent = (a >> 23 & 0xFF) as i32;
    let target = match rng.random_range(0..6) {
        0 | 1 => rng.random_range(-1..=2),
        2 => rng.random_range(252..=256),
        _ => return bits,
    };
    (bits & 0x807F_FFFF) | ((target + 127 - exponent).clamp(0, 255) as u32) << 23
}

/// Keeps the 11 leading significant bits.
fn narrow(b: u32) -> u32 {
    b & 0xFFFF_E000
}

#[test]
fn add_equals_testfloat() {
    run("fp/add/testfloat", |h: &mut Harness<mm_fp32_add::Top>| {
        let cases = vectors::<5>("f32_add.bin");
        assert_eq!(cases.len(), 20_000);
        // The reference of `check` is golden; that it equals the file's own column is checked here.
        for &[a, b, _, r_flush, _] in &cases {
            h.check_bits(
                &format!("golden {a:08x} + {b:08x}"),
                exact::add(a, b),
                r_flush,
            );
        }
        let n = check(h, cases.iter().map(|&[a, b, ..]| (a, b)));
        assert_eq!(n, cases.len());
    });
}

#[test]
fn add_equals_golden() {
    run("fp/add/random", |h: &mut Harness<mm_fp32_add::Top>| {
        let mut rng = h.rng().clone();
        let operands = (0..PAIRS).map(|_| {
            let a = odd_float(&mut rng);
            let b = sum_partner(a, &mut rng);
            if rng.random() { (a, b) } else { (b, a) }
        });
        assert_eq!(check(h, operands), PAIRS);
    });
}

#[test]
fn deep_add_equals_testfloat() {
    run(
        "fp/add_deep/testfloat",
        |h: &mut Harness<mm_fp32_add_deep::Top>| {
            let cases = vectors::<5>("f32_add.bin");
            assert_eq!(cases.len(), 20_000);
            let n = check(h, cases.iter().map(|&[a, b, ..]| (a, b)));
            assert_eq!(n, cases.len());
        },
    );
}

#[test]
fn deep_add_equals_golden() {
    run(
        "fp/add_deep/random",
        |h: &mut Harness<mm_fp32_add_deep::Top>| {
            let mut rng = h.rng().clone();
            let operands = (0..PAIRS).map(|_| {
                let a = odd_float(&mut rng);
                let b = sum_partner(a, &mut rng);
                if rng.random() { (a, b) } else { (b, a) }
            });
            assert_eq!(check(h, operands), PAIRS);
        },
    );
}

/// With the enable low nothing moves, and nothing is lost.
#[test]
fn deep_add_holds_without_enable() {
    const LATENCY: usize = 11;
    run(
        "fp/add_deep/enable",
        |h: &mut Harness<mm_fp32_add_deep::Top>| {
            let mut rng = h.rng().clone();
            let mut expected = std::collections::VecDeque::new();
            for _ in 0..200_000 {
                let a = odd_float(&mut rng);
                let b = sum_partner(a, &mut rng);
                let enabled = rng.random_bool(0.6);
                let i = &mut h.dut.i;
                (i.a_i, i.b_i, i.en_i) = (a, b, u8::from(enabled));
                h.step();
                h.progress();
                if expected.len() == LATENCY {
                    h.check_bits("sum_o", h.dut.o.sum_o, expected[0]);
                }
                if enabled {
                    expected.push_back(exact::add(a, b));
                    if expected.len() > LATENCY {
                        expected.pop_front();
                    }
                }
            }
        },
    );
}

#[test]
fn mul_equals_testfloat() {
    run("fp/mul/testfloat", |h: &mut Harness<mm_fp32_mul::Top>| {
        let cases = vectors::<5>("f32_mul.bin");
        assert_eq!(cases.len(), 20_000);
        for &[a, b, _, r_flush, _] in &cases {
            h.check_bits(
                &format!("golden {a:08x} * {b:08x}"),
                exact::mul(a, b),
                r_flush,
            );
        }
        let n = check(h, cases.iter().map(|&[a, b, ..]| (a, b)));
        assert_eq!(n, cases.len());
    });
}

#[test]
fn mul_equals_golden() {
    run("fp/mul/random", |h: &mut Harness<mm_fp32_mul::Top>| {
        let mut rng = h.rng().clone();
        let operands = (0..PAIRS).map(|_| {
            let a = odd_float(&mut rng);
            (a, product_partner(a, &mut rng))
        });
        assert_eq!(check(h, operands), PAIRS);
    });
}

/// With a narrow second operand: TestFloat's operands cut to 11 bits, every FP16 scale, random
/// ones.
#[test]
fn narrow_mul_equals_golden() {
    run(
        "fp/mul_narrow",
        |h: &mut Harness<mm_fp32_mul_narrow::Top>| {
            // The rule for b holds while the simulation starts, too.
            h.dut.i.b_i = 0;
            let cases = vectors::<5>("f32_mul.bin");
            check(h, cases.iter().map(|&[a, b, ..]| (a, narrow(b))));
            let mut rng = h.rng().clone();
            check(
                h,
                (0..=u16::MAX).map(|s| (odd_float(&mut rng), exact::from_f16(s))),
            );
            let operands = (0..PAIRS).map(|_| {
                let a = odd_float(&mut rng);
                (a, narrow(product_partner(a, &mut rng)))
            });
            assert_eq!(check(h, operands), PAIRS);
        },
    );
}

/// Every integer with the first operands of TestFloat's products and with random ones.
#[test]
fn mul_int_equals_golden() {
    run("fp/mul_int", |h: &mut Harness<mm_fp32_mul_int::Top>| {
        let cases = vectors::<5>("f32_mul.bin");
        let integers = || (-15i32..=15).map(|i| i as u32);
        let n = check(h, cases.iter().flat_map(|c| integers().map(|i| (c[0], i))));
        assert_eq!(n, 31 * cases.len());
        let mut rng = h.rng().clone();
        let operands = (0..PAIRS / 31).flat_map(|_| {
            let mut a = odd_float(&mut rng);
            // Products in the last binades before overflow, and none of underflow: |i| >= 1 cannot.
            if rng.random_bool(0.2) {
                a = (a & 0x807F_FFFF) | rng.random_range(249..=255) << 23;
            }
            integers().map(move |i| (a, i))
        });
        check(h, operands);
    });
}

#[test]
fn every_fp16_converts() {
    run("fp/from_f16", |h: &mut Harness<mm_fp16_to_fp32::Top>| {
        for half in 0..=u16::MAX {
            h.dut.i.half_i = half;
            h.settle();
            let expected = fp::from_f16(half).to_bits();
            h.check_bits(&format!("half {half:04x}"), h.dut.o.single_o, expected);
        }
        for [half, single, _] in vectors::<3>("f16_to_f32.bin") {
            h.dut.i.half_i = half as u16;
            h.settle();
            let nan = f32::from_bits(single).is_nan();
            let expected = if nan { fp::NAN_BITS } else { single };
            h.check_bits(&format!("testfloat {half:04x}"), h.dut.o.single_o, expected);
        }
    });
}
