//! Writing and opening images: round trip, every kind of damage, atomic replacement.

use std::fs;
use std::path::Path;

use half::f16;
use macromac_format::manifest::{Crc, Manifest};
use macromac_format::{
    Architecture, DType, Head, Image, ImageError, ImageWriter, Int8Matrix, Packing, QuantMatrix,
    Quantization, int8,
};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

fn architecture() -> Architecture {
    Architecture {
        vocab_size: 40,
        hidden_size: 16,
        intermediate_size: 20,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        max_position_embeddings: 32,
        tie_word_embeddings: true,
    }
}

fn quantization() -> Quantization {
    Quantization {
        method: "rtn".into(),
        bits: 4,
        group_size: 64,
        head: Head::Int4,
    }
}

fn matrix(n: usize, k: usize, seed: usize) -> QuantMatrix {
    let groups = k.div_ceil(64);
    QuantMatrix {
        n,
        k,
        q: (0..n * k).map(|i| ((i * 7 + seed) % 16) as u8).collect(),
        scales: (0..n * groups)
            .map(|i| f16::from_f32(0.01 * (i + 1) as f32))
            .collect(),
        zeros: (0..n * groups).map(|i| ((i + seed) % 16) as u8).collect(),
    }
}

/// Writes an image whose weights depend on `seed`.
fn write(out: &Path, seed: usize) -> Result<u64, ImageError> {
    let arch = architecture();
    let mut w = ImageWriter::create(out)?;
    for p in arch.passes(Head::Int4) {
        w.add_pass(&p.name, p.n, p.k, &matrix(p.n, p.k, seed).to_segments())?;
    }
    for t in arch.tensors(Head::Int4) {
        let n: usize = t.shape.iter().product();
        w.add_tensor(&t.name, DType::F32, &t.shape, &vec![0x3f; 4 * n])?;
    }
    w.add_file("tokenizer.json", b"{}")?;
    w.finish(arch, quantization())
}

fn names(dir: &Path) -> Vec<String> {
    let mut v: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    v.sort();
    v
}

#[test]
fn round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    let bytes = write(&out, 1).unwrap();
    let image = Image::open(&out).unwrap();
    assert_eq!(image.bin().len() as u64, bytes);
    assert_eq!(image.architecture(), &architecture());
    assert_eq!(names(dir.path()), ["image"], "nothing else is left");
    for (id, p) in architecture().passes(Head::Int4).into_iter().enumerate() {
        assert_eq!(image.pass_id(&p.name), Some(id));
        let back = QuantMatrix::from_segments(p.n, p.k, image.segments(id)).unwrap();
        assert_eq!(back, matrix(p.n, p.k, 1));
    }
    assert_eq!(image.tensor("final_norm").unwrap().bytes, [0x3f; 64]);
}

/// The pass of an INT8 head is an INT4 one with K doubled, from which a row of the head comes back exactly.
#[test]
fn an_int8_head_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    let arch = Architecture {
        hidden_size: 70,
        ..architecture()
    };
    let head = Int8Matrix {
        n: 40,
        k: 70,
        q: (0..40 * 70).map(|i| (i * 37 % 256) as u8).collect(),
        scales: (0..80)
            .map(|i| f16::from_f32(0.003 * (i + 1) as f32))
            .collect(),
        zeros: (0..80).map(|i| (i * 53 % 256) as u8).collect(),
    };
    let mut w = ImageWriter::create(&out).unwrap();
    let passes = arch.passes(Head::Int8);
    for p in &passes {
        let m = match p.name.as_str() {
            "lm_head" => head.split(),
            _ => matrix(p.n, p.k, 1),
        };
        w.add_pass(&p.name, p.n, p.k, &m.to_segments()).unwrap();
    }
    for t in arch.tensors(Head::Int8) {
        assert_ne!(t.name, "embedding", "a tied matrix is stored once");
        let n: usize = t.shape.iter().product();
        w.add_tensor(&t.name, DType::Bf16, &t.shape, &vec![0; 2 * n])
            .unwrap();
    }
    let quantization = Quantization {
        head: Head::Int8,
        ..quantization()
    };
    w.finish(arch, quantization).unwrap();

    let image = Image::open(&out).unwrap();
    assert_eq!(image.manifest().quantization.head, Head::Int8);
    let id = image.pass_id("lm_head").unwrap();
    assert_eq!(image.passes()[id].shape, [40, 256]);
    let mut row = vec![0.0; 70];
    for n in 0..40 {
        int8::dequant_row(&image.layout(id), image.segments(id), n, &mut row);
        for (k, have) in row.iter().enumerate() {
            let g = 2 * n + k / 64;
            let q = i32::from(head.q[70 * n + k]) - i32::from(head.zeros[g]);
            assert_eq!(*have, q as f32 * head.scales[g].to_f32());
        }
    }
    let json = fs::read_to_string(out.join("model.json")).unwrap();
    assert!(json.contains("\"head\": \"int8\"") && json.contains("\"version\": 1"));
    // Nor does an INT8 head pass for another: its pass has another shape.
    let mut m: Manifest = serde_json::from_str(&json).unwrap();
    m.quantization.head = Head::Int4;
    m.crc32c = m.own_crc();
    fs::write(out.join("model.json"), serde_json::to_vec(&m).unwrap()).unwrap();
    let e = Image::open(&out).unwrap_err().to_string();
    assert!(e.contains("pass lm_head: shape"), "{e}");
    // What a program says of a head that it does not know, as an older one does of this image.
    fs::write(out.join("model.json"), json.replace("int8", "int3")).unwrap();
    let e = Image::open(&out).unwrap_err().to_string();
    for word in ["model.json", "int3", "expected one of", "`int8`"] {
        assert!(e.contains(word), "{word}: {e}");
    }
}

#[test]
fn an_older_image_is_replaced_and_stays_readable_by_its_readers() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    write(&out, 1).unwrap();
    let old = Image::open(&out).unwrap();
    write(&out, 2).unwrap();
    let new = Image::open(&out).unwrap();
    assert_ne!(old.segments(0)[0], new.segments(0)[0]);
    assert_eq!(names(dir.path()), ["image"]);
}

#[test]
fn other_folders_are_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("home");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("letter.txt"), "dear").unwrap();
    assert!(matches!(write(&out, 1), Err(ImageError::Refused { .. })));
    // An image that somebody put a file into is no longer only an image.
    let image = dir.path().join("image");
    write(&image, 1).unwrap();
    fs::write(image.join("letter.txt"), "dear").unwrap();
    assert!(matches!(write(&image, 1), Err(ImageError::Refused { .. })));
    let file = dir.path().join("file");
    fs::write(&file, "text").unwrap();
    assert!(matches!(write(&file, 1), Err(ImageError::Refused { .. })));
    assert!(matches!(
        write(&dir.path().join("no/such"), 1),
        Err(ImageError::Io { .. })
    ));
    assert_eq!(names(dir.path()), ["file", "home", "image"]);
    assert_eq!(fs::read_to_string(out.join("letter.txt")).unwrap(), "dear");
}

#[test]
fn an_abandoned_image_leaves_nothing_and_a_killed_one_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    let first = ImageWriter::create(&out).unwrap();
    let second = ImageWriter::create(&out);
    assert!(
        matches!(second, Err(ImageError::Refused { .. })),
        "two writers, one destination"
    );
    drop(first);
    assert!(names(dir.path()).is_empty());
    let partial = dir.path().join(".image.macromac-partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("model.bin"), "half").unwrap();
    write(&out, 1).unwrap();
    assert_eq!(names(dir.path()), ["image"]);
}

/// Format 2 holds the same matrices in fewer bytes, and a reserved bit in it is found.
#[test]
fn format_2_holds_the_same_matrices() {
    let dir = tempfile::tempdir().unwrap();
    let arch = Architecture {
        // Five groups: a quad and one more.
        hidden_size: 300,
        ..architecture()
    };
    let write = |out: &Path, packing| {
        let mut w = ImageWriter::create(out)?.packing(packing);
        for p in arch.passes(Head::Int4) {
            w.add_pass(&p.name, p.n, p.k, &matrix(p.n, p.k, 3).to_segments())?;
        }
        for t in arch.tensors(Head::Int4) {
            let n: usize = t.shape.iter().product();
            w.add_tensor(&t.name, DType::F32, &t.shape, &vec![0x3f; 4 * n])?;
        }
        w.finish(arch.clone(), quantization())
    };
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    write(&one, Packing::Single).unwrap();
    write(&two, Packing::Quad).unwrap();
    let (first, second) = (Image::open(&one).unwrap(), Image::open(&two).unwrap());
    assert_eq!(
        (first.packing(), second.packing()),
        (Packing::Single, Packing::Quad)
    );
    assert_eq!(
        (second.manifest().version, second.manifest().macro_stride),
        (2, 272)
    );
    for pass in 0..first.passes().len() {
        assert_eq!(first.single_segments(pass), second.single_segments(pass));
        let (a, b) = (
            first.segments(pass)[0].len(),
            second.segments(pass)[0].len(),
        );
        assert!(b < a || first.layout(pass).groups() == 1, "{b} of {a}");
    }
    let at = second.passes()[0].segments[1].offset as usize;
    drop(second);
    // Word 1 of the second quad's zeros strip; its checksum is made good, so that only the bit is left to find.
    let mut bin = fs::read(two.join("model.bin")).unwrap();
    bin[at + 69 * 16 + 4] = 1;
    fs::write(two.join("model.bin"), &bin).unwrap();
    let json = fs::read_to_string(two.join("model.json")).unwrap();
    let mut m: Manifest = serde_json::from_str(&json).unwrap();
    let segment = &mut m.passes[0].segments[1];
    segment.crc32c = Crc::of(&bin[at..at + segment.bytes as usize]);
    m.crc32c = m.own_crc();
    fs::write(two.join("model.json"), serde_json::to_vec(&m).unwrap()).unwrap();
    let e = Image::open(&two).unwrap_err().to_string();
    assert!(e.contains("port 1 block 4: expected an AWQ_MACRO"), "{e}");
    // One format does not pass for the other.
    m.version = 1;
    m.crc32c = m.own_crc();
    fs::write(two.join("model.json"), serde_json::to_vec(&m).unwrap()).unwrap();
    let e = Image::open(&two).unwrap_err().to_string();
    assert!(e.contains("macro_stride"), "{e}");
}

#[test]
fn a_newer_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    write(&out, 1).unwrap();
    let path = out.join("model.json");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("\"version\": 1", "\"version\": 7");
    fs::write(&path, text).unwrap();
    let e = Image::open(&out).unwrap_err();
    assert!(matches!(e, ImageError::Version { found: 7, .. }));
    assert!(e.to_string().contains("version 7"), "{e}");
}

/// A manifest that is consistent with its own checksum but not with itself.
#[test]
fn an_inconsistent_manifest_is_refused() {
    type Change = fn(&mut Manifest);
    let changes: [(&str, Change); 8] = [
        ("macro_stride", |m| m.macro_stride = 276),
        ("group_size", |m| m.quantization.group_size = 32),
        ("shape", |m| m.passes[0].shape[0] = 33),
        ("name of a pass", |m| m.passes.swap(0, 1)),
        ("number of passes", |m| drop(m.passes.pop())),
        ("multiple of 4096", |m| m.passes[0].segments[0].offset += 16),
        ("overlaps", |m| m.passes[0].segments[1].offset = 0),
        ("exceed", |m| m.tensors[0].offset = u64::MAX - 4095),
    ];
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    write(&out, 1).unwrap();
    let path = out.join("model.json");
    let good: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (what, change) in changes {
        let mut m = good.clone();
        change(&mut m);
        m.crc32c = Crc(0);
        m.crc32c = m.own_crc();
        fs::write(&path, serde_json::to_vec(&m).unwrap()).unwrap();
        let e = Image::open(&out).unwrap_err().to_string();
        assert!(e.contains(what) && e.contains("model.json"), "{what}: {e}");
    }
}

#[test]
fn reserved_bits_are_refused_even_with_a_right_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    let arch = architecture();
    let mut w = ImageWriter::create(&out).unwrap();
    for (i, p) in arch.passes(Head::Int4).into_iter().enumerate() {
        let mut s = matrix(p.n, p.k, 1).to_segments();
        if i == 3 {
            s[2][16 + 9] = 1;
        }
        w.add_pass(&p.name, p.n, p.k, &s).unwrap();
    }
    for t in arch.tensors(Head::Int4) {
        let n: usize = t.shape.iter().product();
        w.add_tensor(&t.name, DType::Bf16, &t.shape, &vec![0; 2 * n])
            .unwrap();
    }
    w.finish(arch, quantization()).unwrap();
    let e = Image::open(&out).unwrap_err().to_string();
    for part in ["model.bin", "layers.0.down port 2 block 0", "reserved bits"] {
        assert!(e.contains(part), "{e}");
    }
}

/// Any single damaged byte or truncation of any file is noticed, except in the zero padding
/// between segments and in the white space of the manifest.
#[test]
fn damage_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("image");
    write(&out, 1).unwrap();
    let image = Image::open(&out).unwrap();
    let m = image.manifest();
    let mut used: Vec<(u64, u64)> = m.tensors.iter().map(|t| (t.offset, t.bytes)).collect();
    used.extend(
        m.passes
            .iter()
            .flat_map(|p| p.segments.iter().map(|s| (s.offset, s.bytes))),
    );
    drop(image);
    let files = ["model.json", "model.bin", "tokenizer.json"];
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    };
    TestRunner::new(config)
        .run(
            &(0usize..3, any::<u64>(), 1u8.., any::<bool>()),
            |(which, at, flip, cut)| {
                let path = out.join(files[which]);
                let good = fs::read(&path).unwrap();
                let at = (at % good.len() as u64) as usize;
                let mut bad = good.clone();
                let must_notice = if cut {
                    bad.truncate(at);
                    // Only the line end of the manifest may go.
                    which != 0 || at + 1 < good.len()
                } else {
                    bad[at] ^= flip;
                    match which {
                        0 => {
                            serde_json::from_slice::<Manifest>(&bad).ok()
                                != serde_json::from_slice::<Manifest>(&good).ok()
                        }
                        1 => used.iter().any(|(o, b)| (*o..o + b).contains(&(at as u64))),
                        _ => true,
                    }
                };
                // A new file: the mapping of an open image must not change under it.
                fs::remove_file(&path).unwrap();
                fs::write(&path, &bad).unwrap();
                let opened = Image::open(&out);
                fs::remove_file(&path).unwrap();
                fs::write(&path, &good).unwrap();
                match opened {
                    Ok(_) if must_notice => Err(TestCaseError::fail(format!(
                        "{}: byte {at} damaged",
                        files[which]
                    ))),
                    Err(e) if !e.to_string().contains(files[which]) => Err(TestCaseError::fail(
                        format!("the message names no file: {e}"),
                    )),
                    _ => Ok(()),
                }
            },
        )
        .unwrap();
}
