//! Changes by API and dashboard: checked by the table that the file is checked by, written down
//! first, and applied when that would survive a power cut.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::clock;
use crate::config::Problem;
use crate::config::sources::{Layer, read_api};
use crate::domain::host::HostPattern;
use crate::domain::name::ServiceName;
use crate::domain::words::Origin;
use crate::store::{ChangeError, CommitError, Interrupted};
use crate::supervisor::catalog::handle::{CatalogHandle, Inner};
use crate::supervisor::catalog::state::State;
use crate::supervisor::catalog::{
    ApiLayer, By, Catalog, Changed, Entry, Expect, FieldProblem, PutError, records,
};

impl CatalogHandle {
    /// Says all that the API has to say about a service. When this returns, it is written down, and
    /// fleet and routes have it.
    ///
    /// `keys` are nested as in the file. Whoever calls this has made sure that `by` may do so; only
    /// admins may change `owners` and `container`.
    ///
    /// # Errors
    /// [`PutError`]; nothing is changed then.
    pub async fn put(
        &self,
        name: ServiceName,
        keys: Json,
        expect: Expect,
        by: impl Into<By>,
    ) -> Result<Arc<Entry>, PutError> {
        let (inner, by) = (Arc::clone(&self.0), by.into());
        // A client that goes away must not leave a change written down and not applied.
        complete(async move { inner.put(&name, &keys, expect, by).await }).await
    }

    /// Takes back all that the API said about a service. What file or labels say stays.
    ///
    /// # Errors
    /// [`PutError`]; nothing is changed then.
    pub async fn remove(
        &self,
        name: &ServiceName,
        expect: Expect,
        by: impl Into<By>,
    ) -> Result<(), PutError> {
        let (inner, name, by) = (Arc::clone(&self.0), name.clone(), by.into());
        complete(async move { inner.remove(&name, expect, by).await }).await
    }

    /// What [`CatalogHandle::put`] would have against these keys; nothing where it would take them.
    #[must_use]
    pub fn check(&self, name: &ServiceName, keys: &Json) -> Vec<FieldProblem> {
        match self.0.examine(name, keys) {
            Ok(_) => Vec::new(),
            Err(PutError::Invalid(problems)) => problems,
            Err(PutError::HostTaken { host, by }) => vec![FieldProblem {
                pointer: "/hosts".to_owned(),
                key: "hosts".to_owned(),
                reason: format!("asks for `{host}`, which belongs to {by}"),
                value: Some(host),
                mend: "give it another host".to_owned(),
            }],
            Err(PutError::HeldByFile { keys }) => keys.iter().map(|key| held_by_file(key)).collect(),
            Err(PutError::Changed | PutError::Absent | PutError::Exists | PutError::Store(_)) => Vec::new(),
        }
    }
}

async fn complete<T: Send + 'static>(
    work: impl Future<Output = Result<T, PutError>> + Send + 'static,
) -> Result<T, PutError> {
    tokio::spawn(work).await.unwrap_or(Err(PutError::Store(CommitError::Closed)))
}

impl Inner {
    async fn put(
        &self,
        name: &ServiceName,
        keys: &Json,
        expect: Expect,
        by: By,
    ) -> Result<Arc<Entry>, PutError> {
        let _alone = self.changing.lock().await;
        let before = self.said(name)?;
        expected(expect, before.as_deref())?;
        let keys = self.examine(name, keys)?;
        let (now, who) = (clock::wall(), by.name.clone());
        let layer = ApiLayer {
            keys,
            // Given when it is written.
            revision: 0,
            made_by: before.as_ref().map_or_else(|| who.clone(), |before| before.made_by.clone()),
            made_at: before.as_ref().map_or(now, |before| before.made_at),
            changed_by: who,
            changed_at: now,
            problems: Vec::new(),
        };
        let written = self.write(name, before.as_deref(), Some(layer), by).await?;
        let layer = written.ok_or(PutError::Absent)?;
        tracing::info!(service = %name, by = %layer.changed_by, revision = layer.revision, "changed by API");
        self.change(|state| {
            state.api.insert(name.clone(), Arc::new(layer));
            true
        });
        self.current().entries.get(name).cloned().ok_or(PutError::Absent)
    }

    async fn remove(&self, name: &ServiceName, expect: Expect, by: By) -> Result<(), PutError> {
        let _alone = self.changing.lock().await;
        let Some(before) = self.said(name)? else { return Err(PutError::Absent) };
        expected(expect, Some(&before))?;
        let who = by.name.clone();
        self.write(name, Some(&before), None, by).await?;
        tracing::info!(service = %name, by = who, "what the API said about it was taken back");
        self.change(|state| state.api.remove(name).is_some());
        Ok(())
    }

    /// What the API has said about a service so far.
    fn said(&self, name: &ServiceName) -> Result<Option<Arc<ApiLayer>>, PutError> {
        let state = self.state();
        match &state.unread {
            Some(reason) => Err(CommitError::Unavailable { reason: reason.as_str().into() }.into()),
            None => Ok(state.api.get(name).cloned()),
        }
    }

    /// Writes what the API says from now on, under a revision that nothing had before, and lets the
    /// witness write beside it.
    async fn write(
        &self,
        name: &ServiceName,
        before: Option<&ApiLayer>,
        after: Option<ApiLayer>,
        by: By,
    ) -> Result<Option<ApiLayer>, PutError> {
        let (key, revision) = (name.to_string(), before.map(|before| before.revision));
        let changed = Changed {
            service: name.clone(),
            before: before.map(|before| before.keys.nested()),
            after: after.as_ref().map(|after| after.keys.nested()),
        };
        let change = self.parts.store.change(move |tables| {
            // A store that could not be read at the start may hold more than is known here.
            if tables.get(&records::API, &key)?.as_ref().map(records::revision) != revision {
                return Err(Interrupted::Refused(()));
            }
            // A number is spent on what is taken back, too: the next of this name is beyond it.
            let next = tables.number(&records::API, revision.unwrap_or(0))?;
            let after = after.map(|after| ApiLayer { revision: next, ..after });
            match &after {
                Some(layer) => tables.put(&records::API, &key, &records::of_api(layer))?,
                None => drop(tables.remove(&records::API, &key)?),
            }
            if let Some(witness) = by.witness {
                witness(tables, changed)?;
            }
            Ok(after)
        });
        change.await.map_err(|error| match error {
            ChangeError::Refused(()) => PutError::Changed,
            ChangeError::Commit(error) => PutError::Store(error),
        })
    }

    /// Reads what was sent, and holds it against everything else that is said.
    fn examine(&self, name: &ServiceName, keys: &Json) -> Result<Layer, PutError> {
        let (layer, problems) = read_api(name, keys);
        if !problems.is_empty() {
            return Err(PutError::Invalid(problems.into_iter().map(field).collect()));
        }
        let state = self.state();
        let of_file = state.of_file(name);
        let held: Vec<_> =
            layer.iter().map(|(key, _)| key).filter(|key| of_file.contains(key)).map(str::to_owned).collect();
        if !held.is_empty() {
            return Err(PutError::HeldByFile { keys: held });
        }
        fits(&state, &self.current(), name, &layer)?;
        Ok(layer)
    }
}

fn expected(expect: Expect, before: Option<&ApiLayer>) -> Result<(), PutError> {
    match (expect, before) {
        (Expect::Absent, Some(_)) => Err(PutError::Exists),
        (Expect::Revision(_), None) => Err(PutError::Absent),
        (Expect::Revision(wanted), Some(before)) if wanted != before.revision => Err(PutError::Changed),
        _ => Ok(()),
    }
}

/// Tries it out: whoever says it must hear now what would be told about it later.
fn fits(state: &State, current: &Catalog, name: &ServiceName, layer: &Layer) -> Result<(), PutError> {
    let (made_at, revision) =
        state.api.get(name).map_or((clock::wall(), 0), |before| (before.made_at, before.revision));
    let candidate = ApiLayer {
        keys: layer.clone(),
        revision,
        made_by: String::new(),
        made_at,
        changed_by: String::new(),
        changed_at: made_at,
        problems: Vec::new(),
    };
    let assembled = state.assemble(Some((name, &candidate)));
    let Some(assembly) = assembled.services.get(name) else { return Ok(()) };
    // Whoever has a host now keeps it, also where a label says so: the API would go before it.
    let asked = asked(layer);
    for host in asked.iter().chain(assembly.spec.iter().flat_map(|spec| &spec.hosts)) {
        if let HostPattern::Exact(host) = host
            && state.own_hosts().contains(host)
        {
            return Err(PutError::HostTaken { host: host.to_string(), by: "WakeDock itself".to_owned() });
        }
        let path = assembly.spec.as_ref().and_then(|spec| spec.path.as_deref());
        let path = path.or_else(|| layer.get("path").and_then(Json::as_str));
        let stays = |other: &ServiceName| assembled.services.contains_key(other);
        if let Some(owner) = owner(current, name, host, path, stays) {
            return Err(PutError::HostTaken { host: host.to_string(), by: format!("the service `{owner}`") });
        }
    }
    let own = assembly.problems.iter().filter(|problem| problem.origin == Origin::Api);
    let problems: Vec<_> = own
        .map(|problem| FieldProblem {
            pointer: pointer(&problem.key),
            key: problem.key.clone(),
            value: problem.value.clone(),
            reason: problem.reason.clone(),
            mend: problem.mend.clone(),
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(PutError::Invalid(problems)) }
}

fn asked(layer: &Layer) -> Vec<HostPattern> {
    let hosts = layer.get("hosts").and_then(Json::as_array);
    hosts.into_iter().flatten().filter_map(|host| HostPattern::parse(host.as_str()?).ok()).collect()
}

/// Which other service answers at a host and path now.
fn owner<'a>(
    current: &'a Catalog,
    name: &ServiceName,
    host: &HostPattern,
    path: Option<&str>,
    stays: impl Fn(&ServiceName) -> bool,
) -> Option<&'a ServiceName> {
    // A label's service whose container the API names for another one becomes that one.
    let others = current.entries.values().filter(|entry| entry.name != *name && stays(&entry.name));
    let mut has = others.filter(|entry| {
        entry.spec.as_ref().is_some_and(|spec| spec.path.as_deref() == path && spec.hosts.contains(host))
    });
    has.next().map(|entry| &entry.name)
}

fn field(problem: Problem) -> FieldProblem {
    FieldProblem {
        pointer: pointer(&problem.key),
        key: problem.key,
        value: problem.value,
        reason: problem.reason,
        mend: problem.mend,
    }
}

fn held_by_file(key: &str) -> FieldProblem {
    FieldProblem {
        pointer: pointer(key),
        key: key.to_owned(),
        value: None,
        reason: "is said by the configuration file, which goes before the API".to_owned(),
        mend: "change it there, or take it out here".to_owned(),
    }
}

/// `hosts[1]` is at `/hosts/1` (RFC 6901).
fn pointer(key: &str) -> String {
    let mut pointer = String::new();
    for level in key.split(['.', '[']).filter(|level| !level.is_empty()) {
        pointer.push('/');
        pointer.push_str(&level.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_pointers() {
        assert_eq!(pointer("idle.stop_after"), "/idle/stop_after");
        assert_eq!(pointer("hosts[1]"), "/hosts/1");
        assert_eq!(pointer("a/b~c"), "/a~1b~0c");
        assert_eq!(pointer(""), "");
    }
}
