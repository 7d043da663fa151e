//! What a service took by the hour, as small charts: requests, and memory and CPU while it was awake.

use serde::Serialize;

const HOUR: i64 = 3_600_000;

/// What an hour adds up to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hour {
    /// When it began, in milliseconds since the epoch.
    pub start: i64,
    pub requests: u64,
    /// Bytes, on average while it was awake; `None`: it slept, or nobody knows.
    pub memory: Option<f64>,
    /// Of one CPU, on average while it was awake.
    pub cpu: Option<f64>,
}

/// The charts of one service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sparks {
    requests: Spark,
    memory: Option<Spark>,
    /// Hundredths of one CPU.
    cpu: Option<Spark>,
    days: i64,
}

/// One chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Spark {
    /// The highest value, which reaches to the top.
    most: u64,
    /// Percent of the width, of one bar.
    width: String,
    bars: Vec<Bar>,
}

/// Percent of the chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    x: String,
    y: String,
    height: String,
}

/// Charts of so many days before `now`; `None` where nothing is known of them.
#[must_use]
pub fn sparks(now: i64, days: i64, hours: &[Hour]) -> Option<Sparks> {
    let first = (now.div_euclid(HOUR) + 1) * HOUR - days * 24 * HOUR;
    let values = |of: &dyn Fn(&Hour) -> Option<f64>| -> Vec<(i64, f64)> {
        let known = hours.iter().filter(|hour| hour.start >= first);
        known.filter_map(|hour| Some(((hour.start - first) / HOUR, of(hour)?))).collect()
    };
    #[allow(clippy::cast_precision_loss, reason = "requests of an hour")]
    let requests = spark(days * 24, &values(&|hour| Some(hour.requests as f64)))?;
    let memory = spark(days * 24, &values(&|hour| hour.memory));
    let cpu = spark(days * 24, &values(&|hour| hour.cpu.map(|share| share * 100.0)));
    Some(Sparks { requests, memory, cpu, days })
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "percent of a chart, and a value that is shown"
)]
fn spark(slots: i64, values: &[(i64, f64)]) -> Option<Spark> {
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let slot = 100.0 / slots as f64;
    let bars = values.iter().filter(|(_, value)| *value > 0.0).map(|(at, value)| {
        // What is little is still a mark.
        let height = (value / most * 100.0).max(3.0);
        Bar { x: percent(*at as f64 * slot), y: percent(100.0 - height), height: percent(height) }
    });
    Some(Spark { most: most.ceil() as u64, width: percent(slot * 0.8), bars: bars.collect() })
}

fn percent(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_its_place_and_the_highest_reaches_the_top() {
        let now = 1000 * HOUR + HOUR / 2;
        let hour =
            |ago: i64, requests, memory| Hour { start: (1000 - ago) * HOUR, requests, memory, cpu: None };
        let charts = sparks(
            now,
            1,
            &[hour(30, 99, None), hour(23, 5, Some(1e6)), hour(1, 0, None), hour(0, 10, Some(2e6))],
        );
        let charts = charts.unwrap();
        assert_eq!((charts.requests.most, charts.requests.bars.len()), (10, 2), "{charts:?}");
        assert_eq!(charts.requests.bars[0], Bar { x: "0".into(), y: "50".into(), height: "50".into() });
        assert_eq!(charts.requests.bars[1].x, "95.83");
        assert_eq!(charts.memory.unwrap().most, 2_000_000);
        assert_eq!(charts.cpu, None);
        assert_eq!(sparks(now, 1, &[]), None);
        assert_eq!(sparks(now, 1, &[hour(2, 0, None)]), None);
    }
}
