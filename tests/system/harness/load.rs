//! Clients that go on asking until they are told to stop, and what became of each request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::eventually;
use super::http::Answer;

/// What is shown of many failures.
const SHOWN: usize = 5;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
}

/// Clients that run beside the test.
#[must_use]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub answered: u64,
    pub slowest: Duration,
    pub failures: Vec<String>,
}

impl Tally {
    /// Panics unless every request was answered, and there were any.
    pub fn assert_all_answered(&self, least: u64) {
        let shown = &self.failures[..self.failures.len().min(SHOWN)];
        assert!(
            self.failures.is_empty(),
            "{} of {} requests failed: {shown:#?}",
            self.failures.len(),
            self.answered
        );
        assert!(self.answered >= least, "only {} requests were made", self.answered);
    }
}

impl Load {
    /// So many clients, each asking again as soon as it has its answer; `ask` is given the number
    /// of the request. An answer that is not the application's 200 is a failure.
    pub fn start(clients: usize, ask: impl Fn(u64) -> io::Result<Answer> + Send + Sync + 'static) -> Self {
        let (shared, ask) = (Arc::new(Shared::default()), Arc::new(ask));
        let clients = (0..clients)
            .map(|_| {
                let (shared, ask) = (Arc::clone(&shared), Arc::clone(&ask));
                std::thread::spawn(move || client(&shared, &*ask))
            })
            .collect();
        Self { shared, clients }
    }

    /// How many requests were answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests were answered.
    pub fn wait_for(&self, more: u64) {
        let wanted = self.answered() + more;
        eventually(Duration::from_secs(60), "the load is answered", || {
            (self.answered() >= wanted).then_some(())
        });
    }

    pub fn stop(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for client in self.clients {
            let one = client.join().expect("a client of the load");
            sum.answered += one.answered;
            sum.slowest = sum.slowest.max(one.slowest);
            sum.failures.extend(one.failures);
        }
        sum
    }
}

fn client(shared: &Shared, ask: &(dyn Fn(u64) -> io::Result<Answer> + Send + Sync)) -> Tally {
    let mut tally = Tally::default();
    while !shared.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let number = shared.answered.load(Ordering::Relaxed);
        match ask(number) {
            Ok(answer) if answer.status() == 200 && answer.instance().is_some() => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
                tally.answered += 1;
            }
            Ok(answer) => tally.failures.push(format!("answered {:?} {:?}", answer.head, answer.text())),
            Err(error) => tally.failures.push(format!("after {:?}: {error}", began.elapsed())),
        }
        tally.slowest = tally.slowest.max(began.elapsed());
    }
    tally
}
