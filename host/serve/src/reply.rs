//! Answers in JSON, whole or as a stream of chunks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::engine::Done;
use crate::logprobs::{Entry, Probable};
use crate::metrics::{Took, rate};

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// What all chunks of an answer have in common.
#[derive(Debug, Clone)]
pub struct Reply {
    /// A chat completion, and not a text completion.
    pub chat: bool,
    pub id: String,
    pub created: u64,
    pub model: String,
    /// Whether probabilities were asked for.
    pub logprobs: bool,
    /// Whether a stream has usage: then every chunk has the key.
    pub usage: bool,
}

impl Reply {
    /// An answer with an id of its own.
    pub fn new(chat: bool, model: &str, logprobs: bool, usage: bool) -> Self {
        let prefix = if chat { "chatcmpl" } else { "cmpl" };
        Reply {
            chat,
            id: format!("{prefix}-{:032x}", rand::random::<u128>()),
            created: now(),
            model: model.into(),
            logprobs,
            usage,
        }
    }

    fn object(&self, chunk: bool, choices: Value) -> Map<String, Value> {
        let object = match (self.chat, chunk) {
            (true, false) => "chat.completion",
            (true, true) => "chat.completion.chunk",
            (false, _) => "text_completion",
        };
        let mut map = Map::new();
        map.insert("id".into(), json!(self.id));
        map.insert("object".into(), json!(object));
        map.insert("created".into(), json!(self.created));
        map.insert("model".into(), json!(self.model));
        map.insert("choices".into(), choices);
        if chunk && self.usage {
            map.insert("usage".into(), Value::Null);
        }
        map
    }

    /// The whole answer.
    pub fn whole(&self, text: &str, entries: &[Entry], done: &Done) -> Value {
        let mut choice = json!({
            "index": 0,
            "finish_reason": finish(done),
            "logprobs": self.probabilities(entries),
        });
        if self.chat {
            choice["message"] = json!({"role": "assistant", "content": text, "refusal": null});
        } else {
            choice["text"] = json!(text);
        }
        let mut map = self.object(false, json!([choice]));
        map.insert("usage".into(), usage(&done.took));
        map.insert("timings".into(), timings(&done.took));
        map.into()
    }

    /// The first chunk of a chat: who speaks.
    pub fn role(&self) -> Value {
        let delta = json!({"role": "assistant", "content": ""});
        self.object(
            true,
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]),
        )
        .into()
    }

    /// A piece of the text.
    pub fn chunk(&self, text: &str, entries: &[Entry]) -> Value {
        let mut choice =
            json!({"index": 0, "finish_reason": null, "logprobs": self.probabilities(entries)});
        if self.chat {
            choice["delta"] = json!({"content": text});
        } else {
            choice["text"] = json!(text);
        }
        self.object(true, json!([choice])).into()
    }

    /// The chunks at the end: why it ended, then tokens if they were asked for.
    pub fn last(&self, done: &Done) -> Vec<Value> {
        let mut choice = json!({"index": 0, "finish_reason": finish(done), "logprobs": null});
        if self.chat {
            choice["delta"] = json!({});
        } else {
            choice["text"] = json!("");
        }
        let mut end = self.object(true, json!([choice]));
        end.insert("timings".into(), timings(&done.took));
        let mut chunks = vec![end.into()];
        if self.usage {
            let mut map = self.object(true, json!([]));
            map.insert("usage".into(), usage(&done.took));
            chunks.push(map.into());
        }
        chunks
    }

    /// Probabilities as this kind of completion has them.
    fn probabilities(&self, entries: &[Entry]) -> Value {
        if !self.logprobs {
            return Value::Null;
        }
        if self.chat {
            let tokens: Vec<Value> = entries
                .iter()
                .map(|e| {
                    let mut token = spelled(&e.chosen);
                    token["top_logprobs"] = e.top.iter().map(spelled).collect();
                    token
                })
                .collect();
            return json!({"content": tokens, "refusal": null});
        }
        let top = |e: &Entry| -> Map<String, Value> {
            // Tokens of the same spelling (pieces of characters): the most probable one stays.
            let falling = e.top.iter().rev();
            falling
                .map(|p| (p.token.clone(), json!(p.logprob)))
                .collect()
        };
        json!({
            "tokens": entries.iter().map(|e| &e.chosen.token).collect::<Vec<_>>(),
            "token_logprobs": entries.iter().map(|e| e.chosen.logprob).collect::<Vec<_>>(),
            "top_logprobs": entries.iter().map(top).collect::<Vec<_>>(),
            "text_offset": entries.iter().map(|e| e.offset).collect::<Vec<_>>(),
        })
    }
}

/// A token and its probability; its bytes are told where its text has them all.
fn spelled(p: &Probable) -> Value {
    let whole = !p.token.contains('\u{FFFD}');
    json!({"token": p.token, "logprob": p.logprob, "bytes": whole.then_some(p.token.as_bytes())})
}

fn finish(done: &Done) -> &'static str {
    if done.complete { "stop" } else { "length" }
}

/// Tokens of an answer.
fn usage(took: &Took) -> Value {
    json!({
        "prompt_tokens": took.prompt,
        "completion_tokens": took.generated,
        "total_tokens": took.prompt + took.generated,
        "prompt_tokens_details": {"cached_tokens": took.reused},
    })
}

/// Times on this machine, as llama.cpp's server tells them; `pl_cycles` is the accelerator's own count.
fn timings(took: &Took) -> Value {
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let mut timings = json!({
        "cache_n": took.reused,
        "prompt_n": took.computed,
        "prompt_ms": ms(took.prompt_time),
        "prompt_per_second": rate(took.computed, took.prompt_time),
        "predicted_n": took.generated,
        "predicted_ms": ms(took.decode_time),
        "predicted_per_second": rate(took.followed(), took.decode_time),
    });
    if let Some(m) = &took.measured {
        timings["pl_cycles"] = json!(m.end.cycles.saturating_sub(m.start.cycles));
    }
    timings
}
