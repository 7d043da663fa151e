//! What connections cost: idle ones, readers that do not read, uploads that nobody takes. Only
//! WakeDock's own memory counts; what the kernel holds for a socket is bounded by the kernel.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::{App, Connection, Frames, Request, USUAL, WIDE, WakeDock, alone, eventually, narrow};

/// An idle connection may cost so much, in bytes.
const IDLE: u64 = 20 * 1024;
/// One over HTTP/2 may cost so much: h2's own buffers are the most of it, and stay.
const IDLE_HTTP2: u64 = 32 * 1024;
/// One whose client or upstream does not read may cost so much.
const STUCK: u64 = 128 * 1024;

const HOST: &str = "memory.test";
const LARGE: &str = "/bytes/1000000000";

struct Measured {
    dock: WakeDock,
    _app: App,
}

impl Measured {
    fn new() -> Self {
        let app = App::builder("memory").create();
        let dock = WakeDock::builder()
            .service(
                json!({ "name": "memory", "hosts": [HOST], "container": app.name(), "port": app.port() }),
            )
            .start();
        let measured = Self { dock, _app: app };
        assert_eq!(measured.dock.get(HOST, "/").status(), 200);
        measured
    }

    /// Resident memory when it has come to rest, without pages of code: they come and go.
    fn at_rest(&self) -> u64 {
        let mut before = self.dock.anonymous_kb();
        eventually(Duration::from_secs(20), "its memory comes to rest", || {
            std::thread::sleep(Duration::from_millis(500));
            let now = self.dock.anonymous_kb();
            let rests = now.abs_diff(before) < 64;
            before = now;
            rests.then_some(now)
        })
    }

    /// Has `count` connections made: what each of them costs, in bytes.
    fn cost<T>(&self, what: &str, count: usize, bound: u64, mut make: impl FnMut() -> T) {
        // What the first ones of their kind need is not needed again.
        let first: Vec<T> = (0..5).map(|_| make()).collect();
        let before = self.at_rest();
        let made: Vec<T> = (0..count).map(|_| make()).collect();
        // What was needed for a moment is given back within seconds.
        std::thread::sleep(Duration::from_secs(5));
        let after = self.at_rest();
        let each = after.saturating_sub(before) * 1024 / count as u64;
        eprintln!("figure: {what}: {before} kB, with {count} {after} kB: {each} bytes each");
        assert!(each < bound, "{what}: {each} bytes each");
        assert_eq!(self.dock.get(HOST, "/").status(), 200);
        drop((first, made));
    }
}

#[test]
fn an_idle_connection_costs_less_than_20_kib() {
    let _turn = alone();
    let measured = Measured::new();
    let target = measured.dock.proxy();
    measured.cost("idle HTTP/1 connections", 2000, IDLE, || {
        let mut connection = Connection::open(&target).unwrap();
        assert_eq!(connection.exchange(&Request::get(HOST, "/bytes/1000")).unwrap().body.len(), 1000);
        connection
    });
    let measured = Measured::new();
    let target = measured.dock.proxy();
    measured.cost("idle HTTP/2 connections", 2000, IDLE_HTTP2, || {
        let mut frames = Frames::new(narrow(&target).unwrap(), WIDE).unwrap();
        frames.get(1, HOST, "/bytes/1000").unwrap();
        assert_eq!(frames.answer(1).unwrap(), 1000);
        frames
    });
}

/// A connection that was idle, has carried a large upload and a large answer, and is idle again.
#[test]
fn an_idle_connection_costs_no_more_for_what_it_has_carried() {
    let _turn = alone();
    let measured = Measured::new();
    let target = measured.dock.proxy();
    let body = vec![b'x'; 1_000_000];
    measured.cost("idle HTTP/1 connections after a megabyte each way", 200, IDLE, || {
        let mut connection = Connection::open(&target).unwrap();
        let answer = connection.exchange(&Request::post(HOST, "/echo", body.clone())).unwrap();
        assert_eq!(answer.body.len(), body.len());
        connection
    });
}

#[test]
fn a_reader_that_does_not_read_costs_less_than_128_kib() {
    let _turn = alone();
    let measured = Measured::new();
    let target = measured.dock.proxy();
    measured.cost("HTTP/1 readers that do not read a gigabyte", 50, STUCK, || {
        let mut stream = narrow(&target).unwrap();
        stream.write_all(&Request::get(HOST, LARGE).head()).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
    });
    let measured = Measured::new();
    let target = measured.dock.proxy();
    for (window, what) in [(USUAL, "open no window"), (WIDE, "do not read")] {
        measured.cost(&format!("HTTP/2 readers of a gigabyte that {what}"), 50, STUCK, || {
            let mut frames = Frames::new(narrow(&target).unwrap(), window).unwrap();
            frames.get(1, HOST, LARGE).unwrap();
            frames.stream().read_exact(&mut [0; 100]).unwrap();
            frames
        });
    }
}

/// Writes until nobody takes any more: how much was taken.
fn push(mut write: impl FnMut() -> std::io::Result<usize>) -> usize {
    let mut pushed = 0;
    loop {
        match write() {
            Ok(bytes) => pushed += bytes,
            Err(full) if full.kind() == std::io::ErrorKind::WouldBlock => return pushed,
            Err(broken) => panic!("{broken}"),
        }
        assert!(pushed < 100_000_000, "somebody takes it all");
    }
}

fn impatient(stream: &TcpStream) {
    stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
}

/// An upload to an application that reads none of it.
#[test]
fn an_upload_that_nobody_takes_costs_less_than_128_kib() {
    let _turn = alone();
    let measured = Measured::new();
    let target = measured.dock.proxy();
    let deaf = "/delay?ms=600000";
    let mut taken = 0;
    measured.cost("HTTP/1 uploads that nobody takes", 50, STUCK, || {
        let mut stream = narrow(&target).unwrap();
        impatient(&stream);
        let head = format!("POST {deaf} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        taken = push(|| stream.write(&[b'x'; 16 * 1024]));
        stream
    });
    eprintln!("figure: {taken} bytes of the last one are in the sockets");
    let measured = Measured::new();
    let target = measured.dock.proxy();
    measured.cost("HTTP/2 uploads that nobody takes", 50, STUCK, || {
        let mut frames = Frames::new(narrow(&target).unwrap(), USUAL).unwrap();
        impatient(frames.stream());
        frames.post(1, HOST, deaf).unwrap();
        for _ in 0..frames.granted() / 16_384 {
            frames.data(1, 16_384).unwrap();
        }
        frames
    });
}
