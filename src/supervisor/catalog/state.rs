//! What all sources say, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::sources::{ApiSource, Assembled, Assembly, Input, assemble};
use crate::config::{FileSources, Loaded};
use crate::domain::host::Hostname;
use crate::domain::name::ServiceName;
use crate::supervisor::catalog::{ApiLayer, Catalog, Entry};

/// What the sources say.
#[derive(Debug, Default)]
pub(super) struct State {
    domain: Option<String>,
    own_host: Option<Hostname>,
    file: FileSources,
    pub(super) api: BTreeMap<ServiceName, Arc<ApiLayer>>,
    /// Whether the publisher is told the sites.
    pub(super) publishes: bool,
}

impl State {
    pub(super) fn configure(&mut self, loaded: &Loaded) {
        self.domain.clone_from(&loaded.config.domain);
        self.own_host.clone_from(&loaded.config.admin.host);
        self.file.clone_from(&loaded.sources);
    }

    /// The keys that the file says about a service.
    pub(super) fn of_file(&self, name: &ServiceName) -> Vec<&'static str> {
        let said = self.file.services.iter().filter(|(own, _)| own == name);
        said.flat_map(|(_, layer)| layer.iter().map(|(key, _)| key)).collect()
    }

    pub(super) fn own_host(&self) -> Option<&Hostname> {
        self.own_host.as_ref()
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
            own_host: self.own_host(),
            wildcard_labels: false,
            file: &self.file,
            api: &api,
            contenders: &[],
        })
    }

    /// The catalog of now. What did not change is shared with the one before.
    pub(super) fn catalog(&self, before: &Catalog) -> Catalog {
        let assembled = self.assemble(None);
        let entries = assembled.services.into_iter().map(|(name, assembly)| {
            let before = before.entries.get(&name);
            let entry = self.entry(name.clone(), assembly, before);
            (name, before.filter(|before| ***before == entry).cloned().unwrap_or_else(|| Arc::new(entry)))
        });
        Catalog { entries: entries.collect(), problems: assembled.problems }
    }

    fn entry(&self, name: ServiceName, assembly: Assembly, before: Option<&Arc<Entry>>) -> Entry {
        let old = before.and_then(|before| before.spec.clone());
        let shared = |spec| match old {
            Some(old) if *old == spec => old,
            _ => Arc::new(spec),
        };
        Entry {
            spec: assembly.spec.map(shared),
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
