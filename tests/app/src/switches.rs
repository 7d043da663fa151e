//! What the environment tells the application to do.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

/// What SIGTERM does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTerm {
    Exit,
    Serve,
    Linger,
    Reset,
    Drain,
    Ignore,
}

/// What `/` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Text,
    Static,
    Slow,
    Echo,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    pub bind: IpAddr,
    pub port: u16,
    pub listen_delay: Duration,
    pub healthy_after: Duration,
    pub start_503_for: Duration,
    /// `None`: it doesn't exit by itself.
    pub exit_after: Option<Duration>,
    pub exit_code: u8,
    pub on_term: OnTerm,
    pub face: Face,
    /// Megabytes that it holds on to.
    pub memory: usize,
}

impl Switches {
    /// Reads the switches through `look_up`, which is the environment outside of tests.
    ///
    /// # Errors
    /// The first switch that cannot be read, with what was expected.
    pub fn read(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let duration = |name| match look_up(name) {
            None => Ok(Duration::ZERO),
            Some(text) => duration(&text).ok_or_else(|| bad(name, &text, "a duration like 500ms or 6s")),
        };
        let on_term = match look_up("ON_TERM").as_deref() {
            None | Some("exit") => OnTerm::Exit,
            Some("serve") => OnTerm::Serve,
            Some("linger") => OnTerm::Linger,
            Some("reset") => OnTerm::Reset,
            Some("drain") => OnTerm::Drain,
            Some("ignore") => OnTerm::Ignore,
            Some(other) => return Err(bad("ON_TERM", other, "exit, serve, linger, reset, drain or ignore")),
        };
        let face = match look_up("FACE").as_deref() {
            None | Some("text") => Face::Text,
            Some("static") => Face::Static,
            Some("slow") => Face::Slow,
            Some("echo") => Face::Echo,
            Some(other) => return Err(bad("FACE", other, "text, static, slow or echo")),
        };
        let exit_after = match look_up("EXIT_AFTER").as_deref() {
            None | Some("never") => None,
            Some(_) => Some(duration("EXIT_AFTER")?),
        };
        Ok(Self {
            bind: number(&look_up, "BIND", IpAddr::V4(Ipv4Addr::UNSPECIFIED), "an IP address")?,
            port: number(&look_up, "PORT", 8080, "a port")?,
            listen_delay: duration("LISTEN_DELAY")?,
            healthy_after: duration("HEALTHY_AFTER")?,
            start_503_for: duration("START_503_FOR")?,
            exit_after,
            exit_code: number(&look_up, "EXIT_CODE", 1, "a number up to 255")?,
            on_term,
            memory: number(&look_up, "MEMORY", 0, "a number of megabytes")?,
            face,
        })
    }
}

fn number<T: FromStr>(
    look_up: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: T,
    expected: &str,
) -> Result<T, String> {
    match look_up(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| bad(name, &text, expected)),
    }
}

fn bad(name: &str, value: impl Display, expected: &str) -> String {
    format!("{name} is `{value}`, expected {expected}")
}

/// `250ms`, `6s`, `2m`; nothing else.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    Some(Duration::from_millis(count.parse::<u64>().ok()?.checked_mul(millis)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("6s"), Some(Duration::from_secs(6)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for wrong in ["", "6", "s", "6 s", "-1s", "1h", "99999999999999999999s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_switch_is_named() {
        let read = |name: &'static str, value: &'static str| {
            Switches::read(move |asked| (asked == name).then(|| value.to_owned()))
        };
        for (name, value) in
            [("PORT", "x"), ("BIND", "here"), ("ON_TERM", "dance"), ("FACE", "sad"), ("EXIT_AFTER", "5")]
        {
            assert!(read(name, value).unwrap_err().starts_with(&format!("{name} is `{value}`")), "{name}");
        }
        assert_eq!(read("EXIT_AFTER", "5s").unwrap().exit_after, Some(Duration::from_secs(5)));
        assert_eq!(read("EXIT_AFTER", "never").unwrap().exit_after, None);
        assert_eq!(read("ON_TERM", "drain").unwrap().on_term, OnTerm::Drain);
    }
}
