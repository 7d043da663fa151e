//! The way from "the container runs" to "the application answers".
//!
//! Running is not ready, and neither a short poll interval without a probe (502 to everybody) nor a
//! long one (everybody waits for the next tick) will do: probe tightly, end at the first sign.
//! Three things go on at once, and the first to know ends the wait: probes at the address, the
//! container's own health command, and looks at the container.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use crate::clock;
use crate::domain::service::Readiness;
use crate::domain::time::{Moment, Timestamp};
use crate::ports::{
    Container, ContainerEngine, ContainerState, Health, HealthCommand, InspectError, Probe, ProbeAnswer,
    Prober, ReadError,
};

/// Between the first probes; what listens at once is found at once.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// How many come that fast, before the pauses grow by half each.
const FIRST_PROBES: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long an application that accepted may be silent before that counts as an answer, or before
/// it is asked once more, with twice the patience.
const SILENCE: Duration = Duration::from_secs(2);

/// How long an application may only accept and close before it counts as ready for what it is: not
/// everything speaks HTTP.
const CLOSING: Duration = Duration::from_secs(5);

/// Between two runs of a health command, from end to begin.
const HEALTH_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks at the container that nobody asked for: a lost event costs this at most.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    /// As seen after its start returned.
    pub container: &'a Container,
    pub readiness: &'a Readiness,
    pub address: SocketAddr,
    /// The address is a port that the host publishes. There, something accepts before the
    /// application does: an accepted connection proves nothing. `Readiness::Tcp` cannot tell, and is
    /// of little use there.
    pub published: bool,
    /// For the `Host` field.
    pub host: &'a str,
    pub deadline: Moment,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    Ready {
        warning: Option<Warning>,
    },
    /// The container ended, was restarted by its engine, or is gone. No code where none is known.
    Exited {
        code: Option<i64>,
    },
    TimedOut,
}

/// What the operator should know about a service that is ready all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("readiness is `docker`, but the container has no health check: the default was used")]
    NoHealthCheck,
}

/// Waits until the application answers, the container ends, or the deadline passes.
///
/// `changed` is to be rung (`notify_one`) when something happened to the container: it is then
/// looked at again at once. An engine that is away ends nothing: probing goes on.
pub async fn wait_ready(
    prober: &dyn Prober,
    engine: &dyn ContainerEngine,
    wait: Wait<'_>,
    changed: &Notify,
) -> Awaited {
    let has_check = wait.container.health.is_some() || wait.container.health_command.is_some();
    let by_health = match wait.readiness {
        Readiness::None => return Awaited::Ready { warning: None },
        Readiness::Default | Readiness::Docker => has_check,
        Readiness::Http { .. } | Readiness::Tcp => false,
    };
    let unchecked = *wait.readiness == Readiness::Docker && !has_check;
    let warning = unchecked.then_some(Warning::NoHealthCheck);
    if by_health && wait.container.health == Some(Health::Healthy) {
        return Awaited::Ready { warning };
    }
    let ready = async {
        if by_health {
            pass_health_command(engine, wait.container).await;
        } else {
            answer_probe(prober, &wait).await;
        }
    };
    tokio::select! {
        biased;
        () = ready => Awaited::Ready { warning },
        seen = watch_container(engine, wait.container, by_health, changed) => match seen {
            Seen::Healthy => Awaited::Ready { warning },
            Seen::Ended { code } => Awaited::Exited { code },
        },
        () = sleep_until(clock::instant(wait.deadline)) => Awaited::TimedOut,
    }
}

/// Probes until an answer means ready.
async fn answer_probe(prober: &dyn Prober, wait: &Wait<'_>) {
    let mut judge = Judge { readiness: wait.readiness, published: wait.published, closing: None };
    let mut patience = SILENCE;
    let mut pause = FIRST_PAUSE;
    for count in 0_u32.. {
        let answer = prober.attempt(wait.address, judge.probe(wait.host), patience).await;
        if judge.is_ready(answer, clock::now()) {
            return;
        }
        if answer == ProbeAnswer::Silent {
            // It may need longer for its first answer than it was given, every time anew.
            patience = patience.saturating_mul(2);
        }
        sleep(pause).await;
        if count + 1 >= FIRST_PROBES {
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}

/// Tells which answers mean ready.
struct Judge<'a> {
    readiness: &'a Readiness,
    published: bool,
    /// Since when every connection was accepted and closed.
    closing: Option<Moment>,
}

impl Judge<'_> {
    fn probe(&self, host: &str) -> Probe {
        let path = match self.readiness {
            Readiness::Tcp => return Probe::Tcp,
            Readiness::Http { path, .. } => path.clone(),
            Readiness::Default | Readiness::Docker | Readiness::None => "/".to_owned(),
        };
        Probe::Http { host: host.to_owned(), path }
    }

    fn is_ready(&mut self, answer: ProbeAnswer, now: Moment) -> bool {
        match self.readiness {
            Readiness::None => true,
            Readiness::Tcp => answer == ProbeAnswer::Connected,
            Readiness::Http { status, .. } => {
                matches!(answer, ProbeAnswer::Status(code) if status.contains(&code))
            }
            Readiness::Default | Readiness::Docker => self.is_up(answer, now),
        }
    }

    /// Any HTTP answer but those of a gateway without its application, else TCP.
    fn is_up(&mut self, answer: ProbeAnswer, now: Moment) -> bool {
        if answer != ProbeAnswer::Closed {
            self.closing = None;
        }
        match answer {
            ProbeAnswer::Status(502..=504) | ProbeAnswer::Refused => false,
            ProbeAnswer::Status(_) | ProbeAnswer::NotHttp | ProbeAnswer::Connected => true,
            // Behind a published port the engine's proxy accepts for an application that is not there.
            ProbeAnswer::Silent | ProbeAnswer::Closed if self.published => false,
            ProbeAnswer::Silent => true,
            ProbeAnswer::Closed => now.since(*self.closing.get_or_insert(now)) >= CLOSING,
        }
    }
}

/// Runs the container's own health command until it passes once: what Docker itself counts as
/// healthy, without waiting for its interval. Never returns where there is no command.
async fn pass_health_command(engine: &dyn ContainerEngine, container: &Container) {
    let Some(command) = &container.health_command else { return std::future::pending().await };
    loop {
        if run_once(engine, container, command).await {
            return;
        }
        sleep(HEALTH_PAUSE).await;
    }
}

async fn run_once(engine: &dyn ContainerEngine, container: &Container, command: &HealthCommand) -> bool {
    let run = engine.run_health_command(&container.id, command);
    // The engine's adapter keeps to the timeout; it is kept here, too, whoever that is.
    match timeout(command.timeout.saturating_mul(2), run).await {
        Ok(Ok(passed)) => passed,
        Ok(Err(ReadError::Away(_) | ReadError::Refused { .. } | ReadError::TimedOut(_))) | Err(_) => false,
    }
}

enum Seen {
    Healthy,
    Ended { code: Option<i64> },
}

/// Looks at the container until that says how the wait ends.
async fn watch_container(
    engine: &dyn ContainerEngine,
    container: &Container,
    by_health: bool,
    changed: &Notify,
) -> Seen {
    let mut started = container.started_at.filter(|_| container.state == ContainerState::Running);
    loop {
        let _ = timeout(LOOK_PAUSE, changed.notified()).await;
        match engine.inspect(&container.id.0).await {
            Ok(now) => {
                if let ControlFlow::Break(seen) = judge_look(&now, by_health, &mut started) {
                    return seen;
                }
            }
            Err(InspectError::Missing { .. }) => return Seen::Ended { code: None },
            Err(InspectError::Away(_) | InspectError::Refused { .. }) => {}
        }
    }
}

/// One look. A container that the engine started anew has crashed in between, and its address may
/// be another one.
fn judge_look(now: &Container, by_health: bool, started: &mut Option<Timestamp>) -> ControlFlow<Seen> {
    match now.state {
        ContainerState::Running | ContainerState::Paused => {
            if started.is_some_and(|started| now.started_at.is_some_and(|at| at != started)) {
                return ControlFlow::Break(Seen::Ended { code: None });
            }
            *started = started.or(now.started_at);
            if by_health && now.health == Some(Health::Healthy) {
                return ControlFlow::Break(Seen::Healthy);
            }
            ControlFlow::Continue(())
        }
        // Seen before the engine wrote down that it runs.
        ContainerState::Created => ControlFlow::Continue(()),
        ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Exited
        | ContainerState::Dead => ControlFlow::Break(Seen::Ended { code: now.exit_code }),
    }
}
