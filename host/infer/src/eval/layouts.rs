//! What a model would take in each layout, by its configuration alone: the exact file sizes, headers and
//! padding included.

use std::fmt::Write;

use macromac_format::manifest::ALIGN;
use macromac_format::{Architecture, Head, Layout, Packing};

use super::size::{Sizes, Subject};
use crate::fused::PassKind;

/// A layout that a model's shape does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// Name of the layout.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// All layouts: BF16, AutoAWQ GEMM at group sizes 64 and 128, and images with each head.
pub fn layouts(subject: &Subject) -> (Vec<Sizes>, Vec<Impossible>) {
    let arch = &subject.architecture;
    let (mut found, mut impossible) = (vec![bf16(arch)], Vec::new());
    for group in [64, 128] {
        let name = format!("autoawq-g{group}");
        match autoawq(arch, group, &name) {
            Ok(s) => found.push(s),
            Err(reason) => impossible.push(Impossible { name, reason }),
        }
    }
    for head in Head::ALL {
        found.push(image(arch, head, subject.number_bytes));
    }
    (found, impossible)
}

/// A tensor of a safetensors file.
struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
}

impl Tensor {
    fn new(name: impl Into<String>, dtype: &'static str, shape: &[usize]) -> Self {
        Tensor {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
        }
    }

    fn bytes(&self) -> u64 {
        let width = if self.dtype == "I32" { 4 } else { 2 };
        self.shape.iter().map(|d| *d as u64).product::<u64>() * width
    }
}

/// A safetensors file as its library writes it: tensors with wide numbers first, then by name; a JSON
/// header, filled up to a multiple of 8 with blanks, and 8 bytes for its length.
fn safetensors(name: &str, what: &str, mut tensors: Vec<Tensor>, metadata: &str) -> Sizes {
    tensors.sort_by(|a, b| (a.dtype != "I32", &a.name).cmp(&(b.dtype != "I32", &b.name)));
    let mut sizes = Sizes::new(name, what);
    let mut header = format!("{{\"__metadata__\":{metadata}");
    let mut at = 0;
    for t in &tensors {
        let end = at + t.bytes();
        let shape: Vec<String> = t.shape.iter().map(usize::to_string).collect();
        write!(
            header,
            ",\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{at},{end}]}}",
            t.name,
            t.dtype,
            shape.join(",")
        )
        .expect("writing to a string does not fail");
        sizes.add_tensor(&t.name, t.bytes());
        at = end;
    }
    header.push('}');
    sizes.add_structure(8 + (header.len() as u64).next_multiple_of(8));
    sizes
}

/// Tensors that no quantizer touches: norms, biases, embedding.
fn plain_tensors(arch: &Architecture, dtype: &'static str) -> Vec<Tensor> {
    let h = arch.hidden_size;
    let mut list = vec![
        Tensor::new("model.embed_tokens.weight", dtype, &[arch.vocab_size, h]),
        Tensor::new("model.norm.weight", dtype, &[h]),
    ];
    if !arch.tie_word_embeddings {
        list.push(Tensor::new("lm_head.weight", dtype, &[arch.vocab_size, h]));
    }
    for l in 0..arch.num_hidden_layers {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            let name = format!("model.layers.{l}.{norm}.weight");
            list.push(Tensor::new(name, dtype, &[h]));
        }
        for (part, width) in [
            ("q", arch.q_width()),
            ("k", arch.kv_width()),
            ("v", arch.kv_width()),
        ] {
            let name = format!("model.layers.{l}.self_attn.{part}_proj.bias");
            list.push(Tensor::new(name, dtype, &[width]));
        }
    }
    list
}

/// The linear layers: name without `.weight`, rows (output channels), columns (input channels).
fn linears(arch: &Architecture) -> Vec<(String, usize, usize)> {
    let mut list = Vec::new();
    for (id, pass) in arch.passes(Head::Int4).iter().enumerate() {
        let (kind, layer) = PassKind::of(arch, id);
        if kind != PassKind::LmHead {
            for (name, rows) in kind.parts(arch, layer) {
                list.push((name.trim_end_matches(".weight").to_owned(), rows, pass.k));
            }
        }
    }
    list
}

fn bf16(arch: &Architecture) -> Sizes {
    let mut tensors = plain_tensors(arch, "BF16");
    for (name, n, k) in linears(arch) {
        tensors.push(Tensor::new(format!("{name}.weight"), "BF16", &[n, k]));
    }
    let what = "safetensors, BF16, as published";
    safetensors("bf16", what, tensors, r#"{"format":"pt"}"#)
}

/// AutoAWQ's GEMM version as its release 0.2.9 writes it: eight INT4 weights of a row in an I32, zeros
/// likewise, FP16 scales, everything else FP16; a tied output matrix is left out and named in the
/// metadata.
fn autoawq(arch: &Architecture, group: usize, layout: &str) -> Result<Sizes, String> {
    let mut tensors = plain_tensors(arch, "F16");
    for (name, n, k) in linears(arch) {
        if n % 8 != 0 || k % group != 0 {
            return Err(format!(
                "{name} [{n}, {k}]: expected rows by 8 and columns by {group} without remainder"
            ));
        }
        for (part, dtype, shape) in [
            ("qweight", "I32", [k, n / 8]),
            ("qzeros", "I32", [k / group, n / 8]),
            ("scales", "F16", [k / group, n]),
        ] {
            tensors.push(Tensor::new(format!("{name}.{part}"), dtype, &shape));
        }
    }
    let metadata = match arch.tie_word_embeddings {
        true => r#"{"format":"pt","lm_head.weight":"model.embed_tokens.weight"}"#,
        false => r#"{"format":"pt"}"#,
    };
    let what = format!("AutoAWQ GEMM, INT4 in groups of {group}, FP16 embedding");
    Ok(safetensors(layout, &what, tensors, metadata))
}

/// `model.bin` of an image: AWQ_MACRO blocks and the tensors of the PS, each piece filled up to
/// a multiple of 4096.
fn image(arch: &Architecture, head: Head, number_bytes: u64) -> Sizes {
    let (name, what) = match head {
        Head::Int4 => ("macro-int4", "image, INT4 head"),
        Head::Int8 => ("macro-int8", "image, INT8 head as two INT4 macros"),
        Head::Fp16 => ("macro-fp16", "image, FP16 head on the PS"),
    };
    let mut s = Sizes::new(name, what);
    let (h, vocab) = (arch.hidden_size, arch.vocab_size);
    let mut at = 0u64;
    let mut place = |bytes: u64| at += bytes.next_multiple_of(ALIGN);
    for (id, pass) in arch.passes(head).iter().enumerate() {
        let segment = Layout::new(pass.n, pass.k).segment_bytes() as u64;
        s.add_pass(arch, head, id, pass.k, Packing::Single, 4 * segment);
        (0..4).for_each(|_| place(segment));
    }
    for t in arch.tensors(head) {
        if !["embedding", "lm_head"].contains(&&*t.name) {
            continue;
        }
        let fp16 = head == Head::Fp16 && t.name == arch.head_tensor();
        let bytes = (vocab * h) as u64 * if fp16 { 2 } else { number_bytes };
        s.add_tensor("embed_tokens", bytes);
        place(bytes);
    }
    let bias = (arch.q_width() + 2 * arch.kv_width()) as u64 * number_bytes;
    let norm = h as u64 * number_bytes;
    for _ in 0..arch.num_hidden_layers {
        for (part, bytes) in [("norm", norm), ("q_proj.bias", bias), ("norm", norm)] {
            s.add_tensor(part, bytes);
            place(bytes);
        }
    }
    s.add_tensor("norm", norm);
    place(norm);
    s.add_structure(at - s.bytes());
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qwen() -> Subject {
        let architecture = Architecture {
            vocab_size: 151_936,
            hidden_size: 896,
            intermediate_size: 4864,
            num_hidden_layers: 24,
            num_attention_heads: 14,
            num_key_value_heads: 2,
            head_dim: 64,
            rms_norm_eps: 1e-6,
            rope_theta: 1e6,
            max_position_embeddings: 32768,
            tie_word_embeddings: true,
        };
        Subject {
            architecture,
            number_bytes: 2,
            file: None,
        }
    }

    /// The sizes of the published files, and of what AutoAWQ 0.2.9 writes.
    #[test]
    fn qwen2_5_0_5b_to_the_byte() {
        let (all, impossible) = layouts(&qwen());
        assert!(impossible.is_empty());
        let by = |name: &str| all.iter().find(|s| s.name == name).unwrap();
        assert_eq!(by("bf16").bytes(), 988_097_824);
        assert_eq!(by("bf16").parts.structure, 32_288);
        let awq = by("autoawq-g64");
        assert_eq!(awq.bytes(), 465_371_984);
        assert_eq!(awq.parts.structure, 68_688);
        assert_eq!(awq.parts.embedding_and_head, 272_269_312);
        assert_eq!(awq.contents.quantized, 178_913_280);
        // The published Instruct-AWQ file is this with `lm_head.weight` stored again: one more tensor
        // and another note in the header.
        let g128 = by("autoawq-g128").bytes();
        assert_eq!(
            g128 - by("autoawq-g128").parts.structure,
            730_583_808 - 272_269_312
        );
        assert!(by("macro-int4").bytes() <= 280_000_000);
        for s in &all {
            assert_eq!(s.contents.total(), s.bytes(), "{}", s.name);
        }
        // 4.5 bits a weight, of which 96 bits of 2304 a block are padding.
        let m = by("macro-int4");
        assert_eq!(m.contents.quantized, (357_826_560 + 151_936 * 896) / 2);
    }

    #[test]
    fn a_shape_that_a_layout_cannot_hold_is_named() {
        let mut s = qwen();
        s.architecture.intermediate_size = 4928;
        let (all, impossible) = layouts(&s);
        assert_eq!(impossible.len(), 1);
        assert_eq!(impossible[0].name, "autoawq-g128");
        assert!(impossible[0].reason.contains("down_proj"), "{impossible:?}");
        assert_eq!(all.len(), 5);
    }
}
