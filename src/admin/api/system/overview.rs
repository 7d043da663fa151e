//! The totals: what the top of the dashboard says.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::api::query::Query;
use crate::admin::api::wire::millis;
use crate::domain::words::Phase;

/// All services together.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Overview {
    pub services: u64,
    /// Ready, or on their way out of it.
    pub awake: u64,
    pub asleep: u64,
    pub waking: u64,
    pub failed: u64,
    /// Requests that wait for a service.
    pub held: u64,
    /// Requests answered since WakeDock started.
    pub requests: u64,
    /// What is wrong with what file, API and labels say.
    pub problems: u64,
    /// In use by what is awake, as it was read last.
    pub memory_bytes: u64,
    /// What the services that are off used when they were awake.
    pub memory_saved_bytes: u64,
    /// Since midnight, UTC.
    pub wakes_today: u64,
    /// The median of their durations, from demand to ready.
    pub wake_p50_ms: Option<u64>,
}

impl Overview {
    /// The totals as of now.
    #[must_use]
    pub fn new(state: &AdminState) -> Self {
        let mut overview = Self::default();
        for handle in state.fleet.services().iter() {
            let snapshot = handle.snapshot();
            overview.services += 1;
            *match snapshot.phase {
                Phase::Ready | Phase::Stopping => &mut overview.awake,
                Phase::Asleep => &mut overview.asleep,
                Phase::Waking => &mut overview.waking,
                Phase::Failed => &mut overview.failed,
            } += 1;
            overview.held += u64::try_from(handle.held()).unwrap_or(u64::MAX);
            overview.requests += handle.requests();
            let usage = handle.usage();
            overview.memory_bytes += usage.map_or(0, |usage| usage.memory);
            overview.memory_saved_bytes += handle.metrics().saving();
        }
        let today = state.fleet.rollups().today();
        overview.wakes_today = today.wakes;
        overview.wake_p50_ms = today.median.map(millis);
        let catalog = state.catalog.current();
        let problems = catalog.entries.values().map(|entry| entry.problems.len()).sum::<usize>();
        overview.problems = u64::try_from(problems + catalog.problems.len()).unwrap_or(u64::MAX);
        overview
    }
}

/// Show the totals
#[utoipa::path(
    get, path = "/api/v1/system/overview", tag = "system", operation_id = "getOverview",
    responses((status = 200, description = "All services together", body = Overview)),
)]
pub(super) async fn get_overview(State(state): State<AdminState>, _none: Query<()>) -> Json<Overview> {
    Json(Overview::new(&state))
}
