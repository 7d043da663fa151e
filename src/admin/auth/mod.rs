//! Who may come in: users, their sessions, API tokens, and what each of them shows at the door.
//!
//! Everything is in memory, so that no request waits for the disk; every change is on the disk
//! before it holds. One change is made at a time.

mod browser;
mod cookie;
mod forward;
mod identify;
mod jwt;
mod key;
mod password;
mod record;
mod restored;
mod session;
mod settings;
mod sign_in;
mod throttle;
mod tokens;
mod users;
mod vouched;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub(super) use browser::{
    HEADER as CSRF_HEADER, check_origin, csrf_token_in_form, csrf_token_in_header, is_form, is_from_elsewhere,
};
pub(super) use cookie::read as read_cookie;
pub(super) use cookie::{PLAIN as PLAIN_COOKIE, SECURE as SECURE_COOKIE, named as cookies_named};
pub use cookie::{end_cookie, session_cookie};
pub use identify::{By, Identified};
pub(super) use jwt::read as read_access_token;
pub use key::KeyError;
pub use password::PasswordError;
pub(super) use record::AUDIT;
pub use restored::{Compared, Restored, TokenName, UserSettled, settle};
pub use session::Session;
pub use settings::{Settings, SettingsError};
pub use sign_in::{Client, NewSession, PasswordChangeError, SetUpError, SignInError, Tokens};
pub use throttle::{Left, TooMany};
pub use tokens::{NewToken, Token, TokenError};
pub use users::{Identity, NameError, NewUser, User, UserChange, UserError};
pub use vouched::{Counted, Vouched, VouchedError};

use crate::admin::audit::{self, Entry};
use crate::admin::caller::{Caller, Via};
use crate::domain::time::Timestamp;
use crate::store::{ChangeError, CommitError, Interrupted, Order, Store};
use key::Keys;
use password::Hasher;
use record::{
    HINTS, HintRecord, ONLY, SESSIONS, SETTINGS, SessionRecord, SettingsRecord, TOKENS, TokenRecord, USERS,
    UserRecord,
};
use throttle::Throttle;

/// Records of one kind at most; nobody has as many.
const MOST: usize = 10_000;

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] CommitError),
}

/// Users, sessions and tokens, and the way to change them.
#[derive(Debug)]
pub struct Auth {
    store: Store,
    people: RwLock<People>,
    /// One change at a time: what it was decided on is still so when it is written.
    changing: tokio::sync::Mutex<()>,
    hasher: Hasher,
    throttle: Throttle,
    keys: ArcSwap<Keys>,
    /// Grows with every new key.
    key_number: AtomicU64,
    /// Where the key's file is. `None`: it is in memory alone.
    folder: Option<PathBuf>,
    /// Who came by a log-in proxy, and when that was written down.
    came: Mutex<HashMap<Arc<str>, Timestamp>>,
    /// SHA-256 of the token in the set-up link, while it is good.
    set_up: Mutex<Option<[u8; 32]>>,
    /// Told whenever somebody may do less than before.
    revoked: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct People {
    users: BTreeMap<Arc<str>, User>,
    /// By id.
    sessions: HashMap<Arc<str>, Arc<Session>>,
    /// By SHA-256 of the token.
    tokens: HashMap<[u8; 32], Arc<Token>>,
    settings: Settings,
}

/// One change of the store.
#[derive(Debug)]
enum Change {
    PutUser(Arc<str>, UserRecord),
    /// With the revision that it had.
    RemoveUser(Arc<str>, u64),
    PutSession(Arc<str>, SessionRecord),
    RemoveSession(Arc<str>),
    /// What goes with a session until it ends.
    PutHint(Arc<str>, HintRecord),
    PutToken(Arc<str>, TokenRecord),
    RemoveToken(Arc<str>),
    PutSettings(SettingsRecord),
}

impl Auth {
    /// Reads what is stored, and the key in `folder`; makes one where there is none.
    ///
    /// # Errors
    /// Where either cannot be read.
    pub async fn load(store: Store, folder: Option<PathBuf>) -> Result<Self, LoadError> {
        let keys = match &folder {
            Some(folder) => key::read_or_make(folder)?,
            None => Keys::of(&super::secret::random()),
        };
        let people = Self::read(&store).await?;
        Ok(Self {
            store,
            people: RwLock::new(people),
            changing: tokio::sync::Mutex::new(()),
            hasher: Hasher::new(),
            throttle: Throttle::default(),
            keys: ArcSwap::from_pointee(keys),
            key_number: AtomicU64::new(0),
            folder,
            came: Mutex::default(),
            set_up: Mutex::new(None),
            revoked: watch::Sender::new(()),
        })
    }

    async fn read(store: &Store) -> Result<People, CommitError> {
        let read = store.read(|tables| {
            let users = tables.scan(&USERS, .., Order::Ascending, MOST)?;
            let sessions = tables.scan(&SESSIONS, .., Order::Ascending, MOST)?;
            let tokens = tables.scan(&TOKENS, .., Order::Ascending, MOST)?;
            let settings = tables.get(&SETTINGS, ONLY)?;
            Ok::<_, Interrupted<Infallible>>((users, sessions, tokens, settings))
        });
        let (users, sessions, tokens, settings) = read.await.map_err(committed)?;
        let mut people =
            People { settings: settings.map(Settings::from).unwrap_or_default(), ..People::default() };
        for (name, record) in users {
            match User::read(&name, record) {
                Some(user) => drop(people.users.insert(Arc::clone(&user.name), user)),
                None => tracing::warn!(user = name, "a stored user is not understood, and left out"),
            }
        }
        for (id, record) in sessions {
            if let Some(session) = Session::read(&id, record) {
                people.sessions.insert(Arc::clone(&session.id), Arc::new(session));
            }
        }
        for (id, record) in tokens {
            match Token::read(&id, record) {
                Some(token) => drop(people.tokens.insert(token.hash, Arc::new(token))),
                None => tracing::warn!(token = id, "a stored token is not understood, and left out"),
            }
        }
        Ok(people)
    }

    /// How many passwords were checked since the start: as many for users that there are not.
    #[must_use]
    pub fn passwords_checked(&self) -> u64 {
        self.hasher.checked()
    }

    /// Whether there is no user yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people().users.is_empty()
    }

    /// Grows whenever what was signed so far is worth nothing any more.
    #[must_use]
    pub fn key_number(&self) -> u64 {
        self.key_number.load(Ordering::Relaxed)
    }

    /// Hears whenever somebody may do less than before.
    #[must_use]
    pub fn watch_revoked(&self) -> watch::Receiver<()> {
        self.revoked.subscribe()
    }

    /// Whether a caller that was let in would still be.
    #[must_use]
    pub fn still_holds(&self, caller: &Caller, now: Timestamp) -> bool {
        let people = self.people();
        match &caller.via {
            Via::Socket { .. } => true,
            Via::Proxy => people.users.get(&caller.name).is_none_or(|user| !user.disabled),
            Via::Session { id } => people
                .sessions
                .get(id)
                .and_then(|session| people.user_of(session, now))
                .is_some_and(|user| user.role == caller.role),
            Via::Token { id } => people
                .tokens
                .values()
                .find(|token| token.id == *id)
                .and_then(|token| people.role_of(token, now))
                .is_some_and(|role| role == caller.role),
        }
    }

    /// When a caller's session or token ends by itself.
    #[must_use]
    pub fn expires(&self, caller: &Caller) -> Option<Timestamp> {
        let people = self.people();
        match &caller.via {
            Via::Socket { .. } | Via::Proxy => None,
            Via::Session { id } => people.sessions.get(id).map(|session| people.end_of(session)),
            Via::Token { id } => people.tokens.values().find(|token| token.id == *id)?.expires,
        }
    }

    fn people(&self) -> RwLockReadGuard<'_, People> {
        self.people.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_people<T>(&self, change: impl FnOnce(&mut People) -> T) -> T {
        change(&mut self.people.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell_revoked(&self) {
        self.revoked.send_replace(());
    }

    /// Writes changes and what the audit says of them in one commit. The revision of the user or the
    /// settings that were written, if any were: beyond the one in the record, and never given before.
    async fn commit(&self, changes: Vec<Change>, entry: Option<Entry>) -> Result<u64, CommitError> {
        let committing = self.store.change(move |tables| {
            let mut revision = 0;
            for change in &changes {
                match change {
                    Change::PutUser(name, record) => {
                        revision = tables.number(&USERS, record.revision)?;
                        tables.put(&USERS, name, &UserRecord { revision, ..record.clone() })?;
                    }
                    Change::RemoveUser(name, revision) => {
                        tables.number(&USERS, *revision)?;
                        tables.remove(&USERS, name)?;
                    }
                    Change::PutSession(id, record) => tables.put(&SESSIONS, id, record)?,
                    Change::RemoveSession(id) => {
                        tables.remove(&SESSIONS, id)?;
                        tables.remove(&HINTS, id)?;
                    }
                    Change::PutHint(id, record) => tables.put(&HINTS, id, record)?,
                    Change::PutToken(id, record) => tables.put(&TOKENS, id, record)?,
                    Change::RemoveToken(id) => drop(tables.remove(&TOKENS, id)?),
                    Change::PutSettings(record) => {
                        revision = tables.number(&SETTINGS, record.revision)?;
                        tables.put(&SETTINGS, ONLY, &SettingsRecord { revision, ..*record })?;
                    }
                }
            }
            if let Some(entry) = &entry {
                audit::record(tables, entry)?;
            }
            Ok::<_, Interrupted<Infallible>>(revision)
        });
        committing.await.map_err(committed)
    }
}

fn committed(error: ChangeError<Infallible>) -> CommitError {
    match error {
        ChangeError::Commit(error) => error,
        ChangeError::Refused(never) => match never {},
    }
}
