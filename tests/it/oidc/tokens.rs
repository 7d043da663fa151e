//! ID tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreHmacKey, CoreJwsSigningAlgorithm};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier, PrivateSigningKey};
use serde_json::{Value as Json, json};
use wakedock::oidc::{OidcError, Person};

use super::{CALLBACK, Pair};
use crate::support::fake_provider::{CLIENT, Key, SECRET, unsigned};

#[tokio::test]
async fn the_browser_is_sent_with_state_nonce_and_challenge() {
    let pair = Pair::new().await;
    let url = pair.ours.log_in_at(&pair.config, CALLBACK, &pair.attempt).await.unwrap();
    let (page, query) = url.split_once('?').unwrap();
    assert_eq!(page, format!("{}/authorize", pair.provider.issuer()));
    let challenge =
        PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pair.attempt.verifier.clone()));
    for part in [
        "response_type=code",
        "client_id=wakedock",
        "state=a-state",
        "nonce=a-nonce",
        "scope=openid+profile",
        "code_challenge_method=S256",
        &format!("code_challenge={}", challenge.as_str()),
        "redirect_uri=http%3A%2F%2F127.0.0.1%3A7081%2Foidc%2Fcallback",
    ] {
        assert!(query.split('&').any(|said| said == part), "{part} in {query}");
    }
    assert!(!url.contains(&pair.attempt.verifier) && !url.contains(SECRET), "{url}");
}

#[tokio::test]
async fn an_honest_token_says_who_it_is() {
    let pair = Pair::new().await;
    pair.provider.will_say(&pair.provider.claims("a-nonce"));
    let person = pair.person().await.unwrap();
    let id_token = person.id_token.clone();
    assert!(!format!("{person:?}").contains("ey"), "the token itself is shown nowhere");
    let expected = Person {
        id_token,
        issuer: pair.provider.issuer(),
        subject: "1234".into(),
        name: Some("ada".into()),
        groups: vec!["staff".into()],
    };
    assert_eq!(person, expected);
    let (form, basic) = pair.provider.read(|script| script.redeemed[0].clone());
    assert!(form.contains(&format!("code_verifier={}", pair.attempt.verifier)), "{form}");
    assert!(form.contains("grant_type=authorization_code") && form.contains("code=a-code"), "{form}");
    assert!(!form.contains(SECRET), "{form}");
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    assert_eq!(basic, Some(expected));
    // What the provider says of itself is asked for once.
    pair.person().await.unwrap();
    assert_eq!(pair.provider.read(|script| (script.discoveries, script.key_fetches)), (1, 1));
}

#[tokio::test]
async fn a_provider_that_wants_the_secret_in_the_form_gets_it_there() {
    let pair = Pair::new().await;
    pair.provider.set(|script| {
        script.document = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    });
    pair.provider.will_say(&pair.provider.claims("a-nonce"));
    pair.person().await.unwrap();
    let (form, basic) = pair.provider.read(|script| script.redeemed[0].clone());
    assert!(form.contains(SECRET) && basic.is_none(), "{form}");
}

/// Many providers say the groups at the user-info endpoint only.
#[tokio::test]
async fn what_the_token_leaves_out_is_asked_for() {
    let pair = Pair::new().await;
    let mut claims = pair.provider.claims("a-nonce");
    for claim in ["preferred_username", "groups"] {
        claims.as_object_mut().unwrap().remove(claim);
    }
    pair.provider.will_say(&claims);
    let info = json!({ "sub": "1234", "preferred_username": "ada", "groups": ["staff", "night"] });
    pair.provider.set(|script| script.userinfo = Some(info));
    let person = pair.person().await.unwrap();
    assert_eq!((person.name.as_deref(), person.groups.len()), (Some("ada"), 2));

    // Of somebody else it counts for nothing.
    let other = json!({ "sub": "1", "preferred_username": "root", "groups": ["admins"] });
    pair.provider.set(|script| script.userinfo = Some(other));
    assert!(pair.disbelief().await.contains("verify"));
    pair.provider.set(|script| script.userinfo = None);
    assert!(matches!(pair.person().await, Err(OidcError::Away { .. })));
    // A token that fits into no header field is not sent, and breaks nothing.
    pair.provider.set(|script| script.access_token = "a\nb".into());
    assert_eq!(pair.person().await.unwrap().groups, Vec::<String>::new());
}

fn with(claims: &Json, name: &str, value: Json) -> Json {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_that_are_not_for_this_log_in_are_refused() {
    let pair = Pair::new().await;
    let good = pair.provider.claims("a-nonce");
    let now = good["iat"].as_i64().unwrap();
    for (name, value, why) in [
        ("nonce", json!("another-nonce"), "nonce"),
        ("nonce", json!(null), "nonce"),
        ("aud", json!("another-client"), "audience"),
        ("aud", json!([]), "audience"),
        ("iss", json!("http://127.0.0.1:1"), "issuer"),
        ("exp", json!(now - 120), "Expired"),
        ("iat", json!(now - 3600), "issued"),
        ("iat", json!(now + 3600), "issued"),
        ("azp", json!("another-client"), "another-client"),
        ("aud", json!([CLIENT, "another-client"]), "several clients"),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), "access token"),
    ] {
        pair.provider.will_say(&with(&good, name, value.clone()));
        let reason = pair.disbelief().await;
        assert!(reason.contains(why), "{name} {value}: {reason}");
    }
    // With several audiences, who asked decides.
    let ours = with(&with(&good, "aud", json!([CLIENT, "a-project"])), "azp", json!(CLIENT));
    pair.provider.will_say(&ours);
    pair.person().await.unwrap();
}

#[tokio::test]
async fn tokens_that_the_provider_did_not_sign_are_refused() {
    let pair = Pair::new().await;
    let good = pair.provider.claims("a-nonce");
    let key = pair.provider.read(|script| script.keys[0].clone());

    let none = unsigned(&json!({ "alg": "none" }), &good) + ".";
    let head = json!({ "alg": "HS256", "kid": "one" });
    let hmac = |secret: &[u8]| {
        let parts = unsigned(&head, &good);
        let key = CoreHmacKey::new(secret.to_vec());
        let made = key.sign(&CoreJwsSigningAlgorithm::HmacSha256, parts.as_bytes()).unwrap();
        format!("{parts}.{}", URL_SAFE_NO_PAD.encode(made))
    };
    // The classic: the public key as if it were a secret.
    let public: Json = serde_json::to_value(pair.provider.read(|script| script.keys[0].public())).unwrap();
    let public = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let (head, signature) = {
        let token = key.sign(&good);
        let mut parts = token.split('.').map(str::to_owned);
        (parts.next().unwrap(), parts.nth(1).unwrap())
    };
    let changed = with(&good, "sub", json!("somebody-else")).to_string();
    let changed = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(changed));
    let foreign = Key::new("one", 9).sign(&good);

    for (what, token) in [
        ("alg none", none),
        ("HMAC with the client's secret", hmac(SECRET.as_bytes())),
        ("HMAC with the public key", hmac(&public)),
        ("changed after it was signed", changed),
        ("another key of the same name", foreign),
    ] {
        pair.provider.set(|script| script.id_token = Some(token));
        let reason = pair.disbelief().await;
        assert!(!reason.is_empty(), "{what}");
    }
}

/// A provider that has changed its keys is believed at once, and one that names keys it does not
/// have is not asked again and again.
#[tokio::test]
async fn unknown_keys_are_fetched_once() {
    let pair = Pair::new().await;
    let good = pair.provider.claims("a-nonce");
    pair.provider.will_say(&good);
    pair.person().await.unwrap();

    pair.provider.set(|script| script.keys = vec![Key::new("two", 2)]);
    pair.provider.will_say(&good);
    pair.person().await.unwrap();
    assert_eq!(pair.provider.read(|script| script.key_fetches), 2);

    let unknown = Key::new("three", 3).sign(&good);
    pair.provider.set(|script| script.id_token = Some(unknown));
    for _ in 0..5 {
        assert!(pair.disbelief().await.contains("does not have"));
    }
    assert_eq!(pair.provider.read(|script| (script.discoveries, script.key_fetches)), (1, 2));
}

#[tokio::test]
async fn a_refused_code_says_why_in_one_line() {
    let pair = Pair::new().await;
    let refused = pair.person().await;
    let Err(OidcError::Refused { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("invalid_grant") && reason.contains("spent or too old"), "{reason}");
}
