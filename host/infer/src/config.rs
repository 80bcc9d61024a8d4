//! `config.json` and `generation_config.json` of a Hugging Face checkpoint.

use std::path::Path;

use macromac_format::Architecture;
use serde_json::Value;

use crate::InferError;

/// Reads `config.json`. Defaults are those of transformers' `Qwen2Config`.
///
/// # Errors
/// [`InferError`] if the file is missing, no JSON, or describes a model that this program cannot
/// run; a setting that would change the result is refused, never ignored. How the weights are
/// quantized is not looked at: [`crate::autoawq::read_quantization`] does.
pub fn read_config(path: &Path) -> Result<Architecture, InferError> {
    let config = read_json(path)?;
    parse_config(&config).map_err(|reason| InferError::checkpoint(path, reason))
}

/// Reads a model's shape and the bytes of a number of its checkpoint, for those who only count: how the
/// weights are quantized does not matter here.
///
/// # Errors
/// As [`read_config`].
pub fn read_architecture(path: &Path) -> Result<(Architecture, u64), InferError> {
    let mut config = read_json(path)?;
    if let Some(fields) = config.as_object_mut() {
        fields.remove("quantization_config");
    }
    let arch = parse_config(&config).map_err(|reason| InferError::checkpoint(path, reason))?;
    // transformers 5 writes `dtype`.
    let dtype = present(&config, "torch_dtype").or_else(|| present(&config, "dtype"));
    let bytes = if dtype.is_some_and(|d| d == "float32") {
        4
    } else {
        2
    };
    Ok((arch, bytes))
}

fn parse_config(c: &Value) -> Result<Architecture, String> {
    let Some(names) = c.get("architectures").and_then(Value::as_array) else {
        return Err(
            "architectures: expected [\"Qwen2ForCausalLM\"], found nothing; \
                    is this the config.json of a Hugging Face checkpoint?"
                .into(),
        );
    };
    if !names.iter().any(|n| n == "Qwen2ForCausalLM") {
        return Err(format!(
            "architectures: expected [\"Qwen2ForCausalLM\"], found {}; \
             use a Qwen2 or Qwen2.5 checkpoint",
            Value::from(names.clone())
        ));
    }
    if let Some(act) = present(c, "hidden_act") {
        if act != "silu" {
            return Err(format!("hidden_act: expected \"silu\", found {act}"));
        }
    }
    if c.get("use_sliding_window") == Some(&Value::Bool(true)) {
        return Err("use_sliding_window: expected false, found true; \
                    only full attention is implemented"
            .into());
    }
    let heads = size(c, "num_attention_heads")?;
    let hidden = size(c, "hidden_size")?;
    let arch = Architecture {
        vocab_size: size(c, "vocab_size")?,
        hidden_size: hidden,
        intermediate_size: size(c, "intermediate_size")?,
        num_hidden_layers: size(c, "num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: size_or(c, "num_key_value_heads", heads)?,
        head_dim: size_or(c, "head_dim", hidden.checked_div(heads).unwrap_or(0))?,
        rms_norm_eps: number_or(c, "rms_norm_eps", 1e-6)?,
        rope_theta: rope_theta(c)?,
        max_position_embeddings: size_or(c, "max_position_embeddings", 32768)?,
        tie_word_embeddings: match present(c, "tie_word_embeddings") {
            None => false,
            Some(v) => v
                .as_bool()
                .ok_or_else(|| wrong("tie_word_embeddings", "a boolean", v))?,
        },
    };
    arch.check()?;
    Ok(arch)
}

/// The rotary base: `rope_theta`, or `rope_parameters.rope_theta` as transformers 5 writes it. Any
/// scaling of positions is refused.
fn rope_theta(c: &Value) -> Result<f64, String> {
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(scaling) = present(c, key) else {
            continue;
        };
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        if kind.is_some_and(|k| k != "default") {
            return Err(format!(
                "{key}: expected none or type \"default\", found {}; \
                 scaled rotary embeddings are not implemented",
                kind.unwrap_or(&Value::Null)
            ));
        }
        if scaling.get("rope_theta").is_some() {
            return number_or(scaling, "rope_theta", 0.0);
        }
    }
    number_or(c, "rope_theta", 10000.0)
}

/// Ids at which generation stops: `eos_token_id` of `generation_config.json` (a number or a list),
/// else of `config.json`; empty if neither names one.
///
/// # Errors
/// [`InferError`] if a file that is there cannot be read or the field has another type.
pub fn read_eos(dir: &Path) -> Result<Vec<u32>, InferError> {
    for name in ["generation_config.json", "config.json"] {
        let path = dir.join(name);
        if !path.exists() {
            continue;
        }
        let json = read_json(&path)?;
        let Some(eos) = present(&json, "eos_token_id") else {
            continue;
        };
        let id = |v: &Value| v.as_u64().and_then(|v| u32::try_from(v).ok());
        let ids = match eos {
            Value::Array(list) => list.iter().map(id).collect(),
            one => id(one).map(|v| vec![v]),
        };
        return ids.ok_or_else(|| {
            let reason = wrong("eos_token_id", "a token id or a list of them", eos);
            InferError::checkpoint(&path, reason)
        });
    }
    Ok(Vec::new())
}

pub(crate) fn read_json(path: &Path) -> Result<Value, InferError> {
    let bytes = std::fs::read(path).map_err(InferError::io(path, "read"))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| InferError::checkpoint(path, format!("expected JSON, found: {e}")))
}

/// A field that is there and not null.
pub(crate) fn present<'a>(c: &'a Value, key: &str) -> Option<&'a Value> {
    c.get(key).filter(|v| !v.is_null())
}

fn size(c: &Value, key: &str) -> Result<usize, String> {
    let v = present(c, key).ok_or(format!("{key}: expected a number, found nothing"))?;
    v.as_u64()
        .and_then(|v| usize::try_from(v).ok())
        .ok_or_else(|| wrong(key, "a whole number", v))
}

fn size_or(c: &Value, key: &str, default: usize) -> Result<usize, String> {
    if present(c, key).is_some() {
        size(c, key)
    } else {
        Ok(default)
    }
}

fn number_or(c: &Value, key: &str, default: f64) -> Result<f64, String> {
    match present(c, key) {
        None => Ok(default),
        Some(v) => v.as_f64().ok_or_else(|| wrong(key, "a number", v)),
    }
}

pub(crate) fn wrong(key: &str, expected: &str, found: &Value) -> String {
    format!("{key}: expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> Value {
        json!({
            "architectures": ["Qwen2ForCausalLM"], "vocab_size": 512, "hidden_size": 448,
            "intermediate_size": 1216, "num_hidden_layers": 2, "num_attention_heads": 7,
            "num_key_value_heads": 1, "rope_theta": 1e6, "tie_word_embeddings": true,
        })
    }

    #[test]
    fn head_size_follows_from_the_hidden_size() {
        let a = parse_config(&base()).unwrap();
        assert_eq!((a.head_dim, a.q_width(), a.kv_width()), (64, 448, 64));
        assert_eq!(a.rope_theta, 1e6);
    }

    #[test]
    fn transformers_5_writes_the_rotary_base_elsewhere() {
        let mut c = base();
        c.as_object_mut().unwrap().remove("rope_theta");
        c["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 5e5});
        assert_eq!(parse_config(&c).unwrap().rope_theta, 5e5);
    }

    #[test]
    fn what_would_change_the_result_is_refused() {
        for (key, value, word) in [
            (
                "architectures",
                json!(["LlamaForCausalLM"]),
                "LlamaForCausalLM",
            ),
            ("architectures", Value::Null, "architectures"),
            ("hidden_act", json!("gelu"), "gelu"),
            ("use_sliding_window", json!(true), "sliding"),
            (
                "rope_scaling",
                json!({"type": "yarn", "factor": 4.0}),
                "yarn",
            ),
            ("hidden_size", json!(-1), "-1"),
            ("num_attention_heads", json!(0), "num_attention_heads"),
            ("num_key_value_heads", json!(2), "multiple"),
            ("vocab_size", json!("many"), "many"),
        ] {
            let mut c = base();
            c[key] = value;
            let e = parse_config(&c).unwrap_err();
            assert!(e.contains(word), "{key}: {e}");
        }
    }
}
