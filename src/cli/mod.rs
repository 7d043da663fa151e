//! The command line: reads it, prints, and turns outcomes into exit codes.

mod config;
mod terminal;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::{self, Ended};
use crate::config::{CaddyMode, Config, Loaded, load, process_env, source_of};
use terminal::Terminal;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Fine = 0,
    Failed = 1,
    /// Connections were still open when the grace period of a shutdown was over.
    DrainTimedOut = 2,
    /// The command line or the configuration is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Lets Docker services sleep until somebody asks for them.
#[derive(Debug, Parser)]
#[command(name = "wakedock", version, propagate_version = true, subcommand_required = true)]
struct Arguments {
    /// Configuration file [default: $WAKEDOCK_CONFIG, ./config/config.yml, /etc/wakedock/config.yml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run WakeDock
    Serve,
    /// Check, print and explain the configuration
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Print what WakeDock has Caddy run, by `caddy.mode`
    ///
    /// `managed`: the whole Caddyfile that is published. `file`: what is written to `caddy.file`.
    /// `off`: nothing is published, and what `file` would write is printed.
    Caddyfile,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// The reference of the command line, in Markdown: each command with its help.
#[must_use]
pub fn reference() -> String {
    let mut command = Arguments::command();
    command.build();
    let mut text = String::from(
        "# Command line\n\nMade from the program itself.\n\n\
         Exit codes: 0 fine, 1 failed, 2 connections were cut when the grace period of a shutdown \
         was over, 64 wrong usage or configuration.\n",
    );
    describe(&mut command, "wakedock", &mut text);
    text
}

fn describe(command: &mut clap::Command, name: &str, text: &mut String) {
    let help = command.render_long_help();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.to_string().trim_end()));
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" {
            let name = format!("{name} {}", inner.get_name());
            describe(inner, &name, text);
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let terminal = Terminal::new();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to clap as well; a closed output is nobody's fault.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Fine.into() };
        }
    };
    let load = || load(arguments.config.as_deref(), process_env());
    let source = || source_of(arguments.config.as_deref(), process_env());
    match arguments.command {
        Command::Serve => match load() {
            Ok(loaded) => serve(loaded, &terminal).into(),
            Err(problems) => terminal.refuse(&problems).into(),
        },
        Command::Config { command } => config::run(&command, load, source, &terminal).into(),
        Command::Caddyfile => match load() {
            Ok(Loaded { config, .. }) => caddyfile(&config, &terminal).into(),
            Err(problems) => terminal.refuse(&problems).into(),
        },
    }
}

fn serve(loaded: Loaded, terminal: &Terminal) -> Exit {
    match app::serve(loaded) {
        Ok(Ended::Clean) => Exit::Fine,
        Ok(Ended::DrainTimedOut) => Exit::DrainTimedOut,
        Err(error) => {
            terminal.fail(&chain(&error), error.key(), error.mend());
            Exit::Failed
        }
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn caddyfile(config: &Config, terminal: &Terminal) -> Exit {
    match app::caddyfile(config) {
        Ok(text) => {
            if config.caddy.mode == CaddyMode::Off {
                terminal.note(
                    "`caddy.mode` is `off`: nothing is published; this is what mode `file` would write",
                );
            }
            terminal.print(&text)
        }
        Err(error) => {
            terminal.fail(&format!("the Caddyfile cannot be rendered: {}", chain(&error)), None, None);
            Exit::Failed
        }
    }
}
