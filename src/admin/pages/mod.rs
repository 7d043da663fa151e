//! The dashboard's pages.

use axum::Router;

use crate::admin::AdminState;

/// The routes of the dashboard.
pub fn routes() -> Router<AdminState> {
    Router::new()
}
