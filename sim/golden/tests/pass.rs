//! The vectorized pass against the scalar blocks, bit for bit, and its errors.

use macromac_golden::macro_block::MACRO_BYTES;
use macromac_golden::{GoldenError, PassDims, block, run_pass};

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

/// Random macros; `wild` scales are any FP16 (infinity and NaN too), tame ones are near 2^-6.
fn segment(random: &mut Random, macros: usize, wild: bool) -> Vec<u8> {
    let mut bytes = vec![0u8; macros * MACRO_BYTES];
    for block in bytes.chunks_exact_mut(MACRO_BYTES) {
        for byte in block.iter_mut() {
            *byte = random.next() as u8;
        }
        block[20..32].fill(0);
        if !wild {
            for c in 0..8 {
                block[2 * c + 1] = 0x20 | (block[2 * c + 1] & 7);
            }
        }
    }
    bytes
}

fn reference(shape: PassDims, segments: &[Vec<u8>; 4], x: &[f32]) -> Vec<u32> {
    let mut y = Vec::new();
    for row in 0..shape.tile_rows {
        for segment in segments {
            let macros: Vec<[u8; MACRO_BYTES]> = segment
                .chunks_exact(MACRO_BYTES)
                .skip(row * shape.groups)
                .take(shape.groups)
                .map(|m| m.try_into().unwrap())
                .collect();
            y.extend(block::tile(&macros, x).unwrap().map(f32::to_bits));
        }
    }
    y
}

#[test]
fn equals_the_blocks() {
    let mut random = Random(7);
    for (groups, tile_rows, wild) in [
        (1, 1, false),
        (1, 9, true),
        (2, 3, false),
        (14, 5, false),
        (14, 3, true),
        (76, 2, false),
    ] {
        let shape = PassDims { groups, tile_rows };
        let segments: [Vec<u8>; 4] =
            std::array::from_fn(|_| segment(&mut random, groups * tile_rows, wild));
        for activations in 0..3 {
            let x: Vec<f32> = (0..shape.inputs())
                .map(|_| {
                    let r = random.next();
                    match activations {
                        // Within a few binades of 1.
                        0 => f32::from_bits(0x3E00_0000 + (r as u32 & 0x81FF_FFFF)),
                        // Around the smallest normal, so that products and sums are flushed.
                        1 => f32::from_bits(r as u32 & 0x86FF_FFFF),
                        // Mostly sane with any bits once in 64, infinities and NaN among them.
                        _ if r >> 58 == 0 => f32::from_bits(r as u32),
                        _ => (r as i32 as f32) / 65536.0,
                    }
                })
                .collect();
            let mut y = vec![0.0; shape.outputs()];
            run_pass(shape, segments.each_ref().map(|s| s.as_slice()), &x, &mut y).unwrap();
            let got: Vec<u32> = y.iter().map(|v| v.to_bits()).collect();
            assert_eq!(
                got,
                reference(shape, &segments, &x),
                "{shape:?} wild {wild} x {activations}"
            );
        }
    }
}

/// Section 4 of docs/arithmetic.md.
#[test]
fn worked_example() {
    let mut one = vec![0u8; MACRO_BYTES];
    for c in 0..8 {
        one[2 * c..2 * c + 2].copy_from_slice(&0x3800u16.to_le_bytes()); // 0.5
    }
    one[16..20].fill(0x11); // z = 1
    for k in 0..64 {
        one[32 + 4 * k..36 + 4 * k].fill(0x11 * (k % 4) as u8); // q = r mod 4
    }
    let mut y = [0.0; 32];
    let shape = PassDims {
        groups: 1,
        tile_rows: 1,
    };
    run_pass(shape, [&one, &one, &one, &one], &[1.0; 64], &mut y).unwrap();
    assert_eq!(y, [16.0; 32]);
}

#[test]
fn errors_name_the_place() {
    let mut random = Random(3);
    let shape = PassDims {
        groups: 3,
        tile_rows: 4,
    };
    let mut segments: [Vec<u8>; 4] = std::array::from_fn(|_| segment(&mut random, 12, false));
    let x = vec![1.0; shape.inputs()];
    let mut y = vec![0.0; shape.outputs()];
    let run = |shape, segments: &[Vec<u8>; 4], x: &[f32], y: &mut [f32]| {
        run_pass(shape, segments.each_ref().map(|s| s.as_slice()), x, y)
    };

    for bit in 32..128 {
        let at = 5 * MACRO_BYTES + 16 + bit / 8;
        segments[2][at] ^= 1 << (bit % 8);
        let want = Err(GoldenError::ReservedBits {
            port: 2,
            macro_index: 5,
        });
        assert_eq!(run(shape, &segments, &x, &mut y), want, "bit {bit}");
        segments[2][at] = 0;
    }
    // Of several, the one that the lock-stepped units meet first.
    segments[3][4 * MACRO_BYTES + 20] = 1;
    segments[0][5 * MACRO_BYTES + 20] = 1;
    segments[1][4 * MACRO_BYTES + 31] = 1;
    let want = Err(GoldenError::ReservedBits {
        port: 1,
        macro_index: 4,
    });
    assert_eq!(run(shape, &segments, &x, &mut y), want);

    let empty = PassDims {
        groups: 0,
        tile_rows: 1,
    };
    let want = Err(GoldenError::EmptyPass {
        groups: 0,
        tile_rows: 1,
    });
    assert_eq!(run(empty, &segments, &x, &mut y), want);
    let want = Err(GoldenError::ActivationLength {
        expected: 192,
        got: 191,
    });
    assert_eq!(run(shape, &segments, &x[1..], &mut y), want);
    let want = Err(GoldenError::ResultLength {
        expected: 128,
        got: 127,
    });
    assert_eq!(run(shape, &segments, &x, &mut y[1..]), want);
    segments[3].pop();
    let want = Err(GoldenError::SegmentLength {
        port: 3,
        expected: 3456,
        got: 3455,
    });
    assert_eq!(run(shape, &segments, &x, &mut y), want);
}
