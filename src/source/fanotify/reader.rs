//! What the reader thread reads from: the group, the mount table, and the directories known by their handles.

use super::group::Group;
use super::mark_set::{MarkSet, MountChanges};
use super::watched_directories::WatchedDirectories;
use crate::event::HandleNameRef;
use crate::handles::{HandleTable, Located};
use crate::source::guard::Guard;
use crate::source::heartbeat::Heartbeat;
use crate::source::mounts;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of one read: some 600 records. Each may carry a pidfd, so the limit of open files must leave room for as many.
pub const READ_SIZE: usize = 64 << 10;

/// A fanotify group with its marks.
pub struct FanotifyReader {
    group: Group,
    marks: MarkSet,
    watched_directories: WatchedDirectories,
    mountinfo: File,
    root: PathBuf,
}

/// What is ready after a wait.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The kernel's queue has events.
    pub queue: bool,
    /// The mount table has changed.
    pub mounts: bool,
    /// The heartbeat has woken the thread.
    pub heartbeat: bool,
    /// Records about processes wait.
    pub process_records: bool,
}

impl FanotifyReader {
    /// Opens a group and marks every local filesystem below `root`. Returns every filesystem in scope, those that could
    /// not be marked with the reason. `watched_directories`: directories below `root` in which every file name counts.
    ///
    /// # Errors
    /// When there can be no group at all: EPERM without CAP_SYS_ADMIN, ENOSYS, or `/proc` is missing.
    pub fn open<'p>(
        root: &Path,
        watched_directories: impl IntoIterator<Item = &'p Path>,
    ) -> io::Result<(Self, Vec<Guard>)> {
        // Opened before the mount table is read, so that a mount in between is not missed.
        let mountinfo = File::open("/proc/self/mountinfo")?;
        let mut reader = Self {
            group: Group::open()?,
            marks: MarkSet::new(root),
            watched_directories: WatchedDirectories::new(root, watched_directories),
            mountinfo,
            root: root.to_owned(),
        };
        let MountChanges { appeared, .. } = reader.update_marks()?;
        Ok((reader, appeared))
    }

    /// Whether the kernel adds pidfds, without which no writer can be confirmed.
    pub fn has_pidfd(&self) -> bool {
        self.group.has_pidfd
    }

    /// The filesystems whose handles can be opened.
    pub fn handles(&self) -> &HandleTable {
        &self.marks.handles
    }

    /// Waits for the queue, the mount table, the heartbeat and the descriptors in `process_records`, at most for
    /// `timeout`.
    ///
    /// # Errors
    /// Any errno of `poll(2)` but EINTR.
    pub fn wait<'f>(
        &'f self,
        heartbeat: &'f Heartbeat,
        process_records: impl Iterator<Item = BorrowedFd<'f>>,
        timeout: Option<Duration>,
    ) -> io::Result<Ready> {
        let mut fds = vec![
            PollFd::new(self.group.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.mountinfo.as_fd(), PollFlags::POLLPRI),
            PollFd::new(heartbeat.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(process_records.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::from(u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX))
        });
        loop {
            match nix::poll::poll(&mut fds, timeout) {
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
        let mut next = || ready.next().unwrap_or_default();
        Ok(Ready { queue: next(), mounts: next(), heartbeat: next(), process_records: ready.any(|ready| ready) })
    }

    /// Reads what is queued into `buffer`. `None`: the queue is empty.
    ///
    /// # Errors
    /// See [`Group::read`].
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        self.group.read(buffer)
    }

    /// Whether the name is in a directory in which every name counts. No allocation, no system call.
    pub fn is_in_watched_directory(&self, name: &HandleNameRef<'_>) -> bool {
        self.watched_directories.contains(name)
    }

    /// A directory of this name was made, renamed or removed.
    pub fn directory_changed(&mut self, name: &[u8]) {
        self.watched_directories.may_have_moved(name);
    }

    /// Finds the watched directories again if one of them may have moved.
    pub fn refresh_watched_directories(&mut self) {
        self.watched_directories.refresh();
    }

    /// Finds the directory of a name, and its path as seen from the root; `None` outside the root.
    ///
    /// # Errors
    /// See [`HandleTable::locate`].
    pub fn locate(&self, name: HandleNameRef<'_>) -> io::Result<Option<Located>> {
        let Located { directory, path } = self.marks.handles.locate(name)?;
        Ok(mounts::below_root(&path, &self.root).map(|path| Located { directory, path }))
    }

    /// The former path of a renamed file: as seen from the root, or the whole path outside the root.
    pub fn locate_previous(&self, name: HandleNameRef<'_>) -> Option<PathBuf> {
        let path = self.marks.handles.locate(name).ok()?.path;
        Some(mounts::below_root(&path, &self.root).unwrap_or(path))
    }

    /// Marks what was mounted since the last call.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn update_marks(&mut self) -> io::Result<MountChanges> {
        let mounted = mounts::read()?;
        self.watched_directories.find();
        Ok(self.marks.update(&mut self.group, &mounted))
    }

    /// Replaces a group whose records cannot be read any more, and marks everything again. The pidfds in the unread
    /// part of the buffer are leaked, because they cannot be found safely.
    ///
    /// # Errors
    /// When there can be no new group, or the mount table cannot be read.
    pub fn reopen(&mut self) -> io::Result<MountChanges> {
        self.group = Group::open()?;
        self.marks.clear();
        self.update_marks()
    }
}
