//! How fast the model runs: tokens of Qwen2.5-0.5B's shape, a gap of the PS before each step.
//! `cargo run --release -p macromac-timing --example speed`

use std::time::{Duration, Instant};

use macromac_driver::{Accelerator, DriverError, PassShape, Profile};
use macromac_format::Packing;
use macromac_timing::{ModelConfig, ModelDevice};

const LAYERS: usize = 24;

fn main() -> Result<(), DriverError> {
    let layer = [[1152, 896], [896, 896], [9728, 896], [896, 4864]];
    let mut shapes: Vec<PassShape> = Vec::new();
    for _ in 0..LAYERS {
        shapes.extend(layer.map(|[n, k]| PassShape { n, k }));
    }
    shapes.push(PassShape { n: 151_936, k: 896 });
    let config = ModelConfig::kv260(Profile::Kv260, 300_000_000, 2133);
    let begun = Instant::now();
    let mut device = ModelDevice::new(config, &shapes, Packing::Single)?;
    println!("built in {:?}", begun.elapsed());
    let program: Vec<usize> = (0..shapes.len()).collect();
    device.set_program(&program, 1)?;
    for token in 0..3 {
        let (begun, from) = (Instant::now(), device.board().cycle());
        for shape in &shapes {
            device.elapse(Duration::from_nanos(20_000), 16 << 10)?;
            let ticket = device.submit(&vec![0.0; shape.k])?;
            device.wait_rows(ticket, shape.n)?;
        }
        let (cycles, wall) = (device.board().cycle() - from, begun.elapsed());
        let rate = cycles as f64 / wall.as_secs_f64() / 1e6;
        println!("token {token}: {cycles} cycles in {wall:?}, {rate:.1} M cycles a second");
    }
    Ok(())
}
