//! Tokens of every kind, and what people do with other people's.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use wakedock::admin::auth::UserChange;
use wakedock::domain::words::Role;

use super::rig::{Answer, Ask, Rig, root};

fn me() -> Ask {
    Ask::new("GET", "/api/v1/auth/me")
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status, answer.problem().as_str()), (401, "bad-token"), "{answer:?}");
    assert!(answer.field("www-authenticate").unwrap().starts_with("Bearer"));
}

fn refresh(token: &str) -> Ask {
    Ask::new("POST", "/api/v1/auth/refresh").json(&serde_json::json!({ "refresh_token": token }))
}

#[tokio::test]
async fn a_log_in_gives_tokens_that_say_who_one_is() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (access, _) = rig.log_in("ann").await;
    let answer = rig.ask(&me().bearer(&access)).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!((json["username"].as_str(), json["role"].as_str()), (Some("ann"), Some("user")));
    assert_eq!(json["via"], "session");
    assert!(json["expires_at"].is_string());
    assert_eq!(rig.ask(&me()).await.status, 401);
}

#[tokio::test]
async fn jwt_alg_none_swapped_and_tampered_are_refused_at_the_door() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Viewer).await;
    let (access, _) = rig.log_in("ann").await;
    let parts: Vec<&str> = access.split('.').collect();
    let claims = String::from_utf8(BASE64.decode(parts[1]).unwrap()).unwrap();
    let admin = BASE64.encode(claims.replace("viewer", "admin"));
    let none = BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let hs512 = BASE64.encode(r#"{"alg":"HS512","typ":"JWT"}"#);
    for token in [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{hs512}.{}.{}", parts[1], parts[2]),
        format!("{}.{admin}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        "wd_".to_owned() + &"0".repeat(49),
        "x".to_owned(),
    ] {
        refused(&rig.ask(&me().bearer(&token)).await);
    }
    assert_eq!(rig.ask(&me().bearer(&access)).await.status, 200);
}

/// A token of another WakeDock, or of this one before its key was changed.
#[tokio::test]
async fn a_changed_key_ends_tokens_and_no_browser() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (access, refreshing) = rig.log_in("ann").await;
    let (cookie, _) = rig.browser("ann").await;
    let answer = rig.ask(&Ask::new("POST", "/api/v1/settings/rotate-key").bearer(&access)).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    refused(&rig.ask(&me().bearer(&access)).await);
    assert_eq!(rig.ask(&refresh(&refreshing)).await.status, 401);
    assert_eq!(rig.ask(&me().cookie(&cookie)).await.status, 200);
}

#[tokio::test]
async fn ambiguous_credentials_are_refused() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (access, _) = rig.log_in("ann").await;
    let (cookie, _) = rig.browser("ann").await;
    let all = [
        ("two authorization fields", me().bearer(&access).bearer(&access)),
        ("cookie and bearer together", me().bearer(&access).cookie(&cookie)),
        ("two cookies", me().cookie(&cookie).cookie(&cookie)),
        ("token in the query", Ask::new("GET", &format!("/api/v1/auth/me?access_token={access}"))),
        ("token in the query", Ask::new("GET", &format!("/api/v1/auth/me?TOKEN={access}")).bearer(&access)),
    ];
    for (what, ask) in all {
        let answer = rig.ask(&ask).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "ambiguous-credentials"), "{what}");
    }
    // A scheme that is not ours, such as that of a proxy in front, is nothing.
    let basic = me().cookie(&cookie).field("Authorization", "Basic YTpi");
    assert_eq!(rig.ask(&basic).await.status, 200);
}

#[tokio::test]
async fn refresh_reuse_ends_the_whole_family() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (first_access, first) = rig.log_in("ann").await;
    let (other_access, _) = rig.log_in("ann").await;
    let answer = rig.ask(&refresh(&first)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let (second_access, second) =
        (json["access_token"].as_str().unwrap(), json["refresh_token"].as_str().unwrap());
    assert_eq!(rig.ask(&me().bearer(second_access)).await.status, 200);
    // Whoever has the old one as well has stolen it, or was stolen from.
    assert_eq!(rig.ask(&refresh(&first)).await.problem(), "bad-token");
    assert_eq!(rig.ask(&refresh(second)).await.status, 401);
    refused(&rig.ask(&me().bearer(second_access)).await);
    refused(&rig.ask(&me().bearer(&first_access)).await);
    assert_eq!(rig.ask(&me().bearer(&other_access)).await.status, 200, "another log-in goes on");
    assert!(rig.audit().await.iter().any(|entry| entry.what == "refresh-reused" && entry.subject == "ann"));
    for odd in ["", "wdr_", "wdr_a.b", &format!("{first}x"), &first[..20]] {
        assert_eq!(rig.ask(&refresh(odd)).await.status, 401, "{odd}");
    }
}

/// Log-out, another role, another password, being disabled or removed: each at once.
#[tokio::test]
async fn what_ends_a_session_ends_its_tokens_at_once() {
    let rig = Rig::new().await;
    rig.user("root", Role::Admin).await;
    let changes: [(&str, UserChange); 3] = [
        ("role", UserChange { role: Some(Role::Viewer), ..UserChange::default() }),
        ("password", UserChange { password: Some("another one".into()), ..UserChange::default() }),
        ("disabled", UserChange { disabled: Some(true), ..UserChange::default() }),
    ];
    for (name, change) in changes {
        rig.user(name, Role::User).await;
        let (access, refreshing) = rig.log_in(name).await;
        let (cookie, _) = rig.browser(name).await;
        assert_eq!(rig.ask(&me().bearer(&access)).await.status, 200);
        rig.auth.change_user(&root(), name, change, None).await.unwrap();
        refused(&rig.ask(&me().bearer(&access)).await);
        assert_eq!(rig.ask(&refresh(&refreshing)).await.status, 401, "{name}");
        assert_eq!(rig.ask(&me().cookie(&cookie)).await.status, 401, "{name}");
    }
    rig.user("leaver", Role::User).await;
    let (access, refreshing) = rig.log_in("leaver").await;
    assert_eq!(rig.ask(&Ask::new("POST", "/api/v1/auth/logout").bearer(&access)).await.status, 204);
    refused(&rig.ask(&me().bearer(&access)).await);
    assert_eq!(rig.ask(&refresh(&refreshing)).await.status, 401);
    rig.user("gone", Role::User).await;
    let (access, _) = rig.log_in("gone").await;
    rig.auth.remove_user(&root(), "gone", None).await.unwrap();
    refused(&rig.ask(&me().bearer(&access)).await);
}

#[tokio::test]
async fn api_tokens_have_a_role_a_scope_and_an_end() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    rig.user("bob", Role::User).await;
    let (bob, _) = rig.log_in("bob").await;
    let create = |role: &str| {
        let body = serde_json::json!({ "name": "backup", "role": role, "expires_in": "1h" });
        Ask::new("POST", "/api/v1/tokens").json(&body)
    };
    assert_eq!(rig.ask(&create("admin").bearer(&bob)).await.status, 403, "more than one's own role");
    let made = rig.ask(&create("viewer").bearer(&bob)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let (token, id) = (made.json()["token"].as_str().unwrap().to_owned(), made.json()["id"].clone());
    assert!(token.starts_with("wd_"));
    let answer = rig.ask(&me().bearer(&token)).await.json();
    assert_eq!((answer["via"].as_str(), answer["role"].as_str()), (Some("token"), Some("viewer")));
    assert_eq!(rig.ask(&create("viewer").bearer(&token)).await.status, 403, "a token makes none");
    // Nothing but its hash is kept, and nothing but its name shown.
    let list = rig.ask(&Ask::new("GET", "/api/v1/tokens").bearer(&bob)).await;
    assert!(list.body.contains("backup") && !list.body.contains(&token[3..20]), "{list:?}");
    assert!(list.json()["items"][0]["used_at"].is_string());
    let path = format!("/api/v1/tokens/{}", id.as_str().unwrap());
    assert_eq!(rig.ask(&Ask::new("DELETE", &path).bearer(&bob)).await.status, 204);
    refused(&rig.ask(&me().bearer(&token)).await);

    // A token is never more than its user.
    let token = {
        let made = rig.ask(&create("user").bearer(&bob)).await;
        made.json()["token"].as_str().unwrap().to_owned()
    };
    let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    rig.auth.change_user(&root(), "bob", change, None).await.unwrap();
    assert_eq!(rig.ask(&me().bearer(&token)).await.json()["role"], "viewer");
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    rig.auth.change_user(&root(), "bob", change, None).await.unwrap();
    refused(&rig.ask(&me().bearer(&token)).await);
}

#[tokio::test]
async fn a_token_for_one_service_sees_nothing_else() {
    let rig = Rig::new().await;
    let token = rig.token(&root(), Role::Admin, Some(vec!["cloud".to_owned()])).await;
    let status = async |path: &str| rig.ask(&Ask::new("GET", path).bearer(&token)).await.status;
    assert_eq!(status("/api/v1/services/cloud").await, 404, "there is no such service, and it may ask");
    for path in [
        "/api/v1/services/other",
        "/api/v1/services",
        "/api/v1/services/other%2f..%2fcloud",
        "/api/v1/users",
        "/api/v1/services/%63loud",
    ] {
        assert_eq!(status(path).await, 403, "{path}");
    }
    assert_eq!(status("/api/v1/auth/me").await, 200);
}

/// What is stored would let nobody in.
#[tokio::test]
async fn a_restart_keeps_sessions_and_tokens() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, _) = rig.browser("ann").await;
    let token = rig.token(&root(), Role::Viewer, None).await;
    let again = rig.again().await;
    assert_eq!(again.ask(&me().cookie(&cookie)).await.status, 200);
    assert_eq!(again.ask(&me().bearer(&token)).await.status, 200);
}

/// The story: a new key made every open page useless, and left what access tokens followed alone.
#[tokio::test]
async fn a_changed_key_leaves_pages_alone_and_ends_what_tokens_follow() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, csrf) = rig.browser("ann").await;
    let (access, _) = rig.log_in("ann").await;
    let mut stream = rig.follow(Ask::new("GET", "/api/v1/events").bearer(&access)).await;
    let _page = rig.follow(Ask::new("GET", "/api/v1/events").cookie(&cookie)).await;
    rig.auth.rotate_key(&root()).await.unwrap();
    let mut rest = Vec::new();
    super::rig::soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("log-in"));
    let revoke = Ask::new("DELETE", "/api/v1/tokens/none").cookie(&cookie).field("X-CSRF-Token", &csrf);
    assert_eq!(rig.ask(&revoke).await.problem(), "unknown-token");
}
