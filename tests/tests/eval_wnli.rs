//! WNLI against EleutherAI's lm-evaluation-harness on the tiny checkpoint.

use std::path::PathBuf;
use std::sync::Arc;

use macromac_driver::Accelerator;
use macromac_infer::eval::loglik::continuations;
use macromac_infer::eval::wnli::{Example, Outcome, encode, evaluate, read_examples};
use macromac_infer::{InferError, Model, Session, Source, Tokenizer, cpu_device};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// tiny-a: `fp` is its BF16 checkpoint, `awq` the one that AutoAWQ quantized.
fn open(form: &str) -> (Arc<Source>, Model, Tokenizer) {
    let dir = root().join("data/tiny-a").join(form);
    let source = Arc::new(Source::open(&dir).unwrap());
    let model = Model::load(source.clone()).unwrap();
    (source, model, Tokenizer::open(&dir).unwrap())
}

fn examples() -> Vec<Example> {
    read_examples(&root().join("data/wnli/dev.tsv")).unwrap()
}

fn ask(form: &str, examples: &[Example], workers: usize) -> Outcome {
    let (source, model, tokenizer) = open(form);
    let device =
        || -> Result<Box<dyn Accelerator>, InferError> { Ok(Box::new(cpu_device(source.clone()))) };
    evaluate(&model, &tokenizer, examples, workers, device, |_| ()).unwrap()
}

#[test]
fn both_forms_of_the_data_hold_the_same_examples() {
    let tsv = examples();
    assert_eq!(
        tsv,
        read_examples(&root().join("data/wnli/dev.jsonl")).unwrap()
    );
    assert_eq!(tsv.len(), 71);
    assert_eq!(tsv.iter().filter(|e| e.label == 1).count(), 31);
    assert_eq!(
        tsv[0].prompt(),
        "The drain is clogged with hair. It has to be cleaned.\nQuestion: The hair has to be cleaned. \
         True or False?\nAnswer:"
    );
}

/// The first example token by token, as the harness computes it.
#[test]
fn worked_example() {
    let (source, model, tokenizer) = open("fp");
    let (prompt, answers) = encode(&model, &tokenizer, &examples()[0]).unwrap();
    assert_eq!(prompt.len(), 62);
    assert_eq!(prompt[56..], [32, 77, 82, 86, 261, 25]);
    assert_eq!(answers, [vec![434, 278, 325], vec![350, 81, 361]]);
    let mut device = cpu_device(source);
    let score = |device: &mut dyn Accelerator, prompt: &[u32], answer: &[u32]| {
        let mut session = Session::new(&model, device);
        continuations(&mut session, prompt, &[answer.to_vec()]).unwrap()[0]
    };
    for (answer, want) in answers.iter().zip([
        [-7.74662, -12.36301, -9.18543],
        [-6.96532, -7.78786, -9.74347],
    ]) {
        let mut before = prompt.clone();
        for (token, want) in answer.iter().zip(want) {
            let have = score(&mut device, &before, &[*token]);
            assert!((have - want).abs() <= 1e-3, "{have}, want {want}");
            before.push(*token);
        }
    }
    let mut session = Session::new(&model, &mut device);
    let both = continuations(&mut session, &prompt, &answers).unwrap();
    for (have, want) in both.iter().zip([-29.29506, -24.49665]) {
        assert!((have - want).abs() <= 1e-3, "{have}, want {want}");
    }
}

fn equals_the_harness(form: &str, correct: usize) {
    let have = ask(form, &examples(), usize::MAX);
    let file = root().join(format!("data/wnli/tiny-a-{form}.jsonl"));
    let text = std::fs::read_to_string(file).unwrap();
    let want: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(have.examples.len(), want.len());
    let mut worst = 0f64;
    for (have, want) in have.examples.iter().zip(&want) {
        assert_eq!(have.idx, want["idx"]);
        assert_eq!(have.label, want["label"]);
        assert_eq!(have.prediction, want["pred"], "example {}", have.idx);
        for (ll, key) in [(have.ll_false, "ll_false"), (have.ll_true, "ll_true")] {
            worst = worst.max((ll - want[key].as_f64().unwrap()).abs());
        }
    }
    println!("largest difference of a log-probability: {worst:e}");
    assert!(worst <= 1e-3, "{worst}");
    assert_eq!(have.correct, correct);
    assert_eq!(have.acc, correct as f64 / 71.0);
    let stderr = (have.acc * (1.0 - have.acc) / 70.0).sqrt();
    assert!((have.stderr - stderr).abs() < 1e-12);
    assert!(have.flipped(&have).is_empty());
}

#[test]
fn all_examples_equal_the_harness() {
    equals_the_harness("fp", 34);
}

#[test]
fn all_examples_of_the_autoawq_checkpoint_equal_the_harness() {
    equals_the_harness("awq", 29);
}

#[test]
fn workers_do_not_change_a_bit() {
    let some = &examples()[..5];
    assert_eq!(ask("fp", some, 1), ask("fp", some, 3));
}

#[test]
fn bad_rows_are_all_named() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8], words: &[&str]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let e = read_examples(&path).unwrap_err().to_string();
        for word in words.iter().chain(&[name]) {
            assert!(e.contains(word), "expected {word:?} in: {e}");
        }
    };
    let head = "index\tsentence1\tsentence2\tlabel\n";
    let tsv = format!(
        "{head}0\tA.\tB.\t0\n1\tA.\tB.\n\nx\tA.\tB.\t1\n3\tA.\tB.\t2\n0\tA.\tB.\t1\n4\t \tB.\t1\n5\tA.\tB.\t-1\n"
    );
    refused(
        "dev.tsv",
        tsv.as_bytes(),
        &[
            "6 bad row(s)",
            "line 3: expected 4 tab-separated fields, found 3",
            "line 5: index: expected a whole number, found \"x\"",
            "line 6: label: expected 0 or 1, found 2",
            "line 7: index 0: expected once, found in line 2 too",
            "line 8: sentence1",
            "line 9: label",
        ],
    );
    refused("none.tsv", head.as_bytes(), &["found none"]);
    refused("empty.jsonl", b"", &["found none"]);
    refused("other.tsv", b"a\tb\n", &["line 1: expected a header"]);
    refused(
        "bytes.tsv",
        &[head.as_bytes(), b"0\tA\xff.\tB.\t0\n"].concat(),
        &["line 2: expected UTF-8", "0xff", "column 4"],
    );
    refused(
        "dev.jsonl",
        b"{\"idx\": 0, \"sentence1\": \"A.\", \"sentence2\": \"B.\"}\n[1]\n",
        &["line 1", "label", "line 2"],
    );
    let many = format!("{head}{}", "x\n".repeat(500));
    refused(
        "many.tsv",
        many.as_bytes(),
        &["500 bad row(s)", "and 480 more"],
    );
}

#[test]
fn an_example_that_does_not_fit_the_context_is_named() {
    let (_, model, tokenizer) = open("fp");
    let long = Example {
        idx: 7,
        sentence1: "word ".repeat(40_000),
        sentence2: "B.".into(),
        label: 0,
    };
    let e = encode(&model, &tokenizer, &long).unwrap_err().to_string();
    assert!(e.contains("example 7") && e.contains("context"), "{e}");
}
