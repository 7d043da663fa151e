//! API tokens: for programs, with a role, perhaps for a few services only, perhaps for a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::admin::audit::Entry;
use crate::admin::auth::record::{TOKENS, TokenRecord};
use crate::admin::auth::{Auth, Change, People};
use crate::admin::caller::{Caller, Via};
use crate::admin::secret;
use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::words::Role;
use crate::store::{CommitError, Interrupted};

pub(super) const PREFIX: &str = "wd_";
/// Nobody has as many.
const MOST: usize = 1000;
const LONGEST_NAME: usize = 100;
/// How often it is written down that one was used, in milliseconds.
const USED_EVERY: i64 = 60_000;

/// One token, without itself: that was shown once.
#[derive(Debug)]
pub struct Token {
    pub id: Arc<str>,
    pub name: String,
    pub role: Role,
    /// Whose it is. `None`: it was made on the local socket.
    pub user: Option<Arc<str>>,
    pub made_by: String,
    pub made: Timestamp,
    pub expires: Option<Timestamp>,
    /// The services it is for. `None`: all, and all the rest.
    pub services: Option<Arc<[String]>>,
    pub(super) hash: [u8; 32],
    /// Zero: never.
    used: AtomicI64,
    saved: AtomicI64,
}

/// A token to be.
#[derive(Debug)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    pub expires_in: Option<Duration>,
    pub services: Option<Vec<String>>,
}

/// Why a token was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("is not 1 to 100 characters")]
    Name,
    /// Nobody gives what they do not have.
    #[error("is more than your own role")]
    Role,
    #[error("a token cannot make tokens")]
    Token,
    #[error("there is no such token")]
    Absent,
    #[error("there are too many tokens")]
    Full,
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl Token {
    pub(super) fn read(id: &str, record: TokenRecord) -> Option<Self> {
        Some(Self {
            id: id.into(),
            name: record.name,
            role: Role::parse(&record.role)?,
            user: record.user.map(Into::into),
            made_by: record.made_by,
            made: Timestamp::from_millis(record.made),
            expires: record.expires.map(Timestamp::from_millis),
            services: record.services.map(Into::into),
            hash: secret::from_hex(&record.hash)?,
            used: AtomicI64::new(record.used.unwrap_or(0)),
            saved: AtomicI64::new(record.used.unwrap_or(0)),
        })
    }

    fn record(&self) -> TokenRecord {
        TokenRecord {
            name: self.name.clone(),
            hash: secret::hex(&self.hash),
            role: self.role.as_str().to_owned(),
            user: self.user.as_deref().map(ToOwned::to_owned),
            made_by: self.made_by.clone(),
            made: self.made.as_millis(),
            expires: self.expires.map(Timestamp::as_millis),
            used: self.used().map(Timestamp::as_millis),
            services: self.services.as_deref().map(<[String]>::to_vec),
        }
    }

    /// When it was last used.
    #[must_use]
    pub fn used(&self) -> Option<Timestamp> {
        let used = self.used.load(Ordering::Relaxed);
        (used > 0).then(|| Timestamp::from_millis(used))
    }
}

/// Whether a token is a caller's to see and revoke: of who has logged in, all that are theirs; of a
/// token, itself.
fn is_own(token: &Token, caller: &Caller) -> bool {
    match &caller.via {
        Via::Token { id } => *id == token.id,
        _ => token.user.as_deref().is_some_and(|user| caller.is_user(user)),
    }
}

impl People {
    /// What a token may: no more than its user may, and nothing when either is over.
    pub(super) fn role_of(&self, token: &Token, now: Timestamp) -> Option<Role> {
        if token.expires.is_some_and(|expires| expires <= now) {
            return None;
        }
        match &token.user {
            None => Some(token.role),
            Some(user) => {
                self.users.get(user).filter(|user| !user.disabled).map(|user| token.role.min(user.role))
            }
        }
    }
}

impl Auth {
    /// The tokens that a caller may see, the newest first: their own, or, as an admin, all.
    #[must_use]
    pub fn tokens_for(&self, caller: &Caller) -> Vec<Arc<Token>> {
        let mut all = self.list_tokens(None);
        all.retain(|token| caller.role == Role::Admin || is_own(token, caller));
        all
    }

    /// Tokens, the newest first: of one user, or all.
    #[must_use]
    pub fn list_tokens(&self, user: Option<&str>) -> Vec<Arc<Token>> {
        let people = self.people();
        let own = people.tokens.values().filter(|token| user.is_none() || token.user.as_deref() == user);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by(|one, other| (other.made, &other.id).cmp(&(one.made, &one.id)));
        own
    }

    /// Makes a token. It comes back this once, and is nowhere afterwards.
    ///
    /// # Errors
    /// [`TokenError`]; then there is none.
    pub async fn add_token(
        &self,
        caller: &Caller,
        new: NewToken,
    ) -> Result<(String, Arc<Token>), TokenError> {
        let name = new.name.trim().to_owned();
        let length = name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || name.chars().any(char::is_control) {
            return Err(TokenError::Name);
        }
        if new.role > caller.role {
            return Err(TokenError::Role);
        }
        let user = match &caller.via {
            Via::Socket { .. } => None,
            Via::Session { .. } => Some(Arc::clone(&caller.name)),
            // It would outlive the one that made it, or what the proxy says of its maker.
            Via::Token { .. } | Via::Proxy => return Err(TokenError::Token),
        };
        let _alone = self.changing.lock().await;
        if self.people().tokens.len() >= MOST {
            return Err(TokenError::Full);
        }
        let text = secret::token(PREFIX);
        let now = clock::wall();
        let after = |time: Duration| {
            let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(now.as_millis().saturating_add(millis))
        };
        let token = Token {
            id: secret::hex(&secret::random::<8>()).into(),
            name,
            role: new.role,
            user,
            made_by: caller.name.as_ref().to_owned(),
            made: now,
            expires: new.expires_in.map(after),
            services: new.services.map(Into::into),
            hash: secret::sha256(text.as_bytes()),
            used: AtomicI64::new(0),
            saved: AtomicI64::new(0),
        };
        let entry = Entry::by(caller, "token-created", token.id.as_ref()).after(json!({
            "name": token.name, "role": token.role.as_str(), "services": token.services.as_deref(),
        }));
        self.commit(vec![Change::PutToken(Arc::clone(&token.id), token.record())], Some(entry)).await?;
        let token = Arc::new(token);
        self.change_people(|people| people.tokens.insert(token.hash, Arc::clone(&token)));
        Ok((text, token))
    }

    /// Revokes a token: one's own, or, as an admin, any.
    ///
    /// # Errors
    /// [`TokenError`]; then it goes on.
    pub async fn remove_token(&self, caller: &Caller, id: &str) -> Result<(), TokenError> {
        let _alone = self.changing.lock().await;
        let token = self.people().tokens.values().find(|token| &*token.id == id).cloned();
        let owns = |token: &Token| caller.role == Role::Admin || is_own(token, caller);
        let token = token.filter(|token| owns(token)).ok_or(TokenError::Absent)?;
        let entry = Entry::by(caller, "token-revoked", token.id.as_ref())
            .before(json!({ "name": token.name, "role": token.role.as_str() }));
        self.commit(vec![Change::RemoveToken(Arc::clone(&token.id))], Some(entry)).await?;
        self.change_people(|people| people.tokens.remove(&token.hash));
        self.tell_revoked();
        Ok(())
    }

    /// Somebody came with a token. Written down now and then, and waited for by nobody.
    pub(super) fn used(&self, token: &Token, now: Timestamp) {
        let millis = now.as_millis();
        token.used.fetch_max(millis, Ordering::Relaxed);
        let saved = token.saved.load(Ordering::Relaxed);
        let due = millis.saturating_sub(saved) >= USED_EVERY;
        if !due || token.saved.compare_exchange(saved, millis, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let (store, id) = (self.store.clone(), Arc::clone(&token.id));
        tokio::spawn(async move {
            let written = store.change(move |tables| {
                // One that was revoked meanwhile stays so.
                if let Some(mut record) = tables.get(&TOKENS, &id)? {
                    record.used = Some(millis);
                    tables.put(&TOKENS, &id, &record)?;
                }
                Ok::<_, Interrupted<std::convert::Infallible>>(())
            });
            if let Err(error) = written.await {
                tracing::debug!(%error, "that a token was used is not written down");
            }
        });
    }
}
