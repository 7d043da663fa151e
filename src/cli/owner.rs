//! Whose the data directory is that a command makes as root: WakeDock, which runs as somebody else,
//! has to be able to open it.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::cli::Exit;
use crate::cli::terminal::Terminal;
use crate::store::directory_of;

/// A store's file, and what there was of the way to it before a command.
#[derive(Debug)]
pub(super) struct Premises {
    store: PathBuf,
    was_there: bool,
    /// Directories that are still to be made, the outermost first.
    missing: Vec<PathBuf>,
}

impl Premises {
    /// Looks around, before anything is made.
    pub(super) fn of(store: &Path) -> Self {
        let store = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
        let way = directory_of(&store).ancestors().take_while(|folder| !folder.exists());
        let mut missing: Vec<PathBuf> = way.map(Path::to_owned).collect();
        missing.reverse();
        Self { was_there: store.exists(), missing, store }
    }

    /// Gives what root made to whom the place belongs, and says where that is root.
    ///
    /// # Errors
    /// It cannot be given; that has been said.
    pub(super) fn give(&self, terminal: &Terminal) -> Result<(), Exit> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let owner = self.hand_over().map_err(|error| {
            let at = self.store.display().to_string();
            let mend = "give that file and its directory to the user that WakeDock runs as";
            terminal.fail(&format!("the store cannot be given away: {error}"), Some(&at), Some(mend));
            Exit::Failed
        })?;
        if owner == 0 && !self.was_there {
            let folder = directory_of(&self.store).display();
            terminal.note(&format!(
                "{folder} belongs to root. A unit with `StateDirectory=` gives it to its user at the start; \
                 where WakeDock runs as another user without one: `chown -R USER {folder}`"
            ));
        }
        Ok(())
    }

    /// The user who has it now.
    fn hand_over(&self) -> io::Result<u32> {
        let outermost = self.missing.first().map_or(self.store.as_path(), PathBuf::as_path);
        let like = std::fs::metadata(directory_of(outermost))?;
        // What somebody has is not root's to take.
        if self.was_there && like.uid() == 0 {
            return Ok(std::fs::metadata(&self.store)?.uid());
        }
        for made in self.missing.iter().chain([&self.store]) {
            let own = std::fs::metadata(made)?;
            if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
                chown(made, Some(like.uid()), Some(like.gid()))?;
            }
        }
        Ok(like.uid())
    }
}
