//! What is answered: texts, chats, streams.

mod client;
mod stand;

use client::{metric, post, text_of};
use serde_json::{Value, json};
use stand::{encode, server, server_with};

const TEXT: &str = "/v1/completions";
const CHAT: &str = "/v1/chat/completions";

fn with(body: &Value, more: Value) -> Value {
    let mut body = body.clone();
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn a_stream_is_the_text_in_pieces() {
    let server = server();
    let chat =
        json!({"messages": [{"role": "user", "content": "Tell me of a dog."}], "max_tokens": 30});
    let text = json!({"prompt": "Once upon a time", "max_tokens": 30});
    for (path, body) in [(TEXT, text), (CHAT, chat)] {
        for more in [
            json!({}),
            json!({"temperature": 0.9, "seed": 5, "top_p": 0.9, "top_k": 50, "min_p": 0.01}),
            json!({"stop": ["the", ". "]}),
            json!({"logprobs": if path == CHAT { json!(true) } else { json!(2) }, "stop": "a l"}),
        ] {
            let body = with(&body, more);
            let whole = post(server.at, path, &body);
            assert_eq!(whole.status, 200, "{whole:?}");
            let whole = whole.json();
            let choice = &whole["choices"][0];
            let want = choice["text"]
                .as_str()
                .or(choice["message"]["content"].as_str())
                .unwrap();
            let stream = post(
                server.at,
                path,
                &with(
                    &body,
                    json!({"stream": true, "stream_options": {"include_usage": true}}),
                ),
            );
            let mut events = stream.events();
            let usage = events.pop().unwrap();
            assert_eq!(usage["choices"], json!([]));
            for key in ["prompt_tokens", "completion_tokens", "total_tokens"] {
                assert_eq!(usage["usage"][key], whole["usage"][key], "{key}");
            }
            assert!(events.iter().all(|e| e.get("usage") == Some(&Value::Null)));
            assert_eq!(text_of(&events), want, "{body}");
            let (last, before) = events.split_last().unwrap();
            assert_eq!(last["choices"][0]["finish_reason"], choice["finish_reason"]);
            assert!(
                before
                    .iter()
                    .all(|e| e["choices"][0]["finish_reason"].is_null())
            );
            assert!(
                events
                    .iter()
                    .all(|e| e["id"] == events[0]["id"] && e["model"] == "demo")
            );
            assert_ne!(events[0]["id"], whole["id"]);
            if path == CHAT {
                assert_eq!(
                    events[0]["choices"][0]["delta"],
                    json!({"role": "assistant", "content": ""})
                );
                assert_eq!(events[0]["object"], "chat.completion.chunk");
            }
            if body.get("logprobs").is_some() {
                check_logprobs(path, &whole, &events, want);
            } else {
                assert!(choice["logprobs"].is_null());
            }
        }
    }
    server.end().unwrap();
}

/// Every token whose text begins in the answer has its probability, in a stream as well.
fn check_logprobs(path: &str, whole: &Value, events: &[Value], text: &str) {
    let of = |answer: &Value| -> Vec<(String, f64)> {
        let p = &answer["choices"][0]["logprobs"];
        if path == CHAT {
            let list = p["content"].as_array().cloned().unwrap_or_default();
            list.iter()
                .map(|t| {
                    (
                        t["token"].as_str().unwrap().into(),
                        t["logprob"].as_f64().unwrap(),
                    )
                })
                .collect()
        } else {
            let list = p["tokens"].as_array().cloned().unwrap_or_default();
            let tokens = list.iter().map(|t| t.as_str().unwrap().to_owned());
            tokens
                .zip(
                    p["token_logprobs"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|l| l.as_f64().unwrap()),
                )
                .collect()
        }
    };
    let tokens = of(whole);
    let streamed: Vec<_> = events.iter().flat_map(of).collect();
    assert_eq!(tokens, streamed);
    assert!(
        tokens.iter().all(|(_, l)| (-30.0..=0.0).contains(l)),
        "{tokens:?}"
    );
    let joined: String = tokens.iter().map(|(t, _)| t.as_str()).collect();
    assert!(
        joined.starts_with(text) && !text.is_empty(),
        "{joined:?}, {text:?}"
    );
    if path == TEXT {
        let p = &whole["choices"][0]["logprobs"];
        let offsets: Vec<u64> = p["text_offset"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o.as_u64().unwrap())
            .collect();
        assert_eq!(offsets[..2], [0, tokens[0].0.chars().count() as u64]);
        // Greedy: the chosen one is the most probable.
        let top = p["top_logprobs"][0].as_object().unwrap();
        assert_eq!(top.len(), 2);
        assert_eq!(top[&tokens[0].0].as_f64(), Some(tokens[0].1));
        assert!(top.values().all(|l| l.as_f64().unwrap() <= tokens[0].1));
    }
}

/// Tokens of a few bytes of a character each; a stop string that begins in one token and ends in another.
#[test]
fn what_is_not_certain_is_held_back() {
    let server = server();
    let script = "A\u{20ac}\u{1f642}\u{e9} dog STOP here";
    let tokens = encode(script);
    let ask = |more: Value| {
        server.hand.script(&tokens);
        let body = with(
            &json!({"prompt": "Tom", "max_tokens": tokens.len(), "stream": true, "ignore_eos": true}),
            more,
        );
        post(server.at, TEXT, &body).events()
    };
    let events = ask(json!({}));
    assert_eq!(text_of(&events), script);
    assert!(events.iter().all(|e| {
        !e["choices"][0]["text"]
            .as_str()
            .unwrap()
            .contains('\u{fffd}')
    }));
    // The end of the tokens in the middle of a character.
    let two = encode("\u{20ac}").len() - 1;
    assert!(two > 0, "a character of several tokens");
    let cut = ask(json!({"max_tokens": 1 + two}));
    assert_eq!(text_of(&cut), "A\u{fffd}");
    for (stop, want) in [
        ("STOP", "A\u{20ac}\u{1f642}\u{e9} dog "),
        ("\u{e9} d", "A\u{20ac}\u{1f642}"),
        ("STOP there", script),
        // What might have become one, at the end.
        ("here and", script),
    ] {
        let events = ask(json!({"stop": stop}));
        assert_eq!(text_of(&events), want, "{stop}");
        let reason = if want == script { "length" } else { "stop" };
        assert_eq!(
            events.last().unwrap()["choices"][0]["finish_reason"],
            reason,
            "{stop}"
        );
        // No event gave out a beginning of the stop string that was taken back.
        let begun: String = events
            .iter()
            .map(|e| e["choices"][0]["text"].as_str().unwrap())
            .collect();
        assert!(!(reason == "stop" && begun.contains(stop)));
    }
    server.end().unwrap();
}

#[test]
fn a_chat_ends_with_its_message_and_goes_on_from_the_cache() {
    let server = server();
    let end = encode("<|im_end|>");
    assert_eq!(end.len(), 1);
    let mut messages = vec![
        json!({"role": "developer", "content": "Be kind."}),
        json!({"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}]}),
    ];
    let mut cached = 0;
    for turn in 0..3 {
        let said = encode(" Hello, Tom.");
        let script = [&said[..], &end].concat();
        let ask = |reuse: bool| {
            server.hand.script(&script);
            let answer = post(
                server.at,
                CHAT,
                &json!({"messages": messages, "cache_prompt": reuse}),
            );
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        };
        let answer = ask(true);
        assert_eq!(answer["choices"][0]["message"]["content"], " Hello, Tom.");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert_eq!(answer["usage"]["completion_tokens"], said.len());
        let now = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap();
        assert!(
            turn == 0 || now > cached,
            "turn {turn}: {now} after {cached}"
        );
        cached = now;
        // The template, by the prompt's tokens.
        let rendered = post(server.at, "/apply-template", &json!({"messages": messages})).json();
        let rendered = rendered["prompt"].as_str().unwrap();
        assert!(
            rendered.starts_with(
                "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n"
            ),
            "{rendered}"
        );
        assert_eq!(answer["usage"]["prompt_tokens"], encode(rendered).len());
        let without = ask(false);
        assert_eq!(
            without["usage"]["prompt_tokens_details"]["cached_tokens"],
            0
        );
        assert_eq!(
            without["choices"][0]["message"],
            answer["choices"][0]["message"]
        );
        messages.push(json!({"role": "assistant", "content": " Hello, Tom."}));
        messages.push(json!({"role": "user", "content": "And now?"}));
    }
    assert!(metric(server.at, "macromac_prompt_tokens_reused_total") >= cached as f64);
    server.end().unwrap();
}

#[test]
fn limits_of_tokens_are_kept() {
    let server = server_with(|c| (c.context, c.predict) = (40, Some(20)));
    let ask = |prompt: usize, more: Value| {
        let body = with(
            &json!({"prompt": vec![421; prompt], "ignore_eos": true}),
            more,
        );
        let answer = post(server.at, TEXT, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        assert_eq!(json["choices"][0]["finish_reason"], "length");
        json["usage"]["completion_tokens"].as_u64().unwrap()
    };
    assert_eq!(ask(4, json!({})), 20, "the server's");
    assert_eq!(ask(4, json!({"max_tokens": -1})), 20);
    assert_eq!(ask(4, json!({"max_tokens": 7})), 7, "the request's");
    assert_eq!(
        ask(4, json!({"max_completion_tokens": 3, "max_tokens": 7})),
        3
    );
    assert_eq!(ask(4, json!({"n_predict": 0})), 0);
    assert_eq!(
        ask(30, json!({})),
        11,
        "the context's: the last token is not fed"
    );
    assert_eq!(ask(40, json!({})), 1);
    let long = post(server.at, TEXT, &json!({"prompt": vec![421; 41]}));
    assert_eq!(
        (long.status, long.error()["code"].as_str()),
        (413, Some("context_length_exceeded")),
        "{long:?}"
    );
    assert!(
        long.error()["message"]
            .as_str()
            .unwrap()
            .contains("at most 40 tokens")
    );
    server.end().unwrap();
}
