//! The same seeded inputs through every kernel give the same bits on every machine: `digests.txt` has what they
//! gave, and this test runs on x86-64 (`cargo test`) and on aarch64 (`make test-aarch64`).
//!
//! A digest changes only where a kernel's written order changes; then `DIGESTS=write cargo test -p macromac-ps`
//! writes the file anew, and docs/arithmetic.md has to say why.

use half::f16;
use macromac_format::DType;
use macromac_ps::attention::attend;
use macromac_ps::cache::{CacheType, HeadCache, Order, narrow, widen};
use macromac_ps::head::head_product;
use macromac_ps::math::exp;
use macromac_ps::rotary::{angles, frequencies, rotate};
use macromac_ps::vector::{add, dot, peak, rms_norm, silu_product, sum_squares, tile_product};

/// FNV-1a over the bits of what a kernel gave.
struct Digest(u64);

impl Digest {
    fn bits(&mut self, bits: u32) {
        for byte in bits.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn all(&mut self, v: &[f32]) {
        v.iter().for_each(|v| self.bits(v.to_bits()));
    }
}

/// Numbers in -size..size by a linear congruence: nothing that another machine could compute differently.
fn noise(n: usize, seed: u32, size: f32) -> Vec<f32> {
    let mut s = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((s >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
        })
        .collect()
}

/// Lengths of Qwen2.5-0.5B, of the embedded model, and ones that fill no vector.
const LENGTHS: [usize; 8] = [896, 256, 4864, 1, 3, 16, 31, 70];

fn digest(kernel: &str) -> u64 {
    let mut d = Digest(0xcbf2_9ce4_8422_2325);
    for (seed, n) in (1u32..).zip(LENGTHS) {
        let (x, w) = (noise(n, seed, 3.0), noise(n, seed + 100, 1.5));
        let mut y = vec![0.0; n];
        match kernel {
            "rms_norm" => {
                rms_norm(&x, &w, 1e-6, &mut y);
                d.all(&y);
                d.all(&[sum_squares(&x), dot(&x, &w)]);
            }
            "add" => {
                y.copy_from_slice(&x);
                add(&mut y, &w);
                d.all(&y);
            }
            "silu_product" => {
                let gate_up = noise(n.next_multiple_of(8) * 2, seed, 12.0);
                silu_product(&gate_up, &mut y);
                d.all(&y);
            }
            "exp" => noise(n, seed, 110.0).iter().for_each(|v| d.all(&[exp(*v)])),
            "rotary" => {
                let (mut cos, mut sin) = (Vec::new(), Vec::new());
                angles(37 * n, &frequencies(64, 1e6), &mut cos, &mut sin);
                let mut head = noise(64, seed, 2.0);
                rotate(&mut head, &cos, &sin);
                d.all(&head);
                d.all(&cos);
                d.all(&sin);
            }
            "peak" => d.bits(peak(&x).at as u32),
            "conversions" => {
                let mut h = vec![f16::ZERO; n];
                narrow(&noise(n, seed, 7e4), &mut h);
                widen(&h, &mut y);
                d.all(&y);
            }
            "tile_product" => {
                let k = n.next_multiple_of(64);
                d.all(&tile_product(
                    &noise(8 * k, seed, 0.1),
                    &noise(k, seed + 7, 3.0),
                ));
            }
            "head" => {
                let w: Vec<u8> = noise(19 * n, seed, 0.1)
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect();
                let mut y = [0.0; 19];
                head_product(DType::F16, &w, &x, &mut y);
                d.all(&y);
            }
            "attention_f32" => attention(&mut d, CacheType::F32, n.min(300), seed),
            "attention_f16" => attention(&mut d, CacheType::F16, n.min(300), seed),
            "attention_q8_0" => attention(&mut d, CacheType::Q8, n.min(300), seed),
            other => panic!("no kernel is called {other}"),
        }
    }
    d.0
}

fn attention(digest: &mut Digest, t: CacheType, positions: usize, seed: u32) {
    for (heads, kv, d) in [(14, 2, 64), (4, 2, 64), (2, 1, 128), (2, 1, 24)] {
        let fill = |order, seed| -> Vec<HeadCache> {
            (0..kv)
                .map(|h| {
                    let mut cache = HeadCache::new(order, t, d);
                    let rows = noise(positions * d, seed + h, 2.0);
                    rows.chunks(d).for_each(|r| cache.push(r));
                    cache
                })
                .collect()
        };
        let mut out = vec![0.0; heads * d];
        let q = noise(heads * d, seed, 2.0);
        let (keys, values) = (fill(Order::Keys, seed + 10), fill(Order::Values, seed + 20));
        attend(&q, heads, &keys, &values, positions, &mut out);
        digest.all(&out);
    }
}

#[test]
fn kernels_give_the_bits_of_the_committed_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/digests.txt");
    let committed = std::fs::read_to_string(path).unwrap();
    let mut now = String::new();
    for line in committed.lines() {
        match line.split_whitespace().next() {
            Some(kernel) if kernel != "#" => {
                now += &format!("{kernel:15} {:016x}\n", digest(kernel));
            }
            _ => now += &format!("{line}\n"),
        }
    }
    if std::env::var("DIGESTS").is_ok_and(|v| v == "write") {
        std::fs::write(path, &now).unwrap();
    } else {
        assert_eq!(now, committed, "bits on {}", std::env::consts::ARCH);
    }
}
