//! Which WakeDock a command talks to: the one of the local socket, or one behind a URL.

use std::future::Future;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::app;
use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, Target};
use crate::cli::terminal::Terminal;
use crate::config::{Config, ConfigProblems, load, peek, process_env};

/// Instead of `--url`.
const URL: &str = "WAKEDOCK_URL";
/// Instead of `--token`.
const TOKEN: &str = "WAKEDOCK_TOKEN";

/// What every command that talks to a running WakeDock may be told.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Remote {
    /// Talk to the WakeDock at this address, and not to the local socket [default: $WAKEDOCK_URL]
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    pub(super) url: Option<String>,

    /// API token to show there [default: $WAKEDOCK_TOKEN]; others on this machine can see it
    #[arg(long, value_name = "TOKEN", help_heading = "Connection", conflicts_with = "token_file")]
    pub(super) token: Option<String>,

    /// File that holds the API token
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(super) token_file: Option<PathBuf>,
}

/// What a command has around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) terminal: &'a Terminal,
    /// `--config`.
    pub(super) config: Option<&'a Path>,
}

impl Surroundings<'_> {
    /// The settings, as far as they can be read: a half-edited file is no reason not to show what
    /// runs.
    ///
    /// # Errors
    /// The file that was named cannot be read; it has been said.
    pub(super) fn settings(&self) -> Result<Config, Exit> {
        match peek(self.config, process_env()) {
            Ok(config) => Ok(config),
            Err(problems) if self.config.is_some() => Err(self.terminal.refuse(&problems)),
            Err(problems) => {
                for problem in &problems.0 {
                    self.terminal.note(&format!("{} {}; its defaults are used", problem.key, problem.reason));
                }
                Ok(Config::default())
            }
        }
    }

    /// Where the store lies, for commands that work on it themselves. Nothing is taken for granted
    /// here: with a mistake in the file, or in `data_dir`, another store would be meant.
    ///
    /// # Errors
    /// The file cannot be read, or `data_dir` cannot be used; it has been said.
    pub(super) fn store(&self) -> Result<PathBuf, Exit> {
        let refused = |problems: &ConfigProblems| Err(self.terminal.refuse(problems));
        let config = match peek(self.config, process_env()) {
            Ok(config) => config,
            Err(problems) => return refused(&problems),
        };
        if let Err(ConfigProblems(mut problems)) = load(self.config, process_env()) {
            problems.retain(|problem| problem.key == "data_dir");
            if !problems.is_empty() {
                return refused(&ConfigProblems(problems));
            }
        }
        Ok(app::store_path(&config))
    }

    /// Runs what a command does with a running WakeDock; what fails is said.
    pub(super) fn run<F>(&self, work: F) -> Exit
    where
        F: Future<Output = Result<Exit, ClientError>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => match runtime.block_on(work) {
                Ok(exit) => exit,
                Err(error) => error.tell(self.terminal),
            },
            Err(error) => {
                self.terminal.fail(&format!("the runtime cannot be started: {error}"), None, None);
                Exit::Failed
            }
        }
    }
}

impl Remote {
    /// Whether a URL was given, here or in the environment.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.url().is_some()
    }

    /// The way to WakeDock.
    ///
    /// # Errors
    /// What was given cannot be used; it has been said.
    pub(super) fn client(&self, around: &Surroundings<'_>) -> Result<Client, Exit> {
        let target = match self.url() {
            Some(url) => Target::parse(&url).map_err(|error| error.tell(around.terminal))?,
            None => match around.settings()?.admin.socket {
                Some(socket) => Target::Socket(socket),
                None => return Err(ClientError::NoSocket.tell(around.terminal)),
            },
        };
        let token = self.token().map_err(|error| error.tell(around.terminal))?;
        if token.is_some() && target.is_overheard() {
            around.terminal.note("without https everybody on the way can read the token");
        }
        Client::new(target, token.as_deref()).map_err(|error| error.tell(around.terminal))
    }

    fn url(&self) -> Option<String> {
        self.url.clone().or_else(|| variable(URL))
    }

    fn token(&self) -> Result<Option<String>, ClientError> {
        if let Some(token) = &self.token {
            return Ok(Some(token.trim().to_owned()));
        }
        let Some(file) = &self.token_file else { return Ok(variable(TOKEN)) };
        match std::fs::read_to_string(file) {
            Ok(text) if text.trim().is_empty() => Err(wrong_file(file, "is empty")),
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) => Err(wrong_file(file, &format!("cannot be read: {error}"))),
        }
    }
}

fn wrong_file(file: &Path, reason: &str) -> ClientError {
    ClientError::Usage {
        key: "--token-file",
        value: file.display().to_string(),
        reason: reason.to_owned(),
        mend: "name a file that holds the token and nothing else".to_owned(),
    }
}

/// A variable that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
