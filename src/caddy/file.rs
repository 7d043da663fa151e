//! Mode `file`: the sites in a file for the operator's own Caddyfile to import.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why the file was not written. The old one, where there was one, is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}", path = .path.display())]
pub struct WriteError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// Puts `content` at `path` in one step: whoever reads sees the old file or the new one, also
/// after a loss of power. False where it was there already.
///
/// # Errors
/// [`WriteError`] where the directory is missing, full or not writable.
pub fn write(path: &Path, content: &str) -> Result<bool, WriteError> {
    if fs::read(path).is_ok_and(|old| old == content.as_bytes()) {
        return Ok(false);
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let temporary = path.with_file_name(name);
    replace(path, &temporary, content).map(|()| true).map_err(|source| {
        let _ = fs::remove_file(&temporary);
        WriteError { path: path.to_owned(), source }
    })
}

fn replace(path: &Path, temporary: &Path, content: &str) -> io::Result<()> {
    // A left-over of a crash, or somebody's link: never written through.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(temporary)?;
    // Caddy runs as another user, so the umask must not hide the file from it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_only_what_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wakedock.caddy");
        assert!(write(&path, "one\n").unwrap());
        assert!(!write(&path, "one\n").unwrap());
        assert!(write(&path, "two\n").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("no/such/dir.caddy"), "x").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        let occupied = dir.path().join("occupied");
        fs::create_dir_all(occupied.join("inside")).unwrap();
        assert!(write(&occupied, "x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
