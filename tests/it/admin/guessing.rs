//! People who guess.

use wakedock::domain::words::Role;

use super::rig::{Answer, Ask, Rig, log_in, password};

fn wrong(answer: &Answer) {
    assert_eq!((answer.status, answer.problem().as_str()), (401, "wrong-credentials"), "{answer:?}");
}

#[tokio::test]
async fn unknown_users_cost_the_same_and_are_answered_the_same() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let before = rig.auth.passwords_checked();
    let known = rig.ask(&log_in("ann", "not the password")).await;
    let unknown = rig.ask(&log_in("eve", "not the password")).await;
    wrong(&known);
    wrong(&unknown);
    assert_eq!(rig.auth.passwords_checked(), before + 2, "the same work was done for both");
    assert_eq!(known.body, unknown.body);
    let fields = |answer: &Answer| {
        let mut names: Vec<_> = answer.fields.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(fields(&known), fields(&unknown));
    let change = wakedock::admin::auth::UserChange { disabled: Some(true), ..Default::default() };
    rig.auth.change_user(&super::rig::root(), "ann", change, None).await.unwrap();
    let disabled = rig.ask(&log_in("ann", &password("ann"))).await;
    wrong(&disabled);
    assert_eq!(disabled.body, known.body);
    assert_eq!(rig.auth.passwords_checked(), before + 3);
}

#[tokio::test]
async fn brute_force_is_429_with_when_to_come_back() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    // Made before: the first delay is a second, and a password takes its time.
    rig.user("bob", Role::User).await;
    for left in (0..5).rev() {
        let answer = rig.ask(&log_in("ann", "guess").field("X-Forwarded-For", "192.0.2.1")).await;
        wrong(&answer);
        assert_eq!(answer.field("ratelimit"), Some(format!("\"log-in\";r={left};t=900").as_str()));
        assert_eq!(answer.field("ratelimit-policy"), Some("\"log-in\";q=5;w=900"));
    }
    let before = rig.auth.passwords_checked();
    let answer = rig.ask(&log_in("ann", &password("ann"))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (429, "too-many-tries"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert!(answer.field("ratelimit").unwrap().starts_with("\"log-in\";r=0;"));
    assert_eq!(rig.auth.passwords_checked(), before, "no work for whoever is kept out");
    // So is anybody else from the place of the guesses, and nobody from another one.
    let same = log_in("bob", &password("bob")).field("X-Forwarded-For", "192.0.2.1");
    assert_eq!(rig.ask(&same).await.status, 429);
    let other = log_in("bob", &password("bob")).field("X-Forwarded-For", "192.0.2.2");
    assert_eq!(rig.ask(&other).await.status, 200);
}

/// Whose word does not count cannot be somebody else with every guess.
#[tokio::test]
async fn a_spoofed_forwarded_for_does_not_help() {
    let rig = Rig::with(|config| config.trusted_proxies = Vec::new()).await;
    let mut refused = 0;
    for number in 0..7 {
        let ask =
            log_in(&format!("user{number}"), "guess").field("X-Forwarded-For", &format!("192.0.2.{number}"));
        refused += usize::from(rig.ask(&ask).await.status == 429);
    }
    assert_eq!(refused, 2);
    // A trusted proxy adds the real one at the end: what stands before it does not count either.
    let rig = Rig::new().await;
    let mut refused = 0;
    for number in 0..7 {
        let list = format!("203.0.113.{number}, 192.0.2.1");
        let ask = log_in(&format!("user{number}"), "guess").field("X-Forwarded-For", &list);
        refused += usize::from(rig.ask(&ask).await.status == 429);
    }
    assert_eq!(refused, 2);
}

/// Guesses side by side count like guesses in a row.
#[tokio::test]
async fn guesses_side_by_side_are_counted() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let all = (0..12).map(|_| async { rig.ask(&log_in("ann", "guess")).await.status });
    let mut answers = futures_util::future::join_all(all).await;
    answers.sort_unstable();
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 5, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 7, "{answers:?}");
}

/// What people type in the place of a name may be their password.
#[tokio::test]
async fn failed_log_ins_are_in_the_audit_without_what_was_typed() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let from = |name: &str| log_in(name, "secret guess").field("X-Forwarded-For", "192.0.2.9");
    wrong(&rig.ask(&from("ann")).await);
    wrong(&rig.ask(&from("hunter2hunter2")).await);
    let audit = rig.audit().await;
    let failed: Vec<_> = audit.iter().filter(|entry| entry.what == "log-in-failed").collect();
    assert_eq!(failed.len(), 2);
    assert_eq!((failed[0].subject.as_str(), failed[1].subject.as_str()), ("", "ann"));
    assert_eq!(failed[0].address.as_deref(), Some("192.0.2.9"));
    let all = serde_json::to_string(&audit).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("secret guess") && !all.contains("argon2"), "{all}");
}

#[tokio::test]
async fn log_in_bodies_are_read_strictly() {
    let rig = Rig::new().await;
    let post = |body: &str| Ask::new("POST", "/api/v1/auth/login").json(&serde_json::from_str(body).unwrap());
    for body in [r#"{"username":"a"}"#, r#"{"username":"a","password":"b","role":"admin"}"#, "[]", "1"] {
        assert_eq!(rig.ask(&post(body)).await.problem(), "bad-json", "{body}");
    }
    let form = Ask::new("POST", "/api/v1/auth/login").form("username=a&password=b");
    assert_eq!(rig.ask(&form).await.status, 415);
}
