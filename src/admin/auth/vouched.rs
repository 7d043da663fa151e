//! Log-in of people for whom an OpenID Connect provider vouches.
//!
//! Who somebody is, is issuer and subject together. The name they have there counts once, when the
//! user is made here: whoever takes another name at the provider stays the same user, and nobody
//! becomes somebody else by taking theirs.

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::json;

use crate::admin::audit;
use crate::admin::auth::record::{HINTS, HintRecord};
use crate::admin::auth::session;
use crate::admin::auth::sign_in::{Client, NewSession, SignInError, nobody};
use crate::admin::auth::throttle::{FREE, Left, TooMany, WINDOW};
use crate::admin::auth::users::{self, Identity, NameError, User, UserError};
use crate::admin::auth::{Auth, Change};
use crate::admin::caller::{Caller, Via};
use crate::domain::words::Role;
use crate::oidc::IdToken;
use crate::store::{CommitError, Interrupted};

/// What a provider says of somebody, and what that is worth here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    pub issuer: String,
    pub subject: String,
    pub name: Option<String>,
    /// Of their groups. `None`: none of them has one.
    pub role: Option<Role>,
    pub id_token: IdToken,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum VouchedError {
    #[error("none of the groups that the provider says has a role in `admin.oidc.roles`")]
    NoRole,
    #[error("the provider says no name in the claim of `admin.oidc.username_claim`")]
    NoName,
    #[error("the name {0}")]
    Name(#[from] NameError),
    #[error("there is a user of this name already, who is somebody else")]
    NameTaken,
    #[error("the user is disabled")]
    Disabled,
    #[error("there are too many users")]
    Full,
    #[error("the user was changed in the meantime")]
    Changed,
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl From<UserError> for VouchedError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Name(error) => Self::Name(error),
            UserError::Exists => Self::NameTaken,
            UserError::Full => Self::Full,
            UserError::Store(error) => Self::Store(error),
            UserError::Password(_)
            | UserError::Absent
            | UserError::LastAdmin
            | UserError::Changed
            | UserError::Busy => Self::Changed,
        }
    }
}

impl From<SignInError> for VouchedError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Store(error) => Self::Store(error),
            SignInError::Wrong(_) | SignInError::TooMany(_) | SignInError::Busy => Self::Changed,
        }
    }
}

/// Longer than any address that a browser or a provider takes.
const LONGEST_HINT: usize = 6 * 1024;

/// Proof that a try was counted.
#[derive(Debug)]
pub struct Counted(String);

impl Auth {
    /// A try begins, and counts against the address until it is found right.
    ///
    /// # Errors
    /// There were too many from there.
    pub fn begin_vouched(&self, client: &Client) -> Result<Counted, TooMany> {
        // No user has a name like this, so that nobody is kept out by the guesses of others.
        let key = format!("oidc {}", client.address.map(|address| address.to_string()).unwrap_or_default());
        self.throttle.begin(&key, client.address)?;
        Ok(Counted(key))
    }

    /// The try is none: nothing was guessed.
    pub fn end_vouched(&self, counted: &Counted, client: &Client) {
        self.throttle.right(&counted.0, client.address);
    }

    /// The provider's word was not to be believed.
    pub fn note_vouched_failed(&self, client: &Client) {
        audit::note(&self.store, nobody("", "none", client, "log-in-failed", ""));
    }

    /// Begins a session for whom a provider vouches: for the user who has come by this identity
    /// before, or a new one. The role is what the groups say now.
    ///
    /// # Errors
    /// [`VouchedError`]. Whoever has lost every role loses sessions and tokens with it.
    pub async fn sign_in_vouched(
        &self,
        vouched: &Vouched,
        client: &Client,
    ) -> Result<NewSession, VouchedError> {
        let user = self.user_of_identity(vouched, client).await;
        let user = match user {
            Ok(user) => user,
            Err(error) => {
                let known = self.user_by(&vouched.issuer, &vouched.subject);
                let who = known.as_ref().map_or("", |user| &user.name);
                let mut entry = nobody(who, "none", client, "log-in-failed", who);
                // Signed by the provider, and nothing that anybody typed here.
                entry.after = Some(json!({ "issuer": vouched.issuer, "subject": vouched.subject }));
                audit::note(&self.store, entry);
                return Err(error);
            }
        };
        let left = Left { tries: FREE, reset: WINDOW };
        let hint = Some(&vouched.id_token.0).filter(|token| token.len() <= LONGEST_HINT);
        let hint = hint.map(|token| HintRecord { issuer: vouched.issuer.clone(), id_token: token.clone() });
        Ok(self.begin_session(&user, client, left, hint).await?)
    }

    /// The ID token of the log-in that a caller's session began with, where this provider let them in.
    pub async fn id_token(&self, caller: &Caller, issuer: &str) -> Option<String> {
        let Via::Session { id } = &caller.via else { return None };
        let id = Arc::clone(id);
        let read = self.store.read(move |tables| Ok::<_, Interrupted<Infallible>>(tables.get(&HINTS, &id)?));
        let hint = read.await.ok()??;
        (hint.issuer == issuer).then_some(hint.id_token)
    }

    fn user_by(&self, issuer: &str, subject: &str) -> Option<User> {
        let is = |identity: &Arc<Identity>| identity.issuer == issuer && identity.subject == subject;
        self.people().users.values().find(|user| user.identity.as_ref().is_some_and(is)).cloned()
    }

    async fn user_of_identity(&self, vouched: &Vouched, client: &Client) -> Result<User, VouchedError> {
        let _alone = self.changing.lock().await;
        match (self.user_by(&vouched.issuer, &vouched.subject), vouched.role) {
            (Some(user), None) => {
                self.withdraw(&user, client).await?;
                Err(VouchedError::NoRole)
            }
            (None, None) => Err(VouchedError::NoRole),
            (Some(user), Some(_)) if user.disabled && !user.withdrawn => Err(VouchedError::Disabled),
            (Some(user), Some(role)) if user.role != role || user.withdrawn => {
                self.grant(&user, role, client).await
            }
            (Some(user), Some(_)) => Ok(user),
            (None, Some(role)) => {
                let name = vouched.name.as_deref().ok_or(VouchedError::NoName)?;
                let name = users::name(name)?;
                let identity = Identity { issuer: vouched.issuer.clone(), subject: vouched.subject.clone() };
                let user =
                    User { identity: Some(Arc::new(identity)), ..User::new(name, role, String::new()) };
                let entry =
                    nobody(&user.name, "none", client, "user-created", &user.name).after(user.shown());
                Ok(self.insert_user(user, entry).await?)
            }
        }
    }

    /// The groups say another role than before, or one again.
    async fn grant(&self, before: &User, role: Role, client: &Client) -> Result<User, VouchedError> {
        let after = User { role, disabled: false, withdrawn: false, ..before.clone() };
        self.change_vouched(before, after, client).await
    }

    /// The groups say no role any more.
    async fn withdraw(&self, user: &User, client: &Client) -> Result<(), VouchedError> {
        if user.disabled {
            return Ok(());
        }
        let after = User { disabled: true, withdrawn: true, ..user.clone() };
        self.change_vouched(user, after, client).await.map(drop)
    }

    async fn change_vouched(
        &self,
        before: &User,
        mut after: User,
        client: &Client,
    ) -> Result<User, VouchedError> {
        let entry = nobody(&after.name, "none", client, "user-changed", &after.name)
            .before(before.shown())
            .after(after.shown());
        let ended: Vec<Arc<str>> = {
            let people = self.people();
            let own = people.sessions.values().filter(|session| session.user == after.name);
            own.map(|session| Arc::clone(&session.id)).collect()
        };
        let mut changes = session::remove(&ended);
        changes.push(Change::PutUser(Arc::clone(&after.name), after.record()));
        after.revision = self.commit(changes, Some(entry)).await?;
        self.change_people(|people| people.users.insert(Arc::clone(&after.name), after.clone()));
        self.forget_sessions(&ended);
        Ok(after)
    }
}
