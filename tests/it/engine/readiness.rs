//! From "the container runs" to "the application answers", under paused time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Notify;
use wakedock::clock;
use wakedock::domain::service::Readiness;
use wakedock::ports::{Container, ContainerEngine, Health, Probe, ProbeAnswer, Prober};
use wakedock::probe::{Awaited, Wait, Warning, wait_ready};

use crate::support::fake_engine::{Call, FakeContainer, FakeEngine};
use crate::support::fake_prober::FakeProber;

const READY: Awaited = Awaited::Ready { warning: None };
const MINUTE: Duration = Duration::from_secs(60);

/// One container that was just started, and how it is waited for.
struct Stage {
    engine: FakeEngine,
    prober: FakeProber,
    changed: Notify,
    readiness: Readiness,
    published: bool,
    address: SocketAddr,
}

impl Stage {
    fn new(readiness: Readiness) -> Self {
        Self::of(readiness, |_| {})
    }

    fn of(readiness: Readiness, edit: impl FnOnce(&mut FakeContainer)) -> Self {
        let engine = FakeEngine::new();
        engine.create_as("web", edit);
        engine.start_by_hand("web");
        let address = engine.address("web");
        let (prober, changed) = (FakeProber::new(), Notify::new());
        Self { engine, prober, changed, readiness, published: false, address }
    }

    fn answers(self, answers: &[ProbeAnswer]) -> Self {
        self.prober.script(self.address, answers.iter().copied());
        self
    }

    fn published(mut self) -> Self {
        self.published = true;
        self
    }

    async fn wait(&self) -> (Awaited, Duration) {
        let container = self.engine.view("web");
        self.wait_as_seen(&container, &self.prober).await
    }

    async fn wait_as_seen(&self, container: &Container, prober: &dyn Prober) -> (Awaited, Duration) {
        let begun = clock::now();
        let wait = Wait {
            container,
            readiness: &self.readiness,
            address: self.address,
            published: self.published,
            host: "web.example.com",
            deadline: begun + MINUTE,
        };
        let awaited = wait_ready(prober, &self.engine, wait, &self.changed).await;
        (awaited, clock::now().since(begun))
    }

    /// Does something to the container after a while, and tells the waiter as the actor would.
    async fn wait_while(&self, after: Duration, happens: impl FnOnce(&FakeEngine)) -> (Awaited, Duration) {
        let news = async {
            tokio::time::sleep(after).await;
            happens(&self.engine);
            self.changed.notify_one();
        };
        tokio::join!(self.wait(), news).0
    }
}

fn http(from: u16, to: u16) -> Readiness {
    Readiness::Http { path: "/status".to_owned(), status: from..=to }
}

/// About so long: tokio's timer rounds to milliseconds.
fn assert_about(took: Duration, expected: Duration) {
    let (low, high) = (expected, expected + Duration::from_millis(150));
    assert!(took >= low && took <= high, "{took:?} is not about {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn what_answers_at_once_is_ready_at_once() {
    for readiness in [Readiness::Default, Readiness::Docker, http(200, 399)] {
        let stage = Stage::new(readiness).answers(&[ProbeAnswer::Status(200)]);
        let (awaited, took) = stage.wait().await;
        assert!(matches!(awaited, Awaited::Ready { .. }));
        assert_eq!(took, Duration::ZERO);
        assert_eq!(stage.engine.count(Call::Inspect), 0, "no look before the first probe");
    }
    assert_eq!(Stage::new(Readiness::None).wait().await, (READY, Duration::ZERO));
}

/// Traps 7 and 38: neither 502 to everybody, nor a wait for the next tick.
#[tokio::test(start_paused = true)]
async fn trap_38_first_probes_are_tight_and_then_slow_down() {
    let stage = Stage::new(Readiness::Default);
    stage.prober.answer_after(stage.address, Duration::from_secs(20), ProbeAnswer::Status(200));
    let (awaited, took) = stage.wait().await;
    assert_eq!(awaited, READY);
    assert_about(took, Duration::from_secs(20));
    let at: Vec<_> = stage.prober.attempts().iter().map(|attempt| attempt.at).collect();
    let pauses: Vec<Duration> = at.windows(2).map(|two| two[1].since(two[0])).collect();
    assert!(pauses[..19].iter().all(|pause| *pause <= Duration::from_millis(3)), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(102)), "{pauses:?}");
    assert!(pauses.last() >= Some(&Duration::from_millis(99)), "{pauses:?}");
    assert!(pauses.len() < 260, "{} probes in 20 s", pauses.len());
}

#[tokio::test(start_paused = true)]
async fn the_probe_asks_for_the_first_host_at_the_ip_address() {
    let stage = Stage::new(http(200, 200)).answers(&[ProbeAnswer::Status(200)]);
    stage.wait().await;
    let [attempt] = &stage.prober.attempts()[..] else { panic!("one was enough") };
    assert_eq!(attempt.address, stage.address);
    let probe = Probe::Http { host: "web.example.com".to_owned(), path: "/status".to_owned() };
    assert_eq!(attempt.probe, probe);
}

#[tokio::test(start_paused = true)]
async fn trap_7_a_gateway_without_its_application_is_not_ready() {
    let not_yet = [502, 503, 504].map(ProbeAnswer::Status);
    let stage = Stage::new(Readiness::Default).answers(&not_yet);
    assert_eq!(stage.wait().await, (Awaited::TimedOut, MINUTE));
    for up in [200, 301, 401, 404, 418, 500, 505] {
        let answers = [not_yet.as_slice(), &[ProbeAnswer::Status(up)]].concat();
        assert_eq!(Stage::new(Readiness::Default).answers(&answers).wait().await.0, READY, "{up}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_speak_http_is_ready_as_tcp() {
    let (awaited, took) = Stage::new(Readiness::Default).answers(&[ProbeAnswer::NotHttp]).wait().await;
    assert_eq!((awaited, took), (READY, Duration::ZERO));
    let (awaited, took) = Stage::new(Readiness::Default).answers(&[ProbeAnswer::Silent]).wait().await;
    assert_eq!(awaited, READY);
    assert_about(took, Duration::from_secs(2));
    let (awaited, took) = Stage::new(Readiness::Default).answers(&[ProbeAnswer::Closed]).wait().await;
    assert_eq!(awaited, READY);
    assert_about(took, Duration::from_secs(5));
    // Closing now and then is how an application looks that is still starting.
    let wavering = [ProbeAnswer::Closed, ProbeAnswer::Refused].repeat(1000);
    assert_eq!(Stage::new(Readiness::Default).answers(&wavering).wait().await.0, Awaited::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn behind_a_published_port_an_accepted_connection_proves_nothing() {
    for answer in [ProbeAnswer::Silent, ProbeAnswer::Closed, ProbeAnswer::Refused] {
        let stage = Stage::new(Readiness::Default).answers(&[answer]).published();
        assert_eq!(stage.wait().await, (Awaited::TimedOut, MINUTE), "{answer:?}");
    }
    for answer in [ProbeAnswer::Status(404), ProbeAnswer::NotHttp] {
        let stage = Stage::new(Readiness::Default).answers(&[ProbeAnswer::Closed, answer]).published();
        assert_eq!(stage.wait().await.0, READY, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_answer_gets_more_patience_each_time() {
    let stage = Stage::new(http(200, 200)).answers(&[ProbeAnswer::Silent]);
    stage.wait().await;
    let patience: Vec<u64> =
        stage.prober.attempts().iter().map(|attempt| attempt.patience.as_secs()).collect();
    assert_eq!(patience, [2, 4, 8, 16, 32]);
}

#[tokio::test(start_paused = true)]
async fn a_configured_status_and_a_configured_port_are_taken_at_their_word() {
    let odd = [ProbeAnswer::NotHttp, ProbeAnswer::Status(500), ProbeAnswer::Status(204)];
    let stage = Stage::new(http(200, 299)).answers(&odd);
    assert_eq!(stage.wait().await.0, READY);
    assert_eq!(stage.prober.attempts().len(), 3);
    let unavailable = Stage::new(http(503, 503)).answers(&[ProbeAnswer::Status(503)]);
    assert_eq!(unavailable.wait().await.0, READY);
    let stage = Stage::new(Readiness::Tcp).answers(&[ProbeAnswer::Refused, ProbeAnswer::Connected]);
    assert_eq!(stage.wait().await.0, READY);
    assert!(stage.prober.attempts().iter().all(|attempt| attempt.probe == Probe::Tcp));
}

#[tokio::test(start_paused = true)]
async fn trap_7_a_crash_during_the_wake_ends_it_at_once() {
    let second = Duration::from_millis(1300);
    let stage = Stage::new(Readiness::Default);
    let (awaited, took) = stage.wait_while(second, |engine| engine.exit("web", 3)).await;
    assert_eq!((awaited, took), (Awaited::Exited { code: Some(3) }, second));

    let removed = Stage::new(Readiness::Default);
    let (awaited, took) = removed.wait_while(second, |engine| engine.remove("web")).await;
    assert_eq!((awaited, took), (Awaited::Exited { code: None }, second));

    // Its restart policy had it running again before anybody looked.
    let restarted = Stage::new(Readiness::Default);
    let again = |engine: &FakeEngine| {
        engine.exit("web", 1);
        engine.start_by_hand("web");
    };
    let (awaited, took) = restarted.wait_while(second, again).await;
    assert_eq!((awaited, took), (Awaited::Exited { code: None }, second));
}

#[tokio::test(start_paused = true)]
async fn a_lost_event_costs_a_second_at_most() {
    let crashing = |container: &mut FakeContainer| container.exits = Some((Duration::from_millis(2500), 9));
    let stage = Stage::of(Readiness::Default, crashing);
    let (awaited, took) = stage.wait().await;
    assert_eq!(awaited, Awaited::Exited { code: Some(9) });
    assert_about(took, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_news_that_came_before_the_wait_is_not_lost() {
    let stage = Stage::new(Readiness::Default);
    let seen = stage.engine.view("web");
    stage.engine.exit("web", 4);
    stage.changed.notify_one();
    let (awaited, took) = stage.wait_as_seen(&seen, &stage.prober).await;
    assert_eq!((awaited, took), (Awaited::Exited { code: Some(4) }, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_container_seen_before_its_start_is_not_a_crash() {
    let engine = FakeEngine::new();
    engine.create_running("web");
    engine.exit("web", 0);
    let before = engine.view("web");
    engine.start_by_hand("web");
    let address = engine.address("web");
    let stage = Stage {
        engine,
        prober: FakeProber::new(),
        changed: Notify::new(),
        readiness: Readiness::Default,
        published: false,
        address,
    };
    stage.prober.answer_after(address, Duration::from_secs(3), ProbeAnswer::Status(200));
    assert_eq!(stage.wait_as_seen(&before, &stage.prober).await.0, READY);
}

#[tokio::test(start_paused = true)]
async fn docker_health_goes_before_the_probe() {
    for readiness in [Readiness::Default, Readiness::Docker] {
        let ill = Stage::of(readiness.clone(), |container| container.health_check(None));
        ill.prober.answer_everywhere(ProbeAnswer::Status(200));
        assert_eq!(ill.wait().await, (Awaited::TimedOut, MINUTE), "{readiness:?}");
        assert!(ill.prober.attempts().is_empty());

        let second = Duration::from_millis(1234);
        let healed = Stage::of(readiness.clone(), |container| container.health_check(None));
        let heal = |engine: &FakeEngine| engine.set_health("web", Health::Healthy);
        assert_eq!(healed.wait_while(second, heal).await, (READY, second), "{readiness:?}");

        let well = Stage::of(readiness, |container| container.health_check(None));
        well.engine.set_health("web", Health::Healthy);
        assert_eq!(well.wait().await, (READY, Duration::ZERO), "unpaused, it is healthy still");
    }
}

#[tokio::test(start_paused = true)]
async fn the_health_command_is_run_by_us_and_may_be_sooner() {
    let passing = Duration::from_millis(2050);
    let stage = Stage::of(Readiness::Docker, |container| container.health_check(Some(passing)));
    let (awaited, took) = stage.wait().await;
    assert_eq!(awaited, READY);
    assert_about(took, passing);
    let runs: Vec<_> = stage
        .engine
        .made()
        .into_iter()
        .filter(|made| made.call == Call::Health)
        .map(|made| made.at)
        .collect();
    assert!(runs.len() > 15, "{} runs in two seconds", runs.len());
    assert!(runs.windows(2).all(|two| two[1].since(two[0]) >= Duration::from_millis(100)), "one at a time");
}

#[tokio::test(start_paused = true)]
async fn docker_readiness_without_a_health_check_is_the_default_with_a_warning() {
    let stage = Stage::new(Readiness::Docker).answers(&[ProbeAnswer::Refused, ProbeAnswer::Status(200)]);
    let warned = Awaited::Ready { warning: Some(Warning::NoHealthCheck) };
    assert_eq!(stage.wait().await.0, warned);
}

#[tokio::test(start_paused = true)]
async fn an_explicit_probe_goes_before_docker_health() {
    let check = |container: &mut FakeContainer| container.health_check(None);
    let stage = Stage::of(http(200, 200), check).answers(&[ProbeAnswer::Status(200)]);
    assert_eq!(stage.wait().await, (READY, Duration::ZERO));
    assert_eq!(stage.engine.count(Call::Health), 0);
}

#[tokio::test(start_paused = true)]
async fn trap_24_probing_goes_on_while_the_engine_is_away() {
    let stage = Stage::new(Readiness::Default);
    stage.engine.go_away();
    stage.prober.answer_after(stage.address, Duration::from_secs(30), ProbeAnswer::Status(200));
    let (awaited, took) = stage.wait().await;
    assert_eq!(awaited, READY);
    assert_about(took, Duration::from_secs(30));
    assert!(matches!(stage.engine.inspect("web").await, Err(wakedock::ports::InspectError::Away(_))));
}
