//! Collects what is wrong while a configuration is read, and knows where each key was written.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use figment::value::Value;

use crate::config::kind::is_hidden;
use crate::config::problem::{ConfigProblems, Fault, Place, Problem, Warning};
use crate::config::yaml;

/// Longer values are cut in messages: the place says where to look.
const LONGEST_SHOWN: usize = 120;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Keys that the environment gives, and the variable that does.
    variables: HashMap<String, String>,
    file: Option<PathBuf>,
    positions: HashMap<String, (u32, u32)>,
    given: BTreeSet<String>,
    failed: BTreeSet<String>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Report {
    pub(super) fn new(
        variables: HashMap<String, String>,
        file: Option<PathBuf>,
        positions: HashMap<String, (u32, u32)>,
    ) -> Self {
        Self { variables, file, positions, ..Self::default() }
    }

    /// Notes that a key was written, whatever its value.
    pub(super) fn given(&mut self, key: &str) {
        self.given.insert(key.to_owned());
    }

    pub(super) fn was_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// Whether any of these keys, or what stands below them, has a problem of its own already.
    pub(super) fn has_failed(&self, keys: &[&str]) -> bool {
        self.failed.iter().any(|failed| {
            keys.iter().any(|key| {
                failed.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
        })
    }

    /// Whether this very key has a problem.
    pub(super) fn is_problem(&self, key: &str) -> bool {
        self.failed.contains(key)
    }

    pub(super) fn problem(&mut self, key: &str, value: Option<&Value>, fault: Fault) {
        let (key, value) = match fault.element {
            Some((index, value)) => (format!("{key}[{index}]"), Some(value)),
            None => (key.to_owned(), value.map(yaml::show)),
        };
        self.failed.insert(key.clone());
        let place = self.place(&key);
        let value = value.map(|text| shorten(&text));
        self.problems.push(Problem { key, value, reason: fault.reason, mend: fault.mend, place });
    }

    pub(super) fn warning(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.warnings.push(Warning { key: key.into(), reason: reason.into() });
    }

    /// Where this very key was written, in environment or file.
    pub(super) fn written(&self, key: &str) -> Option<Place> {
        let is_written = self.variables.contains_key(key) || self.positions.contains_key(key);
        is_written.then(|| self.place(key)).flatten()
    }

    /// Where the key was written, or the nearest thing around it.
    fn place(&self, key: &str) -> Option<Place> {
        let mut around = key;
        loop {
            if let Some(name) = self.variables.get(around) {
                return Some(Place::Variable(name.clone()));
            }
            if let (Some((line, column)), Some(file)) = (self.positions.get(around), &self.file) {
                return Some(Place::File { file: file.clone(), line: *line, column: *column });
            }
            around = &around[..around.rfind(['.', '['])?];
        }
    }

    /// The warnings, or all problems in the order in which they stand.
    pub(super) fn finish(self) -> Result<Vec<Warning>, ConfigProblems> {
        let mut problems = self.problems;
        if problems.is_empty() {
            return Ok(self.warnings);
        }
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        problems.dedup();
        Err(ConfigProblems(problems))
    }
}

/// One line, and not too long.
pub(super) fn shorten(text: &str) -> String {
    let line: String = text
        .chars()
        .flat_map(|c| if is_hidden(c) { c.escape_default().collect() } else { vec![c] })
        .collect();
    match line.char_indices().nth(LONGEST_SHOWN) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if line.is_empty() => "\"\"".to_owned(),
        None => line,
    }
}
