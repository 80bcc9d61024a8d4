//! Perplexity of the demonstration model against transformers, and against itself.

use std::path::PathBuf;
use std::sync::Arc;

use macromac_driver::{Accelerator, Profile};
use macromac_infer::eval::perplexity::{Options, Perplexity, Scored, perplexity, score_window};
use macromac_infer::{
    Checkpoint, InferError, Model, Source, Tokenizer, cpu_device, golden_device, pack,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

struct Demo {
    source: Arc<Source>,
    model: Model,
    tokens: Vec<u32>,
}

fn open(dir: PathBuf) -> Demo {
    let source = Arc::new(Source::open(&dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    let text = std::fs::read_to_string(root().join("data/demo/eval.txt")).unwrap();
    Demo {
        source,
        model,
        tokens: Tokenizer::open(&dir).unwrap().encode(&text).unwrap(),
    }
}

fn options(context: usize, chunks: Option<usize>, scored: Scored) -> Options {
    Options {
        context,
        chunks,
        scored,
    }
}

impl Demo {
    fn device(&self, golden: bool) -> Result<Box<dyn Accelerator>, InferError> {
        Ok(match golden {
            true => Box::new(golden_device(self.source.clone(), Profile::Paper)?),
            false => Box::new(cpu_device(self.source.clone())),
        })
    }

    fn measure(&self, o: &Options, workers: usize, golden: bool) -> Perplexity {
        let windows = o.windows(&self.model, &self.tokens).unwrap();
        let device = || self.device(golden);
        perplexity(&self.model, &windows, o, workers, device, |_, _| ()).unwrap()
    }
}

fn within(have: f64, want: f64, share: f64) {
    assert!((have / want - 1.0).abs() <= share, "{have}, want {want}");
}

#[test]
fn cpu_equals_transformers_window_by_window() {
    let text = std::fs::read_to_string(root().join("data/demo/reference.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let want = &reference["perplexity"];
    let demo = open(root().join("../models/demo"));
    let ids: Vec<u32> = serde_json::from_value(want["ids"].clone()).unwrap();
    assert_eq!(demo.tokens[..4096], ids, "tokenized as a whole");
    let o = options(256, Some(16), Scored::AllButFirst);
    let f = demo.measure(&o, 2, false);
    assert_eq!(f.tokens_scored, 4080);
    within(f.ppl, want["perplexity"].as_f64().unwrap(), 1e-4);
    within(f.nll, want["mean_nll"].as_f64().unwrap(), 1e-4);
    assert_eq!(f.ppl, f.nll.exp());
    let sums: Vec<f64> = serde_json::from_value(want["window_nll"].clone()).unwrap();
    let mut device = demo.device(false).unwrap();
    for (window, want) in ids.chunks(256).zip(sums).take(3) {
        let nll = score_window(&demo.model, device.as_mut(), window, &o).unwrap();
        assert_eq!(nll.len(), 255);
        within(nll.iter().sum(), want, 1e-4);
    }
}

#[test]
fn cpu_equals_transformers_over_the_whole_text() {
    let demo = open(root().join("../models/demo"));
    assert_eq!(demo.tokens.len(), 26_689);
    let f = demo.measure(&options(256, None, Scored::AllButFirst), usize::MAX, false);
    assert_eq!(f.tokens_scored, 26_520);
    within(f.ppl, 8.234, 2e-3);
}

#[test]
fn golden_is_close_to_cpu_and_the_same_for_any_number_of_workers() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let checkpoint = Checkpoint::open(&root().join("../models/demo")).unwrap();
    pack(&checkpoint, &image, |_| {}).unwrap();
    let demo = open(image);
    let o = options(64, Some(9), Scored::AllButFirst);
    let one = demo.measure(&o, 1, true);
    for workers in [2, 3, usize::MAX] {
        assert_eq!(demo.measure(&o, workers, true), one, "{workers} workers");
    }
    within(one.ppl, demo.measure(&o, 1, false).ppl, 1e-4);
}

#[test]
fn the_second_half_is_what_the_whole_window_says_of_it() {
    let demo = open(root().join("../models/demo"));
    let whole = options(33, Some(1), Scored::AllButFirst);
    let half = options(33, Some(1), Scored::SecondHalf);
    let mut device = demo.device(false).unwrap();
    let mut nll = |o: &Options| {
        let window = &demo.tokens[..33];
        score_window(&demo.model, device.as_mut(), window, o).unwrap()
    };
    let (whole, half) = (nll(&whole), nll(&half));
    // Tokens 17..=32 of 0..=32.
    assert_eq!((whole.len(), half.len()), (32, 16));
    assert_eq!(whole[16..], half);
}

#[test]
fn windows_that_cannot_be_scored_are_refused() {
    let demo = open(root().join("../models/demo"));
    let refused = |o: Options, n: usize, words: &[&str]| {
        let e = o.windows(&demo.model, &demo.tokens[..n]).unwrap_err();
        for word in words {
            assert!(e.to_string().contains(word), "{e}");
        }
    };
    let all = |c| options(c, None, Scored::AllButFirst);
    refused(all(513), 1000, &["513", "at most 512", "-c"]);
    refused(all(256), 255, &["too short", "256", "255 tokens"]);
    refused(all(1), 255, &["at least one token to score"]);
    refused(options(2, None, Scored::SecondHalf), 255, &["to score"]);
    let o = all(100);
    assert_eq!(
        o.windows(&demo.model, &demo.tokens[..299]).unwrap().len(),
        2
    );
}
