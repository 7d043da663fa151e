//! Log-in, log-out, refresh, and the first user.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

use crate::admin::audit::{self, Entry};
use crate::admin::auth::password::{self, Busy, Queue};
use crate::admin::auth::record::HintRecord;
use crate::admin::auth::session::{self, Session};
use crate::admin::auth::throttle::{FREE, Left, TooMany, WINDOW};
use crate::admin::auth::users::{self, User, UserChange, UserError};
use crate::admin::auth::{Auth, Change, jwt};
use crate::admin::caller::{Caller, Via};
use crate::admin::crowd::network_of;
use crate::admin::secret;
use crate::clock;
use crate::domain::words::Role;
use crate::store::CommitError;

const REFRESH_PREFIX: &str = "wdr_";

/// Who is at the other end of a log-in.
#[derive(Debug, Clone, Default)]
pub struct Client {
    pub address: Option<IpAddr>,
    /// `User-Agent`.
    pub agent: String,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct NewSession {
    pub session: Arc<Session>,
    pub role: Role,
    /// What the cookie is to hold.
    pub cookie: String,
    /// How many more tries there would have been.
    pub left: Left,
}

/// What a program goes on with.
#[derive(Debug)]
pub struct Tokens {
    pub access: String,
    /// Seconds for which it is good.
    pub expires_in: u64,
    pub refresh: String,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The name, the password, or that the user is disabled: which, is nobody's business.
    #[error("the name or the password is wrong")]
    Wrong(Left),
    #[error("there were too many tries")]
    TooMany(TooMany),
    #[error("too many log-ins wait already")]
    Busy,
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl From<Busy> for SignInError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// Why the first user was not made.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// Wrong, used, or of a WakeDock that has been restarted since.
    #[error("the link is not good, or not any more")]
    Link,
    #[error("there were too many tries")]
    TooMany(TooMany),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// Why a password was not changed by its owner.
#[derive(Debug, thiserror::Error)]
pub enum PasswordChangeError {
    /// The caller is no user with a password here.
    #[error("there is no password to change")]
    NotYours,
    #[error(transparent)]
    Current(SignInError),
    #[error(transparent)]
    User(#[from] UserError),
}

/// Somebody without credentials, as far as the audit knows.
pub(super) fn nobody(who: &str, via: &str, client: &Client, what: &str, subject: &str) -> Entry {
    Entry {
        at: clock::wall().as_millis(),
        who: who.to_owned(),
        via: via.to_owned(),
        address: client.address.map(|address| address.to_string()),
        what: what.to_owned(),
        subject: subject.to_owned(),
        before: None,
        after: None,
    }
}

impl Auth {
    /// Begins a session for whoever knows the password. Always a new one: what the client brought
    /// along is not taken up.
    ///
    /// # Errors
    /// [`SignInError`], after the same work whether there is such a user or not.
    pub async fn sign_in(
        &self,
        name: &str,
        password: String,
        client: &Client,
    ) -> Result<NewSession, SignInError> {
        // A name that cannot be anybody's is throttled and worked on like one that could.
        let name_of = name.to_ascii_lowercase().chars().take(64).collect::<String>();
        let key = key(&name_of);
        let left = self.throttle.begin(&key, client.address).map_err(SignInError::TooMany)?;
        let user = self.user(&name_of).filter(|user| user.name.len() == name.len());
        // Whoever comes by a provider alone has none, which takes as long to find out.
        let hash = user.as_ref().filter(|user| user.has_password()).map(|user| Arc::clone(&user.password));
        let right = match self.hasher.verify(password, hash.clone(), self.queue_of(client.address)).await {
            Ok(right) => right,
            Err(busy) => {
                self.throttle.undo(&key, client.address);
                return Err(busy.into());
            }
        };
        let Some(user) = user.as_ref().filter(|user| right && !user.disabled) else {
            // What stands in the place of a name may be a password: only names of users are kept.
            let who = user.as_ref().map_or("", |user| &user.name);
            audit::note(&self.store, nobody(who, "none", client, "log-in-failed", who));
            return Err(SignInError::Wrong(left));
        };
        let new = self.begin_session(user, client, left, None).await;
        match new {
            Ok(_) => self.throttle.right(&key, client.address),
            // The password was right.
            Err(_) => self.throttle.undo(&key, client.address),
        }
        new
    }

    /// Where a log-in waits: whoever is logged in already from there is kept out by no stranger.
    fn queue_of(&self, address: Option<IpAddr>) -> Queue {
        let network = address.map(network_of);
        let is_known = |session: &Arc<Session>| session.address.map(network_of) == network;
        let known = network.is_none() || self.people().sessions.values().any(is_known);
        if known { Queue::Known } else { Queue::Strangers }
    }

    pub(super) async fn begin_session(
        &self,
        user: &User,
        client: &Client,
        left: Left,
        hint: Option<HintRecord>,
    ) -> Result<NewSession, SignInError> {
        let now = clock::wall();
        let (session, cookie) = Session::new(&user.name, client.address, &client.agent, now);
        let _alone = self.changing.lock().await;
        // Between the password and this lock the user may have become another one.
        if self.user(&user.name).is_none_or(|current| current != *user) {
            return Err(SignInError::Wrong(left));
        }
        let overdue = self.people().overdue(&user.name, now);
        let mut changes = session::remove(&overdue);
        changes.push(Change::PutSession(Arc::clone(&session.id), session.record()));
        changes.extend(hint.map(|hint| Change::PutHint(Arc::clone(&session.id), hint)));
        let entry = nobody(&user.name, "session", client, "log-in", &user.name);
        self.commit(changes, Some(entry)).await?;
        let session = Arc::new(session);
        self.change_people(|people| {
            people.sessions.retain(|id, _| !overdue.contains(id));
            people.sessions.insert(Arc::clone(&session.id), Arc::clone(&session));
        });
        if !overdue.is_empty() {
            self.tell_revoked();
        }
        Ok(NewSession { session, role: user.role, cookie, left })
    }

    /// Ends the session of a caller, with everything that hangs on it. Others have none to end.
    ///
    /// # Errors
    /// While the store is away; then it goes on.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), CommitError> {
        let Via::Session { id } = &caller.via else { return Ok(()) };
        let _alone = self.changing.lock().await;
        let entry = Entry::by(caller, "log-out", caller.name.as_ref());
        self.commit(session::remove(&[Arc::clone(id)]), Some(entry)).await?;
        self.forget_sessions(&[Arc::clone(id)]);
        Ok(())
    }

    /// Changes the password of the caller, who shows the current one. Every session ends, the caller's
    /// too: whoever has a copy of it has it no more.
    ///
    /// # Errors
    /// [`PasswordChangeError`]; then nothing is changed.
    pub async fn change_own_password(
        &self,
        caller: &Caller,
        current: String,
        new: String,
    ) -> Result<User, PasswordChangeError> {
        if !matches!(caller.via, Via::Session { .. }) {
            return Err(PasswordChangeError::NotYours);
        }
        let user = self.user(&caller.name).ok_or(PasswordChangeError::NotYours)?;
        // What is wrong with the new one is no guess at the old one.
        password::check_new(&new).map_err(UserError::from)?;
        let key = key(&user.name);
        let begun = self.throttle.begin(&key, caller.address);
        let left = begun.map_err(|many| PasswordChangeError::Current(SignInError::TooMany(many)))?;
        let hash = Some(Arc::clone(&user.password)).filter(|_| user.has_password());
        match self.hasher.verify(current, hash, Queue::Known).await {
            Ok(true) => self.throttle.right(&key, caller.address),
            Ok(false) => return Err(PasswordChangeError::Current(SignInError::Wrong(left))),
            Err(busy) => {
                self.throttle.undo(&key, caller.address);
                return Err(PasswordChangeError::Current(busy.into()));
            }
        }
        let change = UserChange { password: Some(new), ..UserChange::default() };
        Ok(self.change_user(caller, &user.name, change, Some(user.revision)).await?)
    }

    /// Begins a session for somebody who has just shown who they are.
    ///
    /// # Errors
    /// [`SignInError`]; then there is none.
    pub async fn begin_again(&self, user: &User, client: &Client) -> Result<NewSession, SignInError> {
        self.begin_session(user, client, Left { tries: FREE, reset: WINDOW }, None).await
    }

    /// Tokens for a session that has just begun.
    ///
    /// # Errors
    /// While the store is away.
    pub async fn tokens(&self, new: &NewSession) -> Result<Tokens, CommitError> {
        let _alone = self.changing.lock().await;
        self.next_tokens(&new.session, new.role).await
    }

    /// Changes a refresh token for new tokens. One that was changed already has been stolen, or the
    /// thief was faster: its session ends, whoever comes with it.
    ///
    /// # Errors
    /// [`SignInError::Wrong`] for a token that is not good.
    pub async fn refresh(&self, token: &str, client: &Client) -> Result<Tokens, SignInError> {
        let wrong = SignInError::Wrong(Left { tries: 0, reset: std::time::Duration::ZERO });
        let Some((id, generation)) = self.read_refresh(token) else { return Err(wrong) };
        let _alone = self.changing.lock().await;
        let now = clock::wall();
        let found = {
            let people = self.people();
            people.sessions.get(id.as_str()).cloned().and_then(|session| {
                let role = people.user_of(&session, now)?.role;
                Some((session, role))
            })
        };
        let Some((session, role)) = found else { return Err(wrong) };
        if session.generation.load(Ordering::Relaxed) != generation {
            let entry = nobody(&session.user, "none", client, "refresh-reused", &session.user);
            self.commit(session::remove(&[Arc::clone(&session.id)]), Some(entry)).await?;
            self.forget_sessions(&[Arc::clone(&session.id)]);
            return Err(wrong);
        }
        self.saw(&session, now);
        Ok(self.next_tokens(&session, role).await?)
    }

    /// The next generation of a session's tokens, which ends the one before.
    async fn next_tokens(&self, session: &Session, role: Role) -> Result<Tokens, CommitError> {
        let generation = session.generation.load(Ordering::Relaxed).saturating_add(1);
        let mut record = session.record();
        record.generation = generation;
        self.commit(vec![Change::PutSession(Arc::clone(&session.id), record)], None).await?;
        session.generation.store(generation, Ordering::Relaxed);
        let keys = self.keys.load();
        Ok(Tokens {
            access: jwt::make(&keys.access, &session.user, &session.id, role, clock::wall()),
            expires_in: jwt::GOOD_FOR,
            refresh: refresh_token(&keys.refresh, &session.id, generation),
        })
    }

    fn read_refresh(&self, token: &str) -> Option<(String, u32)> {
        let rest = token.strip_prefix(REFRESH_PREFIX).filter(|rest| rest.len() < 256)?;
        let (plain, signature) = rest.split_once('.')?;
        let right = secret::hmac(&self.keys.load().refresh, &[plain.as_bytes()]);
        if !secret::same(&BASE64.decode(signature).ok()?, &right) {
            return None;
        }
        let plain = String::from_utf8(BASE64.decode(plain).ok()?).ok()?;
        let (id, generation) = plain.split_once(':')?;
        Some((id.to_owned(), generation.parse().ok()?))
    }

    /// Makes the token of the set-up link, where there is no user yet. It is good once, until the
    /// next start, and only while there is no user.
    pub fn open_set_up(&self) -> Option<String> {
        if !self.is_empty() {
            return None;
        }
        let token = secret::token("");
        *self.set_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret::sha256(token.as_bytes()));
        Some(token)
    }

    /// Whether this is the token of a link that is good.
    #[must_use]
    pub fn is_set_up(&self, token: &str) -> bool {
        let right = *self.set_up.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_empty() && right.is_some_and(|right| secret::same(&right, &secret::sha256(token.as_bytes())))
    }

    pub(super) fn close_set_up(&self) {
        *self.set_up.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Makes the first user, an admin, and begins a session.
    ///
    /// # Errors
    /// [`SetUpError`]; then there is still none.
    pub async fn set_up(
        &self,
        token: &str,
        name: &str,
        password: String,
        client: &Client,
    ) -> Result<NewSession, SetUpError> {
        // Nobody guesses 256 bits, and nobody keeps out whoever has them.
        if !self.is_set_up(token) {
            self.throttle.begin_from(client.address).map_err(SetUpError::TooMany)?;
            return Err(SetUpError::Link);
        }
        let name = users::name(name).map_err(UserError::from)?;
        password::check_new(&password).map_err(UserError::from)?;
        let hash = self.hasher.hash(password).await.map_err(UserError::from)?;
        let user = {
            let _alone = self.changing.lock().await;
            // Of two who come with it at once, one is first.
            if !self.is_set_up(token) {
                return Err(SetUpError::Link);
            }
            let user = User::new(name, Role::Admin, hash);
            let entry = nobody(&user.name, "none", client, "set-up", &user.name).after(user.shown());
            self.insert_user(user, entry).await?
        };
        Ok(self.begin_again(&user, client).await?)
    }
}

/// Under what guesses at a user's password are counted.
fn key(name: &str) -> String {
    format!("user {name}")
}

fn refresh_token(key: &[u8; 32], session: &str, generation: u32) -> String {
    let plain = BASE64.encode(format!("{session}:{generation}"));
    let signature = BASE64.encode(secret::hmac(key, &[plain.as_bytes()]));
    format!("{REFRESH_PREFIX}{plain}.{signature}")
}
