//! Messages of a chat.

use macromac_infer::Message;
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::{Fields, wrong};

/// Reads `messages`.
///
/// # Errors
/// Names the message and the field that are not as expected.
pub fn messages(fields: &Fields) -> Result<Vec<Message>, ApiError> {
    const EXPECTED: &str = "a list of messages, at least one";
    let value = fields.must("messages", EXPECTED)?;
    let list = value.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| wrong("messages", EXPECTED, value))?;
    list.iter()
        .enumerate()
        .map(|(i, m)| message(&format!("messages[{i}]"), m))
        .collect()
}

fn message(at: &str, value: &Value) -> Result<Message, ApiError> {
    let Some(map) = value.as_object() else {
        return Err(wrong(at, "an object with role and content", value));
    };
    let fields = Fields::of(map);
    let name = |field: &str| format!("{at}.{field}");
    for (field, what) in [
        ("tool_calls", "tools are not supported: expected none"),
        (
            "function_call",
            "functions are not supported: expected none",
        ),
    ] {
        if fields
            .get(field)
            .is_some_and(|v| v.as_array().is_none_or(|a| !a.is_empty()))
        {
            return Err(ApiError::field(&name(field), what));
        }
    }
    const ROLES: &str = "\"system\", \"user\" or \"assistant\"";
    let role = match fields.get("role") {
        Some(Value::String(role)) if ["system", "user", "assistant"].contains(&role.as_str()) => {
            role.as_str()
        }
        // OpenAI's newer word.
        Some(Value::String(role)) if role == "developer" => "system",
        found => return Err(wrong(&name("role"), ROLES, found.unwrap_or(&Value::Null))),
    };
    let content = match fields.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let parts = parts.iter().enumerate();
            parts
                .map(|(i, p)| part(&name(&format!("content[{i}]")), p))
                .collect::<Result<_, _>>()?
        }
        found => {
            return Err(wrong(
                &name("content"),
                "a text",
                found.unwrap_or(&Value::Null),
            ));
        }
    };
    Ok(Message::new(role, &content))
}

/// A part of a content: text is all there is.
fn part(at: &str, value: &Value) -> Result<String, ApiError> {
    match (value["type"].as_str(), value["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        _ => Err(wrong(
            at,
            "{\"type\": \"text\", \"text\": ...}, for this model reads text alone",
            value,
        )),
    }
}
