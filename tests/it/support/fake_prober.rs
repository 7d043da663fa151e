//! Readiness attempts that meet what a test says.

#![allow(dead_code, reason = "a kit: not every test needs every part")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wakedock::clock;
use wakedock::domain::time::Moment;
use wakedock::ports::{BoxFuture, Probe, ProbeAnswer, Prober};

/// One attempt as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) address: SocketAddr,
    pub(crate) probe: Probe,
    pub(crate) patience: Duration,
    pub(crate) at: Moment,
}

#[derive(Default)]
struct Inner {
    scripts: HashMap<SocketAddr, VecDeque<ProbeAnswer>>,
    /// From a moment on, this.
    later: HashMap<SocketAddr, (Moment, ProbeAnswer)>,
    everywhere: Option<ProbeAnswer>,
    attempts: Vec<Attempt>,
}

/// Nobody listens anywhere, until told otherwise. Clones are the same prober.
#[derive(Clone, Default)]
pub(crate) struct FakeProber(Arc<Mutex<Inner>>);

impl FakeProber {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One where every address answers like this, unless it has a script.
    pub(crate) fn answering(answer: ProbeAnswer) -> Self {
        let prober = Self::default();
        prober.answer_everywhere(answer);
        prober
    }

    pub(crate) fn answer_everywhere(&self, answer: ProbeAnswer) {
        self.lock().everywhere = Some(answer);
    }

    /// From now on, always this.
    pub(crate) fn answer(&self, address: SocketAddr, answer: ProbeAnswer) {
        self.script(address, [answer]);
    }

    /// These in turn, the last one for ever.
    pub(crate) fn script(&self, address: SocketAddr, answers: impl IntoIterator<Item = ProbeAnswer>) {
        self.lock().scripts.insert(address, answers.into_iter().collect());
    }

    /// This, once so much time has passed.
    pub(crate) fn answer_after(&self, address: SocketAddr, after: Duration, answer: ProbeAnswer) {
        let at = clock::now() + after;
        self.lock().later.insert(address, (at, answer));
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics inside")
    }
}

impl Prober for FakeProber {
    fn attempt(&self, address: SocketAddr, probe: Probe, patience: Duration) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async move {
            let answer = {
                let mut inner = self.lock();
                let now = clock::now();
                inner.attempts.push(Attempt { address, probe, patience, at: now });
                let later = inner.later.get(&address).filter(|(at, _)| now >= *at).map(|(_, answer)| *answer);
                let everywhere = inner.everywhere;
                later
                    .or_else(|| {
                        let script = inner.scripts.get_mut(&address)?;
                        if script.len() > 1 { script.pop_front() } else { script.front().copied() }
                    })
                    .or(everywhere)
                    .unwrap_or(ProbeAnswer::Refused)
            };
            if answer == ProbeAnswer::Silent {
                tokio::time::sleep(patience).await;
            }
            answer
        })
    }
}
