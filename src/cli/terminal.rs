//! Writing to standard output and error: colour only on a terminal, no panic on a closed pipe.

use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::cli::Exit;
use crate::config::{ConfigProblems, Warning};

const RED: &str = "\u{1b}[1;31m";
const AMBER: &str = "\u{1b}[1;33m";
const PLAIN: &str = "\u{1b}[0m";

/// Standard output and error of this process.
#[derive(Debug)]
pub(super) struct Terminal {
    colour: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !unwanted && io::stderr().is_terminal() }
    }

    /// Prints to standard output. A reader that has had enough (`… | head`) is fine.
    pub(super) fn print(&self, text: &str) -> Exit {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.complain(&format!("standard output cannot be written: {error}"));
                Exit::Failed
            }
            Ok(()) | Err(_) => Exit::Fine,
        }
    }

    /// Prints a line to standard error.
    pub(super) fn complain(&self, text: &str) {
        // There is nowhere left to say that this failed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    pub(super) fn warn(&self, warning: &Warning) {
        self.complain(&format!("{}: {warning}", self.paint(AMBER, "warning")));
    }

    /// Prints what is good to know beside an output.
    pub(super) fn note(&self, text: &str) {
        self.complain(&format!("{}: {text}", self.paint(AMBER, "note")));
    }

    /// Prints why a command failed, in the form of a problem of the configuration: what, where, mend.
    pub(super) fn fail(&self, what: &str, key: Option<&str>, mend: Option<&str>) {
        let mut text = format!("{}: {what}", self.paint(RED, "error"));
        for (name, value) in [("at    ", key), ("mend  ", mend)] {
            if let Some(value) = value {
                text.push_str(&format!("\n  {name} {value}"));
            }
        }
        self.complain(&text);
    }

    /// Prints every problem of a configuration.
    pub(super) fn refuse(&self, problems: &ConfigProblems) -> Exit {
        for problem in &problems.0 {
            self.complain(&format!("{}: {problem}", self.paint(RED, "error")));
        }
        let count = problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        self.complain(&format!("{count} {noun} in the configuration"));
        Exit::Usage
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }
}
