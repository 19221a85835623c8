//! notify's side: turns its events into notices, in its thread.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};

use super::{Interesting, QUEUE_BYTES, reason};
use crate::event::{Action, Seen};

/// What notify's thread tells ours.
pub(super) enum WatchEvent {
    File {
        action: Action,
        complete: bool,
        path: PathBuf,
        seen: Seen,
    },
    /// A directory was created.
    Appeared(PathBuf),
    /// A file or a directory, notify does not say, got this name.
    Renamed {
        from: Option<PathBuf>,
        to: PathBuf,
        seen: Seen,
    },
    /// A file or a directory lost this name.
    Left(PathBuf),
    Overflow,
    Error(String),
    /// Another tree is to be watched.
    Root(PathBuf),
    /// Look whether to stop; answer that all is well.
    Wake,
}

impl WatchEvent {
    /// Bytes it takes while it waits.
    pub(super) fn weight(&self) -> usize {
        let paths = match self {
            WatchEvent::File { path, .. }
            | WatchEvent::Appeared(path)
            | WatchEvent::Left(path)
            | WatchEvent::Root(path) => path.capacity(),
            WatchEvent::Renamed { from, to, .. } => to.capacity() + from.as_ref().map_or(0, PathBuf::capacity),
            WatchEvent::Error(text) => text.capacity(),
            WatchEvent::Overflow | WatchEvent::Wake => 0,
        };
        size_of::<Self>() + paths
    }
}

/// What both threads know of the channel between them.
#[derive(Default)]
pub(super) struct Queue {
    /// What the notices on their way take: [`BoundedSender::send`] adds, whoever receives subtracts.
    pub(super) bytes: AtomicUsize,
    /// Notices dropped since this was last asked.
    pub(super) lost: AtomicU64,
    pub(super) stopping: AtomicBool,
    /// How often our thread has handled an event of notify's thread, or both threads have answered a wake-up.
    pub(super) progress: AtomicU64,
}

/// The only way into the channel, so that everything in it is counted.
#[derive(Clone)]
pub(super) struct BoundedSender {
    pub(super) notices: Sender<WatchEvent>,
    pub(super) queue: Arc<Queue>,
}

impl BoundedSender {
    pub(super) fn send(&self, notice: WatchEvent) {
        let weight = notice.weight();
        // Only notify's thread adds in numbers, so the sum can pass the bound by a few bytes at most.
        if self.queue.bytes.load(Ordering::Relaxed) + weight > QUEUE_BYTES {
            self.queue.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.queue.bytes.fetch_add(weight, Ordering::Relaxed);
        let _ = self.notices.send(notice); // fails only while stopping
    }
}

/// notify's handler: runs in notify's thread, passes on what matters and never waits.
pub(super) struct Filter {
    interesting: Interesting,
    outbox: BoundedSender,
    /// The name last moved away, with the number that joins both halves of a rename.
    moved_from: Option<(usize, PathBuf)>,
    last_error: Option<Instant>,
}

impl notify::EventHandler for Filter {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) => self.event(event),
            Err(error) => self.error(&error),
        }
    }
}

impl Filter {
    pub(super) fn new(interesting: Interesting, outbox: BoundedSender) -> Self {
        Self { interesting, outbox, moved_from: None, last_error: None }
    }

    fn event(&mut self, event: notify::Event) {
        // First of all: every open and every reader's close of any file in the tree comes by here.
        let close_write = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != close_write {
            return;
        }
        if event.need_rescan() {
            return self.outbox.send(WatchEvent::Overflow);
        }
        let tracker = event.tracker();
        let Some(path) = event.paths.into_iter().next() else { return };
        match event.kind {
            EventKind::Access(_) => self.file(Action::Change, true, path),
            EventKind::Create(CreateKind::Folder) => self.outbox.send(WatchEvent::Appeared(path)),
            EventKind::Create(_) => self.file(Action::Creation, false, path),
            EventKind::Modify(ModifyKind::Data(_)) => self.file(Action::Change, false, path),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                if let Some(tracker) = tracker {
                    self.moved_from = Some((tracker, path.clone()));
                }
                self.outbox.send(WatchEvent::Left(path));
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let from = self.moved_from.take().filter(|(from, _)| Some(*from) == tracker);
                self.outbox.send(WatchEvent::Renamed { from: from.map(|(_, path)| path), to: path, seen: Seen::now() });
            }
            EventKind::Remove(RemoveKind::Folder | RemoveKind::Other | RemoveKind::Any) => {
                self.outbox.send(WatchEvent::Left(path))
            }
            _ => {} // `RenameMode::Both` among them: `To` told the same just before
        }
    }

    fn file(&self, action: Action, complete: bool, path: PathBuf) {
        if is_interesting(&self.interesting, &path) {
            self.outbox.send(WatchEvent::File { action, complete, path, seen: Seen::now() });
        }
    }

    /// At most one a second: notify reads again at once after an error, whatever it was.
    fn error(&mut self, error: &notify::Error) {
        if self.last_error.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.last_error = Some(Instant::now());
            self.outbox.send(WatchEvent::Error(reason(error)));
        }
    }
}

/// Whether the file at `path` may be a hook.
pub(super) fn is_interesting(interesting: &Interesting, path: &Path) -> bool {
    path.file_name().is_some_and(|name| interesting(name.as_bytes()))
}
