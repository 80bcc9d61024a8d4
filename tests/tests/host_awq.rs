//! AWQ loses less than rounding to nearest, gives the same image every time, and says what is wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use macromac_format::Head;
use macromac_infer::synth::synthesize;
use macromac_infer::{
    Calibration, Checkpoint, Model, PackOptions, Session, Source, cpu_device, pack_with,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

fn tokens(n: usize, seed: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(0..200)).collect()
}

fn options(calibration: Option<usize>) -> PackOptions {
    PackOptions {
        head: Some(Head::Fp16),
        calibration: calibration.map(|n| Calibration {
            tokens: tokens(n, 1),
            window: 64,
        }),
        ..PackOptions::default()
    }
}

fn logits(dir: &Path) -> Vec<f32> {
    let source = Arc::new(Source::open(dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let mut device = cpu_device(source);
    let mut session = Session::new(&model, &mut device);
    let held_out = tokens(48, 2);
    let all = held_out
        .iter()
        .flat_map(|t| session.logits_after(*t).unwrap().to_vec());
    all.collect()
}

#[test]
fn awq_loses_less_than_rounding_and_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 200, "hidden_size": 128,
        "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": true,
    })
    .to_string();
    let files = [("config.json", config.as_bytes())];
    synthesize(&of("model"), &files, 5, |_| {}).unwrap();
    let checkpoint = Checkpoint::open(&of("model")).unwrap();
    for (name, calibration) in [("rtn", None), ("awq", Some(1000)), ("again", Some(1000))] {
        pack_with(&checkpoint, &of(name), &options(calibration), |_| {}).unwrap();
    }
    let bin = |name: &str| fs::read(of(name).join("model.bin")).unwrap();
    assert_eq!(bin("awq"), bin("again"));

    let want = logits(&of("model"));
    let error = |name: &str| -> f32 {
        let have = logits(&of(name));
        have.iter().zip(&want).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let (rtn, awq) = (error("rtn"), error("awq"));
    println!("squared error of the logits: rtn {rtn}, awq {awq}");
    assert!(awq < 0.8 * rtn, "rtn {rtn}, awq {awq}");

    let e = pack_with(&checkpoint, &of("short"), &options(Some(63)), |_| {}).unwrap_err();
    assert!(e.to_string().contains("64 tokens, found 63"), "{e}");
    assert!(!of("short").exists());
}
