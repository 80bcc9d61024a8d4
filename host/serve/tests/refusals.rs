//! What is refused, and paths.

mod client;
mod stand;

use client::{get, post, receive, send};
use serde_json::json;
use stand::{encode, server, server_with};

const TEXT: &str = "/v1/completions";
const CHAT: &str = "/v1/chat/completions";

#[test]
fn what_is_wrong_is_named() {
    let server = server();
    let user = json!([{"role": "user", "content": "Hi"}]);
    let text = json!({"prompt": "Tom", "max_tokens": 1});
    let chat = json!({"messages": user, "max_tokens": 1});
    for (field, values) in [
        (
            "temperature",
            vec![json!(-0.1), json!("hot"), json!(1e60), json!([])],
        ),
        ("top_p", vec![json!(0), json!(1.5), json!(true)]),
        ("min_p", vec![json!(-1), json!(2)]),
        ("top_k", vec![json!(1.5), json!(-2), json!("all")]),
        ("repeat_penalty", vec![json!(0), json!(-1)]),
        ("repetition_penalty", vec![json!(0)]),
        ("seed", vec![json!(-2), json!(0.5), json!("x")]),
        (
            "max_tokens",
            vec![json!(-2), json!(2.5), json!("many"), json!({})],
        ),
        ("max_completion_tokens", vec![json!(-7)]),
        (
            "stop",
            vec![
                json!(""),
                json!([""]),
                json!(5),
                json!(vec!["x"; 17]),
                json!(["a", null]),
                json!("x".repeat(1025)),
            ],
        ),
        ("stream", vec![json!("yes"), json!(1)]),
        (
            "stream_options",
            vec![json!({"include_usage": true}), json!(5)],
        ),
        ("cache_prompt", vec![json!("no")]),
        ("ignore_eos", vec![json!(0)]),
        ("n", vec![json!(2), json!(0), json!("one")]),
        ("best_of", vec![json!(2)]),
        ("presence_penalty", vec![json!(0.5)]),
        ("frequency_penalty", vec![json!(-0.5)]),
        ("logit_bias", vec![json!({"5": 1})]),
        ("tools", vec![json!([{"type": "function"}])]),
        ("response_format", vec![json!({"type": "json_object"})]),
        ("grammar", vec![json!("root ::= x")]),
        ("echo", vec![json!(true)]),
    ] {
        for value in values {
            for (path, body) in [(TEXT, &text), (CHAT, &chat)] {
                let mut body = body.clone();
                body[field] = value.clone();
                if field == "max_completion_tokens" {
                    body.as_object_mut().unwrap().remove("max_tokens");
                }
                let answer = post(server.at, path, &body);
                assert_eq!(answer.status, 400, "{path} {field} {value}: {answer:?}");
                let error = answer.error();
                assert_eq!(error["param"], field, "{path} {value}: {error}");
                assert_eq!(error["type"], "invalid_request_error");
                let message = error["message"].as_str().unwrap();
                assert!(message.starts_with(field), "{message}");
                assert!(
                    message.contains("found") || message.contains("expected"),
                    "{message}"
                );
            }
        }
    }
    for (path, body, param, word) in [
        (TEXT, json!({}), "prompt", "found nothing"),
        (TEXT, json!({"prompt": null}), "prompt", "found nothing"),
        (TEXT, json!({"prompt": ""}), "prompt", "at least one token"),
        (TEXT, json!({"prompt": []}), "prompt", "at least one token"),
        (TEXT, json!({"prompt": ["a", "b"]}), "prompt", "one text"),
        (TEXT, json!({"prompt": [1, -1]}), "prompt", "token ids"),
        (TEXT, json!({"prompt": [1, 2048]}), "prompt", "2048"),
        (TEXT, json!({"prompt": {"a": 1}}), "prompt", "one text"),
        (
            TEXT,
            json!({"prompt": "a", "logprobs": 21}),
            "logprobs",
            "0 to 20",
        ),
        (CHAT, json!({}), "messages", "found nothing"),
        (CHAT, json!({"messages": []}), "messages", "at least one"),
        (CHAT, json!({"messages": "Hi"}), "messages", "list"),
        (CHAT, json!({"messages": ["Hi"]}), "messages[0]", "object"),
        (
            CHAT,
            json!({"messages": [{"content": "Hi"}]}),
            "messages[0].role",
            "user",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "tool", "content": "Hi"}]}),
            "messages[0].role",
            "tool",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user"}]}),
            "messages[0].content",
            "text",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": 5}]}),
            "messages[0].content",
            "5",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0]",
            "text alone",
        ),
        (
            CHAT,
            json!({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]}),
            "messages[0].tool_calls",
            "not supported",
        ),
        (
            CHAT,
            json!({"messages": user, "top_logprobs": 3}),
            "top_logprobs",
            "logprobs",
        ),
        (
            CHAT,
            json!({"messages": user, "logprobs": true, "top_logprobs": 30}),
            "top_logprobs",
            "20",
        ),
        (
            CHAT,
            json!({"messages": user, "stream": true, "stream_options": {"include_usage": 1}}),
            "stream_options.include_usage",
            "true or false",
        ),
        ("/tokenize", json!({}), "content", "found nothing"),
        ("/tokenize", json!({"content": 5}), "content", "text"),
        ("/detokenize", json!({"tokens": ["a"]}), "tokens", "ids"),
        (
            "/detokenize",
            json!({"tokens": [1, 2048]}),
            "tokens",
            "2048",
        ),
        (
            "/apply-template",
            json!({"messages": 1}),
            "messages",
            "list",
        ),
    ] {
        let answer = post(server.at, path, &body);
        let error = answer.error();
        assert_eq!(
            (answer.status, error["param"].as_str()),
            (400, Some(param)),
            "{path} {body}: {error}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(word),
            "{path} {body}: {error}"
        );
    }
    for body in [
        "",
        "{",
        "5",
        "[]",
        "\u{1}",
        "{\"prompt\": \"\\ud800\"}",
        &"[".repeat(10_000),
    ] {
        let answer = receive(send(server.at, "POST", TEXT, &[], body));
        assert_eq!(answer.status, 400, "{body:.20}: {answer:?}");
        assert!(
            answer.error()["message"]
                .as_str()
                .unwrap()
                .contains("JSON object")
        );
    }
    // What asks for nothing is let pass, and what nobody knows, too.
    let neutral = json!({"n": 1, "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": {}, "tools": [], "response_format": {"type": "text"}, "user": "me",
        "model": "gpt-4", "stop": null, "temperature": null, "max_tokens": 2.0, "seed": -1, "top_k": -1, "unheard_of": [1]});
    for (path, mut body) in [(TEXT, text), (CHAT, chat)] {
        let fields = neutral.as_object().unwrap();
        fields.iter().for_each(|(name, v)| body[name] = v.clone());
        let answer = post(server.at, path, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server.end().unwrap();
}

#[test]
fn paths_methods_and_models() {
    let server = server();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", TEXT, 405),
        ("POST", "/health", 405),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/models/gpt-4", 404),
        ("GET", "/v1/models/demo", 200),
        ("GET", "/v1/health", 200),
        ("GET", "/models", 200),
    ] {
        let answer = receive(send(server.at, method, path, &[], ""));
        assert_eq!(answer.status, status, "{method} {path}");
        if status != 200 {
            assert_eq!(answer.error()["type"], "invalid_request_error");
        }
    }
    let models = get(server.at, "/v1/models").json();
    assert_eq!(models["data"][0]["id"], "demo");
    assert_eq!(models["data"][0]["meta"]["n_ctx"], 512);
    assert_eq!(get(server.at, "/health").json(), json!({"status": "ok"}));
    let props = get(server.at, "/props").json();
    assert_eq!(props["default_generation_settings"]["n_ctx"], 512);
    assert!(
        props["chat_template"]
            .as_str()
            .unwrap()
            .contains("im_start")
    );
    let text = "Caf\u{e9}<|im_end|>";
    let tokens = post(server.at, "/tokenize", &json!({"content": text})).json()["tokens"].clone();
    assert_eq!(tokens, json!(encode(text)));
    assert_eq!(
        post(server.at, "/detokenize", &json!({"tokens": tokens})).json()["content"],
        text
    );
    let pieces = post(
        server.at,
        "/tokenize",
        &json!({"content": "Once upon", "with_pieces": true}),
    )
    .json();
    assert_eq!(
        pieces["tokens"],
        json!([{"id": 421, "piece": "Once"}, {"id": 431, "piece": " upon"}])
    );
    server.end().unwrap();
}

#[test]
fn without_a_key_there_is_no_answer() {
    let server = server_with(|c| c.api_keys = vec!["sesame".into(), "other".into()]);
    for (header, status) in [
        ("x-nothing: 1", 401),
        ("authorization: Bearer sesam", 401),
        ("authorization: Bearer sesame2", 401),
        ("authorization: Bearer ", 401),
        ("authorization: sesame", 401),
        ("authorization: Basic sesame", 401),
        ("x-api-key: nothing", 401),
        ("authorization: Bearer sesame", 200),
        ("authorization: bearer other", 200),
        ("x-api-key: other", 200),
    ] {
        for (method, path) in [
            ("GET", "/v1/models"),
            ("GET", "/metrics"),
            ("GET", "/props"),
            ("POST", TEXT),
            ("POST", "/tokenize"),
        ] {
            let body = r#"{"prompt": "a", "content": "a", "max_tokens": 1}"#;
            let answer = receive(send(server.at, method, path, &[header], body));
            assert_eq!(answer.status, status, "{header} {path}");
            if status == 401 {
                assert_eq!(answer.error()["code"], "invalid_api_key");
                assert!(
                    answer.head.contains("www-authenticate: bearer"),
                    "{}",
                    answer.head
                );
            }
        }
    }
    assert_eq!(
        get(server.at, "/health").status,
        200,
        "for who watches the server"
    );
    server.end().unwrap();
}
