//! `wakedock config …`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value as Json, json};

use crate::cli::Exit;
use crate::cli::terminal::Terminal;
use crate::config::{self, ConfigProblems, Loaded, Place, Problem, Told, Warning};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with the configuration, or "ok"
    Check {
        /// Print problems and warnings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what holds in the end: defaults, file and environment together
    Print {
        /// Say of every value where it comes from: default, defaults, file or environment
        #[arg(long)]
        origin: bool,
        /// With --origin: as JSON
        #[arg(long, requires = "origin")]
        json: bool,
    },
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print a commented configuration with every key
    Example,
}

pub(super) fn run(
    command: &ConfigCommand,
    load: impl FnOnce() -> Result<Loaded, ConfigProblems>,
    source: impl FnOnce() -> Option<PathBuf>,
    origins: impl FnOnce() -> Result<Vec<Told>, ConfigProblems>,
    terminal: &Terminal,
) -> Exit {
    match command {
        ConfigCommand::Check { json: true } => check_json(load(), source, terminal),
        ConfigCommand::Check { json: false } => check(load(), terminal),
        ConfigCommand::Print { origin: true, json } => match origins() {
            Ok(told) if *json => {
                let told: Vec<_> = told.iter().map(told_json).collect();
                terminal.print(&format!("{:#}\n", Json::Array(told)))
            }
            Ok(told) => {
                let lines: String = told.iter().map(|told| told.line() + "\n").collect();
                terminal.print(&lines)
            }
            Err(problems) => terminal.refuse(&problems),
        },
        ConfigCommand::Print { origin: false, .. } => match load() {
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

fn told_json(told: &Told) -> Json {
    let (file, line, column, variable) = place(told.place.as_ref());
    json!({
        "key": told.key,
        "value": told.value,
        "origin": told.word(),
        "file": file,
        "line": line,
        "column": column,
        "variable": variable,
    })
}

type PlaceParts<'a> = (Option<&'a PathBuf>, Option<&'a u32>, Option<&'a u32>, Option<&'a String>);

fn place(place: Option<&Place>) -> PlaceParts<'_> {
    match place {
        Some(Place::File { file, line, column }) => (Some(file), Some(line), Some(column), None),
        Some(Place::Variable(name)) => (None, None, None, Some(name)),
        None => (None, None, None, None),
    }
}

fn problem(problem: &Problem) -> Json {
    let (file, line, column, variable) = place(problem.place.as_ref());
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
