//! `wakedock backup | restore | migrate`: the store as a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};

use crate::admin::auth::{self, Compared, Restored, TokenName};
use crate::cli::client::{Client, ClientError};
use crate::cli::owner::Premises;
use crate::cli::remote::{Remote, Surroundings};
use crate::cli::terminal::Terminal;
use crate::cli::view::paint::plain;
use crate::cli::view::words::{bytes, clock_time, count};
use crate::cli::{Exit, chain, users};
use crate::clock;
use crate::store::restore::{self, Report, RestoreError};
use crate::store::{BackupError, OpenStoreError, Store, Writing, migrate};

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file to write; one that is there is replaced where it is a backup
    file: PathBuf,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,

    /// Look the backup through and replace nothing
    #[arg(long)]
    check: bool,

    /// Print what was found and done as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Try it, and change nothing
    #[arg(long)]
    check: bool,

    /// Print what was found and done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn backup(arguments: &Backup, around: Surroundings<'_>) -> Exit {
    let client = match arguments.remote.client(&around) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let (file, terminal) = (arguments.file.as_path(), around.terminal);
    around.run(async {
        let (report, from) = match download(&client, file, terminal).await {
            Ok(Ok(report)) => (report, "WakeDock"),
            Ok(Err(exit)) => return Ok(exit),
            Err(error) if error.nobody_there() && !arguments.remote.is_elsewhere() => {
                match from_file(file, &error, &around).await {
                    Ok(report) => (report, "its file, for no WakeDock runs"),
                    Err(exit) => return Ok(exit),
                }
            }
            Err(error) => return Err(error),
        };
        if arguments.json {
            return Ok(terminal.print(&format!("{:#}\n", shown(file, &report))));
        }
        let records = report.tables.values().sum();
        let (file, size) = (file.display(), bytes(report.size));
        Ok(terminal.print(&format!("{file}: {}, {size}, checked, from {from}\n", count(records, "record"))))
    })
}

/// Whether a backup would come back is seen at once, and not on the day when it is needed.
fn checked(file: &Path, terminal: &Terminal) -> Result<Report, Exit> {
    restore::check(file).map_err(|error| {
        let at = file.display().to_string();
        terminal.fail(&format!("the backup is no good: {}", chain(&error)), Some(&at), None);
        Exit::Failed
    })
}

/// Asks a running WakeDock for it. Written beside its name first: half a backup has none.
async fn download(
    client: &Client,
    file: &Path,
    terminal: &Terminal,
) -> Result<Result<Report, Exit>, ClientError> {
    let answer = client.stream("/api/v1/system/backup", "application/octet-stream", None).await?;
    let whole =
        answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut body = answer.into_body();
    let mut draft = match Draft::begin(file) {
        Ok(draft) => draft,
        Err(error) => return Ok(Err(unwritable(file, &error, terminal))),
    };
    let mut written = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(io::Error::other(error)))?;
        let Ok(piece) = frame.into_data() else { continue };
        written += piece.len() as u64;
        if let Err(error) = draft.file.write_all(&piece) {
            return Ok(Err(unwritable(file, &error, terminal)));
        }
        if let Some(whole) = whole {
            terminal.progress(&format!("{} of {}", bytes(written), bytes(whole)));
        }
    }
    terminal.progress("");
    if whole.is_some_and(|whole| whole != written) {
        return Err(broken(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended early")));
    }
    Ok(draft.finish(file, terminal))
}

fn broken(source: io::Error) -> ClientError {
    ClientError::Broken { address: "/api/v1/system/backup".to_owned(), source }
}

/// A file to be; gone where it is not finished.
struct Draft {
    file: File,
    path: PathBuf,
    finished: bool,
}

impl Draft {
    fn begin(file: &Path) -> io::Result<Self> {
        refuse_foreign(file)?;
        let mut path = file.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, finished: false })
    }

    /// Looks it through and gives it its name.
    fn finish(mut self, to: &Path, terminal: &Terminal) -> Result<Report, Exit> {
        let unwritable = |error: io::Error| unwritable(to, &error, terminal);
        self.file.sync_all().map_err(unwritable)?;
        let report = checked(&self.path, terminal)?;
        std::fs::rename(&self.path, to).map_err(unwritable)?;
        self.finished = true;
        Ok(report)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What is there and no backup is not written over.
fn refuse_foreign(file: &Path) -> io::Result<()> {
    use std::io::Read;
    let mut begin = [0; 4];
    match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(mut there) => match there.read_exact(&mut begin) {
            Ok(()) if &begin == b"redb" => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else than a backup")),
        },
    }
}

fn unwritable(file: &Path, error: &io::Error, terminal: &Terminal) -> Exit {
    terminal.progress("");
    let at = file.display().to_string();
    let mend = "name a file that you may write, on a disk with room for it";
    terminal.fail(&format!("the backup cannot be written: {error}"), Some(&at), Some(mend));
    Exit::Failed
}

/// From the store's file, which nobody has open.
async fn from_file(file: &Path, away: &ClientError, around: &Surroundings<'_>) -> Result<Report, Exit> {
    let path = around.store()?;
    if !path.exists() {
        around.terminal.note(&format!("there is no store at {} either", path.display()));
        return Err(away.tell(around.terminal));
    }
    let store = match Store::open(&path) {
        Ok((store, _)) => store,
        Err(error) => return Err(cannot_open(&error, around.terminal)),
    };
    let made = store.backup(file).await;
    // Nothing was changed that a failure to save could lose.
    let _ = store.close().await;
    made.map_err(|error| {
        let at = file.display().to_string();
        let key = if matches!(error, BackupError::Store(_)) { "data_dir" } else { at.as_str() };
        around.terminal.fail(&chain(&error), Some(key), None);
        Exit::Failed
    })?;
    checked(file, around.terminal)
}

fn cannot_open(error: &OpenStoreError, terminal: &Terminal) -> Exit {
    let mend = match error {
        OpenStoreError::Locked { .. } => {
            Some("let this command reach WakeDock by its socket (`admin.socket`), or stop WakeDock")
        }
        OpenStoreError::Directory { .. } | OpenStoreError::File { .. } => {
            Some("run this as root or as WakeDock's own user")
        }
        _ => None,
    };
    terminal.fail(&chain(error), Some("data_dir"), mend);
    Exit::Failed
}

pub(super) fn restore(arguments: &Restore, around: Surroundings<'_>) -> Exit {
    let terminal = around.terminal;
    if arguments.check {
        return match checked(&arguments.file, terminal) {
            Ok(report) if arguments.json => {
                terminal.print(&format!("{:#}\n", shown(&arguments.file, &report)))
            }
            Ok(report) => terminal.print(&format!("{}: {}\n", arguments.file.display(), said(&report))),
            Err(exit) => exit,
        };
    }
    let store = match around.store() {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let caller = users::caller();
    let settle = |tables: &Writing<'_>, before: &restore::Before<'_>| auth::settle(tables, before, &caller);
    let premises = Premises::of(&store);
    let done = match restore::replace(&arguments.file, &store, settle) {
        Ok(done) => done,
        Err(error) => return not_restored(&error, &arguments.file, terminal),
    };
    if let Err(exit) = premises.give(terminal) {
        return exit;
    }
    if arguments.json {
        let mut shown = shown(&store, &done.report);
        shown["kept"] = done.kept.map_or(Json::Null, |kept| kept.display().to_string().into());
        shown["access"] = json!(done.settled);
        return terminal.print(&format!("{shown:#}\n"));
    }
    let kept = match done.kept {
        Some(kept) => format!("what was there is kept as {}", kept.display()),
        None => "nothing was there before".to_owned(),
    };
    let access = access(&done.settled);
    terminal.print(&format!("{}: {}\n{kept}\n{access}", store.display(), said(&done.report)))
}

/// Who may come in now, as far as that is not what the backup says: a line each.
fn access(settled: &Restored) -> String {
    let mut lines = Vec::new();
    if settled.sessions_ended > 0 {
        lines.push(format!("{} ended: everybody logs in again", count_of(settled.sessions_ended, "log-in")));
    }
    match settled.compared_with {
        Compared::Nothing | Compared::Newer => {}
        Compared::Foreign => lines.push(
            "what was there has nothing in common with it: users and tokens are those of the backup"
                .to_owned(),
        ),
        Compared::Unreadable => lines.push(
            "what was there cannot be read: tokens and users that were revoked, removed or disabled since \
             are good again; look at `wakedock user list` and `wakedock token list`"
                .to_owned(),
        ),
    }
    for user in &settled.users_changed {
        lines.push(format!("user {} {}", plain(&user.name), user.said()));
    }
    let named = |token: &TokenName| format!("token {} ({})", token.id, plain(&token.name));
    lines.extend(settled.tokens_left_out.iter().map(|token| format!("{} stays revoked", named(token))));
    let gone = settled.users_gone.iter().map(|name| format!("user {}", plain(name)));
    let gone = gone.chain(settled.tokens_gone.iter().map(named));
    lines.extend(gone.map(|what| format!("{what} was made since the backup, and is gone")));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn count_of(number: usize, what: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), what)
}

fn not_restored(error: &RestoreError, file: &Path, terminal: &Terminal) -> Exit {
    let mend = match error {
        RestoreError::InUse { .. } => Some("`systemctl stop wakedock`, and this once more"),
        RestoreError::Write { .. } => Some("run this as root or as WakeDock's own user"),
        _ => None,
    };
    let at = file.display().to_string();
    terminal.fail(&format!("nothing was restored: {}", chain(error)), Some(&at), mend);
    Exit::Failed
}

/// `212 records of 23 Nov…, checked; schema 1, brought to 2`.
fn said(report: &Report) -> String {
    let records = count(report.tables.values().sum(), "record");
    let made = match report.made_at {
        Some(at) => format!(", as of {}", clock_time(clock::wall(), at)),
        None => String::new(),
    };
    let schema = if report.schema == report.newest {
        format!("schema {}", report.schema)
    } else {
        format!("schema {}, brought to {}", report.schema, report.newest)
    };
    format!("{records}{made}, {}, checked, {schema}", bytes(report.size))
}

fn shown(file: &Path, report: &Report) -> Json {
    let made_at = report.made_at.and_then(|at| jiff::Timestamp::from_millisecond(at.as_millis()).ok());
    json!({
        "file": file,
        "size_bytes": report.size,
        "schema": report.schema,
        "newest_schema": report.newest,
        "made_at": made_at.map(|at| format!("{at:.3}")),
        "tables": report.tables,
    })
}

pub(super) fn bring_up(arguments: &Migrate, around: Surroundings<'_>) -> Exit {
    let terminal = around.terminal;
    let path = match around.store() {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    if !path.exists() {
        let mend = "`wakedock serve` makes one";
        terminal.fail("there is no store yet", Some(&path.display().to_string()), Some(mend));
        return Exit::Failed;
    }
    let done = match migrate(&path, arguments.check) {
        Ok(done) => done,
        Err(OpenStoreError::Locked { .. }) => {
            let mend = "nothing: a WakeDock that runs has brought its store up to date";
            terminal.fail("the store is in use", Some(&path.display().to_string()), Some(mend));
            return Exit::Failed;
        }
        Err(error) => return cannot_open(&error, terminal),
    };
    if arguments.json {
        let backup = done.backup.as_ref().map(|backup| backup.display().to_string());
        let shown = json!({ "file": path, "from": done.from, "to": done.to, "backup": backup });
        return terminal.print(&format!("{shown:#}\n"));
    }
    let text = match (&done.backup, done.from == done.to) {
        (_, true) => format!("{}: schema {} is the newest\n", path.display(), done.to),
        (None, false) => {
            format!("{}: schema {} can be brought to {}\n", path.display(), done.from, done.to)
        }
        (Some(backup), false) => format!(
            "{}: brought from schema {} to {}; as it was, it is kept as {}\n",
            path.display(),
            done.from,
            done.to,
            backup.display()
        ),
    };
    terminal.print(&text)
}
