//! What a client is told when it cannot be served: OpenAI's error object and a status that says whose fault it is.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use macromac_infer::InferError;
use serde_json::{Value, json};

/// An error for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        ApiError {
            status,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    /// A field is not as it must be.
    pub fn field(name: &str, message: impl std::fmt::Display) -> Self {
        ApiError {
            param: Some(name.into()),
            ..Self::new(StatusCode::BAD_REQUEST, format!("{name}: {message}"))
        }
    }

    /// The request as a whole is not as it must be.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Another status without more.
    pub fn status(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, message)
    }

    /// No key, or a wrong one.
    pub fn key() -> Self {
        ApiError {
            code: Some("invalid_api_key"),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "expected a key of this server, found none or another: send `Authorization: Bearer KEY`",
            )
        }
    }

    /// Prompt and context.
    pub fn context(field: &str, limit: usize, found: usize) -> Self {
        ApiError {
            param: Some(field.into()),
            code: Some("context_length_exceeded"),
            ..Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "{field}: expected at most {limit} tokens, which is the context, found {found}; shorten it"
                ),
            )
        }
    }

    /// The server cannot serve now.
    pub fn unavailable(code: &'static str, message: &str) -> Self {
        ApiError {
            code: Some(code),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    /// The server ends.
    pub fn ending() -> Self {
        Self::unavailable(
            "shutting_down",
            "the server is shutting down; ask again when it is back",
        )
    }

    /// As OpenAI names kinds of errors; llama.cpp's word where it has none.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable_error",
            s if s.is_client_error() => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// The error object.
    pub fn json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }
}

/// What inference says about a request is the request's fault, anything else is ours.
impl From<InferError> for ApiError {
    fn from(e: InferError) -> Self {
        let status = match &e {
            InferError::Input(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, e.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.json())).into_response();
        let (name, value) = match self.status {
            StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, "1"),
            _ => return response,
        };
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        response
    }
}
