//! The vectorized pass of exact group sums against the tile by tile reference, bit for bit, in both weight formats; and
//! its errors.

use macromac_golden::group::{Format, GroupDims, Vector, run_pass, tile};
use macromac_golden::{GoldenError, PassDims};

const MACRO: usize = 288;
const STRIP: usize = 16;

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

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// What the operands look like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Scales near 2^-6, activations within some binades.
    Tame,
    /// Any scale, any activation.
    Wild,
    /// Sums that overflow: large scales, exponents at the top.
    High,
    /// Terms and sums around 2^-126, subnormal scales and activations.
    Low,
    /// Mantissas that round up to 32768, ties, weights all 15 or all 0: the largest sums.
    Full,
}

fn scale(random: &mut Random, kind: Kind) -> u16 {
    let any = random.next() as u16;
    match kind {
        Kind::Tame => any & 0x87FF | 0x2000,
        Kind::Wild => any,
        Kind::High => any & 0x83FF | 0x7800,
        Kind::Low => any & 0x800F,
        Kind::Full => [0x0000, 0x8000, 0x3C00, any & 0x83FF][any as usize % 4],
    }
}

fn activation(random: &mut Random, kind: Kind) -> f32 {
    let any = random.next() as u32;
    let field = |low: u32, span: u32| any & 0x807F_FFFF | (low + (any >> 8) % span) << 23;
    f32::from_bits(match kind {
        Kind::Tame => field(110, 20),
        Kind::Wild if any % 61 == 0 => any,
        Kind::Wild => field(0, 255),
        Kind::High => field(250, 5),
        Kind::Low => field(0, 19),
        Kind::Full => match any % 4 {
            0 => any & 0x8000_0000 | 0x437F_FFFF,
            1 => 0,
            // Halves of a last place.
            _ => any & 0x807F_FF00 | (123 + any % 11) << 23,
        },
    })
}

fn segment(random: &mut Random, macros: usize, kind: Kind) -> Vec<u8> {
    let mut bytes = vec![0u8; macros * MACRO];
    for block in bytes.chunks_exact_mut(MACRO) {
        let extreme = match (kind, random.below(3)) {
            (Kind::Full, 0) => Some(0xFF),
            (Kind::Full, 1) => Some(0),
            _ => None,
        };
        for byte in &mut block[STRIP..] {
            *byte = extreme.unwrap_or(random.next() as u8);
        }
        if let Some(weights) = extreme {
            block[STRIP..STRIP + 4].fill(!weights);
        }
        block[STRIP + 4..2 * STRIP].fill(0);
        for c in 0..8 {
            block[2 * c..][..2].copy_from_slice(&scale(random, kind).to_le_bytes());
        }
    }
    bytes
}

/// The same macros in format 2, strip by strip as the format is written down.
fn tight(segment: &[u8], groups: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for tile in segment.chunks_exact(groups * MACRO) {
        for quad in tile.chunks(4 * MACRO) {
            let mut zeros = [0; STRIP];
            for (j, block) in quad.chunks_exact(MACRO).enumerate() {
                zeros[4 * j..][..4].copy_from_slice(&block[STRIP..][..4]);
            }
            out.extend(zeros);
            for block in quad.chunks_exact(MACRO) {
                out.extend(&block[..STRIP]);
                out.extend(&block[2 * STRIP..]);
            }
        }
    }
    out
}

/// Vector v of activations in the device's layout.
fn vector(x: &[f32], vectors: usize, v: usize) -> Vector {
    let groups = x.chunks_exact(64).skip(v).step_by(vectors);
    Vector::new(&groups.flatten().copied().collect::<Vec<_>>())
}

fn reference(format: Format, groups: usize, segments: &[Vec<u8>; 4], all: &[Vector]) -> Vec<u32> {
    let bytes = format.tile_bytes(groups);
    let rows = segments[0].len() / bytes;
    let mut y = Vec::new();
    for row in 0..rows {
        let tiles = segments
            .each_ref()
            .map(|s| tile(format, &s[row * bytes..][..bytes], all));
        for v in 0..all.len() {
            let of_ports = tiles.iter().flat_map(|t| t.as_ref().unwrap()[v]);
            y.extend(of_ports.map(f32::to_bits));
        }
    }
    y
}

#[test]
fn equals_the_tile_in_both_formats() {
    let mut random = Random(5);
    for kind in [Kind::Tame, Kind::Wild, Kind::High, Kind::Low, Kind::Full] {
        for (groups, tile_rows, vectors) in [
            (1, 1, 1),
            (2, 9, 8),
            (4, 3, 5),
            (7, 2, 3),
            (14, 5, 8),
            (9, 40, 1),
        ] {
            let segments: [Vec<u8>; 4] =
                std::array::from_fn(|_| segment(&mut random, groups * tile_rows, kind));
            let mut x: Vec<f32> = (0..64 * groups * vectors)
                .map(|_| activation(&mut random, kind))
                .collect();
            if groups > 1 {
                // A group of zeros, and one of subnormals.
                x[..64].fill(-0.0);
                x[64 * vectors..][..64].fill(f32::from_bits(0x8012_3456));
            }
            let all: Vec<Vector> = (0..vectors).map(|v| vector(&x, vectors, v)).collect();
            let want = reference(Format::One, groups, &segments, &all);
            let tight = segments.each_ref().map(|s| tight(s, groups));
            assert_eq!(
                reference(Format::Two, groups, &tight, &all),
                want,
                "{kind:?}"
            );
            for (format, segments) in [(Format::One, &segments), (Format::Two, &tight)] {
                let dims = GroupDims {
                    groups,
                    tile_rows,
                    format,
                };
                let mut y = vec![9.0; 32 * tile_rows * vectors];
                let nan = run_pass(
                    dims,
                    segments.each_ref().map(Vec::as_slice),
                    vectors,
                    &x,
                    &mut y,
                );
                assert_eq!(nan, Ok(all.iter().any(|v| v.nan)));
                let got: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
                assert!(
                    got == want,
                    "{kind:?} {groups} groups, {vectors} vectors, {format:?}"
                );
            }
        }
    }
}

/// The stimulus above reaches what it is for.
#[test]
fn the_stimulus_has_overflow_underflow_and_the_largest_sums() {
    let mut random = Random(6);
    let mut results = |kind| {
        let bytes = segment(&mut random, 64, kind);
        let mut all = Vec::new();
        for tile_bytes in bytes.chunks_exact(2 * MACRO) {
            let x: Vec<f32> = (0..128).map(|_| activation(&mut random, kind)).collect();
            all.extend(tile(Format::One, tile_bytes, &[Vector::new(&x)]).unwrap()[0]);
        }
        all
    };
    assert!(results(Kind::High).iter().any(|y| y.is_infinite()));
    assert!(results(Kind::High).iter().any(|y| y.is_nan()), "inf - inf");
    let low = results(Kind::Low);
    assert!(low.iter().any(|y| *y == 0.0) && low.iter().any(|y| *y != 0.0));
    assert!(low.iter().all(|y| *y == 0.0 || y.is_normal()));
    let x: Vec<f32> = (0..64).map(|_| f32::from_bits(0x437F_FFFF)).collect();
    assert_eq!(Vector::new(&x).groups[0].m, [32767; 64]);
}

/// A vector's results do not depend on its neighbours, and an infinity or NaN spoils its own vector alone.
#[test]
fn vectors_are_independent() {
    let mut random = Random(8);
    let (groups, tile_rows, vectors) = (3, 4, 8);
    let segments: [Vec<u8>; 4] =
        std::array::from_fn(|_| segment(&mut random, groups * tile_rows, Kind::Tame));
    let segments = segments.each_ref().map(Vec::as_slice);
    let dims = PassDims { groups, tile_rows };
    let mut x: Vec<f32> = (0..64 * groups * vectors)
        .map(|_| activation(&mut random, Kind::Tame))
        .collect();
    let mut clean = vec![0.0; 32 * tile_rows * vectors];
    assert_eq!(run_pass(dims, segments, vectors, &x, &mut clean), Ok(false));
    let spoilt = 5;
    x[(2 * vectors + spoilt) * 64 + 63] = f32::NEG_INFINITY;
    let mut y = vec![0.0; clean.len()];
    assert_eq!(run_pass(dims, segments, vectors, &x, &mut y), Ok(true));
    for (at, (row, was)) in y.chunks_exact(32).zip(clean.chunks_exact(32)).enumerate() {
        if at % vectors == spoilt {
            assert!(row.iter().all(|y| y.to_bits() == 0x7FC0_0000));
        } else {
            assert_eq!(row, was);
        }
        // Alone, a vector gives the same.
        let v = at % vectors;
        if v != spoilt && at < vectors {
            let alone: Vec<f32> = x
                .chunks_exact(64)
                .skip(v)
                .step_by(vectors)
                .flatten()
                .copied()
                .collect();
            let mut y = vec![0.0; 32 * tile_rows];
            run_pass(dims, segments, 1, &alone, &mut y).unwrap();
            let together = clean.chunks_exact(32).skip(v).step_by(vectors).flatten();
            assert!(y.iter().eq(together));
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let dims = GroupDims {
        groups: 5,
        tile_rows: 2,
        format: Format::Two,
    };
    // 2 zeros strips and 5 x 17 others.
    assert_eq!(dims.segment_bytes(), 2 * 87 * STRIP);
    let good = vec![0u8; dims.segment_bytes()];
    let x = vec![0.0; 64 * 5 * 2];
    let mut y = vec![0.0; 32 * 2 * 2];
    let mut run = |dims: GroupDims, segments: [&[u8]; 4], vectors, x: &[f32]| {
        run_pass(dims, segments, vectors, x, &mut y)
    };
    assert_eq!(run(dims, [&good; 4], 2, &x), Ok(false));
    // The second quad of a tile has one macro: the upper three words of its zeros strip are reserved.
    for (port, word) in [(1, 1), (3, 3)] {
        let mut bad = good.clone();
        bad[(87 + 1 + 68) * STRIP + 4 * word] = 1;
        let segments: [&[u8]; 4] =
            std::array::from_fn(|p| if p == port { &bad[..] } else { &good[..] });
        assert_eq!(
            run(dims, segments, 2, &x),
            Err(GoldenError::ReservedBits {
                port,
                macro_index: 9
            })
        );
    }
    let mut used = good.clone();
    used[(87 + 1 + 68) * STRIP + 3] = 1;
    assert_eq!(run(dims, [&used; 4], 2, &x), Ok(false));
    assert_eq!(run(dims, [&good; 4], 0, &x), Err(GoldenError::NoVectors));
    let wrong = run(dims, [&good, &good, &good[1..], &good], 2, &x);
    assert!(matches!(
        wrong,
        Err(GoldenError::SegmentLength {
            port: 2,
            expected: 2784,
            got: 2783
        })
    ));
    let wrong = run(dims, [&good; 4], 2, &x[1..]);
    assert!(matches!(
        wrong,
        Err(GoldenError::ActivationLength {
            expected: 640,
            got: 639
        })
    ));
    let wrong = run(
        GroupDims {
            format: Format::One,
            ..dims
        },
        [&good; 4],
        2,
        &x,
    );
    assert!(matches!(
        wrong,
        Err(GoldenError::SegmentLength {
            port: 0,
            expected: 2880,
            ..
        })
    ));
    assert_eq!(
        run(GroupDims { groups: 0, ..dims }, [&[]; 4], 1, &[]),
        Err(GoldenError::EmptyPass {
            groups: 0,
            tile_rows: 2
        })
    );
    // Three vectors need more room.
    let more = vec![0.0; 64 * 5 * 3];
    assert!(matches!(
        run(dims, [&good; 4], 3, &more),
        Err(GoldenError::ResultLength {
            expected: 192,
            got: 128
        })
    ));
    // In format 1 every macro has reserved bits of its own; the earliest counts, then the lowest port.
    let dims = GroupDims {
        format: Format::One,
        ..dims
    };
    let good = vec![0u8; dims.segment_bytes()];
    let mut bad = good.clone();
    bad[7 * MACRO + STRIP + 15] = 0x80;
    let mut worse = bad.clone();
    worse[6 * MACRO + STRIP + 4] = 1;
    let error = run(dims, [&good, &bad, &worse, &worse], 2, &x);
    assert_eq!(
        error,
        Err(GoldenError::ReservedBits {
            port: 2,
            macro_index: 6
        })
    );
}
