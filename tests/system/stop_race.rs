//! Requests that come while a service is being stopped: none reaches a process that was told to
//! stop (trap 11), none is lost.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Answer, App, Connection, Request, Target, WakeDock, alone};

/// What an application may do when it is told to stop.
const MANNERS: [&str; 4] = ["serve", "linger", "reset", "drain"];
const STOP_AFTER: Duration = Duration::from_secs(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// When the first request comes, in ms from the moment the stop is due: a cycle each.
const OFFSETS: [i64; 12] = [-30, 0, 3, 10, 20, 30, 80, 140, 200, 400, 600, 800];
const EVERY: Duration = Duration::from_millis(50);
const REQUESTS: u32 = 24;
/// Connections that are open before the stop, and on which the same client asks again.
const KEPT_OPEN: usize = 3;

/// What came back to one request.
struct Outcome {
    answer: std::io::Result<Answer>,
    asked_for: String,
    took: Duration,
}

/// Every third request may not be repeated by anybody on the way.
fn request(host: &str, number: u32) -> (Request, String) {
    let body = format!("request {number}");
    let request = match number % 3 {
        0 => Request::post(host, "/echo", body.clone()),
        _ => return (Request::get(host, "/"), "awake: ".to_owned()),
    };
    (request, body)
}

fn ask(connection: &mut Connection, host: &str, number: u32) -> Outcome {
    let (request, asked_for) = request(host, number);
    let began = Instant::now();
    let answer = connection.exchange(&request);
    Outcome { answer, asked_for, took: began.elapsed() }
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Says what is wrong with it, if anything is.
fn complaint(outcome: &Outcome) -> Option<String> {
    let answer = match &outcome.answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("after {:?}: {error}", outcome.took)),
    };
    let instance = answer.instance().unwrap_or("nobody");
    let asked_for = match outcome.asked_for.as_str() {
        "awake: " => format!("awake: {instance}\n"),
        other => other.to_owned(),
    };
    let right = answer.status() == 200 && answer.text() == asked_for && !answer.told_to_stop();
    (!right).then(|| format!("after {:?}: {:?} {:?}", outcome.took, answer.head, answer.text()))
}

/// One cycle: woken, quiet until the stop is due, then a request every 50 ms.
fn cycle(target: &Target, host: &str, offset: i64) -> Vec<Outcome> {
    let mut kept: Vec<_> = (0..KEPT_OPEN).map(|_| Connection::open(target).unwrap()).collect();
    let mut outcomes: Vec<_> = kept.iter_mut().map(|connection| ask(connection, host, 1)).collect();
    let due = Instant::now() + STOP_AFTER;
    let first = match u64::try_from(offset) {
        Ok(later) => due + Duration::from_millis(later),
        Err(_) => due - Duration::from_millis(offset.unsigned_abs()),
    };
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let found = &found;
        for (number, mut connection) in kept.into_iter().enumerate() {
            scope.spawn(move || {
                // They ask one after the other, each as soon as the last answer is there.
                for round in 0..3 {
                    sleep_until(first + EVERY * (round * 3 + number as u32));
                    let outcome = ask(&mut connection, host, round + number as u32);
                    found.lock().unwrap().push(outcome);
                }
            });
        }
        for number in 0..REQUESTS {
            scope.spawn(move || {
                sleep_until(first + EVERY * number);
                let began = Instant::now();
                let outcome = match Connection::open(target) {
                    Ok(mut connection) => ask(&mut connection, host, number),
                    Err(error) => {
                        Outcome { answer: Err(error), asked_for: String::new(), took: began.elapsed() }
                    }
                };
                found.lock().unwrap().push(outcome);
            });
        }
    });
    outcomes.extend(found.into_inner().unwrap());
    outcomes
}

#[test]
fn no_request_reaches_a_process_that_was_told_to_stop() {
    let _turn = alone();
    let apps = MANNERS.map(|manner| App::builder(manner).env("ON_TERM", manner).create());
    let mut builder = WakeDock::builder();
    for (manner, app) in MANNERS.iter().zip(&apps) {
        builder = builder.service(json!({
            "name": manner, "hosts": [format!("{manner}.example")], "container": app.name(), "port": app.port(),
            "idle": { "stop_after": format!("{STOP_AFTER:?}"), "stop_timeout": format!("{STOP_TIMEOUT:?}") },
        }));
    }
    let dock = builder.start();
    let target = dock.proxy();
    std::thread::scope(|scope| {
        let (target, apps, dock) = (&target, &apps, &dock);
        for (index, manner) in MANNERS.into_iter().enumerate() {
            scope.spawn(move || {
                let host = format!("{manner}.example");
                let outcomes: Vec<_> =
                    OFFSETS.iter().flat_map(|offset| cycle(target, &host, *offset)).collect();
                let complaints: Vec<_> = outcomes.iter().filter_map(complaint).collect();
                let answers = outcomes.iter().filter_map(|outcome| outcome.answer.as_ref().ok());
                let processes: HashSet<_> = answers.filter_map(Answer::instance).collect();
                let held = outcomes.iter().filter(|outcome| outcome.took > Duration::from_millis(50)).count();
                let slowest = outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default();
                let stops = apps[index].events().iter().filter(|event| *event == "die").count();
                let orders =
                    dock.logged("stopping").iter().filter(|line| line["service"] == manner).count();
                eprintln!(
                    "figure: stop race, `{manner}`: {} requests, {} wrong, {held} held, the longest {slowest:.1?}; \
                     {orders} orders, {stops} stops, {} processes answered",
                    outcomes.len(),
                    complaints.len(),
                    processes.len()
                );
                assert!(complaints.is_empty(), "`{manner}`: {complaints:#?}");
                // The order may be given 10 ms late, so that the first three requests find the
                // service ready. One more may come before it was written down and sent, and take
                // it back.
                assert!(orders >= OFFSETS.len() - 3, "`{manner}`: {orders} orders");
                assert!(stops >= OFFSETS.len() - 4 && held >= OFFSETS.len(), "`{manner}`: there was no race");
                assert!(processes.len() > stops, "a new process after each stop");
            });
        }
    });
}
