//! Users: made, changed and removed, and never without one enabled admin once there was one.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admin::audit::Entry;
use crate::admin::auth::password::{self, Busy, PasswordError};
use crate::admin::auth::record::{IdentityRecord, UserRecord};
use crate::admin::auth::session;
use crate::admin::auth::{Auth, Change, People};
use crate::admin::caller::Caller;
use crate::clock;
use crate::domain::time::Timestamp;
use crate::domain::words::Role;
use crate::store::CommitError;

/// Nobody has as many.
const MOST: usize = 1000;

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Arc<str>,
    pub role: Role,
    pub disabled: bool,
    pub created: Timestamp,
    pub password_changed: Timestamp,
    /// Grows with every change of whatever user, and is never given twice.
    pub revision: u64,
    /// Who it is at an OpenID Connect provider, for whoever came by one.
    pub identity: Option<Arc<Identity>>,
    /// Disabled by the provider's groups, and until they say a role again.
    pub withdrawn: bool,
    /// Empty: there is none.
    pub(super) password: Arc<str>,
}

/// Somebody at an OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    /// The provider's own number or word for them, which never changes.
    pub subject: String,
}

/// A user to be.
#[derive(Debug)]
pub struct NewUser {
    pub name: String,
    pub role: Role,
    pub password: String,
}

/// What is to change of a user; `None` stays.
#[derive(Debug, Default)]
pub struct UserChange {
    pub role: Option<Role>,
    pub disabled: Option<bool>,
    pub password: Option<String>,
}

/// Why a name cannot be a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not 1 to 64 of a–z, 0–9, `.`, `_`, `-` and `@`, beginning with a letter or figure")]
pub struct NameError;

/// Why a user was not made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("there is a user of this name")]
    Exists,
    #[error("there is no user of this name")]
    Absent,
    #[error("there must be an admin who can log in")]
    LastAdmin,
    #[error("there are too many users")]
    Full,
    /// Somebody else has changed the user since.
    #[error("the user has changed since")]
    Changed,
    #[error("too many passwords are being worked on")]
    Busy,
    #[error(transparent)]
    Store(#[from] CommitError),
}

impl From<Busy> for UserError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// A user's name in the one way it is written: lower case.
pub(super) fn name(text: &str) -> Result<Arc<str>, NameError> {
    let name = text.to_ascii_lowercase();
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-@".contains(&c));
    if fits { Ok(name.into()) } else { Err(NameError) }
}

impl User {
    pub(super) fn new(name: Arc<str>, role: Role, password: String) -> Self {
        let now = clock::wall();
        Self {
            name,
            role,
            disabled: false,
            created: now,
            password_changed: now,
            revision: 0,
            identity: None,
            withdrawn: false,
            password: password.into(),
        }
    }

    pub(super) fn read(name: &str, record: UserRecord) -> Option<Self> {
        Some(Self {
            name: name.into(),
            role: Role::parse(&record.role)?,
            disabled: record.disabled,
            created: Timestamp::from_millis(record.created),
            password_changed: Timestamp::from_millis(record.password_changed),
            revision: record.revision,
            identity: record.identity.map(|identity| {
                let IdentityRecord { issuer, subject } = identity;
                Arc::new(Identity { issuer, subject })
            }),
            withdrawn: record.withdrawn,
            password: record.password.into(),
        })
    }

    pub(super) fn record(&self) -> UserRecord {
        let identity = self.identity.as_deref().map(|identity| {
            let Identity { issuer, subject } = identity.clone();
            IdentityRecord { issuer, subject }
        });
        UserRecord {
            identity,
            withdrawn: self.withdrawn,
            role: self.role.as_str().to_owned(),
            password: self.password.as_ref().to_owned(),
            disabled: self.disabled,
            created: self.created.as_millis(),
            password_changed: self.password_changed.as_millis(),
            revision: self.revision,
        }
    }

    /// Whether there is a password to log in with.
    #[must_use]
    pub fn has_password(&self) -> bool {
        !self.password.is_empty()
    }

    /// For the audit: all but the password.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({ "role": self.role.as_str(), "disabled": self.disabled });
        if let Some(identity) = &self.identity {
            shown["issuer"] = identity.issuer.as_str().into();
            shown["subject"] = identity.subject.as_str().into();
        }
        shown
    }

    fn is_admin(&self) -> bool {
        self.role == Role::Admin && !self.disabled
    }
}

impl People {
    /// Whether nobody could administer any more without this one.
    fn is_last_admin(&self, name: &str) -> bool {
        self.users.get(name).is_some_and(User::is_admin)
            && !self.users.values().any(|user| user.is_admin() && &*user.name != name)
    }
}

impl Auth {
    /// Every user, by name.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.people().users.values().cloned().collect()
    }

    #[must_use]
    pub fn user(&self, name: &str) -> Option<User> {
        self.people().users.get(name.to_ascii_lowercase().as_str()).cloned()
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`UserError`]; then there is none.
    pub async fn add_user(&self, caller: &Caller, new: NewUser) -> Result<User, UserError> {
        let name = name(&new.name)?;
        password::check_new(&new.password)?;
        let hash = self.hasher.hash(new.password).await?;
        let _alone = self.changing.lock().await;
        let user = User::new(name, new.role, hash);
        let entry = Entry::by(caller, "user-created", user.name.as_ref()).after(user.shown());
        self.insert_user(user, entry).await
    }

    /// Makes a user, and says so in the audit; alone.
    pub(super) async fn insert_user(&self, user: User, entry: Entry) -> Result<User, UserError> {
        let name = Arc::clone(&user.name);
        {
            let people = self.people();
            if people.users.contains_key(&name) {
                return Err(UserError::Exists);
            }
            if people.users.len() >= MOST {
                return Err(UserError::Full);
            }
        }
        let put = Change::PutUser(Arc::clone(&name), user.record());
        let revision = self.commit(vec![put], Some(entry)).await?;
        let user = User { revision, ..user };
        self.change_people(|people| people.users.insert(name, user.clone()));
        // The link for the first user has nothing to do any more.
        self.close_set_up();
        Ok(user)
    }

    /// Changes a user. Whatever it is ends all sessions.
    ///
    /// # Errors
    /// [`UserError`]; then nothing is changed.
    pub async fn change_user(
        &self,
        caller: &Caller,
        name: &str,
        change: UserChange,
        expect: Option<u64>,
    ) -> Result<User, UserError> {
        let hash = match change.password {
            Some(password) => {
                password::check_new(&password)?;
                Some(self.hasher.hash(password).await?)
            }
            None => None,
        };
        let _alone = self.changing.lock().await;
        let before = self.user(name).ok_or(UserError::Absent)?;
        if expect.is_some_and(|expect| expect != before.revision) {
            return Err(UserError::Changed);
        }
        let mut after = before.clone();
        after.role = change.role.unwrap_or(before.role);
        after.disabled = change.disabled.unwrap_or(before.disabled);
        // What an admin says of it, stays; what the provider says, lasts until it says something else.
        after.withdrawn &= change.disabled.is_none();
        if let Some(hash) = hash {
            after.password = hash.into();
            after.password_changed = clock::wall();
        }
        if after == before {
            return Ok(before);
        }
        if !after.is_admin() && self.people().is_last_admin(&before.name) {
            return Err(UserError::LastAdmin);
        }
        let new_password = after.password != before.password;
        let mut shown = after.shown();
        if new_password && let Value::Object(shown) = &mut shown {
            shown.insert("password".to_owned(), "changed".into());
        }
        let entry =
            Entry::by(caller, "user-changed", after.name.as_ref()).before(before.shown()).after(shown);
        let ended: Vec<Arc<str>> = {
            let people = self.people();
            let all = people.sessions.values().filter(|session| session.user == after.name);
            all.map(|session| Arc::clone(&session.id)).collect()
        };
        let mut changes = session::remove(&ended);
        changes.push(Change::PutUser(Arc::clone(&after.name), after.record()));
        after.revision = self.commit(changes, Some(entry)).await?;
        self.change_people(|people| people.users.insert(Arc::clone(&after.name), after.clone()));
        self.forget_sessions(&ended);
        Ok(after)
    }

    /// Removes a user, with sessions and tokens.
    ///
    /// # Errors
    /// [`UserError`]; then the user stays.
    pub async fn remove_user(
        &self,
        caller: &Caller,
        name: &str,
        expect: Option<u64>,
    ) -> Result<(), UserError> {
        let _alone = self.changing.lock().await;
        let user = self.user(name).ok_or(UserError::Absent)?;
        if expect.is_some_and(|expect| expect != user.revision) {
            return Err(UserError::Changed);
        }
        let (sessions, tokens): (Vec<Arc<str>>, Vec<Arc<str>>) = {
            let people = self.people();
            if people.is_last_admin(&user.name) {
                return Err(UserError::LastAdmin);
            }
            let sessions = people.sessions.values().filter(|session| session.user == user.name);
            let tokens = people.tokens.values().filter(|token| token.user.as_ref() == Some(&user.name));
            (
                sessions.map(|session| Arc::clone(&session.id)).collect(),
                tokens.map(|token| Arc::clone(&token.id)).collect(),
            )
        };
        let mut changes = session::remove(&sessions);
        changes.extend(tokens.iter().map(|id| Change::RemoveToken(Arc::clone(id))));
        changes.push(Change::RemoveUser(Arc::clone(&user.name), user.revision));
        let entry = Entry::by(caller, "user-deleted", user.name.as_ref()).before(user.shown());
        self.commit(changes, Some(entry)).await?;
        self.change_people(|people| {
            people.users.remove(&user.name);
            people.tokens.retain(|_, token| token.user.as_ref() != Some(&user.name));
        });
        self.forget_sessions(&sessions);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_one_way() {
        for (text, read) in [("Ann", "ann"), ("a.b-c_d@e", "a.b-c_d@e"), ("0", "0")] {
            assert_eq!(&*name(text).unwrap(), read);
        }
        for text in ["", "-a", "a b", "a\n", "é", "a/b", &"a".repeat(65)] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }
}
