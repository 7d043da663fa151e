//! Durations and sizes as people write them: a whole number with its unit, never a bare number.

use std::time::Duration;

use crate::config::problem::Fault;

/// The longest duration anywhere: a year. Longer ones are slips, and `never` says it better.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Units of time in milliseconds, the largest first.
const TIME: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size in bytes, in the order in which a size tries to be written.
const SIZE: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `15m`, `1h30m`, `90s`, `500ms`: units from the largest down, each once.
///
/// # Errors
/// No unit, an unknown one, a wrong order, or more than 365 days.
pub fn parse_duration(text: &str) -> Result<Duration, Fault> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Fault::new("is empty", "write a duration such as `15m`"));
    }
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bare_duration(rest));
    }
    let mut millis: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let (count, unit, tail) = number_and_unit(rest).ok_or_else(|| not_a_duration(text))?;
        if unit.is_empty() {
            return Err(Fault::new(
                format!("ends with the number {count}, without a unit"),
                format!("write `{}s`, or another of d, h, m, s, ms", text.trim()),
            ));
        }
        let position =
            TIME.iter().position(|(name, _)| *name == unit).ok_or_else(|| no_unit_of_time(unit))?;
        if position < next_unit {
            return Err(Fault::new(
                "has its units in the wrong order, or one twice",
                "write it like `1h30m`",
            ));
        }
        next_unit = position + 1;
        millis = count
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(TIME[position].1))
            .and_then(|more| millis.checked_add(more))
            .ok_or_else(too_long)?;
        rest = tail.trim_start();
    }
    let duration = Duration::from_millis(millis);
    if duration > LONGEST { Err(too_long()) } else { Ok(duration) }
}

/// Writes a duration so that [`parse_duration`] reads the same one back.
/// What is finer than a millisecond is not written: no configured duration is.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest.is_multiple_of(1000) && rest <= 120_000 {
        return format!("{}s", rest / 1000);
    }
    let mut text = String::new();
    for (unit, millis) in TIME {
        if rest >= millis {
            text.push_str(&format!("{}{unit}", rest / millis));
            rest %= millis;
        }
    }
    text
}

/// Reads `64KiB` (1024²-style) and `10MB` (1000²-style).
///
/// # Errors
/// No unit, an unknown one, or more than 2^64 bytes.
pub fn parse_size(text: &str) -> Result<u64, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new("is empty", "write a size such as `64KiB`"));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bare_size(text));
    }
    let Some((count, unit, "")) = number_and_unit(text) else {
        return Err(Fault::new("is not a size", "write a whole number and a unit, like `64KiB` or `10MB`"));
    };
    let Some((_, bytes)) = SIZE.iter().find(|(name, _)| *name == unit) else {
        return Err(no_unit_of_size(unit));
    };
    count
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*bytes))
        .ok_or_else(|| Fault::new("is too large to be a size", "write a smaller one"))
}

/// Writes a size so that [`parse_size`] reads the same one back.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (unit, size) =
        SIZE.into_iter().find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / size)
}

pub(super) fn bare_duration(number: &str) -> Fault {
    Fault::new(
        "is a bare number, and a duration carries its unit",
        format!("write `{number}s` for seconds, `{number}m` for minutes or `{number}ms` for milliseconds"),
    )
}

pub(super) fn bare_size(number: &str) -> Fault {
    Fault::new(
        "is a bare number, and a size carries its unit",
        format!("write `{number}B` for bytes, `{number}KiB` or `{number}MiB`"),
    )
}

/// Splits `15m rest` into `15`, `m` and ` rest`. `None` where it does not begin with a figure.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let figures = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, rest) = text.split_at(figures);
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    if count.is_empty() || (unit.is_empty() && !rest.is_empty()) { None } else { Some((count, unit, rest)) }
}

fn not_a_duration(text: &str) -> Fault {
    if text.trim_start().starts_with('-') {
        return Fault::new("is negative", "write a duration such as `15m`, or `never` where it is allowed");
    }
    if text.contains(['.', ',']) {
        return Fault::new("is not whole", "write whole numbers, `1h30m` instead of `1.5h`");
    }
    Fault::new("is not a duration", "write whole numbers with units, like `15m`, `1h30m`, `90s` or `500ms`")
}

fn no_unit_of_time(unit: &str) -> Fault {
    let reason = format!("has `{unit}`, which is no unit of time");
    let mend = match unit.to_lowercase().as_str() {
        "d" | "day" | "days" => "write `d` for days",
        "h" | "hr" | "hrs" | "hour" | "hours" => "write `h` for hours",
        "min" | "mins" | "minute" | "minutes" => "write `m` for minutes",
        "m" => "write `m` for minutes (months are not known)",
        "s" | "sec" | "secs" | "second" | "seconds" => "write `s` for seconds",
        "ms" | "msec" | "millis" => "write `ms` for milliseconds",
        "w" | "week" | "weeks" => "write days, `7d` for a week",
        _ => "the units are d, h, m, s and ms",
    };
    Fault::new(reason, mend)
}

fn no_unit_of_size(unit: &str) -> Fault {
    let near = SIZE.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let mend = match (near, unit.to_lowercase().as_str()) {
        (Some((name, _)), _) => format!("write `{name}`"),
        (None, "k" | "m" | "g") => {
            let letter = unit.to_uppercase();
            format!("write `{letter}iB` (1024-based) or `{letter}B` (1000-based)")
        }
        _ => "the units are B, kB, MB, GB and KiB, MiB, GiB".to_owned(),
    };
    Fault::new(format!("has `{unit}`, which is no unit of size"), mend)
}

fn too_long() -> Fault {
    Fault::new("is longer than 365 days", "write at most `365d`, or `never` where it is allowed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_durations() {
        for (text, millis) in [
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("90s", 90_000),
            ("500ms", 500),
            ("0s", 0),
            ("365d", 31_536_000_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration_and_names_the_mend() {
        for (text, reason, mend) in [
            ("15", "bare number", "15m"),
            ("0", "bare number", "0s"),
            ("", "empty", "15m"),
            ("1.5h", "not whole", "1h30m"),
            ("-5m", "negative", "15m"),
            ("5 minutes", "`minutes`", "`m`"),
            ("15M", "`M`", "`m`"),
            ("30m1h", "wrong order", "1h30m"),
            ("1m1m", "twice", "1h30m"),
            ("1h30", "without a unit", "`1h30s`"),
            ("366d", "365 days", "365d"),
            ("99999999999999999999s", "365 days", "365d"),
            ("18446744073709551615d", "365 days", "365d"),
            ("soon", "not a duration", "15m"),
            ("1w", "`w`", "7d"),
            ("5µs", "`µs`", "ms"),
        ] {
            let fault = parse_duration(text).unwrap_err();
            assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
            assert!(fault.mend.contains(mend), "{text}: {}", fault.mend);
        }
    }

    #[test]
    fn reads_sizes() {
        for (text, bytes) in [
            ("64KiB", 65_536),
            ("10MB", 10_000_000),
            ("1MiB", 1 << 20),
            ("0B", 0),
            ("3kB", 3000),
            ("2 GB", 2_000_000_000),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for (text, mend) in [
            ("64", "KiB"),
            ("64K", "KiB"),
            ("1.5MB", "whole"),
            ("64kib", "`KiB`"),
            ("99999999999GiB", "smaller"),
            ("x", "whole"),
        ] {
            assert!(parse_size(text).unwrap_err().mend.contains(mend), "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_round_trip(millis in 0_u64..=31_536_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }

        #[test]
        fn sizes_round_trip(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&format_size(bytes)).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
