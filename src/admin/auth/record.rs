//! What is kept of users, sessions and tokens, as it stands in the store. Secrets are there as
//! hashes only.

use serde::{Deserialize, Serialize};

use crate::admin::audit::Entry;
use crate::store::Table;

/// Users by name.
pub(super) const USERS: Table<UserRecord> = Table::new("users");
/// Sessions by id.
pub(super) const SESSIONS: Table<SessionRecord> = Table::new("user_sessions");
/// What a log-out at the provider is asked with, by the id of the session that the provider let in.
pub(super) const HINTS: Table<HintRecord> = Table::new("oidc_hints");
/// API tokens by id.
pub(super) const TOKENS: Table<TokenRecord> = Table::new("api_tokens");
/// One record, under [`ONLY`].
pub(super) const SETTINGS: Table<SettingsRecord> = Table::new("settings");
pub(super) const ONLY: &str = "settings";
/// By number, the oldest first.
pub(in crate::admin) const AUDIT: Table<Entry> = Table::new("audit");

/// Issuer and subject, which together are somebody for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct IdentityRecord {
    pub(super) issuer: String,
    pub(super) subject: String,
}

/// Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UserRecord {
    pub(super) role: String,
    /// argon2id, as a PHC string. Empty: there is none, and no log-in by password.
    pub(super) password: String,
    #[serde(default)]
    pub(super) disabled: bool,
    /// Who it is at an OpenID Connect provider. `None`: nobody; the user is of this place alone.
    #[serde(default)]
    pub(super) identity: Option<IdentityRecord>,
    /// Disabled because the provider's groups say no role, and until they say one again.
    #[serde(default)]
    pub(super) withdrawn: bool,
    pub(super) created: i64,
    pub(super) password_changed: i64,
    /// Grows with every change.
    #[serde(default)]
    pub(super) revision: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    pub(super) user: String,
    /// SHA-256 of what the cookie holds.
    pub(super) secret: String,
    pub(super) made: i64,
    pub(super) seen: i64,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) agent: String,
    /// Of the refresh token that is good; 0: none was given out.
    #[serde(default)]
    pub(super) generation: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HintRecord {
    pub(super) issuer: String,
    /// The ID token. Nobody gets in with it: it says to the provider whose log-in is meant.
    pub(super) id_token: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    pub(super) name: String,
    /// SHA-256 of the token.
    pub(super) hash: String,
    pub(super) role: String,
    /// `None`: made on the local socket, and nobody's.
    pub(super) user: Option<String>,
    pub(super) made_by: String,
    pub(super) made: i64,
    #[serde(default)]
    pub(super) expires: Option<i64>,
    #[serde(default)]
    pub(super) used: Option<i64>,
    /// The services it is for. `None`: all, and all the rest.
    #[serde(default)]
    pub(super) services: Option<Vec<String>>,
}

/// What is settable while WakeDock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SettingsRecord {
    pub(super) session_idle_seconds: u64,
    pub(super) session_absolute_seconds: u64,
    #[serde(default)]
    pub(super) revision: u64,
}
