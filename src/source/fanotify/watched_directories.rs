//! Directories in which a file of any name is of interest (`/etc/cron.d`), known in the hot path by their handles:
//! the name filter cannot know them, and finding the directory of every record would cost a system call each.

use super::handle;
use super::record::Name;
use crate::source::mounts;
use crate::sys;
use rustix::fs::{Mode, OFlags};
use std::cell::Cell;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The directories, and the handles of those that are there.
#[derive(Debug, Default)]
pub struct WatchedDirectories {
    directories: Vec<PathBuf>,
    known: Vec<(u64, i32, Vec<u8>)>,
    /// Something happened to a directory of such a name.
    is_stale: Cell<bool>,
}

impl WatchedDirectories {
    /// These directories below the root.
    pub fn new<'p>(root: &Path, directories: impl IntoIterator<Item = &'p Path>) -> Self {
        let directories = directories.into_iter().map(|directory| mounts::above_root(directory, root)).collect();
        Self { directories, known: Vec::new(), is_stale: Cell::new(false) }
    }

    /// A directory of this name was made or renamed: perhaps it is one of these.
    pub fn may_have_moved(&self, name: &[u8]) {
        let is_named = |path: &PathBuf| path.file_name().is_some_and(|known| known.as_encoded_bytes() == name);
        if self.directories.iter().any(is_named) {
            self.is_stale.set(true);
        }
    }

    /// Looks where the directories are now, if something happened to one.
    pub fn find_again(&mut self) {
        if self.is_stale.take() {
            self.find();
        }
    }

    /// Looks where the directories are now.
    pub fn find(&mut self) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let found = self.directories.iter().filter_map(|directory| {
            let opened = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
            let (handle_type, bytes) = sys::handle_of(opened.as_fd()).ok()?;
            Some((handle::fsid(&opened).ok()?, handle_type, bytes))
        });
        self.known = found.collect();
    }

    /// Whether a record is about a name in one of them. No allocation, no system call.
    pub fn has(&self, name: &Name<'_>) -> bool {
        self.known.iter().any(|(fsid, handle_type, bytes)| {
            *fsid == name.fsid && bytes.as_slice() == name.handle && *handle_type == name.handle_type
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_its_handle_once_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        let mut any = WatchedDirectories::new(root.path(), [Path::new("/etc/cron.d"), Path::new("/etc/sudoers.d")]);
        any.find();
        assert!(any.known.is_empty());
        std::fs::create_dir_all(root.path().join("etc/cron.d")).unwrap();
        any.find();
        let (fsid, handle_type, bytes) = any.known.first().unwrap();
        let name = Name { fsid: *fsid, handle_type: *handle_type, handle: bytes, name: b"x" };
        assert!(any.has(&name));
        assert!(!any.has(&Name { handle: bytes.split_last().unwrap().1, ..name }));
        assert!(!any.has(&Name { fsid: fsid ^ 1, ..name }));
    }
}
