//! The accelerator's arithmetic against plain FP32 on the same image: golden stays close to cpu.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use macromac_driver::Profile;
use macromac_infer::{
    Checkpoint, Model, Session, Source, Tokenizer, cpu_device, golden_device, pack,
};

/// What a logit may differ by: three roundings a product instead of one, and another order.
const TOLERANCE: f32 = 2e-3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Largest difference of a logit over all positions of `tokens`.
fn worst(checkpoint: &Path, texts: &[&str]) -> f32 {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    pack(&Checkpoint::open(checkpoint).unwrap(), &image, |_| {}).unwrap();
    let source = Arc::new(Source::open(&image).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let tokenizer = Tokenizer::open(&image).unwrap();
    let mut worst = 0f32;
    for text in texts {
        let tokens = tokenizer.encode(text).unwrap();
        let mut golden = golden_device(source.clone(), Profile::Paper).unwrap();
        let mut cpu = cpu_device(source.clone());
        let mut golden = Session::new(&model, &mut golden);
        let mut cpu = Session::new(&model, &mut cpu);
        for token in tokens {
            let a = golden.logits_after(token).unwrap();
            let b = cpu.logits_after(token).unwrap();
            assert!(a.iter().any(|v| *v != 0.0));
            for (a, b) in a.iter().zip(b) {
                worst = worst.max((a - b).abs());
            }
        }
    }
    println!(
        "{}: largest difference of a logit {worst:e}",
        checkpoint.display()
    );
    worst
}

const TEXTS: [&str; 2] = [
    "Tom and his dog Max went to the park. They saw a big tree. \"Look, Max!\" Tom said.",
    "Ben was sad. \"Why are you sad?\" asked his mom. Ben said, \"",
];

#[test]
fn golden_is_close_to_cpu_on_the_demo_model() {
    assert!(worst(&root().join("../models/demo"), &TEXTS) <= TOLERANCE);
}

#[test]
fn golden_is_close_to_cpu_on_tiny_a() {
    assert!(worst(&root().join("data/tiny-a/fp"), &TEXTS) <= TOLERANCE);
}
