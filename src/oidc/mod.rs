//! OpenID Connect: a log-in at somebody else's door.
//!
//! The authorization code flow with PKCE, on top of the crate `openidconnect`. This is the part that
//! talks to the provider: where to send a browser, and whom the code that it brings back stands for.
//! It keeps no user, sets no cookie, and knows nothing of roles; `admin::oidc` does.
//!
//! Nothing is fetched or kept before somebody wants to log in. What the provider says of itself is
//! believed for an hour; its keys are fetched again when a token names one that is not known.

mod claims;
mod error;
mod http;
mod provider;
mod token;

use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClientAuthMethod};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope,
};

pub use error::OidcError;
pub use provider::{Provider, Standing};

use crate::config::OidcConfig;
use crate::oidc::http::Http;
use crate::oidc::provider::Metadata;
use crate::oidc::token::Client;

/// Whoever logs out is logged out here already: the provider's word is not waited for for long.
const LOG_OUT: Duration = Duration::from_secs(2);

/// What makes one log-in this browser's own. All three are random, and of use only once.
#[derive(Clone)]
pub struct Attempt {
    /// Comes back with the browser.
    pub state: String,
    /// Comes back inside the ID token.
    pub nonce: String,
    /// Only its hash goes out; proves that whoever redeems the code asked for it. 43 characters or
    /// more of base64url.
    pub verifier: String,
}

/// Somebody whom the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub issuer: String,
    /// With the issuer, who it is for ever.
    pub subject: String,
    /// What they are called at the moment; `None`: the provider does not say.
    pub name: Option<String>,
    pub groups: Vec<String>,
    pub id_token: IdToken,
}

/// An ID token that was checked, as the provider signed it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdToken(pub(crate) String);

/// It says who somebody is, and belongs in no log.
impl std::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdToken")
    }
}

impl Provider {
    /// Where to send the browser.
    ///
    /// # Errors
    /// The provider cannot be asked where that is.
    pub async fn log_in_at(
        &self,
        config: &OidcConfig,
        redirect_url: &str,
        attempt: &Attempt,
    ) -> Result<String, OidcError> {
        let metadata = self.metadata(config, &Http::default()).await?;
        let client = client(&metadata, config, redirect_url)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let (url, ..) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            // The library asks for `openid` itself.
            .add_scopes(config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    /// Where to send a browser that has logged out here, for it to log out there as well (OpenID
    /// Connect RP-Initiated Logout 1.0). `id_token`: of the log-in that is over; `back`: where it goes
    /// afterwards. `None`: the provider has no such place, or does not say so soon enough.
    pub async fn log_out_at(&self, config: &OidcConfig, id_token: &str, back: &str) -> Option<String> {
        let http = Http::default();
        let asked = tokio::time::timeout(LOG_OUT, self.metadata(config, &http)).await;
        let mut url = provider::end_session_endpoint(&*asked.ok()?.ok()?)?;
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", config.client_id.as_deref()?)
            .append_pair("post_logout_redirect_uri", back);
        Some(url.into())
    }

    /// Whom a code stands for. The code is spent by asking.
    ///
    /// # Errors
    /// The provider cannot be asked or refuses the code, or its ID token is not for this log-in.
    pub async fn person(
        &self,
        config: &OidcConfig,
        redirect_url: &str,
        code: &str,
        attempt: &Attempt,
    ) -> Result<Person, OidcError> {
        let http = Http::default();
        let metadata = self.metadata(config, &http).await?;
        let client = client(&metadata, config, redirect_url)?;
        let tokens =
            token::exchange(&client, &http, AuthorizationCode::new(code.to_owned()), attempt).await?;
        let claims = match token::verify(&tokens, &metadata, config, attempt) {
            Err(token::NotValid::UnknownKey) => {
                let metadata = self.new_keys(&metadata, &http).await?;
                token::verify(&tokens, &metadata, config, attempt)
            }
            other => other,
        }?;
        token::person(&client, &http, config, &tokens, claims).await
    }
}

fn client(metadata: &Metadata, config: &OidcConfig, redirect_url: &str) -> Result<Client, OidcError> {
    let redirect_url = RedirectUrl::new(redirect_url.to_owned()).map_err(|error| OidcError::RedirectUrl {
        url: redirect_url.to_owned(),
        reason: error.to_string(),
    })?;
    let secret = config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.reveal().to_owned()));
    let client = Client::from_provider_metadata(
        metadata.clone(),
        ClientId::new(config.client_id.clone().unwrap_or_default()),
        secret,
    );
    // Basic is the rule; where a provider lists its ways and leaves it out, the other one.
    let methods = metadata.token_endpoint_auth_methods_supported();
    let post = methods.is_some_and(|methods| {
        !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
            && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
    });
    let way = if post { AuthType::RequestBody } else { AuthType::BasicAuth };
    Ok(client.set_auth_type(way).set_redirect_uri(redirect_url))
}
