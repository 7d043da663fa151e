//! From file and environment to a [`Config`], or to everything that is wrong with them.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use crate::config::check;
use crate::config::env::Environment;
use crate::config::keys::CONFIG;
use crate::config::problem::{ConfigProblems, Fault, Place, Problem, Warning};
use crate::config::report::Report;
use crate::config::service::{DEFAULTS, Draft, SERVICE};
use crate::config::sources::{FileSources, Layer};
use crate::config::yaml::{self, Document};
use crate::config::{Config, kind, running};

/// Where a configuration is looked for when nobody names one.
const PLACES: [&str; 2] = ["./config/config.yml", "/etc/wakedock/config.yml"];

/// More than any configuration has, and little enough to read at once.
const LONGEST_FILE: u64 = 16 << 20;

/// A configuration that holds.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
    /// What it says about services, key by key.
    pub sources: FileSources,
    /// The file it came from; `None`: there is none, and the defaults hold.
    pub file: Option<PathBuf>,
    /// The keys outside the services that were written, and where.
    pub written: Vec<(&'static str, Place)>,
    /// Of the file's content, to tell an edit from a touch.
    pub(super) fingerprint: Option<u64>,
}

/// Reads the configuration: `path`, or the file that `WAKEDOCK_CONFIG` names, or the first that
/// exists of `./config/config.yml` and `/etc/wakedock/config.yml`; over it the environment.
///
/// # Errors
/// Every problem there is, at once.
pub fn load(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigProblems> {
    let environment = Environment::new(env);
    let source = find(path, &environment)?;
    assemble(source, &environment, Emptiness::Allowed)
}

/// The settings as far as they can be read, for asking a WakeDock that runs: what is wrong with one
/// of them, or with a service, leaves the others as they are.
///
/// # Errors
/// The file cannot be read, or is not YAML.
pub fn peek(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigProblems> {
    let environment = Environment::new(env);
    let source = find(path, &environment)?;
    combine(source, &environment, Emptiness::Allowed).map(|combined| combined.config)
}

/// The file that [`load`] reads, or tries to; `None`: there is none, and the defaults hold.
#[must_use]
pub fn source_of(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Option<PathBuf> {
    let named = path.map(Path::to_owned).or_else(|| Environment::new(env).file.map(PathBuf::from));
    let there = |place: &&Path| place.try_exists().unwrap_or(true);
    named.or_else(|| PLACES.map(Path::new).into_iter().find(there).map(Path::to_owned))
}

/// Whether a file that says nothing is a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptiness {
    Allowed,
    /// On a reload it is a file caught between being emptied and being written.
    Refused,
}

/// A file and what it holds.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
}

impl Source {
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(file)?.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
        }
        Ok(Self { file: file.to_owned(), bytes })
    }

    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        hasher.finish()
    }

    fn parse(&self) -> Result<Document, ConfigProblems> {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let line = self.bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
                let at = Some((u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1), 1));
                return Err(self.problem(at, "is not UTF-8 text", "save it as UTF-8"));
            }
        };
        yaml::parse(text).map_err(|error| {
            let reason = format!("is not YAML: {}", error.message);
            self.problem(
                error.at,
                reason,
                "mend the line: most often it is indentation, a quote or a bracket",
            )
        })
    }

    /// The one problem of a file that says nothing to go on with.
    fn problem(&self, at: Option<(u32, u32)>, reason: impl Into<String>, mend: &str) -> ConfigProblems {
        let place = at.map(|(line, column)| Place::File { file: self.file.clone(), line, column });
        let value = at.and_then(|(line, _)| self.line(line));
        let value = value.or_else(|| Some(self.file.display().to_string()));
        whole_file(value, reason, mend, place)
    }

    fn line(&self, number: u32) -> Option<String> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let line = self.bytes.split(|byte| *byte == b'\n').nth(index)?;
        let text = String::from_utf8_lossy(line);
        let text: String = text.trim().chars().filter(|c| !c.is_control()).take(120).collect();
        (!text.is_empty()).then_some(text)
    }
}

impl Provider for &Document {
    fn metadata(&self) -> Metadata {
        Metadata::named("YAML file")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = self.value.as_dict().cloned().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// The problem with a file that cannot be read at all.
pub(super) fn unreadable(file: &Path, error: &io::Error) -> ConfigProblems {
    let value = Some(file.display().to_string());
    whole_file(
        value,
        format!("cannot be read: {error}"),
        "name a file that exists and that WakeDock may read",
        None,
    )
}

fn whole_file(
    value: Option<String>,
    reason: impl Into<String>,
    mend: &str,
    place: Option<Place>,
) -> ConfigProblems {
    let (key, reason, mend) = ("file".to_owned(), reason.into(), mend.to_owned());
    ConfigProblems(vec![Problem { key, value, reason, mend, place }])
}

pub(super) fn find(path: Option<&Path>, environment: &Environment) -> Result<Option<Source>, ConfigProblems> {
    if let Some(named) = path.or(environment.file.as_deref().map(Path::new)) {
        return Source::read(named).map(Some).map_err(|error| unreadable(named, &error));
    }
    for place in PLACES.map(Path::new) {
        match Source::read(place) {
            Ok(source) => return Ok(Some(source)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(place, &error)),
        }
    }
    Ok(None)
}

/// Puts defaults, file and environment together.
pub(super) fn assemble(
    source: Option<Source>,
    environment: &Environment,
    emptiness: Emptiness,
) -> Result<Loaded, ConfigProblems> {
    let fingerprint = source.as_ref().map(Source::fingerprint);
    let Combined { config, sources, report, file } = combine(source, environment, emptiness)?;
    let written = running::written(|key| report.written(key));
    let warnings = report.finish()?;
    Ok(Loaded { config, warnings, sources, file, written, fingerprint })
}

/// Everything that was read, before anybody asks whether it holds.
pub(super) struct Combined {
    pub(super) config: Config,
    sources: FileSources,
    pub(super) report: Report,
    file: Option<PathBuf>,
}

/// The same, whatever the report says in the end.
pub(super) fn combine(
    source: Option<Source>,
    environment: &Environment,
    emptiness: Emptiness,
) -> Result<Combined, ConfigProblems> {
    let document = match &source {
        Some(source) => shaped(source, source.parse()?, emptiness)?,
        None => Document { value: Value::from(Dict::new()), positions: Default::default() },
    };
    let merged = Figment::new().merge(&document).merge(environment);
    let values = merged.find_value("").map_err(|error| {
        let reason = format!("cannot be merged with the environment: {error}");
        whole_file(None, reason, "take WakeDock's variables out of the environment", None)
    })?;
    let file = source.as_ref().map(|source| source.file.clone());
    let mut report = Report::new(environment.variables.clone(), file.clone(), document.positions);
    for (name, hint) in &environment.unknown {
        report.warning(name, format!("is not a variable that WakeDock reads: {hint}"));
    }
    for (key, fault) in &environment.faults {
        report.problem(key, None, fault.clone());
    }
    let (config, sources) = read(&values, &mut report);
    Ok(Combined { config, sources, report, file })
}

fn shaped(source: &Source, document: Document, emptiness: Emptiness) -> Result<Document, ConfigProblems> {
    match (&document.value, emptiness) {
        (Value::Dict(..), _) | (Value::Empty(..), Emptiness::Allowed) => Ok(document),
        (Value::Empty(..), Emptiness::Refused) => {
            Err(source.problem(None, "is empty", "write the configuration again; the old one goes on"))
        }
        (other, _) => {
            let reason = format!("is {}, and a mapping of keys is wanted", kind::noun(other));
            Err(source.problem(Some((1, 1)), reason, "write `key: value` lines"))
        }
    }
}

/// Reads every key. With problems in the report the configuration is worth nothing.
fn read(values: &Value, report: &mut Report) -> (Config, FileSources) {
    let mut config = Config::default();
    CONFIG.read("", values, &mut config, report);
    let mut sources = FileSources::default();
    let mut defaults = Draft::new();
    if let Some(value) = values.find_ref("defaults") {
        defaults.read(&DEFAULTS, "defaults", value, report);
        sources.defaults = Layer::given(&DEFAULTS, "defaults", value, report);
    }
    let drafts = match values.find_ref("services") {
        Some(Value::Array(_, items)) => read_services(items, &defaults, &mut sources, report),
        Some(other) => {
            let mend = "write `services: []`, or a list of entries, each like `- name: app`";
            let reason = format!("is {}, and a list is wanted", kind::noun(other));
            report.problem("services", Some(other), Fault::new(reason, mend));
            Vec::new()
        }
        None => Vec::new(),
    };
    check::settings(&config, report);
    config.services = check::services(drafts, config.domain.as_deref(), &config.admin.own_hosts(), report);
    (config, sources)
}

fn read_services(
    items: &[Value],
    defaults: &Draft,
    sources: &mut FileSources,
    report: &mut Report,
) -> Vec<Draft> {
    let read = |(index, item)| {
        let mut draft = defaults.clone();
        let base = format!("services[{index}]");
        draft.read(&SERVICE, &base, item, report);
        if let Some(name) = &draft.name {
            sources.services.push((name.clone(), Layer::given(&SERVICE, &base, item, report)));
        }
        draft
    };
    items.iter().enumerate().map(read).collect()
}
