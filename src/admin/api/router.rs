//! Routes that know how to document themselves.
//!
//! The document is a big structure. It is put together where it is compared with its committed copy
//! (a test), and never in a process that serves: that one sends the committed bytes. What makes it is
//! not even in the program: with [`Serve`] no description is named.

use std::marker::PhantomData;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::admin::AdminState;
use crate::admin::api::accept;

/// How the operations of one path are documented. Called where the document is made.
pub type Describe = fn() -> UtoipaMethodRouter<AdminState>;

/// What routes are put together for.
pub trait Use {
    const DESCRIBES: bool;
}

/// To answer requests.
#[derive(Debug)]
pub struct Serve;

/// To make the document.
#[derive(Debug)]
pub struct Document;

impl Use for Serve {
    const DESCRIBES: bool = false;
}

impl Use for Document {
    const DESCRIBES: bool = true;
}

/// The routes of the API, or some of them.
pub struct ApiRouter<U> {
    router: Router<AdminState>,
    descriptions: Vec<Describe>,
    used: PhantomData<U>,
}

impl<U: Use> Default for ApiRouter<U> {
    fn default() -> Self {
        Self { router: Router::new(), descriptions: Vec::new(), used: PhantomData }
    }
}

impl<U: Use> ApiRouter<U> {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations of one path that answer with JSON; written with `at!`.
    #[must_use]
    #[inline(always)]
    pub fn json(self, (path, methods, describe): (&str, MethodRouter<AdminState>, Describe)) -> Self {
        self.any((path, methods.route_layer(middleware::from_fn(json_only)), describe))
    }

    /// The operations of one path that see to the kind of their answers themselves.
    // In line, so that what would describe it is seen to be of no use.
    #[must_use]
    #[inline(always)]
    pub fn any(mut self, (path, methods, describe): (&str, MethodRouter<AdminState>, Describe)) -> Self {
        self.router = self.router.route(path, methods);
        if U::DESCRIBES {
            self.descriptions.push(describe);
        }
        self
    }

    /// The routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.descriptions.extend(other.descriptions);
        self
    }

    pub fn into_router(self) -> Router<AdminState> {
        self.router
    }

    /// Everything that is documented, on top of `base`.
    pub fn document(&self, base: OpenApi) -> OpenApi {
        let documented = OpenApiRouter::with_openapi(base);
        self.descriptions.iter().fold(documented, |router, describe| router.routes(describe())).into_openapi()
    }
}

impl<U> std::fmt::Debug for ApiRouter<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiRouter").field("paths", &self.descriptions.len()).finish_non_exhaustive()
    }
}

async fn json_only(request: Request, next: Next) -> Response {
    match accept::choose(request.headers(), &["application/json"]) {
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// One path: its methods, each with its handler, and their documentation from `#[utoipa::path]`.
///
/// ```ignore
/// ApiRouter::new().json(at!("/api/v1/tokens": get list, post create))
/// ```
macro_rules! at {
    ($path:literal: $($method:ident $head:ident $(:: $tail:ident)*),+ $(,)?) => {
        (
            $path,
            axum::routing::MethodRouter::new()$(.$method($head $(:: $tail)*))+,
            (|| utoipa_axum::routes!($($head $(:: $tail)*),+)) as $crate::admin::api::router::Describe,
        )
    };
}
pub(crate) use at;
