//! The command line: reads it, prints, and turns outcomes into exit codes.

mod client;
mod config;
mod ending;
mod follow;
mod health;
mod orders;
mod owner;
mod papers;
mod remote;
mod secret;
mod state;
mod status;
mod terminal;
mod tokens;
mod users;
mod view;
mod watch;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::{self, Ended};
use crate::config::{CaddyMode, Config, Loaded, load, process_env, source_of};
use orders::Verb;
use remote::Surroundings;
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
#[command(after_help = papers::EXIT_CODES)]
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
    /// Show what sleeps and what is awake, and why
    Status(status::Status),
    /// Wake a service, and wait until it is ready
    Wake(orders::Order),
    /// Stop a service, and wait until it is asleep; the next request wakes it again
    Stop(orders::Order),
    /// Stop a service and wake it again
    Restart(orders::Order),
    /// Keep a service awake for a time, used or not
    KeepAwake(orders::KeepAwake),
    /// Print what a service's container wrote
    Logs(follow::Logs),
    /// Print what happened
    Events(follow::EventsOf),
    /// Say who may log in, and as what
    User {
        #[command(subcommand)]
        command: users::UserCommand,
    },
    /// Make and revoke what programs show instead of a password
    Token {
        #[command(subcommand)]
        command: tokens::TokenCommand,
    },
    /// Write everything that WakeDock remembers into a file, whether it runs or not
    Backup(state::Backup),
    /// Put a backup in the place of what WakeDock remembers; WakeDock must not run
    Restore(state::Restore),
    /// Bring the store of an older version up to date, as `serve` does too
    Migrate(state::Migrate),
    /// Say whether WakeDock serves; exit code 1 where it does not
    Health(health::Health),
    /// Print what makes a shell complete the command line
    Completions(papers::Completions),
    /// Print the manual pages, as roff
    Man(papers::Manual),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// The reference of the command line, in Markdown: each command with its help.
#[must_use]
pub fn reference() -> String {
    papers::reference(Arguments::command())
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
    let around = Surroundings { terminal: &terminal, config: arguments.config.as_deref() };
    let exit = match arguments.command {
        Command::Serve => match load() {
            Ok(loaded) => serve(loaded, &terminal),
            Err(problems) => terminal.refuse(&problems),
        },
        Command::Config { command } => {
            let origins = || crate::config::origins(arguments.config.as_deref(), process_env());
            config::run(&command, load, source, origins, &terminal)
        }
        Command::Caddyfile => match load() {
            Ok(Loaded { config, .. }) => caddyfile(&config, &terminal),
            Err(problems) => terminal.refuse(&problems),
        },
        Command::Status(arguments) => status::run(&arguments, around),
        Command::Wake(order) => orders::run(Verb::Wake, &order, around),
        Command::Stop(order) => orders::run(Verb::Stop, &order, around),
        Command::Restart(order) => orders::run(Verb::Restart, &order, around),
        Command::KeepAwake(arguments) => orders::keep_awake(&arguments, around),
        Command::Logs(arguments) => follow::logs(&arguments, around),
        Command::Events(arguments) => follow::events(&arguments, around),
        Command::User { command } => users::run(&command, around),
        Command::Token { command } => tokens::run(&command, around),
        Command::Backup(arguments) => state::backup(&arguments, around),
        Command::Restore(arguments) => state::restore(&arguments, around),
        Command::Migrate(arguments) => state::bring_up(&arguments, around),
        Command::Health(arguments) => health::run(&arguments, around),
        Command::Completions(arguments) => papers::completions(&arguments, Arguments::command(), &terminal),
        Command::Man(arguments) => papers::manual(&arguments, Arguments::command(), &terminal),
    };
    exit.into()
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
