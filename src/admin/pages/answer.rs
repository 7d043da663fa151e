//! Pages, redirects, and errors that people read.

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value as Json;

use crate::admin::AdminState;
use crate::admin::pages::visit::Visit;
use crate::html::RenderError;
use crate::html::dashboard::pages::ErrorPage;
use crate::html::dashboard::{Place, assets, encode, pages, release};

/// How long templates are kept when nobody looks, and how often that is asked.
const KEPT: std::time::Duration = std::time::Duration::from_secs(90);

/// A page, or the end of one.
pub(in crate::admin) fn page(rendered: Result<String, RenderError>) -> Response {
    page_with(StatusCode::OK, rendered)
}

pub(super) fn page_with(status: StatusCode, rendered: Result<String, RenderError>) -> Response {
    let_go_later();
    match rendered {
        Ok(html) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(error) => {
            let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, reason, "a page of the dashboard is broken");
            (StatusCode::INTERNAL_SERVER_ERROR, "WakeDock could not show this page; its log says why\n")
                .into_response()
        }
    }
}

/// Lets the templates go some time after the last page.
fn let_go_later() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static WAITS: AtomicBool = AtomicBool::new(false);
    if WAITS.swap(true, Ordering::AcqRel) {
        return;
    }
    tokio::spawn(async {
        loop {
            tokio::time::sleep(KEPT).await;
            if release(KEPT) {
                break WAITS.store(false, Ordering::Release);
            }
        }
    });
}

/// An error as a page.
pub(super) fn error(
    visit: &Visit,
    status: StatusCode,
    kind: &'static str,
    detail: Option<String>,
) -> Response {
    let view = ErrorPage { kind, detail };
    page_with(status, pages::error(&visit.frame(Place::Elsewhere), &view))
}

pub(super) fn missing(visit: &Visit) -> Response {
    error(visit, StatusCode::NOT_FOUND, "missing", None)
}

pub(super) fn forbidden(visit: &Visit) -> Response {
    error(visit, StatusCode::FORBIDDEN, "forbidden", None)
}

/// Goes on to another page of ours.
pub(super) fn go(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// Goes back to where a form came from, and says there what became of it.
pub(super) fn back(to: &str, said: &str, of: &str) -> Response {
    let to = own_address(to);
    let joint = if to.contains('?') { '&' } else { '?' };
    go(&format!("{to}{joint}said={said}&of={}", encode(of)))
}

/// An address of ours: nobody is led elsewhere by what stands in a form or a link.
pub(super) fn own_address(to: &str) -> &str {
    let own = to.starts_with('/')
        && !to.starts_with("//")
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    if own { to } else { "/" }
}

/// Style, script, icon: kept by browsers for ever, for their names change with them.
pub(super) async fn asset(Path(file): Path<String>) -> Response {
    match assets::find(&format!("/assets/{file}")) {
        Some(asset) => {
            let kept =
                [(CONTENT_TYPE, asset.media_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (kept, asset.body()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What refuses a browser outside the API refuses it with a page, in its language.
pub async fn errors_as_pages(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let reads = accepts.is_some_and(|accept| accept.contains("text/html"));
    let path = request.uri().path();
    let ours =
        !path.starts_with("/api/") && !path.starts_with("/caddy/ask") && *request.method() != Method::HEAD;
    if !reads || !ours {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let visit = Visit::new(&parts, &state);
    let response = next.run(Request::from_parts(parts, body)).await;
    let problem = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if !problem {
        return response;
    }
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    let told = to_bytes(body, 16 * 1024).await.ok();
    let problem =
        told.as_deref().and_then(|told| serde_json::from_slice::<Json>(told).ok()).unwrap_or_default();
    let kind = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "missing",
        // It was not the role.
        StatusCode::FORBIDDEN if is_forged(&problem) => "refused",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "forbidden",
        status if status.is_client_error() => "refused",
        _ => "broken",
    };
    let view = ErrorPage { kind, detail: what_is_wrong(&problem, kind) };
    match pages::error(&visit.frame(Place::Elsewhere), &view) {
        Ok(html) => {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(html))
        }
        Err(_) => Response::from_parts(parts, told.map_or_else(Body::empty, Body::from)),
    }
}

/// Whether a form came from elsewhere, or from a session that is over.
fn is_forged(problem: &Json) -> bool {
    let kind = problem.get("type").and_then(Json::as_str).unwrap_or_default();
    kind.ends_with("/csrf") || kind.ends_with("/cross-origin")
}

/// What a problem says of this occurrence.
fn what_is_wrong(problem: &Json, kind: &str) -> Option<String> {
    let text = |key| problem.get(key).and_then(Json::as_str);
    let (title, detail) = (text("title")?, text("detail"));
    match kind {
        // The page says the title of these in its own words.
        "missing" => None,
        "forbidden" => detail.map(ToOwned::to_owned),
        _ => Some(detail.map_or_else(|| format!("{title}."), |detail| format!("{title}. {detail}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in ["/", "/services/a?b=c&d=%20", "/?q=x"] {
            assert_eq!(own_address(own), own);
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a b",
            "/\r\nX: y",
            "/é",
        ] {
            assert_eq!(own_address(other), "/", "{other:?}");
        }
    }
}
