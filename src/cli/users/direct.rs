//! Users in a store that no WakeDock has open.

use serde_json::{Value as Json, json};

use super::Change;
use crate::admin::auth::{Auth, NewUser, UserChange, UserError};
use crate::admin::caller::{Caller, Via};
use crate::cli::client::ClientError;
use crate::cli::owner::Premises;
use crate::cli::remote::Surroundings;
use crate::cli::terminal::Terminal;
use crate::cli::{Exit, chain};
use crate::domain::words::Role;
use crate::store::{OpenStoreError, Store};

/// The users of an open store.
pub(super) struct Opened {
    store: Store,
    auth: Auth,
    premises: Premises,
}

/// Opens the store of the configuration. `None`: there is none, and none is to be made.
///
/// # Errors
/// It cannot be opened; that has been said. `away` is why there is no WakeDock to ask.
pub(super) async fn open(
    make: bool,
    away: &ClientError,
    around: &Surroundings<'_>,
) -> Result<Option<Opened>, Exit> {
    let path = around.store()?;
    if !make && !path.exists() {
        return Ok(None);
    }
    let premises = Premises::of(&path);
    let store = match Store::open(&path) {
        Ok((store, _)) => store,
        // Somebody has it open, and has no socket: what to do is said of the socket.
        Err(OpenStoreError::Locked { .. }) => {
            around.terminal.note("a WakeDock runs, and there is no way to it by its socket");
            return Err(away.tell(around.terminal));
        }
        Err(error) => {
            let mend = "run this as root or as WakeDock's own user, or start WakeDock";
            around.terminal.fail(&chain(&error), Some("data_dir"), Some(mend));
            return Err(Exit::Failed);
        }
    };
    // Without the folder: the keys of sessions are made by WakeDock itself, as the user it runs as.
    match Auth::load(store.clone(), None).await {
        Ok(auth) => Ok(Some(Opened { store, auth, premises })),
        Err(error) => {
            around.terminal.fail(&chain(&error), Some("data_dir"), None);
            Err(Exit::Failed)
        }
    }
}

/// Whoever runs this has the store in hand.
pub(in crate::cli) fn caller() -> Caller {
    let uid = rustix::process::geteuid().as_raw();
    let name = if uid == 0 { "root".into() } else { format!("uid {uid}").into() };
    Caller { name, role: Role::Admin, via: Via::Socket { uid }, address: None, services: None }
}

impl Opened {
    /// In the words of the API.
    pub(super) fn list(&self) -> Vec<Json> {
        let time = |at: crate::domain::time::Timestamp| {
            jiff::Timestamp::from_millisecond(at.as_millis()).map(|time| format!("{time:.3}")).ok()
        };
        let shown = |user: &crate::admin::auth::User| {
            json!({
                "username": &*user.name,
                "role": user.role.as_str(),
                "disabled": user.disabled,
                "created_at": time(user.created),
                "password_changed_at": time(user.password_changed),
            })
        };
        self.auth.users().iter().map(shown).collect()
    }

    pub(super) async fn add(&self, name: &str, role: Role, password: String, terminal: &Terminal) -> Exit {
        let new = NewUser { name: name.to_owned(), role, password };
        tell(self.auth.add_user(&caller(), new).await, name, terminal)
    }

    pub(super) async fn change(&self, name: &str, change: Change, terminal: &Terminal) -> Exit {
        let change = match change {
            Change::Password(password) => UserChange { password: Some(password), ..UserChange::default() },
            Change::Role(role) => UserChange { role: Some(role), ..UserChange::default() },
            Change::Disabled(disabled) => UserChange { disabled: Some(disabled), ..UserChange::default() },
        };
        tell(self.auth.change_user(&caller(), name, change, None).await, name, terminal)
    }

    pub(super) async fn remove(&self, name: &str, terminal: &Terminal) -> Exit {
        tell(self.auth.remove_user(&caller(), name, None).await, name, terminal)
    }

    /// Saves it, and gives it to whom its folder belongs to: made by root, WakeDock could not open it.
    pub(super) async fn close(self, terminal: &Terminal) -> Exit {
        drop(self.auth);
        if let Err(error) = self.store.close().await {
            terminal.fail(&format!("the store cannot be saved: {error}"), Some("data_dir"), None);
            return Exit::Failed;
        }
        match self.premises.give(terminal) {
            Ok(()) => Exit::Fine,
            Err(exit) => exit,
        }
    }
}

fn tell<T>(outcome: Result<T, UserError>, name: &str, terminal: &Terminal) -> Exit {
    let error = match outcome {
        Ok(_) => return Exit::Fine,
        Err(error) => error,
    };
    let (what, mend) = match &error {
        UserError::Name(reason) => (format!("`{name}` {reason}"), None),
        UserError::Password(reason) => (format!("the password {reason}"), Some("choose another one")),
        UserError::Exists => {
            (error.to_string(), Some("`wakedock user password NAME` gives another password"))
        }
        UserError::Absent => (error.to_string(), Some("`wakedock user list` shows who there is")),
        UserError::LastAdmin => (error.to_string(), Some("make another admin first")),
        _ => (chain(&error), None),
    };
    terminal.fail(&crate::cli::view::paint::plain(&what), Some(&format!("user {name}")), mend);
    Exit::Failed
}
