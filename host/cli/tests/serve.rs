//! `macromac serve` and `macromac chat` as a user starts them. What the server does is tested in `host/serve`.

mod common;

#[path = "../../serve/tests/client/mod.rs"]
mod client;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use client::{get, metric, post, receive, send, text_of};
use common::{DEMO, macromac, refuses, run, s, stderr, stdout};
use serde_json::{Value, json};

const TEXT: &str = "/v1/completions";
const CHAT: &str = "/v1/chat/completions";

/// A server, ended with the test.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
    at: SocketAddr,
}

impl Server {
    fn new(args: &[&str]) -> Self {
        let mut child = macromac()
            .args([&["serve", "--port", "0"], args].concat())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let at = loop {
            let mut line = String::new();
            assert!(
                log.read_line(&mut line).unwrap() > 0,
                "no address in: {said}"
            );
            if let Some(at) = line.trim().strip_prefix("listening on http://") {
                break at.parse().unwrap();
            }
            said += &line;
        };
        let server = Server { child, log, at };
        while get(server.at, "/health").status != 200 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        server
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end; its log, and whether all was well.
    fn ended(mut self) -> (bool, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.log, &mut log).unwrap();
        (status.success(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ok(args: &[&str]) -> String {
    let o = run(args);
    assert!(o.status.success(), "{args:?}: {}", stderr(&o));
    stdout(&o)
}

/// The text of `run`, of a request, and of a stream.
#[test]
fn the_server_says_what_run_says() {
    let server = Server::new(&[]);
    for (args, fields) in [
        (&[][..], json!({})),
        (
            &["--temp", "0.9", "-s", "7"],
            json!({"temperature": 0.9, "seed": 7}),
        ),
        (
            &[
                "--temp",
                "1.2",
                "-s",
                "3",
                "--top-k",
                "40",
                "--top-p",
                "0.9",
                "--min-p",
                "0.02",
                "--repeat-penalty",
                "1.2",
            ],
            json!({"temperature": 1.2, "seed": 3, "top_k": 40, "top_p": 0.9, "min_p": 0.02, "repeat_penalty": 1.2}),
        ),
    ] {
        for prompt in ["Once upon a time", "Tom and Lily"] {
            let told = ok(&[&["run", "-p", prompt, "-n", "40"], args].concat());
            let told = told.strip_suffix('\n').unwrap();
            let mut body = fields.clone();
            (body["prompt"], body["max_tokens"]) = (json!(prompt), json!(40));
            let answer = post(server.at, TEXT, &body);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["choices"][0]["text"], told, "{args:?}");
            body["stream"] = json!(true);
            assert_eq!(
                text_of(&post(server.at, TEXT, &body).events()),
                told,
                "{args:?}"
            );
        }
    }
    assert_eq!(get(server.at, "/v1/models").json()["data"][0]["id"], "demo");
    assert_eq!(metric(server.at, "macromac_requests_processing"), 0.0);
    // This model has no template.
    let refused = post(
        server.at,
        CHAT,
        &json!({"messages": [{"role": "user", "content": "Hi"}]}),
    );
    assert_eq!(
        (refused.status, refused.error()["code"].as_str()),
        (400, Some("no_chat_template"))
    );
    assert!(
        refused.error()["message"]
            .as_str()
            .unwrap()
            .contains("--chat-template-file")
    );
    server.signal("INT");
    let (well, log) = server.ended();
    assert!(well, "{log}");
    assert!(
        log.contains("/v1/completions: answered; 4 prompt tokens"),
        "{log}"
    );
}

#[test]
fn options_of_the_command_line_are_those_of_requests_that_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, "first\n\n second \n").unwrap();
    let server = Server::new(&[
        "-m",
        DEMO,
        "-a",
        "story",
        "-c",
        "64",
        "-n",
        "9",
        "--temp",
        "0.8",
        "-s",
        "11",
        "--api-key-file",
        s(&keys),
        "--backend",
        "cpu",
    ]);
    let ask = |key: &str| {
        let header = format!("authorization: Bearer {key}");
        receive(send(
            server.at,
            "POST",
            TEXT,
            &[&header],
            r#"{"prompt": "Tom"}"#,
        ))
    };
    assert_eq!(ask("third").status, 401);
    let answer = ask("second");
    let told = ok(&[
        "run",
        "-m",
        DEMO,
        "-p",
        "Tom",
        "-n",
        "9",
        "--temp",
        "0.8",
        "-s",
        "11",
        "--backend",
        "cpu",
    ]);
    assert_eq!(
        answer.json()["choices"][0]["text"],
        told.strip_suffix('\n').unwrap()
    );
    assert_eq!(answer.json()["model"], "story");
    let props = receive(send(server.at, "GET", "/props", &["x-api-key: first"], "")).json();
    assert_eq!(props["default_generation_settings"]["n_ctx"], 64);
    assert_eq!(props["backend"], "cpu");
}

/// In the middle of a stream: it comes to its end, and so does the program.
#[test]
fn sigterm_ends_it_well() {
    let server = Server::new(&["--chat-template", "chatml"]);
    let body = json!({"messages": [{"role": "user", "content": "Tell me a long story."}], "stream": true, "ignore_eos": true});
    let mut stream = send(server.at, "POST", CHAT, &[], &body.to_string());
    // Its first event: it is worked on.
    let mut byte = [0; 600];
    std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
    server.signal("TERM");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    let rest = String::from_utf8_lossy(&rest);
    assert!(
        rest.contains("\"finish_reason\":\"length\"") && rest.contains("data: [DONE]"),
        "{rest}"
    );
    let at = server.at;
    let (well, log) = server.ended();
    assert!(well && log.contains("ending: "), "{log}");
    assert!(std::net::TcpStream::connect(at).is_err());
}

/// A conversation by a pipe: answers and nothing else on standard output, the same as the server's.
#[test]
fn chat_answers_as_the_server_does() {
    let lines = [
        "Tell me of a dog.",
        "And what did \\\nhe eat?",
        "/clear",
        "Tell me of a dog.",
    ];
    let talk = |lines: &[&str], more: &[&str]| {
        let mut child = macromac()
            .args(
                [
                    &[
                        "chat",
                        "--chat-template",
                        "chatml",
                        "--system",
                        "Be kind.",
                        "-n",
                        "16",
                    ],
                    more,
                ]
                .concat(),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input
            .write_all((lines.join("\n") + "\n").as_bytes())
            .unwrap();
        drop(input);
        let o = child.wait_with_output().unwrap();
        assert!(o.status.success(), "{}", stderr(&o));
        stdout(&o)
    };
    let server = Server::new(&["--chat-template", "chatml"]);
    let mut messages = vec![json!({"role": "system", "content": "Be kind."})];
    let mut ask = |text: &str| -> String {
        messages.push(json!({"role": "user", "content": text}));
        let answer = post(
            server.at,
            CHAT,
            &json!({"messages": messages, "max_tokens": 16}),
        )
        .json();
        let message = &answer["choices"][0]["message"];
        messages.push(json!({"role": "assistant", "content": message["content"]}));
        message["content"].as_str().unwrap().to_owned()
    };
    let (first, second) = (ask(lines[0]), ask("And what did \nhe eat?"));
    assert!(!first.is_empty());
    assert_eq!(talk(&lines, &[]), format!("{first}\n{second}\n{first}\n"));
    assert_eq!(
        talk(&["/exit", lines[0]], &["-p", lines[0], "--lookup", "7"]),
        format!("{first}\n")
    );
}

/// Qwen2.5's own template, from a folder, and its mistakes.
#[test]
fn a_models_template_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let model = common::demo_copy(dir.path());
    let path = model.join("tokenizer_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["chat_template"] = json!(include_str!("../../../tests/data/chat/instruct.jinja"));
    std::fs::write(&path, config.to_string()).unwrap();
    let image = dir.path().join("image");
    ok(&["pack", s(&model), "-o", s(&image)]);
    let server = Server::new(&["-m", s(&image)]);
    let rendered = post(
        server.at,
        "/apply-template",
        &json!({"messages": [{"role": "user", "content": "What is 2+2?"}]}),
    );
    assert_eq!(
        rendered.json()["prompt"],
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n\
         <|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n"
    );
    let answer = post(
        server.at,
        CHAT,
        &json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}),
    );
    assert_eq!(answer.status, 200);
    config["chat_template"] = json!("{% for %}");
    std::fs::write(&path, config.to_string()).unwrap();
    for verb in ["chat", "serve"] {
        refuses(
            &[verb, "-m", s(&model)],
            &["tokenizer_config.json", "chat_template", "line 1"],
        );
    }
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refuses(
        &["serve", "--port", &port],
        &["127.0.0.1", &port, "cannot listen", "--port"],
    );
    refuses(
        &["serve", "--host", "256.0.0.1", "--port", "0"],
        &["256.0.0.1", "cannot listen"],
    );
    refuses(
        &["serve", "--port", "0", "-c", "513"],
        &["-c 513", "at most 512"],
    );
    refuses(
        &["serve", "--port", "0", "--top-p", "2"],
        &["top-p", "found 2"],
    );
    refuses(&["serve", "--port", "0", "-m", "/nowhere"], &["/nowhere"]);
    refuses(
        &[
            "serve",
            "--port",
            "0",
            "--lookup",
            "3",
            "--profile",
            "paper",
        ],
        &["--lookup", "--profile kv260"],
    );
    refuses(
        &["serve", "--port", "0", "--api-key-file", "/nowhere"],
        &["/nowhere"],
    );
    refuses(
        &["serve", "--port", "0", "--chat-template-file", "/nowhere"],
        &["/nowhere"],
    );
    refuses(
        &[
            "serve",
            "--port",
            "0",
            "--backend",
            "device",
            "--device",
            "/nowhere",
        ],
        &["/nowhere"],
    );
    refuses(&["chat"], &["no chat template", "--chat-template chatml"]);
    refuses(
        &[
            "chat",
            "--chat-template",
            "chatml",
            "--temp",
            "1",
            "--lookup",
            "3",
        ],
        &["--lookup", "--temp 0"],
    );
}

/// On the simulated board: its cycles are counted, and say what they are.
#[test]
#[cfg(feature = "rtl")]
fn cycles_of_the_simulated_board_are_told() {
    let server = Server::new(&["--backend", "rtl", "--memory", "ideal", "--ps-time", "off"]);
    let answer = post(
        server.at,
        TEXT,
        &json!({"prompt": "Once upon a time", "max_tokens": 3}),
    );
    assert_eq!(answer.json()["choices"][0]["text"], ", there was");
    let cycles = answer.json()["timings"]["pl_cycles"].as_f64().unwrap();
    let of = |phase: &str| {
        metric(
            server.at,
            &format!(
                "macromac_pl_cycles_total{{kind=\"rtl-cosim\",profile=\"kv260\",phase=\"{phase}\"}}"
            ),
        )
    };
    assert!(of("prompt") > 0.0 && of("decode") > 0.0);
    assert_eq!(of("prompt") + of("decode"), cycles);
    let rate = metric(
        server.at,
        "macromac_pl_predicted_tokens_seconds{kind=\"rtl-cosim\",profile=\"kv260\"}",
    );
    assert!(
        (rate - 3.0 * 300e6 / of("decode")).abs() < 1e-6 * rate,
        "{rate}"
    );
}

/// It ends an answer, and where nothing is being said the program.
#[test]
#[cfg(feature = "rtl")]
fn ctrl_c_ends_an_answer_of_chat() {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;

    // Slow enough that an answer is not over before it is broken off.
    let mut child = macromac()
        .args([
            "chat",
            "--chat-template",
            "chatml",
            "--backend",
            "rtl",
            "--memory",
            "ideal",
            "--ps-time",
            "off",
            "-p",
            "Tell me a long story.",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut input = child.stdin.take().unwrap();
    let interrupt = |child: &Child| {
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &id])
                .status()
                .unwrap()
                .success()
        );
    };
    let mut text = vec![0; 8];
    out.read_exact(&mut text).unwrap();
    interrupt(&child);
    // Its end, far from the context's, and the answer to what is said next.
    let line = |out: &mut std::process::ChildStdout, text: &mut Vec<u8>| {
        while !text.ends_with(b"\n") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
    };
    line(&mut out, &mut text);
    assert!(text.len() < 400, "{}", String::from_utf8_lossy(&text));
    input.write_all(b"And then?\n").unwrap();
    let mut next = vec![0; 8];
    out.read_exact(&mut next).unwrap();
    interrupt(&child);
    line(&mut out, &mut next);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}
