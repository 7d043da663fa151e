//! All services, and one of them.

use axum::Json;
use axum::extract::State;
use utoipa::IntoParams;

use crate::admin::AdminState;
use crate::admin::api::page::{Page, Paging};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::Named;
use crate::admin::api::services::wire::Service;
use crate::domain::words::Phase;
use crate::supervisor::handle::ServiceHandle;

/// Which services.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only those in this phase.
    #[param(value_type = String, required = false)]
    phase: Option<Phase>,
    /// Only those with this text in their name, a host or the container's name, in any case.
    #[param(value_type = String, required = false, max_length = 100)]
    text: Option<String>,
    #[param(ignore)]
    paging: Paging,
}

impl FromQuery for Filter {
    const KNOWN: &'static [&'static str] = &["limit", "cursor", "phase", "text"];

    fn read(given: &mut Given) -> Self {
        let words: Vec<String> = Phase::ALL.iter().map(|phase| format!("`{phase}`")).collect();
        Self {
            phase: given.parsed("phase", Phase::parse, format!("write one of {}", words.join(", "))),
            text: given.text("text", 100).map(|text| text.to_lowercase()),
            paging: Paging::read(given),
        }
    }
}

impl Filter {
    fn takes(&self, handle: &ServiceHandle) -> bool {
        let spec = handle.spec();
        let holds = |text: &str| {
            spec.name.as_str().contains(text)
                || spec.container.as_str().to_lowercase().contains(text)
                || spec.hosts.iter().any(|host| host.to_string().contains(text))
        };
        self.phase.is_none_or(|phase| handle.snapshot().phase == phase)
            && self.text.as_deref().is_none_or(holds)
    }
}

/// List the services
///
/// In the order of their names.
#[utoipa::path(
    get, path = "/api/v1/services", tag = "services", operation_id = "listServices",
    params(Filter, Paging),
    responses((status = 200, description = "One page of services", body = Page<Service>)),
)]
pub(super) async fn list_services(
    State(state): State<AdminState>,
    Query(filter): Query<Filter>,
) -> Json<Page<Service>> {
    let handles = state.fleet.services();
    let found = handles.iter().filter(|handle| filter.takes(handle));
    let page = filter.paging.cut(found, |handle| handle.name().to_string());
    Json(Page { items: page.items.into_iter().map(Service::new).collect(), next: page.next })
}

/// Show one service
#[utoipa::path(
    get, path = "/api/v1/services/{name}", tag = "services", operation_id = "getService",
    params(("name" = String, Path, description = "The service's name")),
    responses((status = 200, description = "The service", body = Service)),
)]
pub(super) async fn get_service(Named(handle): Named, _none: Query<()>) -> Json<Service> {
    Json(Service::new(&handle))
}
