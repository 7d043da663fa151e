//! The command line as a program, against a daemon that says what the test wants.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod answers;
mod daemon;
mod follow;
mod papers;
mod refusals;
mod running;
mod secure;
mod served;
mod state;

use std::process::{Command, Output};

/// `wakedock …` without anything of the machine's own.
fn wakedock(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wakedock"));
    command.args(arguments).env_clear().current_dir("/");
    command
}

/// How it ended, and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    /// It was fine, and said this.
    #[track_caller]
    fn fine(&self) -> &str {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        &self.out
    }

    /// It failed with this code, said nothing on standard output, and this on standard error.
    #[track_caller]
    fn failed(&self, code: i32) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        &self.err
    }
}
