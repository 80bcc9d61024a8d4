//! A checkpoint with random weights is a checkpoint, the same one for the same seed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use macromac_infer::synth::synthesize;
use macromac_infer::{Model, Session, Source, cpu_device};
use serde_json::json;

fn write(dir: &Path, seed: u64) -> u64 {
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 300, "hidden_size": 256,
        "intermediate_size": 320, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "tie_word_embeddings": false,
    });
    let files = [("config.json", config.to_string())];
    let files = files
        .each_ref()
        .map(|(name, text)| (*name, text.as_bytes()));
    synthesize(dir, &files, seed, |_| {}).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_the_model_runs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    let weights = |name: &str| fs::read(folder(name).join("model.safetensors")).unwrap();
    let bytes = write(&folder("a"), 1);
    write(&folder("b"), 1);
    fs::create_dir(folder("c")).unwrap();
    write(&folder("c"), 2);
    assert_eq!(weights("a").len() as u64, bytes);
    assert_eq!(weights("a"), weights("b"));
    assert_ne!(weights("a"), weights("c"));

    let source = Arc::new(Source::open(&folder("a")).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let mut device = cpu_device(source.clone());
    let mut session = Session::new(&model, &mut device);
    for token in [5, 299, 0] {
        let logits = session.logits_after(token).unwrap();
        let largest = logits.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!((0.1..100.0).contains(&largest), "{largest}");
    }
    // Norm weights lie around 1 and have outlier channels.
    let norm = source.tensor("layers.1.input_norm").unwrap();
    let outliers = norm.iter().filter(|v| **v > 1.7).count();
    assert_eq!(outliers, 2, "{norm:?}");
}

#[test]
fn what_is_in_the_way_is_named_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("home");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("letter.txt"), "dear").unwrap();
    let e = synthesize(&out, &[], 0, |_| {}).unwrap_err().to_string();
    assert!(e.contains("letter.txt") && e.contains("empty"), "{e}");
    let e = synthesize(&out.join("letter.txt"), &[], 0, |_| {}).unwrap_err();
    assert!(e.to_string().contains("a file"), "{e}");
    // A configuration that is none: nothing of the new folder is left.
    let new = dir.path().join("new");
    let e = synthesize(&new, &[("config.json", b"{}")], 0, |_| {}).unwrap_err();
    assert!(e.to_string().contains("architectures"), "{e}");
    // More than any disk holds.
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 1 << 26, "hidden_size": 1 << 26,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1,
    });
    let config = config.to_string();
    let files = [("config.json", config.as_bytes())];
    let e = synthesize(&new, &files, 0, |_| {}).unwrap_err();
    assert!(e.to_string().contains("free disk space"), "{e}");
    let entries = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(entries, 1, "only home");
}
