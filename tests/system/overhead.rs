//! What WakeDock adds to a wake.
//!
//! Two comparisons. With what Docker and the application themselves took in the very same start: the
//! engine's jitter falls out. And beside a bare start of a container of the same kind, in pairs: what
//! an operator would compare; but the engine's own time varies by more than what is looked for, so
//! that this one can only tell when something is far off.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{App, Connection, Docker, Relay, Request, WakeDock, alone};

const PAIRS: usize = 30;
/// The median may be this much.
const OVERHEAD: Duration = Duration::from_millis(3);
const WAKE_FROM_PAUSE: Duration = Duration::from_millis(20);
/// What the kernel still tears down after a container has ended (its network, its mounts) announces
/// its end to nobody.
const SETTLE: Duration = Duration::from_millis(700);

/// Two containers alike: one is WakeDock's, of the other it knows nothing.
struct Pair {
    relay: Relay,
    /// Runs throughout: a bridge whose last container goes is down, and the kernel takes up to a
    /// second to have it up again for the next one.
    _anchor: App,
    ours: App,
    bare: App,
    dock: WakeDock,
}

impl Pair {
    fn new() -> Self {
        let [anchor, ours, bare] = ["anchor", "ours", "bare"].map(|hint| App::builder(hint).create());
        anchor.start();
        let relay = Relay::to(Docker::here().socket());
        let dock = WakeDock::builder()
            .docker_socket(&relay.path())
            .service(
                json!({ "name": "ours", "hosts": ["o.example"], "container": ours.name(), "port": ours.port() }),
            )
            .start();
        Self { relay, _anchor: anchor, ours, bare, dock }
    }

    /// From the request, on a connection that is open, to the answer, whose last byte comes with
    /// its first.
    fn wake(&self, connection: &mut Connection) -> Duration {
        let began = Instant::now();
        let answer = connection.exchange(&Request::get("o.example", "/")).unwrap();
        let took = began.elapsed();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.instance().is_some() && answer.header("server-timing").is_some());
        took
    }

    fn asleep(&self) {
        self.dock.wait_phase("ours", "asleep", Duration::from_secs(10));
        std::thread::sleep(SETTLE);
    }
}

/// Carries `order` out and connects until somebody accepts.
fn until_accepted(order: impl FnOnce(), address: SocketAddr) -> Duration {
    let began = Instant::now();
    order();
    accepted(address);
    began.elapsed()
}

/// Connects until somebody accepts.
fn accepted(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect_timeout(&address, Duration::from_millis(50)).is_err() {
        assert!(Instant::now() < deadline, "nobody accepts at {address}");
    }
}

struct Figures {
    wakes: Vec<Duration>,
    bare: Vec<Duration>,
}

impl Figures {
    /// Measures `PAIRS` times, each way first every other time.
    fn measure(mut wake: impl FnMut() -> Duration, mut bare: impl FnMut() -> Duration) -> Self {
        let mut figures = Self { wakes: Vec::new(), bare: Vec::new() };
        for pair in 0..PAIRS {
            if pair.is_multiple_of(2) {
                figures.wakes.push(wake());
                figures.bare.push(bare());
            } else {
                figures.bare.push(bare());
                figures.wakes.push(wake());
            }
        }
        figures
    }

    /// Of the differences in each pair: at this share of them, in ms.
    fn over(&self, share: f64) -> f64 {
        let differences = self.wakes.iter().zip(&self.bare);
        at(share, differences.map(|(wake, bare)| (wake.as_secs_f64() - bare.as_secs_f64()) * 1e3))
    }

    /// The standard error of the median of the differences, from their median deviation.
    fn uncertainty(&self) -> f64 {
        let median = self.over(0.5);
        let pairs = self.wakes.iter().zip(&self.bare);
        let off = pairs.map(|(wake, bare)| ((wake.as_secs_f64() - bare.as_secs_f64()) * 1e3 - median).abs());
        1.253 * 1.483 * at(0.5, off) / (PAIRS as f64).sqrt()
    }

    fn report(&self, what: &str) -> f64 {
        let ms = |times: &[Duration]| at(0.5, times.iter().map(|time| time.as_secs_f64() * 1e3));
        let (wake, bare, median) = (ms(&self.wakes), ms(&self.bare), self.over(0.5));
        eprintln!(
            "figure: {what}: {PAIRS} pairs, a wake {wake:.2} ms, a bare one {bare:.2} ms (medians); \
             in a pair {median:.2} ms more (median), {:.2} ms (90 %)",
            self.over(0.9)
        );
        median
    }
}

fn at(share: f64, values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn ours_alone(dock: &WakeDock) -> f64 {
    let of = |suffix: &str| {
        dock.metric(&format!("wakedock_wake_overhead_seconds_{suffix}"), &[("service", "ours")])
            .expect("measured")
    };
    of("sum") / of("count") * 1e3
}

#[test]
fn a_wake_takes_hardly_longer_than_a_bare_start() {
    let _turn = alone();
    let pair = Pair::new();
    let mut connection = Connection::open(&pair.dock.proxy()).unwrap();
    let off = |app: &App| {
        app.kill();
        app.wait_state("exited", Duration::from_secs(10));
    };
    // Once each, so that neither is new to the engine, and to learn the address: with the other one
    // off it is the same every time.
    pair.wake(&mut connection);
    off(&pair.ours);
    pair.asleep();
    pair.bare.start();
    pair.bare.answering();
    let address = pair.bare.target().tcp();
    off(&pair.bare);
    pair.asleep();

    let mut added = Vec::new();
    let starts = pair.relay.starts();
    let figures = Figures::measure(
        || {
            let (took, bare) = std::thread::scope(|scope| {
                let woken = scope.spawn(|| pair.wake(&mut connection));
                let start = starts.recv_timeout(Duration::from_secs(10)).expect("an order");
                accepted(address);
                let bare = start.ordered.elapsed();
                (woken.join().expect("an answer"), bare)
            });
            added.push((took.as_secs_f64() - bare.as_secs_f64()) * 1e3);
            off(&pair.ours);
            pair.asleep();
            took
        },
        || {
            let took = until_accepted(|| pair.bare.start(), address);
            assert_eq!(pair.bare.target().tcp(), address, "another container has its address");
            off(&pair.bare);
            pair.asleep();
            took
        },
    );
    let beside = figures.report("wake from stopped");
    let uncertain = figures.uncertainty();
    let (median, most) = (at(0.5, added.iter().copied()), at(0.9, added.iter().copied()));
    eprintln!(
        "figure: of it not Docker's and the application's in the same start {median:.2} ms (median), {most:.2} ms \
         (90 %); by WakeDock's own account {:.2} ms (mean)",
        ours_alone(&pair.dock)
    );
    let limit = OVERHEAD.as_secs_f64() * 1e3;
    assert!(median < limit, "{median:.2} ms");
    assert!(beside - 2.0 * uncertain < limit, "{beside:.2} ms, give or take {uncertain:.2}");
}

#[test]
fn a_wake_from_pause_takes_hardly_longer_than_a_bare_unpause() {
    let _turn = alone();
    let pair = Pair::new();
    pair.ours.start();
    pair.bare.start();
    pair.ours.answering();
    pair.bare.answering();
    let address = pair.bare.target().tcp();
    let mut connection = Connection::open(&pair.dock.proxy()).unwrap();
    let paused = |app: &App| {
        app.pause();
        pair.asleep();
    };
    pair.dock.wait_phase("ours", "ready", Duration::from_secs(10));
    paused(&pair.ours);
    paused(&pair.bare);

    let figures = Figures::measure(
        || {
            let took = pair.wake(&mut connection);
            paused(&pair.ours);
            took
        },
        || {
            let took = until_accepted(|| pair.bare.unpause(), address);
            paused(&pair.bare);
            took
        },
    );
    let median = figures.report("wake from pause");
    let whole = at(0.5, figures.wakes.iter().map(|wake| wake.as_secs_f64() * 1e3));
    assert!(median < OVERHEAD.as_secs_f64() * 1e3, "{median:.2} ms");
    // Docker's own share is not ours: on a machine where a bare unpause takes that long by itself,
    // no wake can be shorter.
    let bare = at(0.5, figures.bare.iter().map(|bare| bare.as_secs_f64() * 1e3));
    let more = OVERHEAD.as_secs_f64() * 1e3 + 2.0 * figures.uncertainty();
    let limit = (WAKE_FROM_PAUSE.as_secs_f64() * 1e3).max(bare + more);
    assert!(whole < limit, "the whole wake took {whole:.2} ms, a bare one {bare:.2} ms");
}
