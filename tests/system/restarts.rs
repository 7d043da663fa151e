//! What clients see of a restart of WakeDock: killed, and ended in good order under load.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, App, Caddy, Connection, Load, Request, Target, WakeDock, alone, shared};

const HOST: &str = "app.test";

fn service(app: &App) -> Value {
    json!({ "name": "app", "hosts": [HOST], "container": app.name(), "port": app.port(), "idle": { "stop_after": "10m" } })
}

fn body(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at as u64 + number) % 253) as u8).collect()
}

/// GETs and POSTs with a body in turn, each on a connection of its own.
fn ask(target: &Target, number: u64) -> io::Result<Answer> {
    if number.is_multiple_of(2) {
        return Request::get(HOST, "/").send(target);
    }
    let sent = body(number, 50_000);
    let answer = Request::post(HOST, "/echo", sent.clone()).send(target)?;
    if answer.status() == 200 && answer.body != sent {
        return Err(io::Error::other(format!("{} bytes came back, or others", answer.body.len())));
    }
    Ok(answer)
}

#[test]
fn gets_through_caddy_are_answered_while_wakedock_is_killed() {
    let _turn = alone();
    let app = App::builder("caddy").create();
    let caddy = Caddy::start();
    let mut dock = WakeDock::builder().caddy(&caddy).service(service(&app)).start();
    caddy.wait_route(HOST, Duration::from_secs(10));
    let target = caddy.http();
    let load = Load::start(4, move |_| Request::get(HOST, "/bytes/5000").send(&target));
    load.wait_for(100);
    for _ in 0..4 {
        dock.kill9();
        dock.start_again();
        load.wait_for(100);
    }
    let tally = load.stop();
    tally.assert_all_answered(500);
    assert_eq!(app.starts(), 1);
    eprintln!(
        "figure: killed four times behind Caddy: {} GETs, none failed, slowest {:.0?}",
        tally.answered, tally.slowest
    );
}

/// Systemd holds the sockets: whoever comes while nobody is there waits in the kernel.
#[test]
fn requests_at_handed_over_sockets_wait_for_the_return() {
    let _turn = shared();
    let app = App::builder("held").create();
    let mut dock = WakeDock::builder().with_inherited_sockets().service(service(&app)).start();
    assert_eq!(dock.get(HOST, "/").status(), 200);
    dock.kill9();
    let clients: Vec<_> = (0..40)
        .map(|number| {
            let target = if number % 4 < 2 { dock.proxy() } else { dock.proxy_unix() };
            std::thread::spawn(move || ask(&target, number))
        })
        .collect();
    // A connection is there when the kernel has taken it; what it sends is, too.
    std::thread::sleep(Duration::from_millis(300));
    let away = Instant::now();
    dock.start_again();
    for (number, client) in clients.into_iter().enumerate() {
        let answer = client.join().unwrap().unwrap_or_else(|error| panic!("request {number}: {error}"));
        assert_eq!(answer.status(), 200, "request {number}: {}", answer.text());
        assert!(answer.instance().is_some());
    }
    assert_eq!(app.starts(), 1, "what was awake is served at once");
    eprintln!("figure: 40 requests sent while killed, all answered {:.0?} after the start", away.elapsed());
}

/// How the connections of one client ended.
#[derive(Debug, Default)]
struct Kept {
    answered: u64,
    /// After an answer that said so.
    announced: u64,
    /// Closed in good order while a request was on its way.
    crossed: u64,
}

fn keep_alive(target: &Target, stop: &AtomicBool) -> Result<Kept, String> {
    let mut kept = Kept::default();
    while !stop.load(Ordering::Relaxed) {
        let mut connection = Connection::open(target).map_err(|error| format!("connect: {error}"))?;
        while !stop.load(Ordering::Relaxed) {
            let sent = body(kept.answered, 3000);
            match connection.exchange(&Request::post(HOST, "/echo", sent.clone())) {
                Ok(answer) if answer.status() == 200 && answer.body == sent => {
                    kept.answered += 1;
                    if answer.header("connection") == Some("close") {
                        kept.announced += 1;
                        break;
                    }
                }
                Ok(answer) => return Err(format!("answered {:?}", answer.head)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    kept.crossed += 1;
                    break;
                }
                Err(error) => return Err(format!("after {} answers: {error}", kept.answered)),
            }
        }
    }
    Ok(kept)
}

#[test]
fn a_restart_in_good_order_under_load_fails_nobody() {
    let _turn = alone();
    let app = App::builder("load").create();
    let mut dock = WakeDock::builder().with_inherited_sockets().service(service(&app)).start();
    assert_eq!(dock.get(HOST, "/").status(), 200);
    let (tcp, unix) = (dock.proxy(), dock.proxy_unix());
    let new = {
        let (tcp, unix) = (tcp.clone(), unix.clone());
        Load::start(4, move |number| ask(if number % 4 < 2 { &tcp } else { &unix }, number))
    };
    let stop = Arc::new(AtomicBool::new(false));
    let kept: Vec<_> = [tcp.clone(), tcp, unix.clone(), unix]
        .into_iter()
        .map(|target| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || keep_alive(&target, &stop))
        })
        .collect();
    new.wait_for(100);
    const RESTARTS: u64 = 8;
    for _ in 0..RESTARTS {
        assert_eq!(dock.term().code(), Some(0), "it drained");
        assert_eq!(dock.logged("drained: every request was finished").len(), 1);
        dock.start_again();
        new.wait_for(60);
    }
    stop.store(true, Ordering::Relaxed);
    let tally = new.stop();
    let mut sum = Kept::default();
    for client in kept {
        let kept = client.join().unwrap().unwrap_or_else(|problem| panic!("a kept connection: {problem}"));
        sum.answered += kept.answered;
        sum.announced += kept.announced;
        sum.crossed += kept.crossed;
    }
    tally.assert_all_answered(500);
    assert!(sum.announced + sum.crossed >= RESTARTS, "{sum:?}");
    assert_eq!(sum.crossed, 0, "a request crossed the end of its connection: {sum:?}");
    eprintln!(
        "figure: {RESTARTS} restarts under load: {} requests on new connections, none failed, slowest {:.0?}; \
         {} POSTs on kept ones, {} of these ended after an answer that said so, {} in between",
        tally.answered, tally.slowest, sum.answered, sum.announced, sum.crossed
    );
}
