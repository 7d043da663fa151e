//! Users, their sessions, settings and the audit, as the API shows them.

use serde_json::json;
use wakedock::admin::auth::{Client, SetUpError, UserError};
use wakedock::admin::caller::{Caller, Via};
use wakedock::domain::words::Role;

use super::rig::{Ask, Rig, log_in, root};

#[tokio::test]
async fn users_are_made_changed_and_removed() {
    let rig = Rig::new().await;
    let make = |body: serde_json::Value| Ask::new("POST", "/api/v1/users").json(&body);
    let ann = json!({ "username": "Ann", "password": "correct horse", "role": "admin" });
    let made = rig.local(&make(ann.clone())).await;
    assert_eq!((made.status, made.field("location")), (201, Some("/api/v1/users/ann")), "{made:?}");
    assert!(!made.body.contains("argon2") && !made.body.contains("horse"));
    assert_eq!(rig.local(&make(ann)).await.problem(), "user-exists");
    for (body, pointer) in [
        (json!({ "username": "b", "password": "short", "role": "user" }), "/password"),
        (json!({ "username": "b", "password": "x".repeat(257), "role": "user" }), "/password"),
        (json!({ "username": "a b", "password": "long enough", "role": "user" }), "/username"),
    ] {
        let answer = rig.local(&make(body)).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["pointer"].as_str()), (422, Some(pointer)));
    }
    let change = |body| Ask::new("PATCH", "/api/v1/users/ann").json(&body);
    // Nobody takes the last admin away, in whatever way.
    for body in [json!({ "role": "user" }), json!({ "disabled": true })] {
        assert_eq!(rig.local(&change(body)).await.problem(), "last-admin");
    }
    assert_eq!(rig.local(&Ask::new("DELETE", "/api/v1/users/ann")).await.problem(), "last-admin");
    rig.user("bob", Role::Admin).await;
    // Two who change the same user: the second one is told.
    let tag = rig.local(&Ask::new("GET", "/api/v1/users/ann")).await.field("etag").unwrap().to_owned();
    let first = rig.local(&change(json!({ "role": "user" })).field("If-Match", &tag)).await;
    assert_eq!(first.status, 200);
    let second = rig.local(&change(json!({ "role": "viewer" })).field("If-Match", &tag)).await;
    assert_eq!(second.status, 412);
    assert_eq!(rig.local(&Ask::new("DELETE", "/api/v1/users/ann")).await.status, 204);
    assert_eq!(rig.local(&Ask::new("DELETE", "/api/v1/users/ann")).await.problem(), "unknown-user");
    let what: Vec<_> = rig.audit().await.into_iter().map(|entry| (entry.what, entry.subject)).collect();
    let expected =
        [("user-deleted", "ann"), ("user-changed", "ann"), ("user-created", "bob"), ("user-created", "ann")];
    assert_eq!(what, expected.map(|(what, subject)| (what.to_owned(), subject.to_owned())));
}

#[tokio::test]
async fn the_audit_says_who_when_from_where_and_what_it_was_before() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    rig.user("bob", Role::Viewer).await;
    let (access, _) = rig.log_in("ann").await;
    let change = Ask::new("PATCH", "/api/v1/users/bob")
        .bearer(&access)
        .field("X-Forwarded-For", "192.0.2.5")
        .json(&json!({ "role": "user", "password": "another password" }));
    assert_eq!(rig.ask(&change).await.status, 200);
    let page = rig.ask(&Ask::new("GET", "/api/v1/audit?limit=1").bearer(&access)).await;
    let (entry, next) = (page.json()["items"][0].clone(), page.json()["next"].as_str().unwrap().to_owned());
    assert_eq!(entry["who"], "ann");
    assert_eq!((entry["via"].as_str(), entry["address"].as_str()), (Some("session"), Some("192.0.2.5")));
    assert_eq!((entry["what"].as_str(), entry["subject"].as_str()), (Some("user-changed"), Some("bob")));
    assert_eq!(entry["before"], json!({ "role": "viewer", "disabled": false }));
    assert_eq!(entry["after"], json!({ "role": "user", "disabled": false, "password": "changed" }));
    let next = rig.ask(&Ask::new("GET", &format!("/api/v1/audit?cursor={next}")).bearer(&access)).await;
    assert_eq!(next.json()["items"][0]["what"], "log-in");
    assert!(!next.body.contains("password of") && !page.body.contains("another password"));
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    rig.user("bob", Role::User).await;
    let (first, _) = rig.log_in("ann").await;
    let (second, _) = rig.log_in("ann").await;
    let sessions = |token: &str| Ask::new("GET", "/api/v1/users/ann/sessions").bearer(token);
    let list = rig.ask(&sessions(&first)).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let own = list["items"].as_array().unwrap().iter().find(|item| item["current"] == true).unwrap();
    let path = format!("/api/v1/users/ann/sessions/{}", own["id"].as_str().unwrap());
    let (bob, _) = rig.log_in("bob").await;
    assert_eq!(rig.ask(&sessions(&bob)).await.status, 403);
    assert_eq!(rig.ask(&Ask::new("DELETE", &path).bearer(&bob)).await.status, 403);
    assert_eq!(rig.ask(&Ask::new("DELETE", &path).bearer(&second)).await.status, 204);
    assert_eq!(rig.ask(&sessions(&first)).await.status, 401);
    assert_eq!(rig.ask(&sessions(&second)).await.status, 200);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (own, _) = rig.log_in("ann").await;
    let (other, _) = rig.log_in("ann").await;
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        Ask::new("POST", "/api/v1/auth/password").bearer(&own).json(&body)
    };
    assert_eq!(rig.ask(&change("wrong", "a new password")).await.problem(), "wrong-password");
    assert_eq!(rig.ask(&change("the password of ann", "short")).await.status, 422);
    assert_eq!(rig.ask(&change("the password of ann", "a new password")).await.status, 204);
    let me = |token: &str| Ask::new("GET", "/api/v1/auth/me").bearer(token);
    assert_eq!(rig.ask(&me(&own)).await.status, 401, "whoever has a copy of it has it no more");
    assert_eq!(rig.ask(&me(&other)).await.status, 401);
    assert_eq!(rig.ask(&log_in("ann", "a new password")).await.status, 200);
    assert_eq!(rig.ask(&log_in("ann", "the password of ann")).await.status, 401);
}

#[tokio::test]
async fn settings_change_under_an_etag_and_hold_at_once() {
    let rig = Rig::new().await;
    let get = rig.local(&Ask::new("GET", "/api/v1/settings")).await;
    assert_eq!(get.json(), json!({ "session_idle_seconds": 604_800, "session_absolute_seconds": 2_592_000 }));
    let tag = get.field("etag").unwrap().to_owned();
    let change = |body| Ask::new("PATCH", "/api/v1/settings").field("If-Match", &tag).json(&body);
    assert_eq!(rig.local(&change(json!({ "session_idle_seconds": 10 }))).await.status, 422);
    assert_eq!(rig.local(&change(json!({ "session_absolute_seconds": 600 }))).await.status, 422);
    let changed = rig.local(&change(json!({ "session_idle_seconds": 300 }))).await;
    assert_eq!(changed.json()["session_idle_seconds"], 300);
    assert_eq!(rig.local(&change(json!({ "session_idle_seconds": 400 }))).await.status, 412);
    let now = changed.field("etag").unwrap();
    let list = Ask::new("PATCH", "/api/v1/settings").field("If-Match", &format!("{tag}, {now}"));
    let list = list.json(&json!({ "session_idle_seconds": 400 }));
    assert_eq!(rig.local(&list).await.json()["session_idle_seconds"], 400, "one of a list is enough");
}

/// The first user, by the link that the log shows: once, and only where there is none.
#[tokio::test]
async fn the_set_up_link_works_once() {
    let rig = Rig::new().await;
    let token = rig.auth.open_set_up().unwrap();
    let client = Client::default();
    let set_up = async |token: &str, name: &str, password: &str| {
        rig.auth.set_up(token, name, password.to_owned(), &client).await.map(|new| new.role)
    };
    assert!(matches!(set_up("guess", "ann", "correct horse").await, Err(SetUpError::Link)));
    let short = set_up(&token, "ann", "short").await;
    assert!(matches!(short, Err(SetUpError::User(UserError::Password(_)))));
    assert!(rig.auth.is_set_up(&token), "a bad password does not use it up");
    let (one, two) = tokio::join!(
        set_up(&token, "ann", "correct horse"),
        rig.auth.set_up(&token, "eve", "correct horse".to_owned(), &client)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "of two at once one is first");
    assert!(matches!(set_up(&token, "eve", "correct horse").await, Err(SetUpError::Link)));
    assert_eq!(rig.auth.users().len(), 1);
    assert_eq!(rig.auth.open_set_up(), None);
    let again = rig.again().await;
    assert_eq!(again.auth.open_set_up(), None);
}

/// A user who is made otherwise closes it as well.
#[tokio::test]
async fn the_set_up_link_ends_with_the_first_user() {
    let rig = Rig::new().await;
    let token = rig.auth.open_set_up().unwrap();
    rig.auth
        .add_user(
            &root(),
            wakedock::admin::auth::NewUser {
                name: "ann".to_owned(),
                role: Role::Viewer,
                password: "correct horse".to_owned(),
            },
        )
        .await
        .unwrap();
    assert!(!rig.auth.is_set_up(&token));
}

/// The story: the entry said that there was a new key where none could be written.
#[tokio::test]
async fn a_key_that_cannot_be_written_is_not_said_to_be_changed() {
    let rig = Rig::new().await;
    let rotate = Ask::new("POST", "/api/v1/settings/rotate-key");
    assert_eq!(rig.local(&rotate).await.status, 204);
    let deeds = async || -> Vec<String> { rig.audit().await.into_iter().map(|entry| entry.what).collect() };
    assert_eq!(deeds().await, ["key-rotated"]);
    // A folder in the place of the file: it cannot be replaced, whoever tries.
    let key = rig.socket.parent().unwrap().join("jwt.key");
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir_all(key.join("in the way")).unwrap();
    assert_eq!(rig.local(&rotate).await.problem(), "key-unavailable");
    assert_eq!(deeds().await, ["key-not-rotated", "key-rotated", "key-rotated"], "found out last, and said");
    std::fs::remove_dir_all(&key).unwrap();
    let storm = rig.disk.fail();
    assert_eq!(rig.local(&rotate).await.problem(), "store-unavailable");
    drop(storm);
    let beside: Vec<_> = std::fs::read_dir(key.parent().unwrap())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("jwt.key"))
        .collect();
    assert!(beside.is_empty(), "{beside:?} is left");
}

/// The story: the person who changes a password goes on, and whoever has stolen their cookie did, too.
#[tokio::test]
async fn on_a_page_whoever_changes_the_password_goes_on_under_a_new_session() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, csrf) = rig.browser("ann").await;
    let form = format!("csrf={csrf}&current=the+password+of+ann&password=a+new+password");
    let answer = rig.ask(&Ask::new("POST", "/account/password").cookie(&cookie).form(&form)).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let set = answer.field("set-cookie").unwrap();
    let fresh = set.strip_prefix("wakedock=").unwrap().split(';').next().unwrap();
    let me = |cookie: &str| Ask::new("GET", "/api/v1/auth/me").cookie(cookie);
    assert_eq!(rig.ask(&me(fresh)).await.status, 200);
    assert_eq!(rig.ask(&me(&cookie)).await.status, 401);
}

/// The story: anybody who sent empty names to the log-in kept the first user from being made.
#[tokio::test]
async fn nobody_keeps_the_first_user_from_being_made() {
    let rig = Rig::new().await;
    let token = rig.auth.open_set_up().unwrap();
    for number in 0..8 {
        let from = format!("10.0.0.{number}");
        for ask in [log_in("", "x"), log_in("set-up", "x"), log_in("user ", "x")] {
            rig.ask(&ask.field("X-Forwarded-For", &from)).await;
        }
        let wrong = Ask::new("POST", "/setup").form("token=none&username=eve&password=long+enough");
        rig.ask(&wrong.field("X-Forwarded-For", &from)).await;
    }
    let right = format!("token={token}&username=ann&password=long+enough");
    let made = Ask::new("POST", "/setup").field("X-Forwarded-For", "10.9.9.9").form(&right);
    assert_eq!(rig.ask(&made).await.status, 303);
    assert_eq!(rig.auth.user("ann").unwrap().role, Role::Admin);
}

/// Whoever is somebody's token, or has their name at a log-in proxy, is not them.
#[tokio::test]
async fn an_account_is_its_owner_s_alone() {
    let rig = Rig::with(|config| {
        config.forward_auth.proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.forward_auth.roles.viewer = vec!["guests".into()];
    })
    .await;
    rig.user("adm", Role::Admin).await;
    let new = rig.auth.sign_in("adm", super::rig::password("adm"), &Client::default()).await.unwrap();
    let via = Via::Session { id: std::sync::Arc::clone(&new.session.id) };
    let adm = Caller { name: "adm".into(), role: Role::Admin, via, address: None, services: None };
    let display = rig.token(&adm, Role::Viewer, None).await;
    rig.token(&adm, Role::Admin, None).await;
    let tokens = rig.auth.list_tokens(Some("adm"));
    let of = |role| tokens.iter().find(|token| token.role == role).unwrap().id.to_string();
    let callers: [fn(Ask, &str) -> Ask; 2] = [
        |ask, token| ask.bearer(token),
        |ask, _| ask.field("Remote-User", "adm").field("Remote-Groups", "guests"),
    ];
    for (number, show) in callers.into_iter().enumerate() {
        let ask = async |method: &str, path: &str| {
            let ask = Ask::new(method, path);
            // A page of ours, as far as that goes.
            let proxied = Caller {
                name: "adm".into(),
                role: Role::Viewer,
                via: Via::Proxy,
                address: None,
                services: None,
            };
            let ask = ask.field("X-CSRF-Token", &rig.auth.csrf_token(&proxied).unwrap());
            rig.ask(&show(ask, &display)).await
        };
        assert_eq!(ask("GET", "/api/v1/users/adm/sessions").await.status, 403);
        assert_eq!(ask("DELETE", "/api/v1/users/adm/sessions").await.status, 403);
        assert_eq!(
            ask("DELETE", &format!("/api/v1/tokens/{}", of(Role::Admin))).await.problem(),
            "unknown-token"
        );
        let seen = ask("GET", "/api/v1/tokens").await.json();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1 - number, "{seen}");
    }
    let own = Ask::new("DELETE", &format!("/api/v1/tokens/{}", of(Role::Viewer))).bearer(&display);
    assert_eq!(rig.ask(&own).await.status, 204, "itself it may");
}
