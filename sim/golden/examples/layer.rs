//! Wall time of the four passes of one Qwen2.5-0.5B layer: `cargo run --release --example layer`.

use std::time::Instant;

use macromac_golden::{PassDims, run_pass};

fn main() {
    let mut total = 0.0;
    let mut weights = 0;
    for (name, outputs, inputs) in [
        ("qkv", 1152, 896),
        ("o", 896, 896),
        ("gate_up", 9728, 896),
        ("down", 896, 4864),
    ] {
        let shape = PassDims {
            groups: inputs / 64,
            tile_rows: outputs / 32,
        };
        let mut segment: Vec<u8> = (0..shape.segment_bytes())
            .map(|i| ((i * 37) >> 3) as u8)
            .collect();
        for block in segment.chunks_exact_mut(288) {
            for scale in block[..16].chunks_exact_mut(2) {
                scale.copy_from_slice(&0x2345u16.to_le_bytes());
            }
            block[20..32].fill(0);
        }
        let x: Vec<f32> = (0..inputs).map(|k| (k as f32).sin()).collect();
        let mut y = vec![0.0; outputs];
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let start = Instant::now();
            run_pass(shape, [&segment, &segment, &segment, &segment], &x, &mut y)
                .expect("a well-formed pass");
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name:8} {outputs:5} x {inputs:4}  {:7.3} ms", best * 1e3);
        total += best;
        weights += outputs * inputs;
    }
    let rate = weights as f64 / total;
    println!(
        "layer    {:.3} ms, {:.2} G weights/s",
        total * 1e3,
        rate / 1e9
    );
}
