//! What all sources say, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::sources::{ApiSource, Assembled, Assembly, Input, assemble};
use crate::config::{FileSources, Loaded};
use crate::domain::host::Hostname;
use crate::domain::name::ServiceName;
use crate::domain::service::ServiceSpec;
use crate::supervisor::catalog::contenders::{Contenders, Rules};
use crate::supervisor::catalog::recall::wakeful;
use crate::supervisor::catalog::{ApiLayer, Catalog, Entry};

/// What the sources say.
#[derive(Debug)]
pub(super) struct State {
    domain: Option<String>,
    own_hosts: Vec<Hostname>,
    wildcard_labels: bool,
    /// Whether labels count at all.
    pub(super) labels: bool,
    pub(super) rules: Rules,
    file: FileSources,
    pub(super) api: BTreeMap<ServiceName, Arc<ApiLayer>>,
    pub(super) contenders: Contenders,
    /// What is written down of the contenders, by their containers.
    pub(super) written: BTreeMap<String, u64>,
    /// The engine refused to list its containers, and that was told.
    pub(super) is_refused: bool,
    /// There is a configuration. Before that nothing is taken up.
    pub(super) is_configured: bool,
    /// Whether the publisher is told the sites.
    pub(super) publishes: bool,
    /// Why what was written down was not read yet.
    pub(super) unread: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            domain: None,
            own_hosts: Vec::new(),
            wildcard_labels: false,
            labels: false,
            rules: Rules { image_labels: false, keep_removed: Duration::ZERO },
            file: FileSources::default(),
            api: BTreeMap::new(),
            contenders: Contenders::default(),
            written: BTreeMap::new(),
            is_refused: false,
            is_configured: false,
            publishes: false,
            unread: None,
        }
    }
}

impl State {
    pub(super) fn configure(&mut self, loaded: &Loaded) {
        let config = &loaded.config;
        self.domain.clone_from(&config.domain);
        self.own_hosts = config.admin.own_hosts();
        self.wildcard_labels = config.docker.wildcard_labels;
        self.labels = config.docker.labels;
        self.rules =
            Rules { image_labels: config.docker.image_labels, keep_removed: config.docker.keep_removed };
        self.file.clone_from(&loaded.sources);
        if !self.labels {
            self.contenders = Contenders::default();
        }
        self.is_configured = true;
    }

    /// The keys that the file says about a service.
    pub(super) fn of_file(&self, name: &ServiceName) -> Vec<&'static str> {
        let said = self.file.services.iter().filter(|(own, _)| own == name);
        said.flat_map(|(_, layer)| layer.iter().map(|(key, _)| key)).collect()
    }

    pub(super) fn own_hosts(&self) -> &[Hostname] {
        &self.own_hosts
    }

    /// All services, with one of the API's layers as it would be.
    pub(super) fn assemble(&self, instead: Option<(&ServiceName, &ApiLayer)>) -> Assembled {
        let others = self.api.iter().filter(|(name, _)| instead.is_none_or(|(own, _)| *name != own));
        let api: Vec<_> = others
            .map(|(name, layer)| (name, &**layer))
            .chain(instead)
            .map(|(name, layer)| ApiSource {
                name,
                layer: &layer.keys,
                made_at: layer.made_at,
                problems: &layer.problems,
            })
            .collect();
        assemble(&Input {
            domain: self.domain.as_deref(),
            own_hosts: self.own_hosts(),
            wildcard_labels: self.wildcard_labels,
            file: &self.file,
            api: &api,
            contenders: &self.contenders.list(),
        })
    }

    /// The catalog of now, and whether the contenders have become something else. What did not
    /// change is shared with the catalog before.
    pub(super) fn catalog(&mut self, before: &Catalog) -> (Catalog, bool) {
        let assembled = self.assemble(None);
        let is_news = self.contenders.remember(&assembled);
        let mut problems = self.contenders.problems.clone();
        problems.extend(assembled.problems);
        problems.extend(self.unread_problem());
        let entries = assembled.services.into_iter().map(|(name, assembly)| {
            let before = before.entries.get(&name);
            let entry = self.entry(name.clone(), assembly, before);
            (name, before.filter(|before| ***before == entry).cloned().unwrap_or_else(|| Arc::new(entry)))
        });
        (Catalog { entries: entries.collect(), problems }, is_news)
    }

    fn entry(&self, name: ServiceName, assembly: Assembly, before: Option<&Arc<Entry>>) -> Entry {
        let old = before.and_then(|before| before.spec.clone());
        let shared = |spec| match old {
            Some(old) if *old == spec => old,
            _ => Arc::new(spec),
        };
        let spec = assembly.spec.map(|spec| match self.unread {
            Some(_) => ServiceSpec { idle: wakeful(&spec.idle), ..spec },
            None => spec,
        });
        Entry {
            spec: spec.map(shared),
            sources: assembly.sources,
            problems: assembly.problems,
            api: self.api.get(&name).cloned(),
            container: assembly.container,
            removed: assembly.removed,
            origins: assembly.origins,
            name,
        }
    }
}
