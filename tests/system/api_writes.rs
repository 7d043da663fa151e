//! What the API said is done is done: over `kill -9`, and over a backup that is taken meanwhile and
//! restored somewhere else.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, Times, WakeDock, alone};

/// Connections that write at once, and services that each of them writes about.
const WRITERS: usize = 6;
const EACH: usize = 5;
const WRITES: usize = 1000;
/// It is killed after each so many acknowledged writes.
const BETWEEN: usize = 170;

/// What is known of one service: what was acknowledged last, and what may or may not have come to be.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The message it was given, or that it is gone.
    acknowledged: Option<u64>,
    /// A write without an answer.
    doubtful: Option<Option<u64>>,
}

/// Writes until there is no answer any more. Each fourth write takes the service away.
fn write(
    api: &Api,
    writer: usize,
    known: &Mutex<BTreeMap<String, Known>>,
    count: &AtomicUsize,
    times: &Mutex<Times>,
) {
    for number in 0_u64.. {
        let name = format!("w{writer}-{}", number as usize % EACH);
        let total = count.load(Ordering::Relaxed) as u64 * 100 + writer as u64;
        let there = known.lock().unwrap().get(&name).is_some_and(|one| one.acknowledged.is_some());
        let wanted = (number % 4 != 3 || !there).then_some(total);
        known.lock().unwrap().entry(name.clone()).or_default().doubtful = Some(wanted);
        let path = format!("/api/v1/services/{name}");
        let request = match wanted {
            Some(total) => api.request("PUT", &path, Some(&keys(&name, total))),
            None => api.request("DELETE", &path, None),
        };
        // Nobody else writes about it: whatever is there is what this writer said.
        let request = if there { request.header("If-Match", "*") } else { request };
        let began = Instant::now();
        let answer = request.send(api.target());
        let Ok(answer) = answer else { return };
        assert!((200..300).contains(&answer.status()), "{path}: {} {}", answer.status(), answer.text());
        times.lock().unwrap().note(began.elapsed());
        known.lock().unwrap().insert(name, Known { acknowledged: wanted, doubtful: None });
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn keys(name: &str, total: u64) -> Value {
    json!({
        "hosts": [format!("{name}.test")], "container": format!("no-{name}"), "port": 8080,
        "waiting_page": { "message": total.to_string() },
    })
}

/// What the API says of every service that it made.
fn stored(api: &Api) -> BTreeMap<String, u64> {
    let names = api.list("/api/v1/services");
    let names = names.iter().map(|service| service["name"].as_str().expect("a name").to_owned());
    names
        .map(|name| {
            let service = api.get(&format!("/api/v1/services/{name}"));
            let message = service["api_keys"]["waiting_page"]["message"].as_str();
            let message = message.unwrap_or_else(|| panic!("{name} without its message: {service}"));
            (name, message.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn killed_during_a_thousand_writes_none_that_was_acknowledged_is_lost() {
    let _turn = alone();
    let mut dock = WakeDock::builder().start();
    let known = Mutex::new(BTreeMap::new());
    let (count, times) = (AtomicUsize::new(0), Mutex::new(Times::default()));
    let (began, mut kills, mut doubtful) = (Instant::now(), 0, 0);
    while count.load(Ordering::Relaxed) < WRITES {
        let api = dock.api();
        let until = count.load(Ordering::Relaxed) + BETWEEN;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (api, known, count, times) = (&api, &known, &count, &times);
                scope.spawn(move || write(api, writer, known, count, times));
            }
            let patience = Instant::now() + Duration::from_secs(20);
            while count.load(Ordering::Relaxed) < until && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(1));
            }
            dock.kill9();
        });
        assert!(count.load(Ordering::Relaxed) >= until, "only {count:?} writes");
        kills += 1;
        dock.start_again();
        let found = stored(&dock.api());
        for (name, one) in known.lock().unwrap().iter_mut() {
            let is = found.get(name).copied();
            let written = one.doubtful.take();
            assert!(
                is == one.acknowledged || written == Some(is),
                "{name} is {is:?}; acknowledged was {:?}, and {written:?} was on its way",
                one.acknowledged
            );
            doubtful += usize::from(is != one.acknowledged);
            one.acknowledged = is;
        }
        assert!(found.keys().all(|name| known.lock().unwrap().contains_key(name)), "{found:?}");
    }
    eprintln!(
        "figure: {} writes over {WRITERS} connections in {:.1?}, killed {kills} times, none lost, {doubtful} kept \
         that nobody heard of; a write took {}",
        count.load(Ordering::Relaxed),
        began.elapsed(),
        times.lock().unwrap().shown()
    );
}
