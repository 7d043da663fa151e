//! What becomes of credentials when a backup takes the place of a store.
//!
//! A backup is older than what it replaces, and who may come in is decided by the newer of the two: a
//! restore gives nobody more than they had a moment before. Whatever is taken from somebody by that is
//! told, for an operator to give it back.

use serde::Serialize;
use serde_json::json;

use crate::admin::audit::{self, Entry};
use crate::admin::auth::record::{
    AUDIT, HINTS, SESSIONS, SessionRecord, TOKENS, TokenRecord, USERS, UserRecord,
};
use crate::admin::caller::Caller;
use crate::domain::words::Role;
use crate::store::restore::Before;
use crate::store::{Order, Reading, StorageFault, Writing};

/// Records that are looked at to find out whether two stores have a past in common.
const LOOKED_AT: usize = 1000;

/// What was done about who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    pub compared_with: Compared,
    /// Log-ins of the backup that are over.
    pub sessions_ended: usize,
    /// Revoked since the backup, and still so.
    pub tokens_left_out: Vec<TokenName>,
    /// Of users of the backup.
    pub users_changed: Vec<UserSettled>,
    /// Made since the backup, and not in it.
    pub users_gone: Vec<String>,
    pub tokens_gone: Vec<TokenName>,
}

/// What the backup was held against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// There was no store.
    #[default]
    Nothing,
    /// There was one, and it could not be read: what was revoked since the backup is good again.
    Unreadable,
    /// There was one without anything in common: another WakeDock's, or a new one.
    Foreign,
    /// What the store had become since the backup was made.
    Newer,
}

/// A token, by what people know it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TokenName {
    pub id: String,
    pub name: String,
}

/// A user who may do less than the backup says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserSettled {
    pub name: String,
    /// Removed since, and brought back disabled.
    pub was_removed: bool,
    /// Disabled since.
    pub was_disabled: bool,
    /// The role that was taken since; this one is left.
    pub role: Option<&'static str>,
    /// The password was changed since: the new one counts.
    pub password_kept: bool,
}

/// Settles who may come in, in the commit that makes a backup a store. `caller`: who restores.
///
/// # Errors
/// Where the disk fails.
pub fn settle(tables: &Writing<'_>, before: &Before<'_>, caller: &Caller) -> Result<Restored, StorageFault> {
    let mut done = Restored {
        // Whoever was logged in when the backup was made may have logged out, or been thrown out.
        sessions_ended: tables.remove_range::<SessionRecord>(&SESSIONS, .., usize::MAX)?,
        ..Restored::default()
    };
    tables.remove_range(&HINTS, .., usize::MAX)?;
    match before {
        Before::Nothing => {}
        Before::Unreadable => done.compared_with = Compared::Unreadable,
        Before::Store(newer) if have_a_common_past(tables, newer)? => {
            done.compared_with = Compared::Newer;
            settle_users(tables, newer, &mut done)?;
            settle_tokens(tables, newer, &mut done)?;
        }
        Before::Store(_) => done.compared_with = Compared::Foreign,
    }
    let entry = Entry::by(caller, "restored", "store").after(json!(done));
    audit::record(tables, &entry)?;
    Ok(done)
}

/// Whether one store is what the other has become. Anything that both have says so: ids are random, and
/// nobody is made twice in the same millisecond.
fn have_a_common_past(tables: &Writing<'_>, newer: &Reading<'_>) -> Result<bool, StorageFault> {
    for (id, _) in tables.scan(&TOKENS, .., Order::Ascending, usize::MAX)? {
        if newer.get(&TOKENS, &id)?.is_some() {
            return Ok(true);
        }
    }
    for (name, user) in tables.scan(&USERS, .., Order::Ascending, usize::MAX)? {
        if newer.get(&USERS, &name)?.is_some_and(|newer| newer.created == user.created) {
            return Ok(true);
        }
    }
    for (key, entry) in tables.scan(&AUDIT, .., Order::Descending, LOOKED_AT)? {
        if newer.get(&AUDIT, &key)?.is_some_and(|newer| newer == entry) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn settle_users(tables: &Writing<'_>, newer: &Reading<'_>, done: &mut Restored) -> Result<(), StorageFault> {
    for (name, old) in tables.scan(&USERS, .., Order::Ascending, usize::MAX)? {
        let (user, settled) = settle_user(&name, &old, newer.get(&USERS, &name)?);
        let Some(settled) = settled else { continue };
        let revision = tables.number(&USERS, user.revision)?;
        tables.put(&USERS, &name, &UserRecord { revision, ..user })?;
        done.users_changed.push(settled);
    }
    for (name, _) in newer.scan(&USERS, .., Order::Ascending, usize::MAX)? {
        if tables.get(&USERS, &name)?.is_none() {
            done.users_gone.push(name);
        }
    }
    Ok(())
}

/// A user as the backup has it, but for what was taken from them since.
fn settle_user(name: &str, old: &UserRecord, newer: Option<UserRecord>) -> (UserRecord, Option<UserSettled>) {
    let mut user = old.clone();
    let mut settled = UserSettled {
        name: name.to_owned(),
        was_removed: newer.is_none(),
        was_disabled: false,
        role: None,
        password_kept: false,
    };
    let Some(newer) = newer else {
        user.disabled = true;
        user.withdrawn = false;
        return (user, Some(settled));
    };
    if newer.disabled && !old.disabled {
        (user.disabled, user.withdrawn) = (true, newer.withdrawn);
        settled.was_disabled = true;
    }
    // What is no role is none.
    if let (Some(now), Some(then)) = (Role::parse(&newer.role), Role::parse(&old.role))
        && now < then
    {
        user.role = newer.role;
        settled.role = Some(now.as_str());
    }
    if newer.password != old.password && newer.password_changed >= old.password_changed {
        (user.password, user.password_changed) = (newer.password, newer.password_changed);
        settled.password_kept = true;
    }
    // Removed, and made again as somebody else.
    if newer.created != old.created {
        (user.identity, user.created) = (newer.identity, newer.created);
    }
    let is_less = settled.was_disabled || settled.role.is_some() || settled.password_kept;
    (user, is_less.then_some(settled))
}

fn settle_tokens(tables: &Writing<'_>, newer: &Reading<'_>, done: &mut Restored) -> Result<(), StorageFault> {
    let named = |id: String, token: TokenRecord| TokenName { id, name: token.name };
    for (id, token) in tables.scan(&TOKENS, .., Order::Ascending, usize::MAX)? {
        if newer.get(&TOKENS, &id)?.is_none() {
            tables.remove(&TOKENS, &id)?;
            done.tokens_left_out.push(named(id, token));
        }
    }
    for (id, token) in newer.scan(&TOKENS, .., Order::Ascending, usize::MAX)? {
        if tables.get(&TOKENS, &id)?.is_none() && !done.tokens_left_out.iter().any(|out| out.id == id) {
            done.tokens_gone.push(named(id, token));
        }
    }
    Ok(())
}

impl UserSettled {
    /// In words: `was removed since and is disabled`.
    #[must_use]
    pub fn said(&self) -> String {
        let mut said = Vec::new();
        if self.was_removed {
            said.push("was removed since, and is back disabled".to_owned());
        }
        if self.was_disabled {
            said.push("was disabled since, and stays so".to_owned());
        }
        if let Some(role) = self.role {
            said.push(format!("was made {role} since, and stays so"));
        }
        if self.password_kept {
            said.push("has another password since, and keeps it".to_owned());
        }
        said.join("; ")
    }
}
