//! Who may ask.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Shared;
use crate::error::ApiError;

/// Lets a request through that brings one of the server's keys, as OpenAI's clients do (`Authorization: Bearer`) or in `X-Api-Key`.
pub async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let keys = &shared.config.api_keys;
    if keys.is_empty() || found(&request).is_some_and(|found| known(keys, found)) {
        return next.run(request).await;
    }
    ApiError::key().into_response()
}

fn found(request: &Request) -> Option<&[u8]> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map(axum::http::HeaderValue::as_bytes)
    };
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    bearer.or_else(|| header("x-api-key"))
}

/// Looks at every byte of every key, so that time does not tell how much of one was right.
fn known(keys: &[String], found: &[u8]) -> bool {
    let equal = |key: &String| {
        let pairs = key.bytes().zip(found);
        let differ = pairs.fold(0, |bits, (a, b)| bits | (a ^ b));
        key.len() == found.len() && differ == 0
    };
    keys.iter().map(equal).fold(false, |any, one| any | one)
}
