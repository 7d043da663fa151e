//! Providers that are not there, or are none.

use serde_json::json;
use tokio::net::TcpListener;
use wakedock::clock;
use wakedock::oidc::{OidcError, Provider, Standing};

use super::{CALLBACK, Pair};
use crate::support::fake_provider::Discovery;

async fn reason(pair: &Pair) -> String {
    // Each time as if nothing were known yet.
    match Provider::default().log_in_at(&pair.config, CALLBACK, &pair.attempt).await {
        Err(OidcError::Away { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_provider_is_not_taken_for_one() {
    let pair = Pair::new().await;
    for (discovery, why) in
        [(Discovery::Endless, "larger than"), (Discovery::Elsewhere, "303"), (Discovery::Broken, "500")]
    {
        pair.provider.set(|script| script.discovery = discovery);
        let reason = reason(&pair).await;
        assert!(reason.contains(why), "{reason}");
    }
    pair.provider.set(|script| script.discovery = Discovery::Honest);
    for (document, why) in [
        (json!({ "issuer": "https://auth.example.com" }), "unexpected issuer"),
        (json!({ "jwks_uri": "http://auth.example.com/keys" }), "neither https nor"),
        (json!({ "authorization_endpoint": "http://auth.example.com/" }), "not https"),
        (json!({ "authorization_endpoint": "javascript:alert(1)" }), "not https"),
        (json!({ "authorization_endpoint": null }), "parse"),
    ] {
        pair.provider.set(|script| script.document = document);
        let reason = reason(&pair).await;
        assert!(reason.contains(why), "{reason}");
    }
}

/// Nobody waits for a provider that was away a moment ago.
#[tokio::test]
async fn a_provider_that_is_away_is_asked_now_and_then() {
    let pair = Pair::new().await;
    pair.provider.set(|script| script.discovery = Discovery::Broken);
    assert_eq!(pair.ours.standing(&pair.config).await, Standing::Away);
    for _ in 0..5 {
        assert!(pair.ours.log_in_at(&pair.config, CALLBACK, &pair.attempt).await.is_err());
        assert_eq!(pair.ours.standing(&pair.config).await, Standing::Away);
    }
    assert_eq!(pair.provider.read(|script| script.discoveries), 1);
}

/// A page that shows whether it is there does not wait for one that is slow, and what was asked is
/// known afterwards.
#[tokio::test]
async fn a_slow_provider_holds_up_no_page() {
    let pair = Pair::new().await;
    pair.provider.set(|script| script.discovery = Discovery::Slow);
    let asked = clock::now();
    assert_eq!(pair.ours.standing(&pair.config).await, Standing::Asked);
    assert_eq!(pair.ours.standing(&pair.config).await, Standing::Asked);
    assert!(clock::now().since(asked).as_millis() < 850);
    pair.ours.log_in_at(&pair.config, CALLBACK, &pair.attempt).await.unwrap();
    assert_eq!(pair.ours.standing(&pair.config).await, Standing::Here);
    assert_eq!(pair.provider.read(|script| script.discoveries), 1);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_at_once() {
    let mut pair = Pair::new().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    pair.config.issuer = Some(format!("http://{nobody}"));
    let reason = reason(&pair).await;
    assert!(reason.contains("refused"), "{reason}");
}

/// Another issuer in the configuration is another provider.
#[tokio::test]
async fn nothing_is_remembered_of_another_issuer() {
    let mut pair = Pair::new().await;
    assert_eq!(pair.ours.standing(&pair.config).await, Standing::Here);
    let other = Pair::new().await;
    pair.config.issuer = other.config.issuer.clone();
    let url = pair.ours.log_in_at(&pair.config, CALLBACK, &pair.attempt).await.unwrap();
    assert!(url.starts_with(&other.provider.issuer()), "{url}");
}
