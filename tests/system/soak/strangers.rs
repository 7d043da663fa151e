//! Those who mean no good or know no better: each gets what it deserves, and nobody else suffers.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::harness::{Connection, Request, WebSocket};

use super::LIMIT;
use super::book::{Book, Chance, Wrong};
use super::town::Door;

/// What is no request, and how it is answered.
fn malformed(host: &str) -> Vec<(String, u16)> {
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let post = |fields: &str, body: &str| {
        format!("POST /echo?whole=1 HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{body}")
    };
    vec![
        (get(""), 400),
        (get(&format!("Host: {host}\r\nHost: {host}\r\n")), 400),
        (get(&format!("Host: {host}\r\n folded: yes\r\n")), 400),
        (get(&format!("Host: {host}\r\nX: a\0b\r\n")), 400),
        (get(&format!("Host: {host}\r\nno colon\r\n")), 400),
        (get("Host: a b\r\n"), 400),
        ("GARBAGE\r\n\r\n".into(), 400),
        (format!("GET http://{host}\r\n\r\n"), 400),
        (post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400),
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
        (post("Content-Length: -1\r\n", ""), 400),
        (post("Transfer-Encoding: chunked\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n"), 400),
        (post("Transfer-Encoding: chunked\r\n", "zz\r\n"), 400),
        (format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(40_000)), 414),
        (get(&format!("Host: {host}\r\nX: {}\r\n", "x".repeat(70_000))), 431),
        (get("Host: stranger.test\r\n"), 404),
    ]
}

/// Malformed requests: refused, each with its status, however often.
pub fn malformers(book: &Book, door: &Door, chance: &mut Chance) {
    let cases = malformed(&door.host);
    while book.rest(chance.millis(50, 1000)) {
        let (bytes, status) = &cases[chance.between(0, cases.len() as u64 - 1) as usize];
        book.ask("malformed", LIMIT, |_| {
            let mut connection = Connection::open(&door.target)?;
            // Whoever refuses early may close before everything is sent.
            let _ = connection.send(bytes.as_bytes());
            let answer = connection.answer("GET")?;
            if answer.status() == *status && answer.header("x-wakedock").is_some() {
                return Ok("");
            }
            let start: String = bytes.chars().take(60).collect();
            Err(format!("{start:?} was answered {:?}", answer.head).into())
        });
    }
}

/// Begins a head and never ends it, as the first or after a request: the time for a head is its own.
pub fn stalled_head(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(1000, 5000)) {
        let behind_another = chance.one_in(2);
        book.ask("stalled head", Duration::from_secs(20), |_| {
            let mut connection = Connection::open(&door.target)?;
            if behind_another {
                connection.send(&Request::get(&door.host, "/").head())?;
            }
            connection.send(format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Half: ", door.host).as_bytes())?;
            read_to_close(&mut connection)?;
            Ok("")
        });
    }
}

/// What comes until the other side closes.
fn read_to_close(connection: &mut Connection) -> Result<Vec<u8>, Wrong> {
    connection.set_patience(LIMIT)?;
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match connection.read(&mut buffer) {
            Ok(0) => return Ok(came),
            Ok(length) => came.extend(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return Ok(came);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Goes away at every moment there is. Nothing can be said of the answer; what it leaves behind is
/// seen at the end.
pub fn goer(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(50, 800)) {
        let manner = chance.between(0, 6);
        let pause = chance.millis(0, 300);
        book.ask("goes away", LIMIT, |id| {
            let get = |path: &str| Request::get(&door.host, path).header("X-Request-ID", id).head();
            let post = Request::new("POST", &door.host, "/echo").chunked(Vec::new()).head();
            let mut connection = Connection::open(&door.target)?;
            let manner = match manner {
                0 => "without a word",
                1 => {
                    connection.send(&get("/")[..20])?;
                    "within the head"
                }
                2 => {
                    connection.send(&get("/delay?ms=1000"))?;
                    "before the answer"
                }
                3 => {
                    connection.send(&get("/bytes/3000000"))?;
                    connection.read_head()?;
                    "within the answer"
                }
                4 => {
                    connection.send(&[&post[..], b"ffff\r\nhalf a chunk"].concat())?;
                    "within the body"
                }
                5 => {
                    connection.send(&get("/sse?every=50ms"))?;
                    connection.read_head()?;
                    "within the events"
                }
                _ => {
                    let mut socket = WebSocket::connect(&door.target, &door.host, "/ws")?;
                    socket.send("and away")?;
                    std::thread::sleep(pause);
                    "within a websocket"
                }
            };
            std::thread::sleep(pause);
            Ok(manner)
        });
    }
}

const ENHANCE_YOUR_CALM: u32 = 0xB;

/// The error that a GOAWAY frame names.
fn farewell(mut frames: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _flags, rest @ ..] = frames {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(4..4 + length)?;
        if *kind == 7 {
            return Some(u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?));
        }
        frames = &rest[4 + length..];
    }
    None
}

/// Opens streams of HTTP/2 and resets each at once (CVE-2023-44487): costs the sender its
/// connection.
pub fn flood(book: &Book, door: &Door, chance: &mut Chance, every: Duration) {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = payload.len() as u32;
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    // :method GET, :scheme http and :path / are in HPACK's static table, :authority is spelled out.
    let mut fields = vec![0x82, 0x86, 0x84, 0x01, door.host.len() as u8];
    fields.extend(door.host.bytes());
    while book.rest(every.mul_f64(chance.between(50, 100) as f64 / 100.0)) {
        book.ask("flood of resets", LIMIT, |_| {
            let mut connection = Connection::open(&door.target)?;
            connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
            connection.send(&frame(4, 0, 0, &[]))?;
            for stream in (1..10_000).step_by(2) {
                let opened_and_reset =
                    [frame(1, 5, stream, &fields), frame(3, 0, stream, &8_u32.to_be_bytes())].concat();
                if connection.send(&opened_and_reset).is_err() {
                    break;
                }
            }
            Ok(match farewell(&read_to_close(&mut connection)?) {
                Some(ENHANCE_YOUR_CALM) => "ENHANCE_YOUR_CALM",
                // What was sent after the close took the farewell with it.
                None => "reset",
                Some(other) => return Err(format!("told to go for error {other}").into()),
            })
        });
    }
}
