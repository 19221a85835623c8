//! notify's side: translates its events, in its thread.

use super::callbacks::{NameFilter, may_be_hook, reason};
use super::queue::BoundedSender;
use super::watch_event::WatchEvent;
use crate::event::{Action, Seen};
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// notify's handler: runs in notify's thread, sends what matters and never waits.
pub(super) struct Filter {
    name_filter: NameFilter,
    sender: BoundedSender,
    /// The name that was moved away last, with the number that joins both halves of a rename.
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
    pub(super) fn new(name_filter: NameFilter, sender: BoundedSender) -> Self {
        Self { name_filter, sender, moved_from: None, last_error: None }
    }

    fn event(&mut self, event: notify::Event) {
        // First, because every open and every reader's close of any file in the tree arrives here.
        let close_write = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != close_write {
            return;
        }
        if event.need_rescan() {
            return self.sender.send(WatchEvent::Overflow);
        }
        let tracker = event.tracker();
        let Some(path) = event.paths.into_iter().next() else { return };
        match event.kind {
            EventKind::Access(_) => self.file(Action::Change, true, path),
            EventKind::Create(CreateKind::Folder) => self.sender.send(WatchEvent::Appeared(path)),
            EventKind::Create(_) => self.file(Action::Creation, false, path),
            EventKind::Modify(ModifyKind::Data(_)) => self.file(Action::Change, false, path),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                if let Some(tracker) = tracker {
                    self.moved_from = Some((tracker, path.clone()));
                }
                self.sender.send(WatchEvent::Left(path));
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let from = self.moved_from.take().filter(|(from, _)| Some(*from) == tracker);
                self.sender.send(WatchEvent::Renamed { from: from.map(|(_, path)| path), to: path, seen: Seen::now() });
            }
            EventKind::Remove(RemoveKind::Folder | RemoveKind::Other | RemoveKind::Any) => {
                self.sender.send(WatchEvent::Left(path))
            }
            _ => {} // `RenameMode::Both` too: it repeats `To`
        }
    }

    fn file(&self, action: Action, complete: bool, path: PathBuf) {
        if may_be_hook(&self.name_filter, &path) {
            self.sender.send(WatchEvent::File { action, complete, path, seen: Seen::now() });
        }
    }

    /// At most one a second, because notify reads again at once after any error.
    fn error(&mut self, error: &notify::Error) {
        if self.last_error.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.last_error = Some(Instant::now());
            self.sender.send(WatchEvent::Error(reason(error)));
        }
    }
}
