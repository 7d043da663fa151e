//! One service in detail: what it does, why it is awake, what is wrong.

use std::time::Duration;

use super::paint::{Ink, glyph, plain};
use super::services::{Frame, troubles};
use super::table::wrap;
use super::words::{ago, bytes, clock_time, coarse, count, in_time, span, spoken, until};
use crate::cli::wire::{LastWake, Service};
use crate::domain::words::Phase;

/// Where the values stand.
const INDENT: usize = 15;

/// The whole of `wakedock status NAME`.
pub(in crate::cli) fn render(service: &Service, frame: Frame) -> String {
    let phase = service.phase.0;
    let word = phase.map_or("left out", Phase::as_str);
    let since =
        service.since.map_or(String::new(), |since| format!(" for {}", coarse(frame.now.since(since))));
    let mut text = format!(
        "{} {}  {}{since}\n",
        frame.palette.paint(Ink::of(phase), glyph(phase)),
        frame.palette.paint(Ink::Strong, &plain(&service.name)),
        frame.palette.paint(Ink::of(phase), word),
    );
    for (label, value) in facts(service, frame) {
        let label = format!("  {label:<width$}", width = INDENT - 2);
        let value = wrap(&plain(&value), frame.width, INDENT, INDENT);
        text.push_str(&format!("{}{value}\n", frame.palette.paint(Ink::Faint, &label)));
    }
    let troubles = troubles(service, frame);
    if !troubles.is_empty() {
        text.push('\n');
        text.push_str(&troubles.join("\n"));
        text.push('\n');
    }
    text
}

fn facts(service: &Service, frame: Frame) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    match service.phase.0 {
        Some(Phase::Ready) => facts.push(("why awake", why_awake(service, frame))),
        Some(Phase::Asleep) if service.paused => {
            facts
                .push(("paused", "its memory is kept; the next request wakes it in milliseconds".to_owned()));
        }
        Some(Phase::Asleep) => facts.push(("wakes", "on the next request".to_owned())),
        Some(Phase::Waking) => {
            let usual = match service.usual_wake_ms {
                Some(usual) => format!(", usually {}", span(Duration::from_millis(usual))),
                None => String::new(),
            };
            let held = match service.held {
                0 => "nobody waits".to_owned(),
                held => format!("{} held", count(held, "request")),
            };
            facts.push(("waits", format!("{held}{usual}")));
        }
        Some(Phase::Stopping | Phase::Failed) | None => {}
    }
    if !service.hosts.is_empty() {
        let path = service.path.as_deref().filter(|path| *path != "/").unwrap_or("");
        let hosts: Vec<_> = service.hosts.iter().map(|host| format!("{host}{path}")).collect();
        facts.push(("hosts", hosts.join(", ")));
    }
    if let Some(container) = &service.container {
        facts.push(("container", container.clone()));
    }
    if let Some(group) = &service.group {
        facts.push(("group", group.clone()));
    }
    if let Some(wake) = &service.last_wake {
        facts.push(("last wake", last_wake(wake, frame)));
    }
    if let Some((stop, at)) = service.last_stop.as_ref().and_then(|stop| Some((stop, stop.at?))) {
        let cause = stop.cause.as_deref().map_or(String::new(), |cause| format!(", {}", spoken(cause)));
        facts.push(("last stop", format!("{}{cause}", ago(frame.now, at))));
    }
    let usual = match service.usual_wake_ms {
        Some(usual) => format!(", usually {}", span(Duration::from_millis(usual))),
        None => String::new(),
    };
    facts.push(("wakes today", format!("{}{usual}", service.wakes_today)));
    if let Some(memory) = service.memory_bytes {
        let cpu = service.cpu.map_or(String::new(), |cpu| format!(", {cpu:.0} % of one CPU"));
        facts.push(("memory", format!("{}{cpu}", bytes(memory))));
    }
    if !service.sources.is_empty() {
        facts.push(("said by", service.sources.join(", ")));
    }
    facts
}

fn why_awake(service: &Service, frame: Frame) -> String {
    let sleeps = match service.sleeps_at {
        Some(at) => format!("sleeps {}, at {}", in_time(frame.now, at), clock_time(frame.now, at)),
        None => "sleeps when nobody uses it any more".to_owned(),
    };
    match service.awake_because.as_deref() {
        Some("in-use") if service.leases > 0 => format!("{} in progress", count(service.leases, "request")),
        Some("in-use") => "in use".to_owned(),
        Some("never") => "never sleeps: idle.stop_after is `never`".to_owned(),
        Some("kept-awake") => match service.kept_awake_until {
            Some(at) => {
                format!("kept awake for {}, until {}", until(frame.now, at), clock_time(frame.now, at))
            }
            None => "kept awake".to_owned(),
        },
        Some("min-awake") => format!("stays up for idle.min_awake; {sleeps}"),
        Some("idle") => format!("nobody uses it; {sleeps}, unless somebody comes"),
        Some(other) => format!("{}; {sleeps}", spoken(other)),
        None => sleeps,
    }
}

fn last_wake(wake: &LastWake, frame: Frame) -> String {
    let mut text = wake.at.map_or_else(|| "some time ago".to_owned(), |at| ago(frame.now, at));
    if let Some(cause) = &wake.cause {
        text.push_str(&format!(", {}", spoken(cause)));
    }
    if let Some(user) = &wake.user {
        text.push_str(&format!(" by {user}"));
    }
    let by: Vec<&str> = [wake.path.as_deref(), wake.client.as_deref()].into_iter().flatten().collect();
    if !by.is_empty() {
        text.push_str(&format!(" ({})", by.join(" from ")));
    }
    if let Some(outcome) = &wake.outcome {
        text.push_str(&format!(", {}", spoken(outcome)));
    }
    if let Some(took) = wake.took_ms {
        text.push_str(&format!(" after {}", span(Duration::from_millis(took))));
    }
    if let Some(engine) = wake.engine_ms {
        text.push_str(&format!(", Docker's share {}", span(Duration::from_millis(engine))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{frame, services};
    use super::*;

    fn of(name: &str) -> String {
        let services = services();
        let service = services.iter().find(|service| service.name == name).unwrap();
        render(service, frame(Some(80), false))
    }

    #[test]
    fn a_service_in_use_says_by_how_many_and_who_woke_it() {
        assert_eq!(
            of("cloud"),
            "● cloud  ready for 4 min\n  \
               why awake    2 requests in progress\n  \
               hosts        cloud.example.com\n  \
               container    nextcloud-app\n  \
               last wake    4 min ago, request (GET /login from 192.0.2.7), ready after\n               \
                            2.1 s, Docker's share 312 ms\n  \
               wakes today  3, usually 2.1 s\n  \
               memory       212 MiB, 3 % of one CPU\n  \
               said by      file\n"
        );
    }

    #[test]
    fn each_phase_says_what_comes_next() {
        assert!(of("wiki").contains("nobody uses it; sleeps in 11 min, at "), "{}", of("wiki"));
        assert!(of("db").contains("never sleeps"), "{}", of("db"));
        assert!(of("photos").contains("1 request held, usually 6 s"), "{}", of("photos"));
        assert!(of("git").contains("its memory is kept"), "{}", of("git"));
        assert!(of("radio").contains("on the next request"), "{}", of("radio"));
        assert!(of("forum").contains("exited with code 1 after 0.3 s · next try in 4 s"), "{}", of("forum"));
    }
}
