//! The layers of one service, key by key: the higher one holds.

use crate::config::problem::Fault;
use crate::config::service::{Draft, SERVICE};
use crate::config::sources::layer::from_json;
use crate::config::sources::{Layer, SourceProblem, names};
use crate::domain::words::Origin;

/// The layers of one service put together.
pub(super) struct Merged {
    pub(super) draft: Draft,
    /// Where the values come from that are not defaults.
    pub(super) origins: Vec<(&'static str, Origin)>,
    /// Values that do not fit the others, and were left out.
    pub(super) problems: Vec<SourceProblem>,
}

impl Merged {
    pub(super) fn origin(&self, key: &str) -> Origin {
        let found = self.origins.iter().find(|(said, _)| *said == key);
        found.map_or(Origin::Default, |(_, origin)| *origin)
    }
}

/// What holds of `defaults` and these layers, the lowest first. A value that does not fit those of
/// a higher layer is left out, with a problem.
pub(super) fn merge(defaults: &Layer, layers: &[(Origin, &Layer)]) -> Merged {
    let mut left_out: Vec<(Origin, &'static str)> = Vec::new();
    let mut problems = Vec::new();
    loop {
        let mut merged = Merged { draft: Draft::new(), origins: Vec::new(), problems: Vec::new() };
        let all = std::iter::once((Origin::Shared, defaults)).chain(layers.iter().copied());
        for (origin, layer) in all {
            merged.add(origin, layer, &left_out, &mut problems);
        }
        let Some((origin, key, fault)) = merged.misfit() else {
            merged.problems = problems;
            return merged;
        };
        // Each round leaves out one value more, so that there is a last one.
        left_out.push((origin, key));
        let value = layers.iter().find(|(own, _)| *own == origin).and_then(|(_, layer)| layer.get(key));
        problems.push(problem(origin, key, value, fault));
    }
}

/// A problem of a value that was read, and cannot be used all the same.
pub(super) fn problem(
    origin: Origin,
    key: &'static str,
    value: Option<&serde_json::Value>,
    fault: Fault,
) -> SourceProblem {
    let key = if origin == Origin::Label { names::label(key) } else { key.to_owned() };
    let value =
        value.map(|value| crate::config::report::shorten(&crate::config::yaml::show(&from_json(value))));
    SourceProblem { key, value, reason: fault.reason, mend: fault.mend, origin, container: None }
}

impl Merged {
    fn add(
        &mut self,
        origin: Origin,
        layer: &Layer,
        left_out: &[(Origin, &'static str)],
        problems: &mut Vec<SourceProblem>,
    ) {
        let said = layer.iter().filter(|(key, _)| !left_out.contains(&(origin, *key)));
        if said.clone().any(|(key, _)| key.starts_with("readiness.")) {
            // One way of being ready replaces another as a whole.
            self.draft.forget_readiness();
            self.origins.retain(|(key, _)| !key.starts_with("readiness."));
        }
        for (path, value) in said {
            let Some(key) = SERVICE.key(path) else { continue };
            match (key.read)(&mut self.draft, &from_json(value)) {
                Ok(()) => {
                    self.origins.retain(|(said, _)| *said != path);
                    self.origins.push((key.path, origin));
                }
                // It was read before, perhaps by an older WakeDock.
                Err(faults) => {
                    for fault in faults.0 {
                        let problem = problem(origin, key.path, Some(value), fault);
                        if !problems.contains(&problem) {
                            problems.push(problem);
                        }
                    }
                }
            }
        }
    }

    /// The value of label or API that does not fit the others, the lowest first. What file and
    /// defaults say has been held against each other when they were read.
    fn misfit(&self) -> Option<(Origin, &'static str, Fault)> {
        self.draft.misfits().into_iter().find_map(|(keys, fault)| {
            let mut said: Vec<_> = keys.iter().map(|key| (self.origin(key), *key)).collect();
            said.retain(|(origin, _)| matches!(origin, Origin::Label | Origin::Api));
            said.sort_by_key(|(origin, _)| *origin);
            said.into_iter().next().map(|(origin, key)| (origin, key, fault))
        })
    }
}
