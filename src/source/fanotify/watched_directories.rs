//! Directories in which every file name counts (`/etc/cron.d`), matched by their handles. The name filter cannot match
//! them, and resolving the path of each record would cost a system call.

use crate::event::HandleNameRef;
use crate::handles;
use crate::source::mounts;
use crate::sys;
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The directories, and the handles of those that exist.
#[derive(Debug, Default)]
pub struct WatchedDirectories {
    directories: Vec<PathBuf>,
    known: Vec<(u64, i32, Vec<u8>)>,
    /// A directory of such a name has changed.
    is_stale: bool,
}

impl WatchedDirectories {
    /// These directories below the root.
    pub fn new<'p>(root: &Path, directories: impl IntoIterator<Item = &'p Path>) -> Self {
        let directories = directories.into_iter().map(|directory| mounts::above_root(directory, root)).collect();
        Self { directories, known: Vec::new(), is_stale: false }
    }

    /// A directory of this name was made, renamed or removed.
    pub fn may_have_moved(&mut self, name: &[u8]) {
        let is_named = |path: &PathBuf| path.file_name().is_some_and(|known| known.as_encoded_bytes() == name);
        if self.directories.iter().any(is_named) {
            self.is_stale = true;
        }
    }

    /// Finds the directories again if one may have moved.
    pub fn refresh(&mut self) {
        if std::mem::take(&mut self.is_stale) {
            self.find();
        }
    }

    /// Finds the handles that the directories have now.
    pub fn find(&mut self) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let found = self.directories.iter().filter_map(|directory| {
            let opened = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
            let (handle_type, bytes) = sys::handle_of(opened.as_fd()).ok()?;
            Some((handles::fsid(&opened).ok()?, handle_type, bytes))
        });
        self.known = found.collect();
    }

    /// Whether the name is in one of them. No allocation, no system call.
    pub fn contains(&self, name: &HandleNameRef<'_>) -> bool {
        self.known.iter().any(|(fsid, handle_type, bytes)| {
            *fsid == name.fsid && bytes.as_slice() == name.handle && *handle_type == name.handle_type
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_matched_by_its_handle_once_it_exists() {
        let root = tempfile::tempdir().unwrap();
        let mut watched = WatchedDirectories::new(root.path(), [Path::new("/etc/cron.d"), Path::new("/etc/sudoers.d")]);
        watched.find();
        assert!(watched.known.is_empty());
        std::fs::create_dir_all(root.path().join("etc/cron.d")).unwrap();
        watched.find();
        let (fsid, handle_type, bytes) = watched.known.first().unwrap();
        let name = HandleNameRef { fsid: *fsid, handle_type: *handle_type, handle: bytes, name: b"x" };
        assert!(watched.contains(&name));
        assert!(!watched.contains(&HandleNameRef { handle: bytes.split_last().unwrap().1, ..name }));
        assert!(!watched.contains(&HandleNameRef { fsid: fsid ^ 1, ..name }));
    }
}
