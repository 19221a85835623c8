//! The fanotify reader: one thread that reads the kernel's queue, drops what no rule can want by the
//! raw name, has the writer identified at once, and hands the rest on.
//!
//! It owns the group, every pidfd of a record from the moment it is read, and the table of marked
//! filesystems. It never logs, never waits for another thread, and never blocks on the one it hands to:
//! that is the business of the callbacks, which must keep to it too. Of disks it touches only what was
//! just used: the directory of a hook, the first bytes of a program that was started.

mod group;
mod handle;
pub mod listener;
mod pending_batch;
pub mod record;
mod throttle;
mod watched_directories;

use super::heartbeat::Heartbeat;
use super::mounts::{self, Class, Mount};
use super::{Counters, Guard, Guarded, Message, Settings};
use crate::event::{Action, FileEvent, FileRef, HandleName, Interest, Locate, LossCause, LossReport, Seen, Writer};
use crate::sys;
use fanotify::low_level::{
    FAN_CLOSE_WRITE, FAN_CREATE, FAN_MODIFY, FAN_MOVED_TO, FAN_ONDIR, FAN_OPEN_EXEC, FAN_Q_OVERFLOW,
};
use group::Group;
use handle::{Filesystems, Located};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use pending_batch::PendingBatch;
use record::Record;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use throttle::{BackpressureTimer, IdleBackoff};
use watched_directories::WatchedDirectories;

/// Bytes of one read: some 600 records. Each may carry a pidfd, so the limit of open files must
/// leave room for as many.
const BUFFER: usize = 64 << 10;

/// More failed reads than this within [`REBUILD_WINDOW`] and the reader gives up.
const MAX_REBUILDS: usize = 5;
const REBUILD_WINDOW: Duration = Duration::from_secs(60);

/// Longest time that records about processes are left where they are. Reading each at once would cost
/// ten times as much; longer, and a flood of processes could fill the kernel's buffers.
const COLLECT: Duration = Duration::from_millis(250);

/// After a program was started the queue is looked at once more after this time: that it is empty then proves that
/// what is written later was written by what runs by then. An exec takes about a millisecond.
const PROBE: Duration = Duration::from_millis(5);

/// Who can tell the writers: the stage behind this one. Everything is told in the order of the queue.
pub trait Witness {
    /// Readable when records about processes wait.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;
    /// A read of the queue begins.
    fn begin_read(&mut self);
    /// The read that was begun last took all there was.
    fn queue_was_empty(&mut self);
    /// A process has begun to start a program.
    fn started(&mut self, pid: u32, program: HandleName);
    /// A process has written: it is looked at at once, and [`Witness::judge`] tells who it was.
    fn wrote(&mut self, pid: u32, pidfd: Option<&OwnedFd>);
    /// Records of the queue were lost.
    fn lost_records(&mut self);
    /// Reads the records about processes that wait. Tells whether there were any.
    fn collect(&mut self, locate: Locate<'_>, report: &mut dyn FnMut(LossReport)) -> bool;
    /// So much waits that it must be collected now.
    fn is_behind(&self) -> bool;
    /// The writers of all [`Witness::wrote`] since the last call. `emptied`: the queue was read to its end.
    fn judge(&mut self, emptied: bool, locate: Locate<'_>, report: &mut dyn FnMut(LossReport)) -> Vec<Arc<Writer>>;
}

/// What the reader needs from the other stages.
pub struct Callbacks<'a> {
    /// The name filter: could any rule want a file of this name? Called for every record; must not
    /// allocate or make a system call.
    pub interest: &'a dyn Fn(&[u8]) -> Interest,
    /// Whether a path whose name is of interest in its place is in such a place.
    pub belongs: &'a dyn Fn(&Path) -> bool,
    /// Who wrote it?
    pub witness: &'a mut dyn Witness,
    /// Is there room for the changes of one whole read? While there is not, the kernel keeps them.
    pub has_room: &'a dyn Fn() -> bool,
    /// Takes what is handed on. Must not block.
    pub emit: &'a mut dyn FnMut(Message),
}

/// A group with its marks placed.
pub struct Watcher {
    group: Group,
    filesystems: Filesystems,
    any_name: WatchedDirectories,
    settings: Settings,
    mountinfo: File,
    /// Devices of the filesystems whose guard was told.
    known: HashSet<(u32, u32)>,
    /// Mounts that were seen, and where new ones lie that were not handed on yet.
    mounted: mounts::Known,
    covered: Vec<(PathBuf, bool)>,
    counters: Arc<Counters>,
    patience: BackpressureTimer,
    /// A program was started when the queue was read last.
    saw_start: bool,
}

impl Watcher {
    /// Opens a group and marks every local filesystem in scope. What could not be marked is in the
    /// returned list, with the reason. In the directories `any_name` files of any name are asked about by place.
    ///
    /// # Errors
    /// When there can be no group at all: EPERM without CAP_SYS_ADMIN, ENOSYS, or `/proc` is missing.
    pub fn open<'p>(
        settings: Settings,
        any_name: impl IntoIterator<Item = &'p Path>,
        counters: Arc<Counters>,
    ) -> io::Result<(Self, Vec<Guard>)> {
        // Opened before the first look, so that a mount in between is not missed.
        let mountinfo = File::open("/proc/self/mountinfo")?;
        let mut watcher = Self {
            group: Group::open()?,
            filesystems: Filesystems::default(),
            any_name: WatchedDirectories::new(&settings.root, any_name),
            settings,
            mountinfo,
            known: HashSet::new(),
            mounted: mounts::Known::default(),
            covered: Vec::new(),
            counters,
            patience: BackpressureTimer::default(),
            saw_start: false,
        };
        let guards = watcher.mark_mounts()?;
        watcher.covered.clear();
        Ok((watcher, guards))
    }

    /// Whether the kernel gives pidfds, without which no writer can be verified.
    pub fn has_pidfd(&self) -> bool {
        self.group.has_pidfd
    }

    /// Reads until `bell` tells to stop, then drains the queue once more. Answers whenever it rings, and counts each
    /// read of the queue.
    ///
    /// # Errors
    /// When reading fails and a new group cannot be opened in its place.
    pub fn run(mut self, bell: &Heartbeat, callbacks: &mut Callbacks<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut rebuilds: Vec<Instant> = Vec::new();
        let mut collected: Option<Instant> = None;
        let mut rests = IdleBackoff::default();
        loop {
            let [queue_ready, mounts_changed, rung, records_wait] = self.wait(bell, collected, callbacks)?;
            let stopping = rung && bell.answer();
            if queue_ready || stopping {
                match self.drain(&mut buffer, bell, stopping, callbacks) {
                    Ok(found_hook) if found_hook || stopping => {}
                    Ok(_) => std::thread::sleep(rests.after_noise(Instant::now())),
                    Err(error) => {
                        rebuilds.retain(|time| time.elapsed() < REBUILD_WINDOW);
                        if rebuilds.len() >= MAX_REBUILDS {
                            return Err(error);
                        }
                        rebuilds.push(Instant::now());
                        self.rebuild(&error, callbacks)?;
                    }
                }
            }
            if stopping {
                return Ok(());
            }
            if records_wait {
                // Once nothing came for this long, the next record is waited for without an end.
                collected = self.collect(callbacks).then(Instant::now);
            }
            if mounts_changed {
                for guard in self.mark_mounts()? {
                    (callbacks.emit)(Message::Mounted { guard, by_inotify: false });
                }
                for (path, local) in self.covered.drain(..) {
                    if let Some(path) = mounts::below_root(&path, &self.settings.root) {
                        (callbacks.emit)(Message::MountedOver { path, local });
                    }
                }
            }
        }
    }

    /// Waits for the queue, the mount table, the bell, and records about processes: those every
    /// now and then while there are any, and without an end when there were none.
    fn wait(&self, bell: &Heartbeat, collected: Option<Instant>, callbacks: &Callbacks<'_>) -> io::Result<[bool; 4]> {
        let mut fds = vec![
            PollFd::new(self.group.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.mountinfo.as_fd(), PollFlags::POLLPRI),
            PollFd::new(bell.as_fd(), PollFlags::POLLIN),
        ];
        let rest = collected.map(|collected| COLLECT.saturating_sub(collected.elapsed()));
        if rest.is_none() {
            let records = callbacks.witness.descriptors();
            fds.extend(records.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        let probe = self.saw_start.then_some(PROBE);
        let longest = rest.into_iter().chain(probe).min();
        let timeout = longest.map_or(PollTimeout::NONE, |longest| {
            PollTimeout::from(u16::try_from(longest.as_millis()).unwrap_or(u16::MAX))
        });
        let [queue, mounts, rung, records] = poll(&mut fds, timeout)?;
        Ok([queue || self.saw_start, mounts, rung, records || rest.is_some_and(|rest| rest.is_zero())])
    }

    fn collect(&self, callbacks: &mut Callbacks<'_>) -> bool {
        let emit = &mut *callbacks.emit;
        callbacks.witness.collect(&|program| self.locate_program(program), &mut |gap| emit(Message::LossReport(gap)))
    }

    fn locate_program(&self, program: &HandleName) -> Option<(OwnedFd, PathBuf)> {
        let HandleName { fsid, handle_type, handle, name } = program;
        let name = record::Name { fsid: *fsid, handle_type: *handle_type, handle, name };
        self.filesystems.locate(&name).ok().map(|located| (located.directory, located.path))
    }

    /// Has the writers of what is held judged, and hands it on.
    fn hand_on(&self, held: &mut PendingBatch, emptied: bool, callbacks: &mut Callbacks<'_>) {
        let emit = &mut *callbacks.emit;
        let locate: Locate<'_> = &|program| self.locate_program(program);
        let writers = callbacks.witness.judge(emptied, locate, &mut |gap| emit(Message::LossReport(gap)));
        held.hand_on(&writers, &mut |event| (callbacks.emit)(Message::Event(event)));
    }

    /// Reads until the queue is empty, or there is no room for what it holds, and hands on. Tells
    /// whether a hook was among the records.
    fn drain(
        &mut self,
        buffer: &mut [u8],
        bell: &Heartbeat,
        stopping: bool,
        callbacks: &mut Callbacks<'_>,
    ) -> io::Result<bool> {
        let mut held = PendingBatch::default();
        let emptied = self.read_all(buffer, bell, stopping, &mut held, callbacks);
        if held.found > 0 {
            self.hand_on(&mut held, matches!(emptied, Ok(true)), callbacks);
        }
        if matches!(emptied, Ok(true)) {
            callbacks.witness.queue_was_empty();
        }
        self.any_name.find_again();
        self.saw_start = held.starts > 0;
        let found_hook = held.found > 0;
        if found_hook {
            (callbacks.emit)(Message::EndOfRead);
        }
        emptied.map(|_| found_hook)
    }

    /// Tells whether the queue was emptied after the last writer was looked at.
    fn read_all(
        &mut self,
        buffer: &mut [u8],
        bell: &Heartbeat,
        stopping: bool,
        held: &mut PendingBatch,
        callbacks: &mut Callbacks<'_>,
    ) -> io::Result<bool> {
        // Whoever waits for the end takes nothing from the channel meanwhile: no waiting for room then.
        while stopping || self.patience.may_read((callbacks.has_room)(), Instant::now()) {
            // A flood that never lets go of the reader is no reason to take it for dead.
            bell.beat();
            callbacks.witness.begin_read();
            let Some(bytes) = self.group.read(buffer)? else { return Ok(true) };
            let before = held.found;
            let seen = Seen::now();
            let length = bytes.len();
            let mut count = 0;
            for record in record::records(bytes) {
                let record = record.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                // Adopted before any decision: what is not adopted is leaked.
                let pidfd = record.pidfd.and_then(sys::adopt_pidfd);
                self.record(&record, pidfd.as_ref(), seen, held, callbacks);
                count += 1;
            }
            self.counters.records.fetch_add(count, Ordering::Relaxed);
            if held.is_full() {
                self.hand_on(held, false, callbacks);
            }
            if callbacks.witness.is_behind() {
                self.collect(callbacks);
            }
            // A read that left room for the largest record (two names, two handles) took all. After a
            // hook another one is needed: its writer may have run another program before it was looked at.
            if length + 4096 <= BUFFER && held.found == before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One record: filter, identify, locate, hold.
    fn record(
        &self,
        record: &Record<'_>,
        pidfd: Option<&OwnedFd>,
        seen: Seen,
        held: &mut PendingBatch,
        callbacks: &mut Callbacks<'_>,
    ) {
        if record.mask & FAN_Q_OVERFLOW != 0 {
            callbacks.witness.lost_records();
            let detail = "the kernel's queue overflowed: changes may have gone unseen".into();
            return (callbacks.emit)(Message::LossReport(LossReport {
                cause: LossCause::QueueOverflow,
                count: None,
                detail,
            }));
        }
        let Some(name) = &record.name else { return };
        let pid = record.pid.unsigned_abs();
        if record.mask & FAN_OPEN_EXEC != 0 && pid != 0 {
            held.starts += 1;
            callbacks.witness.started(pid, name.to_owned());
        }
        let renamed = record.mask & (libc::FAN_RENAME | FAN_MOVED_TO) != 0;
        let is_directory = record.mask & FAN_ONDIR != 0;
        let written = renamed || record.mask & (FAN_CREATE | FAN_MODIFY | FAN_CLOSE_WRITE) != 0;
        let interest = match is_directory {
            true if renamed => Interest::Always,
            false if written => match (callbacks.interest)(name.name) {
                Interest::None if self.any_name.has(name) => Interest::InPlace,
                interest => interest,
            },
            _ => Interest::None,
        };
        if is_directory {
            self.any_name.may_have_moved(name.name);
        }
        if interest == Interest::None || pid == std::process::id() {
            return;
        }
        // Nearly all files of a common name are in no place of interest, and a look at their writers costs far more
        // than one at their directories.
        let known = match interest {
            Interest::InPlace => match self.locate(name, callbacks) {
                Some(located) if (callbacks.belongs)(&located.path) => Some(located),
                _ => return,
            },
            _ => None,
        };
        let place = held.expect();
        callbacks.witness.wrote(pid, pidfd);
        let Some(Located { directory, path }) = known.or_else(|| self.locate(name, callbacks)) else { return };
        let action = match record.mask {
            _ if renamed => Action::Rename,
            mask if mask & FAN_CREATE != 0 => Action::Creation,
            _ => Action::Change,
        };
        held.hold(
            place,
            FileEvent {
                action,
                complete: renamed || record.mask & FAN_CLOSE_WRITE != 0,
                is_directory,
                listed: false,
                classification: None,
                file: FileRef { path, directory: Some(Arc::new(directory)) },
                previous_path: record.old_name.as_ref().and_then(|old| self.previous_path(old)),
                writer: held.nobody.clone(),
                seen,
            },
        );
    }

    /// Where the name is, as seen from the root; `None` when it is gone, not below it, or could not be found.
    fn locate(&self, name: &record::Name<'_>, callbacks: &mut Callbacks<'_>) -> Option<Located> {
        match self.filesystems.locate(name) {
            Ok(Located { directory, path }) => {
                Some(Located { directory, path: mounts::below_root(&path, &self.settings.root)? })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.counters.vanished.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => {
                (callbacks.emit)(Message::LossReport(not_located(name.name, &error)));
                None
            }
        }
    }

    fn previous_path(&self, old: &record::Name<'_>) -> Option<PathBuf> {
        let located = self.filesystems.locate(old).ok()?;
        Some(mounts::below_root(&located.path, &self.settings.root).unwrap_or(located.path))
    }

    /// Replaces a group whose records cannot be read any more. The pidfds in the unread part of the
    /// buffer are lost; they cannot be found safely.
    fn rebuild(&mut self, error: &io::Error, callbacks: &mut Callbacks<'_>) -> io::Result<()> {
        self.group = Group::open()?;
        self.known.clear();
        self.filesystems = Filesystems::default();
        for guard in self.mark_mounts()? {
            if !matches!(guard.by, Guarded::Fanotify) {
                (callbacks.emit)(Message::Mounted { guard, by_inotify: false });
            }
        }
        callbacks.witness.lost_records();
        (callbacks.emit)(Message::LossReport(LossReport {
            cause: LossCause::BadRecord,
            count: None,
            detail: format!("reading the kernel's queue failed ({error}); it was opened anew"),
        }));
        Ok(())
    }

    /// Marks every filesystem in scope; gives those that were not known before. Real filesystems first,
    /// so that an overlay is known to be covered through its upper directory.
    fn mark_mounts(&mut self) -> io::Result<Vec<Guard>> {
        let all = mounts::read()?;
        self.covered.extend(self.mounted.news(&all));
        self.any_name.find();
        let holder = mounts::holding(&all, &self.settings.root).map(|mount| mount.device);
        let root = self.settings.root.clone();
        let (in_scope, beside): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|mount| mount.mount_point.starts_with(&root) || Some(mount.device) == holder);
        let (overlays, others): (Vec<_>, Vec<_>) =
            mounts::by_device(in_scope).into_iter().partition(|(_, mounts)| is_overlay(mounts));
        let (mut guards, mut present, mut fsids) = (Vec::new(), HashSet::new(), HashSet::new());
        // Every one is marked again at each change: what has the same device number may be another
        // filesystem by now, and marking twice does nothing.
        for (device, mounts) in others.into_iter().chain(overlays) {
            let Some(guard) = self.mark(&all, &mounts, &mut fsids) else { continue };
            present.insert(device);
            if self.known.insert(device) {
                guards.push(guard);
            }
        }
        self.known.retain(|device| present.contains(device));
        for (_, mounts) in mounts::by_device(beside) {
            self.mark_execs(&mounts, &mut fsids);
        }
        self.filesystems.retain(&fsids);
        Ok(guards)
    }

    /// Marks one filesystem. `None`: nothing Python could run is ever there, or other mounts hide it.
    fn mark(&mut self, all: &[Mount], mounts: &[Mount], fsids: &mut HashSet<u64>) -> Option<Guard> {
        let first = mounts.first()?;
        let by = match self.try_mark(all, mounts)? {
            Ok(fsid) => {
                fsids.insert(fsid);
                Guarded::Fanotify
            }
            Err(guarded) => guarded,
        };
        let holds_trees = mounts.iter().any(|mount| self.settings.can_hold_trees(&mount.mount_point));
        let mount_points = mount_points(mounts);
        Some(Guard { device: first.device, mount_points, fs_type: first.fs_type.clone(), holds_trees, by })
    }

    /// A filesystem outside the root that is watched can still hold the programs of writers.
    fn mark_execs(&mut self, mounts: &[Mount], fsids: &mut HashSet<u64>) {
        let is_local = mounts.first().is_some_and(|mount| mounts::class(&mount.fs_type) == Class::Local);
        if is_local
            && let Some(Ok((mount, fsid))) = mounts.iter().map(handle::open_this_mount).find_map(Result::transpose)
            // Refused (an overlay): its programs are files of marked filesystems below.
            && self.group.mark_execs(&super::descriptor_path(&mount)).is_ok()
            && fsids.insert(fsid)
        {
            self.filesystems.insert(fsid, mount_points(mounts));
        }
    }

    /// The fsid of a filesystem that could be marked, or how else it is guarded.
    fn try_mark(&mut self, all: &[Mount], mounts: &[Mount]) -> Option<Result<u64, Guarded>> {
        let first = mounts.first()?;
        match mounts::class(&first.fs_type) {
            Class::Pseudo => return None,
            Class::Remote => return Some(Err(Guarded::Remote)),
            Class::Local => {}
        }
        match first.overlay_upper() {
            Some(upper) if self.is_marked(all, &upper) => return Some(Err(Guarded::ThroughUpper(upper))),
            // Without an upper directory nothing can be written.
            None if first.fs_type == "overlay" => return None,
            _ => {}
        }
        // Opened by path, a mount that lies under another one leads to the wrong filesystem.
        let opened = mounts.iter().map(handle::open_this_mount).find_map(Result::transpose)?;
        let marked = opened.and_then(|(mount, fsid)| {
            self.group.mark_filesystem(&super::descriptor_path(&mount))?;
            self.filesystems.insert(fsid, mount_points(mounts));
            Ok(fsid)
        });
        Some(marked.map_err(|error| Guarded::Refused(error.to_string())))
    }

    /// Whether `path` lies on a filesystem that is marked, and within the root that is watched.
    fn is_marked(&self, all: &[Mount], path: &Path) -> bool {
        path.starts_with(&self.settings.root)
            && mounts::holding(all, path).is_some_and(|mount| {
                handle::open_mount(&mount.mount_point).is_ok_and(|(_, fsid)| self.filesystems.contains(fsid))
            })
    }
}

fn not_located(name: &[u8], error: &io::Error) -> LossReport {
    let name = crate::escape::reversible(name);
    LossReport {
        cause: LossCause::Unreadable,
        count: Some(1),
        detail: format!("a change of {name} could not be located: {error}"),
    }
}

fn mount_points(mounts: &[Mount]) -> Vec<PathBuf> {
    mounts.iter().map(|mount| mount.mount_point.clone()).collect()
}

fn is_overlay(mounts: &[Mount]) -> bool {
    mounts.first().is_some_and(|mount| mount.fs_type == "overlay")
}

/// Waits until one of the descriptors is ready, for at most `timeout`. Tells whether the first, the second,
/// the third, or any of the others is.
fn poll(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> io::Result<[bool; 4]> {
    loop {
        match nix::poll::poll(fds, timeout) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut ready = [false; 4];
    for (index, fd) in fds.iter().enumerate() {
        if let Some(ready) = ready.get_mut(index.min(3)) {
            *ready |= fd.any().unwrap_or(true);
        }
    }
    Ok(ready)
}
