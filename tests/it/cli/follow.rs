//! What goes on, against a daemon whose connections end in every way.

#![allow(clippy::disallowed_methods, reason = "the real program lives in real time")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::daemon::Daemon;
use super::running::{Running, ends};
use super::wakedock;

const LOG: &str = "GET /api/v1/services/a/logs?tail=200";
const EVENTS: &str = "GET /api/v1/events";
const PAST: &str = "GET /api/v1/events?limit=50";

fn on(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = wakedock(arguments);
    command.args(["--config", &daemon.config()]);
    command
}

fn lines(lines: &[(u64, &str)]) -> String {
    lines.iter().map(|(id, line)| format!("id: {id}\ndata: {line}\n\n")).collect()
}

fn happened(id: u64) -> String {
    let event = json!({ "id": id, "kind": "engine", "connected": true });
    format!("id: {id}\nevent: engine\ndata: {event}\n\n")
}

/// A daemon that lets nobody in any more: whoever follows ends with it.
fn lets_nobody_in(daemon: Daemon, call: &str) -> Daemon {
    daemon.says(call, 401, &json!({ "title": "The token is not good, or not any more" }))
}

/// The places from which a call was gone on, one a request.
fn places(daemon: &Daemon, call: &str) -> Vec<Option<String>> {
    let asked = daemon.asked();
    let calls = asked.iter().filter(|asked| asked.starts_with(&format!("{call} HTTP/1.1\r\n")));
    calls
        .map(|head| head.lines().find_map(|line| line.strip_prefix("last-event-id: ")).map(str::to_owned))
        .collect()
}

fn place(id: &str) -> Option<String> {
    Some(id.to_owned())
}

#[test]
fn a_log_is_gone_on_with_where_it_broke() {
    let cut = "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
               15\r\nid: 14\ndata: three\n\n\n\r\nff\r\nid: 15\ndata: fo";
    let daemon = Daemon::new()
        .streams(LOG, &lines(&[(11, "one"), (12, ""), (13, "two")]), false)
        .says(LOG, 503, &json!({ "title": "Starting" }))
        .says(LOG, 429, &json!({ "title": "Too many streams are open" }))
        // Made anew at this moment.
        .says(LOG, 409, &json!({ "title": "The service has no container" }))
        .says_exactly(LOG, cut)
        .streams(LOG, &lines(&[(15, "four")]), false);
    let daemon = lets_nobody_in(daemon, LOG);
    let (code, out, err) = Running::new(on(&daemon, &["logs", "a", "-f"])).ended();
    assert_eq!(out, "one\n\ntwo\nthree\nfour\n", "each once");
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with(
            "note: Starting; trying again\nnote: WakeDock answers again\nerror: The token is not good"
        ),
        "said once, and not where nothing was away: {err}"
    );
    assert!(err.contains("\n  mend   give a token by `--token-file FILE`"), "{err}");
    let expected = [None, place("13"), place("13"), place("13"), place("13"), place("14"), place("15")];
    assert_eq!(places(&daemon, LOG), expected);
}

#[test]
fn a_service_that_is_gone_for_good_ends_its_log() {
    let gone = json!({ "title": "There is no such service" });
    let daemon = Daemon::new().says(LOG, 404, &gone);
    let (code, _, err) = Running::new(on(&daemon, &["logs", "a", "-f"])).ended();
    assert_eq!(code, Some(1), "at once, where it was never there");
    assert!(err.starts_with("error: There is no such service\n"), "{err}");
}

#[test]
fn events_come_once_from_the_past_from_the_stream_and_after_a_break() {
    let event = |id: u64| json!({ "id": id, "kind": "engine", "connected": true });
    let daemon = Daemon::new()
        .says(PAST, 200, &json!({ "items": [event(7), event(6)], "next": null }))
        .streams(EVENTS, &format!("id: 5\n\n{}{}{}", happened(6), happened(7), happened(8)), false)
        // Nothing happened: the place is the one before.
        .streams(EVENTS, "id: 8\n\n", false)
        .streams(EVENTS, &format!("id: 8\n\n{}", happened(9)), false)
        // Another store, from a backup: its numbers are lower.
        .streams(EVENTS, &format!("id: 2\n\n{}", happened(3)), false);
    let daemon = lets_nobody_in(daemon, EVENTS);
    let (code, out, err) = Running::new(on(&daemon, &["events", "-f", "--json"])).ended();
    let ids: Vec<u64> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [6, 7, 8, 9, 3], "{out}");
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(places(&daemon, EVENTS), [None, place("8"), place("8"), place("9"), place("3")]);
}

/// Before anything had happened there was no number to go on after, and what happened while the
/// connection was away was not told.
#[test]
fn a_break_before_the_first_event_loses_none() {
    let daemon = Daemon::new().streams(EVENTS, "id: 41\n\n", false).streams(EVENTS, &happened(42), false);
    let daemon = lets_nobody_in(daemon, EVENTS);
    let (_, out, _) = Running::new(on(&daemon, &["events", "-f", "-n", "0"])).ended();
    assert_eq!(out.lines().count(), 1, "{out}");
    assert_eq!(places(&daemon, EVENTS), [None, place("41"), place("42")]);
}

#[test]
fn events_of_one_service_are_asked_for_as_that() {
    let call = "GET /api/v1/events?service=a";
    let daemon = Daemon::new().says("GET /api/v1/services/a/events?limit=1", 200, &json!({ "items": [] }));
    let daemon = lets_nobody_in(daemon.streams(call, "id: 1\n\n", false), call);
    let (_, out, _) = Running::new(on(&daemon, &["events", "a", "-f", "-n", "0"])).ended();
    assert_eq!(out, "");
    assert_eq!(places(&daemon, call), [None, place("1")]);
}

fn house(services: &str) -> Daemon {
    let answer: serde_json::Value = serde_json::from_str(services).unwrap();
    Daemon::new().says("GET /api/v1/services?limit=500", 200, &answer).says(
        "GET /api/v1/system/overview",
        200,
        &json!({}),
    )
}

/// It stayed until the next line came, which may be tomorrow.
#[test]
fn a_reader_that_has_had_enough_ends_it_at_once() {
    let log = Daemon::new().streams(LOG, &lines(&[(1, "one")]), true);
    let events = Daemon::new().streams(EVENTS, &happened(1), true).says(PAST, 200, &json!({ "items": [] }));
    let status = house(r#"{"items":[{"name":"a","phase":"asleep"}]}"#).streams(EVENTS, "id: 1\n\n", true);
    for (daemon, arguments) in [
        (&log, &["logs", "a", "-f"][..]),
        (&events, &["events", "-f"]),
        (&status, &["status", "--watch"]),
        (&status, &["status", "--watch", "--json"]),
    ] {
        let mut child = on(daemon, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let begun = Instant::now();
        drop(reader);
        let status = ends(&mut child).unwrap_or_else(|| panic!("{arguments:?} goes on"));
        assert_eq!(status.code(), Some(0), "{arguments:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{arguments:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn being_told_to_end_is_no_failure() {
    for signal in [Signal::INT, Signal::TERM] {
        let log = Daemon::new().streams(LOG, &lines(&[(1, "one")]), true);
        // WakeDock is away, and it waits between two tries.
        let gone = Daemon::new().streams(LOG, &lines(&[(1, "one")]), false).says(LOG, 503, &json!({}));
        let status = house(r#"{"items":[{"name":"a","phase":"asleep"}]}"#).streams(EVENTS, "id: 1\n\n", true);
        for (daemon, arguments) in [
            (&log, &["logs", "a", "-f"][..]),
            (&gone, &["logs", "a", "-f"]),
            (&status, &["status", "--watch"]),
        ] {
            let running = Running::new(on(daemon, arguments));
            running.until("begun", |out, _| !out.is_empty());
            running.signal(signal);
            let (code, _, err) = running.ended();
            assert_eq!(code, Some(0), "{arguments:?}: {err}");
            assert!(!err.contains("error"), "{err}");
        }
    }
}

#[test]
fn what_is_watched_is_printed_when_it_has_changed_and_not_before() {
    let list = |phase: &str| json!({ "items": [{ "name": "a", "phase": phase }] });
    let call = "GET /api/v1/services?limit=500";
    let daemon = Daemon::new()
        .says("GET /api/v1/system/overview", 200, &json!({}))
        .says(call, 200, &list("asleep"))
        .says(call, 200, &list("asleep"))
        .says(call, 503, &json!({ "title": "Draining" }))
        .says(call, 200, &list("asleep"))
        .says(call, 200, &list("waking"))
        .says(call, 401, &json!({ "title": "The token is not good, or not any more" }))
        .streams(EVENTS, "id: 1\n\n", false);
    let (code, out, err) = Running::new(on(&daemon, &["status", "--watch", "--json"])).ended();
    let phases: Vec<String> = out
        .lines()
        .map(|line| {
            let picture: serde_json::Value = serde_json::from_str(line).unwrap();
            picture["services"][0]["phase"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(phases, ["asleep", "waking"], "{out}");
    assert_eq!(code, Some(1));
    assert!(
        err.starts_with("note: Draining; trying again\nnote: WakeDock answers again\nerror: The token"),
        "{err}"
    );
}
