//! The key that tokens are signed with: made at the first start, in the data directory, for
//! nobody else's eyes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::admin::secret;

const FILE: &str = "jwt.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read or write `{path}`")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is not a key of WakeDock's: move it away, and a new one is made")]
    Malformed { path: PathBuf },
}

/// The keys that follow from the one in the file. Each has one use.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access: [u8; 32],
    pub(super) refresh: [u8; 32],
    pub(super) csrf: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    pub(super) fn of(key: &[u8; 32]) -> Self {
        let derived = |usage: &[u8]| secret::hmac(key, &[usage]);
        Self {
            access: derived(b"wakedock access token 1"),
            refresh: derived(b"wakedock refresh token 1"),
            csrf: derived(b"wakedock csrf token 1"),
        }
    }
}

/// Reads the key in a folder; makes one where there is none.
pub(super) fn read_or_make(folder: &Path) -> Result<Keys, KeyError> {
    let path = folder.join(FILE);
    let failed = |source| KeyError::Io { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return make(folder),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the key of the tokens could be read by others; no more");
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    let mut text = String::new();
    let read = (&file).take(256).read_to_string(&mut text);
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(KeyError::Malformed { path }),
        Err(error) => return Err(failed(error)),
    }
    let key = secret::from_hex(text.trim()).ok_or(KeyError::Malformed { path })?;
    Ok(Keys::of(&key))
}

/// A new key, written down beside the old one: nothing that is likely to fail is left to do.
pub(super) struct Draft {
    keys: Keys,
    beside: PathBuf,
    path: PathBuf,
}

/// Not there is as good.
impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.beside);
    }
}

/// Makes a new key, which is not in its place yet.
pub(super) fn draft(folder: &Path) -> Result<Draft, KeyError> {
    let path = folder.join(FILE);
    let key = secret::random::<32>();
    let beside = folder.join(format!("{FILE}.{}", secret::hex(&secret::random::<4>())));
    let draft = Draft { keys: Keys::of(&key), beside, path };
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.beside)?;
        file.write_all(secret::hex(&key).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    })();
    match written {
        Ok(()) => Ok(draft),
        Err(source) => Err(KeyError::Io { path: draft.path.clone(), source }),
    }
}

impl Draft {
    /// Puts it in the place of the old one, whole or not at all.
    pub(super) fn put(self) -> Result<Keys, KeyError> {
        let moved = std::fs::rename(&self.beside, &self.path);
        let put = moved.and_then(|()| match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
        put.map_err(|source| KeyError::Io { path: self.path.clone(), source })?;
        Ok(self.keys.clone())
    }
}

/// Makes a new key in the place of the old one, whole or not at all.
pub(super) fn make(folder: &Path) -> Result<Keys, KeyError> {
    draft(folder)?.put()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let first = read_or_make(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        assert_eq!(read_or_make(folder.path()).unwrap().access, first.access);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        read_or_make(folder.path()).unwrap();
        assert_eq!(mode(), 0o600);
        assert_ne!(make(folder.path()).unwrap().access, first.access);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(read_or_make(folder.path()), Err(KeyError::Malformed { .. })));
    }

    #[test]
    fn each_key_has_one_use() {
        let keys = Keys::of(&[1; 32]);
        assert_ne!(keys.access, keys.refresh);
        assert_ne!(keys.access, keys.csrf);
        assert_ne!(keys.refresh, keys.csrf);
    }
}
