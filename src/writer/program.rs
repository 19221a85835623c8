//! From what a record tells of a program to its path and file, as they are now.

use super::ledger::Program;
use crate::event::{FileId, Locate};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A program as it is found now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Its path; `None` when its directory is gone.
    pub path: Option<PathBuf>,
    /// The file that has this path now; `None` when none has.
    pub id: Option<FileId>,
    /// The device of its directory.
    pub device: Option<(u32, u32)>,
    /// It begins with `#!`: the kernel runs its interpreter, which has a record of its own.
    pub is_script: bool,
}

/// Looks each program up once for all the writers that are judged together.
pub struct Resolver<'a> {
    locate: Locate<'a>,
    known: HashMap<Arc<Program>, Arc<Resolved>>,
}

impl<'a> Resolver<'a> {
    /// Knows nothing yet.
    pub fn new(locate: Locate<'a>) -> Self {
        Self { locate, known: HashMap::new() }
    }

    /// The program as it is now.
    pub fn resolve(&mut self, program: &Arc<Program>) -> Arc<Resolved> {
        if let Some(known) = self.known.get(program) {
            return known.clone();
        }
        let resolved = Arc::new(match &**program {
            Program::Seen { path, id } => {
                Resolved { path: Some(path.clone()), id: Some(*id), device: Some(id.device), is_script: false }
            }
            Program::Recorded(name) => (self.locate)(name)
                .map(|(directory, path)| look(&directory, OsStr::from_bytes(&name.name), path))
                .unwrap_or_default(),
        });
        self.known.insert(program.clone(), resolved.clone());
        resolved
    }
}

fn look(directory: &OwnedFd, name: &OsStr, path: PathBuf) -> Resolved {
    let device = file_id(directory, OsStr::new("")).map(|id| id.device);
    let id = file_id(directory, name);
    let is_script = id.is_some() && begins_like_a_script(directory, name);
    Resolved { path: Some(path), id, device, is_script }
}

/// Device and inode, without following a link and without asking a server for it: a process may run
/// from a filesystem that never answers.
pub fn file_id(directory: impl AsFd, name: &OsStr) -> Option<FileId> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW;
    let found = rustix::fs::statx(directory, name, flags, StatxFlags::INO).ok()?;
    Some(FileId { device: (found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino })
}

fn begins_like_a_script(directory: &OwnedFd, name: &OsStr) -> bool {
    // Nothing but a regular file can be run; somebody may have put something else in its place.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { return false };
    let is_file = rustix::fs::fstat(&file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file());
    let mut start = [0; 2];
    is_file && std::fs::File::from(file).read_exact(&mut start).is_ok() && start == *b"#!"
}
