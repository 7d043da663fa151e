//! Passwords from a person or a pipe, never from the command line, where everybody could see them.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

use rustix::termios::{self, LocalModes, OptionalActions};

use crate::cli::Exit;
use crate::cli::terminal::Terminal;

/// A new password: asked for twice, or the first line of standard input.
///
/// # Errors
/// There is none, or the second one differs; it has been said.
pub(super) fn new_password(user: &str, from_stdin: bool, terminal: &Terminal) -> Result<String, Exit> {
    if from_stdin {
        return line().map_err(|error| unreadable(&error, terminal));
    }
    if !io::stdin().is_terminal() {
        let mend = "run it on a terminal, or pipe the password in with `--password-stdin`";
        terminal.fail("nobody can be asked for a password", Some("standard input"), Some(mend));
        return Err(Exit::Usage);
    }
    let ask = |question: &str| hidden(question).map_err(|error| unreadable(&error, terminal));
    let first = ask(&format!("New password for {user}"))?;
    if ask("The same again")? != first {
        terminal.fail("the two passwords differ", None, Some("try again; nothing was changed"));
        return Err(Exit::Failed);
    }
    Ok(first)
}

fn unreadable(error: &io::Error, terminal: &Terminal) -> Exit {
    terminal.fail(&format!("no password could be read: {error}"), Some("standard input"), None);
    Exit::Failed
}

/// Puts the terminal back as it was.
struct Shown(termios::Termios);

impl Drop for Shown {
    fn drop(&mut self) {
        // There is nothing left to do for a terminal that is gone.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Asks on standard error, and reads an answer that the terminal does not show. Signals are read as
/// the letters they are, so that whoever gives up finds the terminal as it was.
fn hidden(question: &str) -> io::Result<String> {
    let before = termios::tcgetattr(io::stdin())?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    write!(io::stderr(), "{question}: ")?;
    io::stderr().flush()?;
    let shown = Shown(before);
    termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
    let answer = typed(|| {
        let mut byte = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut byte))?;
        Ok((read > 0).then_some(byte[0]))
    });
    drop(shown);
    writeln!(io::stderr())?;
    answer
}

/// What was typed, with what was taken back.
fn typed(mut next: impl FnMut() -> io::Result<Option<u8>>) -> io::Result<String> {
    let given_up = || io::Error::new(ErrorKind::Interrupted, "given up");
    let mut typed = Vec::new();
    loop {
        match next()? {
            Some(b'\r' | b'\n') => break,
            // Ctrl-C, Ctrl-\, and Ctrl-D or the end of the terminal with nothing typed.
            Some(0x03 | 0x1c) => return Err(given_up()),
            None | Some(0x04) if typed.is_empty() => return Err(given_up()),
            None | Some(0x04) => break,
            // Ctrl-U.
            Some(0x15) => typed.clear(),
            // A letter may be several bytes.
            Some(0x7f | 0x08) => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            Some(byte) => typed.push(byte),
        }
    }
    String::from_utf8(typed).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// A line of standard input, without its end.
fn line() -> io::Result<String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "it has ended"));
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(keys: &[u8]) -> io::Result<String> {
        let mut keys = keys.iter().copied();
        typed(|| Ok(keys.next()))
    }

    #[test]
    fn keys_do_what_they_do_everywhere() {
        assert_eq!(type_in(b"secret\nx").unwrap(), "secret");
        assert_eq!(type_in("sé\u{7f}\u{7f}\u{7f}öx\u{8}\r".as_bytes()).unwrap(), "ö");
        assert_eq!(type_in(b"wrong\x15right\n").unwrap(), "right");
        assert_eq!(type_in(b"\n").unwrap(), "");
        assert_eq!(type_in(b"cut off").unwrap(), "cut off");
        for given_up in [&b"\x03"[..], b"a\x03\n", b"\x04", b"a\x1c", b""] {
            assert_eq!(type_in(given_up).unwrap_err().kind(), ErrorKind::Interrupted);
        }
        assert_eq!(type_in(b"\xff\n").unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
