//! What WakeDock believes of a provider: tokens that are right, and every one that is nearly so.

mod away;
mod tokens;

use wakedock::config::{OidcConfig, Secret};
use wakedock::oidc::{Attempt, OidcError, Person, Provider};

use crate::support::fake_provider::{CLIENT, FakeProvider, SECRET};

const CALLBACK: &str = "http://127.0.0.1:7081/oidc/callback";

/// The provider, and a WakeDock that trusts it.
struct Pair {
    provider: FakeProvider,
    config: OidcConfig,
    ours: Provider,
    attempt: Attempt,
}

impl Pair {
    async fn new() -> Self {
        let provider = FakeProvider::new().await;
        let config = OidcConfig {
            issuer: Some(provider.issuer()),
            client_id: Some(CLIENT.to_owned()),
            client_secret: Some(Secret::new(SECRET)),
            ..OidcConfig::default()
        };
        let attempt = Attempt { state: "a-state".into(), nonce: "a-nonce".into(), verifier: "v".repeat(43) };
        Self { provider, config, ours: Provider::default(), attempt }
    }

    async fn person(&self) -> Result<Person, OidcError> {
        self.ours.person(&self.config, CALLBACK, "a-code", &self.attempt).await
    }

    /// Why the ID token is not believed.
    async fn disbelief(&self) -> String {
        match self.person().await {
            Err(OidcError::Token { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }
}
