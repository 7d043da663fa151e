//! Making, changing and deleting what the dashboard says about a service.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value as Json};

use crate::admin::owners;
use crate::admin::pages::answer;
use crate::admin::pages::form::{self, Known, Sent};
use crate::admin::pages::visit::Visit;
use crate::config::sources;
use crate::domain::name::{ContainerName, ServiceName};
use crate::domain::service::ServiceSpec;
use crate::domain::words::{Origin, Role};
use crate::html::dashboard::service::{Container, Edit, New, edit, new};
use crate::html::dashboard::{Place, encode};
use crate::supervisor::catalog::{Entry, Expect, FieldProblem, PutError};

/// Whether somebody may change what the dashboard says about a service.
pub(super) fn may_edit(visit: &Visit, entry: &Entry) -> bool {
    visit.caller.as_ref().is_some_and(|caller| owners::may_edit(caller, entry))
}

/// Whether somebody may take back all of it.
pub(super) fn may_delete(visit: &Visit, entry: &Entry) -> bool {
    let whole = |caller| owners::too_much(caller, &owners::said(entry), &Map::new()).is_empty();
    may_edit(visit, entry) && entry.api.is_some() && visit.caller.as_ref().is_some_and(whole)
}

fn find(visit: &Visit, name: &str) -> Option<Arc<Entry>> {
    visit
        .state
        .catalog
        .current()
        .entries
        .iter()
        .find(|(own, _)| own.as_str() == name)
        .map(|(_, entry)| Arc::clone(entry))
}

pub(super) async fn page(visit: Visit, Path(name): Path<String>) -> Response {
    let Some(entry) = find(&visit, &name) else { return answer::missing(&visit) };
    if !may_edit(&visit, &entry) {
        return answer::forbidden(&visit);
    }
    show(&visit, StatusCode::OK, &entry, None, &[], false)
}

/// A key that is not the reader's to say here.
fn is_fixed(visit: &Visit, entry: &Entry, key: &str) -> bool {
    entry.origin(key) == Origin::File || (visit.role() < Role::Admin && owners::is_for_admins(key))
}

/// What was said by the dashboard about a key before.
fn said(entry: &Entry, key: &str) -> Option<Json> {
    entry.api.as_ref().and_then(|api| api.keys.get(key)).cloned()
}

/// The form, with what was sent, or what holds.
fn show(
    visit: &Visit,
    status: StatusCode,
    entry: &Entry,
    sent: Option<&Sent>,
    problems: &[FieldProblem],
    changed: bool,
) -> Response {
    let values = entry.values();
    let known = |key: &str| {
        let fixed = is_fixed(visit, entry, key);
        let own = said(entry, key);
        let holds = values.iter().find(|value| value.key == key);
        let held = holds.map(|value| form::shown(&value.value)).unwrap_or_default();
        let origin =
            holds.map(|value| value.origin).filter(|origin| !matches!(origin, Origin::Default | Origin::Api));
        let value = match (sent, fixed) {
            (_, true) => held.clone(),
            (Some(sent), false) => sent.get(key).to_owned(),
            (None, false) => own.as_ref().map(form::shown).unwrap_or_default(),
        };
        // What somebody else wrote meanwhile stands beside what was typed.
        let saved = own.as_ref().map(form::shown).unwrap_or_default();
        let now = (changed && !fixed && saved != value).then_some(saved);
        Known { value, default: held, fixed, origin: origin.map(Origin::as_str), now }
    };
    // In writing: all that anybody says, so that the file can say it alone.
    let written: Vec<(&'static str, Json)> = form::keys()
        .filter_map(|key| {
            let typed = sent
                .filter(|_| !is_fixed(visit, entry, key))
                .and_then(|sent| form::typed(key, sent.get(key)));
            let holds = || values.iter().find(|value| value.key == key && value.origin != Origin::Default);
            let holds = || holds().map(|value| value.value.clone()).filter(|value| !value.is_null());
            Some((key, typed.or_else(holds)?))
        })
        .collect();
    let view = Edit {
        name: entry.name.to_string(),
        from_file: entry.sources.contains(&Origin::File),
        from_label: entry.sources.contains(&Origin::Label),
        editable: true,
        changed,
        revision: revision(entry),
        form: form::form(None, known, problems),
        labels: None,
        yaml: form::yaml(entry.name.as_str(), &form::nested(written.into_iter())),
    };
    answer::page_with(status, edit(&visit.frame(Place::Services), &view))
}

fn revision(entry: &Entry) -> String {
    entry.api.as_ref().map(|api| api.revision.to_string()).unwrap_or_default()
}

pub(super) async fn save(visit: Visit, Path(name): Path<String>, sent: Sent) -> Response {
    let Some(entry) = find(&visit, &name) else { return answer::missing(&visit) };
    if !may_edit(&visit, &entry) {
        return answer::forbidden(&visit);
    }
    let layer = entry.api.as_ref().map(|api| api.keys.iter().map(|(key, value)| (key, value.clone())));
    let mut keys: Vec<(&'static str, Json)> = layer.into_iter().flatten().collect();
    for key in form::keys().filter(|key| !is_fixed(&visit, &entry, key)) {
        keys.retain(|(own, _)| *own != key);
        keys.extend(form::typed(key, sent.get(key)).map(|value| (key, value)));
    }
    let keys = form::nested(keys.into_iter());
    if sent.has("preview") {
        let problems = visit.state.catalog.check(&entry.name, &keys);
        return show(&visit, StatusCode::OK, &entry, Some(&sent), &problems, false);
    }
    let expect = match sent.get("revision").parse() {
        Ok(revision) => Expect::Revision(revision),
        Err(_) => Expect::Absent,
    };
    match visit.state.catalog.put(entry.name.clone(), keys, expect, visit.by()).await {
        Ok(_) => answer::back(&format!("/services/{}", encode(&name)), "saved", &name),
        // What was typed is not lost: it is shown with what holds now, and saved by pressing again.
        Err(PutError::Changed | PutError::Exists) => match find(&visit, &name) {
            Some(entry) => show(&visit, StatusCode::CONFLICT, &entry, Some(&sent), &[], true),
            None => answer::missing(&visit),
        },
        Err(error) => match refused(&visit, error) {
            Ok(problems) => {
                show(&visit, StatusCode::UNPROCESSABLE_ENTITY, &entry, Some(&sent), &problems, false)
            }
            Err(response) => *response,
        },
    }
}

/// What is wrong with which field, or a page of its own.
fn refused(visit: &Visit, error: PutError) -> Result<Vec<FieldProblem>, Box<Response>> {
    let problem = |key: &str, reason: String, mend: &str| FieldProblem {
        pointer: format!("/{key}"),
        key: key.to_owned(),
        value: None,
        reason,
        mend: mend.to_owned(),
    };
    match error {
        PutError::Invalid(problems) => Ok(problems),
        PutError::HostTaken { host, by } => Ok(vec![problem(
            "hosts",
            format!("asks for `{host}`, which belongs to {by}"),
            "give it another host",
        )]),
        PutError::HeldByFile { keys } => Ok(keys
            .iter()
            .map(|key| problem(key, "stands in the configuration file".to_owned(), "change it there"))
            .collect()),
        PutError::Exists => {
            Ok(vec![problem("name", "is that of a service already".to_owned(), "give it another name")])
        }
        PutError::Changed | PutError::Absent => {
            Err(Box::new(answer::error(visit, StatusCode::CONFLICT, "changed", None)))
        }
        PutError::Store(_) => Ok(vec![problem(
            "nothing",
            "is saved, because the state cannot be written".to_owned(),
            "try again when the disk is back",
        )]),
    }
}

pub(super) async fn delete(visit: Visit, Path(name): Path<String>) -> Response {
    let Some(entry) = find(&visit, &name) else { return answer::missing(&visit) };
    let Some(api) = &entry.api else { return answer::missing(&visit) };
    if !may_delete(&visit, &entry) {
        return answer::forbidden(&visit);
    }
    // What somebody else has said since is not what was looked at just now.
    match visit.state.catalog.remove(&entry.name, Expect::Revision(api.revision), visit.by()).await {
        Ok(()) => answer::back("/", "deleted", &name),
        Err(PutError::Absent) => answer::missing(&visit),
        Err(PutError::Changed) => answer::error(&visit, StatusCode::CONFLICT, "changed", None),
        Err(_) => answer::error(&visit, StatusCode::SERVICE_UNAVAILABLE, "broken", None),
    }
}

/// What Docker has; `None`: it does not answer.
async fn containers(visit: &Visit) -> Option<Vec<Container>> {
    let catalog = visit.state.catalog.current();
    let listed = visit.state.catalog.containers().await.ok()?;
    let service = |name: &str| catalog.entries.values().find(|entry| entry.container == name);
    let mut containers: Vec<Container> = listed
        .into_iter()
        .map(|listed| Container {
            service: service(&listed.name).map(|entry| entry.name.to_string()),
            state: format!("{:?}", listed.state).to_lowercase(),
            name: listed.name,
            image: listed.image,
            ports: listed.ports,
        })
        .collect();
    containers.sort_by(|one, other| {
        (one.service.is_some(), &one.name).cmp(&(other.service.is_some(), &other.name))
    });
    Some(containers)
}

/// `/new`: a list to pick from, or the form, filled in for a container or empty.
pub(super) async fn blank(visit: Visit) -> Response {
    let container = visit.asked("container").to_owned();
    if container.is_empty() && visit.asked("blank").is_empty() {
        let view = New { containers: containers(&visit).await, ..New::default() };
        return answer::page(new(&visit.frame(Place::Services), &view));
    }
    // Where it does not exist yet, or Docker is away, what is not known is left to fill in.
    let (ports, has_health) = visit.state.fleet.exposed_ports(&container).await.unwrap_or_default();
    let name = ServiceName::parse(&container.to_lowercase().replace('_', "-")).map(|name| name.to_string());
    let mut sent = vec![("name", name.unwrap_or_default()), ("container", container)];
    // One port needs no choice; of more, the first that is not for administration by shell.
    sent.extend(ports.iter().find(|port| **port != 22).map(|port| ("port", port.to_string())));
    if has_health {
        sent.push(("readiness.type", "docker".to_owned()));
    }
    show_new(&visit, StatusCode::OK, &Sent::of(sent), &[])
}

fn show_new(visit: &Visit, status: StatusCode, sent: &Sent, problems: &[FieldProblem]) -> Response {
    let plain = ServiceName::parse("service").ok().zip(ContainerName::parse("container").ok());
    let defaults = plain
        .map(|(name, container)| sources::values(&ServiceSpec::new(name, container)))
        .unwrap_or_default();
    let known = |key: &str| {
        let default = defaults.iter().find(|(own, _)| *own == key && key != "container");
        let default = default.map(|(_, value)| form::shown(value)).unwrap_or_default();
        Known { value: sent.get(key).to_owned(), default, ..Known::default() }
    };
    let keys = || form::keys().filter_map(|key| Some((key, form::typed(key, sent.get(key))?)));
    let name = sent.get("name").trim();
    let view = New {
        containers: None,
        form: Some(form::form(Some(name), known, problems)),
        labels: form::labels(name, keys()),
        yaml: form::yaml(name, &form::nested(keys())),
    };
    answer::page_with(status, new(&visit.frame(Place::Services), &view))
}

pub(super) async fn make(visit: Visit, sent: Sent) -> Response {
    let keys = form::nested(form::keys().filter_map(|key| Some((key, form::typed(key, sent.get(key))?))));
    let name = match ServiceName::parse(sent.get("name").trim()) {
        Ok(name) => name,
        Err(error) => {
            let problem = FieldProblem {
                pointer: "/name".to_owned(),
                key: "name".to_owned(),
                value: None,
                reason: error.to_string(),
                mend: "write 1 to 63 of a-z, 0-9, `-`, `_` and `.`, with a letter or a figure at both ends"
                    .to_owned(),
            };
            let status = if sent.has("preview") { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            return show_new(&visit, status, &sent, &[problem]);
        }
    };
    if sent.has("preview") {
        let problems = visit.state.catalog.check(&name, &keys);
        return show_new(&visit, StatusCode::OK, &sent, &problems);
    }
    if visit.state.catalog.current().entries.contains_key(&name) {
        let problems = refused(&visit, PutError::Exists).unwrap_or_default();
        return show_new(&visit, StatusCode::UNPROCESSABLE_ENTITY, &sent, &problems);
    }
    match visit.state.catalog.put(name.clone(), keys, Expect::Absent, visit.by()).await {
        Ok(_) => answer::back(&format!("/services/{name}"), "made", name.as_str()),
        Err(error) => match refused(&visit, error) {
            Ok(problems) => show_new(&visit, StatusCode::UNPROCESSABLE_ENTITY, &sent, &problems),
            Err(response) => *response,
        },
    }
}
