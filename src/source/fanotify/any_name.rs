//! Directories in which a file of any name is of interest (`/etc/cron.d`), known in the hot path by their handles:
//! the name filter cannot know them, and finding the directory of every record would cost a system call each.

use super::handle;
use super::record::Name;
use crate::source::mounts;
use crate::sys;
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The directories, and the handles of those that are there.
#[derive(Debug, Default)]
pub struct AnyName {
    directories: Vec<PathBuf>,
    known: Vec<(u64, i32, Vec<u8>)>,
}

impl AnyName {
    /// These directories below the root.
    pub fn new<'p>(root: &Path, directories: impl IntoIterator<Item = &'p Path>) -> Self {
        let directories = directories.into_iter().map(|directory| mounts::above_root(directory, root)).collect();
        Self { directories, known: Vec::new() }
    }

    /// Looks where the directories are now. One that is made later is known from the next change of the mount table
    /// on: whoever reads such a directory comes with it.
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
        let mut any = AnyName::new(root.path(), [Path::new("/etc/cron.d"), Path::new("/etc/sudoers.d")]);
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
