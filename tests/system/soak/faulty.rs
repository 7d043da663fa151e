//! Visitors of services with faults: only what is specified may come, and it always comes.

use std::io::Read;

use crate::harness::{Connection, Request};

use super::LIMIT;
use super::book::{Book, Came, Chance};
use super::town::Door;

/// What the answer is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Right(&'static [u8]),
    /// This status, for this reason.
    Refused(u16, &'static str),
    /// A head, and a body that is seen to be cut short.
    Cut,
}

/// Asks on a connection of its own; one that is closed before the head of an answer is a loss.
fn fetch(door: &Door, request: &Request) -> std::io::Result<(u16, Option<String>, std::io::Result<Vec<u8>>)> {
    let mut connection = Connection::open(&door.target)?;
    connection.set_patience(LIMIT)?;
    connection.send(&request.head())?;
    let head = connection.read_head()?;
    let reason = head.header("x-wakedock").map(str::to_owned);
    let mut body = Vec::new();
    let read = if head.header("transfer-encoding").is_some() {
        loop {
            match connection.chunk() {
                Ok(Some(chunk)) => body.extend(chunk),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        }
    } else {
        let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        body.resize(length, 0);
        connection.read_exact(&mut body)
    };
    Ok((head.status, reason, read.map(|()| body)))
}

fn want(door: &Door, id: &str, path: &str, wanted: Wanted) -> Came {
    let request = Request::get(&door.host, path).header("X-Request-ID", id);
    let (status, reason, body) = fetch(door, &request)?;
    let right = match (wanted, &body) {
        (Wanted::Right(right), Ok(body)) => (status, reason.is_none()) == (200, true) && body == right,
        (Wanted::Refused(code, why), Ok(_)) => (status, reason.as_deref()) == (code, Some(why)),
        (Wanted::Cut, Err(_)) => status == 200,
        _ => false,
    };
    if right {
        return Ok("");
    }
    let body = body.map(|body| String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned());
    Err(format!("{path} was answered {status} {reason:?} {body:?}").into())
}

/// An upstream's every fault is a 502 or a cut answer, and the next request is served.
pub fn rough(book: &Book, door: &Door, chance: &mut Chance) {
    const BAD: Wanted = Wanted::Refused(502, "upstream-error");
    const FINE: (&str, Wanted) = ("/fine", Wanted::Right(b"fine\n"));
    let cases = [
        ("/garbage", BAD),
        ("/lengths", BAD),
        ("/fields", BAD),
        ("/interim", BAD),
        ("/nothing", BAD),
        ("/cut", Wanted::Cut),
        ("/chunks", Wanted::Cut),
        ("/silent", Wanted::Refused(504, "upstream-timeout")),
        FINE,
    ];
    while book.rest(chance.millis(100, 1500)) {
        let (path, wanted) = cases[chance.between(0, cases.len() as u64 - 1) as usize];
        book.ask("upstream's fault", LIMIT, |id| want(door, id, path, wanted));
        book.ask("after a fault", LIMIT, |id| want(door, id, FINE.0, FINE.1));
    }
}

/// The same faults of single requests to an application that serves others meanwhile.
pub fn among_others(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(500, 3000)) {
        let (path, wanted) = match chance.between(0, 2) {
            0 => ("/close", Wanted::Refused(502, "upstream-error")),
            1 => ("/reset", Wanted::Refused(502, "upstream-error")),
            _ => ("/half", Wanted::Cut),
        };
        book.ask("fault among others", LIMIT, |id| want(door, id, path, wanted));
    }
}

/// A service whose application ends at any moment: right, or refused for a reason of its own.
pub fn crashing(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(50, 1500)) {
        let count = chance.between(0, 50_000) as usize;
        let path = if chance.one_in(3) { "/delay?ms=400".to_owned() } else { format!("/bytes/{count}") };
        book.ask("crashing service", 3 * LIMIT, |id| {
            let request = Request::get(&door.host, &path).header("X-Request-ID", id);
            let (status, reason, body) = fetch(door, &request)?;
            Ok(match (status, reason.as_deref(), &body) {
                (200, None, Ok(body)) if path.starts_with("/delay") && body == b"after a delay\n" => "200",
                (200, None, Ok(body)) if body == super::errand::pattern(0, count) => "200",
                (200, None, Err(_)) => "cut",
                (502, Some("upstream-error"), Ok(_)) => "502",
                (503, Some("failed" | "backing-off" | "engine-unavailable"), Ok(_)) => "503",
                (504, Some("hold-timeout" | "upstream-timeout"), Ok(_)) => "504",
                _ => return Err(format!("{path} was answered {status} {reason:?}").into()),
            })
        });
    }
}

/// A service that never becomes healthy: refused within the time that a wake may take.
pub fn never_healthy(book: &Book, door: &Door, chance: &mut Chance) {
    while book.rest(chance.millis(200, 5000)) {
        book.ask("never healthy", LIMIT, |id| {
            let request = Request::get(&door.host, "/").header("X-Request-ID", id);
            let (status, reason, _) = fetch(door, &request)?;
            Ok(match (status, reason.as_deref()) {
                (503, Some("failed")) => "failed",
                (503, Some("backing-off")) => "backing-off",
                // A cut of Docker's socket that lasts as long as this wake may.
                (503, Some("engine-unavailable")) => "engine-unavailable",
                _ => return Err(format!("answered {status} {reason:?}").into()),
            })
        });
    }
}
