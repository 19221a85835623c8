//! Resolves the file handle of a directory to a descriptor and a path.
//!
//! The table keeps no mount open, because a descriptor on a filesystem makes the administrator's `umount` fail with
//! EBUSY. Each lookup opens a mount point and closes it again.

use crate::event::HandleNameRef;
use crate::sys;
use rustix::fs::{Mode, OFlags};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How often a handle is opened again when the kernel is short of memory.
const RETRIES: usize = 3;

/// The marked filesystems: each fsid with its mount points, that of the whole filesystem first.
#[derive(Debug, Default)]
pub struct HandleTable(HashMap<u64, Vec<PathBuf>>);

/// A name whose directory was found by its handle.
#[derive(Debug)]
pub struct Located {
    /// `O_PATH` descriptor of the directory.
    pub directory: OwnedFd,
    /// Path of the name, in this process's mount namespace.
    pub path: PathBuf,
}

impl HandleTable {
    /// Adds a filesystem, or replaces its mount points.
    pub fn insert(&mut self, fsid: u64, mount_points: Vec<PathBuf>) {
        self.0.insert(fsid, mount_points);
    }

    /// Removes all filesystems but these.
    pub fn retain(&mut self, fsids: &HashSet<u64>) {
        self.0.retain(|fsid, _| fsids.contains(fsid));
    }

    /// Removes all filesystems.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the filesystem is in the table.
    pub fn contains(&self, fsid: u64) -> bool {
        self.0.contains_key(&fsid)
    }

    /// Opens the directory of a name and finds its path.
    ///
    /// # Errors
    /// NotFound when the directory is gone. With any other error it may still exist: its filesystem cannot be reached
    /// where it was mounted, the path is too long, or descriptors are short.
    pub fn locate(&self, name: HandleNameRef<'_>) -> io::Result<Located> {
        let mount = self.open_mount_of(name.fsid)?;
        let mut opened = sys::open_by_handle(mount.as_fd(), name.handle_type, name.handle);
        for _ in 0..RETRIES {
            // Memory can be short for a moment, even only in the control group of this process.
            if opened.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENOMEM)) {
                std::thread::yield_now();
                opened = sys::open_by_handle(mount.as_fd(), name.handle_type, name.handle);
            }
        }
        let directory = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ESTALE) => io::ErrorKind::NotFound.into(),
            _ => error,
        })?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
        if path.as_os_str().as_bytes().ends_with(b" (deleted)") && !is_at(&directory, &path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Located { directory, path: path.join(OsStr::from_bytes(name.name)) })
    }

    fn open_mount_of(&self, fsid: u64) -> io::Result<OwnedFd> {
        let mount_points = self.0.get(&fsid).map(Vec::as_slice).unwrap_or_default();
        let opened = mount_points.iter().filter_map(|mount_point| open_mount_point(mount_point).ok());
        let mount = opened.into_iter().find_map(|(mount, found)| (found == fsid).then_some(mount));
        mount.ok_or_else(|| io::Error::other("its filesystem cannot be reached where it was mounted"))
    }
}

/// Opens a mount point for use with handles; returns the fsid of what is mounted there now too.
///
/// # Errors
/// Those of `open(2)` and `statvfs(3)`.
pub fn open_mount_point(mount_point: &Path) -> io::Result<(OwnedFd, u64)> {
    // Not O_PATH, which open_by_handle_at refuses (EBADF); not blocking, because a FIFO can be mounted there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mount = rustix::fs::open(mount_point, flags, Mode::empty())?;
    let fsid = fsid(&mount)?;
    Ok((mount, fsid))
}

/// The id of the filesystem that an open file is on, as fanotify records have it.
///
/// # Errors
/// Those of `fstatvfs(3)`.
pub fn fsid(file: &OwnedFd) -> io::Result<u64> {
    Ok(rustix::fs::fstatvfs(file)?.f_fsid)
}

/// Whether the directory is found at this path: a name can really end in `" (deleted)"`.
fn is_at(directory: &OwnedFd, path: &Path) -> bool {
    match (rustix::fs::fstat(directory), rustix::fs::lstat(path)) {
        (Ok(this), Ok(there)) => (this.st_dev, this.st_ino) == (there.st_dev, there.st_ino),
        _ => false,
    }
}
