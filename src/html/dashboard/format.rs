//! Figures and times as people read them. The script shows running times by the same rules.

use jiff::Timestamp;
use jiff::tz::Offset;
use minijinja::Error;

use crate::html::dashboard::words::Words;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Figures in groups of three, apart by a narrow space that doesn't break.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len());
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `312 MB`, `1.2 GB`: powers of a thousand, no more digits than mean something.
pub(super) fn bytes(words: &Words, bytes: u64) -> Result<String, Error> {
    let units = words.get("unit.bytes")?;
    let mut units = units.split(' ');
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
    let value = if whole { format!("{value:.0}") } else { decimal(words, &format!("{value:.1}"))? };
    Ok(format!("{value}\u{a0}{unit}"))
}

fn decimal(words: &Words, value: &str) -> Result<String, Error> {
    Ok(value.replace('.', words.get("_decimal")?))
}

/// How long something took: `203 ms`, `4.2 s`, `1 min 5 s`.
pub(super) fn took(words: &Words, ms: i64) -> Result<String, Error> {
    Ok(match ms.max(0) {
        ms @ 0..1000 => format!("{ms}\u{a0}ms"),
        #[allow(clippy::cast_precision_loss, reason = "below ten thousand")]
        ms @ 1000..9950 => {
            let seconds = format!("{:.1}", ms as f64 / 1000.0);
            format!("{}\u{a0}s", decimal(words, seconds.trim_end_matches(".0"))?)
        }
        ms => countdown(words, ms)?,
    })
}

/// The largest unit alone: `3 h`.
pub(super) fn span(words: &Words, ms: i64) -> Result<String, Error> {
    let ms = ms.max(0);
    Ok(match ms {
        0..MINUTE => format!("{}\u{a0}s", ms / SECOND),
        MINUTE..HOUR => format!("{}\u{a0}min", ms / MINUTE),
        HOUR..DAY => format!("{}\u{a0}h", ms / HOUR),
        _ => format!("{}\u{a0}{}", ms / DAY, words.get("unit.day")?),
    })
}

/// The two largest units: `4 min 32 s`.
pub(super) fn countdown(words: &Words, ms: i64) -> Result<String, Error> {
    let ms = ms.max(0);
    let two = |big: i64, unit: &str, small: i64, below: &str| {
        if small == 0 {
            format!("{big}\u{a0}{unit}")
        } else {
            format!("{big}\u{a0}{unit} {small}\u{a0}{below}")
        }
    };
    Ok(match ms {
        0..MINUTE => format!("{}\u{a0}s", ms / SECOND),
        MINUTE..HOUR => two(ms / MINUTE, "min", ms % MINUTE / SECOND, "s"),
        HOUR..DAY => two(ms / HOUR, "h", ms % HOUR / MINUTE, "min"),
        _ => two(ms / DAY, words.get("unit.day")?, ms % DAY / HOUR, "h"),
    })
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

/// `23 Nov 14:02`.
pub(super) fn date_and_time(words: &Words, ms: i64, offset: i32) -> Result<String, Error> {
    let at = civil(ms, offset);
    Ok(format!("{} {:02}:{:02}", date(words, ms, offset)?, at.hour(), at.minute()))
}

/// `14:02:07`.
pub(super) fn clock(ms: i64, offset: i32) -> String {
    let at = civil(ms, offset);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

fn date(words: &Words, ms: i64, offset: i32) -> Result<String, Error> {
    let at = civil(ms, offset);
    let months = words.get("_months")?;
    let month = usize::try_from(at.month()).unwrap_or(1) - 1;
    Ok(format!("{}\u{a0}{}", at.day(), months.split(' ').nth(month).unwrap_or_default()))
}

/// `Mon 23`: the day of a row of days.
pub(super) fn day(words: &Words, ms: i64, offset: i32) -> Result<String, Error> {
    let at = civil(ms, offset);
    let weekday = usize::try_from(at.weekday().to_monday_zero_offset()).unwrap_or_default();
    let name = words.get("_weekdays")?.split(' ').nth(weekday).unwrap_or_default();
    Ok(format!("{name}\u{a0}{}", at.day()))
}

/// The start of the day that `ms` lies in, by the reader's clock.
pub(super) fn midnight(ms: i64, offset: i32) -> i64 {
    let ahead = i64::from(offset) * SECOND;
    (ms + ahead) - (ms + ahead).rem_euclid(DAY) - ahead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::Language;
    use crate::html::dashboard::words::Library;

    #[test]
    fn figures_carry_units_and_no_more_digits_than_mean_something() {
        let library = Library::default();
        let (en, fr) = (library.words(Language::English).unwrap(), library.words(Language::French).unwrap());
        let plain = |text: String| text.replace(['\u{a0}', '\u{202f}'], " ");
        assert_eq!(number(1234), "1234");
        assert_eq!(plain(number(12_345_678)), "12 345 678");
        for (value, text) in
            [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (312_400_000, "312 MB"), (1_250_000_000, "1.2 GB")]
        {
            assert_eq!(plain(bytes(en, value).unwrap()), text);
        }
        assert_eq!(plain(bytes(fr, 1_260_000_000).unwrap()), "1,3 Go");
        for (ms, text) in [
            (0, "0 ms"),
            (203, "203 ms"),
            (4210, "4.2 s"),
            (2000, "2 s"),
            (9960, "9 s"),
            (65_000, "1 min 5 s"),
        ] {
            assert_eq!(plain(took(en, ms).unwrap()), text);
        }
        assert_eq!(plain(span(fr, 3 * DAY + 5).unwrap()), "3 j");
        assert_eq!(plain(span(en, 59_999).unwrap()), "59 s");
        assert_eq!(plain(countdown(en, 7_500_000).unwrap()), "2 h 5 min");
    }

    #[test]
    fn times_are_the_readers_own() {
        let library = Library::default();
        let en = library.words(Language::English).unwrap();
        let at = 1_763_859_600_000; // 2025-11-23T01:00:00Z
        assert_eq!(iso(at + 999), "2025-11-23T01:00:00Z");
        assert_eq!(date_and_time(en, at, 3600).unwrap().replace('\u{a0}', " "), "23 Nov 02:00");
        assert_eq!(date_and_time(en, at, -2 * 3600).unwrap().replace('\u{a0}', " "), "22 Nov 23:00");
        assert_eq!(day(en, at, 0).unwrap().replace('\u{a0}', " "), "Sun 23");
        assert_eq!(midnight(at, 0), at - HOUR);
        assert_eq!(midnight(at, -2 * 3600), at - HOUR - 22 * HOUR);
    }
}
