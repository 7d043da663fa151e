//! What a service did, by the hour and by the day.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::openapi::schema::Object;
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::api::query::{FromQuery, Given, Query};
use crate::admin::api::services::Past;
use crate::admin::api::services::sessions::store_away;
use crate::admin::api::wire::{Time, one_of};
use crate::admin::problem::{FieldError, Problem};
use crate::clock;
use crate::domain::name::ServiceName;
use crate::domain::time::Timestamp;
use crate::supervisor::rollup::Rollup;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// How finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin::api) enum Step {
    Hour,
    Day,
}

impl Step {
    const WORDS: [&'static str; 2] = ["hour", "day"];

    fn parse(word: &str) -> Option<Self> {
        match word {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// What is shown where nobody said, and the most that is shown, in milliseconds.
    const fn spans(self) -> (i64, i64) {
        match self {
            Self::Hour => (DAY, 31 * DAY),
            Self::Day => (30 * DAY, 400 * DAY),
        }
    }
}

fn steps() -> Object {
    one_of(Step::WORDS.into_iter())
}

/// Which time, and how finely.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::admin::api) struct Span {
    /// From here on (RFC 3339). By default a day ago, or thirty with `step=day`.
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    from: Option<Timestamp>,
    /// Before this time. By default now. At most 31 days of hours, or 400 days.
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    to: Option<Timestamp>,
    #[param(schema_with = steps, required = false)]
    step: Step,
}

impl FromQuery for Span {
    const KNOWN: &'static [&'static str] = &["from", "to", "step"];

    fn read(given: &mut Given) -> Self {
        let time = |text: &str| {
            let time: jiff::Timestamp = text.parse().ok()?;
            Some(Timestamp::from_millis(time.as_millisecond()))
        };
        let mend = "write it as `2026-11-23T06:00:00Z`";
        Self {
            from: given.parsed("from", time, mend),
            to: given.parsed("to", time, mend),
            step: given.parsed("step", Step::parse, "write `hour` or `day`").unwrap_or(Step::Hour),
        }
    }
}

/// What a service did, piece by piece.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Metrics {
    #[schema(schema_with = steps)]
    pub step: &'static str,
    pub from: Time,
    pub to: Time,
    /// The oldest first; hours and days of UTC. Those of which nothing is known are left out.
    pub items: Vec<MetricsItem>,
}

/// An hour or a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MetricsItem {
    pub start: Time,
    /// Answered requests.
    pub requests: u64,
    /// Wakes that ended well.
    pub wakes: u64,
    /// Wakes that failed or took too long.
    pub failed_wakes: u64,
    pub awake_seconds: f64,
    pub asleep_seconds: f64,
    /// Bytes in use while awake, times seconds.
    pub memory_byte_seconds: f64,
    /// Seconds of processors.
    pub cpu_seconds: f64,
    /// Bytes that were free while it was off, times seconds.
    pub saved_byte_seconds: f64,
}

impl From<Rollup> for MetricsItem {
    fn from(rollup: Rollup) -> Self {
        Self {
            start: rollup.start.into(),
            requests: rollup.requests,
            wakes: rollup.wakes,
            failed_wakes: rollup.failed_wakes,
            awake_seconds: rollup.awake_seconds,
            asleep_seconds: rollup.asleep_seconds,
            memory_byte_seconds: rollup.memory_byte_seconds,
            cpu_seconds: rollup.cpu_seconds,
            saved_byte_seconds: rollup.saved_byte_seconds,
        }
    }
}

impl Span {
    /// What is known of that time.
    pub(in crate::admin::api) async fn read_from(
        self,
        state: &AdminState,
        service: Option<&ServiceName>,
    ) -> Result<Metrics, Problem> {
        let (usual, most) = self.step.spans();
        let to = self.to.unwrap_or_else(clock::wall);
        let from = self.from.unwrap_or_else(|| Timestamp::from_millis(to.as_millis().saturating_sub(usual)));
        let span = to.as_millis().saturating_sub(from.as_millis());
        if span <= 0 || span > most {
            let mend = format!("ask for at most {} days, from the earlier to the later", most / DAY);
            let detail = if span <= 0 { "from is not before to" } else { "from is too long before to" };
            let error = FieldError { pointer: "?from".to_owned(), detail: detail.to_owned(), mend };
            let title = "A parameter cannot be used";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-parameter", title).errors(vec![error]));
        }
        let rollups = state.fleet.rollups();
        let found = match self.step {
            Step::Hour => rollups.hours(service, from, to).await,
            Step::Day => rollups.days(service, from, to).await,
        };
        let items = found.map_err(|_| store_away())?.into_iter().map(MetricsItem::from).collect();
        Ok(Metrics { step: self.step.word(), from: from.into(), to: to.into(), items })
    }
}

/// Show what a service did
///
/// By the hour for 14 days, by the day for 400.
#[utoipa::path(
    get, path = "/api/v1/services/{name}/metrics", tag = "services", operation_id = "getServiceMetrics",
    params(("name" = String, Path, description = "The service's name"), Span),
    responses(
        (status = 200, description = "Hours or days", body = Metrics),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_service_metrics(
    State(state): State<AdminState>,
    Past(name): Past,
    Query(span): Query<Span>,
) -> Result<Json<Metrics>, Problem> {
    Ok(Json(span.read_from(&state, Some(&name)).await?))
}
