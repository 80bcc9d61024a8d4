//! AutoAWQ's own files: unpacked exactly, and a model of them equal to transformers.

mod autoawq;

use std::fs;
use std::sync::Arc;

use autoawq::data;
use half::f16;
use macromac_driver::Profile;
use macromac_format::Head;
use macromac_infer::autoawq::Packed;
use macromac_infer::{
    Checkpoint, Model, Options, Session, Source, Tokenizer, cpu_device, generate, golden_device,
    pack,
};
use safetensors::SafeTensors;

#[test]
fn the_vectors_of_autoawq_unpack_exactly() {
    for (file, n, k, group_size) in [
        ("layer-in128-out64-g64.safetensors", 64, 128, 64),
        ("layer-in256-out128-g128.safetensors", 128, 256, 128),
    ] {
        let bytes = fs::read(data().join("awq").join(file)).unwrap();
        let t = SafeTensors::deserialize(&bytes).unwrap();
        let of = |name: &str| t.tensor(name).unwrap().data();
        let p = Packed {
            qweight: of("qweight"),
            qzeros: of("qzeros"),
            scales: of("scales"),
            n,
            group_size,
        };
        let (int_weight, int_zeros) = (of("int_weight"), of("int_zeros"));
        let mut dequant = vec![0.0; k];
        for row in 0..n {
            p.dequant_row(row, &mut dequant);
            for column in 0..k {
                assert_eq!(p.q(row, column), int_weight[column * n + row], "{file}");
                let at = 4 * (column * n + row);
                let want = f32::from_le_bytes(of("dequant_f32")[at..at + 4].try_into().unwrap());
                assert_eq!(dequant[column], want, "{file} [{row}, {column}]");
            }
            for group in 0..k / group_size {
                assert_eq!(p.zero(row, group), int_zeros[group * n + row], "{file}");
                let at = 2 * (group * n + row);
                let want = f16::from_le_bytes(of("scales")[at..at + 2].try_into().unwrap());
                assert_eq!(p.scale(row, group).to_bits(), want.to_bits(), "{file}");
            }
        }
    }
}

fn tiny_image() -> (tempfile::TempDir, Arc<Source>, Model) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let checkpoint = Checkpoint::open(&data().join("tiny-a/awq")).unwrap();
    pack(&checkpoint, &image, |_| {}).unwrap();
    let source = Arc::new(Source::open(&image).unwrap());
    let model = Model::load(source.clone()).unwrap();
    (dir, source, model)
}

#[test]
fn tiny_a_equals_transformers_at_every_position() {
    let bytes = fs::read(data().join("tiny-a/reference-awq.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| -> Vec<u32> {
        let data = reference.tensor(name).unwrap().data();
        data.chunks_exact(4)
            .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let (_dir, source, model) = tiny_image();
    let checkpoint = Arc::new(Source::open(&data().join("tiny-a/awq")).unwrap());
    let tokenizer = Tokenizer::open(source.dir()).unwrap();
    let (mut worst, mut worst_golden) = (0f32, 0f32);
    for case in ["1", "7", "64", "200", "text"] {
        let tokens = words(&format!("tokens_{case}"));
        let want = words(&format!("logits_{case}"));
        let mut cpu = cpu_device(source.clone());
        let mut direct = cpu_device(checkpoint.clone());
        let mut golden = golden_device(source.clone(), Profile::Paper).unwrap();
        let mut cpu = Session::new(&model, &mut cpu);
        let mut golden = Session::new(&model, &mut golden);
        let direct_model = Model::load(checkpoint.clone()).unwrap();
        let mut direct = Session::new(&direct_model, &mut direct);
        for (token, want) in tokens.iter().zip(want.chunks_exact(512)) {
            let have = cpu.logits_after(*token).unwrap();
            let of_golden = golden.logits_after(*token).unwrap();
            for ((have, want), golden) in have.iter().zip(want).zip(of_golden) {
                worst = worst.max((have - f32::from_bits(*want)).abs());
                worst_golden = worst_golden.max((have - golden).abs());
            }
            // Unpacked or in blocks: the same weights, the same sums, the same bits.
            assert_eq!(have, direct.logits_after(*token).unwrap(), "{case}");
        }
        if let "7" | "text" = case {
            let mut device = cpu_device(source.clone());
            let mut session = Session::new(&model, &mut device);
            let options = Options {
                max_tokens: 32,
                ignore_eos: true,
                ..Options::default()
            };
            let g = generate(&model, &tokenizer, &mut session, &tokens, &options, |_| {
                Ok(())
            });
            assert_eq!(
                g.unwrap().tokens,
                words(&format!("greedy_{case}")),
                "{case}"
            );
        }
    }
    println!("largest difference of a logit: {worst:e}, of golden to cpu {worst_golden:e}");
    assert!(worst <= 2e-3 && worst_golden <= 2e-3);
}

#[test]
fn a_tied_fp16_head_is_stored_once() {
    let (_dir, source, _) = tiny_image();
    let Source::Image(image) = &*source else {
        panic!("an image")
    };
    let m = image.manifest();
    assert_eq!(m.quantization.head, Head::Fp16);
    assert_eq!(
        (m.quantization.method.as_str(), m.quantization.group_size),
        ("awq", 64)
    );
    assert!(image.pass_id("lm_head").is_none());
    let matrices = m.tensors.iter().filter(|t| t.shape.len() == 2);
    let names: Vec<&str> = matrices.map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["embedding"]);
}
