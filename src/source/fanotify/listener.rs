//! A second, small fanotify reader for coverage: shows whether the kernel reports a change at all.

use super::reader::READ_SIZE;
use super::record::records;
use crate::sys;
use fanotify::low_level::FAN_NONBLOCK;
use fanotify::low_level::{FAN_CLASS_NOTIF, FAN_CLOSE_WRITE, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_MODIFY};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Receives every change of a file's content on one filesystem from now on.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Marks the whole filesystem that `path` is on.
    ///
    /// # Errors
    /// See [`sys::fanotify_init`] and [`sys::fanotify_mark`].
    pub fn new(path: &Path) -> io::Result<Self> {
        let group = sys::fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME, 0)?;
        let changes = FAN_MODIFY | FAN_CLOSE_WRITE;
        sys::fanotify_mark(group.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, changes, path)?;
        Ok(Self(group))
    }

    /// Whether the kernel has reported a change of a file with this name. It queues the event before the write returns.
    ///
    /// # Errors
    /// Any errno of `read(2)`; also when events were lost or cannot be parsed, because then the answer is unknown.
    pub fn has_reported(&self, name: &[u8]) -> io::Result<bool> {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let length = match rustix::io::read(&self.0, &mut buffer) {
                Ok(length) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(false),
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for record in records(buffer.get(..length).unwrap_or_default()) {
                let record = record.map_err(|malformed| io::Error::other(malformed.reason))?;
                if record.is_overflow() {
                    return Err(io::Error::other("the queue overflowed"));
                }
                if record.name.is_some_and(|found| found.name == name) {
                    return Ok(true);
                }
            }
        }
    }
}
