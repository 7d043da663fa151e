//! What the provider says of itself: fetched when it is first needed, kept for an hour, and asked
//! for no more often than it does anybody good.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::url::Url;
use openidconnect::{AdditionalProviderMetadata, DiscoveryError, IssuerUrl, ProviderMetadata};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::clock;
use crate::config::OidcConfig;
use crate::domain::time::Moment;
use crate::oidc::error::{OidcError, whole};
use crate::oidc::http::{Http, HttpError, is_loopback};

/// How long a discovery document and its keys are believed.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// After a failure nobody asks again for this long.
const REST: Duration = Duration::from_secs(5);
/// An unknown key makes WakeDock ask at most this often: anybody can send a token that names one.
const NEW_KEYS: Duration = Duration::from_secs(30);
/// How long a page waits to hear whether the provider is there.
const GLANCE: Duration = Duration::from_millis(300);

pub(super) type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What the library reads of a discovery document only where it must be right: what is wrong with it
/// keeps nobody from logging in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extra {
    #[serde(default)]
    end_session_endpoint: Option<Json>,
}

impl AdditionalProviderMetadata for Extra {}

/// One provider, as far as WakeDock knows it. Empty until somebody asks.
#[derive(Default)]
pub struct Provider {
    known: Arc<Mutex<Option<Box<Known>>>>,
}

struct Known {
    /// Another one in the configuration makes all of this void.
    issuer: String,
    at: Moment,
    found: Result<Arc<Metadata>, OidcError>,
    keys_asked: Option<Moment>,
}

/// Whether the provider is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Here,
    Away,
    /// It has not answered yet.
    Asked,
}

impl Provider {
    /// Whether a log-in has a chance. Asks the provider where nobody knows, but waits for the answer
    /// only as long as nobody notices.
    pub async fn standing(&self, config: &OidcConfig) -> Standing {
        let Ok(mut known) = Arc::clone(&self.known).try_lock_owned() else { return Standing::Asked };
        if let Some(found) = remembered(&known, config) {
            return if found.is_ok() { Standing::Here } else { Standing::Away };
        }
        let config = config.clone();
        let asked =
            tokio::spawn(async move { discover(&mut known, &config, &Http::default()).await.is_ok() });
        match tokio::time::timeout(GLANCE, asked).await {
            Ok(Ok(true)) => Standing::Here,
            Ok(Ok(false) | Err(_)) => Standing::Away,
            Err(_) => Standing::Asked,
        }
    }

    /// The discovery document and the keys. Whoever comes while it is being fetched waits for that.
    pub(super) async fn metadata(
        &self,
        config: &OidcConfig,
        http: &Http,
    ) -> Result<Arc<Metadata>, OidcError> {
        let mut known = Arc::clone(&self.known).lock_owned().await;
        match remembered(&known, config) {
            Some(found) => found,
            None => discover(&mut known, config, http).await,
        }
    }

    /// The same with keys that are newer than those in `seen`, unless they were asked for just now.
    pub(super) async fn new_keys(
        &self,
        seen: &Arc<Metadata>,
        http: &Http,
    ) -> Result<Arc<Metadata>, OidcError> {
        let mut guard = self.known.lock().await;
        let Some(known) = guard.as_mut() else { return Ok(Arc::clone(seen)) };
        match &known.found {
            Ok(newer) if !Arc::ptr_eq(newer, seen) => return Ok(Arc::clone(newer)),
            Ok(_) => {}
            Err(_) => return Ok(Arc::clone(seen)),
        }
        let now = clock::now();
        if known.keys_asked.is_some_and(|asked| now.since(asked) < NEW_KEYS) {
            return Ok(Arc::clone(seen));
        }
        known.keys_asked = Some(now);
        let keys = CoreJsonWebKeySet::fetch_async(seen.jwks_uri(), http).await.map_err(away)?;
        let newer = Arc::new(Metadata::clone(seen).set_jwks(keys));
        known.found = Ok(Arc::clone(&newer));
        Ok(newer)
    }
}

/// Where a provider lets people log out, if it says so in a way that can be used.
pub(super) fn end_session_endpoint(metadata: &Metadata) -> Option<Url> {
    let said = metadata.additional_metadata().end_session_endpoint.as_ref()?.as_str()?;
    Url::parse(said).ok().filter(is_safe)
}

/// What is known of this issuer and still holds.
fn remembered(known: &Option<Box<Known>>, config: &OidcConfig) -> Option<Result<Arc<Metadata>, OidcError>> {
    let known = known.as_ref().filter(|known| Some(&known.issuer) == config.issuer.as_ref())?;
    let holds = if known.found.is_ok() { FRESH } else { REST };
    (clock::now().since(known.at) < holds).then(|| known.found.clone())
}

async fn discover(
    known: &mut OwnedMutexGuard<Option<Box<Known>>>,
    config: &OidcConfig,
    http: &Http,
) -> Result<Arc<Metadata>, OidcError> {
    let issuer = config.issuer.clone().unwrap_or_default();
    let found = ask(&issuer, http).await.map(Arc::new);
    if let Err(error) = &found {
        tracing::warn!(issuer, "nobody can log in with OpenID Connect: {error}");
    }
    **known = Some(Box::new(Known { issuer, at: clock::now(), found: found.clone(), keys_asked: None }));
    found
}

async fn ask(issuer: &str, http: &Http) -> Result<Metadata, OidcError> {
    let issuer =
        IssuerUrl::new(issuer.to_owned()).map_err(|error| OidcError::Away { reason: whole(&error) })?;
    let metadata = Metadata::discover_async(issuer, http).await.map_err(away)?;
    // The browser goes there with our client's name and comes back with a code.
    let url = metadata.authorization_endpoint().url();
    if !is_safe(url) {
        return Err(OidcError::Away { reason: format!("its log-in page is not https: {url}") });
    }
    Ok(metadata)
}

/// Whether a browser may be sent there: by TLS, or on this very machine.
fn is_safe(url: &Url) -> bool {
    let is_here = || url.host_str().is_some_and(|host| is_loopback(host.trim_matches(['[', ']'])));
    url.scheme() == "https" || (url.scheme() == "http" && is_here())
}

fn away(error: DiscoveryError<HttpError>) -> OidcError {
    OidcError::Away { reason: whole(&error) }
}
