//! Problems that come up and go away, as the log and the journal tell of them.

use crate::config::SourceProblem;
use crate::domain::name::ServiceName;
use crate::supervisor::catalog::Catalog;
use crate::supervisor::journal::{Journal, What};

/// So many problems are told at once; all of them are in the catalog.
const MOST_TOLD: usize = 20;

/// A problem, and whose it is. `None`: of a container that makes no service, or of all of them.
type Owned<'a> = (Option<&'a ServiceName>, &'a SourceProblem);

/// What is wrong is told once, when it comes up; and once more, when it is not any more.
pub(super) fn tell_problems(journal: &Journal, before: &Catalog, now: &Catalog) {
    let fresh = only_in(now, before);
    for (service, problem) in fresh.iter().take(MOST_TOLD) {
        let container = match service.and_then(|name| now.entries.get(name)) {
            Some(entry) => &entry.container,
            None => problem.container.as_deref().unwrap_or_default(),
        };
        let name = service.map_or("", |name| name.as_str());
        tracing::warn!(service = name, container, origin = %problem.origin, "{problem}");
        let SourceProblem { key, value, reason, mend, origin, container } = (*problem).clone();
        journal.publish(service.cloned(), What::Problem { key, value, reason, mend, origin, container });
    }
    if let Some(more) = fresh.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        tracing::warn!(more, "problems of services that are not listed here");
    }
    for (service, problem) in only_in(before, now).iter().take(MOST_TOLD) {
        // Of a service that is gone, nothing was mended.
        if service.is_some_and(|name| !now.entries.contains_key(name)) {
            continue;
        }
        let SourceProblem { key, value, origin, container, .. } = (*problem).clone();
        journal.publish(service.cloned(), What::ProblemMended { key, value, origin, container });
    }
}

/// The problems of one catalog that the other does not have.
fn only_in<'a>(one: &'a Catalog, other: &Catalog) -> Vec<Owned<'a>> {
    let mut found = Vec::new();
    for (name, entry) in &one.entries {
        let known = other.entries.get(name).map_or(&[][..], |other| &other.problems);
        let own = entry.problems.iter().filter(|problem| !known.contains(problem));
        found.extend(own.map(|problem| (Some(name), problem)));
    }
    let own = one.problems.iter().filter(|problem| !other.problems.contains(problem));
    found.extend(own.map(|problem| (None, problem)));
    found
}
