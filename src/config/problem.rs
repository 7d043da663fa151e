//! What is wrong with a configuration: every problem at once, each with what to do about it.

use std::fmt;
use std::path::PathBuf;

/// Why one value cannot be used, and how to mend it; where it stands is added by the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Completes the sentence that begins with the key: `is empty`.
    pub reason: String,
    /// What to write instead.
    pub mend: String,
    /// Which element of a list is meant.
    pub(super) element: Option<(usize, String)>,
}

impl Fault {
    pub(super) fn new(reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { reason: reason.into(), mend: mend.into(), element: None }
    }
}

/// Everything that is wrong with one value; never empty.
#[derive(Debug)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The name of an environment variable.
    Variable(String),
    /// Line and column count from one.
    File { file: PathBuf, line: u32, column: u32 },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `services[0].idle.stop_after`; the word `file` where the file as a whole is meant.
    pub key: String,
    /// What was written there, shortened.
    pub value: Option<String>,
    /// Completes the sentence that begins with the key.
    pub reason: String,
    pub mend: String,
    pub place: Option<Place>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.reason)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at     {place}")?;
        }
        if let Some(value) = &self.value {
            write!(f, "\n  value  {value}")?;
        }
        write!(f, "\n  mend   {}", self.mend)
    }
}

/// All problems of one configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblems(pub Vec<Problem>);

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// Something that works, and probably not as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// A key, or the name of an environment variable.
    pub key: String,
    /// Completes the sentence that begins with the key.
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.reason)
    }
}
