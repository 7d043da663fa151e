//! Who may come in after a backup has taken the place of a store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use wakedock::admin::audit;
use wakedock::admin::auth::{
    Auth, Client, Compared, NewToken, NewUser, Restored, TokenError, TokenName, UserChange, settle,
};
use wakedock::domain::words::Role;
use wakedock::store::Store;
use wakedock::store::restore;

use super::rig::{password, root};

/// A store, its backup, and whoever is in it.
struct Past {
    folder: TempDir,
    store: Store,
    auth: Auth,
}

impl Past {
    /// `root`, `ann` and `bob` with a log-in each, and two tokens; backed up.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("s.redb")).unwrap();
        let auth = Auth::load(store.clone(), None).await.unwrap();
        let past = Self { folder, store, auth };
        for (name, role) in
            [("root", Role::Admin), ("ann", Role::Admin), ("bob", Role::User), ("eve", Role::Admin)]
        {
            past.add(name, role).await;
            past.auth.sign_in(name, password(name), &Client::default()).await.unwrap();
        }
        for name in ["kept", "stolen"] {
            past.token(name).await;
        }
        past.store.backup(&past.backup()).await.unwrap();
        past
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s.redb")
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("b.redb")
    }

    async fn add(&self, name: &str, role: Role) {
        let new = NewUser { name: name.to_owned(), role, password: password(name) };
        self.auth.add_user(&root(), new).await.unwrap();
    }

    async fn token(&self, name: &str) -> Arc<str> {
        let new = NewToken { name: name.to_owned(), role: Role::User, expires_in: None, services: None };
        Arc::clone(&self.auth.add_token(&root(), new).await.unwrap().1.id)
    }

    async fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let all = self.auth.list_tokens(None);
        let token = all.iter().find(|token| token.name == name).unwrap();
        self.auth.remove_token(&root(), &token.id).await
    }

    async fn change(&self, name: &str, change: UserChange) {
        self.auth.change_user(&root(), name, change, None).await.unwrap();
    }

    /// Ends it, and puts the backup in the place of `store`.
    async fn restore(self, store: &Path) -> (Restored, Self) {
        let Self { folder, store: old, auth } = self;
        drop(auth);
        old.close().await.unwrap();
        let backup = folder.path().join("b.redb");
        let done =
            restore::replace(&backup, store, |tables, before| settle(tables, before, &root())).unwrap();
        let (store, _) = Store::open(store).unwrap();
        let auth = Auth::load(store.clone(), None).await.unwrap();
        (done.settled, Self { folder, store, auth })
    }

    fn tokens(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.auth.list_tokens(None).iter().map(|token| token.name.clone()).collect();
        names.sort();
        names
    }

    fn nobody_is_logged_in(&self) -> bool {
        let now = wakedock::clock::wall();
        self.auth.users().iter().all(|user| self.auth.sessions_of(&user.name, now).is_empty())
    }

    async fn can_log_in(&self, name: &str, password: &str) -> bool {
        self.auth.sign_in(name, password.to_owned(), &Client::default()).await.is_ok()
    }
}

fn names(tokens: &[TokenName]) -> Vec<&str> {
    tokens.iter().map(|token| token.name.as_str()).collect()
}

/// The story: a restore brought back sessions that had ended, tokens that had been revoked, and a user
/// who had been thrown out.
#[tokio::test]
async fn a_restore_gives_nobody_more_than_they_had() {
    let past = Past::new().await;
    past.revoke("stolen").await.unwrap();
    let (disabled, role) = (Some(true), Some(Role::Viewer));
    past.change("bob", UserChange { disabled, ..UserChange::default() }).await;
    past.change("ann", UserChange { role, ..UserChange::default() }).await;
    let another = Some("another password".to_owned());
    past.change("root", UserChange { password: another, ..UserChange::default() }).await;
    past.auth.remove_user(&root(), "eve", None).await.unwrap();
    past.add("new", Role::User).await;
    past.token("young").await;
    let newest = past.auth.users().iter().map(|user| user.revision).max().unwrap();
    let path = past.path();
    let (done, past) = past.restore(&path).await;

    assert_eq!(done.compared_with, Compared::Newer);
    assert_eq!(done.sessions_ended, 4);
    assert!(past.nobody_is_logged_in());
    assert_eq!(past.tokens(), ["kept"]);
    assert_eq!(names(&done.tokens_left_out), ["stolen"]);
    let state = |name: &str| past.auth.user(name).map(|user| (user.role, user.disabled));
    assert_eq!(state("bob"), Some((Role::User, true)));
    assert_eq!(state("ann"), Some((Role::Viewer, false)));
    assert_eq!(state("eve"), Some((Role::Admin, true)), "back, for whoever restores to let in");
    assert_eq!(state("new"), None);
    assert!(!past.can_log_in("root", &password("root")).await);
    assert!(past.can_log_in("root", "another password").await);
    let changed: Vec<_> = done.users_changed.iter().map(|user| (user.name.as_str(), user.said())).collect();
    assert_eq!(
        changed,
        [
            ("ann", "was made viewer since, and stays so".to_owned()),
            ("bob", "was disabled since, and stays so".to_owned()),
            ("eve", "was removed since, and is back disabled".to_owned()),
            ("root", "has another password since, and keeps it".to_owned()),
        ]
    );
    assert_eq!(done.users_gone, ["new"]);
    assert_eq!(names(&done.tokens_gone), ["young"]);
    let later = NewUser { name: "later".to_owned(), role: Role::User, password: password("later") };
    let made = past.auth.add_user(&root(), later).await.unwrap();
    assert!(made.revision > newest, "tags are not given again by a restored store");
    let entries = audit::entries(&past.store, None, 100).await.unwrap();
    let restored = entries.iter().find(|(_, entry)| entry.what == "restored").expect("no entry");
    let after = restored.1.after.as_ref().unwrap();
    assert_eq!(after["tokens_left_out"][0]["name"], "stolen");
    assert!(!after.to_string().contains("argon2"), "{after}");
}

#[tokio::test]
async fn what_was_given_since_the_backup_is_as_the_backup_has_it() {
    let past = Past::new().await;
    past.change("bob", UserChange { role: Some(Role::Admin), ..UserChange::default() }).await;
    let path = past.path();
    let (done, past) = past.restore(&path).await;
    assert_eq!(past.auth.user("bob").unwrap().role, Role::User);
    assert!(done.users_changed.is_empty() && done.tokens_left_out.is_empty(), "{done:?}");
    assert!(past.can_log_in("bob", &password("bob")).await);
}

#[tokio::test]
async fn on_another_machine_everybody_comes_along_and_logs_in_again() {
    let past = Past::new().await;
    past.revoke("stolen").await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (done, past) = past.restore(&elsewhere.path().join("s.redb")).await;
    assert_eq!(done.compared_with, Compared::Nothing);
    assert!(past.nobody_is_logged_in());
    assert_eq!(past.tokens(), ["kept", "stolen"], "nobody here knows better");
    assert!(past.can_log_in("eve", &password("eve")).await);

    // A WakeDock that was started there first, and has users of the same names.
    let path = elsewhere.path().join("other.redb");
    let (store, _) = Store::open(&path).unwrap();
    let auth = Auth::load(store.clone(), None).await.unwrap();
    let new = NewUser { name: "ann".to_owned(), role: Role::Viewer, password: "of this machine".to_owned() };
    auth.add_user(&root(), new).await.unwrap();
    drop(auth);
    store.close().await.unwrap();
    let (done, past) = past.restore(&path).await;
    assert_eq!(done.compared_with, Compared::Foreign);
    assert_eq!(past.auth.user("ann").unwrap().role, Role::Admin);
    assert!(past.can_log_in("ann", &password("ann")).await);
}

#[tokio::test]
async fn in_the_place_of_a_damaged_store_the_backup_counts() {
    let past = Past::new().await;
    past.revoke("stolen").await.unwrap();
    let path = past.folder.path().join("damaged.redb");
    std::fs::write(&path, b"redb\x1a\x0a\xa9\x0d\x0a and nothing that could be read").unwrap();
    let (done, past) = past.restore(&path).await;
    assert_eq!(done.compared_with, Compared::Unreadable);
    assert_eq!(past.tokens(), ["kept", "stolen"]);
    assert!(past.nobody_is_logged_in());
}
