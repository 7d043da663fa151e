//! All services, and one of them.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use utoipa::IntoParams;
use utoipa::openapi::schema::Object;

use crate::admin::AdminState;
use crate::admin::api::page::{Page, Paging};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::wire::{Service, ServiceDetail};
use crate::admin::api::services::{Known, edit};
use crate::admin::api::wire::one_of;
use crate::domain::name::ServiceName;
use crate::domain::words::Phase;
use crate::supervisor::handle::ServiceHandle;

fn phases() -> Object {
    one_of(Phase::ALL.iter().map(|phase| phase.as_str()))
}

/// Which services.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those in this phase.
    #[param(schema_with = phases, required = false)]
    phase: Option<Phase>,
    /// Only those under this heading.
    #[param(value_type = String, required = false, max_length = 64)]
    group: Option<String>,
    /// Only those with this text in their name, a host or the container's name, in any case.
    #[param(value_type = String, required = false, max_length = 100)]
    text: Option<String>,
    #[param(ignore)]
    paging: Paging,
}

impl FromQuery for Filter {
    const KNOWN: &'static [&'static str] = &["limit", "cursor", "phase", "group", "text"];

    fn read(given: &mut Given) -> Self {
        let words: Vec<String> = Phase::ALL.iter().map(|phase| format!("`{phase}`")).collect();
        Self {
            phase: given.parsed("phase", Phase::parse, format!("write one of {}", words.join(", "))),
            group: given.text("group", 64),
            text: given.text("text", 100).map(|text| text.to_lowercase()),
            paging: Paging::read(given),
        }
    }
}

impl Filter {
    fn takes(&self, name: &ServiceName, known: &Known) -> bool {
        let spec = known.handle.as_ref().map(|handle| handle.spec());
        let container = known.entry.as_ref().map(|entry| entry.container.to_lowercase());
        let holds = |text: &str| {
            name.as_str().contains(text)
                || container.is_some_and(|container| container.contains(text))
                || spec
                    .as_ref()
                    .is_some_and(|spec| spec.hosts.iter().any(|host| host.to_string().contains(text)))
        };
        let phase = known.handle.as_ref().map(|handle| handle.snapshot().phase);
        let group = spec.as_ref().and_then(|spec| spec.group.as_deref());
        self.phase.is_none_or(|wanted| phase == Some(wanted))
            && self.group.as_deref().is_none_or(|wanted| group == Some(wanted))
            && self.text.as_deref().is_none_or(holds)
    }
}

/// List the services
///
/// In the order of their names, with those that are left out.
#[utoipa::path(
    get, path = "/api/v1/services", tag = "services", operation_id = "listServices",
    params(Filter, Paging),
    responses((status = 200, description = "One page of services", body = Page<Service>)),
)]
pub(super) async fn list_services(
    State(state): State<AdminState>,
    Query(filter): Query<Filter>,
) -> Json<Page<Service>> {
    let catalog = state.catalog.current();
    let handles: BTreeMap<ServiceName, ServiceHandle> =
        state.fleet.services().iter().map(|handle| (handle.name(), handle.clone())).collect();
    let names: BTreeSet<&ServiceName> = catalog.entries.keys().chain(handles.keys()).collect();
    let found = names.into_iter().filter_map(|name| {
        let known = Known { entry: catalog.entries.get(name).cloned(), handle: handles.get(name).cloned() };
        filter.takes(name, &known).then_some((name, known))
    });
    let page = filter.paging.cut(found, |(name, _)| name.to_string());
    let shown =
        |(_, known): (_, Known)| Service::new(&state.fleet, known.entry.as_deref(), known.handle.as_ref());
    Json(Page { items: page.items.into_iter().map(shown).collect(), next: page.next })
}

/// Show one service
#[utoipa::path(
    get, path = "/api/v1/services/{name}", tag = "services", operation_id = "getService",
    params(("name" = String, Path, description = "The service's name")),
    responses((status = 200, description = "The service", body = ServiceDetail,
        headers(("ETag" = String, description = "The revision of what the API says, where it says something")))),
)]
pub(super) async fn get_service(State(state): State<AdminState>, known: Known, _none: Query<()>) -> Response {
    edit::shown(&state, &known)
}
