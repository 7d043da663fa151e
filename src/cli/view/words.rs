//! Times and sizes as people say them: a unit, and no more figures than mean something.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// What stands where there is nothing.
pub(in crate::cli) const NOTHING: &str = "–";

/// How long: `340 ms`, `2.1 s`, `45 s`, `12 min`, `3 h`, `5 d`.
pub(in crate::cli) fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        _ if millis < 1000 => format!("{millis} ms"),
        0..10 => {
            let tenths = millis / 100;
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        _ => coarse(duration),
    }
}

/// The same in whole seconds at the finest, for what goes on while one looks.
pub(in crate::cli) fn coarse(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `12 min ago`.
pub(in crate::cli) fn ago(now: Timestamp, at: Timestamp) -> String {
    let passed = now.since(at);
    if passed < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", coarse(passed)) }
}

/// `12 min`; what is not in the future is `now`. A second that has begun counts: what was asked for a
/// moment ago is still as long as it was asked for.
pub(in crate::cli) fn until(now: Timestamp, at: Timestamp) -> String {
    let left = at.since(now);
    if left < Duration::from_secs(1) {
        return "now".to_owned();
    }
    coarse(Duration::from_secs(left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)))
}

/// The same behind a verb: `in 12 min`, or `now`.
pub(in crate::cli) fn in_time(now: Timestamp, at: Timestamp) -> String {
    match until(now, at).as_str() {
        "now" => "now".to_owned(),
        time => format!("in {time}"),
    }
}

/// `212 MiB`, `3.1 GiB`.
pub(in crate::cli) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scaled = bytes;
    let mut rest = 0;
    while scaled >= 1024 && unit + 1 < UNITS.len() {
        rest = scaled % 1024;
        scaled /= 1024;
        unit += 1;
    }
    let tenth = rest * 10 / 1024;
    if scaled < 10 && unit > 0 && tenth > 0 {
        format!("{scaled}.{tenth} {}", UNITS[unit])
    } else {
        format!("{scaled} {}", UNITS[unit])
    }
}

/// `1 wake`, `3 wakes`.
pub(in crate::cli) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A moment on this machine's calendar: `14:02:09`, with the day before it where it is not today's.
pub(in crate::cli) fn clock_time(now: Timestamp, at: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let local = |time: Timestamp| {
        jiff::Timestamp::from_millisecond(time.as_millis()).map(|time| time.to_zoned(zone.clone()))
    };
    match (local(now), local(at)) {
        (Ok(now), Ok(at)) if now.date() == at.date() => at.strftime("%H:%M:%S").to_string(),
        (_, Ok(at)) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        (_, Err(_)) => NOTHING.to_owned(),
    }
}

/// Causes and outcomes as words: `failed_wake` is `failed wake`.
pub(in crate::cli) fn spoken(word: &str) -> String {
    super::paint::plain(word).replace(['_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_one_unit() {
        for (millis, said) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (2_000, "2 s"),
            (2_149, "2.1 s"),
            (45_900, "45 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_199_000, "119 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), said);
        }
        let at = Timestamp::from_millis;
        assert_eq!(ago(at(5_000), at(4_500)), "just now");
        assert_eq!(ago(at(5_000), at(9_000)), "just now", "a clock that was set back");
        assert_eq!(ago(at(65_000), at(5_000)), "60 s ago");
        assert_eq!(until(at(5_000), at(65_000)), "60 s");
        assert_eq!(until(at(5_000), at(4_000)), "now");
        assert_eq!(in_time(at(5_000), at(65_000)), "in 60 s");
        assert_eq!(in_time(at(5_000), at(5_100)), "now", "and not in now");
        assert_eq!(until(at(100), at(7_200_000)), "2 h");
    }

    #[test]
    fn sizes_carry_two_figures_where_one_says_too_little() {
        for (size, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (222_298_112, "212 MiB"),
            (3_400_000_000, "3.1 GiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(bytes(size), said);
        }
    }
}
