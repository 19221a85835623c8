//! A bounded walk through a directory tree that an attacker can change during the walk.
//!
//! * It opens each directory from its parent (openat, O_NOFOLLOW), never by path, and follows no symbolic link.
//! * By default it stays on the filesystem of the top. It reads the device before it opens a directory, without a
//!   request
//!   to a server (AT_STATX_DONT_SYNC, AT_NO_AUTOMOUNT): a dead NFS mount or an automount point cannot block it.
//! * It holds one descriptor for each level, at most [`MAX_DEPTH`], and one more for each level whose
//!   [`Entry::directory`] the visitor takes.
//! * It reads directories as a stream: memory depends on the depth (about 30 KiB a level), not on the number of
//!   entries.
//!
//! The [`WalkReport`] counts what it could not read.

use std::cell::OnceCell;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx};
use rustix::io::Errno;

/// Levels below the top that a walk enters at most.
pub const MAX_DEPTH: usize = 128;
/// Entries that one walk reads at most.
pub const MAX_ENTRIES: u64 = 1_000_000;
/// Longest path that is visited, in bytes: `PATH_MAX` without its NUL.
pub const MAX_PATH: usize = 4095;

/// How far a walk may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Enter other filesystems mounted below the top.
    pub cross_filesystems: bool,
    /// Levels below the top; the top itself is level 0.
    pub depth: usize,
    /// Entries read, of any kind.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cross_filesystems: false, depth: MAX_DEPTH, entries: MAX_ENTRIES }
    }
}

/// The type of an entry; a symbolic link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory. The walk lists it after the visitor returns, unless it cannot be read or a limit is reached.
    Directory,
    /// A directory of another filesystem, which the walk does not enter.
    OtherFilesystem,
    /// A regular file.
    File,
    /// A symbolic link.
    SymbolicLink,
    /// FIFO, socket or device.
    Special,
}

/// One entry of a directory.
pub struct Entry<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its name: any bytes but NUL and `/`.
    pub name: &'a [u8],
    level: &'a Level,
}

impl Entry<'_> {
    /// The path: that of the top as given to [`walk`], and the names below it.
    pub fn path(&self) -> PathBuf {
        self.level.path.join(OsStr::from_bytes(self.name))
    }

    /// An `O_PATH` descriptor of the directory that holds the entry, opened at the first call and shared by the entries
    /// of that directory.
    pub fn directory(&self) -> io::Result<Arc<OwnedFd>> {
        if let Some(known) = self.level.handle.get() {
            return Ok(Arc::clone(known));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = Arc::new(openat(self.level.stream.fd()?, c".", flags, Mode::empty())?);
        Ok(Arc::clone(self.level.handle.get_or_init(|| handle)))
    }
}

/// Counts of a walk, including what it could not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Directories that were listed, the top included.
    pub directories: u64,
    /// Entries that were read.
    pub entries: u64,
    /// Directories that could not be opened or read to their end.
    pub unreadable: u64,
    /// The first of them.
    pub first_unreadable: Option<PathBuf>,
    /// A limit (depth, entries, path length) ended the walk, or a directory was skipped for it.
    pub truncated: bool,
}

impl WalkReport {
    fn note_unreadable(&mut self, path: impl FnOnce() -> PathBuf) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert_with(path);
    }
}

/// Identifies a directory of this machine as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device, `major:minor`.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// The directory at this path now.
///
/// # Errors
/// NotADirectory also for a symbolic link; links before the last component are followed.
pub fn identify_directory(path: &Path) -> io::Result<Identity> {
    let found = stat(CWD, path)?;
    if file_type(&found) != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    Ok(Identity { device: device(&found), inode: found.stx_ino })
}

/// Walks the tree at `top` and calls `visit` with every entry below it, a directory before its content.
///
/// # Errors
/// The top cannot be opened, or is a symbolic link.
pub fn walk(top: &Path, limits: Limits, visit: impl FnMut(&Entry<'_>)) -> io::Result<WalkReport> {
    walk_at(CWD, top, top, limits, visit)
}

/// As [`walk`], for a top that is `name` in the directory `parent`; the paths of entries begin with `path`.
pub fn walk_at(
    parent: impl AsFd,
    name: &Path,
    path: &Path,
    limits: Limits,
    visit: impl FnMut(&Entry<'_>),
) -> io::Result<WalkReport> {
    let stream = open(parent, name)?;
    let device = device(&stat(stream.fd()?, c"")?);
    let top = Level { stream, path: path.to_path_buf(), handle: OnceCell::new() };
    let mut walk = Walk { limits, device, visit, report: WalkReport::default() };
    walk.run(top);
    Ok(walk.report)
}

/// A directory that is being read.
struct Level {
    stream: Dir,
    path: PathBuf,
    handle: OnceCell<Arc<OwnedFd>>,
}

struct Walk<V> {
    limits: Limits,
    device: (u32, u32),
    visit: V,
    report: WalkReport,
}

impl<V: FnMut(&Entry<'_>)> Walk<V> {
    fn run(&mut self, top: Level) {
        self.report.directories = 1;
        // The levels above the directory being read. No recursion: an attacker chooses the depth.
        let mut above = Vec::new();
        let mut level = top;
        loop {
            let below = match level.stream.read() {
                Some(Ok(entry)) if is_dot(entry.file_name()) => continue,
                Some(Ok(_)) if self.report.entries >= self.limits.entries => {
                    self.report.truncated = true;
                    return;
                }
                Some(Ok(entry)) => self.enter(&level, &entry, above.len()),
                Some(Err(_)) => {
                    self.report.note_unreadable(|| level.path.clone());
                    continue; // the stream gives None from now on
                }
                None => match above.pop() {
                    Some(parent) => {
                        level = parent;
                        continue;
                    }
                    None => return,
                },
            };
            if let Some(below) = below {
                above.push(std::mem::replace(&mut level, below));
            }
        }
    }

    /// Calls the visitor with one entry; returns the level below if it is a directory to enter.
    fn enter(&mut self, level: &Level, entry: &DirEntry, depth: usize) -> Option<Level> {
        self.report.entries += 1;
        let name = entry.file_name();
        if level.path.as_os_str().len() + 1 + name.count_bytes() > MAX_PATH {
            self.report.truncated = true;
            return None;
        }
        let kind = self.kind(level, entry)?;
        let entry = Entry { kind, name: name.to_bytes(), level };
        if kind != Kind::Directory {
            (self.visit)(&entry);
            return None;
        }
        // Opened before the visit and read after it: a visitor that adds a watch does so before the listing.
        let stream = if depth < self.limits.depth {
            self.open_below(level, name)
        } else {
            self.report.truncated = true;
            None
        };
        (self.visit)(&entry);
        let stream = stream?;
        self.report.directories += 1;
        Some(Level { stream, path: entry.path(), handle: OnceCell::new() })
    }

    /// The type of the entry; `None` if it is removed since.
    fn kind(&self, level: &Level, entry: &DirEntry) -> Option<Kind> {
        let listed = entry.file_type();
        if listed != FileType::Directory && listed != FileType::Unknown {
            return Some(kind_of(listed)); // no system call for a file
        }
        match level.stream.fd().and_then(|fd| stat(fd, entry.file_name())) {
            Ok(found) if file_type(&found) == FileType::Directory => {
                let is_entered = self.limits.cross_filesystems || device(&found) == self.device;
                Some(if is_entered { Kind::Directory } else { Kind::OtherFilesystem })
            }
            Ok(found) => Some(kind_of(file_type(&found))),
            Err(Errno::NOENT) => None,
            // The open that follows counts the error.
            Err(_) => Some(Kind::Directory),
        }
    }

    fn open_below(&mut self, level: &Level, name: &CStr) -> Option<Dir> {
        match level.stream.fd().and_then(|fd| open(fd, name)) {
            Ok(stream) => Some(stream),
            // Removed or replaced since it was listed.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(_) => {
                self.report.note_unreadable(|| level.path.join(OsStr::from_bytes(name.to_bytes())));
                None
            }
        }
    }
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<Dir, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(parent, name, flags, Mode::empty())?)
}

/// Type, device and inode of a name, or of the descriptor itself if the name is empty. Follows no link, mounts no
/// automount point and sends no request to a server.
fn stat(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<Statx, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(parent, name, flags, StatxFlags::TYPE | StatxFlags::INO)
}

fn device(found: &Statx) -> (u32, u32) {
    (found.stx_dev_major, found.stx_dev_minor)
}

fn file_type(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

fn kind_of(file_type: FileType) -> Kind {
    match file_type {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::SymbolicLink,
        _ => Kind::Special,
    }
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests;
