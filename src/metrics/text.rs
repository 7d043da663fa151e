//! The Prometheus text format (0.0.4) of what is counted per service.

use std::fmt::Write;
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

/// The text of all services, family by family.
#[derive(Debug)]
pub struct Text<'a> {
    services: Vec<(&'a ServiceMetrics, Option<Live>)>,
    now: Moment,
    out: String,
}

impl<'a> Text<'a> {
    /// `None` in place of what is live: not a service of the operator's, but `_unknown`, which only
    /// has requests and refusals.
    #[must_use]
    pub fn new(services: Vec<(&'a ServiceMetrics, Option<Live>)>, now: Moment) -> Self {
        let out = String::with_capacity(services.len() * 8192);
        Self { services, now, out }
    }

    /// Renders every family.
    #[must_use]
    pub fn render(mut self) -> String {
        // Writing to a string cannot fail.
        let _ = self.write();
        self.out
    }

    fn write(&mut self) -> std::fmt::Result {
        self.requests()?;
        self.family(
            "wakedock_refusals_total",
            "counter",
            "Requests that WakeDock answered itself, by reason.",
            |out, name, service, _| {
                Reason::ALL.iter().try_for_each(|reason| {
                    let count = load(&service.refusals[*reason as usize]);
                    writeln!(out, "{name}{{service=\"{}\",reason=\"{reason}\"}} {count}", service.name())
                })
            },
        )?;
        self.live("wakedock_leases", "Requests, bodies and upgraded streams in progress.", |live| {
            live.leases
        })?;
        self.live("wakedock_held_requests", "Requests that wait for a service to be ready.", |live| {
            live.held as u64
        })?;
        self.phases()?;
        self.lifecycle()?;
        self.accounts()
    }

    fn requests(&mut self) -> std::fmt::Result {
        self.family(
            "wakedock_requests_total",
            "counter",
            "Answered requests, by class of status and by who answered.",
            |out, name, service, _| {
                for (class, _) in service.shards[0].requests.iter().enumerate() {
                    for by in [AnsweredBy::Upstream, AnsweredBy::Wakedock] {
                        let count: u64 = service
                            .shards
                            .iter()
                            .map(|shard| load(&shard.requests[class][by as usize]))
                            .sum();
                        let word = match by {
                            AnsweredBy::Upstream => "upstream",
                            AnsweredBy::Wakedock => "wakedock",
                        };
                        writeln!(
                            out,
                            "{name}{{service=\"{}\",code=\"{}xx\",by=\"{word}\"}} {count}",
                            service.name(),
                            class + 1
                        )?;
                    }
                }
                Ok(())
            },
        )?;
        self.family(
            "wakedock_request_duration_seconds",
            "histogram",
            "From the request's head to the answer's head, waiting included.",
            |out, name, service, _| {
                let shards: Vec<_> = service.shards.iter().map(|shard| &shard.durations).collect();
                histogram(out, name, service, &REQUEST_BUCKETS, &shards)
            },
        )
    }

    fn phases(&mut self) -> std::fmt::Result {
        self.family(
            "wakedock_service_phase",
            "gauge",
            "1 for the phase the service is in, 0 for the others.",
            |out, name, service, live| {
                let Some(live) = live else { return Ok(()) };
                Phase::ALL.iter().try_for_each(|phase| {
                    let value = u8::from(*phase == live.phase);
                    writeln!(out, "{name}{{service=\"{}\",phase=\"{phase}\"}} {value}", service.name())
                })
            },
        )
    }

    fn lifecycle(&mut self) -> std::fmt::Result {
        self.family(
            "wakedock_wakes_total",
            "counter",
            "Wakes that ended, by cause and outcome.",
            |out, name, service, live| {
                for cause in WakeCause::ALL {
                    for outcome in WakeOutcome::ALL {
                        let count = load(&service.wakes[*cause as usize][*outcome as usize]);
                        // Every service can be asked for; the other causes show when they occur.
                        if live.is_some() && (count > 0 || *cause == WakeCause::Request) {
                            writeln!(
                                out,
                                "{name}{{service=\"{}\",cause=\"{cause}\",outcome=\"{outcome}\"}} {count}",
                                service.name()
                            )?;
                        }
                    }
                }
                Ok(())
            },
        )?;
        self.family(
            "wakedock_wake_duration_seconds",
            "histogram",
            "From demand to ready.",
            |out, name, service, live| {
                if live.is_none() {
                    return Ok(());
                }
                histogram(out, name, service, &WAKE_BUCKETS, &[&service.wake_durations])
            },
        )?;
        self.family("wakedock_wake_overhead_seconds", "histogram", "WakeDock's own share of a wake: demand to start order, and application ready to first byte forwarded.", |out, name, service, live| {
            if live.is_none() { return Ok(()) }
            histogram(out, name, service, &OVERHEAD_BUCKETS, &[&service.wake_overheads])
        })?;
        self.family(
            "wakedock_stops_total",
            "counter",
            "Stops that ended, by cause.",
            |out, name, service, live| {
                if live.is_none() {
                    return Ok(());
                }
                StopCause::ALL.iter().try_for_each(|cause| {
                    let count = load(&service.stops[*cause as usize]);
                    writeln!(out, "{name}{{service=\"{}\",cause=\"{cause}\"}} {count}", service.name())
                })
            },
        )
    }

    fn accounts(&mut self) -> std::fmt::Result {
        let now = self.now;
        self.family(
            "wakedock_awake_seconds_total",
            "counter",
            "From the start order to the end of the stop.",
            |out, name, service, live| {
                if live.is_none() {
                    return Ok(());
                }
                writeln!(
                    out,
                    "{name}{{service=\"{}\"}} {}",
                    service.name(),
                    service.accounted(now).0.as_secs_f64()
                )
            },
        )?;
        self.family(
            "wakedock_asleep_seconds_total",
            "counter",
            "Off or paused.",
            |out, name, service, live| {
                if live.is_none() {
                    return Ok(());
                }
                writeln!(
                    out,
                    "{name}{{service=\"{}\"}} {}",
                    service.name(),
                    service.accounted(now).1.as_secs_f64()
                )
            },
        )?;
        self.family(
            "wakedock_memory_saved_byte_seconds_total",
            "counter",
            "Memory the service used when it was awake, times the seconds it has been off.",
            |out, name, service, live| {
                if live.is_none() {
                    return Ok(());
                }
                writeln!(out, "{name}{{service=\"{}\"}} {}", service.name(), service.accounted(now).2)
            },
        )
    }

    fn live(&mut self, name: &str, help: &str, value: impl Fn(&Live) -> u64) -> std::fmt::Result {
        self.family(name, "gauge", help, |out, name, service, live| {
            let Some(live) = live else { return Ok(()) };
            writeln!(out, "{name}{{service=\"{}\"}} {}", service.name(), value(&live))
        })
    }

    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        line: impl Fn(&mut String, &str, &ServiceMetrics, Option<Live>) -> std::fmt::Result,
    ) -> std::fmt::Result {
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for (service, live) in &self.services {
            line(&mut self.out, name, service, *live)?;
        }
        Ok(())
    }
}

fn histogram<const N: usize>(
    out: &mut String,
    name: &str,
    service: &ServiceMetrics,
    bounds: &[u64; N],
    parts: &[&Histogram<N>],
) -> std::fmt::Result {
    let sum =
        |pick: &dyn Fn(&Histogram<N>) -> &AtomicU64| parts.iter().map(|part| load(pick(part))).sum::<u64>();
    let service = service.name();
    let mut count = 0;
    for (index, bound) in bounds.iter().enumerate() {
        count += sum(&|part| &part.buckets[index]);
        writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"{}\"}} {count}", seconds(*bound))?;
    }
    count += sum(&|part| &part.over);
    writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"+Inf\"}} {count}")?;
    writeln!(out, "{name}_sum{{service=\"{service}\"}} {}", seconds(sum(&|part| &part.micros)))?;
    writeln!(out, "{name}_count{{service=\"{service}\"}} {count}")
}

#[allow(clippy::cast_precision_loss, reason = "a sum of durations is not exact to 2^-52")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
