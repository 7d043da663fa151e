//! Descriptors: the limit is raised and reported, and running out of them is survived.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use serde_json::json;

use crate::harness::{App, Connection, Request, WakeDock, alone, eventually};

const HOST: &str = "descriptors.test";

#[test]
fn the_limit_is_raised_to_what_the_system_allows_and_reported() {
    let _turn = alone();
    let ours = getrlimit(Resource::Nofile);
    let low = Rlimit { current: Some(512), maximum: ours.maximum };
    // A child has what its parent has when it is made.
    setrlimit(Resource::Nofile, low).unwrap();
    let mut dock = WakeDock::builder().start();
    setrlimit(Resource::Nofile, ours).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", dock.process().pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "soft and hard: {line}");
    let hard: u64 = words[4].parse().unwrap();
    assert!(hard > 512, "{line}: nothing to raise it to");
    let said = dock.logged("limit of open descriptors");
    assert_eq!(said.len(), 1);
    assert_eq!((&said[0]["descriptors"], &said[0]["level"]), (&json!(hard), &json!("info")));
    assert_eq!(dock.metric("process_max_fds", &[]), Some(hard as f64));
}

/// A real EMFILE: who is inside is served, nothing spins, and when there is room again, who waits
/// comes in.
#[test]
fn running_out_of_descriptors_is_survived() {
    let _turn = alone();
    let app = App::builder("descriptors").create();
    let mut dock = WakeDock::builder()
        .service(
            json!({ "name": "descriptors", "hosts": [HOST], "container": app.name(), "port": app.port() }),
        )
        .start();
    let ask = Request::get(HOST, "/");
    let mut inside = Connection::open(&dock.proxy()).unwrap();
    assert_eq!(inside.exchange(&ask).unwrap().status(), 200);
    let open = dock.metric("process_open_fds", &[]).unwrap() as u64;
    let limit = Rlimit { current: Some(open + 20), maximum: Some(open + 20) };
    let pid = Pid::from_raw(i32::try_from(dock.process().pid()).unwrap());
    prlimit(pid, Resource::Nofile, limit).unwrap();
    let mut crowd: Vec<_> = (0..60).map(|_| Connection::open(&dock.proxy()).unwrap()).collect();
    let full = "cannot accept connections for the moment";
    eventually(Duration::from_secs(5), "it is full", || (!dock.logged(full).is_empty()).then_some(()));
    let (cpu, lines) = (dock.process().cpu_time(), dock.logged(full).len());
    for _ in 0..20 {
        assert_eq!(inside.exchange(&ask).unwrap().status(), 200, "who is inside is served");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (cpu, lines) = (dock.process().cpu_time() - cpu, dock.logged(full).len() - lines);
    eprintln!("figure: two seconds without a descriptor: {cpu:?} of CPU time, {lines} log lines");
    assert!(cpu < Duration::from_millis(300), "{cpu:?}: it spins");
    assert!(lines < 30, "{lines} lines");
    // Room again: those that wait in the backlog come in, and are served.
    let mut waiting = crowd.split_off(50);
    drop(crowd);
    for connection in &mut waiting {
        assert_eq!(connection.exchange(&ask).unwrap().status(), 200);
    }
    assert_eq!(inside.exchange(&ask).unwrap().status(), 200);
    assert_eq!(dock.get(HOST, "/").status(), 200);
}
