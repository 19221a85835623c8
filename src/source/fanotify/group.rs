//! One fanotify group: opened with the best flags that this kernel accepts.
//!
//! From the fanotify-rs crate only `fanotify_init` and `fanotify_mark` are used, through
//! [`crate::sys`]. Its `fanotify_read`, `close_fd` and the whole `high_level` module must not be
//! called. They read records with a fixed stride, take info records for events and close the descriptors
//! of other code (docs/decisions/001-fanotify-rs.md).

use crate::sys;
use fanotify::low_level::{FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_NONBLOCK, FAN_UNLIMITED_QUEUE};
use fanotify::low_level::{FAN_CLOSE_WRITE, FAN_CREATE, FAN_MODIFY, FAN_MOVED_TO, FAN_ONDIR, FAN_OPEN_EXEC};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The events of every filesystem in scope. MODIFY is among them because a writer that never closes the file causes no
/// other event, and Python runs the file all the same.
const WRITES: u64 = FAN_CREATE | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ONDIR | EXECS;

/// Program starts: after one, the process is no longer the program that wrote before.
const EXECS: u64 = FAN_OPEN_EXEC;

/// Masks from best to least: with both names of a rename (Linux 5.17), or the new one only.
const MASKS: [u64; 2] = [WRITES | libc::FAN_RENAME, WRITES | FAN_MOVED_TO];

/// Flags from best to least: with pidfds (Linux 5.15), or with bare pids (5.9), which verify no writer. Without names
/// (before 5.9) fanotify is useless here.
const FLAGS: [(u32, bool); 2] =
    [(libc::FAN_REPORT_DFID_NAME | libc::FAN_REPORT_PIDFD, true), (libc::FAN_REPORT_DFID_NAME, false)];

/// A fanotify group in FID mode.
#[derive(Debug)]
pub struct Group {
    fd: OwnedFd,
    /// Records carry a pidfd.
    pub has_pidfd: bool,
    masks: &'static [u64],
}

impl Group {
    /// Opens a group with the best flags that the kernel accepts. The calls find them; versions are not compared.
    ///
    /// The queue is unlimited. With the default of 16,384 records a burst of 30,000 files lost 45 % of the hooks while
    /// the reader was delayed; the unlimited queue lost none. The kernel charges its memory (some 100 bytes a record)
    /// to this process's cgroup, so the unit's `MemoryMax` bounds it. Allocating a record never fails: at that limit
    /// the kernel kills this process instead.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN in the first user namespace, ENOSYS, EMFILE.
    pub fn open() -> io::Result<Self> {
        let mut refused = None;
        for (flags, has_pidfd) in FLAGS {
            match sys::fanotify_init(
                FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | flags,
                libc::O_RDONLY as u32,
            ) {
                Ok(fd) => return Ok(Self { fd, has_pidfd, masks: &MASKS }),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
    }

    /// Marks the whole filesystem that `path` is on.
    ///
    /// # Errors
    /// See [`sys::fanotify_mark`]; EINVAL only when no mask of the ladder is accepted.
    pub fn mark_filesystem(&mut self, path: &Path) -> io::Result<()> {
        loop {
            let mask = self.masks.first().copied().unwrap_or_default();
            let result = sys::fanotify_mark(self.fd.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, path);
            match (result, self.masks) {
                (Err(error), [_, rest @ ..]) if error.raw_os_error() == Some(libc::EINVAL) && !rest.is_empty() => {
                    self.masks = rest;
                }
                (result, _) => return result,
            }
        }
    }

    /// Marks the filesystem that `path` is on for program starts alone.
    ///
    /// # Errors
    /// See [`sys::fanotify_mark`].
    pub fn mark_program_starts(&self, path: &Path) -> io::Result<()> {
        sys::fanotify_mark(self.fd.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, EXECS, path)
    }

    /// Reads what is queued, at most `buffer.len()` bytes. `None`: nothing is queued.
    ///
    /// # Errors
    /// Any errno but EINTR (retried) and EAGAIN (`None`).
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        loop {
            match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => return Ok(buffer.get(..length)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
