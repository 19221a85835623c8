//! Our thread: keeps every directory of the trees watched, and emits the events in them.

use std::collections::BTreeMap;
use std::io;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::callbacks::{Emit, NameFilter, may_be_hook, reason};
use super::limits::CHECK_EVERY;
use super::queue::Queue;
use super::watch_event::WatchEvent;
use super::watch_index::{WatchIndex, lock};
use crate::event::{Action, FileEvent, FileRef, LossCause, LossReport, Seen, Writer};
use crate::source::message::Message;
use crate::walk::{self, Entry, Identity, Kind, Limits};

/// How a directory has appeared. Its files are reported with the same action.
#[derive(Clone, Copy)]
enum Arrival<'a> {
    Created,
    Renamed { from: Option<&'a Path> },
}

/// Owns the watcher; runs in our thread.
pub(super) struct InotifyWatcher {
    watcher: RecommendedWatcher,
    name_filter: NameFilter,
    emit: Emit,
    pub(super) index: Arc<Mutex<WatchIndex>>,
    pub(super) queue: Arc<Queue>,
    writer: Arc<Writer>,
    /// Each root with the directory that it was at the last check.
    roots: BTreeMap<PathBuf, Option<Identity>>,
    pub(super) overflowed: bool,
    /// How many watches have failed since the last loss report, and the first failure.
    failures: Option<(u64, String)>,
    next_recovery: Instant,
    next_check: Instant,
}

impl InotifyWatcher {
    pub(super) fn new(
        watcher: RecommendedWatcher,
        name_filter: NameFilter,
        emit: Emit,
        index: Arc<Mutex<WatchIndex>>,
        queue: Arc<Queue>,
    ) -> Self {
        let roots = lock(&index).roots.iter().map(|root| (root.clone(), None)).collect();
        let now = Instant::now();
        Self {
            watcher,
            name_filter,
            emit,
            index,
            queue,
            writer: Arc::new(Writer::unavailable()),
            roots,
            overflowed: false,
            failures: None,
            next_recovery: now,
            next_check: now + CHECK_EVERY,
        }
    }

    /// The first watches. The caller reads the failures in the report next, so no loss is reported.
    pub(super) fn place_roots(&mut self) {
        for root in self.root_paths() {
            match walk::identify_directory(&root) {
                Ok(identity) => {
                    self.watch_tree(&root, None);
                    self.roots.insert(root, Some(identity));
                }
                Err(error) => lock(&self.index).fail(&root, error.to_string()),
            }
        }
        self.failures = None;
    }

    pub(super) fn run(mut self, events: &Receiver<WatchEvent>) {
        loop {
            let stopping = self.queue.stopping.load(Ordering::Relaxed);
            let wait =
                if stopping { Duration::ZERO } else { self.next_check.saturating_duration_since(Instant::now()) };
            match events.recv_timeout(wait) {
                Ok(event) => {
                    self.queue.bytes.fetch_sub(event.weight(), Ordering::Relaxed);
                    if self.handle(event) {
                        self.queue.progress.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(RecvTimeoutError::Timeout) if !stopping => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            self.recover_if_due();
            self.check_if_due();
        }
    }

    /// Returns whether both threads have made progress.
    fn handle(&mut self, event: WatchEvent) -> bool {
        match event {
            WatchEvent::File { action, complete, path, seen } => self.file(action, complete, path, seen),
            WatchEvent::Appeared(path) => self.watch_tree(&path, Some(Arrival::Created)),
            WatchEvent::Renamed { from, to, seen } => self.renamed(from, to, seen),
            WatchEvent::Left(path) => self.left(&path),
            WatchEvent::Overflow => self.overflowed = true,
            WatchEvent::Error(text) => self.note_failure(|| text),
            WatchEvent::Root(path) => self.add_root(path),
            // A request to notify's thread that changes nothing there.
            WatchEvent::Wake => return self.watcher.configure(notify::Config::default()).is_ok(),
        }
        true
    }

    fn file(&mut self, action: Action, complete: bool, path: PathBuf, seen: Seen) {
        // inotify reports a new link as a created file, and nobody writes to a link afterwards.
        let complete =
            complete || action == Action::Creation && path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        self.emit_file(action, complete, path, None, seen);
    }

    fn renamed(&mut self, from: Option<PathBuf>, to: PathBuf, seen: Seen) {
        if walk::identify_directory(&to).is_ok() {
            self.watch_tree(&to, Some(Arrival::Renamed { from: from.as_deref() }));
        } else if may_be_hook(&self.name_filter, &to) {
            self.emit_file(Action::Rename, true, to, from, seen);
        }
    }

    /// A name is gone, or another file has it by now.
    fn left(&mut self, path: &Path) {
        if !lock(&self.index).has(path) {
            return; // a file
        }
        self.place_again(path, Some(Arrival::Created));
        if self.roots.contains_key(path) {
            self.check_roots();
        }
    }

    /// Watches the directory at `top`, if there is one, and every directory below, each before it is listed. Emits the
    /// hooks in them if the directory has just arrived.
    fn watch_tree(&mut self, top: &Path, arrival: Option<Arrival<'_>>) {
        if walk::identify_directory(top).is_err() {
            return; // gone again; or a link, which a watch would follow
        }
        self.watch(top);
        let walked = walk::walk(top, Limits::default(), |entry| match entry.kind {
            Kind::Directory => self.watch(&entry.path()),
            Kind::OtherFilesystem => {}
            Kind::File | Kind::SymbolicLink | Kind::Special => self.found(entry, top, arrival),
        });
        let report = match walked {
            Ok(report) => report,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return, // gone again
            Err(error) => return self.fail(top, error.to_string()),
        };
        if report.truncated {
            self.fail(top, "more directories below than are walked (depth or number)".into());
        }
        if let Some(path) = report.first_unreadable {
            self.fail(&path, format!("cannot be listed, nor {} others below {}", report.unreadable - 1, top.display()));
        }
    }

    /// A file in a directory that has just arrived. The listing cannot show whether it is still being written, so only
    /// a renamed file and a link are complete.
    fn found(&mut self, entry: &Entry<'_>, top: &Path, arrival: Option<Arrival<'_>>) {
        let Some(arrival) = arrival.filter(|_| (self.name_filter)(entry.name)) else { return };
        let path = entry.path();
        match arrival {
            Arrival::Created => {
                let complete = entry.kind == Kind::SymbolicLink;
                self.emit_file(Action::Creation, complete, path, None, Seen::now());
            }
            Arrival::Renamed { from } => {
                let previous = from.zip(path.strip_prefix(top).ok()).map(|(from, below)| from.join(below));
                self.emit_file(Action::Rename, true, path, previous, Seen::now());
            }
        }
    }

    fn watch(&mut self, path: &Path) {
        match self.watcher.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => {
                // A large directory can take longer than the watchdog waits.
                self.queue.progress.fetch_add(1, Ordering::Relaxed);
                lock(&self.index).insert(path);
            }
            Err(error) if is_gone(&error) => {}
            Err(error) => self.fail(path, reason(&error)),
        }
    }

    fn fail(&mut self, path: &Path, reason: String) {
        self.note_failure(|| format!("{}: {reason}", path.display()));
        lock(&self.index).fail(path, reason);
    }

    pub(super) fn forget(&mut self, top: &Path) {
        let paths = lock(&self.index).remove_below(top);
        for path in paths {
            // notify drops the watch by itself if it saw the event. After an overflow it has not seen it and would keep
            // the entry for ever.
            let _ = self.watcher.unwatch(&path);
        }
    }

    /// As [`InotifyWatcher::watch_tree`], without trusting earlier watches; also for trees below on another filesystem.
    fn place_again(&mut self, top: &Path, arrival: Option<Arrival<'_>>) {
        self.forget(top);
        self.watch_tree(top, arrival);
        for root in self.root_paths() {
            if root != top && root.starts_with(top) {
                self.watch_tree(&root, None);
            }
        }
    }

    /// Lists all trees after lost events, because directories may have come and gone unseen. Not more often than the
    /// roots are checked, so that a flood of changes does not keep this thread walking.
    pub(super) fn recover_if_due(&mut self) {
        if Instant::now() < self.next_recovery {
            return;
        }
        // Reset before the trees are listed: events lost meanwhile need another recovery.
        let overflowed = std::mem::take(&mut self.overflowed);
        let dropped = self.queue.dropped.swap(0, Ordering::Relaxed);
        if !overflowed && dropped == 0 {
            return;
        }
        let watched: Vec<PathBuf> = lock(&self.index).watched.iter().cloned().collect();
        for path in watched.iter().filter(|path| walk::identify_directory(path).is_err()) {
            self.forget(path);
        }
        for root in self.root_paths() {
            self.watch_tree(&root, None);
        }
        if overflowed {
            let detail = "the kernel's inotify queue was full; all trees were listed for new directories";
            self.emit_loss(LossCause::QueueOverflow, None, detail.into());
        }
        if dropped > 0 {
            let detail = "more inotify events than could be kept; all trees were listed for new directories";
            self.emit_loss(LossCause::ChannelFull, Some(dropped), detail.into());
        }
        self.next_recovery = Instant::now() + CHECK_EVERY;
    }

    fn check_if_due(&mut self) {
        if Instant::now() < self.next_check {
            return;
        }
        self.check_roots();
        if let Some((count, first)) = self.failures.take() {
            self.emit_loss(LossCause::Unreadable, None, format!("inotify failed {count} times; first {first}"));
        }
        self.next_check = Instant::now() + CHECK_EVERY;
    }

    fn add_root(&mut self, root: PathBuf) {
        if !self.roots.contains_key(&root) {
            lock(&self.index).roots.push(root.clone());
            self.roots.insert(root, None);
            self.check_roots();
        }
    }

    /// Finds roots that appeared, went or were replaced. A loss report stands for all files below them.
    fn check_roots(&mut self) {
        for (root, before) in self.roots.clone() {
            let now = walk::identify_directory(&root);
            let known = now.as_ref().ok().copied();
            if known == before {
                continue;
            }
            self.roots.insert(root.clone(), known);
            self.place_again(&root, None);
            let detail = match now {
                Ok(_) => {
                    let what = if before.is_some() { "was replaced" } else { "appeared" };
                    format!("the tree {} {what}; it is watched from now on", root.display())
                }
                Err(error) => {
                    lock(&self.index).fail(&root, error.to_string());
                    format!("the tree {} is gone: nothing is watched there until it is back", root.display())
                }
            };
            self.emit_loss(LossCause::Unreadable, None, detail);
        }
    }

    fn root_paths(&self) -> Vec<PathBuf> {
        self.roots.keys().cloned().collect()
    }

    fn note_failure(&mut self, detail: impl FnOnce() -> String) {
        self.failures.get_or_insert_with(|| (0, detail())).0 += 1;
    }

    fn emit_file(&mut self, action: Action, complete: bool, path: PathBuf, previous_path: Option<PathBuf>, seen: Seen) {
        (self.emit)(Message::Event(FileEvent {
            action,
            complete,
            is_directory: false,
            listed: false,
            classification: None,
            file: FileRef { path, directory: None },
            previous_path,
            writer: Arc::clone(&self.writer),
            seen,
        }));
    }

    fn emit_loss(&mut self, cause: LossCause, count: Option<u64>, detail: String) {
        (self.emit)(Message::Loss(LossReport { cause, count, detail }));
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}
