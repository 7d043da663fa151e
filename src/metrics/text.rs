//! The Prometheus text format (0.0.4) of what is counted per service.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::time::Moment;
use crate::domain::words::{Phase, Reason, StopCause, WakeCause, WakeOutcome};
use crate::metrics::service::{
    AnsweredBy, Histogram, OVERHEAD_BUCKETS, REQUEST_BUCKETS, ServiceMetrics, WAKE_BUCKETS,
};

/// What is true of a service this moment, read when the metrics are.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    pub phase: Phase,
    pub leases: u64,
    pub held: usize,
}

/// One service as it is rendered. `None` in place of what is live: not a service of the operator's
/// but `_unknown`, which has requests and refusals and no life of its own.
pub type Subject<'a> = (&'a ServiceMetrics, Option<Live>);

/// One family: name, type, help, and what it says of a service.
type Family = (&'static str, &'static str, &'static str, fn(&mut Lines<'_>, &ServiceMetrics));
/// One that only a service of the operator's has.
type LivingFamily = (&'static str, &'static str, &'static str, fn(&mut Lines<'_>, &ServiceMetrics, Live));

const FAMILIES: &[Family] = &[
    (
        "wakedock_requests_total",
        "counter",
        "Answered requests, by class of status and by who answered.",
        requests,
    ),
    (
        "wakedock_request_duration_seconds",
        "histogram",
        "From the request's head to the answer's head, waiting included.",
        |lines, service| {
            let shards: Vec<_> = service.shards.iter().map(|shard| &shard.durations).collect();
            lines.histogram(&REQUEST_BUCKETS, &shards);
        },
    ),
    (
        "wakedock_refusals_total",
        "counter",
        "Requests that WakeDock answered itself, by reason.",
        |lines, service| lines.each("reason", Reason::ALL, |reason| load(&service.refusals[reason as usize])),
    ),
];

const LIVING_FAMILIES: &[LivingFamily] = &[
    ("wakedock_leases", "gauge", "Requests, bodies and upgraded streams in progress.", |lines, _, live| {
        lines.one("", live.leases)
    }),
    ("wakedock_held_requests", "gauge", "Requests that wait for a service to be ready.", |lines, _, live| {
        lines.one("", live.held)
    }),
    (
        "wakedock_service_phase",
        "gauge",
        "1 for the phase the service is in, 0 for the others.",
        |lines, _, live| lines.each("phase", Phase::ALL, |phase| u64::from(phase == live.phase)),
    ),
    ("wakedock_wakes_total", "counter", "Wakes that ended, by cause and outcome.", |lines, service, _| {
        wakes(lines, service)
    }),
    ("wakedock_wake_duration_seconds", "histogram", "From demand to ready.", |lines, service, _| {
        lines.histogram(&WAKE_BUCKETS, &[&service.wake_durations])
    }),
    (
        "wakedock_wake_overhead_seconds",
        "histogram",
        "WakeDock's own share of a wake: demand to start order, and application ready to first byte forwarded.",
        |lines, service, _| lines.histogram(&OVERHEAD_BUCKETS, &[&service.wake_overheads]),
    ),
    ("wakedock_stops_total", "counter", "Stops that ended, by cause.", |lines, service, _| {
        lines.each("cause", StopCause::ALL, |cause| load(&service.stops[cause as usize]))
    }),
    (
        "wakedock_awake_seconds_total",
        "counter",
        "From the start order to the end of the stop.",
        |lines, service, _| lines.one("", service.accounted(lines.now).0.as_secs_f64()),
    ),
    ("wakedock_asleep_seconds_total", "counter", "Off or paused.", |lines, service, _| {
        lines.one("", service.accounted(lines.now).1.as_secs_f64())
    }),
    (
        "wakedock_memory_saved_byte_seconds_total",
        "counter",
        "Memory the service used when it was awake, times the seconds it has been off.",
        |lines, service, _| lines.one("", service.accounted(lines.now).2),
    ),
];

/// The text of all services, family by family.
#[must_use]
pub fn render(services: &[Subject<'_>], now: Moment) -> String {
    // About what a service needs that was never used.
    let mut out = String::with_capacity(services.len() * 6 * 1024);
    for (family, kind, help, write) in FAMILIES {
        begin(&mut out, family, kind, help);
        for (service, _) in services {
            write(&mut Lines { out: &mut out, family, service: service.name().as_str(), now }, service);
        }
    }
    for (family, kind, help, write) in LIVING_FAMILIES {
        begin(&mut out, family, kind, help);
        for (service, live) in services {
            if let Some(live) = live {
                write(
                    &mut Lines { out: &mut out, family, service: service.name().as_str(), now },
                    service,
                    *live,
                );
            }
        }
    }
    out
}

fn begin(out: &mut String, family: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP {family} {help}\n# TYPE {family} {kind}");
}

/// The lines of one family about one service.
struct Lines<'a> {
    out: &'a mut String,
    family: &'static str,
    service: &'a str,
    now: Moment,
}

impl Lines<'_> {
    /// One line; `labels` come after the service's, each with a comma before it.
    fn one(&mut self, labels: impl Display, value: impl Display) {
        self.line("", labels, value);
    }

    fn line(&mut self, suffix: &str, labels: impl Display, value: impl Display) {
        let (family, service) = (self.family, self.service);
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{family}{suffix}{{service=\"{service}\"{labels}}} {value}");
    }

    /// A line for each word of a closed list.
    fn each<T: Display + Copy>(&mut self, label: &str, words: &[T], value: impl Fn(T) -> u64) {
        for word in words {
            self.one(format_args!(",{label}=\"{word}\""), value(*word));
        }
    }

    fn histogram<const N: usize>(&mut self, bounds: &[u64; N], parts: &[&Histogram<N>]) {
        let sum = |pick: &dyn Fn(&Histogram<N>) -> &AtomicU64| -> u64 {
            parts.iter().map(|part| load(pick(part))).sum()
        };
        let mut below = [0; N];
        let mut count = 0;
        for (index, below) in below.iter_mut().enumerate() {
            count += sum(&|part| &part.buckets[index]);
            *below = count;
        }
        count += sum(&|part| &part.over);
        // Of nothing there is nothing to tell apart: one bucket says it, and what sleeps and was never
        // used is a third less text.
        for (bound, below) in bounds.iter().zip(below).filter(|_| count > 0) {
            self.line("_bucket", format_args!(",le=\"{}\"", seconds(*bound)), below);
        }
        self.line("_bucket", ",le=\"+Inf\"", count);
        self.line("_sum", "", seconds(sum(&|part| &part.micros)));
        self.line("_count", "", count);
    }
}

fn requests(lines: &mut Lines<'_>, service: &ServiceMetrics) {
    for class in 1..=5 {
        for (by, word) in [(AnsweredBy::Upstream, "upstream"), (AnsweredBy::Wakedock, "wakedock")] {
            let labels = format_args!(",code=\"{class}xx\",by=\"{word}\"");
            lines.one(labels, service.requests(class, by));
        }
    }
}

fn wakes(lines: &mut Lines<'_>, service: &ServiceMetrics) {
    for cause in WakeCause::ALL {
        for outcome in WakeOutcome::ALL {
            let count = load(&service.wakes[*cause as usize][*outcome as usize]);
            lines.one(format_args!(",cause=\"{cause}\",outcome=\"{outcome}\""), count);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a sum of durations is not exact to 2^-52")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
