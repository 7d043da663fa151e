//! Who may use which route: one table, held against every request by the door. What does not stand
//! here is refused, whoever asks.

use axum::http::Method;

use crate::domain::words::Role;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// Nothing, unless `admin.metrics_auth`: then [`Role::Viewer`].
    Metrics,
    /// Credentials of whatever role; what is only somebody's own is checked further in.
    SignedIn,
    /// At least this role.
    Role(Role),
}

/// A route, by the path that the router knows it under.
#[derive(Debug)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
}

const fn route(method: Method, path: &'static str, access: Access) -> Route {
    Route { method, path, access }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const VIEWER: Access = Access::Role(Role::Viewer);
const USER: Access = Access::Role(Role::User);
const ADMIN: Access = Access::Role(Role::Admin);

/// Every route that WakeDock's own side answers.
pub static ROUTES: &[Route] = &[
    // Machines.
    route(GET, "/livez", Access::Open),
    route(GET, "/readyz", Access::Open),
    route(GET, "/metrics", Access::Metrics),
    route(GET, "/caddy/ask", Access::Open),
    // Services. Who owns what is checked by the handlers.
    route(GET, "/api/v1/services", VIEWER),
    route(POST, "/api/v1/services", ADMIN),
    route(GET, "/api/v1/services/{name}", VIEWER),
    route(PUT, "/api/v1/services/{name}", USER),
    route(PATCH, "/api/v1/services/{name}", USER),
    route(DELETE, "/api/v1/services/{name}", USER),
    route(POST, "/api/v1/services/{name}/wake", USER),
    route(POST, "/api/v1/services/{name}/stop", USER),
    route(POST, "/api/v1/services/{name}/restart", USER),
    route(POST, "/api/v1/services/{name}/keep-awake", USER),
    route(DELETE, "/api/v1/services/{name}/keep-awake", USER),
    route(GET, "/api/v1/services/{name}/logs", VIEWER),
    route(GET, "/api/v1/services/{name}/events", VIEWER),
    route(GET, "/api/v1/services/{name}/metrics", VIEWER),
    route(GET, "/api/v1/services/{name}/sessions", VIEWER),
    // WakeDock itself.
    route(GET, "/api/v1/system/overview", VIEWER),
    route(GET, "/api/v1/system/health", VIEWER),
    route(GET, "/api/v1/system/info", VIEWER),
    route(GET, "/api/v1/system/problems", VIEWER),
    route(GET, "/api/v1/system/containers", ADMIN),
    route(GET, "/api/v1/system/backup", ADMIN),
    route(GET, "/api/v1/events", VIEWER),
    route(GET, "/api/v1/caddy/config", ADMIN),
    route(POST, "/api/v1/caddy/validate", ADMIN),
    route(POST, "/api/v1/caddy/publish", ADMIN),
    route(GET, "/api/v1/openapi.json", VIEWER),
    route(GET, "/api/v1/reference", VIEWER),
    route(GET, "/api/v1/reference/{part}", VIEWER),
    // The dashboard. Who owns what is checked by the handlers here too.
    route(GET, "/", VIEWER),
    route(GET, "/fragments/services", VIEWER),
    route(GET, "/services/{name}", VIEWER),
    route(POST, "/services/{name}/wake", USER),
    route(POST, "/services/{name}/stop", USER),
    route(POST, "/services/{name}/restart", USER),
    route(POST, "/services/{name}/keep-awake", USER),
    route(POST, "/services/{name}/let-sleep", USER),
    route(GET, "/services/{name}/edit", USER),
    route(POST, "/services/{name}/edit", USER),
    route(POST, "/services/{name}/delete", USER),
    route(GET, "/new", ADMIN),
    route(POST, "/new", ADMIN),
    route(GET, "/caddy", VIEWER),
    route(GET, "/activity", VIEWER),
    route(GET, "/users", ADMIN),
    route(POST, "/users", ADMIN),
    route(GET, "/users/{name}", ADMIN),
    route(POST, "/users/{name}", ADMIN),
    route(POST, "/users/{name}/delete", ADMIN),
    route(GET, "/tokens", Access::SignedIn),
    route(POST, "/tokens", Access::SignedIn),
    route(POST, "/tokens/{id}/delete", Access::SignedIn),
    route(GET, "/audit", ADMIN),
    route(GET, "/settings", ADMIN),
    route(POST, "/settings", ADMIN),
    route(GET, "/account", Access::SignedIn),
    route(POST, "/account/password", Access::SignedIn),
    route(POST, "/account/sessions/{id}/end", Access::SignedIn),
    route(POST, "/display", Access::Open),
    route(GET, "/login", Access::Open),
    route(POST, "/login", Access::Open),
    route(POST, "/logout", Access::SignedIn),
    route(GET, "/setup", Access::Open),
    route(POST, "/setup", Access::Open),
    route(GET, "/assets/{file}", Access::Open),
    // Who comes in.
    route(GET, "/oidc/login", Access::Open),
    route(GET, "/oidc/callback", Access::Open),
    route(POST, "/api/v1/auth/login", Access::Open),
    route(POST, "/api/v1/auth/refresh", Access::Open),
    route(POST, "/api/v1/auth/logout", Access::SignedIn),
    route(GET, "/api/v1/auth/me", Access::SignedIn),
    route(POST, "/api/v1/auth/password", Access::SignedIn),
    route(GET, "/api/v1/users", ADMIN),
    route(POST, "/api/v1/users", ADMIN),
    route(GET, "/api/v1/users/{name}", ADMIN),
    route(PATCH, "/api/v1/users/{name}", ADMIN),
    route(DELETE, "/api/v1/users/{name}", ADMIN),
    route(GET, "/api/v1/users/{name}/sessions", Access::SignedIn),
    route(DELETE, "/api/v1/users/{name}/sessions", Access::SignedIn),
    route(DELETE, "/api/v1/users/{name}/sessions/{id}", Access::SignedIn),
    route(GET, "/api/v1/tokens", Access::SignedIn),
    route(POST, "/api/v1/tokens", Access::SignedIn),
    route(DELETE, "/api/v1/tokens/{id}", Access::SignedIn),
    route(GET, "/api/v1/settings", ADMIN),
    route(PATCH, "/api/v1/settings", ADMIN),
    route(POST, "/api/v1/settings/rotate-key", ADMIN),
    route(GET, "/api/v1/audit", ADMIN),
];

/// What a request finds in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Access(Access),
    /// The path is there, the method is not.
    OtherMethods,
    Nothing,
}

/// What a method on a path asks of its caller. `HEAD` is `GET` without a body.
#[must_use]
pub fn find(method: &Method, path: &str) -> Found {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let mut found = Found::Nothing;
    for route in ROUTES.iter().filter(|route| route.path == path) {
        if route.method == *method {
            return Found::Access(route.access);
        }
        found = Found::OtherMethods;
    }
    found
}

/// The methods of a path, as `Allow` says them.
#[must_use]
pub fn methods(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path == path) {
        names.push(route.method.as_str());
        if route.method == Method::GET {
            names.push("HEAD");
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_open() {
        assert_eq!(find(&Method::GET, "/livez"), Found::Access(Access::Open));
        assert_eq!(find(&Method::HEAD, "/livez"), Found::Access(Access::Open));
        assert_eq!(find(&Method::POST, "/livez"), Found::OtherMethods);
        assert_eq!(find(&Method::GET, "/livez/"), Found::Nothing);
        assert_eq!(methods("/api/v1/users"), "GET, HEAD, POST");
    }

    #[test]
    fn no_route_stands_there_twice() {
        for (index, route) in ROUTES.iter().enumerate() {
            let again = ROUTES[index + 1..].iter().any(|r| r.method == route.method && r.path == route.path);
            assert!(!again, "{} {}", route.method, route.path);
        }
    }
}
