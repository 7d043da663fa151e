//! One container of the fake engine, and what may be asked of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wakedock::config::sources::labels::is_relevant;
use wakedock::domain::time::{Moment, Timestamp};
use wakedock::domain::usage::UsageSample;
use wakedock::ports::{Container, ContainerId, ContainerState, HealthCommand, Listed, NetworkMode};

use super::PORT;

/// What was asked of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    Inspect,
    List,
    Start,
    Stop,
    Pause,
    Unpause,
    Logs,
    Health,
    Usage,
    Events,
    Version,
}

/// How an order is to go wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Conflict,
    Refused {
        status: u16,
        message: String,
    },
    /// Never answers.
    Hangs,
}

impl Fault {
    pub(crate) fn refused(message: &str) -> Self {
        Self::Refused { status: 500, message: message.to_owned() }
    }
}

/// One container: what `inspect` says of it, and how it behaves. Change it with
/// [`FakeEngine::edit`].
#[derive(Debug, Clone)]
pub(crate) struct FakeContainer {
    pub(crate) view: Container,
    pub(crate) created: Timestamp,
    /// Those that the container itself has.
    pub(crate) labels: BTreeMap<String, String>,
    /// Those of its image.
    pub(crate) image_labels: BTreeMap<String, String>,
    pub(crate) start_delay: Duration,
    /// How long it takes to end when it is told to.
    pub(crate) stop_delay: Duration,
    /// Takes no notice of SIGTERM: ends only by SIGKILL, when the grace is over.
    pub(crate) ignores_term: bool,
    /// Ends by itself this long after each start.
    pub(crate) exits: Option<(Duration, i64)>,
    /// From this long after its start, its health command passes. `None`: never.
    pub(crate) passes_after: Option<Duration>,
    /// Gets this address at every start, instead of a new one.
    pub(crate) address: Option<IpAddr>,
    pub(crate) logs: Vec<String>,
    /// When the last of them were written, in nanoseconds; the others are older than anything.
    pub(super) printed: Vec<u64>,
    pub(crate) usage: UsageSample,
    /// Goes wrong at each of these calls, until edited.
    pub(crate) faults: BTreeMap<Call, Fault>,
    /// When it was started last.
    pub(super) started: Option<Moment>,
    /// Number of its start, so that an old end does not end a new run.
    pub(super) run: u64,
}

impl FakeContainer {
    pub(super) fn new(name: &str, id: ContainerId) -> Self {
        Self {
            view: Container {
                id,
                name: name.to_owned(),
                state: ContainerState::Created,
                health: None,
                health_command: None,
                started_at: None,
                exit_code: None,
                network_mode: NetworkMode::Own,
                networks: vec![("bridge".to_owned(), None)],
                published: Vec::new(),
                exposed: vec![PORT],
            },
            created: Timestamp::default(),
            labels: BTreeMap::new(),
            image_labels: BTreeMap::new(),
            start_delay: Duration::ZERO,
            stop_delay: Duration::ZERO,
            ignores_term: false,
            exits: None,
            passes_after: Some(Duration::ZERO),
            address: None,
            logs: Vec::new(),
            printed: Vec::new(),
            usage: UsageSample { online_cpus: 1, ..UsageSample::default() },
            faults: BTreeMap::new(),
            started: None,
            run: 0,
        }
    }

    /// Gives it labels.
    pub(crate) fn label(&mut self, labels: &[(&str, &str)]) {
        let owned = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
        self.labels.extend(owned);
    }

    /// What a list says of it.
    pub(super) fn listed(&self) -> Listed {
        let same = |(label, value): &(&String, &String)| self.image_labels.get(*label) == Some(*value);
        let mut all = self.image_labels.clone();
        all.extend(self.labels.clone());
        let (of_image, own): (Vec<_>, Vec<_>) = all.iter().partition(same);
        let kept = |pairs: Vec<(&String, &String)>| {
            let relevant = pairs.into_iter().filter(|(label, _)| is_relevant(label));
            relevant.map(|(label, value)| (label.clone(), value.clone())).collect()
        };
        Listed {
            id: self.view.id.clone(),
            name: self.view.name.clone(),
            created: self.created,
            state: self.view.state,
            image: "fake".to_owned(),
            labels: kept(own),
            image_labels: kept(of_image),
            ports: Vec::new(),
        }
    }

    /// Gives it a health check whose command passes this long after each start (`None`: never).
    pub(crate) fn health_check(&mut self, passes_after: Option<Duration>) {
        self.passes_after = passes_after;
        self.view.health_command =
            Some(HealthCommand { argv: vec!["/check".to_owned()], timeout: Duration::from_secs(30) });
    }
}

/// A call as it was made: what, of which container (name or id as given), when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) call: Call,
    pub(crate) target: String,
    pub(crate) at: Moment,
}
