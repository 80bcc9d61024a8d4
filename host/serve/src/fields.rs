//! Fields of a JSON object: what is there must be as expected, and an error names the field.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// The object that a client sent.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Fields(map)),
            Ok(other) => Err(ApiError::request(format!(
                "expected a JSON object, found {}",
                short(&other)
            ))),
            Err(e) => Err(ApiError::request(format!(
                "expected a JSON object, found something else: {e}"
            ))),
        }
    }

    /// An object within another.
    pub fn of(map: &Map<String, Value>) -> Self {
        Fields(map.clone())
    }

    /// A field; `null` is as good as nothing.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    /// The first of several names of one thing that is there.
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().find(|name| self.get(name).is_some()).copied()
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn must(&self, name: &str, expected: &str) -> Result<&Value, ApiError> {
        self.get(name)
            .ok_or_else(|| ApiError::field(name, format!("expected {expected}, found nothing")))
    }

    /// A number for which `ok` holds.
    ///
    /// # Errors
    /// If it is another.
    pub fn number(
        &self,
        name: &str,
        expected: &str,
        ok: impl Fn(f32) -> bool,
    ) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_f64().map(|n| n as f32);
        match number.filter(|n| n.is_finite() && ok(*n)) {
            Some(n) => Ok(Some(n)),
            None => Err(wrong(name, expected, value)),
        }
    }

    /// A whole number from `least` on.
    ///
    /// # Errors
    /// If it is another.
    pub fn whole(&self, name: &str, expected: &str, least: i64) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        // Some clients write 16.0.
        let float = value
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15);
        let whole = value.as_i64().or(float.map(|f| f as i64));
        match whole.filter(|n| *n >= least) {
            Some(n) => Ok(Some(n)),
            None => Err(wrong(name, expected, value)),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// If it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|v| v.as_bool().ok_or_else(|| wrong(name, "true or false", v)))
            .transpose()
    }

    /// Whether a field that is not supported asks for nothing: it is absent or one of `neutral`.
    ///
    /// # Errors
    /// If it asks for something.
    pub fn neutral(&self, name: &str, neutral: &[Value], what: &str) -> Result<(), ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(());
        };
        let equal = |n: &Value| match (n.as_f64(), value.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => n == value,
        };
        if neutral.iter().any(equal) {
            return Ok(());
        }
        Err(ApiError::field(
            name,
            format!("{what}, found {}", short(value)),
        ))
    }
}

/// A field that is there and wrong.
pub fn wrong(name: &str, expected: &str, found: &Value) -> ApiError {
    ApiError::field(name, format!("expected {expected}, found {}", short(found)))
}

/// A value for a message: not all of a long one.
pub fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
