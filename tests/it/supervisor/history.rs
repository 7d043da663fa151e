//! What is written down for people: events, who woke what, roll-ups, and how much it uses.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use wakedock::domain::name::ServiceName;
use wakedock::domain::time::Timestamp;
use wakedock::domain::usage::UsageSample;
use wakedock::domain::words::{Phase, StopCause, WakeCause, WakeOutcome};
use wakedock::metrics::AnsweredBy;
use wakedock::store::Wake;
use wakedock::supervisor::handle::{Asker, Awake};
use wakedock::supervisor::journal::{Event, Journal, What};
use wakedock::supervisor::rollup::Rollup;

use super::world::{World, pass, phase, ready, request_of, secs, settle, spec};
use crate::support::memory_disk::MemoryDisk;

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn kinds(events: &[std::sync::Arc<Event>]) -> Vec<&'static str> {
    events.iter().map(|event| event.what.kind()).collect()
}

/// Waits for the store's thread while the clock stands still: a runtime that has nothing to do would
/// move it on.
async fn still<T>(what: impl Future<Output = T>) -> T {
    let mut what = std::pin::pin!(what);
    loop {
        tokio::select! {
            biased;
            done = &mut what => return done,
            () = settle() => {}
        }
    }
}

/// Time goes by in great steps, where nothing in between matters.
async fn pass_quickly(time: Duration) {
    let step = secs(30);
    let mut left = time;
    while left > Duration::ZERO {
        tokio::time::advance(step.min(left)).await;
        settle().await;
        left = left.saturating_sub(step);
    }
}

fn client() -> Option<IpAddr> {
    "192.0.2.7".parse().ok()
}

#[tokio::test(start_paused = true)]
async fn a_wake_and_a_stop_are_told_with_who_and_why() {
    let spec = spec("app");
    let (world, handle) = World::one(&spec).await;
    world.engine.edit("app", |container| container.start_delay = Duration::from_millis(300));
    let asker = Asker {
        request_id: b"r-1",
        host: "app.example",
        method: "GET",
        path: "/photos",
        client: Some(&client),
    };
    let lease = request_of(&handle, asker);
    pass(secs(1)).await;
    drop(lease.await.unwrap().unwrap());
    let session = handle.snapshot().session.unwrap();
    assert_eq!((session.by.path.as_deref(), session.by.client), (Some("/photos"), client()));
    assert_eq!((session.by.method.as_deref(), session.by.request_id.as_deref()), (Some("GET"), Some("r-1")));
    let Wake::Ready { took: Some(took), engine: Some(engine), .. } = session.wake else {
        panic!("{session:?}")
    };
    assert!(engine >= Duration::from_millis(300) && engine <= took, "{engine:?} of {took:?}");

    handle.stop_by("ada");
    pass(secs(1)).await;
    let events = still(world.fleet.journal().since(0, Some(&name("app")), 100)).await;
    assert_eq!(kinds(&events), ["wake-started", "phase", "wake-ended", "phase", "phase", "stopped", "phase"]);
    let What::WakeStarted { cause: WakeCause::Request, by } = &events[0].what else { panic!("{events:?}") };
    assert_eq!(by, &session.by);
    assert!(
        matches!(&events[2].what, What::WakeEnded { outcome: WakeOutcome::Ready, engine: Some(told), .. } if *told == engine)
    );
    assert_eq!(events[4].what, What::Phase { phase: Phase::Stopping, cause: Some("manual") });
    let What::Stopped { cause, by, .. } = &events[5].what else { panic!("{events:?}") };
    assert_eq!((*cause, by.as_deref()), (StopCause::Manual, Some("ada")));

    // It is in the history as well, and by hand it is told who.
    handle.wake_by("bob");
    pass(secs(1)).await;
    let sessions = still(world.store.sessions(name("app"), 10)).await.unwrap();
    assert_eq!(sessions[0].by.user.as_deref(), Some("bob"));
    assert_eq!(sessions[1].by, session.by);
}

#[tokio::test(start_paused = true)]
async fn a_failed_wake_says_why() {
    let spec = spec("app");
    let world = World::new();
    let handle = world.take_up(&spec).await;
    handle.wake_by("ada");
    settle().await;
    let events = still(world.fleet.journal().since(0, Some(&name("app")), 100)).await;
    let reason = events.iter().find_map(|event| match &event.what {
        What::WakeEnded { outcome: WakeOutcome::Failed, reason, .. } => reason.clone(),
        _ => None,
    });
    assert!(reason.unwrap().contains("app"), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn events_outlive_the_process_and_numbers_are_not_given_twice() {
    let (world, handle) = ready(&spec("app")).await;
    pass(secs(2)).await;
    let before = still(world.fleet.journal().since(0, None, 100)).await;
    assert!(before.len() >= 4);
    // These are told, and nobody has had the time to write them down.
    handle.stop_by("ada");
    settle().await;
    let lost = world.fleet.journal().newest();
    assert!(lost > before.last().unwrap().id);
    let world = world.kill_and_return(&[spec("app")]).await;
    let journal = world.fleet.journal();
    let after = journal.since(0, None, 100).await;
    assert_eq!(after[..before.len()], before[..]);
    let fresh: Vec<_> = after[before.len()..].iter().map(|event| event.id).collect();
    assert!(fresh.iter().all(|id| *id > lost), "{fresh:?} after {lost}");
    // From the middle, and backwards, over both.
    let middle = before[1].id;
    assert_eq!(journal.since(middle, None, 2).await[..], before[2..4]);
    let newest = journal.before(None, None, 100).await.unwrap();
    assert_eq!(newest.iter().rev().cloned().collect::<Vec<_>>(), after);
    assert_eq!(journal.before(Some(middle), None, 100).await.unwrap()[..], before[..1]);
}

#[tokio::test(start_paused = true)]
async fn what_memory_let_go_of_is_read_from_the_disk() {
    let (store, remembered) = MemoryDisk::default().open();
    let journal = Journal::new(store, remembered.next_event);
    let first = remembered.next_event;
    for number in 0..1_500 {
        let service = name(if number % 100 == 0 { "rare" } else { "usual" });
        journal.publish(Some(service), What::Changed);
        if number % 400 == 0 {
            journal.flush().await;
        }
    }
    journal.flush().await;
    assert_eq!(journal.dropped(), 0);
    let all = journal.since(0, None, 10_000).await;
    let ids: Vec<_> = all.iter().map(|event| event.id).collect();
    assert_eq!(ids, (first..first + 1_500).collect::<Vec<_>>());
    assert_eq!(journal.since(first + 9, None, 3).await.len(), 3);
    let rare = journal.since(0, Some(&name("rare")), 100).await;
    assert_eq!(rare.len(), 15);
    let backwards = journal.before(None, Some(&name("rare")), 12).await.unwrap();
    assert_eq!(backwards.iter().map(|event| event.id).max(), Some(first + 1_400));
    assert_eq!(backwards.len(), 12);
    assert!(journal.before(Some(first), None, 10).await.unwrap().is_empty());
}

/// Nobody waits for a reader that does not read; it is told that it has lost its place.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_nobody_up_and_catches_up() {
    let (store, remembered) = MemoryDisk::default().open();
    let journal = Journal::new(store, remembered.next_event);
    assert!(!journal.is_watched());
    let mut reader = journal.subscribe();
    assert!(journal.is_watched());
    journal.publish(None, What::Draining);
    let seen = reader.recv().await.unwrap().id;
    for _ in 0..400 {
        journal.publish(None, What::Draining);
    }
    assert!(matches!(reader.recv().await, Err(RecvError::Lagged(_))));
    let missed = journal.since(seen, None, 1_000).await;
    assert_eq!(missed.len(), 400);
    assert_eq!(missed[0].id, seen + 1);
    drop(reader);
    assert!(!journal.is_watched());
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_with_the_disk_and_counted_and_nobody_waits() {
    let (store, remembered) = MemoryDisk::default().open();
    let journal = Journal::new(store.clone(), remembered.next_event);
    journal.publish(None, What::Draining);
    store.close().await.unwrap();
    journal.flush().await;
    assert_eq!(journal.dropped(), 1);
    for _ in 0..3_000 {
        journal.publish(None, What::Draining);
    }
    assert_eq!(journal.dropped(), 1 + 3_000 - 2_048, "what waits for the disk is bounded");
    assert_eq!(journal.since(0, None, 10_000).await.len(), 512, "memory still has the newest");
}

async fn hours(world: &World, service: Option<&str>) -> Vec<Rollup> {
    let service = service.map(name);
    let end = Timestamp::from_millis(i64::MAX);
    still(world.fleet.rollups().hours(service.as_ref(), Timestamp::default(), end)).await.unwrap()
}

fn sum(rollups: &[Rollup], of: impl Fn(&Rollup) -> f64) -> f64 {
    rollups.iter().map(of).sum()
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_survives_a_kill_but_for_a_minute() {
    let mut spec = spec("app");
    spec.idle.stop_after = Some(secs(300));
    let (world, handle) = ready(&spec).await;
    let usage = UsageSample { memory: 1_000, online_cpus: 2, ..UsageSample::default() };
    world.engine.edit("app", |container| container.usage = usage);
    let answered = || handle.metrics().request(0, 200, AnsweredBy::Upstream, Duration::from_millis(3));
    (0..5).for_each(|_| answered());
    assert_eq!(handle.requests(), 5);
    pass(secs(2)).await;
    pass_quickly(secs(148)).await;
    assert_eq!(world.fleet.rollups().wakes_today(&name("app")), 1);
    let live = hours(&world, Some("app")).await;
    assert!((sum(&live, |hour| hour.awake_seconds) - 150.0).abs() < 2.0, "{live:?}");
    // These come too late to be written down.
    pass_quickly(secs(1)).await;
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let kept = hours(&world, Some("app")).await;
    assert_eq!(
        kept.iter().map(|hour| (hour.requests, hour.wakes)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (5, 1)
    );
    let awake = sum(&kept, |hour| hour.awake_seconds);
    assert!((89.0..152.0).contains(&awake), "{awake}");
    let used = sum(&kept, |hour| hour.memory_byte_seconds);
    assert!((used - 1_000.0 * (awake - 1.0)).abs() < 3_000.0, "{used} byte seconds in {awake} s");
    assert_eq!(world.fleet.rollups().wakes_today(&name("app")), 1);
    assert_eq!(world.fleet.rollups().today().wakes, 1);
    // All of them together.
    let all = hours(&world, None).await;
    assert_eq!(all.iter().map(|hour| hour.requests).sum::<u64>(), 5);
    let handle = world.fleet.get("app").unwrap();
    (0..2).for_each(|_| handle.metrics().request(0, 200, AnsweredBy::Upstream, Duration::from_millis(3)));
    let live = hours(&world, Some("app")).await;
    assert_eq!(live.iter().map(|hour| hour.requests).sum::<u64>(), 7, "what is not written yet counts");
}

#[tokio::test(start_paused = true)]
async fn days_are_added_up_from_hours_and_both_are_let_go_in_time() {
    let mut spec = spec("app");
    spec.idle.stop_after = None;
    let (world, handle) = ready(&spec).await;
    let mut requests = 0;
    let step = secs(1_800);
    // Sixteen days, a request each half hour.
    for _ in 0..(16 * 48) {
        handle.metrics().request(0, 200, AnsweredBy::Upstream, Duration::ZERO);
        requests += 1;
        tokio::time::advance(step).await;
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
        still(world.fleet.rollups().save()).await;
    }
    let end = Timestamp::from_millis(i64::MAX);
    still(world.fleet.rollups().save()).await;
    let rollups = world.fleet.rollups();
    let days = rollups.days(Some(&name("app")), Timestamp::default(), end).await.unwrap();
    assert!((17..=18).contains(&days.len()), "{} days {days:#?}", days.len());
    assert_eq!(days.iter().map(|day| day.requests).sum::<u64>(), requests);
    assert!(days[1..days.len() - 1].iter().all(|day| day.requests == 48), "{days:?}");
    let all = rollups.days(None, Timestamp::default(), end).await.unwrap();
    assert_eq!(all.iter().map(|day| day.requests).sum::<u64>(), requests);
    let hours = hours(&world, Some("app")).await;
    assert!((14 * 24..=14 * 24 + 25).contains(&hours.len()), "{} hours", hours.len());
    let later = rollups.days(Some(&name("app")), days[3].start, days[5].start).await.unwrap();
    assert_eq!(later, days[3..5]);
}

#[tokio::test(start_paused = true)]
async fn usage_is_read_now_and_then_and_more_often_while_somebody_watches() {
    let mut spec = spec("app");
    spec.idle.stop_after = Some(secs(600));
    let (world, handle) = ready(&spec).await;
    assert_eq!(handle.usage(), None);
    let reading = |cpu: u64, system: u64, memory: u64| {
        let usage = UsageSample {
            cpu_total: cpu,
            system_total: system,
            online_cpus: 2,
            memory,
            inactive_file: 0,
            network: 0,
        };
        world.engine.edit("app", |container| container.usage = usage);
    };
    reading(1_000, 10_000, 5_000);
    pass(Duration::from_millis(1_100)).await;
    let first = handle.usage().unwrap();
    assert_eq!((first.memory, first.cpu), (5_000, None));
    reading(2_000, 14_000, 6_000);
    pass_quickly(secs(30)).await;
    assert_eq!(handle.usage(), Some(first), "nobody watches");
    let watcher = world.fleet.journal().subscribe();
    settle().await;
    pass(Duration::from_millis(100)).await;
    let second = handle.usage().unwrap();
    assert_eq!((second.memory, second.cpu), (6_000, Some(0.5)));
    reading(3_000, 18_000, 7_000);
    pass(secs(10)).await;
    assert_eq!(handle.usage().unwrap().memory, 7_000);
    drop(watcher);
    handle.stop_by("ada");
    pass(secs(1)).await;
    assert_eq!(handle.usage(), None, "what is off uses nothing");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_awake_says_so_and_stays_so_over_a_kill() {
    let spec = spec("app");
    let (world, handle) = ready(&spec).await;
    let Some(Awake::Idle { until }) = handle.awake() else { panic!("{:?}", handle.awake()) };
    assert_eq!(handle.sleeps_at(), Some(until));
    handle.keep_awake_for(secs(60), "ada");
    settle().await;
    let until = handle.keep_awake_until().unwrap();
    assert_eq!(handle.awake(), Some(Awake::KeptAwake { until }));
    let lease = handle.lease().unwrap();
    assert_eq!(handle.awake(), Some(Awake::InUse { leases: 1 }));
    assert_eq!(handle.sleeps_at(), None);
    drop(lease);
    pass(secs(20)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    let told = still(world.fleet.journal().since(0, Some(&name("app")), 100)).await;
    assert!(told.iter().any(|event| event.what == What::KeptAwake { until: Some(until), by: "ada".into() }));

    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    let kept = handle.keep_awake_until().unwrap();
    assert_eq!(kept, until);
    pass(secs(20)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    pass(secs(21)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    assert_eq!(handle.keep_awake_until(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_by_hand_ends_keeping_awake_also_after_a_kill() {
    let spec = spec("app");
    let (world, handle) = ready(&spec).await;
    handle.keep_awake_for(secs(3_600), "ada");
    settle().await;
    handle.stop_by("bob");
    pass(secs(1)).await;
    assert_eq!((phase(&handle), handle.keep_awake_until()), (Phase::Asleep, None));
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let handle = world.fleet.get("app").unwrap();
    assert_eq!(handle.keep_awake_until(), None);
    // An edit that gives it another container keeps what somebody wanted.
    handle.wake_by("ada");
    pass(secs(1)).await;
    handle.keep_awake_for(secs(3_600), "ada");
    settle().await;
    let until = handle.keep_awake_until();
    let mut other = spec.clone();
    other.container = wakedock::domain::name::ContainerName::parse("other").unwrap();
    let handle = world.take_up(&other).await;
    assert_eq!(handle.keep_awake_until(), until);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_nobody_ordered_leaves_keeping_awake_alone() {
    let (_world, handle) = ready(&spec("app")).await;
    handle.keep_awake_for(secs(3_600), "ada");
    settle().await;
    let until = handle.keep_awake_until();
    assert!(until.is_some());
    handle.stop(StopCause::Schedule);
    pass(secs(1)).await;
    assert_eq!((phase(&handle), handle.keep_awake_until()), (Phase::Asleep, until));
}

#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_stops_and_starts_it() {
    let (world, handle) = ready(&spec("app")).await;
    handle.restart_by("ada");
    pass(secs(1)).await;
    assert_eq!(phase(&handle), Phase::Ready);
    let sessions = still(world.store.sessions(name("app"), 10)).await.unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0].by.user.as_deref(), Some("ada"));
    assert_eq!(sessions[1].stop.as_ref().unwrap().cause, StopCause::Manual);
}

#[tokio::test(start_paused = true)]
async fn the_last_session_is_known_after_a_restart() {
    let spec = spec("app");
    let (world, handle) = ready(&spec).await;
    pass(secs(6)).await;
    assert_eq!(phase(&handle), Phase::Asleep);
    let before = handle.snapshot().session.unwrap();
    assert_eq!(before.stop.as_ref().unwrap().cause, StopCause::Idle);
    let world = world.kill_and_return(std::slice::from_ref(&spec)).await;
    let snapshot = world.fleet.get("app").unwrap().snapshot();
    assert_eq!(snapshot.session.as_deref().map(|session| &session.wake), Some(&before.wake));
    assert_eq!((snapshot.wake_cause, snapshot.stop_cause), (Some(WakeCause::Request), Some(StopCause::Idle)));
}

#[tokio::test(start_paused = true)]
async fn docker_and_services_come_and_go_in_the_journal() {
    let spec = spec("app");
    let (world, _) = World::one(&spec).await;
    let mut second = super::world::spec("second");
    world.fleet.apply(&[spec.clone(), second.clone()]);
    second.max_held += 1;
    world.fleet.apply(&[spec.clone(), second.clone()]);
    world.fleet.apply(std::slice::from_ref(&spec));
    world.engine.go_away();
    pass(secs(1)).await;
    world.engine.come_back();
    pass(secs(6)).await;
    let events = world.fleet.journal().since(0, Some(&name("second")), 100).await;
    assert_eq!(kinds(&events), ["service-added", "service-changed", "service-removed"]);
    let engine: Vec<_> = world
        .fleet
        .journal()
        .since(0, None, 100)
        .await
        .iter()
        .filter_map(|event| match event.what {
            What::Engine { connected, .. } => Some(connected),
            _ => None,
        })
        .collect();
    assert_eq!(engine, [true, false, true]);
}
