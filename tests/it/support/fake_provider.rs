//! An OpenID Connect provider that says whatever a test wants it to: what no honest one would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

pub(crate) const CLIENT: &str = "wakedock";
pub(crate) const SECRET: &str = "a-secret-of-the-tests";

/// What it says at the moment.
pub(crate) struct Script {
    /// Whole, as it goes into the answer of the token endpoint.
    pub(crate) id_token: Option<String>,
    pub(crate) access_token: String,
    pub(crate) userinfo: Option<Json>,
    pub(crate) keys: Vec<Key>,
    /// Over the discovery document's own members.
    pub(crate) document: Json,
    pub(crate) discovery: Discovery,
    /// How often each was asked for.
    pub(crate) discoveries: usize,
    pub(crate) key_fetches: usize,
    /// The forms that came to the token endpoint, and how the client named itself.
    pub(crate) redeemed: Vec<(String, Option<String>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    Honest,
    Endless,
    Elsewhere,
    Broken,
    /// Takes longer than a page waits.
    Slow,
}

/// A signing key.
#[derive(Clone)]
pub(crate) struct Key {
    id: String,
    seed: [u8; 32],
}

impl Key {
    pub(crate) fn new(id: &str, seed: u8) -> Self {
        Self { id: id.to_owned(), seed: [seed; 32] }
    }

    fn signing(&self) -> CoreEdDsaPrivateSigningKey {
        // What PKCS 8 says around the 32 bytes of such a key.
        let mut der = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ];
        der.extend(self.seed);
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(self.id.clone()))).unwrap()
    }

    pub(crate) fn public(&self) -> Json {
        serde_json::to_value(self.signing().as_verification_key()).unwrap()
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Json) -> String {
        let parts = unsigned(&json!({ "alg": "EdDSA", "kid": self.id }), claims);
        let signature = self.signing().sign(&CoreJwsSigningAlgorithm::EdDsa, parts.as_bytes()).unwrap();
        format!("{parts}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Head and claims of a token, without a signature.
pub(crate) fn unsigned(head: &Json, claims: &Json) -> String {
    let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}", part(head), part(claims))
}

/// A running provider on the loopback address.
pub(crate) struct FakeProvider {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Mutex<Script>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    issuer: String,
    script: Arc<Mutex<Script>>,
}

impl FakeProvider {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script {
            id_token: None,
            access_token: "an-access-token".to_owned(),
            userinfo: None,
            keys: vec![Key::new("one", 1)],
            document: json!({}),
            discovery: Discovery::Honest,
            discoveries: 0,
            key_fetches: 0,
            redeemed: Vec::new(),
        }));
        let shared = Shared { issuer: format!("http://{address}"), script: Arc::clone(&script) };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(shared);
        let task = tokio::spawn(async move { serve(listener, router).await });
        Self { address, script, task }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    pub(crate) fn read<T>(&self, what: impl FnOnce(&Script) -> T) -> T {
        what(&self.script.lock().unwrap())
    }

    /// The claims of an honest token for the log-in with this nonce.
    pub(crate) fn claims(&self, nonce: &str) -> Json {
        let now = wakedock::clock::wall().as_millis() / 1000;
        json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "1234", "nonce": nonce,
            "iat": now, "exp": now + 300,
            "preferred_username": "ada", "groups": ["staff"],
        })
    }

    /// The next log-in gets a token with these claims, signed with the first key.
    pub(crate) fn will_say(&self, claims: &Json) {
        self.set(|script| script.id_token = Some(script.keys[0].sign(claims)));
    }
}

// `axum::serve` needs features that WakeDock has no use for.
async fn serve(listener: TcpListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
        );
    }
}

fn json_answer(json: &Json) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

async fn discovery(State(shared): State<Shared>) -> Response {
    let (kind, over) = {
        let mut script = shared.script.lock().unwrap();
        script.discoveries += 1;
        (script.discovery, script.document.clone())
    };
    match kind {
        Discovery::Endless => return "x".repeat(1 << 20).into_response(),
        Discovery::Elsewhere => return Redirect::to("http://127.0.0.1:1/").into_response(),
        Discovery::Broken => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Discovery::Slow => tokio::time::sleep(Duration::from_millis(900)).await,
        Discovery::Honest => {}
    }
    let at = |path: &str| format!("{}{path}", shared.issuer);
    let mut document = json!({
        "issuer": shared.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
    });
    for (name, value) in over.as_object().unwrap() {
        document[name] = value.clone();
    }
    json_answer(&document)
}

async fn keys(State(shared): State<Shared>) -> Response {
    let mut script = shared.script.lock().unwrap();
    script.key_fetches += 1;
    let keys: Vec<_> = script.keys.iter().map(Key::public).collect();
    json_answer(&json!({ "keys": keys }))
}

async fn token(State(shared): State<Shared>, headers: HeaderMap, form: String) -> Response {
    let mut script = shared.script.lock().unwrap();
    let basic = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    script.redeemed.push((form, basic));
    let Some(id_token) = &script.id_token else {
        let refusal = json!({ "error": "invalid_grant", "error_description": "spent\nor too old" });
        return (StatusCode::BAD_REQUEST, json_answer(&refusal)).into_response();
    };
    json_answer(&json!({
        "access_token": script.access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
    }))
}

async fn userinfo(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let script = shared.script.lock().unwrap();
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match &script.userinfo {
        Some(info) if said == Some(&format!("Bearer {}", script.access_token)) => json_answer(info),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}
