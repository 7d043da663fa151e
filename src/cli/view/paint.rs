//! Colours: few, from the terminal's own palette, and never the only sign of anything.

use crate::domain::words::Phase;

/// What a text is painted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::cli) enum Ink {
    #[default]
    Plain,
    /// Of less interest: titles, units, what is asleep.
    Faint,
    Strong,
    Green,
    Amber,
    Red,
    Blue,
}

impl Ink {
    /// The colour of a phase.
    pub(in crate::cli) fn of(phase: Option<Phase>) -> Self {
        match phase {
            Some(Phase::Asleep) => Self::Faint,
            Some(Phase::Waking) => Self::Amber,
            Some(Phase::Ready) => Self::Green,
            Some(Phase::Stopping) => Self::Blue,
            Some(Phase::Failed) => Self::Red,
            None => Self::Plain,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "\u{1b}[2m",
            Self::Strong => "\u{1b}[1m",
            Self::Green => "\u{1b}[32m",
            Self::Amber => "\u{1b}[33m",
            Self::Red => "\u{1b}[31m",
            Self::Blue => "\u{1b}[94m",
        }
    }
}

/// Whether there are colours at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Palette {
    pub(in crate::cli) colour: bool,
}

impl Palette {
    pub(in crate::cli) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour || ink == Ink::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}\u{1b}[0m", ink.code())
    }
}

/// The sign of a phase; of none, where a service is left out.
pub(in crate::cli) fn glyph(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Asleep) => "○",
        Some(Phase::Waking) => "◐",
        Some(Phase::Ready) => "●",
        Some(Phase::Stopping) => "◑",
        Some(Phase::Failed) => "▲",
        None => "!",
    }
}

/// A text without what would steer a terminal: names, hosts and log lines come from strangers.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect()
}

/// What turns the direction of a text, or takes no room, and so shows another text than there is.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_steers_no_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}31m\u{202e}c\r\n"), "a [2Jb 31m c  ");
    }

    #[test]
    fn every_phase_has_a_sign_of_its_own() {
        let mut signs: Vec<_> = Phase::ALL.iter().map(|phase| glyph(Some(*phase))).collect();
        signs.sort_unstable();
        signs.dedup();
        assert_eq!(signs.len(), Phase::ALL.len());
    }
}
