//! Which tensors a checkpoint file holds, and where: names, shapes, order and header of safetensors files.

use macromac_format::{Architecture, Head, TILE};

use crate::fused::PassKind;

/// A tensor of a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub name: String,
    /// Number format as safetensors spells it: `BF16`, `F16` or `I32`.
    pub dtype: &'static str,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
}

/// What a header says beside its tensors, in order.
pub(crate) type Metadata = Vec<(&'static str, &'static str)>;

impl Tensor {
    pub fn new(name: impl Into<String>, dtype: &'static str, shape: &[usize]) -> Self {
        Tensor {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
        }
    }

    pub fn bytes(&self) -> u64 {
        let width = if self.dtype == "I32" { 4 } else { 2 };
        self.shape.iter().map(|d| *d as u64).product::<u64>() * width
    }
}

/// Tensors that no quantizer touches: norms, biases, embedding, an untied head.
pub(crate) fn plain_tensors(arch: &Architecture, dtype: &'static str) -> Vec<Tensor> {
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
pub(crate) fn linears(arch: &Architecture) -> Vec<(String, usize, usize)> {
    let mut list = Vec::new();
    for (id, pass) in arch.passes(Head::Fp16).iter().enumerate() {
        let (kind, layer) = PassKind::of(arch, id);
        for (name, rows) in kind.parts(arch, layer) {
            list.push((name.trim_end_matches(".weight").to_owned(), rows, pass.k));
        }
    }
    list
}

/// AutoAWQ's GEMM version as its release 0.2.9 writes it: eight INT4 weights of a row in an I32, zeros
/// likewise, FP16 scales, everything else FP16; a tied output matrix is left out.
///
/// # Errors
/// The first linear layer that does not divide into groups of `group` input and words of 8 output channels.
pub(crate) fn autoawq_tensors(arch: &Architecture, group: usize) -> Result<Vec<Tensor>, String> {
    let mut tensors = plain_tensors(arch, "F16");
    for (name, n, k) in linears(arch) {
        if n % TILE != 0 || k % group != 0 {
            return Err(format!(
                "{name} [{n}, {k}]: expected rows by {TILE} and columns by {group} without remainder"
            ));
        }
        for (part, dtype, shape) in [
            ("qweight", "I32", [k, n / TILE]),
            ("qzeros", "I32", [k / group, n / TILE]),
            ("scales", "F16", [k / group, n]),
        ] {
            tensors.push(Tensor::new(format!("{name}.{part}"), dtype, &shape));
        }
    }
    Ok(tensors)
}

/// AutoAWQ names a tied output matrix, which it leaves out, in the metadata.
pub(crate) fn autoawq_metadata(arch: &Architecture) -> Metadata {
    let mut list = vec![("format", "pt")];
    if arch.tie_word_embeddings {
        list.push(("lm_head.weight", "model.embed_tokens.weight"));
    }
    list
}

/// The order of the safetensors library: wide numbers first, then by name.
pub(crate) fn in_file_order(tensors: &mut [Tensor]) {
    tensors.sort_by(|a, b| (a.dtype != "I32", &a.name).cmp(&(b.dtype != "I32", &b.name)));
}

/// Length (8 bytes) and header of a safetensors file, filled up with blanks to a multiple of 8 as the library does;
/// the tensors follow in this order without gaps. Names need no escapes.
pub(crate) fn header(tensors: &[Tensor], metadata: &Metadata) -> Vec<u8> {
    let metadata: Vec<String> = metadata
        .iter()
        .map(|(key, value)| format!("\"{key}\":\"{value}\""))
        .collect();
    let mut json = format!("{{\"__metadata__\":{{{}}}", metadata.join(","));
    let mut at = 0;
    for t in tensors {
        let end = at + t.bytes();
        let shape: Vec<String> = t.shape.iter().map(usize::to_string).collect();
        json += &format!(
            ",\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{at},{end}]}}",
            t.name,
            t.dtype,
            shape.join(",")
        );
        at = end;
    }
    json.push('}');
    let length = json.len().next_multiple_of(8);
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(json.bytes());
    bytes.resize(8 + length, b' ');
    bytes
}

/// A safetensors file of a checkpoint.
#[derive(Debug)]
pub(crate) struct Shard {
    /// File name.
    pub file: String,
    /// Its tensors, in the file's order.
    pub tensors: Vec<Tensor>,
}

/// Spreads tensors over files of at most `max` bytes each (a larger tensor has a file to itself), in the order given;
/// names are those that transformers looks for.
pub(crate) fn shards(tensors: Vec<Tensor>, max: u64) -> Vec<Shard> {
    let mut files: Vec<Vec<Tensor>> = vec![Vec::new()];
    let mut filled = 0;
    for t in tensors {
        if filled > 0 && filled + t.bytes() > max {
            files.push(Vec::new());
            filled = 0;
        }
        filled += t.bytes();
        files.last_mut().expect("never empty").push(t);
    }
    let total = files.len();
    let named = files.into_iter().enumerate().map(|(i, mut tensors)| {
        in_file_order(&mut tensors);
        let file = match total {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{total:05}.safetensors", i + 1),
        };
        Shard { file, tensors }
    });
    named.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::read_config;

    /// What `manifest` (of `tests/data/manifest`) lists, in the file's order.
    pub fn listed(manifest: &str, layers: usize) -> Vec<(String, String, Vec<usize>)> {
        let mut list = Vec::new();
        for line in manifest.lines() {
            let mut fields = line.split(' ');
            let mut field = || fields.next().unwrap().to_owned();
            let (name, dtype, shape) = (field(), field(), field());
            let shape: Vec<usize> = shape.split('x').map(|d| d.parse().unwrap()).collect();
            let copies = if name.contains("{layer}") { layers } else { 1 };
            for l in 0..copies {
                let name = name.replace("{layer}", &l.to_string());
                list.push((name, dtype.clone(), shape.clone()));
            }
        }
        list.sort_by(|a, b| (a.1 != "I32", &a.0).cmp(&(b.1 != "I32", &b.0)));
        list
    }

    #[test]
    fn the_full_model_has_autoawq_s_tensors_in_autoawq_s_order() {
        let manifest = include_str!("../../../../tests/data/manifest/qwen2.5-0.5b-autoawq-g64.txt");
        let config = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/qwen2.5-0.5b/config.json"
        );
        let arch = read_config(config.as_ref()).unwrap();
        let tensors = autoawq_tensors(&arch, 64).unwrap();
        let [shard] = &shards(tensors, 5_000_000_000)[..] else {
            panic!("one file")
        };
        let have: Vec<_> = shard
            .tensors
            .iter()
            .map(|t| (t.name.clone(), t.dtype.to_owned(), t.shape.clone()))
            .collect();
        assert_eq!(have, listed(manifest, 24));
        let header = header(&shard.tensors, &autoawq_metadata(&arch)).len() as u64;
        let data: u64 = shard.tensors.iter().map(Tensor::bytes).sum();
        assert_eq!((header, header + data), (68_688, 465_371_984));
    }
}
