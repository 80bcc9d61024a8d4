//! Checkpoints that AutoAWQ quantized: its configuration, and its GEMM packing.
//!
//! A linear layer [N out, K in] is stored transposed: `qweight` I32 [K, N/8], `qzeros` I32 [K/G, N/8] and `scales` F16
//! [K/G, N], with G the group size. Nibble i of word c holds output channel 8c + order[i], order =
//! [0, 2, 4, 6, 1, 3, 5, 7] (AutoAWQ 0.2.9, `WQLinear_GEMM.from_linear`), so output channel 8c + j is nibble
//! [`NIBBLE`]\[j\]. A weight is worth (q - z) x s, q and z in 0..15: what a block holds, so importing one changes no value.

use std::path::Path;

use half::f16;
use macromac_format::{DType, GROUP, TILE};
use serde_json::Value;

use crate::InferError;
use crate::config::{present, read_json, wrong};
use crate::store::{TensorRef, TensorStore, WordsRef};

/// The nibble of a word that holds output channel j of its eight.
pub const NIBBLE: [u32; TILE] = [0, 4, 1, 5, 2, 6, 3, 7];

/// What can be imported, for messages.
const SUPPORTED: &str = "supported are AutoAWQ checkpoints (quant_method awq) of version gemm with 4 bits, zero points \
                         and a group size of 64 or 128, and checkpoints in BF16, FP16 or FP32";

/// How an AutoAWQ checkpoint is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoAwq {
    /// Input channels that share a scale and a zero: 64 or 128.
    pub group_size: usize,
}

/// Reads how the checkpoint in folder `dir` is quantized: `quantization_config` of `config.json`, else
/// `quant_config.json`; `None` if neither is there.
///
/// # Errors
/// [`InferError::Checkpoint`] if it is quantized in a way that cannot be imported, with what was found.
pub fn read_quantization(dir: &Path) -> Result<Option<AutoAwq>, InferError> {
    let path = dir.join("config.json");
    let config = read_json(&path)?;
    if let Some(q) = present(&config, "quantization_config") {
        return parse(q, true)
            .map(Some)
            .map_err(|e| InferError::checkpoint(&path, format!("quantization_config: {e}")));
    }
    let path = dir.join("quant_config.json");
    if !path.exists() {
        return Ok(None);
    }
    parse(&read_json(&path)?, false)
        .map(Some)
        .map_err(|e| InferError::checkpoint(&path, e))
}

/// Reads a quantization configuration in transformers' spelling or in AutoAWQ's own, which has no `quant_method`.
fn parse(q: &Value, needs_method: bool) -> Result<AutoAwq, String> {
    let refused = |key: &str, expected: &str, found: &Value| {
        format!("{}; {SUPPORTED}", wrong(key, expected, found))
    };
    let text = |v: &Value, want: &str| v.as_str().is_some_and(|s| s.eq_ignore_ascii_case(want));
    let field = |keys: [&'static str; 2]| {
        let found = keys.iter().find_map(|k| Some((*k, present(q, k)?)));
        found.unwrap_or((keys[0], &Value::Null))
    };
    match present(q, "quant_method") {
        Some(m) if text(m, "awq") => {}
        None if !needs_method => {}
        m => {
            return Err(refused(
                "quant_method",
                "\"awq\"",
                m.unwrap_or(&Value::Null),
            ));
        }
    }
    let (key, version) = field(["version", "version"]);
    if !text(version, "gemm") {
        return Err(refused(key, "\"gemm\"", version));
    }
    let (key, bits) = field(["bits", "w_bit"]);
    if bits != 4 {
        return Err(refused(key, "4", bits));
    }
    let (key, zero_point) = field(["zero_point", "zero_point"]);
    if zero_point != true {
        return Err(refused(key, "true", zero_point));
    }
    let (key, group) = field(["group_size", "q_group_size"]);
    let group_size = match group.as_u64() {
        Some(64) => GROUP,
        Some(128) => 2 * GROUP,
        _ => return Err(refused(key, "64 or 128", group)),
    };
    // Other packers (llm-awq) use the same configuration for another order of nibbles.
    if let Some(backend) = present(q, "backend").filter(|b| !text(b, "autoawq")) {
        return Err(refused("backend", "\"autoawq\"", backend));
    }
    // The head is never quantized; any other exception would leave a matrix in FP16.
    let exceptions = present(q, "modules_to_not_convert");
    let only_head = |v: &Value| {
        let list = v.as_array();
        list.is_some_and(|l| l.iter().all(|m| m == "lm_head"))
    };
    if let Some(list) = exceptions.filter(|v| !only_head(v)) {
        return Err(refused(
            "modules_to_not_convert",
            "none or [\"lm_head\"]",
            list,
        ));
    }
    Ok(AutoAwq { group_size })
}

/// The tensors of a linear layer, as AutoAWQ packs them.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    /// I32 [K, N/8], little endian.
    pub qweight: &'a [u8],
    /// I32 [K/G, N/8], little endian.
    pub qzeros: &'a [u8],
    /// F16 [K/G, N], little endian.
    pub scales: &'a [u8],
    /// Output channels, a multiple of 8.
    pub n: usize,
    /// Group size G in input channels, a multiple of 64.
    pub group_size: usize,
}

impl Packed<'_> {
    /// The quantized weight of output channel `row` and input channel `column`.
    ///
    /// # Panics
    /// If there is no such weight.
    pub fn q(&self, row: usize, column: usize) -> u8 {
        nibble(self.qweight, self.n, column, row)
    }

    /// The zero of output channel `row` in group `group` of the checkpoint.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn zero(&self, row: usize, group: usize) -> u8 {
        nibble(self.qzeros, self.n, group, row)
    }

    /// The scale of output channel `row` in group `group` of the checkpoint.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn scale(&self, row: usize, group: usize) -> f16 {
        let at = 2 * (group * self.n + row);
        f16::from_le_bytes([self.scales[at], self.scales[at + 1]])
    }

    /// Unpacks an output channel: K weights, and a scale and a zero for each 64 input channels (equal ones for both
    /// halves of a group of 128).
    ///
    /// # Panics
    /// If there is no such channel or a slice has the wrong length.
    pub fn row(&self, row: usize, q: &mut [u8], scales: &mut [f16], zeros: &mut [u8]) {
        for (column, q) in q.iter_mut().enumerate() {
            *q = self.q(row, column);
        }
        for (g, (scale, zero)) in scales.iter_mut().zip(zeros).enumerate() {
            let group = g * GROUP / self.group_size;
            *scale = self.scale(row, group);
            *zero = self.zero(row, group);
        }
    }

    /// Dequantizes an output channel: `(q - z) * s`, exact in FP32.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn dequant_row(&self, row: usize, out: &mut [f32]) {
        for (group, out) in out.chunks_mut(self.group_size).enumerate() {
            let scale = self.scale(row, group).to_f32();
            let zero = i32::from(self.zero(row, group));
            for (i, out) in out.iter_mut().enumerate() {
                let q = i32::from(self.q(row, group * self.group_size + i));
                *out = (q - zero) as f32 * scale;
            }
        }
    }
}

fn nibble(words: &[u8], n: usize, line: usize, row: usize) -> u8 {
    let at = 4 * (line * (n / TILE) + row / TILE);
    let word = u32::from_le_bytes([words[at], words[at + 1], words[at + 2], words[at + 3]]);
    (word >> (4 * NIBBLE[row % TILE]) & 15) as u8
}

/// Where the tensors of a quantized linear layer lie.
#[derive(Debug, Clone, Copy)]
pub struct PackedRef {
    qweight: WordsRef,
    qzeros: WordsRef,
    scales: TensorRef,
    n: usize,
    group_size: usize,
}

impl PackedRef {
    /// Names of the tensors of the linear layer whose plain weight is called `weight`.
    pub fn names(weight: &str) -> [String; 3] {
        let stem = weight.strip_suffix("weight").unwrap_or(weight);
        ["qweight", "qzeros", "scales"].map(|part| format!("{stem}{part}"))
    }

    /// Checks that a linear layer [n, k] can be packed in groups of `group_size`.
    ///
    /// # Errors
    /// What is wrong, with the layer's weight named.
    pub fn check_shape(weight: &str, [n, k]: [usize; 2], group_size: usize) -> Result<(), String> {
        if n % TILE == 0 && k % group_size == 0 {
            return Ok(());
        }
        Err(format!(
            "{weight}: expected output channels in multiples of {TILE} and input channels in \
             multiples of the group size {group_size}, found [{n}, {k}]; the model cannot be \
             quantized in this group size"
        ))
    }

    /// Finds the tensors of a linear layer [n, k], whose shape was checked, and checks shapes, number formats and
    /// scales.
    ///
    /// # Errors
    /// [`InferError::Checkpoint`] names the tensor, what was expected and what was found.
    pub fn find(
        store: &TensorStore,
        weight: &str,
        [n, k]: [usize; 2],
        group_size: usize,
    ) -> Result<Self, InferError> {
        let [qweight, qzeros, scales] = Self::names(weight);
        let groups = k / group_size;
        let scales_ref = store.find(&scales, &[groups, n])?;
        if scales_ref.dtype != DType::F16 {
            return Err(InferError::checkpoint(
                store.dir(),
                format!(
                    "tensor {scales}: expected F16, found {:?}",
                    scales_ref.dtype
                ),
            ));
        }
        let found = PackedRef {
            qweight: store.find_words(&qweight, &[k, n / TILE])?,
            qzeros: store.find_words(&qzeros, &[groups, n / TILE])?,
            scales: scales_ref,
            n,
            group_size,
        };
        let p = found.packed(store);
        let all = (0..groups).flat_map(|g| (0..n).map(move |row| (g, row)));
        for (group, row) in all {
            let scale = p.scale(row, group);
            if !scale.is_finite() {
                return Err(InferError::checkpoint(
                    store.dir(),
                    format!(
                        "tensor {scales}: [{group}, {row}]: expected a finite number, found {scale}; \
                         the checkpoint is damaged: download it again"
                    ),
                ));
            }
        }
        Ok(found)
    }

    /// The tensors.
    pub fn packed<'a>(&self, store: &'a TensorStore) -> Packed<'a> {
        Packed {
            qweight: store.words(&self.qweight),
            qzeros: store.words(&self.qzeros),
            scales: store.bytes(&self.scales),
            n: self.n,
            group_size: self.group_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings() {
        let transformers = json!({
            "bits": 4, "group_size": 128, "modules_to_not_convert": null, "quant_method": "awq", "version": "gemm",
            "zero_point": true,
        });
        let own = json!({ "zero_point": true, "q_group_size": 64, "w_bit": 4, "version": "GEMM" });
        assert_eq!(parse(&transformers, true).unwrap().group_size, 128);
        assert_eq!(parse(&own, false).unwrap().group_size, 64);
        assert!(parse(&own, true).unwrap_err().contains("quant_method"));
    }

    #[test]
    fn what_cannot_be_imported_is_named() {
        for (key, value, found) in [
            ("quant_method", json!("gptq"), "found \"gptq\""),
            ("version", json!("gemv"), "found \"gemv\""),
            ("version", json!("marlin"), "found \"marlin\""),
            ("version", Value::Null, "found null"),
            ("bits", json!(3), "found 3"),
            ("bits", json!(8), "found 8"),
            ("zero_point", json!(false), "found false"),
            ("group_size", json!(32), "found 32"),
            ("group_size", json!(-1), "found -1"),
            ("backend", json!("llm-awq"), "llm-awq"),
            ("modules_to_not_convert", json!(["down_proj"]), "down_proj"),
        ] {
            let mut q = json!({
                "bits": 4, "group_size": 64, "quant_method": "awq", "version": "gemm", "zero_point": true,
            });
            q[key] = value;
            let e = parse(&q, true).unwrap_err();
            for word in [key, found, "supported are"] {
                assert!(e.contains(word), "{key}: {e}");
            }
        }
    }
}
