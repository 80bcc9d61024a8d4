//! How fast the model runs: tokens of Qwen2.5-0.5B's shape, a gap of the PS before each step.
//! `cargo run --release -p macromac-timing --example model-speed`

use std::time::{Duration, Instant};

use macromac_driver::{Accelerator, DriverError, PassShape, Profile};
use macromac_format::Packing;
use macromac_timing::{ModelConfig, ModelDevice, PassTimes};

const LAYERS: usize = 24;

fn main() -> Result<(), DriverError> {
    let layer = [[1152, 896], [896, 896], [9728, 896], [896, 4864]];
    let mut shapes: Vec<PassShape> = Vec::new();
    for _ in 0..LAYERS {
        shapes.extend(layer.map(|[n, k]| PassShape { n, k }));
    }
    shapes.push(PassShape { n: 151_936, k: 896 });
    for (name, short) in [("every cycle", false), ("shortened", true)] {
        let config = ModelConfig::kv260(Profile::Kv260, 300_000_000, 2133);
        let mut device = ModelDevice::new(config, &shapes, Packing::Single)?;
        if short {
            device = device.shortened();
        }
        let program: Vec<usize> = (0..shapes.len()).collect();
        device.set_program(&program, 1)?;
        for token in 0..2 {
            let (begun, from) = (Instant::now(), cycles(&mut device)?);
            for shape in &shapes {
                device.elapse(Duration::from_nanos(20_000), 16 << 10)?;
                let ticket = device.submit(&vec![0.0; shape.k])?;
                device.wait_rows(ticket, shape.n)?;
            }
            let (cycles, wall) = (cycles(&mut device)? - from, begun.elapsed());
            let rate = cycles as f64 / wall.as_secs_f64() / 1e6;
            println!(
                "{name}, token {token}: {cycles} cycles in {wall:?}, {rate:.1} M cycles a second"
            );
        }
        let times = device.pass_times();
        let sum = |kind: usize| {
            let mut all = PassTimes::default();
            let layers = times.iter().enumerate();
            layers
                .filter(|(i, _)| i % 4 == kind && *i != 96)
                .for_each(|(_, t)| all += *t);
            all
        };
        println!("gate_up {:?}\nhead {:?}", sum(2), times[96]);
    }
    Ok(())
}

fn cycles(device: &mut ModelDevice) -> Result<u64, DriverError> {
    Ok(device.counters()?.map_or(0, |c| c.cycles))
}
