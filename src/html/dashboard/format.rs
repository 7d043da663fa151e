//! Figures and times as people read them. The script shows running times by the same rules.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::html::Language;
use crate::html::language::{Key, key};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Figures in groups of three, where there are more than four.
pub(super) fn number(language: Language, number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len());
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            text.push_str(language.get(key::FORMAT_GROUP));
        }
        text.push(digit);
    }
    text
}

/// `312 MB`, `1.2 GB`: powers of a thousand, no more digits than mean something.
pub(super) fn bytes(language: Language, bytes: u64) -> String {
    let mut units = language.get(key::UNIT_BYTES).split(' ');
    let mut unit = units.next().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    for next in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    let whole = value >= 9.95 || value.fract() == 0.0;
    let value = if whole { format!("{value:.0}") } else { decimal(language, &format!("{value:.1}")) };
    format!("{value}\u{a0}{unit}")
}

/// A number that has a point, with the language's own.
pub(super) fn decimal(language: Language, value: &str) -> String {
    value.replace('.', language.get(key::FORMAT_DECIMAL))
}

/// A figure and its unit, which stay together.
fn figure(language: Language, number: i64, unit: Key) -> String {
    format!("{number}\u{a0}{}", language.get(unit))
}

/// How long something took: `203 ms`, `4.2 s`, `1 min 5 s`.
pub(super) fn took(language: Language, ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..1000 => figure(language, ms, key::UNIT_MS),
        #[allow(clippy::cast_precision_loss, reason = "below ten thousand")]
        ms @ 1000..9950 => {
            let seconds = format!("{:.1}", ms as f64 / 1000.0);
            let seconds = decimal(language, seconds.trim_end_matches(".0"));
            format!("{seconds}\u{a0}{}", language.get(key::UNIT_S))
        }
        ms => countdown(language, ms),
    }
}

/// The largest unit alone: `3 h`.
pub(super) fn span(language: Language, ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..MINUTE => figure(language, ms / SECOND, key::UNIT_S),
        ms @ MINUTE..HOUR => figure(language, ms / MINUTE, key::UNIT_MIN),
        ms @ HOUR..DAY => figure(language, ms / HOUR, key::UNIT_H),
        ms => figure(language, ms / DAY, key::UNIT_DAY),
    }
}

/// The two largest units: `4 min 32 s`.
pub(super) fn countdown(language: Language, ms: i64) -> String {
    let two = |big: i64, unit: Key, small: i64, below: Key| {
        let big = figure(language, big, unit);
        if small == 0 { big } else { format!("{big} {}", figure(language, small, below)) }
    };
    match ms.max(0) {
        ms @ 0..MINUTE => figure(language, ms / SECOND, key::UNIT_S),
        ms @ MINUTE..HOUR => two(ms / MINUTE, key::UNIT_MIN, ms % MINUTE / SECOND, key::UNIT_S),
        ms @ HOUR..DAY => two(ms / HOUR, key::UNIT_H, ms % HOUR / MINUTE, key::UNIT_MIN),
        ms => two(ms / DAY, key::UNIT_DAY, ms % DAY / HOUR, key::UNIT_H),
    }
}

/// The time that is at `ms`, where the reader's clock is ahead of UTC by `offset` seconds.
fn civil(ms: i64, offset: i32) -> jiff::civil::DateTime {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    Offset::from_seconds(offset).unwrap_or(Offset::UTC).to_datetime(at)
}

/// For `datetime`.
pub(super) fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms - ms.rem_euclid(SECOND)).unwrap_or_default().to_string()
}

/// `23 Nov 14:02`, in the order of the language.
pub(super) fn date_and_time(language: Language, ms: i64, offset: i32) -> String {
    let at = civil(ms, offset);
    let clock = format!("{:02}:{:02}", at.hour(), at.minute());
    language.get(key::TIME_AT).replace("{date}", &date(language, at)).replace("{time}", &clock)
}

/// `14:02:07`.
pub(super) fn clock(ms: i64, offset: i32) -> String {
    let at = civil(ms, offset);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

fn date(language: Language, at: jiff::civil::DateTime) -> String {
    let month = usize::try_from(at.month()).unwrap_or(1) - 1;
    let month = language.get(key::FORMAT_MONTHS).split(' ').nth(month).unwrap_or_default();
    language.get(key::TIME_DATE).replace("{day}", &at.day().to_string()).replace("{month}", month)
}

/// `Mon 23`: the day of a row of days.
pub(super) fn day(language: Language, ms: i64, offset: i32) -> String {
    let at = civil(ms, offset);
    let weekday = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or_default();
    let name = language.get(key::FORMAT_WEEKDAYS).split(' ').nth(weekday).unwrap_or_default();
    language.get(key::TIME_DAY).replace("{weekday}", name).replace("{day}", &at.day().to_string())
}

/// The start of the day that `ms` lies in, by the reader's clock.
pub(super) fn midnight(ms: i64, offset: i32) -> i64 {
    let ahead = i64::from(offset) * SECOND;
    (ms + ahead) - (ms + ahead).rem_euclid(DAY) - ahead
}

#[cfg(test)]
mod tests {
    use super::*;

    fn french() -> Language {
        Language::from_code("fr").unwrap()
    }

    #[test]
    fn figures_carry_units_and_no_more_digits_than_mean_something() {
        let (en, fr) = (Language::ENGLISH, french());
        let plain = |text: String| text.replace('\u{a0}', " ");
        assert_eq!(number(en, 1234), "1234");
        assert_eq!(number(en, 12_345_678), "12,345,678");
        assert_eq!(number(fr, 12_345_678), "12\u{202f}345\u{202f}678");
        for (value, text) in
            [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (312_400_000, "312 MB"), (1_250_000_000, "1.2 GB")]
        {
            assert_eq!(plain(bytes(en, value)), text);
        }
        assert_eq!(plain(bytes(fr, 1_260_000_000)), "1,3 Go");
        for (ms, text) in [
            (0, "0 ms"),
            (203, "203 ms"),
            (4210, "4.2 s"),
            (2000, "2 s"),
            (9960, "9 s"),
            (65_000, "1 min 5 s"),
        ] {
            assert_eq!(plain(took(en, ms)), text);
        }
        assert_eq!(plain(took(fr, 4210)), "4,2 s");
        assert_eq!(plain(span(fr, 3 * DAY + 5)), "3 j");
        assert_eq!(plain(span(en, 59_999)), "59 s");
        assert_eq!(plain(countdown(en, 7_500_000)), "2 h 5 min");
        assert_eq!(countdown(fr, 7_500_000), "2\u{a0}h 5\u{a0}min", "a figure stays with its unit");
    }

    #[test]
    fn times_are_the_readers_own() {
        let en = Language::ENGLISH;
        let at = 1_763_859_600_000; // 2025-11-23T01:00:00Z
        assert_eq!(iso(at + 999), "2025-11-23T01:00:00Z");
        assert_eq!(date_and_time(en, at, 3600), "23\u{a0}Nov 02:00");
        assert_eq!(date_and_time(en, at, -2 * 3600), "22\u{a0}Nov 23:00");
        assert_eq!(date_and_time(french(), at, 3600), "23\u{a0}nov. 02:00");
        assert_eq!(day(en, at, 0), "Sun\u{a0}23");
        assert_eq!(day(french(), at, 0), "dim.\u{a0}23");
        assert_eq!(midnight(at, 0), at - HOUR);
        assert_eq!(midnight(at, -2 * 3600), at - HOUR - 22 * HOUR);
    }
}
