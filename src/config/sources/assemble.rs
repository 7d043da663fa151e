//! From what every source says to services.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use crate::config::kind::below;
use crate::config::problem::Fault;
use crate::config::sources::claims;
use crate::config::sources::labels::LabelSource;
use crate::config::sources::merge::{Merged, merge, problem};
use crate::config::sources::{FileSources, Layer, SourceProblem};
use crate::domain::host::{HostPattern, Hostname};
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::service::ServiceSpec;
use crate::domain::time::Timestamp;
use crate::domain::words::Origin;

/// Everything that is said. The order of `api` and `contenders` means nothing.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Services without hosts answer below it.
    pub domain: Option<&'a str>,
    /// WakeDock's own hosts, which are no service's.
    pub own_hosts: &'a [Hostname],
    /// Whether a label may give a wildcard.
    pub wildcard_labels: bool,
    pub file: &'a FileSources,
    pub api: &'a [ApiSource<'a>],
    pub contenders: &'a [Contender<'a>],
}

/// What the API says about one service; names are told once.
#[derive(Debug, Clone, Copy)]
pub struct ApiSource<'a> {
    pub name: &'a ServiceName,
    pub layer: &'a Layer,
    pub made_at: Timestamp,
    pub problems: &'a [SourceProblem],
}

/// A container that asks for WakeDock by its labels, or did when it was seen last.
#[derive(Debug, Clone, Copy)]
pub struct Contender<'a> {
    pub container: &'a str,
    pub created: Timestamp,
    pub source: &'a LabelSource,
    /// The service it was until now.
    pub was: Option<&'a ServiceName>,
    /// What that service answered at until now: hosts with their paths.
    pub holds: &'a [String],
    /// The container is away.
    pub removed: bool,
    /// Compose made it in the place of one that is away.
    pub is_again: bool,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assembled {
    pub services: BTreeMap<ServiceName, Assembly>,
    /// Of containers that make no service.
    pub problems: Vec<SourceProblem>,
}

/// One service, put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// `None`: it is left out, and its problems say why.
    pub spec: Option<ServiceSpec>,
    pub sources: Vec<Origin>,
    /// Where the values come from that are not defaults.
    pub origins: Vec<(&'static str, Origin)>,
    pub problems: Vec<SourceProblem>,
    /// The name of its container.
    pub container: String,
    /// The container whose labels speak about it.
    pub labelled: Option<String>,
    /// That container is away.
    pub removed: bool,
    /// What it answers at because a label says so: hosts with their paths.
    pub holds: Vec<String>,
}

/// What speaks about one service.
#[derive(Default)]
struct Speaker<'a> {
    file: Option<&'a Layer>,
    api: Option<(&'a Layer, Timestamp)>,
    label: Option<&'a Contender<'a>>,
    problems: Vec<SourceProblem>,
    /// Another service has its container.
    is_doubled: bool,
}

impl Speaker<'_> {
    /// The container that file or API say.
    fn container(&self) -> Option<&str> {
        container_of(self.file).or_else(|| container_of(self.api.map(|(layer, _)| layer)))
    }
}

fn container_of(layer: Option<&Layer>) -> Option<&str> {
    layer?.get("container")?.as_str()
}

/// A service whose hosts are not granted yet.
pub(super) struct Part<'a> {
    pub(super) name: ServiceName,
    pub(super) merged: Merged,
    sources: Vec<Origin>,
    container: Option<ContainerName>,
    label: Option<&'a Contender<'a>>,
    /// What it asks for, then what it was given.
    pub(super) hosts: Vec<HostPattern>,
    /// Who speaks for the hosts.
    pub(super) speaks: Origin,
    /// Since when: between two of the same origin the older one goes first.
    pub(super) since: Timestamp,
    pub(super) holds: &'a [String],
    pub(super) problems: Vec<SourceProblem>,
    pub(super) is_out: bool,
}

/// Puts everything together. Never fails: what cannot be used is left out and told.
#[must_use]
pub fn assemble(input: &Input<'_>) -> Assembled {
    let mut speakers = Speakers::new(input);
    speakers.add_contenders(input);
    let Speakers { by_name, problems, .. } = speakers;
    let mut parts: Vec<Part<'_>> =
        by_name.into_iter().map(|(name, speaker)| part(name, speaker, input)).collect();
    claims::grant(&mut parts, input.own_hosts);
    let services = parts.into_iter().map(|part| (part.name.clone(), finish(part))).collect();
    Assembled { services, problems }
}

struct Speakers<'a> {
    by_name: BTreeMap<ServiceName, Speaker<'a>>,
    /// Who has a container because file or API say so.
    by_container: HashMap<&'a str, ServiceName>,
    problems: Vec<SourceProblem>,
}

impl<'a> Speakers<'a> {
    /// Those of file and API.
    fn new(input: &Input<'a>) -> Self {
        let mut this = Self { by_name: BTreeMap::new(), by_container: HashMap::new(), problems: Vec::new() };
        for (name, layer) in &input.file.services {
            this.by_name.entry(name.clone()).or_default().file = Some(layer);
            if let Some(container) = container_of(Some(layer)) {
                this.by_container.entry(container).or_insert_with(|| name.clone());
            }
        }
        let mut api: Vec<_> = input.api.iter().collect();
        api.sort_by_key(|source| (source.made_at, source.name));
        for source in api {
            let speaker = this.by_name.entry(source.name.clone()).or_default();
            speaker.api = Some((source.layer, source.made_at));
            speaker.problems.extend_from_slice(source.problems);
            let Some(container) = source.layer.get("container").filter(|_| speaker.file.is_none()) else {
                continue;
            };
            let Some(name) = container.as_str() else { continue };
            let first = this.by_container.entry(name).or_insert_with(|| source.name.clone());
            if first != source.name {
                let reason = format!("is `{name}`, the container of `{first}` already");
                let fault = Fault::new(reason, "name another container, or edit that service");
                speaker.problems.push(problem(Origin::Api, "container", Some(container), fault));
                speaker.is_doubled = true;
            }
        }
        this
    }

    fn add_contenders(&mut self, input: &Input<'a>) {
        let mut contenders: Vec<_> = input.contenders.iter().collect();
        contenders.sort_by_key(|contender| rank(contender));
        for contender in contenders {
            if let Err(fault) = self.add(contender)
                && !contender.removed
                && !is_passing(contender.container)
            {
                let key = "wakedock.name".to_owned();
                let value = contender.source.name.as_ref().map(ToString::to_string);
                let (reason, mend) = (fault.reason, fault.mend);
                let container = Some(contender.container.to_owned());
                let own = SourceProblem { key, value, reason, mend, origin: Origin::Label, container };
                let others = contender.source.problems.iter().cloned();
                let of_container = |problem| SourceProblem { container: own.container.clone(), ..problem };
                let others: Vec<_> = others.map(of_container).collect();
                // Where the name itself cannot be read, that has been told.
                if contender.source.name.is_some() {
                    self.problems.push(own);
                }
                self.problems.extend(others);
            }
        }
    }

    /// Finds the service that a container belongs to.
    fn add(&mut self, contender: &'a Contender<'a>) -> Result<(), Fault> {
        let wanted = contender.source.name.as_ref();
        if let Some(owner) = self.by_container.get(contender.container) {
            let elsewhere = wanted.filter(|name| contender.source.is_named && *name != owner);
            let owner = owner.clone();
            // Who was called so before the API named its container for another.
            let of_file = self.by_name.get(&owner).is_some_and(|speaker| speaker.file.is_some());
            let goes_elsewhere = elsewhere.filter(|name| {
                let named = self.by_name.get(*name);
                !of_file
                    && named.is_some_and(|speaker| speaker.container().is_none() && speaker.label.is_none())
            });
            if let Some(name) = goes_elsewhere {
                // One container has one service: each would stop it under the other.
                let reason = format!("is `{}`, the container of `{name}` already", contender.container);
                let fault = Fault::new(reason, "name another container, or edit that service");
                let doubled = self.by_name.entry(owner).or_default();
                let said = Json::from(contender.container);
                doubled.problems.push(problem(Origin::Api, "container", Some(&said), fault));
                doubled.is_doubled = true;
            } else {
                let speaker = self.by_name.entry(owner.clone()).or_default();
                if elsewhere.is_some() {
                    let reason = format!("has no effect: this container is that of `{owner}`");
                    let fault = Fault::new(reason, format!("write `{owner}`, or take it out"));
                    speaker.problems.push(problem(Origin::Label, "name", None, fault));
                }
                speaker.label.get_or_insert(contender);
                return Ok(());
            }
        }
        let Some(name) = wanted else { return Err(Fault::new("cannot be used", "mend it")) };
        let speaker = self.by_name.entry(name.clone()).or_default();
        if let Some(other) = speaker.container() {
            let reason = format!("is that of a service whose container is `{other}`");
            return Err(Fault::new(reason, "give this container another `wakedock.name`"));
        }
        if let Some(first) = speaker.label {
            let reason = format!("is the name of the service of container `{}` already", first.container);
            return Err(Fault::new(reason, "give one of the two another `wakedock.name`"));
        }
        speaker.label = Some(contender);
        Ok(())
    }
}

/// Who goes first where two containers want one name: who had it before who did not, who is there
/// before who is away, the older before the younger. One that is away keeps its name from strangers,
/// and not from compose, which makes the same service anew under another name.
fn rank<'a>(contender: &Contender<'a>) -> (u8, bool, bool, Timestamp, &'a str) {
    let is_new = contender.source.name.is_none() || contender.source.name.as_ref() != contender.was;
    let class = if is_passing(contender.container) { 1 } else { 0 };
    (class, is_new && !contender.is_again, contender.removed, contender.created, contender.container)
}

/// Compose gives a container such a name (twelve figures of an id before the name) for the moment
/// in which it replaces it.
#[must_use]
pub fn is_passing(container: &str) -> bool {
    container.split_once('_').is_some_and(|(id, rest)| {
        id.len() == 12
            && !rest.is_empty()
            && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn part<'a>(name: ServiceName, speaker: Speaker<'a>, input: &Input<'_>) -> Part<'a> {
    let label = speaker.label;
    let mut layers = Vec::new();
    if let Some(contender) = label {
        layers.push((Origin::Label, &contender.source.layer));
    }
    layers.extend(speaker.api.map(|(layer, _)| (Origin::Api, layer)));
    layers.extend(speaker.file.map(|layer| (Origin::File, layer)));
    let mut merged = merge(&input.file.defaults, &layers);
    let mut problems = speaker.problems.clone();
    problems.extend(label.into_iter().flat_map(|contender| contender.source.problems.iter().cloned()));
    problems.append(&mut merged.problems);
    let said = speaker.container().map(str::to_owned);
    let container = said.or_else(|| label.map(|contender| contender.container.to_owned()));
    let container = container.and_then(|name| ContainerName::parse(&name).ok());
    let highest = layers.last().map_or(Origin::Default, |(origin, _)| *origin);
    let mut part = Part {
        name,
        sources: layers.iter().rev().map(|(origin, _)| *origin).collect(),
        hosts: Vec::new(),
        speaks: highest,
        since: match (highest, speaker.api, label) {
            (Origin::Api, Some((_, made_at)), _) => made_at,
            (_, _, Some(contender)) => contender.created,
            _ => Timestamp::default(),
        },
        holds: label.map_or(&[], |contender| contender.holds),
        is_out: speaker.is_doubled,
        merged,
        container,
        label,
        problems,
    };
    let api = speaker.api.map(|(layer, _)| layer);
    part.is_out |= speaker.file.is_none() && label.is_some_and(|label| label.source.breaks(api));
    part.ask_for_container();
    part.ask_for_hosts(input);
    part
}

impl Part<'_> {
    fn ask_for_container(&mut self) {
        if self.container.is_none() {
            let mend = "name the container, like `container: nextcloud-app`";
            self.complain("container", Fault::new("is missing", mend));
            self.is_out = true;
        }
    }

    fn ask_for_hosts(&mut self, input: &Input<'_>) {
        if let Some(hosts) = self.merged.draft.hosts.take() {
            self.hosts = hosts;
            let said = self.merged.origin("hosts");
            if said == Origin::Label && self.speaks != Origin::Label {
                // Whoever else speaks about it, its hosts are no better than the label that says them.
                self.since = self.label.map_or(self.since, |label| label.created);
            }
            self.speaks = said;
            if said == Origin::Label && !input.wildcard_labels {
                self.refuse_wildcards();
            }
            return;
        }
        let name = self.name.clone();
        let fault = match input.domain {
            Some(domain) => match below(&name, domain) {
                Ok(host) => return self.hosts.push(host),
                Err(error) => {
                    Fault::new(format!("is missing, and `{name}.{domain}` {error}"), "write its hosts out")
                }
            },
            None => Fault::new(
                "is missing, and there is no `domain` either",
                format!("give it one, like `{name}.example.com`, or set `domain` in the configuration"),
            ),
        };
        self.complain("hosts", fault);
        self.is_out = true;
    }

    fn refuse_wildcards(&mut self) {
        let (wild, exact): (Vec<_>, Vec<_>) =
            self.hosts.drain(..).partition(|host| matches!(host, HostPattern::Wildcard(_)));
        self.hosts = exact;
        for host in &wild {
            let fault = Fault::new(
                format!("asks for `{host}`, and a label may not ask for a wildcard"),
                "write the hosts out, or set `docker.wildcard_labels: true` in the configuration",
            );
            self.complain("hosts", fault);
        }
        self.is_out |= !wild.is_empty() && self.hosts.is_empty() && !self.is_of_file();
    }

    pub(super) fn is_of_file(&self) -> bool {
        self.sources.contains(&Origin::File)
    }

    pub(super) fn complain(&mut self, key: &'static str, fault: Fault) {
        let said = self.merged.origin(key);
        let origin = if said == Origin::Default { self.speaks } else { said };
        self.problems.push(problem(origin, key, None, fault));
    }

    /// A host with the path of this service.
    pub(super) fn route(&self, host: &HostPattern) -> String {
        format!("{host}{}", self.merged.draft.path.as_deref().unwrap_or_default())
    }
}

fn finish(part: Part<'_>) -> Assembly {
    let holds = if part.speaks == Origin::Label && !part.is_out {
        part.hosts.iter().map(|host| part.route(host)).collect()
    } else {
        Vec::new()
    };
    let container = part.container.as_ref().map(ToString::to_string).unwrap_or_default();
    let spec = part.container.filter(|_| !part.is_out);
    Assembly {
        spec: spec.map(|container| part.merged.draft.into_spec(part.name, part.hosts, container)),
        sources: part.sources,
        origins: part.merged.origins,
        problems: part.problems,
        labelled: part.label.map(|label| label.container.to_owned()),
        removed: part.label.is_some_and(|label| label.removed && label.container == container),
        container,
        holds,
    }
}
