//! A disk that is small enough to be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own in memory, gone when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    pub fn new(megabytes: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("wakedock-disk-").tempdir().expect("a folder");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "wakedock-test"])
            .arg(folder.path()));
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Nothing more fits on it.
    pub fn fill(&self) {
        let written = std::fs::write(self.ballast(), vec![1; 64 << 20]);
        assert!(written.is_err(), "the disk is not small");
    }

    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.folder.path()));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
