//! The soak: mixed traffic, faults, sleeps and wakes for as long as told. Nothing that was asked of
//! a healthy service is lost, and what WakeDock holds at the end is what it held at the start.
//!
//! A normal run lasts some seconds and meets everything once. `WAKEDOCK_SOAK=2h` makes it as long
//! as told (`./dev.sh soak 2h`), with faults some minutes apart, or as often as in a short run with
//! `WAKEDOCK_SOAK_FAULTS=often`.

mod book;
mod clients;
mod conductor;
mod errand;
mod faulty;
mod office;
mod plan;
mod rough;
mod samples;
mod strangers;
mod streams;
mod town;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use crate::harness::{Docker, Relay, alone};

use book::Book;
use conductor::Conductor;
use plan::Plan;
use town::Town;

#[test]
fn nothing_is_lost_and_nothing_grows() {
    // Every container with labels on this engine is a service here.
    let _turn = alone();
    let plan = Plan::from_environment();
    let relay = Relay::to(Docker::here().socket());
    let town = Town::build(&plan);
    let mut conductor = Conductor::start(plan, &town, &relay);
    let book = Arc::new(Book::default());
    let crew = town.open(&conductor, &book);
    conductor.conduct(&town, &relay, &book);
    crew.go_home();
    conductor.see_all_asleep();
    conductor.report(&book);
    let losses = book.losses();
    assert!(losses.is_empty(), "{} lost: {:#?}", losses.len(), &losses[..losses.len().min(20)]);
    assert_eq!(book.missing(&KINDS), [""; 0], "never asked");
    conductor.assert_flat();
}

/// How long a right answer may take: a wake while Docker is away, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// What every run has to have met.
const KINDS: [&str; 27] = [
    "after a fault",
    "api write",
    "backup",
    "crashing service",
    "dashboard",
    "download",
    "events",
    "fault among others",
    "flood of resets",
    "goes away",
    "grpc",
    "grpc from asleep",
    "http2",
    "keep-alive",
    "log",
    "malformed",
    "never healthy",
    "short",
    "slow reader",
    "slow writer",
    "stalled head",
    "upgraded bytes",
    "upload",
    "visit to a labelled",
    "visit to a paused",
    "visit to a stopped",
    "websocket message",
];
