//! Clients as they should be: keep-alive, short connections, HTTP/2, gRPC, long bodies.

use std::time::Duration;

use crate::harness::{Connection, H2Connection};

use super::LIMIT;
use super::book::{Book, Chance, Wrong};
use super::errand::{Errand, LARGEST, pattern};
use super::town::Door;

/// One connection, many requests, with pauses.
pub fn keep_alive(book: &Book, door: &Door, chance: &mut Chance) {
    while book.is_open() {
        let mut connection = None;
        for _ in 0..chance.between(1, 200) {
            let errand = Errand::any(chance);
            let right = book.ask("keep-alive", LIMIT, |id| {
                let connection = match &mut connection {
                    Some(connection) => connection,
                    None => connection.insert(Connection::open(&door.target)?),
                };
                let answer = connection.exchange(&errand.request(&door.host, id))?;
                errand.check(id, &answer)?;
                Ok("")
            });
            let pause = if chance.one_in(50) { chance.millis(1000, 5000) } else { chance.millis(10, 150) };
            if !right || !book.rest(pause) {
                break;
            }
        }
    }
}

fn once(book: &Book, kind: &'static str, door: &Door, errand: &Errand) {
    book.ask(kind, LIMIT, |id| {
        let answer = errand.request(&door.host, id).send(&door.target)?;
        errand.check(id, &answer)?;
        Ok("")
    });
}

/// A connection a request.
pub fn short(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(20, 180)) {
        once(book, "short", door, &Errand::any(chance));
    }
}

/// Stays away for long enough, now and then, that the service falls asleep, and comes back.
pub fn visitor(book: &Book, door: &Door, chance: &mut Chance, away: Duration) {
    while book.rest(away.mul_f64(chance.between(2, 100) as f64 / 100.0)) {
        for _ in 0..chance.between(1, 3) {
            once(book, door.kind, door, &Errand::any(chance));
        }
    }
}

/// Connections of four streams at once, with pauses.
pub fn http2(book: &Book, door: &Door, chance: &mut Chance) {
    while book.is_open() {
        let connection = match H2Connection::open(&door.target) {
            Ok(connection) => connection,
            Err(problem) => {
                book.ask("http2", LIMIT, |_| Err(Wrong::from(format!("no connection: {problem}"))));
                continue;
            }
        };
        let rounds = chance.between(1, 150);
        let seeds: Vec<_> = (0..4).map(|_| chance.between(1, u64::MAX - 2)).collect();
        std::thread::scope(|scope| {
            for seed in seeds {
                let connection = &connection;
                scope.spawn(move || {
                    let mut chance = Chance::seeded(seed);
                    for _ in 0..rounds {
                        let errand = Errand::any(&mut chance);
                        let right = book.ask("http2", LIMIT, |id| {
                            let answer = connection.send(errand.http2(&door.host, id)?)?;
                            errand.check(id, &answer)?;
                            Ok("")
                        });
                        if !right || !book.rest(chance.millis(20, 250)) {
                            return;
                        }
                    }
                });
            }
        });
    }
}

/// Unary calls: the message and the trailers come back.
pub fn grpc(book: &Book, door: &Door, chance: &mut Chance) {
    while book.is_open() {
        let mut connection = None;
        for _ in 0..chance.between(1, 20) {
            let count = chance.between(0, 20_000);
            let message = chance.bytes(count);
            let right = book.ask(door.kind, LIMIT, |_| {
                let connection = match &mut connection {
                    Some(connection) => connection,
                    None => connection.insert(H2Connection::open(&door.target)?),
                };
                let answer = connection.grpc(&door.host, "/soak.Echo/Unary", &message)?;
                let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
                if (answer.status(), answer.trailer("grpc-status")) != (200, Some("0")) {
                    return Err(format!("{:?} with trailers {:?}", answer.head, answer.trailers).into());
                }
                if answer.body == framed { Ok("") } else { Err("another message".into()) }
            });
            if !right || !book.rest(chance.millis(200, 6000)) {
                break;
            }
        }
    }
}

/// Chunked uploads of up to a megabyte, echoed.
pub fn upload(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(500, 2500)) {
        once(book, "upload", door, &Errand::chunked(chance, 20, 50_000));
    }
}

/// Some megabytes at full speed.
pub fn download(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(500, 4000)) {
        once(book, "download", door, &Errand::Bytes(chance.between(100_000, 4_000_000) as usize));
    }
}

/// Reads a few kilobytes, waits, reads on.
pub fn slow_reader(book: &Book, door: &Door, chance: &mut Chance) {
    use std::io::Read;
    while book.rest(chance.millis(100, 2000)) {
        let count = chance.between(1_000_000, LARGEST as u64) as usize;
        let step = count / chance.between(20, 200) as usize;
        book.ask("slow reader", 4 * LIMIT, |id| {
            let errand = Errand::Bytes(count);
            let mut connection = Connection::open(&door.target)?;
            connection.send(&errand.request(&door.host, id).head())?;
            let head = connection.read_head()?;
            if (head.status, head.header("content-length")) != (200, Some(&count.to_string())) {
                return Err(format!("{head:?}").into());
            }
            let (mut buffer, mut read) = (vec![0; step], 0);
            while read < count {
                if !book.rest(Duration::from_millis(50)) {
                    return Ok("left at the end");
                }
                let length = step.min(count - read);
                connection.read_exact(&mut buffer[..length])?;
                if buffer[..length] != *pattern(read, length) {
                    return Err(format!("another byte between {read} and {}", read + length).into());
                }
                read += length;
            }
            Ok("")
        });
    }
}

/// Writes a head in pieces, then a body chunk by chunk.
pub fn slow_writer(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(100, 2000)) {
        let chunks: Vec<_> = (0..chance.between(3, 30)).map(|_| chance.bytes(300)).collect();
        book.ask("slow writer", 4 * LIMIT, |id| {
            let errand = Errand::Chunked(Vec::new());
            let mut connection = Connection::open(&door.target)?;
            let head = errand.request(&door.host, id).head();
            for piece in head.chunks(head.len() / 8 + 1) {
                connection.send(piece)?;
                std::thread::sleep(Duration::from_millis(50));
            }
            for chunk in &chunks {
                connection.send(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                if !book.rest(Duration::from_millis(200)) {
                    return Ok("left at the end");
                }
                connection.send(&[chunk, &b"\r\n"[..]].concat())?;
            }
            connection.send(b"0\r\n\r\n")?;
            let answer = connection.answer("POST")?;
            Errand::Chunked(chunks).check(id, &answer)?;
            Ok("")
        });
    }
}
