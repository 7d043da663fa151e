//! What lasts: WebSockets, other upgrades, server-sent events.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::{Connection, Message, Request, WebSocket};

use super::LIMIT;
use super::book::{Book, Chance};
use super::town::Door;

/// One WebSocket after the other.
pub fn websockets(book: &Book, door: &Door, chance: &mut Chance, most: Duration) {
    while book.rest(chance.millis(100, 8000)) {
        websocket(book, door, chance, most);
    }
}

/// Opens a WebSocket for up to `most`, echoes now and then, and closes it, or goes away.
pub fn websocket(book: &Book, door: &Door, chance: &mut Chance, most: Duration) {
    let mut socket = None;
    book.ask("websocket opened", LIMIT, |_| {
        socket = Some(WebSocket::connect(&door.target, &door.host, "/ws")?);
        Ok("")
    });
    let Some(mut socket) = socket else { return };
    let until = Instant::now() + most.mul_f64(chance.between(5, 100) as f64 / 100.0);
    let mut right = true;
    while right && Instant::now() < until && book.rest(chance.millis(50, 1500)) {
        let count = if chance.one_in(20) { 70_000 } else { chance.between(0, 500) };
        let bytes = chance.bytes(count);
        right = book.ask("websocket message", LIMIT, |_| {
            socket.send_binary(&bytes)?;
            match socket.receive()? {
                Message::Binary(back) if back == bytes => Ok(""),
                other => Err(format!("echoed {other:?}").chars().take(200).collect::<String>().into()),
            }
        });
    }
    if right && !chance.one_in(3) {
        book.ask("websocket closed", LIMIT, |_| {
            socket.close()?;
            match socket.receive()? {
                Message::Close => Ok(""),
                other => Err(format!("{other:?} for a close").into()),
            }
        });
    }
}

/// The same over an upgrade to a protocol of plain bytes.
pub fn upgrade(book: &Book, door: &Door, chance: &mut Chance, most: Duration) {
    while book.rest(chance.millis(100, 5000)) {
        let mut connection = None;
        book.ask("upgrade", LIMIT, |id| {
            let mut opened = Connection::open(&door.target)?;
            let request = Request::get(&door.host, "/upgrade").header("X-Request-ID", id);
            let request = request.header("Connection", "Upgrade").header("Upgrade", "echo");
            let answer = opened.exchange(&request)?;
            if answer.status() != 101 {
                return Err(format!("{:?}", answer.head).into());
            }
            connection = Some(opened);
            Ok("")
        });
        let Some(mut connection) = connection else { continue };
        let until = Instant::now() + most.mul_f64(chance.between(5, 100) as f64 / 100.0);
        let mut right = true;
        while right && Instant::now() < until && book.rest(chance.millis(100, 2000)) {
            let count = chance.between(1, 10_000);
            let bytes = chance.bytes(count);
            right = book.ask("upgraded bytes", LIMIT, |_| {
                connection.send(&bytes)?;
                let mut back = vec![0; bytes.len()];
                connection.read_exact(&mut back)?;
                if back == bytes { Ok("") } else { Err("other bytes".into()) }
            });
        }
    }
}

/// Every event, in its order, to the end.
pub fn events(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(100, 3000)) {
        let count = chance.between(3, 100);
        book.ask("events", 4 * LIMIT, |id| {
            let mut connection = Connection::open(&door.target)?;
            let request = Request::get(&door.host, &format!("/sse?every=100ms&count={count}"));
            connection.send(&request.header("X-Request-ID", id).head())?;
            let head = connection.read_head()?;
            if (head.status, head.header("x-request-id")) != (200, Some(id)) {
                return Err(format!("{head:?}").into());
            }
            let mut text = Vec::new();
            while let Some(chunk) = connection.chunk()? {
                text.extend(chunk);
                if !book.is_open() {
                    return Ok("left at the end");
                }
            }
            let event = |number| format!("id: {number}\nevent: tick\ndata: {{\"tick\":{number}}}\n\n");
            let all: String = (1..=count).map(event).collect();
            if text == all.as_bytes() { Ok("") } else { Err("other events".into()) }
        });
    }
}
