//! Finds the path and file that a recorded program has now.

use super::clock::now;
use super::process_record::Program;
use crate::event::FileId;
use crate::handles::HandleTable;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How far a filesystem's clock may be behind, in nanoseconds. It advances with the kernel's tick, which comes late on
/// a busy machine: 7 ms were measured with a tick of 4 ms.
const COARSE: u64 = 100_000_000;

/// A program with the path and file that it has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocatedProgram {
    /// Its path; `None` when its directory is gone.
    pub path: Option<PathBuf>,
    /// The file that has this path now; `None` when the path is gone.
    pub id: Option<FileId>,
    /// When the file was last changed, renamed or linked (ctime) in nanoseconds of CLOCK_MONOTONIC, within [`COARSE`].
    /// No program can set it back. `None` for a program seen while it ran.
    pub changed: Option<u64>,
    /// The device of its directory.
    pub device: Option<(u32, u32)>,
    /// It begins with `#!`: the kernel runs its interpreter, which has its own exec record.
    pub is_script: bool,
}

impl LocatedProgram {
    /// A program seen while it ran. It had this file then, whatever the path leads to now.
    pub fn running(path: PathBuf, id: FileId) -> Self {
        Self { path: Some(path), id: Some(id), device: Some(id.device), ..Self::default() }
    }

    /// A program was started, and neither its path nor its file is known.
    pub fn is_unseen(&self) -> bool {
        self.path.is_none() && self.id.is_none()
    }

    /// Whether the path has had its file since before this time. Otherwise another file may have run then, even
    /// with the same inode number: the numbers are used again.
    pub fn is_older_than(&self, time: Option<u64>) -> bool {
        match (self.changed, time) {
            (Some(changed), Some(time)) => changed.saturating_add(COARSE) < time,
            (None, _) => true,
            (Some(_), None) => false,
        }
    }
}

/// Looks each program up once for all writers of a batch.
pub struct ProgramLocator<'a> {
    handles: &'a HandleTable,
    known: HashMap<Arc<Program>, Arc<LocatedProgram>>,
}

impl<'a> ProgramLocator<'a> {
    /// Without any known program.
    pub fn new(handles: &'a HandleTable) -> Self {
        Self { handles, known: HashMap::new() }
    }

    /// The path and file that the program has now.
    pub fn locate(&mut self, program: &Arc<Program>) -> Arc<LocatedProgram> {
        if let Some(known) = self.known.get(program) {
            return known.clone();
        }
        let located = Arc::new(match &**program {
            Program::Seen { path, id } => LocatedProgram::running(path.clone(), *id),
            Program::Recorded(name) => self
                .handles
                .locate(name.as_ref())
                .map(|found| find(&found.directory, OsStr::from_bytes(&name.name), found.path))
                .unwrap_or_default(),
        });
        self.known.insert(program.clone(), located.clone());
        located
    }
}

fn find(directory: &OwnedFd, name: &OsStr, path: PathBuf) -> LocatedProgram {
    let device = stat(directory, OsStr::new("")).map(|found| file_id(&found).device);
    let found = stat(directory, name);
    let id = found.as_ref().map(file_id);
    let changed = found.as_ref().map(|found| {
        let ago = SystemTime::now().duration_since(changed(found)).unwrap_or_default();
        now().saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX))
    });
    let is_script = id.is_some() && begins_like_a_script(directory, name);
    LocatedProgram { path: Some(path), id, changed, device, is_script }
}

fn changed(found: &Statx) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(found.stx_ctime.tv_sec).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(found.stx_ctime.tv_nsec.into())
}

/// Follows no link and asks no server: a process may run from a filesystem that never answers.
fn stat(directory: impl AsFd, name: &OsStr) -> Option<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(directory, name, flags, StatxFlags::INO | StatxFlags::CTIME).ok()
}

fn file_id(found: &Statx) -> FileId {
    FileId { device: (found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino }
}

fn begins_like_a_script(directory: &OwnedFd, name: &OsStr) -> bool {
    // A device may have taken its place, and must not be opened. So the file is pinned, then checked, then opened.
    let pin = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(pinned) = rustix::fs::openat(directory, name, pin, Mode::empty()) else { return false };
    let is_file = rustix::fs::fstat(&pinned).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file());
    let mut start = [0; 2];
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    is_file && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}
