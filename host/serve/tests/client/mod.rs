//! A client that does what a test wants: whole requests, and connections that break the rules.

// Each test file uses its part of this module.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The error object of an answer that must be one.
    pub fn error(&self) -> Value {
        let error = self.json()["error"].clone();
        assert!(error["message"].is_string(), "{self:?}");
        error
    }

    /// Data of the events of a stream, comments left out; the last must be `[DONE]`, which is cut off.
    pub fn events(&self) -> Vec<Value> {
        let mut data = self.data();
        assert_eq!(data.pop().as_deref(), Some("[DONE]"), "{self:?}");
        data.iter()
            .map(|d| serde_json::from_str(d).unwrap())
            .collect()
    }

    /// The same as it came.
    pub fn data(&self) -> Vec<String> {
        assert!(self.head.contains("text/event-stream"), "{self:?}");
        let lines = self.text().lines().filter_map(|l| l.strip_prefix("data: "));
        lines.map(str::to_owned).collect()
    }
}

pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .unwrap();
    stream
}

/// Sends a request and leaves the answer unread.
pub fn send(to: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> TcpStream {
    let mut stream = connect(to);
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    headers.iter().for_each(|h| head += &format!("{h}\r\n"));
    head += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
    stream
}

/// Reads to the end of a connection.
pub fn receive(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a body closes with some of it unread: what it said before is there all the same.
    let _ = stream.read_to_end(&mut bytes);
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let at = at.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..at].to_vec())
        .unwrap()
        .to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &bytes[at + 4..];
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked { joined(rest) } else { rest.to_vec() };
    Answer { status, head, body }
}

/// The chunks of a body as one.
fn joined(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
        let length = std::str::from_utf8(&rest[..at]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            break;
        }
        body.extend(&rest[at + 2..at + 2 + length]);
        rest = &rest[at + 4 + length..];
    }
    body
}

pub fn get(to: SocketAddr, path: &str) -> Answer {
    receive(send(to, "GET", path, &[], ""))
}

pub fn post(to: SocketAddr, path: &str, body: &Value) -> Answer {
    receive(send(
        to,
        "POST",
        path,
        &["content-type: application/json"],
        &body.to_string(),
    ))
}

/// A value of `/metrics`, by its name and labels as written there.
pub fn metric(to: SocketAddr, name: &str) -> f64 {
    let answer = get(to, "/metrics");
    let line = answer
        .text()
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    let value = line.unwrap_or_else(|| panic!("{name} in {}", answer.text()));
    value.parse().unwrap()
}

/// Texts of a stream's events, joined; of texts or of chats.
pub fn text_of(events: &[Value]) -> String {
    let text = |e: &Value| {
        let choice = &e["choices"][0];
        let text = choice["text"]
            .as_str()
            .or(choice["delta"]["content"].as_str());
        text.unwrap_or_default().to_owned()
    };
    events.iter().map(text).collect()
}
