//! The document: what the handlers say of themselves, and what is true of all of them.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use crate::admin::api::query::Query;

/// The committed copy: what is served. A test compares it with [`document`].
const COMMITTED: &str = include_str!("../../../docs/reference/openapi.json");

/// The OpenAPI document of everything under `/api/v1`.
#[must_use]
pub fn document() -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("WakeDock")
        .description(Some("Containers that sleep until somebody asks for them."))
        .version("v1")
        .license(Some(license))
        .build();
    let mut document = super::operations().document(OpenApiBuilder::new().info(info).build());
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token from `POST /api/v1/auth/login`, or an API token (`wd_…`)."))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(
        "wakedock",
        "The session of a browser that logged in on the dashboard.",
    );
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

/// The OpenAPI document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "system", operation_id = "getOpenApi",
    responses((status = 200, description = "This document, OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) async fn get_open_api(_none: Query<()>) -> impl IntoResponse {
    let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (fields, COMMITTED)
}
