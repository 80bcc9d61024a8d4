//! One after the other: who waits, who goes away, how it ends, and what a fault does.

mod client;
mod stand;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::{Answer, get, metric, post, receive, send, text_of};
use serde_json::{Value, json};
use stand::{PASSES, server, server_with};

const TEXT: &str = "/v1/completions";

fn story(n: usize, stream: bool) -> Value {
    json!({"prompt": "Once upon a time", "max_tokens": n, "stream": stream, "ignore_eos": true})
}

fn begin(at: std::net::SocketAddr, body: &Value) -> TcpStream {
    send(at, "POST", TEXT, &[], &body.to_string())
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["choices"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// At any moment: while the prompt is fed, while it streams, while an answer is made that is sent whole.
#[test]
fn who_goes_away_costs_no_more_than_a_token() {
    let server = server();
    let long = json!({"prompt": "Max liked to play. ".repeat(40), "max_tokens": 50});
    for (i, (body, before, limit)) in [
        (story(400, true), 3 * PASSES, 2 * PASSES),
        (story(400, false), 3 * PASSES, 2 * PASSES),
        // A piece of a prompt is two batches.
        (long, PASSES + 3, 4 * PASSES),
    ]
    .into_iter()
    .enumerate()
    {
        server.hand.allow(before);
        let stream = begin(server.at, &body);
        server.hand.wait_until_held();
        drop(stream);
        let submitted = server.hand.submitted();
        // One submission after the other, until it is noticed; the server has two seconds to see the connection close.
        let gone = "macromac_requests_total{result=\"cancelled\"}";
        let noticed = (0..limit).any(|_| {
            server.hand.allow(1);
            std::thread::sleep(Duration::from_millis(40));
            metric(server.at, gone) == (i + 1) as f64
        });
        assert!(
            noticed,
            "{body}: {} submissions",
            server.hand.submitted() - submitted
        );
        assert_eq!(metric(server.at, "macromac_requests_processing"), 0.0);
    }
    // Four tokens; the last of them once more; of the long prompt a piece, or two if the second was under way.
    let computed = metric(server.at, "macromac_prompt_tokens_total");
    assert!(
        [4.0 + 1.0 + 16.0, 4.0 + 1.0 + 32.0].contains(&computed),
        "{computed}"
    );
    server.hand.open();
    assert!(!text(&post(server.at, TEXT, &story(5, false))).is_empty());
    server.end().unwrap();
}

#[test]
fn who_finds_no_place_is_told_so_and_who_waits_comes_in_order() {
    let server = server_with(|c| c.limits.queue = 2);
    let want = text(&post(server.at, TEXT, &story(6, false)));
    server.hand.allow(PASSES);
    let first = begin(server.at, &story(6, false));
    server.hand.wait_until_held();
    let second = begin(server.at, &story(6, true));
    server.wait_for("macromac_requests_deferred", 1.0);
    let third = begin(server.at, &story(6, false));
    server.wait_for("macromac_requests_deferred", 2.0);
    for _ in 0..3 {
        let refused = post(server.at, TEXT, &story(6, false));
        assert_eq!(
            (refused.status, refused.error()["code"].as_str()),
            (503, Some("queue_full"))
        );
        assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    }
    assert_eq!(
        metric(server.at, "macromac_requests_total{result=\"refused\"}"),
        3.0
    );
    // The others are served meanwhile.
    assert_eq!(get(server.at, "/health").status, 200);
    // Who goes away makes room, and the device is not asked for it.
    drop(third);
    server.wait_for("macromac_requests_deferred", 1.0);
    let fourth = begin(server.at, &story(6, false));
    server.wait_for("macromac_requests_deferred", 2.0);
    server.hand.open();
    assert_eq!(text(&receive(first)), want);
    assert_eq!(text_of(&receive(second).events()), want);
    assert_eq!(text(&receive(fourth)), want);
    assert_eq!(
        metric(server.at, "macromac_requests_total{result=\"answered\"}"),
        4.0
    );
    assert_eq!(metric(server.at, "macromac_tokens_predicted_total"), 24.0);
    server.end().unwrap();
}

#[test]
fn sixteen_clients_at_once_get_their_own_answers() {
    let server = server();
    let ask = |seed: usize| {
        let body = json!({"prompt": format!("Once upon a time {} dogs", seed % 5), "max_tokens": 24, "temperature": 1.0, "seed": seed});
        text(&post(server.at, TEXT, &body))
    };
    let alone: Vec<String> = (0..16).map(ask).collect();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|seed| scope.spawn(move || ask(seed))).collect();
        for (client, want) in clients.into_iter().zip(&alone) {
            assert_eq!(&client.join().unwrap(), want);
        }
    });
    assert_eq!(
        metric(server.at, "macromac_requests_total{result=\"answered\"}"),
        32.0
    );
    server.end().unwrap();
}

/// The one that is worked on finishes, those that wait are refused, nobody new is taken.
#[test]
fn an_end_lets_an_answer_finish() {
    let server = server();
    let want = text(&post(server.at, TEXT, &story(12, false)));
    server.hand.allow(2 * PASSES);
    let first = begin(server.at, &story(12, true));
    server.hand.wait_until_held();
    let second = begin(server.at, &story(12, false));
    server.wait_for("macromac_requests_deferred", 1.0);
    let idle = TcpStream::connect(server.at).unwrap();
    server.tell();
    let refused = receive(second);
    assert_eq!(
        (refused.status, refused.error()["code"].as_str()),
        (503, Some("shutting_down"))
    );
    let at = server.at;
    assert!(TcpStream::connect(at).is_err(), "nobody new is taken");
    server.hand.open();
    assert_eq!(text_of(&receive(first).events()), want);
    server.ended().unwrap();
    drop(idle);
}

/// Told twice, or when the grace is over, it does not wait.
#[test]
fn a_second_word_or_the_end_of_patience_breaks_off() {
    for twice in [true, false] {
        let server = server_with(|c| {
            c.limits.grace = Duration::from_millis(if twice { 60_000 } else { 200 });
        });
        server.hand.allow(3 * PASSES);
        let stream = begin(server.at, &story(400, true));
        server.hand.wait_until_held();
        let whole = begin(server.at, &story(400, false));
        server.wait_for("macromac_requests_deferred", 1.0);
        server.tell();
        if twice {
            server.tell();
        }
        std::thread::sleep(Duration::from_millis(600));
        let begun = Instant::now();
        server.hand.open();
        let broken = receive(stream);
        assert_eq!(broken.status, 200);
        let data = broken.data();
        let last: Value = serde_json::from_str(data.last().unwrap()).unwrap();
        assert_eq!(last["error"]["code"], "shutting_down");
        assert!(
            !data.contains(&"[DONE]".to_owned()),
            "what broke off is not done"
        );
        assert_eq!(receive(whole).status, 503);
        server.ended().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_fault_is_one_requests_trouble() {
    let server = server();
    let want = text(&post(server.at, TEXT, &story(8, false)));
    server.hand.fail_next(false);
    let failed = post(server.at, TEXT, &json!({"prompt": "Tom", "max_tokens": 8}));
    assert_eq!(
        (failed.status, failed.error()["type"].as_str()),
        (500, Some("server_error"))
    );
    assert!(
        failed.error()["message"]
            .as_str()
            .unwrap()
            .contains("a planted fault")
    );
    let again = post(server.at, TEXT, &story(8, false));
    assert_eq!(
        again.json()["usage"]["prompt_tokens_details"]["cached_tokens"],
        0,
        "nothing is held after a fault"
    );
    assert_eq!(text(&again), want);
    assert_eq!(server.hand.resets(), 1);
    // In a stream it is an event.
    server.hand.fail_next(false);
    let data = post(server.at, TEXT, &story(8, true)).data();
    assert!(data.last().unwrap().contains("a planted fault"), "{data:?}");
    assert_eq!(
        metric(server.at, "macromac_requests_total{result=\"failed\"}"),
        2.0
    );
    // A device that does not come back ends the server, with a word.
    server.hand.fail_next(true);
    assert_eq!(post(server.at, TEXT, &story(8, false)).status, 500);
    let end = server.ended().unwrap_err().to_string();
    assert!(
        end.contains("did not come back") && end.contains("it stays broken"),
        "{end}"
    );
}

/// Connections that ask for nothing, or never finish asking, are closed; others are served meanwhile and afterwards.
#[test]
fn slow_and_oversized_requests_are_bounded() {
    let server = server_with(|c| {
        c.limits.connections = 6;
        c.limits.head = Duration::from_millis(500);
        c.limits.body = Duration::from_millis(500);
        c.limits.body_bytes = 4096;
    });
    // As many as there may be, each with a piece of a head or nothing.
    let slow: Vec<TcpStream> = (0..6)
        .map(|i| {
            let mut stream = client::connect(server.at);
            if i % 2 == 0 {
                stream
                    .write_all(b"POST /v1/completions HTTP/1.1\r\nhost: te")
                    .unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(
        get(server.at, "/health").status,
        200,
        "the seventh waits until one of them is closed"
    );
    for mut stream in slow {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 408"),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
    // A body that does not come.
    let body = client::connect(server.at);
    {
        (&body)
            .write_all(
                b"POST /v1/completions HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\n{\"pro",
            )
            .unwrap();
    }
    assert_eq!(receive(body).status, 408);
    // One that is too long, announced or in chunks.
    let long = "x".repeat(5000);
    let answer = receive(send(server.at, "POST", TEXT, &[], &long));
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(
        answer.error()["message"]
            .as_str()
            .unwrap()
            .contains("at most 4096 bytes")
    );
    let chunks = client::connect(server.at);
    {
        let head = "POST /tokenize HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = (&chunks).write_all(format!("{head}1388\r\n{long}\r\n0\r\n\r\n").as_bytes());
    }
    assert_eq!(receive(chunks).status, 413);
    // A head without end.
    let head = client::connect(server.at);
    {
        let _ = (&head)
            .write_all(format!("GET /health HTTP/1.1\r\nx: {}", "y".repeat(100_000)).as_bytes());
    }
    assert_eq!(receive(head).status, 431);
    assert_eq!(get(server.at, "/health").status, 200);
    server.end().unwrap();
}

/// What a client does not take yet waits for it, and the device does not.
#[test]
fn who_does_not_read_holds_up_nobody() {
    let server = server();
    let deaf = begin(server.at, &story(300, true));
    assert!(!text(&post(server.at, TEXT, &story(5, false))).is_empty());
    server.wait_for("macromac_requests_total{result=\"answered\"}", 2.0);
    drop(deaf);
    server.end().unwrap();
}
