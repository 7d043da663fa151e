//! Browsers: their cookies, and other people's pages in them.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use wakedock::admin::access::{Access, ROUTES};
use wakedock::admin::auth::{end_cookie, session_cookie};
use wakedock::domain::words::Role;

use super::rig::{Ask, Rig, log_in, password, root, soon};

fn make_token() -> Ask {
    Ask::new("POST", "/api/v1/tokens").json(&serde_json::json!({ "name": "x", "role": "viewer" }))
}

#[tokio::test]
async fn csrf_without_a_token_is_refused() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, csrf) = rig.browser("ann").await;
    let (other, _) = rig.browser("ann").await;
    let status = async |ask: Ask| {
        let answer = rig.ask(&ask).await;
        let problem = if answer.status == 403 { answer.problem() } else { String::new() };
        (answer.status, problem)
    };
    assert_eq!(status(make_token().cookie(&cookie)).await, (403, "csrf".into()));
    let wrong = make_token().cookie(&cookie).field("X-CSRF-Token", "0123456789abcdef0123456789abcdef");
    assert_eq!(status(wrong).await, (403, "csrf".into()));
    // The token is of one session, not of the user.
    let others = make_token().cookie(&other).field("X-CSRF-Token", &csrf);
    assert_eq!(status(others).await, (403, "csrf".into()));
    let right = make_token().cookie(&cookie).field("X-CSRF-Token", &csrf);
    assert_eq!(status(right).await, (201, String::new()));
    // A form says it in a field. What the handler makes of a form is its own business.
    let form = |body: &str| Ask::new("POST", "/api/v1/auth/logout").cookie(&other).form(body);
    assert_eq!(status(form("a=b")).await, (403, "csrf".into()));
    assert_eq!(rig.ask(&Ask::new("GET", "/api/v1/auth/me").cookie(&other)).await.status, 200);
    let own = rig.ask(&Ask::new("GET", "/api/v1/auth/me").cookie(&other)).await.json();
    let body = format!("csrf={}", own["csrf_token"].as_str().unwrap());
    assert_eq!(status(form(&body)).await, (204, String::new()));
    // Whoever brings a token of another kind is no browser.
    let (access, _) = rig.log_in("ann").await;
    assert_eq!(status(make_token().bearer(&access)).await, (201, String::new()));
}

#[tokio::test]
async fn csrf_from_another_site_is_refused_even_with_the_token() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, csrf) = rig.browser("ann").await;
    let from = async |name: &str, value: &str| {
        let ask = make_token().cookie(&cookie).field("X-CSRF-Token", &csrf).field(name, value);
        rig.ask(&ask).await.status
    };
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost:8080"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert_eq!(from(name, value).await, 403, "{name}: {value}");
    }
    assert_eq!(from("Origin", "http://localhost").await, 201);
    assert_eq!(from("Sec-Fetch-Site", "same-origin").await, 201);
    // Nor may another site log its own user in here.
    let login = log_in("ann", &password("ann")).field("Origin", "https://evil.example");
    assert_eq!(rig.ask(&login).await.problem(), "cross-origin");
}

/// What a client brings along is not taken up: an attacker cannot know the session of whoever logs in.
#[tokio::test]
async fn session_fixation_is_impossible() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (mine, _) = rig.browser("ann").await;
    let me = |cookie: &str| Ask::new("GET", "/api/v1/auth/me").cookie(cookie);
    let made_up = "0".repeat(49);
    assert_eq!(rig.ask(&me(&made_up)).await.status, 401);
    let login = log_in("ann", &password("ann")).cookie(&made_up);
    assert_eq!(rig.ask(&login).await.status, 200);
    assert_eq!(rig.ask(&me(&made_up)).await.status, 401);
    let (next, _) = rig.browser("ann").await;
    assert_ne!(mine, next);
    // The public id of a session opens nothing.
    let id = rig.auth.sessions_of("ann", wakedock::clock::wall())[0].0.id.to_string();
    assert_eq!(rig.ask(&me(&id)).await.status, 401);
}

#[tokio::test]
async fn cookies_are_read_as_the_way_they_came_wants() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (value, _) = rig.browser("ann").await;
    let settings = rig.auth.settings();
    let secure = session_cookie(&value, true, &settings).to_str().unwrap().to_owned();
    assert!(secure.starts_with("__Host-wakedock="), "{secure}");
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(secure.contains(attribute), "{secure}");
    }
    let plain = session_cookie(&value, false, &settings).to_str().unwrap().to_owned();
    assert!(plain.starts_with("wakedock=") && !plain.contains("Secure"), "{plain}");
    assert!(end_cookie(true).to_str().unwrap().contains("Max-Age=0"));
    // Caddy says that the browser came by TLS: a cookie that any plain page could have set is none.
    let by_tls = |name: &str| {
        Ask::new("GET", "/api/v1/auth/me")
            .field("X-Forwarded-Proto", "https")
            .field("Cookie", &format!("{name}={value}"))
    };
    assert_eq!(rig.ask(&by_tls("__Host-wakedock")).await.status, 200);
    assert_eq!(rig.ask(&by_tls("wakedock")).await.status, 401);
}

#[tokio::test]
async fn no_cors_by_default_and_only_for_whom_it_was_set() {
    let rig = Rig::new().await;
    let preflight = Ask::new("OPTIONS", "/api/v1/auth/me")
        .field("Origin", "https://home.example.com")
        .field("Access-Control-Request-Method", "GET");
    let answer = rig.ask(&preflight).await;
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (405, None));

    let rig = Rig::with(|config| config.cors_origins = vec!["https://home.example.com".to_owned()]).await;
    let answer = rig.ask(&preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("access-control-allow-origin"), Some("https://home.example.com"));
    assert_eq!(answer.field("access-control-allow-credentials"), None, "cookies are not for others");
    let token = rig.token(&root(), Role::Viewer, None).await;
    let from = |origin: &str| Ask::new("GET", "/api/v1/auth/me").bearer(&token).field("Origin", origin);
    let own = rig.ask(&from("https://home.example.com")).await;
    assert_eq!((own.status, own.field("vary")), (200, Some("Origin")));
    assert_eq!(own.field("access-control-allow-origin"), Some("https://home.example.com"));
    let other = rig.ask(&from("https://evil.example")).await;
    assert_eq!((other.field("access-control-allow-origin"), other.field("vary")), (None, Some("Origin")));
}

/// A page that wants somebody leads to the log-in, and back.
#[tokio::test]
async fn a_page_leads_to_the_log_in_and_the_api_does_not() {
    let rig = Rig::with(|config| config.metrics_auth = true).await;
    let page = Ask::new("GET", "/metrics?a=b&c").field("Accept", "text/html,*/*");
    let answer = rig.ask(&page).await;
    assert_eq!((answer.status, answer.field("location")), (303, Some("/login?next=/metrics%3Fa%3Db%26c")));
    let api = Ask::new("GET", "/api/v1/users").field("Accept", "text/html,*/*");
    assert_eq!(rig.ask(&api).await.status, 401);
}

/// A revoked session ends what it follows, and the end of WakeDock ends all of it.
#[tokio::test]
async fn a_revoked_session_ends_what_it_follows() {
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    rig.user("bob", Role::User).await;
    let follow = async |name: &str| {
        let (access, _) = rig.log_in(name).await;
        rig.follow(Ask::new("GET", "/api/v1/events").bearer(&access)).await
    };
    let (mut ann, mut bob) = (follow("ann").await, follow("bob").await);
    rig.auth.end_sessions(&root(), "ann", None).await.unwrap();
    assert!(last_word(&mut ann).await.contains("event: end\ndata: {\"why\":\"log-in\"}\n\n"));
    let mut rest = [0; 4096];
    let more = tokio::time::timeout(std::time::Duration::from_millis(200), async {
        while bob.read(&mut rest).await.unwrap() > 0 {}
    });
    assert!(more.await.is_err(), "bob's goes on");
    rig.stage.send_replace(wakedock::admin::Stage::Draining);
    assert!(last_word(&mut bob).await.contains("event: end\ndata: {\"why\":\"stopping\"}\n\n"));
}

/// The story: whoever had eleven tabs open was told by the eleventh that the connection was lost.
#[tokio::test]
async fn of_many_pages_the_oldest_stands_still_and_says_so() {
    const PAGES: usize = 128;
    let rig = Rig::new().await;
    rig.user("ann", Role::User).await;
    let (cookie, _) = rig.browser("ann").await;
    let page = async || rig.follow(Ask::new("GET", "/api/v1/events").cookie(&cookie)).await;
    let mut oldest = page().await;
    let mut others = Vec::new();
    for _ in 1..PAGES {
        others.push(page().await);
    }
    let _newest = page().await;
    let said = last_word(&mut oldest).await;
    assert!(said.contains("event: end\ndata: {\"why\":\"too-many\"}\n\n"), "{said}");
    let mut some = [0; 4096];
    let more = tokio::time::timeout(std::time::Duration::from_millis(200), async {
        while others[0].read(&mut some).await.unwrap() > 0 {}
    });
    assert!(more.await.is_err(), "the others go on");
}

/// Everything up to the end.
async fn last_word(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

/// Every unsafe row of the table: a cookie alone does nothing, and from another site not even with the
/// token.
#[tokio::test]
async fn csrf_is_refused_on_every_route() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (cookie, csrf) = rig.browser("ann").await;
    let mut walked = 0;
    for route in ROUTES.iter().filter(|route| route.method != "GET" && route.access != Access::Open) {
        let path = route.path.replace("{name}", "nobody").replace("{id}", "none");
        let ask = || Ask::new(route.method.as_str(), &path).cookie(&cookie);
        assert_eq!(rig.ask(&ask()).await.problem(), "csrf", "{} {path}", route.method);
        let form = rig.ask(&ask().form("name=x&csrf=0123456789abcdef0123456789abcdef")).await;
        assert_eq!(form.problem(), "csrf", "{} {path}", route.method);
        for site in ["cross-site", "same-site"] {
            let from = ask().field("Sec-Fetch-Site", site).field("X-CSRF-Token", &csrf);
            assert_eq!(rig.ask(&from).await.problem(), "cross-origin", "{} {path}", route.method);
        }
        walked += 1;
    }
    assert!(walked > 30, "{walked}");
}

/// A link on another site's page downloads no backup in an admin's name.
#[tokio::test]
async fn a_link_elsewhere_fetches_nothing_of_the_api() {
    let rig = Rig::new().await;
    rig.user("ann", Role::Admin).await;
    let (cookie, _) = rig.browser("ann").await;
    for path in ["/api/v1/system/backup", "/api/v1/users"] {
        let ask = Ask::new("GET", path).cookie(&cookie);
        assert_eq!(rig.ask(&ask.clone().field("Sec-Fetch-Site", "same-origin")).await.status, 200);
        for site in ["cross-site", "same-site"] {
            assert_eq!(rig.ask(&ask.clone().field("Sec-Fetch-Site", site)).await.problem(), "cross-origin");
        }
    }
    let page = Ask::new("GET", "/account").cookie(&cookie).field("Sec-Fetch-Site", "cross-site");
    assert_eq!(rig.ask(&page).await.status, 200, "pages are linked to");
}
