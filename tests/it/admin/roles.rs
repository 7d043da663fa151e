//! The table of access, walked: every route with every role.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wakedock::admin::access::{Access, ROUTES, Route};
use wakedock::admin::auth::{NewToken, UserChange};
use wakedock::domain::words::Role;

use super::rig::{Answer, Ask, Rig, parse, root, soon};

/// Answers that there is nothing unless a provider is configured.
const ONLY_WITH_A_PROVIDER: &str = "/oidc/";

/// The head of an answer and what came with it; answers that go on are not waited for.
async fn begin(rig: &Rig, ask: &Ask) -> Answer {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(ask.wire().as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let whole = soon(async {
        let mut piece = [0; 4096];
        loop {
            let is_problem = String::from_utf8_lossy(&bytes).contains("problem+json");
            let has_head = bytes.windows(4).any(|four| four == b"\r\n\r\n");
            if has_head && !is_problem {
                return;
            }
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
        }
    });
    whole.await;
    parse(&String::from_utf8_lossy(&bytes))
}

fn ask(route: &Route) -> Ask {
    let path = route.path.replace("{name}", "nobody").replace("{id}", "none");
    let ask = Ask::new(route.method.as_str(), &path);
    if route.method == axum::http::Method::GET { ask } else { ask.json(&serde_json::json!({})) }
}

/// What the door says itself, in three words of a problem.
fn refusal(answer: &Answer) -> Option<String> {
    if ![401, 403].contains(&answer.status)
        || answer.field("content-type") != Some("application/problem+json")
    {
        return None;
    }
    let kind = answer.problem();
    let title = answer.json()["title"].as_str().unwrap().to_owned();
    match kind.as_str() {
        "unauthenticated" | "bad-token" => Some("who".to_owned()),
        "forbidden" if title == "Your role does not allow this" && answer.body.contains("this wants") => {
            Some("role".to_owned())
        }
        _ => None,
    }
}

#[tokio::test]
async fn every_route_with_every_role() {
    let rig = Rig::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((Some(*role), rig.token(&root(), *role, None).await));
    }
    rig.user("first", Role::Admin).await;
    rig.user("disabled", Role::Admin).await;
    let (disabled, _) = rig.log_in("disabled").await;
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    rig.auth.change_user(&root(), "disabled", change, None).await.unwrap();
    let expires_in = Some(Duration::from_millis(1));
    let new = NewToken { name: "expired".into(), role: Role::Admin, expires_in, services: None };
    let expired = rig.auth.add_token(&root(), new).await.unwrap().0;
    tokio::time::sleep(Duration::from_millis(5)).await;
    tokens.push((None, disabled));
    tokens.push((None, expired));
    let mut walked = 0;
    for route in ROUTES {
        let wanted = match route.access {
            Access::Open | Access::Metrics => None,
            Access::SignedIn => Some(Role::Viewer),
            Access::Role(role) => Some(role),
        };
        let shown = format!("{} {}", route.method, route.path);
        let anonymous = begin(&rig, &ask(route)).await;
        assert_eq!(refusal(&anonymous).is_some(), wanted.is_some(), "{shown}: {anonymous:?}");
        for (role, token) in &tokens {
            let answer = begin(&rig, &ask(route).bearer(token)).await;
            let expected = match (wanted, role) {
                (None, _) => None,
                (Some(_), None) => Some("who"),
                (Some(wanted), Some(role)) => (*role < wanted).then_some("role"),
            };
            assert_eq!(refusal(&answer).as_deref(), expected, "{shown} as {role:?}: {answer:?}");
            walked += 1;
        }
    }
    assert!(walked > 200, "{walked}");
}

/// The router knows what the table knows...
#[tokio::test]
async fn every_row_of_the_table_is_a_route() {
    let rig = Rig::new().await;
    let admin = rig.token(&root(), Role::Admin, None).await;
    let mut missing = Vec::new();
    for route in ROUTES {
        let answer = begin(&rig, &ask(route).bearer(&admin)).await;
        let is_fallback = answer.status == 405
            || answer.status == 404
                && answer.field("content-type") == Some("application/problem+json")
                && answer.problem() == "not-found";
        if is_fallback && !route.path.starts_with(ONLY_WITH_A_PROVIDER) {
            missing.push(format!("{} {}", route.method, route.path));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// ...and the other way round: what is documented, and what the sources route, stands in the table.
#[test]
fn every_route_is_a_row_of_the_table() {
    let rows: BTreeSet<(String, &str)> =
        ROUTES.iter().map(|route| (route.method.to_string(), route.path)).collect();
    let document = serde_json::to_value(wakedock::admin::api::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let documented = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.as_str()))
    });
    let mut seen = 0;
    for row in documented {
        assert!(rows.contains(&row), "{row:?} is documented and stands in no table");
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
    let mut routed = 0;
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/admin")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split(".route(").skip(1) {
                let Some(route) = rest.trim_start().strip_prefix('"') else { continue };
                let route = route.split('"').next().unwrap();
                assert!(
                    rows.iter().any(|(_, path)| *path == route),
                    "{route} in {} stands in no table",
                    path.display()
                );
                routed += 1;
            }
        }
    }
    assert!(routed >= 4, "{routed}");
}
