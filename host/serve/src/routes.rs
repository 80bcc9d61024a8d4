//! Paths.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};

use crate::Shared;
use crate::completions::{self, NO_TEMPLATE, blocking, body, tokens};
use crate::error::ApiError;
use crate::fields::{Fields, wrong};
use crate::messages::messages;
use crate::{auth, error};

/// All paths; those of OpenAI without `/v1` as well, as llama.cpp has them.
pub fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/v1/completions", post(completions::text))
        .route("/completions", post(completions::text))
        .route("/v1/chat/completions", post(completions::chat))
        .route("/chat/completions", post(completions::chat))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/metrics", get(metrics))
        .route("/props", get(props))
        .route("/tokenize", post(tokenize))
        .route("/detokenize", post(detokenize))
        .route("/apply-template", post(apply_template))
        .layer(middleware::from_fn_with_state(shared.clone(), auth::check));
    Router::new()
        .route("/health", get(health))
        .route("/v1/health", get(health))
        .merge(guarded)
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .with_state(shared)
}

async fn no_path(request: Request) -> error::ApiError {
    ApiError::status(
        StatusCode::NOT_FOUND,
        format!(
            "{}: expected a path of this server, found none such; see docs/serve.md",
            request.uri().path()
        ),
    )
}

async fn no_method(request: Request) -> error::ApiError {
    ApiError::status(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{}: expected another method than {}",
            request.uri().path(),
            request.method()
        ),
    )
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    if shared.cancelled() {
        return ApiError::ending().into_response();
    }
    if !shared.is_ready() {
        return ApiError::unavailable("loading", "the model is being loaded").into_response();
    }
    Json(json!({"status": "ok"})).into_response()
}

fn described(shared: &Shared) -> Value {
    let (config, arch) = (&shared.config, shared.served.model.architecture());
    json!({
        "id": config.alias,
        "object": "model",
        "created": shared.since,
        "owned_by": "macromac",
        "meta": {
            "n_vocab": arch.vocab_size,
            "n_ctx": config.context,
            "n_ctx_train": arch.max_position_embeddings,
            "n_embd": arch.hidden_size,
            "n_layer": arch.num_hidden_layers,
        },
    })
}

async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [described(&shared)]}))
}

async fn model(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if id == shared.config.alias {
        return Ok(Json(described(&shared)));
    }
    Err(ApiError {
        param: Some("model".into()),
        code: Some("model_not_found"),
        ..ApiError::status(
            StatusCode::NOT_FOUND,
            format!("expected model {:?}, found {id:?}", shared.config.alias),
        )
    })
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let text = shared
        .metrics
        .text(shared.queue.waiting(), &shared.config.about);
    ([("content-type", "text/plain; version=0.0.4")], text)
}

async fn props(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (config, sampling) = (&shared.config, shared.config.sampling);
    Json(json!({
        "model_path": config.path,
        "model_alias": config.alias,
        "total_slots": 1,
        "chat_template": shared.served.template.as_ref().map(macromac_infer::ChatTemplate::source),
        "default_generation_settings": {
            "n_ctx": config.context,
            "params": {
                "n_predict": config.predict.map_or(-1, |n| n as i64),
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "min_p": sampling.min_p,
                "repeat_penalty": sampling.repeat_penalty,
                "seed": if config.random_seed { json!(-1) } else { json!(sampling.seed) },
            },
        },
        "is_processing": shared.metrics.running(),
        "backend": config.about.backend,
        "profile": config.about.profile,
        "build_info": format!("macromac {}", env!("CARGO_PKG_VERSION")),
    }))
}

/// Reads a body and answers it on another thread: texts may be long.
async fn answer(
    shared: Arc<Shared>,
    request: Request,
    work: impl FnOnce(&Shared, &Fields) -> Result<Value, ApiError> + Send + 'static,
) -> Result<Json<Value>, ApiError> {
    let body = body(&shared, request).await?;
    blocking(move || work(&shared, &Fields::parse(&body)?))
        .await
        .map(Json)
}

async fn tokenize(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    answer(shared, request, |shared, fields| {
        const EXPECTED: &str = "a text";
        let value = fields.must("content", EXPECTED)?;
        let text = value
            .as_str()
            .ok_or_else(|| wrong("content", EXPECTED, value))?;
        let tokenizer = &shared.served.tokenizer;
        let ids = tokenizer.encode(text)?;
        if !fields.flag("with_pieces")?.unwrap_or(false) {
            return Ok(json!({"tokens": ids}));
        }
        let piece = |id: &u32| Ok(json!({"id": id, "piece": tokenizer.decode(&[*id])?}));
        let pieces: Result<Vec<Value>, ApiError> = ids.iter().map(piece).collect();
        Ok(json!({"tokens": pieces?}))
    })
    .await
}

async fn detokenize(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    answer(shared, request, |shared, fields| {
        const EXPECTED: &str = "a list of token ids";
        let value = fields.must("tokens", EXPECTED)?;
        let ids = value.as_array().and_then(|list| tokens(list));
        let ids = ids.ok_or_else(|| wrong("tokens", EXPECTED, value))?;
        let vocab = shared.served.model.architecture().vocab_size;
        if let Some(bad) = ids.iter().find(|id| **id as usize >= vocab) {
            return Err(ApiError::field(
                "tokens",
                format!("expected ids below {vocab}, found {bad}"),
            ));
        }
        Ok(json!({"content": shared.served.tokenizer.decode(&ids)?}))
    })
    .await
}

async fn apply_template(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    answer(shared, request, |shared, fields| {
        let template = shared.served.template.as_ref();
        let template = template.ok_or_else(|| ApiError::request(NO_TEMPLATE))?;
        let prompt = template.render(&messages(fields)?);
        let prompt = prompt.map_err(|e| ApiError::field("messages", e))?;
        Ok(json!({"prompt": prompt}))
    })
    .await
}
