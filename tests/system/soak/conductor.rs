//! Who runs WakeDock, brings the faults, looks at what the process uses, and judges.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, Relay, Target, WakeDock};

use super::book::Book;
use super::plan::Plan;
use super::samples::{Sample, median};
use super::town::{HEALTHY, Town};
use super::verdict;

/// How long after the load the last of it may be held: the longest that an idle connection to an
/// upstream is kept, and the sweep that ends it.
const QUIET: Duration = Duration::from_secs(75);

/// About so many losses are shown: more of them are one fault.
const SHOWN: usize = 50;

pub struct Conductor {
    plan: Plan,
    dock: WakeDock,
    start: Sample,
    end: Option<Sample>,
    /// Healthy services that do not sleep at the end.
    awake: Vec<&'static str>,
    samples: Vec<Sample>,
    cuts: u32,
    edits: u32,
    updates: u32,
    /// So many losses have been told of.
    told: usize,
}

/// When something is due again.
struct Due {
    every: Duration,
    next: Instant,
}

impl Due {
    fn every(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    fn now(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next = Instant::now() + self.every;
        }
        due
    }
}

impl Conductor {
    pub fn start(plan: Plan, town: &Town, relay: &Relay) -> Self {
        let mut builder = WakeDock::builder()
            .docker_socket(&relay.path())
            .set("docker.labels", true)
            .set("proxy.timeouts.head", "5s")
            .set("proxy.timeouts.response_head", "5s");
        for service in town.services() {
            builder = builder.service(service);
        }
        let mut dock = builder.start();
        for name in HEALTHY {
            dock.wait_phase(name, "asleep", Duration::from_secs(10));
        }
        let start = Sample::take(Duration::ZERO, dock.process().pid(), &dock.metrics());
        eprintln!(
            "soak: process {}, {}; at the start {}",
            dock.process().pid(),
            dock.folder().display(),
            start.line()
        );
        Self {
            plan,
            dock,
            start,
            end: None,
            awake: Vec::new(),
            samples: Vec::new(),
            cuts: 0,
            edits: 0,
            updates: 0,
            told: 0,
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The proxy's listeners: TCP, unix.
    pub fn doors(&self) -> [Target; 2] {
        [self.dock.proxy(), self.dock.proxy_unix()]
    }

    /// Somebody with a token of their own.
    pub fn person(&self, name: &str, role: &str) -> Api {
        let token = json!({ "name": name, "role": role, "expires_in": "2d" });
        let made = self.dock.api().post("/api/v1/tokens", &token);
        Api::stranger(&self.dock).with_token(made["token"].as_str().expect("a token"))
    }

    fn sample(&mut self, at: Duration) -> Sample {
        if let Some(status) = self.dock.process().ended() {
            panic!("WakeDock ended with {status} at {at:.1?}");
        }
        Sample::take(at, self.dock.process().pid(), &self.dock.metrics())
    }

    /// Until the time is over.
    pub fn conduct(&mut self, town: &Town, relay: &Relay, book: &Book) {
        let Plan { lasts, cuts: (between_cuts, cut_lasts), .. } = self.plan;
        let Plan { samples, edits, kills, updates, lines, .. } = self.plan;
        let mut due = [samples, edits, between_cuts, kills, updates, lines].map(Due::every);
        let [samples, edits, cuts, kills, updates, lines] = &mut due;
        let mut update_is_due = false;
        let mut cut_since: Option<Instant> = None;
        while book.elapsed() < lasts {
            std::thread::sleep(Duration::from_millis(100));
            if samples.now() {
                let sample = self.sample(book.elapsed());
                self.samples.push(sample);
            }
            if edits.now() {
                self.edit(self.edits);
                self.edits += 1;
            }
            if cuts.now() && cut_since.is_none() {
                relay.cut();
                cut_since = Some(Instant::now());
                self.cuts += 1;
            }
            if cut_since.is_some_and(|since| since.elapsed() >= cut_lasts) {
                relay.mend();
                cut_since = None;
            }
            if kills.now() {
                // Refused where it is off already: as good.
                let path = format!("/containers/{}/kill", town.crashes.name());
                town.crashes.docker().ask("POST", &path, None);
            }
            update_is_due |= updates.now();
            // It waits until the service sleeps: whoever comes in between is served by the new one.
            if update_is_due && town.tagged.update() {
                update_is_due = false;
                self.updates += 1;
            }
            if lines.now() {
                self.say(book);
            }
            self.tell_of_losses(book);
        }
        if cut_since.is_some() {
            relay.mend();
        }
    }

    /// Each loss is shown when it happens, the first with what WakeDock logged just before.
    fn tell_of_losses(&mut self, book: &Book) {
        let losses = book.losses();
        if losses.len() == self.told || self.told >= SHOWN {
            return;
        }
        losses[self.told..].iter().for_each(|loss| eprintln!("soak: LOST {loss}"));
        if self.told < 5 {
            let log = self.dock.log();
            let lines: Vec<_> = log.lines().collect();
            lines[lines.len().saturating_sub(15)..].iter().for_each(|line| eprintln!("soak: log  {line}"));
        }
        self.told = losses.len();
    }

    /// One line of figures: the medians of the last minute.
    fn say(&self, book: &Book) {
        let since = book.elapsed().saturating_sub(self.plan.lines);
        let first = self.samples.partition_point(|sample| sample.at < since);
        let (right, lost) = book.counts();
        eprintln!(
            "figure: soak {:>5} s: {right} right, {lost} lost, {} cuts, {} edits; {}",
            book.elapsed().as_secs(),
            self.cuts,
            self.edits,
            median(&self.samples[first..]).line()
        );
    }

    /// Good ones and a bad one in turn; a bad one changes nothing and is mended by the next.
    fn edit(&mut self, number: u32) {
        let service =
            |config: &mut Value, at: usize, key: &str, value: Value| config["services"][at][key] = value;
        match number % 4 {
            0 => self.dock.edit(|config| service(config, 1, "idle", json!({ "stop_after": "3s" }))),
            1 => self.dock.write_config("services: [\n"),
            2 => self.dock.edit(|config| {
                service(config, 1, "idle", json!({ "stop_after": "2s", "stop_timeout": "1s" }))
            }),
            _ => self.dock.edit(|config| {
                let hosts = ["busy.test".to_owned(), format!("busy-{number}.test")];
                service(config, 0, "hosts", json!(hosts));
            }),
        }
    }

    /// The load is over: everything falls asleep, and what was held for it is let go.
    pub fn see_all_asleep(&mut self) {
        let soon = json!({ "stop_after": "1s", "stop_timeout": "1s" });
        self.dock.edit(|config| config["services"][0]["idle"] = soon);
        let began = Instant::now();
        loop {
            let sample = self.sample(began.elapsed());
            self.awake = HEALTHY.into_iter().filter(|name| self.dock.phase(name) != Some("asleep")).collect();
            let quiet = self.awake.is_empty() && verdict::at_rest(&self.start, &sample).is_empty();
            self.end = Some(sample);
            if quiet || began.elapsed() > QUIET {
                eprintln!("soak: quiet after {:.1?}", began.elapsed());
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn quarters(&self) -> Vec<Sample> {
        let quarter = self.samples.len().div_ceil(4).max(1);
        self.samples.chunks(quarter).map(median).collect()
    }

    pub fn report(&self, book: &Book) {
        let (right, lost) = book.counts();
        eprintln!(
            "figure: soak of {:?}: {right} right, {lost} lost, {} cuts of Docker's socket, {} edits, {} updates",
            self.plan.lasts, self.cuts, self.edits, self.updates
        );
        book.table().iter().for_each(|line| eprintln!("figure: {line}"));
        eprintln!("figure: at the start  {}", self.start.line());
        for (number, quarter) in self.quarters().iter().enumerate() {
            eprintln!("figure: quarter {}     {}", number + 1, quarter.line());
        }
        if let Some(end) = &self.end {
            eprintln!("figure: in the end    {}", end.line());
        }
    }

    pub fn assert_flat(&self) {
        let end = self.end.as_ref().expect("a sample of the end");
        assert!(end.wakes > 0 && self.cuts > 0 && self.edits > 0 && self.updates > 0, "nothing happened");
        assert!(self.awake.is_empty(), "awake without anybody who asks: {:?}", self.awake);
        let mut wrong = verdict::at_rest(&self.start, end);
        if self.plan.is_long() {
            let quarters = self.quarters();
            wrong.extend(verdict::over_time(&quarters[1], &quarters[3]));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
