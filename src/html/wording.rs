//! What the pages of services say: texts by their numbers, and times.

use std::time::Duration;

use crate::html::Language;
use crate::html::language::{Key, key};
use crate::html::waiting::Refused;

/// The word for what is, and a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase {
    pub(super) word: &'static str,
    pub(super) what: &'static str,
}

/// What there is to say of a service that one waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    Waking,
    /// Still waking: the service runs.
    Probing,
    Stopping,
    Failed,
}

impl Phrase {
    pub(super) fn of(language: Language, said: Said) -> Self {
        Self::from(
            language,
            match said {
                Said::Waking => (key::WAITING_WAKING_WORD, key::WAITING_WAKING_WHAT),
                Said::Probing => (key::WAITING_PROBING_WORD, key::WAITING_PROBING_WHAT),
                Said::Stopping => (key::WAITING_STOPPING_WORD, key::WAITING_STOPPING_WHAT),
                Said::Failed => (key::WAITING_FAILED_WORD, key::WAITING_FAILED_WHAT),
            },
        )
    }

    pub(super) fn refusal(language: Language, refused: Refused) -> Self {
        Self::from(
            language,
            match refused {
                Refused::UnknownHost => (key::WAITING_UNKNOWN_HOST_WORD, key::WAITING_UNKNOWN_HOST_WHAT),
                Refused::HoldTimeout => (key::WAITING_HOLD_TIMEOUT_WORD, key::WAITING_HOLD_TIMEOUT_WHAT),
                Refused::Overloaded => (key::WAITING_OVERLOADED_WORD, key::WAITING_OVERLOADED_WHAT),
                Refused::Draining => (key::WAITING_DRAINING_WORD, key::WAITING_DRAINING_WHAT),
                Refused::Disabled => (key::WAITING_DISABLED_WORD, key::WAITING_DISABLED_WHAT),
                Refused::EngineUnavailable => {
                    (key::WAITING_ENGINE_UNAVAILABLE_WORD, key::WAITING_ENGINE_UNAVAILABLE_WHAT)
                }
                Refused::UpstreamError => {
                    (key::WAITING_UPSTREAM_ERROR_WORD, key::WAITING_UPSTREAM_ERROR_WHAT)
                }
                Refused::UpstreamTimeout => {
                    (key::WAITING_UPSTREAM_TIMEOUT_WORD, key::WAITING_UPSTREAM_TIMEOUT_WHAT)
                }
            },
        )
    }

    fn from(language: Language, (word, what): (Key, Key)) -> Self {
        Self { word: language.get(word), what: language.get(what) }
    }
}

/// `12 s`, `1 min 5 s`; the same in the script.
pub(super) fn duration(language: Language, duration: Duration) -> String {
    let (seconds, minutes) = (duration.as_secs(), duration.as_secs() / 60);
    let (second, minute) = (language.get(key::UNIT_S), language.get(key::UNIT_MIN));
    match minutes {
        0 => format!("{seconds}\u{a0}{second}"),
        _ => format!("{minutes}\u{a0}{minute} {}\u{a0}{second}", seconds % 60),
    }
}

/// As [`duration`], never less than a time that has yet to pass.
pub(super) fn duration_up(language: Language, time: Duration) -> String {
    let seconds = time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX);
    duration(language, Duration::from_secs(seconds))
}

/// What [`duration`] writes behind figures, for the script.
pub(super) fn units(language: Language) -> String {
    format!("\u{a0}{}|\u{a0}{} ", language.get(key::UNIT_S), language.get(key::UNIT_MIN))
}

pub(super) fn fill(text: &str, value: &str) -> String {
    text.replace("{}", value)
}
