//! Golden and the packer, which share no code, mean the same matrix; and padding changes no result.

use half::f16;
use macromac_format::Layout;
use macromac_format::QuantMatrix;
use macromac_golden::{GoldenError, PassDims, block, fp, run_pass};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random_matrix(rng: &mut ChaCha8Rng, n: usize, k: usize) -> QuantMatrix {
    let groups = k.div_ceil(64);
    QuantMatrix {
        n,
        k,
        q: (0..n * k).map(|_| rng.random_range(0..16)).collect(),
        scales: (0..n * groups)
            .map(|_| f16::from_f32(rng.random_range(-0.01..0.01)))
            .collect(),
        zeros: (0..n * groups).map(|_| rng.random_range(0..16)).collect(),
    }
}

/// The pass as the device computes it: packed, padded, and the padding cut from the results.
fn pass(matrix: &QuantMatrix, x: &[f32]) -> Vec<f32> {
    let layout = Layout::new(matrix.n, matrix.k);
    let shape = PassDims {
        groups: layout.groups(),
        tile_rows: layout.tile_rows(),
    };
    let segments = matrix.to_segments();
    let mut acts = x.to_vec();
    acts.resize(shape.inputs(), 0.0);
    let mut y = vec![f32::NAN; shape.outputs()];
    run_pass(shape, segments.each_ref().map(Vec::as_slice), &acts, &mut y).unwrap();
    // A padded channel is a zero.
    assert!(y[matrix.n..].iter().all(|&v| v == 0.0));
    y.truncate(matrix.n);
    y
}

/// The sum of docs/arithmetic.md section 3 with the operands that do not exist left out.
fn unpadded(matrix: &QuantMatrix, row: usize, x: &[f32]) -> f32 {
    let add = |a: Option<f32>, b: Option<f32>| match (a, b) {
        (Some(a), Some(b)) => Some(fp::add(a, b)),
        (a, b) => a.or(b),
    };
    let product = |k: usize| {
        (k < matrix.k).then(|| {
            let at = row * matrix.groups() + k / 64;
            let (q, z) = (matrix.q[row * matrix.k + k], matrix.zeros[at]);
            block::pe(x[k], matrix.scales[at].to_f32(), q.into(), z.into())
        })
    };
    let half = |k: usize| {
        add(
            add(product(k), product(k + 1)),
            add(product(k + 2), product(k + 3)),
        )
    };
    let mut window = [None, None];
    for step in 0..matrix.k.div_ceil(8) {
        let sum = add(half(8 * step), half(8 * step + 4));
        window[step % 2] = add(window[step % 2], sum);
    }
    add(window[0], window[1]).expect("a matrix has weights")
}

#[test]
fn padding_changes_no_result() {
    let mut rng = ChaCha8Rng::seed_from_u64(100);
    for (n, k) in [
        (40, 100),
        (1, 1),
        (7, 63),
        (33, 65),
        (32, 64),
        (50, 12),
        (9, 200),
    ] {
        for _ in 0..20 {
            let matrix = random_matrix(&mut rng, n, k);
            let x: Vec<f32> = (0..k).map(|_| rng.random_range(-4.0..4.0)).collect();
            for (row, &got) in pass(&matrix, &x).iter().enumerate() {
                let want = unpadded(&matrix, row, &x);
                // Equal as numbers always, in bits unless the sum is zero.
                assert_eq!(got, want, "[{n}, {k}] row {row}");
                assert!(
                    want == 0.0 || got.to_bits() == want.to_bits(),
                    "[{n}, {k}] row {row}"
                );
            }
        }
    }
}

/// Every weight reaches its own output channel: a unit vector reads one column of the matrix.
#[test]
fn unit_vectors_read_the_matrix() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let matrix = random_matrix(&mut rng, 70, 130);
    for k in 0..matrix.k {
        let mut x = vec![0.0; matrix.k];
        x[k] = 1.0;
        for (row, &got) in pass(&matrix, &x).iter().enumerate() {
            assert_eq!(got, matrix.weight(row, k), "row {row}, column {k}");
        }
    }
}

/// Far from any rounding question: close to the sum in double precision.
#[test]
fn is_close_to_the_exact_product() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let matrix = random_matrix(&mut rng, 96, 4864);
    let x: Vec<f32> = (0..matrix.k).map(|_| rng.random_range(-2.0..2.0)).collect();
    for (row, &got) in pass(&matrix, &x).iter().enumerate() {
        let terms = (0..matrix.k).map(|k| f64::from(matrix.weight(row, k)) * f64::from(x[k]));
        let (sum, size) = terms.fold((0.0, 0.0), |(s, a): (f64, f64), t| (s + t, a + t.abs()));
        assert!(
            (f64::from(got) - sum).abs() <= 1e-6 * size,
            "row {row}: {got} for {sum}"
        );
    }
}

/// What the packer calls damaged, golden calls damaged, and names the place.
#[test]
fn reserved_bits_are_refused_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (n, k) = (64, 128);
    let mut segments = random_matrix(&mut rng, n, k).to_segments();
    segments[1][3 * 288 + 16 + 9] = 0x40;
    let slices = segments.each_ref().map(Vec::as_slice);
    assert!(QuantMatrix::from_segments(n, k, slices).is_err());
    let shape = PassDims {
        groups: 2,
        tile_rows: 2,
    };
    let error = run_pass(shape, slices, &[1.0; 128], &mut [0.0; 64]).unwrap_err();
    assert_eq!(
        error,
        GoldenError::ReservedBits {
            port: 1,
            macro_index: 3
        }
    );
    assert_eq!(
        error.to_string(),
        "port 1, macro 3: reserved bits of the zero strip are set"
    );
}
