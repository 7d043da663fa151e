//! All services as a table, with what is wrong below it and the totals at the end.

use super::paint::{Ink, Palette, glyph, plain};
use super::table::{self, Cell, Column};
use super::words::{self, NOTHING, ago, bytes, coarse, count, in_time, spoken, until};
use crate::cli::wire::{Overview, Service};
use crate::domain::time::Timestamp;
use crate::domain::words::Phase;

/// In the order of the table; a narrow terminal keeps phase, name, and when it sleeps.
const COLUMNS: [Column; 8] = [
    Column::text("PHASE", 0),
    Column::text("SERVICE", 0).at_least(8),
    Column::text("HOST", 5).at_least(14),
    Column::figures("SINCE", 2),
    Column::text("LAST WAKE", 6).at_least(14),
    Column::figures("TODAY", 4),
    Column::figures("MEMORY", 3),
    Column::figures("SLEEPS IN", 1),
];

/// What is shown, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Frame {
    /// The present, by the clock of whoever answered.
    pub(in crate::cli) now: Timestamp,
    /// Of the terminal; `None`: as wide as it takes.
    pub(in crate::cli) width: Option<usize>,
    pub(in crate::cli) palette: Palette,
}

/// The whole of `wakedock status`.
pub(in crate::cli) fn render(services: &[Service], overview: &Overview, frame: Frame) -> String {
    if services.is_empty() {
        return "No services yet.\n\nGive a container the labels wakedock.enable=true and wakedock.host=NAME, \
                or write it under `services` in the configuration (`wakedock config example`).\n"
            .to_owned();
    }
    let rows: Vec<Vec<Cell>> = services.iter().map(|service| row(service, frame.now)).collect();
    let mut text = table::render(&COLUMNS, &rows, frame.width, frame.palette);
    let troubles: Vec<String> = services.iter().flat_map(|service| troubles(service, frame)).collect();
    if !troubles.is_empty() {
        text.push('\n');
    }
    for trouble in troubles {
        text.push_str(&trouble);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&totals(services, overview, frame));
    text.push('\n');
    text
}

fn row(service: &Service, now: Timestamp) -> Vec<Cell> {
    let phase = service.phase.0;
    let awake = !matches!(phase, Some(Phase::Asleep));
    let word = phase.map_or("left out", Phase::as_str);
    let quiet = if awake { Ink::Plain } else { Ink::Faint };
    vec![
        Cell::new(Ink::of(phase), format!("{} {word}", glyph(phase))),
        Cell::new(if awake { Ink::Strong } else { Ink::Plain }, &service.name),
        Cell::new(quiet, host(service)),
        Cell::or_nothing(service.since.map(|since| coarse(now.since(since)))),
        Cell::or_nothing(service.last_wake.as_ref().and_then(|wake| {
            let at = ago(now, wake.at?);
            Some(wake.cause.as_deref().map_or(at.clone(), |cause| format!("{at}, {}", spoken(cause))))
        })),
        match service.wakes_today {
            0 => Cell::new(Ink::Faint, "0"),
            wakes => Cell::new(Ink::Plain, wakes.to_string()),
        },
        Cell::or_nothing(service.memory_bytes.map(bytes)),
        sleeps_in(service, now),
    ]
}

/// The first host, and how many more there are.
fn host(service: &Service) -> String {
    let path = service.path.as_deref().filter(|path| *path != "/").unwrap_or("");
    match service.hosts.as_slice() {
        [] => NOTHING.to_owned(),
        [only] => format!("{only}{path}"),
        [first, more @ ..] => format!("{first}{path} +{}", more.len()),
    }
}

fn sleeps_in(service: &Service, now: Timestamp) -> Cell {
    match (service.phase.0, service.awake_because.as_deref()) {
        (Some(Phase::Asleep), _) if service.paused => Cell::new(Ink::Faint, "paused"),
        (Some(Phase::Waking), _) => match service.usual_wake_ms {
            Some(usual) => Cell::new(
                Ink::Amber,
                format!("ready ~{}", words::span(std::time::Duration::from_millis(usual))),
            ),
            None => Cell::or_nothing(None),
        },
        (Some(Phase::Ready), Some("in-use")) => Cell::new(Ink::Green, "in use"),
        (Some(Phase::Ready), Some("never")) => Cell::new(Ink::Faint, "never"),
        (Some(Phase::Ready), _) => {
            Cell::or_nothing(service.kept_awake_until.max(service.sleeps_at).map(|at| until(now, at)))
        }
        _ => Cell::or_nothing(None),
    }
}

/// What is wrong with a service, each in a line.
pub(in crate::cli) fn troubles(service: &Service, frame: Frame) -> Vec<String> {
    let mut lines = Vec::new();
    let name = plain(&service.name);
    if let Some(failure) = &service.failure {
        let mut text = format!("▲ {name}: {}", plain(&failure.reason));
        if let Some(retry) = failure.retry_at.filter(|retry| *retry > frame.now) {
            text.push_str(&format!(" · next try {}", in_time(frame.now, retry)));
        }
        lines.push(frame.palette.paint(Ink::Red, &table::wrap(&text, frame.width, 0, 2)));
    }
    for problem in &service.problems {
        let text = format!("! {name}: {} {}", plain(&problem.key), plain(&problem.reason));
        lines.push(frame.palette.paint(Ink::Amber, &table::wrap(&text, frame.width, 0, 2)));
        if !problem.mend.is_empty() {
            lines.push(format!("  {}", table::wrap(&plain(&problem.mend), frame.width, 2, 2)));
        }
    }
    lines
}

fn totals(services: &[Service], overview: &Overview, frame: Frame) -> String {
    let number = |wanted: Phase| services.iter().filter(|service| service.phase.0 == Some(wanted)).count();
    let mut phases = Vec::new();
    for (phase, word) in [
        (Phase::Ready, "awake"),
        (Phase::Waking, "waking"),
        (Phase::Stopping, "stopping"),
        (Phase::Asleep, "asleep"),
        (Phase::Failed, "failed"),
    ] {
        let number = number(phase);
        if number > 0 {
            phases.push((Ink::of(Some(phase)), format!("{number} {word}")));
        }
    }
    let mut wakes = format!("{} today", count(overview.wakes_today, "wake"));
    if let Some(usual) = overview.wake_p50_ms {
        wakes.push_str(&format!(", half within {}", words::span(std::time::Duration::from_millis(usual))));
    }
    let mut parts = vec![(Ink::Plain, wakes)];
    for (size, what) in [(overview.memory_bytes, "in use"), (overview.memory_saved_bytes, "saved")] {
        if let Some(size) = size {
            parts.push((Ink::Plain, format!("{} {what}", bytes(size))));
        }
    }
    let phases = phases.into_iter().map(|part| (", ", part));
    let parts = parts.into_iter().map(|part| (" · ", part));
    flow(phases.chain(parts), frame)
}

/// Parts one after the other, each with what stands before it, in as many lines as it takes.
fn flow(parts: impl Iterator<Item = (&'static str, (Ink, String))>, frame: Frame) -> String {
    let mut text = String::new();
    let mut used = 0;
    for (before, (ink, part)) in parts {
        let needed = table::places(before) + table::places(&part);
        if used == 0 {
            used = table::places(&part);
        } else if frame.width.is_some_and(|width| used + needed > width) {
            text.push_str(before.trim_end().trim_end_matches('·').trim_end());
            text.push('\n');
            used = table::places(&part);
        } else {
            text.push_str(before);
            used += needed;
        }
        text.push_str(&frame.palette.paint(ink, &part));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{frame, overview, services};
    use super::*;

    fn at(width: usize) -> String {
        render(&services(), &overview(), frame(Some(width), false))
    }

    #[test]
    fn on_a_wide_terminal_everything_is_said() {
        pictured(120, include_str!("snapshots/status-120.txt"));
    }

    #[test]
    fn on_a_usual_terminal_the_least_important_is_left_out() {
        pictured(80, include_str!("snapshots/status-80.txt"));
    }

    #[test]
    fn on_a_phone_phase_name_and_sleep_are_left() {
        pictured(40, include_str!("snapshots/status-40.txt"));
    }

    #[test]
    fn colours_add_nothing_but_colour() {
        for width in [40, 80, 120] {
            let painted = render(&services(), &overview(), frame(Some(width), true));
            assert!(painted.contains("\u{1b}[32m● ready\u{1b}[0m"), "{painted}");
            let mut plain = String::new();
            let mut rest = painted.as_str();
            while let Some((before, after)) = rest.split_once('\u{1b}') {
                plain.push_str(before);
                rest = after.split_once('m').unwrap().1;
            }
            plain.push_str(rest);
            assert_eq!(plain, at(width));
        }
    }

    #[test]
    fn without_a_service_it_says_how_to_get_one() {
        let text = render(&[], &Overview::default(), frame(Some(80), false));
        assert!(text.contains("wakedock.enable=true"), "{text}");
    }

    /// Compares with the committed picture; `WAKEDOCK_BLESS=1` writes it anew.
    fn pictured(width: usize, wanted: &str) {
        let found = at(width);
        assert!(found.lines().all(|line| table::places(line) <= width), "{found}");
        if std::env::var_os("WAKEDOCK_BLESS").is_some_and(|value| value == "1") {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/view/snapshots");
            std::fs::write(folder.join(format!("status-{width}.txt")), found).unwrap();
            return;
        }
        assert_eq!(found, wanted);
    }
}
