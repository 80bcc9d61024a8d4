//! AWQ loses less than rounding to nearest, gives the same image every time, also after an interruption, and says what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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

/// A small model with random weights in folder `dir`.
fn checkpoint(dir: &Path, layers: usize) -> Checkpoint {
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"], "vocab_size": 200, "hidden_size": 128,
        "intermediate_size": 192, "num_hidden_layers": layers, "num_attention_heads": 2,
        "num_key_value_heads": 1, "tie_word_embeddings": true,
    })
    .to_string();
    let files = [("config.json", config.as_bytes())];
    synthesize(dir, &files, 5, |_| {}).unwrap();
    Checkpoint::open(dir).unwrap()
}

fn bin(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("model.bin")).unwrap()
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
    let checkpoint = checkpoint(&of("model"), 2);
    for (name, calibration) in [("rtn", None), ("awq", Some(1000)), ("again", Some(1000))] {
        pack_with(&checkpoint, &of(name), &options(calibration), |_| {}).unwrap();
    }
    assert!(bin(&of("awq")) == bin(&of("again")));
    assert!(!of("awq.partial").exists(), "a finished run leaves nothing");

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
    assert!(!of("short").exists() && !of("short.partial").exists());
}

/// Packs `dir/model` into `dir/image`; says at which layer it resumed, and what else it had to note.
fn pack_image(dir: &Path, tokens: usize) -> (Option<usize>, Vec<String>) {
    let (mut notes, mut first) = (Vec::new(), None);
    let checkpoint = Checkpoint::open(&dir.join("model")).unwrap();
    pack_with(
        &checkpoint,
        &dir.join("image"),
        &options(Some(tokens)),
        |p| match p.note {
            Some(note) => notes.push(note.to_owned()),
            None => {
                first = first.or(p
                    .next
                    .strip_prefix("layers.")
                    .map(|n| n[..1].parse().unwrap()))
            }
        },
    )
    .unwrap();
    (first, notes)
}

/// Where [`dies_at_a_layer`] packs, and the layer that it begins last; set only where another test runs it.
const DIES: &str = "MACROMAC_TEST_DIES";

/// No test of its own: the part of a process that dies without a chance to clean up.
#[test]
fn dies_at_a_layer() {
    let Ok(order) = std::env::var(DIES) else {
        return;
    };
    let (layer, dir) = order.split_once(' ').unwrap();
    let dir = PathBuf::from(dir);
    let checkpoint = Checkpoint::open(&dir.join("model")).unwrap();
    let last = format!("layers.{layer}.qkv");
    pack_with(&checkpoint, &dir.join("image"), &options(Some(500)), |p| {
        if p.next == last {
            std::process::abort();
        }
    })
    .unwrap();
}

fn interrupt(dir: &Path, layer: usize) {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dies_at_a_layer"])
        .env(DIES, format!("{layer} {}", dir.display()))
        .output()
        .unwrap();
    assert!(!done.status.success(), "it had to die: {done:?}");
    assert!(!dir.join("image").exists());
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    checkpoint(&dir.join("model"), 4);
    let (first, notes) = pack_image(dir, 500);
    assert_eq!((first, notes.len()), (Some(0), 0));
    let want = bin(&dir.join("image"));
    let again = || fs::remove_dir_all(dir.join("image")).unwrap();

    again();
    interrupt(dir, 2);
    interrupt(dir, 3);
    let (first, notes) = pack_image(dir, 500);
    assert_eq!(first, Some(3));
    assert!(
        notes[0].ends_with("image.partial: resuming at layer 3"),
        "{notes:?}"
    );
    assert!(bin(&dir.join("image")) == want, "resumed");
    assert!(!dir.join("image.partial").exists());

    // Died in the first layer: nothing to resume, and nothing to say.
    again();
    interrupt(dir, 0);
    assert_eq!(pack_image(dir, 500), (Some(0), vec![]));
    assert!(bin(&dir.join("image")) == want, "from the start");

    // A damaged layer is computed again.
    again();
    interrupt(dir, 3);
    let damaged = dir.join("image.partial/layer-1.bin");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[1000] ^= 4;
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(pack_image(dir, 500).0, Some(0));
    assert!(bin(&dir.join("image")) == want, "after damage");

    // Another text is another run.
    again();
    interrupt(dir, 2);
    let (first, notes) = pack_image(dir, 400);
    assert_eq!(first, Some(0));
    assert!(
        notes[0].contains("calibration crc32c, calibration tokens"),
        "{notes:?}"
    );
    assert!(bin(&dir.join("image")) != want);
}

#[test]
fn weights_that_are_no_numbers_are_named_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    checkpoint(&model, 2);
    let path = model.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let mut spoil = |name: &str, at: usize, value: u16| {
        let from = json[name]["data_offsets"][0].as_u64().unwrap() as usize;
        bytes[header + from + 2 * at..][..2].copy_from_slice(&value.to_le_bytes());
    };
    // BF16: NaN in row 3, column 5 of [128, 192]; minus infinity in a norm, twice.
    spoil("model.layers.1.mlp.down_proj.weight", 3 * 192 + 5, 0x7fc0);
    spoil("model.layers.0.input_layernorm.weight", 9, 0xff80);
    spoil("model.layers.0.input_layernorm.weight", 11, 0xff80);
    fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open(&model).unwrap();
    for calibration in [None, Some(500)] {
        let image = dir.path().join("image");
        let e = pack_with(&checkpoint, &image, &options(calibration), |_| {}).unwrap_err();
        let text = e.to_string();
        assert!(
            text.contains("NaN at model.layers.1.mlp.down_proj.weight [3, 5]"),
            "{text}"
        );
        assert!(
            text.contains("-inf at model.layers.0.input_layernorm.weight [9]"),
            "{text}"
        );
        assert!(!text.contains("[11]"), "{text}");
        assert!(!image.exists() && !dir.path().join("image.partial").exists());
    }
}
