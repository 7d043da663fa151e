//! Standard output and error: colour only on a terminal, no panic on a closed pipe.

use std::io::{self, ErrorKind, IsTerminal, Write};

use rustix::termios;

use crate::cli::Exit;
use crate::cli::view::paint::Palette;
use crate::config::{ConfigProblems, Warning};

const RED: &str = "\u{1b}[1;31m";
const AMBER: &str = "\u{1b}[1;33m";
const PLAIN: &str = "\u{1b}[0m";
/// Where a terminal does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// The standard streams of this process.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Whether standard error has colours.
    colour: bool,
    /// Whether standard output has.
    out_colour: bool,
    /// A terminal that knows letters and nothing else.
    dumb: bool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let unwanted = dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            dumb,
            colour: !unwanted && io::stderr().is_terminal(),
            out_colour: !unwanted && io::stdout().is_terminal(),
        }
    }

    /// The colours of standard output.
    pub(super) fn palette(&self) -> Palette {
        Palette { colour: self.out_colour }
    }

    /// Whether somebody looks at standard output as it comes.
    pub(super) fn is_live(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a picture can be drawn anew in place.
    pub(super) fn draws(&self) -> bool {
        self.is_live() && !self.dumb
    }

    /// How many letters a line of standard output holds; `None`: as many as it takes.
    pub(super) fn width(&self) -> Option<usize> {
        if io::stdout().is_terminal() {
            let size = termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
            return size.filter(|width| *width > 0).or_else(columns).or(Some(USUAL_WIDTH));
        }
        columns()
    }

    /// How many lines the terminal shows.
    pub(super) fn height(&self) -> Option<usize> {
        let size = termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row));
        size.filter(|height| *height > 0)
    }

    /// Prints to standard output.
    pub(super) fn print(&self, text: &str) -> Exit {
        self.put(text.as_bytes()).unwrap_or(Exit::Fine)
    }

    /// Writes to standard output at once.
    ///
    /// # Errors
    /// It cannot be written; `BrokenPipe`: nobody reads any more.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// The same, of what goes on. `Some`: it ends with this, since nobody reads any more.
    pub(super) fn put(&self, bytes: &[u8]) -> Option<Exit> {
        match self.write(bytes) {
            Ok(()) => None,
            Err(error) => Some(self.unwritable(&error)),
        }
    }

    /// A reader that has had enough (`… | head`) is fine.
    fn unwritable(&self, error: &io::Error) -> Exit {
        if error.kind() == ErrorKind::BrokenPipe {
            return Exit::Fine;
        }
        self.complain(&format!("standard output cannot be written: {error}"));
        Exit::Failed
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

    /// Shows what goes on, in one line of a terminal that the next one overwrites; an empty one
    /// takes it away. Nothing where standard error is no terminal.
    pub(super) fn progress(&self, text: &str) {
        let mut error = io::stderr().lock();
        if error.is_terminal() && !self.dumb {
            let width = termios::tcgetwinsize(&error).map_or(USUAL_WIDTH, |size| usize::from(size.ws_col));
            let text = crate::cli::view::table::cut(text, width.max(10) - 1);
            let _ = write!(error, "\r{text}\u{1b}[K").and_then(|()| error.flush());
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }
}

/// What the surroundings say about the width.
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0)
}
