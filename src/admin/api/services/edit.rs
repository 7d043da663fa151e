//! Making, changing and taking back what the API says about a service. File and labels go on
//! saying what they say.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::admin::AdminState;
use crate::admin::api::body::{JsonObject, MergePatch};
use crate::admin::api::precondition::{self, Condition, etag};
use crate::admin::api::query::Query;
use crate::admin::api::services::sessions::store_away;
use crate::admin::api::services::wire::{Service, ServiceDetail};
use crate::admin::api::services::{Known, path_name, unknown_service};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::owners::{self, said};
use crate::admin::problem::{FieldError, Problem};
use crate::domain::name::ServiceName;
use crate::domain::words::Role;
use crate::supervisor::catalog::{Expect, PutError};

/// The name in a path, of a service that need not be there.
pub(super) struct Target(ServiceName);

impl FromRequestParts<AdminState> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Problem> {
        match path_name(parts, state).await {
            None => Err(unknown_service()),
            Some(Ok(name)) => Ok(Self(name)),
            Some(Err(_)) if parts.method != axum::http::Method::PUT => Err(unknown_service()),
            Some(Err(fault)) => Err(bad_name(&fault.to_string())),
        }
    }
}

fn bad_name(reason: &str) -> Problem {
    let mend = "write 1 to 63 of a-z, 0-9, `-`, `_` and `.`, with a letter or a figure at both ends";
    invalid(vec![FieldError {
        pointer: "/name".to_owned(),
        detail: format!("name {reason}"),
        mend: mend.to_owned(),
    }])
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    let title = "A part of the body cannot be used";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", title).errors(errors)
}

/// Make a service
///
/// The body is a service as in the configuration file, with `name`.
#[utoipa::path(
    post, path = "/api/v1/services", tag = "services", operation_id = "createService",
    request_body(content = ServiceKeys, description = "A service as in the configuration file, with its name"),
    responses(
        (status = 201, description = "It is made", body = Service, headers(
            ("Location" = String, description = "The service"),
            ("ETag" = String, description = "Its revision"),
        )),
        (status = 409, description = "It is there already, or a host or a key belongs to somebody else",
            body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A part of it cannot be used", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create_service(
    State(state): State<AdminState>,
    caller: Caller,
    _none: Query<()>,
    JsonObject(mut keys): JsonObject,
) -> Result<Response, Problem> {
    let name = match keys.remove("name") {
        Some(Value::String(text)) => {
            ServiceName::parse(&text).map_err(|fault| bad_name(&fault.to_string()))?
        }
        Some(_) => return Err(bad_name("is no text")),
        None => return Err(bad_name("is missing")),
    };
    if !Known::find(&state, &name).is_nothing() {
        return Err(exists(&name));
    }
    put(&state, &caller, name, keys, Expect::Absent).await
}

/// Replace what the API says about a service
///
/// The body is a service as in the configuration file; `name` may be left out. One that only file or
/// labels know gets a layer over what they say. Where the API says something already, `If-Match` has
/// to say which revision of that is replaced.
#[utoipa::path(
    put, path = "/api/v1/services/{name}", tag = "services", operation_id = "replaceService",
    params(
        ("name" = String, Path, description = "The service's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where the API says nothing yet"),
    ),
    request_body(content = ServiceKeys, description = "All that the API is to say, nested as in the file"),
    responses(
        (status = 200, description = "It is replaced", body = Service,
            headers(("ETag" = String, description = "Its revision"))),
        (status = 201, description = "It is made", body = Service, headers(
            ("Location" = String, description = "The service"),
            ("ETag" = String, description = "Its revision"),
        )),
        (status = 409, description = "A host or a key belongs to somebody else", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "It is not what `If-Match` says", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "A part of it cannot be used", body = Problem,
            content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn replace_service(
    State(state): State<AdminState>,
    Target(name): Target,
    caller: Caller,
    _none: Query<()>,
    headers: HeaderMap,
    JsonObject(mut keys): JsonObject,
) -> Result<Response, Problem> {
    match keys.remove("name") {
        None => {}
        Some(Value::String(same)) if same == name.as_str() => {}
        Some(_) => return Err(bad_name("is not the one in the path")),
    }
    let known = Known::find(&state, &name);
    let layer = allowed(&caller, &known, &keys)?;
    let expect = expect(&caller, precondition::check(&headers, layer)?, layer);
    put(&state, &caller, name, keys, expect).await
}

/// Change what the API says about a service
///
/// A JSON Merge Patch (RFC 7396) of what the API says: a key that is null is taken out.
#[utoipa::path(
    patch, path = "/api/v1/services/{name}", tag = "services", operation_id = "changeService",
    params(
        ("name" = String, Path, description = "The service's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where the API says nothing yet"),
    ),
    request_body(content(
        (ServicePatch = "application/merge-patch+json"),
        (ServicePatch = "application/json"),
    ), description = "What is to be said differently"),
    responses(
        (status = 200, description = "It is changed", body = Service,
            headers(("ETag" = String, description = "Its revision"))),
        (status = 409, description = "A host or a key belongs to somebody else", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "It is not what `If-Match` says", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "A part of it cannot be used", body = Problem,
            content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change_service(
    State(state): State<AdminState>,
    Target(name): Target,
    caller: Caller,
    _none: Query<()>,
    headers: HeaderMap,
    patch: MergePatch,
) -> Result<Response, Problem> {
    let known = Known::find(&state, &name);
    let Some(entry) = known.entry.as_deref() else { return Err(unknown_service()) };
    let mut keys = patch.apply(said(entry));
    if keys.remove("name").is_some_and(|given| given != name.as_str()) {
        return Err(bad_name("cannot be changed"));
    }
    let layer = allowed(&caller, &known, &keys)?;
    // The patch is of what was read just now: what came in between must not be lost.
    let expect = match (precondition::check(&headers, layer)?, layer) {
        (Condition::Present, Some(revision)) => Expect::Revision(revision),
        (condition, layer) => expect(&caller, condition, layer),
    };
    let mut response = put(&state, &caller, name, keys, expect).await?;
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().remove(header::LOCATION);
    Ok(response)
}

/// Take back what the API says about a service
///
/// One that only the API knows is let go, and its container is left as it is.
#[utoipa::path(
    delete, path = "/api/v1/services/{name}", tag = "services", operation_id = "deleteService",
    params(
        ("name" = String, Path, description = "The service's name"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`"),
    ),
    responses(
        (status = 204, description = "The API says nothing about it any more"),
        (status = 409, description = "It is made by file or label, and the API says nothing about it", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "It is not what `If-Match` says", body = Problem,
            content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete_service(
    State(state): State<AdminState>,
    Target(name): Target,
    caller: Caller,
    _none: Query<()>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let known = Known::find(&state, &name);
    if known.is_nothing() {
        return Err(unknown_service());
    }
    // Taking everything back changes every key of it.
    let Some(layer) = allowed(&caller, &known, &Map::new())? else {
        return Err(nothing_said());
    };
    let expect = expect(&caller, precondition::check(&headers, Some(layer))?, Some(layer));
    state
        .catalog
        .remove(&name, expect, audit::service_by(&caller))
        .await
        .map_err(|error| refused(&name, error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether this caller may have the API say these keys. The revision of what it says now.
fn allowed(caller: &Caller, known: &Known, keys: &Map<String, Value>) -> Result<Option<u64>, Problem> {
    let entry = known.entry.as_deref();
    let revision = entry.and_then(|entry| entry.api.as_ref()).map(|layer| layer.revision);
    if caller.role == Role::Admin {
        return Ok(revision);
    }
    let forbidden = |detail: &str| {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "Your role does not allow this").detail(detail)
    };
    let Some(entry) = entry else { return Err(forbidden("Only an admin makes services.")) };
    if !owners::may_edit(caller, entry) {
        return Err(forbidden("Only an admin, or one of its `owners`, changes this service."));
    }
    let said = said(entry);
    let errors: Vec<FieldError> = owners::too_much(caller, &said, keys)
        .into_iter()
        .map(|key| FieldError {
            pointer: format!("/{key}"),
            detail: format!("{key} is for admins to change"),
            mend: match said.get(key) {
                Some(now) => format!("leave it at `{now}`"),
                None => "leave it out".to_owned(),
            },
        })
        .collect();
    if errors.is_empty() {
        return Ok(revision);
    }
    Err(forbidden("Owners change how a service sleeps and wakes, and not what it is.").errors(errors))
}

/// What must still be so when it is written. `layer`: what was there when the caller was held against it.
fn expect(caller: &Caller, condition: Condition, layer: Option<u64>) -> Expect {
    match (condition, layer) {
        // What an owner may say depends on what an admin says: `*` is whatever that was just now.
        (Condition::Present, Some(revision)) if caller.role < Role::Admin => Expect::Revision(revision),
        (condition, _) => expected(condition),
    }
}

fn expected(condition: Condition) -> Expect {
    match condition {
        Condition::Absent => Expect::Absent,
        Condition::Present => Expect::Any,
        Condition::Revision(revision) => Expect::Revision(revision),
    }
}

async fn put(
    state: &AdminState,
    caller: &Caller,
    name: ServiceName,
    keys: Map<String, Value>,
    expect: Expect,
) -> Result<Response, Problem> {
    let put = state.catalog.put(name.clone(), Value::Object(keys), expect, audit::service_by(caller));
    let entry = put.await.map_err(|error| refused(&name, error))?;
    let handle = state.fleet.get(name.as_str());
    let service = Service::new(&state.fleet, Some(&entry), handle.as_ref());
    let tag = etag(service.revision.unwrap_or(0));
    let made = expect == Expect::Absent;
    let mut response =
        (if made { StatusCode::CREATED } else { StatusCode::OK }, Json(service)).into_response();
    response.headers_mut().insert(header::ETAG, tag);
    if made && let Ok(location) = HeaderValue::from_str(&format!("/api/v1/services/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn exists(name: &ServiceName) -> Problem {
    Problem::new(StatusCode::CONFLICT, "exists", "There is a service of this name")
        .detail(format!("Change it by `PUT /api/v1/services/{name}`, or take another name."))
}

fn nothing_said() -> Problem {
    Problem::new(StatusCode::CONFLICT, "nothing-said", "The API says nothing about this service")
        .detail("It is made by the configuration file or by labels: take it out there.")
}

fn refused(name: &ServiceName, error: PutError) -> Problem {
    match error {
        PutError::Invalid(problems) => invalid(
            problems
                .into_iter()
                .map(|problem| FieldError {
                    pointer: problem.pointer,
                    detail: format!("{} {}", problem.key, problem.reason),
                    mend: problem.mend,
                })
                .collect(),
        ),
        PutError::Changed => precondition::changed(None)
            .detail("Somebody changed it since you read it: read it again, and change that."),
        PutError::Absent => precondition::changed(None),
        PutError::Exists => exists(name),
        PutError::HeldByFile { keys } => {
            let errors = keys
                .iter()
                .map(|key| FieldError {
                    pointer: format!("/{}", key.replace('.', "/")),
                    detail: format!("{key} is said by the configuration file, which goes before the API"),
                    mend: "change it there, or leave it out here".to_owned(),
                })
                .collect();
            Problem::new(StatusCode::CONFLICT, "held-by-file", "The configuration file says this already")
                .errors(errors)
        }
        PutError::HostTaken { host, by } => {
            let error = FieldError {
                pointer: "/hosts".to_owned(),
                detail: format!("{host} belongs to {by}"),
                mend: "give this service another host".to_owned(),
            };
            Problem::new(StatusCode::CONFLICT, "host-taken", "A host belongs to somebody else")
                .detail(format!("{host} belongs to {by}."))
                .errors(vec![error])
        }
        PutError::Store(_) => store_away(),
    }
}

/// A service as in the configuration file. Its schema is that of the file, and put in where the
/// document is made.
#[derive(utoipa::ToSchema)]
pub(super) struct ServiceKeys;

/// What is to be said differently: as `ServiceKeys`; null takes a key out.
#[derive(utoipa::ToSchema)]
pub(super) struct ServicePatch;

/// A service in full, with its tag.
pub(super) fn shown(state: &AdminState, known: &Known) -> Response {
    let detail = ServiceDetail::new(&state.fleet, known.entry.as_deref(), known.handle.as_ref());
    let tag = detail.service.revision.map(etag);
    let mut response = Json(detail).into_response();
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
