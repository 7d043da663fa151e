//! Users, backups and migrations, in a store that nobody has open.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value as Json;
use tempfile::TempDir;
use wakedock::store::Store;

use super::daemon::Daemon;
use super::{Said, wakedock};

/// A user who is nobody in particular.
const PLAIN: u32 = 65_534;

/// A configuration with a data directory of its own, and nobody who runs it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let config = format!("data_dir: {path}/data\nadmin: {{ socket: {path}/none.sock }}\n");
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(PLAIN), Some(PLAIN)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("data/wakedock.redb")
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let config = self.path("config.yml").display().to_string();
        let mut command = wakedock(arguments);
        command
            .args(["--config", &config])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    fn add(&self, name: &str, more: &[&str]) -> Said {
        let arguments = [&["user", "add", name, "--password-stdin"], more].concat();
        self.run_with(&arguments, "correct horse\nrest\n")
    }

    fn users(&self) -> Vec<(String, String, bool)> {
        let list: Json = serde_json::from_str(self.run(&["user", "list", "--json"]).fine()).unwrap();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let users = list["items"].as_array().unwrap().iter();
        users.map(|user| (text(&user["username"]), text(&user["role"]), user["disabled"] == true)).collect()
    }
}

fn user(name: &str, role: &str, disabled: bool) -> (String, String, bool) {
    (name.to_owned(), role.to_owned(), disabled)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_first_user_is_an_admin_and_needs_no_wakedock() {
    let home = Home::new();
    assert_eq!(
        home.run(&["user", "list"]).fine(),
        "No users yet: `wakedock user add NAME` makes the first one, an admin.\n"
    );
    assert!(!home.store().exists(), "a list makes nothing");
    assert_eq!(home.add("anna", &[]).fine(), "anna can log in, with the role admin\n");
    assert_eq!(home.add("ben", &[]).fine(), "ben can log in, with the role viewer\n");
    assert_eq!(home.add("cleo", &["--role", "user"]).fine(), "cleo can log in, with the role user\n");
    let mode = std::fs::metadata(home.store()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    home.run(&["user", "role", "ben", "user"]).fine();
    home.run(&["user", "disable", "ben"]).fine();
    home.run(&["user", "remove", "cleo"]).fine();
    home.run_with(&["user", "password", "anna", "--password-stdin"], "another one\n").fine();
    assert_eq!(home.users(), [user("anna", "admin", false), user("ben", "user", true)]);
    home.run(&["user", "enable", "ben"]).fine();
    let table = home.run(&["user", "list"]);
    let lines: Vec<&str> = table.fine().lines().collect();
    assert!(lines[0].starts_with("NAME  ROLE   LOG-IN"), "{}", table.out);
    assert!(lines[2].starts_with("ben   user   allowed"), "{}", table.out);
}

#[test]
fn what_cannot_be_says_why_and_changes_nothing() {
    let home = Home::new();
    home.add("anna", &[]).fine();
    for (said, reason, mend) in [
        (home.add("anna", &[]), "there is a user of this name", "user password"),
        (home.add("a b", &[]), "`a b` is not 1 to 64", ""),
        (
            home.run_with(&["user", "add", "ben", "--password-stdin"], "short\n"),
            "shorter than 8",
            "another one",
        ),
        (home.run_with(&["user", "add", "ben", "--password-stdin"], ""), "has ended", ""),
        (home.run(&["user", "remove", "anna"]), "must be an admin", "another admin first"),
        (home.run(&["user", "disable", "anna"]), "must be an admin", "another admin first"),
        (home.run(&["user", "role", "nobody", "user"]), "no user of this name", "user list"),
    ] {
        let text = said.failed(1);
        assert!(text.contains(reason) && text.contains(mend), "{text}");
    }
    // Never as an argument, and nobody to ask.
    assert!(home.run(&["user", "add", "ben", "--password", "x"]).code == Some(64));
    assert!(home.run(&["user", "add", "ben"]).failed(64).contains("--password-stdin"));
    assert!(
        home.run(&["user", "add", "ben", "--role", "god"]).failed(64).contains("`viewer`, `user`, `admin`")
    );
    assert_eq!(home.users(), [user("anna", "admin", false)]);
}

#[test]
fn a_store_that_somebody_has_open_is_left_alone() {
    let home = Home::new();
    home.add("anna", &[]).fine();
    let (store, _) = Store::open(&home.store()).unwrap();
    for said in [home.add("ben", &[]), home.run(&["user", "list"])] {
        let text = said.failed(1);
        assert!(text.starts_with("note: a WakeDock runs") && text.contains("\n  mend   start it"), "{text}");
    }
    let backup = text(&home.path("b.redb"));
    assert!(home.run(&["backup", &backup]).failed(1).contains("admin.socket"));
    assert!(home.run(&["migrate"]).failed(1).contains("in use"));
    let copy = home.path("copy.redb");
    std::fs::copy(home.store(), &copy).unwrap();
    let said = home.run(&["restore", &text(&copy)]);
    assert!(
        said.failed(1).contains("nothing was restored") && said.err.contains("systemctl stop"),
        "{}",
        said.err
    );
    drop(store);
}

#[test]
fn a_backup_comes_back_somewhere_else() {
    let home = Home::new();
    home.add("anna", &[]).fine();
    home.add("ben", &[]).fine();
    let backup = home.path("b.redb");
    let said = home.run(&["backup", &text(&backup)]);
    assert!(
        said.fine().starts_with(&format!("{}: ", backup.display()))
            && said.out.contains(", checked, from its file"),
        "{}",
        said.out
    );
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);

    let other = Home::new();
    other.add("zoe", &[]).fine();
    let said = other.run(&["restore", "--check", &text(&backup), "--json"]);
    let found: Json = serde_json::from_str(said.fine()).unwrap();
    assert!(found["made_at"].is_string() && found["tables"]["users"] == 2, "{found}");
    assert_eq!(other.users(), [user("zoe", "admin", false)], "looked at alone");
    let said = other.run(&["restore", &text(&backup)]);
    assert!(
        said.fine().contains("checked, schema ") && said.out.contains("what was there is kept as "),
        "{}",
        said.out
    );
    assert_eq!(other.users(), [user("anna", "admin", false), user("ben", "viewer", false)]);

    // Into nothing at all, too.
    let third = Home::new();
    assert!(third.run(&["restore", &text(&backup)]).fine().contains("nothing was there before"));
    assert_eq!(third.users().len(), 2);
}

#[test]
fn what_is_no_backup_replaces_nothing_and_is_not_written_over() {
    let home = Home::new();
    home.add("anna", &[]).fine();
    let letter = home.path("letter.txt");
    std::fs::write(&letter, "dear anna").unwrap();
    assert!(home.run(&["restore", &text(&letter)]).failed(1).starts_with("error: nothing was restored: "));
    assert!(home.run(&["restore", "/nowhere"]).failed(1).contains("/nowhere"));
    home.run(&["backup", &text(&letter)]).failed(1);
    assert_eq!(std::fs::read_to_string(&letter).unwrap(), "dear anna");
    assert_eq!(home.users(), [user("anna", "admin", false)]);
    let empty = Home::new();
    let said = empty.run(&["backup", &text(&empty.path("b"))]);
    assert!(said.failed(1).starts_with("note: there is no store at "), "{}", said.err);
}

/// With a mistake in the configuration another store would be meant: nothing is guessed.
#[test]
fn a_mistake_in_the_configuration_touches_no_store() {
    let home = Home::new();
    home.add("anna", &[]).fine();
    let backup = text(&home.path("backup.redb"));
    home.run(&["backup", &backup]).fine();
    let before = std::fs::read(home.store()).unwrap();
    for broken in ["data_dir: [1]\n", "data_dir: /tmp\nservices: [\n"] {
        std::fs::write(home.path("config.yml"), broken).unwrap();
        for command in [
            &["restore", backup.as_str()][..],
            &["migrate"],
            &["user", "add", "eve", "--password-stdin"],
            &["backup", &text(&home.path("other.redb"))],
        ] {
            let said = home.run_with(command, "correct horse\n");
            assert!(said.failed(64).contains("in the configuration"), "{command:?}: {}", said.err);
        }
    }
    assert_eq!(std::fs::read(home.store()).unwrap(), before);
    assert!(!home.path("other.redb").exists());
}

/// Half a backup would be found out on the day that it is needed.
#[test]
fn a_download_that_breaks_leaves_no_file() {
    let call = "GET /api/v1/system/backup";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.redb");
    let head = "HTTP/1.1 200 X\r\nContent-Type: application/octet-stream\r\nContent-Length: 5000\r\n\r\n";
    for (answer, said) in [
        (format!("{head}redb"), "broke"),
        ("HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nredb".to_owned(), "is no good"),
        ("HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n".to_owned(), "try again in 5 s"),
    ] {
        let daemon = Daemon::new().says_exactly(call, &answer);
        let text = daemon.run(&["backup", &text(&file)]);
        assert!(text.failed(1).contains(said), "{}", text.err);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // What is there already and is something else stays.
    std::fs::write(&file, "dear anna").unwrap();
    let daemon = Daemon::new().says_exactly(call, "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nredb");
    assert!(daemon.run(&["backup", &text(&file)]).failed(1).contains("something else than a backup"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "dear anna");
}

#[test]
fn an_older_store_is_brought_up_once() {
    let home = Home::new();
    assert!(home.run(&["migrate"]).failed(1).contains("no store yet"));
    std::fs::create_dir(home.path("data")).unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store/fixtures/v1.redb");
    std::fs::copy(old, home.store()).unwrap();
    let check = home.run(&["migrate", "--check"]);
    assert!(check.fine().contains(": schema 1 can be brought to "), "{}", check.out);
    let said = home.run(&["migrate", "--json"]);
    let done: Json = serde_json::from_str(said.fine()).unwrap();
    assert_eq!(done["from"], 1);
    assert!(Path::new(done["backup"].as_str().unwrap()).exists());
    assert!(home.run(&["migrate"]).fine().ends_with("is the newest\n"));
}

/// Who may come in is decided by the newer of the two, and what that changes is told.
#[test]
fn a_restore_says_whom_it_does_not_let_in_again() {
    let home = Home::new();
    for name in ["anna", "ben", "eve"] {
        home.add(name, &["--role", "admin"]).fine();
    }
    let backup = text(&home.path("b.redb"));
    home.run(&["backup", &backup]).fine();
    home.run(&["user", "remove", "eve"]).fine();
    home.run(&["user", "disable", "ben"]).fine();
    home.add("zoe", &[]).fine();
    let said = home.run(&["restore", &backup]);
    for line in [
        "user ben was disabled since, and stays so\n",
        "user eve was removed since, and is back disabled\n",
        "user zoe was made since the backup, and is gone\n",
    ] {
        assert!(said.fine().contains(line), "{line} in {}", said.out);
    }
    assert_eq!(
        home.users(),
        [user("anna", "admin", false), user("ben", "admin", true), user("eve", "admin", true)]
    );

    let other = Home::new();
    let json: Json = serde_json::from_str(other.run(&["restore", &backup, "--json"]).fine()).unwrap();
    assert_eq!(json["access"]["compared_with"], "nothing");
    std::fs::write(other.store(), "redb, but damaged").unwrap();
    assert!(other.run(&["restore", &backup]).fine().contains("look at `wakedock user list`"));
}

/// Whoever only looks is told of the backup, and not of a restore that nobody asked for.
#[test]
fn what_is_looked_through_is_no_restore() {
    let home = Home::new();
    let said = home.run(&["restore", "--check", "/nowhere"]);
    assert!(said.failed(1).starts_with("error: the backup is no good: "), "{}", said.err);
}

/// The story: the first user was made as root, and the folder that came of it was one that WakeDock's
/// own user could not open.
#[test]
fn what_root_makes_belongs_to_whom_the_place_belongs() {
    let home = Home::new();
    if !rustix::process::geteuid().is_root() {
        // A plain user has nothing to give away, and makes what is its own.
        home.add("anna", &[]).fine();
        assert_eq!(owner(&home.store()), rustix::process::geteuid().as_raw());
        return;
    }
    chown(home.0.path(), Some(0), Some(0)).unwrap();
    let said = home.add("anna", &[]);
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("belongs to root") && said.err.contains("chown -R USER"), "{}", said.err);
    assert!(home.add("ben", &[]).err.is_empty(), "said once");

    // A service's own folder, with nothing in it, and with no data directory in it yet.
    for way in ["data", "data/of/wakedock"] {
        let home = Home::new();
        let config = format!(
            "data_dir: {0}/home/{way}\nadmin: {{ socket: {0}/none.sock }}\n",
            home.0.path().display()
        );
        std::fs::write(home.path("config.yml"), config).unwrap();
        std::fs::create_dir(home.path("home")).unwrap();
        chown(home.path("home"), Some(PLAIN), Some(PLAIN)).unwrap();
        std::fs::set_permissions(home.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let said = home.add("anna", &[]);
        said.fine();
        assert_eq!(said.err, "");
        let store = home.path("home").join(way).join("wakedock.redb");
        for made in store.ancestors().take_while(|made| *made != home.0.path()) {
            assert_eq!(owner(made), PLAIN, "{}", made.display());
        }
        // As the service sees it.
        let mut command = wakedock(&["user", "list", "--config", &text(&home.path("config.yml"))]);
        let said: Said = command.uid(PLAIN).gid(PLAIN).output().unwrap().into();
        assert!(said.fine().contains("anna"), "{}", said.out);
        let mut command = wakedock(&["user", "add", "ben", "--password-stdin"]);
        command.args(["--config", &text(&home.path("config.yml"))]).uid(PLAIN).gid(PLAIN);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
        assert!(child.wait().unwrap().success(), "it writes, too");
    }
}

fn owner(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().uid()
}
