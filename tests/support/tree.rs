//! Scratch trees.

use super::process::{PROGRAM, write};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// A directory of packages, as the daemon sees it.
pub const PACKAGES: &str = "/usr/lib/python3.12/site-packages";

/// A directory of the test's own, removed with it. The daemon takes `root` for `/`; everything else is
/// beside it, on the same filesystem.
pub struct ScratchTree {
    base: PathBuf,
    _directory: TempDir,
}

impl ScratchTree {
    /// An empty tree with the directories that most tests write to.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pyhookwatch-").tempdir().unwrap();
        let tree = Self { base: directory.path().canonicalize().unwrap(), _directory: directory };
        // Other users can reach it, whatever the umask.
        fs::set_permissions(&tree.base, PermissionsExt::from_mode(0o755)).unwrap();
        make_directories(&tree.root());
        fs::create_dir(tree.outside()).unwrap();
        tree
    }

    /// The directory that the daemon takes for `/`.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A path beside the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// A directory beside the root.
    pub fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// The real path of the daemon's `/...`.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// The real path of the daemon's `/...`, whose directory is made.
    pub fn at(&self, path: &str) -> PathBuf {
        let path = self.inside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes a file beside the root.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, text);
        path
    }

    /// Renames a finished file into place: exactly one change, however slow the machine.
    pub fn plant(&self, path: &str, content: impl AsRef<[u8]>) {
        plant_in(&self.root(), path, content);
    }

    /// Plants `count` hooks named after `prefix` and a number.
    pub fn plant_many(&self, prefix: &str, count: usize) {
        for number in 0..count {
            self.plant(&format!("{PACKAGES}/{prefix}{number}.pth"), format!("import os # {number}\n"));
        }
    }

    /// `run --root ROOT` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// `run` with a configuration file of this text.
    pub fn run_config(&self, text: &str) -> Command {
        let file = self.file("pyhookwatch.toml", text);
        self.run(&["--config", file.to_str().unwrap()])
    }
}

/// Makes the directories of an empty root.
pub fn make_directories(root: &Path) {
    for directory in [PACKAGES, "/etc", "/tmp", "/sentinel", "/staging"] {
        fs::create_dir_all(root.join(&directory[1..])).unwrap();
    }
}

/// See [`ScratchTree::plant`]; for a root elsewhere.
pub fn plant_in(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    static STAGED: AtomicU32 = AtomicU32::new(0);
    let staging = root.join(format!("staging/{}", STAGED.fetch_add(1, Ordering::Relaxed)));
    write(&staging, content);
    fs::rename(staging, root.join(path.trim_start_matches('/'))).unwrap();
}
