//! The dashboard's pages: what a browser asks for becomes a view, and a form what it orders.
//!
//! Every page works by links and forms alone. A form is answered by a redirect to where it came
//! from, with the name of what happened; the script does the same and takes what it needs.

mod account;
mod activity;
pub(in crate::admin) mod answer;
mod audit;
mod caddy;
mod compress;
mod edit;
mod entry;
mod form;
mod front;
mod orders;
mod overview;
mod row;
mod service;
mod settings;
mod tokens;
mod users;
pub(in crate::admin) mod visit;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use crate::admin::AdminState;

pub use answer::errors_as_pages;

/// The routes of the dashboard.
pub fn routes() -> Router<AdminState> {
    Router::new()
        .route("/", get(overview::page))
        .route("/fragments/services", get(overview::fragment))
        .route("/services/{name}", get(service::page))
        .route("/services/{name}/wake", post(orders::wake))
        .route("/services/{name}/stop", post(orders::stop))
        .route("/services/{name}/restart", post(orders::restart))
        .route("/services/{name}/keep-awake", post(orders::keep_awake))
        .route("/services/{name}/let-sleep", post(orders::let_sleep))
        .route("/services/{name}/edit", get(edit::page).post(edit::save))
        .route("/services/{name}/delete", post(edit::delete))
        .route("/new", get(edit::blank).post(edit::make))
        .route("/caddy", get(caddy::page))
        .route("/activity", get(activity::page))
        .route("/users", get(users::page).post(users::add))
        .route("/users/{name}", get(users::one).post(users::change))
        .route("/users/{name}/delete", post(users::delete))
        .route("/tokens", get(tokens::page).post(tokens::add))
        .route("/tokens/{id}/delete", post(tokens::revoke))
        .route("/audit", get(audit::page))
        .route("/settings", get(settings::page).post(settings::save))
        .route("/account", get(account::page))
        .route("/account/password", post(account::password))
        .route("/account/sessions/{id}/end", post(account::end_session))
        .route("/display", post(entry::display))
        .route("/login", get(entry::login).post(entry::sign_in))
        .route("/logout", post(entry::sign_out))
        .route("/setup", get(entry::setup).post(entry::set_up))
        .route("/assets/{file}", get(answer::asset))
        .layer(from_fn(compress::compress))
}
