//! From a directory handle to a descriptor and a path.
//!
//! No mount is kept open: a descriptor held on every filesystem would make each of them busy for the
//! administrator's `umount`. A mount point is opened for the one look and closed again.

use super::record::Name;
use crate::source::mounts::Mount;
use crate::sys;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How often a handle is tried again when memory is short.
const ATTEMPTS: usize = 3;

/// The marked filesystems: fsid to the places where each is mounted, the whole-filesystem mount
/// first.
#[derive(Debug, Default)]
pub struct Filesystems(HashMap<u64, Vec<PathBuf>>);

/// A directory that was found by its handle.
#[derive(Debug)]
pub struct Located {
    /// `O_PATH` descriptor of the directory.
    pub directory: OwnedFd,
    /// Path of the name in it, in this process's mount namespace.
    pub path: PathBuf,
}

impl Filesystems {
    /// Remembers where the filesystem with this id is mounted.
    pub fn insert(&mut self, fsid: u64, mount_points: Vec<PathBuf>) {
        self.0.insert(fsid, mount_points);
    }

    /// Forgets all but these.
    pub fn retain(&mut self, fsids: &std::collections::HashSet<u64>) {
        self.0.retain(|fsid, _| fsids.contains(fsid));
    }

    /// Whether a filesystem is known.
    pub fn contains(&self, fsid: u64) -> bool {
        self.0.contains_key(&fsid)
    }

    /// Opens the directory of `name` and tells the path.
    ///
    /// # Errors
    /// NotFound when the directory is gone; anything else means that it may be there all the same: the
    /// filesystem cannot be reached where it was mounted, the path is too long, descriptors are short.
    pub fn locate(&self, name: &Name<'_>) -> io::Result<Located> {
        let mount_points = self.0.get(&name.fsid).map(Vec::as_slice).unwrap_or_default();
        let mount = mount_points
            .iter()
            .find_map(|mount_point| open_mount(mount_point).ok().filter(|(_, fsid)| *fsid == name.fsid))
            .ok_or_else(|| io::Error::other("its filesystem cannot be reached where it was mounted"))?
            .0;
        let mut opened = sys::open_by_handle(mount.as_fd(), name.handle_type, name.handle);
        for _ in 0..ATTEMPTS {
            // Memory can be short for a moment, also only in the control group of this process.
            if opened.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENOMEM)) {
                std::thread::yield_now();
                opened = sys::open_by_handle(mount.as_fd(), name.handle_type, name.handle);
            }
        }
        let directory = opened.map_err(|error| {
            // What the kernel says of a handle whose directory is gone.
            if error.raw_os_error() == Some(libc::ESTALE) { io::ErrorKind::NotFound.into() } else { error }
        })?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
        if path.as_os_str().as_bytes().ends_with(b" (deleted)") && !is_at(&directory, &path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Located { directory, path: path.join(OsStr::from_bytes(name.name)) })
    }
}

/// Opens a mount point for use with handles, and tells the fsid of what is mounted there now. Not
/// `O_PATH`: the kernel refuses such a descriptor (EBADF). Not blocking, in case a FIFO is mounted.
///
/// # Errors
/// Whatever opening or `statvfs(3)` gives.
pub fn open_mount(mount_point: &Path) -> io::Result<(OwnedFd, u64)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mount = rustix::fs::open(mount_point, flags, Mode::empty())?;
    let fsid = fsid(&mount)?;
    Ok((mount, fsid))
}

/// The id of the filesystem that an open file is on, as records tell it.
///
/// # Errors
/// Whatever `fstatvfs(3)` gives.
pub fn fsid(file: &OwnedFd) -> io::Result<u64> {
    Ok(rustix::fs::fstatvfs(file)?.f_fsid)
}

/// Opens exactly this mount: `None` when another one lies over it.
///
/// # Errors
/// Whatever opening, `statvfs(3)` or `statx(2)` gives.
pub fn open_this_mount(mount: &Mount) -> io::Result<Option<(OwnedFd, u64)>> {
    let (opened, fsid) = open_mount(&mount.mount_point)?;
    let found = rustix::fs::statx(&opened, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    // A kernel that tells no mount id (before 5.8) has no names in fanotify either.
    Ok((found.stx_mnt_id == mount.id).then_some((opened, fsid)))
}

/// Whether the directory can be found at this path: a name may really end in `" (deleted)"`.
fn is_at(directory: &OwnedFd, path: &Path) -> bool {
    match (rustix::fs::fstat(directory), rustix::fs::lstat(path)) {
        (Ok(this), Ok(there)) => (this.st_dev, this.st_ino) == (there.st_dev, there.st_ino),
        _ => false,
    }
}
