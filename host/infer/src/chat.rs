//! Messages into a prompt, by the template that a model brings along.
//!
//! Templates are Jinja's, as Hugging Face transformers renders them: blocks take no line of their own, `raise_exception` refuses, `tojson`
//! writes JSON as Python does, strings have Python's methods.

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;

use crate::InferError;
use crate::tokenizer::Tokenizer;

/// The template's name in messages.
const NAME: &str = "chat template";
/// Instructions that a rendering may take: thousands of messages, but no endless loop.
const FUEL: u64 = 20_000_000;
/// The token that ends a message of ChatML.
const CHATML_END: &str = "<|im_end|>";
/// The plainest template of the models that this program runs.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
                      {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What someone said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: &str, content: &str) -> Self {
        Message {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// How a model wants its messages written.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos: Option<String>,
    eos: Option<String>,
}

impl ChatTemplate {
    /// Reads the template of a model folder: `chat_template.jinja`, or `chat_template` of `tokenizer_config.json`; `None` if it has neither.
    ///
    /// # Errors
    /// [`InferError`] if a file cannot be read, is no JSON, or the template is none.
    pub fn open(dir: &Path) -> Result<Option<Self>, InferError> {
        let (file, path) = (
            dir.join("chat_template.jinja"),
            dir.join("tokenizer_config.json"),
        );
        let config = if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(InferError::io(&path, "read"))?;
            serde_json::from_str(&text)
                .map_err(|e| InferError::checkpoint(&path, format!("expected JSON, found: {e}")))?
        } else {
            serde_json::Value::Null
        };
        let (source, path) = if file.exists() {
            (Some(read(&file)?), file)
        } else {
            let found = source(&config["chat_template"]);
            (found.map_err(|e| InferError::checkpoint(&path, e))?, path)
        };
        let Some(source) = source else {
            return Ok(None);
        };
        let template = Self::new(
            source,
            token(&config["bos_token"]),
            token(&config["eos_token"]),
        );
        template
            .map(Some)
            .map_err(|e| InferError::checkpoint(&path, format!("chat_template: {e}")))
    }

    /// Reads a template alone.
    ///
    /// # Errors
    /// As [`ChatTemplate::open`].
    pub fn open_file(path: &Path) -> Result<Self, InferError> {
        Self::new(read(path)?, None, None).map_err(|e| InferError::checkpoint(path, e))
    }

    /// ChatML, for models that know it and bring no template.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn chatml() -> Self {
        Self::new(CHATML.into(), None, None).expect("a valid template")
    }

    fn new(source: String, bos: Option<String>, eos: Option<String>) -> Result<Self, String> {
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| told(&e))?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function(
            "raise_exception",
            |reason: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, reason))
            },
        );
        let added = environment.add_template_owned(NAME, source.clone());
        added.map_err(|e| told(&e))?;
        Ok(ChatTemplate {
            environment,
            source,
            bos,
            eos,
        })
    }

    /// The template's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The prompt of a conversation, to be answered by the assistant.
    ///
    /// # Errors
    /// [`InferError::Input`] if the template refuses the messages or is wrong.
    pub fn render(&self, messages: &[Message]) -> Result<String, InferError> {
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|t| {
            t.render(context! {
                messages => Serde(messages),
                add_generation_prompt => true,
                bos_token => self.bos.as_deref(),
                eos_token => self.eos.as_deref(),
            })
        });
        rendered.map_err(|e| {
            InferError::Input(format!(
                "the chat template refuses these messages: {}",
                told(&e)
            ))
        })
    }

    /// Ids at which an answer ends, besides those of the model: the end of a text by `tokenizer_config.json`, and of a message where the
    /// template writes ChatML.
    pub fn ends(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let chatml = self.source.contains(CHATML_END).then_some(CHATML_END);
        let tokens = self.eos.as_deref().into_iter().chain(chatml);
        tokens.filter_map(|t| tokenizer.id(t)).collect()
    }
}

fn read(path: &Path) -> Result<String, InferError> {
    std::fs::read_to_string(path).map_err(InferError::io(path, "read"))
}

/// What is wrong, with the line if it is the template's.
fn told(e: &Error) -> String {
    let what = e
        .detail()
        .map_or_else(|| e.kind().to_string(), str::to_owned);
    match (e.kind(), e.line()) {
        (ErrorKind::InvalidOperation, _) | (_, None) => what,
        (kind, Some(line)) => format!("{kind} in line {line}: {what}"),
    }
}

/// The template of `tokenizer_config.json`: a text, or a list of named ones of which `default` is meant.
fn source(found: &serde_json::Value) -> Result<Option<String>, String> {
    use serde_json::Value;
    match found {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(named) => {
            let default = named.iter().find(|t| t["name"] == "default");
            match default.and_then(|t| t["template"].as_str()) {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(
                    "chat_template: expected one named \"default\" among several, found none"
                        .into(),
                ),
            }
        }
        other => Err(format!(
            "chat_template: expected a text or a list, found {other}"
        )),
    }
}

/// A special token: a text, or an object that has it as `content`.
fn token(found: &serde_json::Value) -> Option<String> {
    let text = found.as_str().or_else(|| found["content"].as_str());
    text.map(str::to_owned)
}

/// JSON with Python's blanks: `{"a": 1, "b": [1, 2]}`.
struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The filter `tojson`; `indent` and its like are taken and change nothing.
fn to_json(value: &Value, _options: Kwargs) -> Result<String, Error> {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Python);
    let wrong = |e: &dyn std::fmt::Display| Error::new(ErrorKind::BadSerialization, e.to_string());
    value.serialize(&mut writer).map_err(|e| wrong(&e))?;
    String::from_utf8(out).map_err(|e| wrong(&e))
}

#[cfg(test)]
mod tests;
