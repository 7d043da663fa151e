//! `wakedock config …`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::cli::Exit;
use crate::cli::terminal::Terminal;
use crate::config::{self, ConfigProblems, Loaded, Place, Problem, Warning};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with the configuration, or "ok"
    Check {
        /// Print problems and warnings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what holds in the end: defaults, file and environment together
    Print,
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print a commented configuration with every key
    Example,
}

pub(super) fn run(
    command: &ConfigCommand,
    load: impl FnOnce() -> Result<Loaded, ConfigProblems>,
    source: impl FnOnce() -> Option<PathBuf>,
    terminal: &Terminal,
) -> Exit {
    match command {
        ConfigCommand::Check { json: true } => check_json(load(), source, terminal),
        ConfigCommand::Check { json: false } => check(load(), terminal),
        ConfigCommand::Print => match load() {
            Ok(loaded) => terminal.print(&config::effective(&loaded.config)),
            Err(problems) => terminal.refuse(&problems),
        },
        ConfigCommand::Schema => terminal.print(&format!("{:#}\n", config::schema())),
        ConfigCommand::Example => terminal.print(&config::example()),
    }
}

fn check(outcome: Result<Loaded, ConfigProblems>, terminal: &Terminal) -> Exit {
    let loaded = match outcome {
        Ok(loaded) => loaded,
        Err(problems) => return terminal.refuse(&problems),
    };
    for warning in &loaded.warnings {
        terminal.warn(warning);
    }
    let source = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => "no file, defaults".to_owned(),
    };
    let services = count(loaded.config.services.len(), "service");
    let warnings = count(loaded.warnings.len(), "warning");
    terminal.print(&format!("ok: {source}, {services}, {warnings}\n"))
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn check_json(
    outcome: Result<Loaded, ConfigProblems>,
    source: impl FnOnce() -> Option<PathBuf>,
    terminal: &Terminal,
) -> Exit {
    let (file, services, problems, warnings) = match outcome {
        Ok(loaded) => (loaded.file, Some(loaded.config.services.len()), Vec::new(), loaded.warnings),
        Err(problems) => (source(), None, problems.0, Vec::new()),
    };
    let printed = terminal.print(&format!(
        "{:#}\n",
        json!({
            "ok": problems.is_empty(),
            "file": file,
            "services": services,
            "problems": problems.iter().map(problem).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
        })
    ));
    if problems.is_empty() { printed } else { Exit::Usage }
}

fn problem(problem: &Problem) -> Json {
    let (file, line, column, variable) = match &problem.place {
        Some(Place::File { file, line, column }) => (Some(file), Some(line), Some(column), None),
        Some(Place::Variable(name)) => (None, None, None, Some(name)),
        None => (None, None, None, None),
    };
    json!({
        "key": problem.key,
        "value": problem.value,
        "reason": problem.reason,
        "mend": problem.mend,
        "file": file,
        "line": line,
        "column": column,
        "variable": variable,
    })
}

fn warning(warning: &Warning) -> Json {
    json!({ "key": warning.key, "reason": warning.reason })
}
