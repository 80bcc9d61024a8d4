//! How fast the board simulates a busy device of each profile: `cargo run --release -p macromac-board --example speed`.

use macromac_board::{Board, BoardConfig};
use macromac_driver::{Accelerator, Device, DriverError, PassShape, PassWeights, Profile};
use macromac_format::Packing;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), DriverError> {
    let shape = PassShape { n: 896, k: 896 };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut segment = vec![0; 28 * 14 * 288];
    for block in segment.chunks_exact_mut(288) {
        rng.fill_bytes(block);
        // Finite scales (the exponent's top bit clear) and the zeros strip's reserved bytes.
        block[..16]
            .chunks_exact_mut(2)
            .for_each(|scale| scale[1] &= 0xBF);
        block[20..32].fill(0);
    }
    let pass = PassWeights {
        shape,
        packing: Packing::Single,
        segments: [&segment; 4],
    };
    for (profile, vectors) in [
        (Profile::Paper, 1),
        (Profile::Kv260, 1),
        (Profile::Kv260, 8),
    ] {
        let config = BoardConfig::typical(1).with_profile(profile);
        let mut device = Device::new(Board::new(config)?, &[pass])?;
        device.set_program(&[0], vectors)?;
        let x: Vec<f32> = (0..vectors * shape.k)
            .map(|i| (i as f32 * 0.37).sin())
            .collect();
        let mut y = vec![0.0; vectors * shape.n];
        for _ in 0..10 {
            let step = device.submit(&x)?;
            device.finish(step, shape.n, &mut y)?;
        }
        if let Some(counters) = device.counters()? {
            let khz = counters.cycles as f64 / (counters.sim_wall_ns as f64 * 1e-6);
            let busy = counters.strips[0] as f64 / counters.cycles as f64;
            println!(
                "{}, {vectors} vectors: {} cycles, {khz:.0} kHz, units busy in {:.0}%",
                profile.name(),
                counters.cycles,
                100.0 * busy
            );
        }
    }
    Ok(())
}
