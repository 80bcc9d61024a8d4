//! What a completion request asks for.

use macromac_infer::Sampling;
use serde_json::{Value, json};

use crate::Config;
use crate::error::ApiError;
use crate::fields::{Fields, wrong};

/// Stop strings at most, and bytes of one.
const STOPS: (usize, usize) = (16, 1024);
/// Most probable tokens at most, as OpenAI has it for chats.
const TOP_LOGPROBS: i64 = 20;

/// How to answer; the prompt is read elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub sampling: Sampling,
    /// Tokens of the answer at most; `None`: as the server and the context allow.
    pub max_tokens: Option<usize>,
    pub ignore_eos: bool,
    pub stops: Vec<String>,
    /// As [`crate::engine::Job::logprobs`].
    pub logprobs: Option<usize>,
    pub stream: bool,
    /// Whether a stream tells of tokens at its end.
    pub usage: bool,
    pub reuse: bool,
}

impl Ask {
    /// Reads what texts and chats have in common.
    ///
    /// # Errors
    /// Names the field that is out of range or asks for what there is not.
    pub fn parse(fields: &Fields, chat: bool, config: &Config) -> Result<Self, ApiError> {
        unsupported(fields)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        Ok(Ask {
            sampling: sampling(fields, config)?,
            max_tokens: max_tokens(fields)?,
            ignore_eos: fields.flag("ignore_eos")?.unwrap_or(false),
            stops: stops(fields)?,
            logprobs: if chat {
                chat_logprobs(fields)?
            } else {
                text_logprobs(fields)?
            },
            stream,
            usage: stream_usage(fields, stream)?,
            reuse: fields.flag("cache_prompt")?.unwrap_or(true),
        })
    }
}

fn sampling(fields: &Fields, config: &Config) -> Result<Sampling, ApiError> {
    let default = config.sampling;
    let at_least_0 = |n: f32| n >= 0.0;
    let penalty = fields
        .first(&["repeat_penalty", "repetition_penalty"])
        .unwrap_or("repeat_penalty");
    Ok(Sampling {
        temperature: fields
            .number("temperature", "a number of at least 0", at_least_0)?
            .unwrap_or(default.temperature),
        // llama.cpp's clients write -1, too, for all.
        top_k: fields
            .whole("top_k", "a whole number, 0 for all", -1)?
            .map_or(default.top_k, |k| usize::try_from(k).unwrap_or(0)),
        top_p: fields
            .number("top_p", "a number above 0 and at most 1", |p| {
                p > 0.0 && p <= 1.0
            })?
            .unwrap_or(default.top_p),
        min_p: fields
            .number("min_p", "a number of at least 0 and at most 1", |p| {
                (0.0..=1.0).contains(&p)
            })?
            .unwrap_or(default.min_p),
        repeat_penalty: fields
            .number(penalty, "a number above 0", |r| r > 0.0)?
            .unwrap_or(default.repeat_penalty),
        seed: seed(fields, config)?,
    })
}

/// -1 is a seed of the server's choice.
fn seed(fields: &Fields, config: &Config) -> Result<u64, ApiError> {
    if let Some(seed) = fields.get("seed").and_then(Value::as_u64) {
        return Ok(seed);
    }
    match fields.whole(
        "seed",
        "a whole number of at least 0, or -1 for a random one",
        -1,
    )? {
        Some(seed) => Ok(u64::try_from(seed).unwrap_or_else(|_| rand::random())),
        None if config.random_seed => Ok(rand::random()),
        None => Ok(config.sampling.seed),
    }
}

/// Under OpenAI's two names and llama.cpp's; -1 is no limit.
fn max_tokens(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let Some(name) = fields.first(&["max_completion_tokens", "max_tokens", "n_predict"]) else {
        return Ok(None);
    };
    let n = fields.whole(name, "a whole number of at least 0, or -1 for no limit", -1)?;
    Ok(n.and_then(|n| usize::try_from(n).ok()))
}

fn stops(fields: &Fields) -> Result<Vec<String>, ApiError> {
    let (most, longest) = STOPS;
    let expected = format!("a text or up to {most} of them, each of 1 to {longest} bytes");
    let Some(value) = fields.get("stop") else {
        return Ok(Vec::new());
    };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let text = |v: &Value| {
        v.as_str()
            .filter(|s| !s.is_empty() && s.len() <= longest)
            .map(str::to_owned)
    };
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    texts
        .filter(|t| t.len() <= most)
        .ok_or_else(|| wrong("stop", &expected, value))
}

/// `logprobs` is a flag, `top_logprobs` a number.
fn chat_logprobs(fields: &Fields) -> Result<Option<usize>, ApiError> {
    let on = fields.flag("logprobs")?.unwrap_or(false);
    let top = top(fields, "top_logprobs")?;
    match (on, top) {
        (true, top) => Ok(Some(top.unwrap_or(0))),
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => Err(ApiError::field(
            "top_logprobs",
            "expected \"logprobs\": true beside it, found none",
        )),
    }
}

/// `logprobs` is a number.
fn text_logprobs(fields: &Fields) -> Result<Option<usize>, ApiError> {
    match fields.get("logprobs") {
        // Some clients send the chat's.
        Some(Value::Bool(false)) => Ok(None),
        _ => top(fields, "logprobs"),
    }
}

fn top(fields: &Fields, name: &str) -> Result<Option<usize>, ApiError> {
    let expected = format!("a whole number, 0 to {TOP_LOGPROBS}");
    match fields.whole(name, &expected, 0)? {
        Some(n) if n > TOP_LOGPROBS => Err(wrong(name, &expected, &json!(n))),
        n => Ok(n.map(|n| n as usize)),
    }
}

fn stream_usage(fields: &Fields, stream: bool) -> Result<bool, ApiError> {
    let Some(value) = fields.get("stream_options") else {
        return Ok(false);
    };
    let Some(map) = value.as_object() else {
        return Err(wrong("stream_options", "an object", value));
    };
    if !stream {
        return Err(ApiError::field(
            "stream_options",
            "expected \"stream\": true beside it, found none",
        ));
    }
    let options = Fields::of(map);
    let usage = options.flag("include_usage");
    usage.map(|u| u.unwrap_or(false)).map_err(|e| ApiError {
        param: Some("stream_options.include_usage".into()),
        ..e
    })
}

/// What would change the answer and is not there is refused; what asks for nothing is let pass, since clients send it.
fn unsupported(fields: &Fields) -> Result<(), ApiError> {
    let one = [json!(1)];
    fields.neutral(
        "n",
        &one,
        "expected 1 (one accelerator, one answer: ask again for another)",
    )?;
    fields.neutral("best_of", &one, "expected 1 (one accelerator, one answer)")?;
    let zero = [json!(0)];
    let nothing = [json!([]), json!({}), json!(""), json!(false)];
    let text = [json!({"type": "text"})];
    for (name, neutral) in [
        ("presence_penalty", &zero[..]),
        ("frequency_penalty", &zero),
        ("logit_bias", &nothing),
        ("tools", &nothing),
        ("functions", &nothing),
        ("response_format", &text),
        ("json_schema", &nothing),
        ("grammar", &nothing),
        ("echo", &nothing),
        ("suffix", &nothing),
        ("mirostat", &zero),
        ("modalities", &[json!(["text"])]),
        ("typical_p", &one),
    ] {
        fields.neutral(name, neutral, "not supported: leave it away")?;
    }
    Ok(())
}
