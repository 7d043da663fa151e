//! Log-in by an OpenID Connect provider, as a browser and as whoever would like to be another sees it.

use serde_json::{Value as Json, json};
use wakedock::admin::audit;
use wakedock::admin::auth::{Client, NewUser, UserChange};
use wakedock::admin::caller::{Caller, Via};
use wakedock::config::{AdminConfig, OidcConfig, Secret};
use wakedock::domain::words::Role;

use super::rig::{Answer, Ask, Rig};
use crate::support::fake_provider::{CLIENT, Discovery, FakeProvider, SECRET};

struct House {
    provider: FakeProvider,
    rig: Rig,
}

/// A browser that was sent to the provider.
struct Sent {
    to: String,
    state: String,
    nonce: String,
    /// `name=value`.
    cookie: String,
}

fn configure(config: &mut AdminConfig, provider: &FakeProvider) {
    config.oidc = OidcConfig {
        issuer: Some(provider.issuer()),
        client_id: Some(CLIENT.to_owned()),
        client_secret: Some(Secret::new(SECRET)),
        ..OidcConfig::default()
    };
    config.oidc.roles.admin = vec!["admins".to_owned()];
    config.oidc.roles.user = vec!["staff".to_owned()];
    config.oidc.roles.viewer = vec!["guests".to_owned()];
}

/// The value of a parameter in an address; none of those here is encoded.
fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {url}")).to_owned()
}

fn cookies(answer: &Answer) -> Vec<&str> {
    let set = answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    set.map(|(_, value)| value.as_str()).collect()
}

/// `name=value` of the cookie that says who somebody is.
fn session(answer: &Answer) -> Option<String> {
    let found = cookies(answer).into_iter().find(|cookie| {
        let name = cookie.split('=').next().unwrap();
        ["wakedock", "__Host-wakedock"].contains(&name)
    })?;
    found.split(';').next().map(ToOwned::to_owned)
}

impl House {
    async fn new() -> Self {
        let provider = FakeProvider::new().await;
        let rig = Rig::with(|config| configure(config, &provider)).await;
        Self { provider, rig }
    }

    async fn begin(&self, path: &str) -> Sent {
        let answer = self.rig.get(path).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let to = answer.field("location").unwrap().to_owned();
        let cookie = answer.field("set-cookie").unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        Sent {
            state: parameter(&to, "state"),
            nonce: parameter(&to, "nonce"),
            cookie: cookie.split(';').next().unwrap().to_owned(),
            to,
        }
    }

    async fn back(&self, sent: &Sent) -> Answer {
        let path = format!("/oidc/callback?code=a-code&state={}", sent.state);
        self.rig.ask(&Ask::new("GET", &path).field("Cookie", &sent.cookie)).await
    }

    /// A whole log-in of somebody with these claims over the usual ones.
    async fn log_in(&self, over: Json) -> Answer {
        let sent = self.begin("/oidc/login").await;
        let mut claims = self.provider.claims(&sent.nonce);
        for (name, value) in over.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.provider.will_say(&claims);
        self.back(&sent).await
    }

    async fn sees_services(&self, cookie: &str) -> u16 {
        self.rig.ask(&Ask::new("GET", "/api/v1/services").field("Cookie", cookie)).await.status
    }

    fn role(&self, name: &str) -> Option<Role> {
        self.rig.auth.user(name).map(|user| user.role)
    }

    async fn audited(&self) -> Vec<(String, String)> {
        let entries = audit::entries(&self.rig.store, None, 100).await.unwrap();
        entries.into_iter().rev().map(|(_, entry)| (entry.who, entry.what)).collect()
    }
}

fn root() -> Caller {
    Caller {
        name: "root".into(),
        role: Role::Admin,
        via: Via::Socket { uid: 0 },
        address: None,
        services: None,
    }
}

/// Nobody is let in, and nothing of what happened inside is told.
fn refused(answer: &Answer, status: u16, problem: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{answer:?}");
    assert_eq!(session(answer), None);
    for inside in ["nonce", "audience", "127.0.0.1", "1234", "token", "argon"] {
        assert!(!answer.body.contains(inside), "{inside} in {}", answer.body);
    }
    // The attempt is over.
    assert!(cookies(answer)[0].contains("-oidc=; ") || cookies(answer)[0].starts_with("wakedock-oidc=;"));
}

#[tokio::test]
async fn a_browser_goes_there_and_comes_back_as_somebody() {
    let house = House::new().await;
    let sent = house.begin("/oidc/login?next=/services/cloud%3Ftab=log").await;
    assert!(sent.to.starts_with(&format!("{}/authorize?", house.provider.issuer())), "{}", sent.to);
    assert!(sent.to.contains("redirect_uri=http%3A%2F%2Flocalhost%2Foidc%2Fcallback"), "{}", sent.to);
    assert!(sent.cookie.starts_with("wakedock-oidc="), "{}", sent.cookie);
    house.provider.will_say(&house.provider.claims(&sent.nonce));
    let answer = house.back(&sent).await;
    assert_eq!((answer.status, answer.field("location")), (303, Some("/services/cloud?tab=log")));
    assert!(cookies(&answer).iter().any(|cookie| cookie.starts_with("wakedock-oidc=; ")), "{answer:?}");
    let cookie = session(&answer).unwrap();
    assert_eq!(house.sees_services(&cookie).await, 200);
    assert_eq!(house.role("ada"), Some(Role::User));
    let expected = [("ada", "user-created"), ("ada", "log-in")];
    assert_eq!(house.audited().await, expected.map(|(who, what)| (who.to_owned(), what.to_owned())));
    // The code went out with the verifier whose hash the browser took along.
    let (form, _) = house.provider.read(|script| script.redeemed[0].clone());
    let verifier = form.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap();
    let verifier = openidconnect::PkceCodeVerifier::new(verifier.to_owned());
    let challenge = openidconnect::PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    assert_eq!(challenge.as_str(), parameter(&sent.to, "code_challenge"));
}

#[tokio::test]
async fn behind_tls_the_cookies_are_this_host_s_alone() {
    let house = House::new().await;
    let secure =
        |ask: Ask| ask.field("X-Forwarded-Proto", "https").field("X-Forwarded-Host", "w.example.com");
    let answer = house.rig.ask(&secure(Ask::new("GET", "/oidc/login"))).await;
    let to = answer.field("location").unwrap();
    assert!(to.contains("redirect_uri=https%3A%2F%2Fw.example.com%2Foidc%2Fcallback"), "{to}");
    let cookie = answer.field("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-wakedock-oidc=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(cookie.contains("; Path=/;") && !cookie.contains("Domain"), "{cookie}");
    let (state, nonce) = (parameter(to, "state"), parameter(to, "nonce"));
    house.provider.will_say(&house.provider.claims(&nonce));
    let back = Ask::new("GET", &format!("/oidc/callback?code=a-code&state={state}"));
    let back = back.field("Cookie", cookie.split(';').next().unwrap());
    // The same cookie over plain HTTP is none.
    refused(&house.rig.ask(&back).await, 400, "oidc-stale");
    let answer = house.rig.ask(&secure(back)).await;
    assert_eq!(answer.status, 303);
    assert!(session(&answer).unwrap().starts_with("__Host-wakedock="));
    assert!(cookies(&answer).iter().all(|cookie| cookie.ends_with("; Secure")), "{answer:?}");
}

#[tokio::test]
async fn only_the_browser_that_went_comes_back_and_only_once() {
    let house = House::new().await;
    let (mine, theirs) = (house.begin("/oidc/login").await, house.begin("/oidc/login").await);
    house.provider.will_say(&house.provider.claims(&mine.nonce));
    let callback = |state: &str| Ask::new("GET", &format!("/oidc/callback?code=a-code&state={state}"));
    for (what, ask) in [
        ("no cookie", callback(&mine.state)),
        ("another's state", callback(&theirs.state).field("Cookie", &mine.cookie)),
        ("another's cookie", callback(&mine.state).field("Cookie", &theirs.cookie)),
        ("no state", Ask::new("GET", "/oidc/callback?code=a-code").field("Cookie", &mine.cookie)),
        (
            "two cookies",
            callback(&mine.state).field("Cookie", &format!("{}; {}", mine.cookie, theirs.cookie)),
        ),
        (
            "two states",
            callback(&format!("{}&state={}", mine.state, theirs.state)).field("Cookie", &mine.cookie),
        ),
    ] {
        let answer = house.rig.ask(&ask).await;
        assert_eq!(answer.status, 400, "{what}");
        refused(&answer, 400, "oidc-stale");
    }
    assert_eq!(house.provider.read(|script| script.redeemed.len()), 0, "no code was redeemed");
    assert_eq!(house.back(&mine).await.status, 303);
    // The provider of this test would take the code again.
    refused(&house.back(&mine).await, 400, "oidc-stale");
    assert_eq!(house.provider.read(|script| script.redeemed.len()), 1);
}

#[tokio::test]
async fn tokens_that_are_not_right_let_nobody_in() {
    for over in [
        json!({ "nonce": "another" }),
        json!({ "aud": "another-client" }),
        json!({ "iss": "http://127.0.0.1:1" }),
        json!({ "exp": 1 }),
    ] {
        let house = House::new().await;
        refused(&house.log_in(over).await, 403, "oidc-refused");
        assert!(house.rig.auth.is_empty());
        assert_eq!(house.audited().await, [(String::new(), "log-in-failed".to_owned())]);
    }
    let house = House::new().await;
    let sent = house.begin("/oidc/login").await;
    house.provider.will_say(&house.provider.claims(&sent.nonce));
    let path = format!("/oidc/callback?code=a-code&state={}&iss=https%3A%2F%2Fevil.example", sent.state);
    let answer = house.rig.ask(&Ask::new("GET", &path).field("Cookie", &sent.cookie)).await;
    refused(&answer, 403, "oidc-refused");
    assert_eq!(house.provider.read(|script| script.redeemed.len()), 0);
}

#[tokio::test]
async fn without_a_group_that_has_a_role_nobody_gets_in() {
    let house = House::new().await;
    house.provider.set(|script| script.userinfo = Some(json!({ "sub": "1234" })));
    for groups in [json!([]), json!(["Staff"]), json!("staffing"), json!({ "staff": true }), json!(null)] {
        refused(&house.log_in(json!({ "groups": groups })).await, 403, "oidc-no-role");
    }
    assert!(house.rig.auth.is_empty());
}

/// Whoever loses the last group loses what is open, too, and gets in again with a group again.
#[tokio::test]
async fn roles_follow_the_groups() {
    let house = House::new().await;
    let cookie = session(&house.log_in(json!({ "groups": ["guests", "admins"] })).await).unwrap();
    assert_eq!(house.role("ada"), Some(Role::Admin));
    // Even the only admin: whose word counts is configured.
    let lesser = session(&house.log_in(json!({ "groups": ["guests"] })).await).unwrap();
    assert_eq!(house.role("ada"), Some(Role::Viewer));
    assert_eq!((house.sees_services(&cookie).await, house.sees_services(&lesser).await), (401, 200));
    refused(&house.log_in(json!({ "groups": ["x"] })).await, 403, "oidc-no-role");
    assert_eq!(house.sees_services(&lesser).await, 401);
    assert!(house.rig.auth.user("ada").unwrap().disabled);
    let again = session(&house.log_in(json!({})).await).unwrap();
    assert_eq!((house.role("ada"), house.sees_services(&again).await), (Some(Role::User), 200));
    // What an admin has disabled, no group enables.
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    house.rig.auth.change_user(&root(), "ada", disable, None).await.unwrap();
    refused(&house.log_in(json!({})).await, 403, "oidc-disabled");
    refused(&house.log_in(json!({ "groups": [] })).await, 403, "oidc-no-role");
    refused(&house.log_in(json!({})).await, 403, "oidc-disabled");
}

/// A name at the provider is worth nothing here where somebody has it already.
#[tokio::test]
async fn nobody_becomes_somebody_else_by_a_name() {
    let house = House::new().await;
    let ann = NewUser { name: "ann".into(), role: Role::Admin, password: "correct horse".into() };
    house.rig.auth.add_user(&root(), ann).await.unwrap();
    for name in ["ann", "ANN"] {
        refused(&house.log_in(json!({ "preferred_username": name })).await, 409, "oidc-name-taken");
    }
    let client = Client::default();
    house.rig.auth.sign_in("ann", "correct horse".into(), &client).await.unwrap();

    assert_eq!(house.log_in(json!({})).await.status, 303);
    // Ada renames herself, and somebody else takes her name there.
    let renamed = house.log_in(json!({ "preferred_username": "ann" })).await;
    let cookie = session(&renamed).unwrap();
    assert_eq!(house.sees_services(&cookie).await, 200);
    let other = json!({ "sub": "5678", "preferred_username": "ada", "groups": ["admins"] });
    refused(&house.log_in(other).await, 409, "oidc-name-taken");
    assert_eq!((house.role("ada"), house.role("ann")), (Some(Role::User), Some(Role::Admin)));
    assert_eq!(house.rig.auth.users().len(), 2);
    // She has no password, and the empty one is none.
    for password in ["", "correct horse"] {
        assert!(house.rig.auth.sign_in("ada", password.into(), &client).await.is_err());
    }
    house.provider.set(|script| script.userinfo = Some(json!({ "sub": "9" })));
    for name in [json!(null), json!(""), json!("a b"), json!("../ann"), json!("\u{430}nn")] {
        let other = json!({ "sub": "9", "preferred_username": name });
        refused(&house.log_in(other).await, 403, "oidc-no-name");
    }
}

#[tokio::test]
async fn nobody_is_led_elsewhere_afterwards() {
    let house = House::new().await;
    for next in
        ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/%09/evil.example", "%0d%0a/"]
    {
        let sent = house.begin(&format!("/oidc/login?next={next}")).await;
        house.provider.will_say(&house.provider.claims(&sent.nonce));
        let answer = house.back(&sent).await;
        assert_eq!((answer.status, answer.field("location")), (303, Some("/")), "{next}");
    }
}

/// What is wrong with the provider keeps nobody from logging in with a password.
#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be() {
    let house = House::new().await;
    let ann = NewUser { name: "ann".into(), role: Role::Admin, password: "correct horse".into() };
    house.rig.auth.add_user(&root(), ann).await.unwrap();
    house.provider.set(|script| script.discovery = Discovery::Broken);
    for _ in 0..10 {
        let answer = house.rig.get("/oidc/login").await;
        assert_eq!((answer.status, answer.problem().as_str()), (502, "oidc-away"));
        assert!(answer.field("retry-after").is_some() && !answer.body.contains("500"), "{answer:?}");
    }
    let client = Client { address: Some("127.0.0.1".parse().unwrap()), ..Client::default() };
    house.rig.auth.sign_in("ann", "correct horse".into(), &client).await.unwrap();
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told() {
    let house = House::new().await;
    let sent = house.begin("/oidc/login").await;
    let path = format!("/oidc/callback?error=access_denied&error_description=%3Cb%3Ex&state={}", sent.state);
    let answer = house.rig.ask(&Ask::new("GET", &path).field("Cookie", &sent.cookie)).await;
    refused(&answer, 403, "oidc-declined");
    assert!(!answer.body.contains("access_denied") && !answer.body.contains("<b>"), "{answer:?}");
    // A code that the provider does not take.
    let sent = house.begin("/oidc/login").await;
    refused(&house.back(&sent).await, 403, "oidc-refused");
}

/// People are led back to the log-in page, which says what became of it.
#[tokio::test]
async fn people_are_told_by_a_page() {
    let house = House::new().await;
    let sent = house.begin("/oidc/login").await;
    let mut claims = house.provider.claims(&sent.nonce);
    claims["groups"] = json!([]);
    house.provider.will_say(&claims);
    let back = Ask::new("GET", &format!("/oidc/callback?code=a-code&state={}", sent.state))
        .field("Cookie", &sent.cookie)
        .field("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let answer = house.rig.ask(&back).await;
    assert_eq!((answer.status, answer.field("location")), (303, Some("/login?oidc=no-role")));
    assert_eq!(session(&answer), None);
    assert!(answer.field("set-cookie").unwrap().starts_with("wakedock-oidc=; "));
    let page = house.rig.ask(&Ask::new("GET", "/login?oidc=no-role").host("localhost")).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("you have no role here"), "{}", page.body);
    assert!(page.body.contains("href=\"/oidc/login?next="), "{}", page.body);
    assert!(!page.body.contains("does not answer at the moment"), "{}", page.body);
    let page = house.rig.get("/login?oidc=anything%3Cb%3E&next=//evil.example").await;
    assert!(page.body.contains("name=\"next\" value=\"/\""), "{}", page.body);
    assert!(!page.body.contains("<b>") && !page.body.contains("href=\"//evil"), "{}", page.body);

    let away = House::new().await;
    away.provider.set(|script| script.discovery = Discovery::Broken);
    let page = away.rig.get("/login").await;
    assert!(page.body.contains("does not answer at the moment"), "{}", page.body);
    let none = Rig::new().await.get("/login").await;
    assert!(none.status == 200 && !none.body.contains("oidc"), "{}", none.body);
}

#[tokio::test]
async fn guesses_are_slowed_down() {
    let house = House::new().await;
    let mut last = 0;
    for _ in 0..8 {
        let sent = house.begin("/oidc/login").await;
        last = house.back(&sent).await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    let redeemed = house.provider.read(|script| script.redeemed.len());
    let sent = house.begin("/oidc/login").await;
    let answer = house.back(&sent).await;
    refused(&answer, 429, "too-many-requests");
    assert!(answer.field("retry-after").is_some());
    assert_eq!(house.provider.read(|script| script.redeemed.len()), redeemed, "nobody was asked");
    // Whoever is known there guesses nothing, however often.
    let house = House::new().await;
    for _ in 0..10 {
        assert_eq!(house.log_in(json!({})).await.status, 303);
    }
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_log_in() {
    let rig = Rig::new().await;
    for path in ["/oidc/login", "/oidc/callback", "/oidc/callback?code=a&state=b"] {
        let answer = rig.get(path).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{path}");
    }
    assert_eq!(rig.ask(&Ask::new("POST", "/oidc/login")).await.status, 405);
}

impl House {
    /// Somebody of the provider who logs out: the answer to their click.
    async fn log_out(&self) -> Answer {
        let cookie = session(&self.log_in(json!({ "groups": ["staff"] })).await).unwrap();
        let me = self.rig.ask(&Ask::new("GET", "/api/v1/auth/me").field("Cookie", &cookie)).await.json();
        let out = Ask::new("POST", "/logout").form(&format!("csrf={}", me["csrf_token"].as_str().unwrap()));
        let answer = self.rig.ask(&out.field("Cookie", &cookie).field("Origin", "http://localhost")).await;
        assert_eq!(self.sees_services(&cookie).await, 401, "logged out here, in any case");
        assert!(cookies(&answer).iter().any(|cookie| cookie.starts_with("wakedock=; ")), "{answer:?}");
        answer
    }
}

/// The story: whoever logged out was let in again by one click, for the provider knew them still.
#[tokio::test]
async fn a_log_out_leads_on_to_the_provider_s() {
    let house = House::new().await;
    let end = format!("{}/end?tenant=home", house.provider.issuer());
    house.provider.set(|script| script.document = json!({ "end_session_endpoint": end }));
    let answer = house.log_out().await;
    // A form's answer may not be a redirect to elsewhere: `form-action 'self'` forbids it.
    assert_eq!(answer.status, 200);
    let to = answer.field("refresh").unwrap().strip_prefix("0; url=").unwrap();
    assert!(to.starts_with(&format!("{end}&")), "{to}");
    assert_eq!(parameter(to, "client_id"), CLIENT);
    assert_eq!(parameter(to, "post_logout_redirect_uri"), "http%3A%2F%2Flocalhost%2Flogin");
    let hint = parameter(to, "id_token_hint");
    assert_eq!(Some(hint), house.provider.read(|script| script.id_token.clone()), "whose log-in it was");
}

#[tokio::test]
async fn without_a_place_to_log_out_at_it_ends_here() {
    for document in [
        json!({}),
        json!({ "end_session_endpoint": null }),
        json!({ "end_session_endpoint": "" }),
        json!({ "end_session_endpoint": 7 }),
        json!({ "end_session_endpoint": "javascript:alert(1)" }),
        json!({ "end_session_endpoint": "http://auth.example.com/end" }),
    ] {
        let house = House::new().await;
        house.provider.set(|script| script.document = document.clone());
        let answer = house.log_out().await;
        assert_eq!((answer.status, answer.field("location")), (303, Some("/login")), "{document}");
        assert_eq!(answer.field("refresh"), None);
    }
}

#[tokio::test]
async fn whoever_wants_it_logs_out_here_alone() {
    let house = House::new().await;
    let end = format!("{}/end", house.provider.issuer());
    house.provider.set(|script| script.document = json!({ "end_session_endpoint": end }));
    house.rig.reconfigure(|config| config.oidc.single_logout = false);
    assert_eq!(house.log_out().await.status, 303);
}

/// Whoever came by a password has nothing to log out of there, and what a session held is gone with it.
#[tokio::test]
async fn a_log_out_hints_at_the_session_that_ends_and_no_other() {
    let house = House::new().await;
    let end = format!("{}/end", house.provider.issuer());
    house.provider.set(|script| script.document = json!({ "end_session_endpoint": end }));
    house.rig.user("bob", Role::User).await;
    let (cookie, csrf) = house.rig.browser("bob").await;
    let out = Ask::new("POST", "/logout").form(&format!("csrf={csrf}"));
    assert_eq!(house.rig.ask(&out.cookie(&cookie)).await.status, 303);
    house.log_out().await;
    let hints = wakedock::store::Table::<Json>::new("oidc_hints");
    let left = house.rig.store.read(move |tables| {
        let all = tables.scan(&hints, .., wakedock::store::Order::Ascending, 10)?;
        Ok::<_, wakedock::store::Interrupted<std::convert::Infallible>>(all.len())
    });
    assert_eq!(left.await.unwrap(), 0);
}
