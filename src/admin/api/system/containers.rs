//! The containers that Docker has, for whoever makes a service of one.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::admin::AdminState;
use crate::admin::api::page::{PARAMETERS, Page, Paging};
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::wire::{Time, one_of};
use crate::admin::problem::Problem;
use crate::ports::{ContainerState, ReadError};

const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

fn states() -> Object {
    one_of(STATES.into_iter())
}

const fn word(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Paused => "paused",
        ContainerState::Restarting => "restarting",
        ContainerState::Removing => "removing",
        ContainerState::Exited => "exited",
        ContainerState::Dead => "dead",
    }
}

/// A container.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Container)]
pub struct ContainerRecord {
    pub name: String,
    pub image: String,
    /// Docker's own word.
    #[schema(schema_with = states)]
    pub state: &'static str,
    pub created_at: Time,
    /// TCP ports inside the container, ascending.
    pub ports: Vec<u16>,
    /// It has a health check.
    pub health: bool,
    /// The service that it belongs to.
    pub managed_by: Option<String>,
}

/// One page of them.
pub(super) struct Containers(Paging);

impl FromQuery for Containers {
    const KNOWN: &'static [&'static str] = &PARAMETERS;

    fn read(given: &mut Given) -> Self {
        Self(Paging::read(given))
    }
}

/// List the containers
///
/// All that Docker has, by name, with what a service of each would need.
#[utoipa::path(
    get, path = "/api/v1/system/containers", tag = "system", operation_id = "listContainers",
    params(Paging),
    responses(
        (status = 200, description = "One page of containers", body = Page<ContainerRecord>),
        (status = 503, description = "Docker is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list_containers(
    State(state): State<AdminState>,
    Query(Containers(paging)): Query<Containers>,
) -> Result<Json<Page<ContainerRecord>>, Problem> {
    let found = state.fleet.containers().await.map_err(|error| {
        let problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engine-unavailable", "Docker does not answer")
                .field(header::RETRY_AFTER, HeaderValue::from_static("5"));
        match error {
            ReadError::Refused { message, .. } => problem.detail(message),
            ReadError::Away(_) | ReadError::TimedOut(_) => problem,
        }
    })?;
    let catalog = state.catalog.current();
    let records = found.into_iter().map(|(listed, looked)| {
        let owner = catalog.entries.values().find(|entry| entry.container == listed.name);
        let health = looked.as_ref().is_some_and(|looked| looked.health_command.is_some());
        ContainerRecord {
            image: listed.image,
            state: word(listed.state),
            created_at: listed.created.into(),
            ports: looked.map_or(listed.ports, |looked| looked.exposed),
            health,
            managed_by: owner.map(|entry| entry.name.to_string()),
            name: listed.name,
        }
    });
    Ok(Json(paging.cut(records, |record| record.name.clone())))
}
