//! The `cpu` backend on full-precision checkpoints against Hugging Face transformers in FP32.

use std::path::PathBuf;
use std::sync::Arc;

use macromac_infer::{Model, Options, Session, Source, Tokenizer, cpu_device, generate};
use safetensors::SafeTensors;
use serde_json::Value;

/// What a logit may differ by: FP32 sums in another order.
const TOLERANCE: f32 = 2e-3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn open(dir: PathBuf) -> (Arc<Source>, Model, Tokenizer) {
    let source = Arc::new(Source::open(&dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    (source, model, Tokenizer::open(&dir).unwrap())
}

fn ids(v: &Value) -> Vec<u32> {
    serde_json::from_value(v.clone()).unwrap()
}

fn continuation(
    source: &Arc<Source>,
    model: &Model,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    n: usize,
) -> (Vec<u32>, String) {
    let mut device = cpu_device(source.clone());
    let mut session = Session::new(model, &mut device);
    let options = Options {
        max_tokens: n,
        ignore_eos: true,
        ..Options::default()
    };
    let g = generate(model, tokenizer, &mut session, prompt, &options, |_| Ok(())).unwrap();
    (g.tokens, g.text)
}

#[test]
fn demo_model_equals_transformers() {
    let text = std::fs::read_to_string(root().join("data/demo/reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let (source, model, tokenizer) = open(root().join("../models/demo"));
    let mut worst = 0f32;
    for p in reference["prompts"].as_array().unwrap() {
        let name = &p["name"];
        let prompt = tokenizer.encode(p["text"].as_str().unwrap()).unwrap();
        assert_eq!(prompt, ids(&p["ids"]), "{name}");
        let mut device = cpu_device(source.clone());
        let mut session = Session::new(&model, &mut device);
        let (last, first) = prompt.split_last().unwrap();
        first.iter().for_each(|t| session.feed(*t).unwrap());
        let logits = session.logits_after(*last).unwrap();
        let want: Vec<f32> = serde_json::from_value(p["last_logits_first64"].clone()).unwrap();
        assert_eq!(want.len(), 64);
        for (have, want) in logits.iter().zip(&want) {
            worst = worst.max((have - want).abs());
        }
        let (tokens, text) = continuation(&source, &model, &tokenizer, &prompt, 48);
        assert_eq!(tokens, ids(&p["greedy_ids"]), "{name}");
        assert_eq!(text, p["greedy_text"].as_str().unwrap(), "{name}");
    }
    println!("largest difference of a logit: {worst:e}");
    assert!(worst <= TOLERANCE, "{worst}");
}

#[test]
fn tiny_a_equals_transformers_at_every_position() {
    let bytes = std::fs::read(root().join("data/tiny-a/reference-fp.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<u32> {
        let data = reference.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let (source, model, tokenizer) = open(root().join("data/tiny-a/fp"));
    let mut worst = 0f32;
    for case in ["1", "7", "64", "200", "text"] {
        let tokens = words(&format!("tokens_{case}"));
        let want = words(&format!("logits_{case}"));
        let mut device = cpu_device(source.clone());
        let mut session = Session::new(&model, &mut device);
        for (token, want) in tokens.iter().zip(want.chunks_exact(512)) {
            for (have, want) in session.logits_after(*token).unwrap().iter().zip(want) {
                worst = worst.max((have - f32::from_bits(*want)).abs());
            }
        }
        if let "7" | "text" = case {
            let (have, _) = continuation(&source, &model, &tokenizer, &tokens, 32);
            assert_eq!(have, words(&format!("greedy_{case}")), "{case}");
        }
    }
    println!("largest difference of a logit: {worst:e}");
    assert!(worst <= TOLERANCE, "{worst}");
}
