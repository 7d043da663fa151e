//! Log-in by a proxy in front.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use wakedock::admin::auth::UserChange;
use wakedock::config::{AdminConfig, ForwardRoles};
use wakedock::domain::words::Role;

use super::rig::{Ask, Rig, root, soon};

fn trusting(config: &mut AdminConfig) {
    config.forward_auth.proxies = vec!["127.0.0.1/32".parse().unwrap()];
    config.forward_auth.roles =
        ForwardRoles { admin: vec!["admins".into()], user: vec!["family".into()], viewer: Vec::new() };
}

fn me(user: &str, groups: &str) -> Ask {
    Ask::new("GET", "/api/v1/auth/me").field("Remote-User", user).field("Remote-Groups", groups)
}

#[tokio::test]
async fn a_remote_user_from_an_untrusted_peer_is_nobody() {
    let rig = Rig::new().await;
    assert_eq!(rig.ask(&me("ann", "admins")).await.status, 401);
    // Listed is somebody else: a peer whose X-Forwarded-For is believed is no log-in proxy yet.
    let rig = Rig::with(|config| {
        trusting(config);
        config.forward_auth.proxies = vec!["10.0.0.1/32".parse().unwrap()];
    })
    .await;
    assert_eq!(rig.ask(&me("ann", "admins").field("X-Forwarded-For", "10.0.0.1")).await.status, 401);
}

/// What comes through the data plane came from anybody.
#[tokio::test]
async fn a_remote_user_through_the_data_plane_is_nobody() {
    let rig = Rig::with(trusting).await;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    rig.hand_over.send(theirs).await.unwrap();
    ours.set_nonblocking(true).unwrap();
    let stream = tokio::net::UnixStream::from_std(ours).unwrap();
    let answer = super::rig::soon(super::rig::exchange(stream, &me("ann", "admins").wire())).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn groups_give_roles_and_no_group_gives_nothing() {
    let rig = Rig::with(trusting).await;
    for (groups, role) in [("admins", "admin"), ("family,admins", "admin"), ("x, family", "user")] {
        let answer = rig.ask(&me("Ann", groups)).await.json();
        assert_eq!(answer["role"], role, "{groups}");
        assert_eq!((answer["username"].as_str(), answer["via"].as_str()), (Some("ann"), Some("proxy")));
    }
    for groups in ["", "adminsx", "Admins"] {
        assert_eq!(rig.ask(&me("ann", groups)).await.status, 403, "{groups}");
    }
    let two = me("ann", "family").field("Remote-User", "root");
    assert_eq!(rig.ask(&two).await.problem(), "ambiguous-credentials");
    // A browser with a log-in proxy in front sends that by itself, as it would a cookie.
    let change = |csrf: &str| {
        Ask::new("POST", "/api/v1/settings/rotate-key")
            .field("Remote-User", "ann")
            .field("Remote-Groups", "admins")
            .field("X-CSRF-Token", csrf)
    };
    assert_eq!(rig.ask(&change("")).await.problem(), "csrf");
    let own = rig.ask(&me("ann", "admins")).await.json();
    assert_eq!(rig.ask(&change(own["csrf_token"].as_str().unwrap())).await.status, 204);
}

#[tokio::test]
async fn whoever_is_disabled_here_does_not_come_in_by_the_proxy() {
    let rig = Rig::with(trusting).await;
    rig.user("ann", Role::User).await;
    assert_eq!(rig.ask(&me("ann", "family")).await.status, 200);
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    rig.auth.change_user(&root(), "ann", change, None).await.unwrap();
    assert_eq!(rig.ask(&me("ann", "family")).await.status, 403);
}

/// The story: a proxy was taken off the list, and the pages that had come by it went on being told
/// everything.
#[tokio::test]
async fn another_configuration_ends_what_came_by_the_proxy() {
    type Edit = fn(&mut AdminConfig);
    let edits: [Edit; 3] = [
        |config| config.forward_auth.proxies.clear(),
        |config| config.forward_auth.roles.admin = vec!["others".into()],
        |config| config.forward_auth.user = "x-user".into(),
    ];
    for edit in edits {
        let rig = Rig::with(trusting).await;
        let ask = || {
            let ask = Ask::new("GET", "/api/v1/events");
            ask.field("Remote-User", "ann").field("Remote-Groups", "admins")
        };
        let mut stream = rig.follow(ask()).await;
        rig.reconfigure(|config| config.metrics_auth = true);
        let mut some = [0; 4096];
        let more = tokio::time::timeout(Duration::from_millis(100), async {
            while stream.read(&mut some).await.unwrap() > 0 {}
        });
        assert!(more.await.is_err(), "what is no matter of log-in ends nothing");
        rig.reconfigure(edit);
        let mut rest = Vec::new();
        soon(stream.read_to_end(&mut rest)).await.unwrap();
        assert!(String::from_utf8_lossy(&rest).contains("event: end\ndata: {\"why\":\"log-in\"}"));
        assert!([401, 403].contains(&rig.ask(&ask()).await.status));
    }
}

/// Whoever is disabled here loses what is open, too.
#[tokio::test]
async fn disabling_somebody_ends_what_they_follow_by_the_proxy() {
    let rig = Rig::with(trusting).await;
    rig.user("root", Role::Admin).await;
    rig.user("ann", Role::Viewer).await;
    let ask = Ask::new("GET", "/api/v1/events").field("Remote-User", "ann");
    let mut stream = rig.follow(ask.field("Remote-Groups", "family")).await;
    let change = UserChange { disabled: Some(true), ..UserChange::default() };
    rig.auth.change_user(&root(), "ann", change, None).await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
}

/// Every log-in is in the audit, and not every request of it.
#[tokio::test]
async fn whoever_comes_by_the_proxy_is_in_the_audit_once() {
    let rig = Rig::with(trusting).await;
    for who in ["ann", "bob", "ann", "ann"] {
        assert_eq!(rig.ask(&me(who, "family")).await.status, 200);
    }
    rig.ask(&me("eve", "strangers")).await;
    let log_ins: Vec<_> = rig
        .audit()
        .await
        .into_iter()
        .map(|entry| (entry.who, entry.via, entry.what, entry.address))
        .collect();
    let log_in =
        |who: &str| (who.to_owned(), "proxy".to_owned(), "log-in".to_owned(), Some("127.0.0.1".to_owned()));
    assert_eq!(log_ins, [log_in("bob"), log_in("ann")]);
}
