//! What a model would take in each layout, by its configuration alone: the exact file sizes, headers and
//! padding included.

use macromac_format::manifest::ALIGN;
use macromac_format::{Architecture, Head, Layout, Packing};

use super::size::{Sizes, Subject};
use crate::export::layout::{
    Metadata, Tensor, autoawq_metadata, autoawq_tensors, header, in_file_order, linears,
    plain_tensors,
};

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

/// A safetensors file as its library writes it.
fn safetensors(name: &str, what: &str, mut tensors: Vec<Tensor>, metadata: &Metadata) -> Sizes {
    in_file_order(&mut tensors);
    let mut sizes = Sizes::new(name, what);
    for t in &tensors {
        sizes.add_tensor(&t.name, t.bytes());
    }
    sizes.add_structure(header(&tensors, metadata).len() as u64);
    sizes
}

fn bf16(arch: &Architecture) -> Sizes {
    let mut tensors = plain_tensors(arch, "BF16");
    for (name, n, k) in linears(arch) {
        tensors.push(Tensor::new(format!("{name}.weight"), "BF16", &[n, k]));
    }
    let what = "safetensors, BF16, as published";
    safetensors("bf16", what, tensors, &vec![("format", "pt")])
}

fn autoawq(arch: &Architecture, group: usize, layout: &str) -> Result<Sizes, String> {
    let tensors = autoawq_tensors(arch, group)?;
    let what = format!("AutoAWQ GEMM, INT4 in groups of {group}, FP16 embedding");
    Ok(safetensors(layout, &what, tensors, &autoawq_metadata(arch)))
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
