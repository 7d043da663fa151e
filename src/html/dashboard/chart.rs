//! Charts as figures for SVG: positions in percent, so that they are drawn at any width without
//! their marks being stretched.

use serde::Serialize;

use crate::html::dashboard::format::{self, DAY};

/// A stretch of time that a service did not sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// When the wake began, in milliseconds since the epoch.
    pub from: i64,
    /// When it was ready; `None`: never.
    pub ready: Option<i64>,
    /// When it had stopped; `None`: it goes on.
    pub to: Option<i64>,
}

/// One day of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Day {
    start: i64,
    /// Milliseconds.
    awake: i64,
    wakes: u32,
    parts: Vec<Part>,
}

/// A part of a day that was not slept.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Part {
    phase: &'static str,
    x: String,
    width: String,
}

/// The last `count` days by the reader's clock, the newest first.
#[must_use]
pub fn days(now: i64, offset: i32, count: u32, stays: &[Stay]) -> Vec<Day> {
    let today = format::midnight(now, offset);
    (0..i64::from(count)).map(|ago| day(today - ago * DAY, now, stays)).collect()
}

fn day(start: i64, now: i64, stays: &[Stay]) -> Day {
    let end = (start + DAY).min(now);
    let mut day = Day { start, awake: 0, wakes: 0, parts: Vec::new() };
    for stay in stays {
        let to = stay.to.unwrap_or(now);
        if to < start || stay.from >= end {
            continue;
        }
        day.wakes += u32::from(stay.from >= start);
        let ready = stay.ready.unwrap_or(to);
        let waking = if stay.ready.is_some() { "waking" } else { "failed" };
        for (phase, from, to) in [(waking, stay.from, ready), ("ready", ready, to)] {
            let (from, to) = (from.max(start), to.min(end));
            if to > from {
                day.awake += to - from;
                day.parts.push(part(phase, from - start, to - from));
            }
        }
    }
    day
}

#[allow(clippy::cast_precision_loss, reason = "a day has fewer milliseconds than a float has digits")]
fn part(phase: &'static str, from: i64, length: i64) -> Part {
    let percent = |ms: i64| ms as f64 * 100.0 / DAY as f64;
    // A wake of seconds is still a mark.
    Part { phase, x: figure(percent(from)), width: figure(percent(length).max(0.12)) }
}

fn figure(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// Milliseconds.
    pub took: i64,
    /// The engine's share of it.
    pub engine: Option<i64>,
    pub failed: bool,
}

/// The durations of the last wakes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wakes {
    count: usize,
    median: i64,
    longest: i64,
    median_y: String,
    /// The width of a bar.
    width: String,
    /// Whether the engine's share is known of any.
    split: bool,
    /// Whether any failed.
    failed: bool,
    lines: Vec<Line>,
    bars: Vec<Bar>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Line {
    at: i64,
    y: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    took: i64,
    failed: bool,
    x: String,
    middle: String,
    y: String,
    engine_y: String,
    engine_height: String,
    /// Empty where the engine's share is not known.
    ours_height: String,
}

/// A chart of wakes, the oldest first; `None` where there are none.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "percent of a chart")]
pub fn wakes(wakes: &[Wake]) -> Option<Wakes> {
    let mut ready: Vec<i64> = wakes.iter().filter(|wake| !wake.failed).map(|wake| wake.took).collect();
    ready.sort_unstable();
    let median = *ready.get(ready.len() / 2)?;
    let longest = wakes.iter().map(|wake| wake.took).max()?.max(1);
    let (step, lines) = scale(longest);
    let top = (step * lines) as f64;
    let y = |ms: i64| 100.0 - ms as f64 * 88.0 / top;
    // A few wakes are not stretched over the whole width.
    let slot = 100.0 / wakes.len().max(24) as f64;
    let width = slot * 0.36;
    let bars = wakes.iter().enumerate().map(|(at, wake)| {
        let engine = wake.engine.map_or(wake.took, |engine| engine.min(wake.took));
        let x = at as f64 * slot + (slot - width) / 2.0;
        let ours = wake.engine.map(|_| figure(y(engine) - y(wake.took)));
        Bar {
            took: wake.took,
            failed: wake.failed,
            x: figure(x),
            middle: figure(x + width / 2.0),
            y: figure(y(wake.took)),
            engine_y: figure(y(engine)),
            engine_height: figure(100.0 - y(engine)),
            ours_height: ours.unwrap_or_default(),
        }
    });
    Some(Wakes {
        count: wakes.len(),
        median,
        longest,
        median_y: figure(y(median)),
        width: figure(width),
        split: wakes.iter().any(|wake| wake.engine.is_some()),
        failed: wakes.iter().any(|wake| wake.failed),
        lines: (0..=lines).map(|line| Line { at: line * step, y: figure(y(line * step)) }).collect(),
        bars: bars.collect(),
    })
}

/// A step of one, two or five times a power of ten, and how many of them reach over `longest`.
fn scale(longest: i64) -> (i64, i64) {
    let mut unit = 1;
    loop {
        for step in [unit, 2 * unit, 5 * unit] {
            if step * 4 >= longest {
                return (step, (longest + step - 1) / step);
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_cut_at_midnight() {
        let now = 10 * DAY + DAY / 2;
        let stays = [
            // Over midnight, and one that goes on.
            Stay { from: 10 * DAY - DAY / 4, ready: Some(10 * DAY - DAY / 8), to: Some(10 * DAY + DAY / 4) },
            Stay { from: now - 3_600_000, ready: Some(now - 3_599_000), to: None },
        ];
        let days = days(now, 0, 3, &stays);
        assert_eq!(days.iter().map(|day| day.wakes).collect::<Vec<_>>(), [1, 1, 0]);
        assert_eq!(days.iter().map(|day| day.awake).collect::<Vec<_>>(), [DAY / 4 + 3_600_000, DAY / 4, 0]);
        let parts: Vec<_> = days[1].parts.iter().map(|part| (part.phase, &*part.x, &*part.width)).collect();
        assert_eq!(parts, [("waking", "75", "12.5"), ("ready", "87.5", "12.5")]);
        assert_eq!(days[0].parts[1].width, "0.12", "seconds are still a mark");
        assert!(days[2].parts.is_empty());
    }

    #[test]
    fn the_scale_reaches_over_the_longest() {
        for longest in [1, 3, 9, 250, 4300, 61_000, 999_999] {
            let (step, lines) = scale(longest);
            assert!(step * lines >= longest && lines <= 4, "{longest}: {lines} × {step}");
        }
        let wake = |took, engine, failed| Wake { took, engine, failed };
        let chart =
            wakes(&[wake(200, Some(150), false), wake(400, None, false), wake(300, None, true)]).unwrap();
        assert_eq!((chart.median, chart.longest, chart.split), (400, 400, true));
        assert_eq!(chart.bars[0].ours_height, "11");
        assert_eq!(wakes(&[]), None);
    }
}
