//! `/v1/completions` and `/v1/chat/completions`: from a body to the queue, and from there to the client.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use macromac_infer::Options;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Shared;
use crate::engine::{Job, Piece};
use crate::error::ApiError;
use crate::fields::{Fields, wrong};
use crate::messages::messages;
use crate::queue::Refused;
use crate::reply::Reply;
use crate::request::Ask;

/// `POST /v1/completions`
pub async fn text(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    complete(shared, request, false).await
}

/// `POST /v1/chat/completions`
pub async fn chat(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    complete(shared, request, true).await
}

async fn complete(shared: Arc<Shared>, request: Request, chat: bool) -> Result<Response, ApiError> {
    let body = body(&shared, request).await?;
    let (job, reply, stream, pieces) = {
        let shared = shared.clone();
        blocking(move || prepare(&shared, &body, chat)).await?
    };
    if !shared.is_ready() {
        return Err(ApiError::unavailable(
            "loading",
            "the model is being loaded; ask again",
        ));
    }
    shared.queue.push(job).map_err(|refused| {
        shared.metrics.refused();
        match refused {
            Refused::Full => {
                ApiError::unavailable("queue_full", "all places of the queue are taken; ask again")
            }
            Refused::Closed => ApiError::ending(),
        }
    })?;
    if stream {
        Ok(events(reply, pieces).into_response())
    } else {
        whole(&reply, pieces).await.map(|v| Json(v).into_response())
    }
}

/// Reads a body, which may be only so long and take only so long.
///
/// # Errors
/// 413, 408, or 400 if the client broke off.
pub async fn body(shared: &Shared, request: Request) -> Result<Bytes, ApiError> {
    let limits = &shared.config.limits;
    let read = axum::body::to_bytes(request.into_body(), limits.body_bytes);
    match tokio::time::timeout(limits.body, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Err(_) => Err(ApiError::status(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "expected the whole body within {} seconds",
                limits.body.as_secs()
            ),
        )),
        Ok(Err(e)) => {
            let inner = std::error::Error::source(&e).map_or_else(String::new, ToString::to_string);
            if inner.contains("length limit") {
                return Err(ApiError::status(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!(
                        "expected a body of at most {} bytes, found a longer one",
                        limits.body_bytes
                    ),
                ));
            }
            Err(ApiError::request(format!("the body broke off: {e}")))
        }
    }
}

/// Does what takes processor time on another thread than the one that serves all connections.
///
/// # Errors
/// What `work` returns.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(ApiError::status(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("a bug of the server: {e}"),
        )),
    }
}

type Prepared = (Job, Reply, bool, UnboundedReceiver<Piece>);

/// Everything that can be wrong with a request is found here, before it waits.
fn prepare(shared: &Shared, body: &[u8], chat: bool) -> Result<Prepared, ApiError> {
    let (served, config) = (&shared.served, &shared.config);
    let fields = Fields::parse(body)?;
    let ask = Ask::parse(&fields, chat, config)?;
    let mut ends = served.model.eos().to_vec();
    let (name, prompt) = if chat {
        let template = served.template.as_ref().ok_or_else(|| ApiError {
            code: Some("no_chat_template"),
            ..ApiError::request(NO_TEMPLATE)
        })?;
        let prompt = template
            .render(&messages(&fields)?)
            .map_err(|e| ApiError::field("messages", e))?;
        ends.extend(template.ends(&served.tokenizer));
        ("messages", served.tokenizer.encode(&prompt)?)
    } else {
        ("prompt", prompt(shared, &fields)?)
    };
    if prompt.is_empty() {
        return Err(ApiError::field(
            name,
            "expected at least one token, found none",
        ));
    }
    if prompt.len() > config.context {
        return Err(ApiError::context(name, config.context, prompt.len()));
    }
    served
        .model
        .check_tokens(&prompt)
        .map_err(|e| ApiError::field(name, e))?;
    // The last token that is chosen needs no place in the context.
    let room = config.context - prompt.len() + 1;
    let limits = [ask.max_tokens, config.predict, Some(room)];
    let greedy = ask.sampling.temperature == 0.0;
    let (sender, pieces) = unbounded_channel();
    let job = Job {
        path: if chat {
            "/v1/chat/completions"
        } else {
            "/v1/completions"
        },
        prompt,
        options: Options {
            max_tokens: limits.into_iter().flatten().min().unwrap_or(room),
            ignore_eos: ask.ignore_eos,
            sampling: ask.sampling,
            lookup: if greedy { config.lookup } else { 0 },
        },
        ends: if ask.ignore_eos { Vec::new() } else { ends },
        stops: ask.stops,
        reuse: ask.reuse,
        logprobs: ask.logprobs,
        pieces: sender,
    };
    let reply = Reply::new(chat, &config.alias, ask.logprobs.is_some(), ask.usage);
    Ok((job, reply, ask.stream, pieces))
}

/// What a client can do about it.
pub const NO_TEMPLATE: &str = "this model has no chat template: use /v1/completions, or start the server with --chat-template-file FILE \
                               (or --chat-template chatml)";

/// `prompt`: a text or the ids of its tokens.
fn prompt(shared: &Shared, fields: &Fields) -> Result<Vec<u32>, ApiError> {
    const EXPECTED: &str = "one text, or a list of token ids";
    let value = fields.must("prompt", EXPECTED)?;
    let text = |text: &str| Ok(shared.served.tokenizer.encode(text)?);
    match value {
        Value::String(s) => text(s),
        Value::Array(list) => match list.as_slice() {
            [Value::String(s)] => text(s),
            ids => tokens(ids).ok_or_else(|| wrong("prompt", EXPECTED, value)),
        },
        other => Err(wrong("prompt", EXPECTED, other)),
    }
}

/// Token ids; `None` if something else is among them.
pub fn tokens(list: &[Value]) -> Option<Vec<u32>> {
    list.iter()
        .map(|v| u32::try_from(v.as_u64()?).ok())
        .collect()
}

/// Waits for the whole answer. When the client goes away, this is dropped, and with it `pieces`.
async fn whole(reply: &Reply, mut pieces: UnboundedReceiver<Piece>) -> Result<Value, ApiError> {
    let (mut text, mut entries) = (String::new(), Vec::new());
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Text(more, probable) => {
                text += &more;
                entries.extend(probable);
            }
            Piece::Done(done) => return Ok(reply.whole(&text, &entries, &done)),
            Piece::Failed(e) => return Err(e),
        }
    }
    Err(ApiError::ending())
}

/// The answer as it comes.
fn events(reply: Reply, pieces: UnboundedReceiver<Piece>) -> impl IntoResponse {
    let begin = if reply.chat {
        vec![data(&reply.role())]
    } else {
        Vec::new()
    };
    let rest = stream::unfold((reply, Some(pieces)), |(reply, pieces)| async {
        let mut pieces = pieces?;
        let (events, pieces) = match pieces.recv().await {
            Some(Piece::Text(text, entries)) => {
                (vec![data(&reply.chunk(&text, &entries))], Some(pieces))
            }
            Some(Piece::Done(done)) => {
                let mut events: Vec<sse::Event> = reply.last(&done).iter().map(data).collect();
                events.push(sse::Event::default().data("[DONE]"));
                (events, None)
            }
            // What has begun cannot become another status.
            Some(Piece::Failed(e)) => (vec![data(&e.json())], None),
            None => (vec![data(&ApiError::ending().json())], None),
        };
        Some((events, (reply, pieces)))
    });
    let all = flat(begin, rest);
    let headers = [("x-accel-buffering", "no")];
    (headers, Sse::new(all).keep_alive(KeepAlive::default()))
}

fn data(value: &Value) -> sse::Event {
    sse::Event::default().data(value.to_string())
}

/// Events one by one.
fn flat(
    begin: Vec<sse::Event>,
    rest: impl Stream<Item = Vec<sse::Event>>,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    use futures_util::StreamExt;
    stream::once(async { begin })
        .chain(rest)
        .flat_map(|events| stream::iter(events.into_iter().map(Ok)))
}
