//! Watches single trees with inotify (the `notify` crate), where fanotify is refused.
//!
//! inotify names no process, watches one directory a watch, and loses its place when directories
//! move. What follows from that:
//!
//! * **Recursion is ours.** notify's recursive mode loses files that are written right after a
//!   `mkdir` (measured: 143 of 300). Here every directory has its own watch, and a directory that
//!   appears is watched first and listed afterwards: a file is seen by the watch or by the listing,
//!   perhaps by both (a later stage merges them), never by neither.
//! * **What is at a path is looked at again after every event about it.** notify drops its watch of a
//!   directory that was moved or removed, and everything below, before it serves our next request;
//!   so forgetting the path and watching what is there now is right in whatever order things came.
//! * **notify's thread is never made to wait.** It serves our requests too: if it waited for us while
//!   we wait for it, both would stand still. So the channel does not block; notices are counted in
//!   bytes, and above [`QUEUE_BYTES`] they are dropped and counted, and make a [`Gap`].
//!
//! Limits: a mount on a directory below a root is not entered, and its coming and going is not seen
//! (give it as a tree of its own). A root is looked at every [`CHECK_EVERY`], so one that is renamed by
//! a directory above it, mounted over or created again is noticed that late, with a gap. A watch that was refused
//! (limit, permission) is tried again only when its directory changes or after an overflow. notify
//! 8.2 goes through all its watches for each watched directory that is removed or moved: removing
//! 10,000 at once cost 6 s of processor time and an overflow (a gap), 100,000 more than 100 s. A panic
//! in notify's thread must end the program (`panic = "abort"`): requests to it would panic as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::Message;
use super::walk::{self, Entry, Identity, Kind, Limits};
use crate::event::{Action, FileEvent, FileRef, Gap, Seen, Writer};

/// Memory that notices may take which notify has handed over and we have not handled: about 200,000
/// ordinary ones, twelve full queues of the kernel (`max_queued_events` is 16,384). In bytes, because
/// whoever makes the changes chooses how long the paths are.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// How often the roots are looked at, and how often trouble of one sort is reported at most.
pub const CHECK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
/// Directories without a watch that are remembered by path; more are only counted.
const MAX_FAILURES: usize = 10_000;
/// Failures of one tree shown in its report.
const EXAMPLES: usize = 3;

/// Tells by its name whether a file may be a hook.
pub type Interesting = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;
/// Takes the messages; called by one thread, and must not wait.
pub type Emit = Box<dyn FnMut(Message) + Send>;

/// How much of one tree is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeReport {
    /// The top of the tree.
    pub root: PathBuf,
    /// Directories with a watch, the root included; 0 if the root is missing.
    pub watched: usize,
    /// Directories known to have none.
    pub failed: usize,
    /// Some of them, with the reason.
    pub examples: Vec<(PathBuf, String)>,
}

/// The running source. Dropping it stops it.
pub struct Inotify {
    book: Arc<Mutex<Book>>,
    queue: Arc<Queue>,
    notices: Sender<Notice>,
    thread: Option<JoinHandle<()>>,
}

impl Inotify {
    /// What is watched at this moment, a report for each tree.
    pub fn report(&self) -> Vec<TreeReport> {
        lock(&self.book).report()
    }

    /// Directories without a watch that no [`TreeReport`] counts, because too many failed.
    pub fn failures_beyond(&self) -> u64 {
        lock(&self.book).failures_beyond
    }

    /// Ends the thread and waits for it. Notices not handled yet are dropped.
    pub fn stop(self) {}
}

impl Drop for Inotify {
    fn drop(&mut self) {
        self.queue.stopping.store(true, Ordering::Relaxed);
        let _ = self.notices.send(Notice::Wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Watches `trees` (absolute paths) and everything below them. Returns when every watch is placed
/// that can be; [`Inotify::report`] tells which could not, among them missing roots, which are
/// watched once they appear. An error if there can be no watching at all.
pub fn spawn(mut trees: Vec<PathBuf>, interesting: Interesting, emit: Emit) -> io::Result<Inotify> {
    if let Some(relative) = trees.iter().find(|root| !root.is_absolute()) {
        let message = format!("{} is not an absolute path", relative.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    trees.sort();
    trees.dedup();
    let (sender, receiver) = mpsc::channel();
    let queue = Arc::new(Queue::default());
    let filter = Filter::new(Arc::clone(&interesting), sender.clone(), Arc::clone(&queue));
    let config = notify::Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(filter, config).map_err(into_io)?;
    let book = Arc::new(Mutex::new(Book::new(trees)));
    let mut guard = Guard::new(watcher, interesting, emit, Arc::clone(&book), Arc::clone(&queue));
    guard.place_roots();
    let thread = thread::Builder::new().name("pyhookwatch-ino".into()).spawn(move || guard.run(&receiver))?;
    Ok(Inotify { book, queue, notices: sender, thread: Some(thread) })
}

/// What notify's thread tells ours.
enum Notice {
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
    /// Look whether to stop.
    Wake,
}

impl Notice {
    /// Bytes it takes while it waits.
    fn weight(&self) -> usize {
        let paths = match self {
            Notice::File { path, .. } | Notice::Appeared(path) | Notice::Left(path) => path.capacity(),
            Notice::Renamed { from, to, .. } => to.capacity() + from.as_ref().map_or(0, PathBuf::capacity),
            Notice::Error(text) => text.capacity(),
            Notice::Overflow | Notice::Wake => 0,
        };
        size_of::<Self>() + paths
    }
}

/// What both threads count.
#[derive(Default)]
struct Queue {
    bytes: AtomicUsize,
    lost: AtomicU64,
    stopping: AtomicBool,
}

/// notify's handler: runs in notify's thread, passes on what matters and never waits.
struct Filter {
    interesting: Interesting,
    notices: Sender<Notice>,
    queue: Arc<Queue>,
    /// The name last moved away, with the number that joins both halves of a rename.
    moved_from: Option<(usize, PathBuf)>,
    /// The rename last passed on: notify repeats it as `Both`.
    moved_to: Option<usize>,
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
    fn new(interesting: Interesting, notices: Sender<Notice>, queue: Arc<Queue>) -> Self {
        Self { interesting, notices, queue, moved_from: None, moved_to: None, last_error: None }
    }

    fn event(&mut self, event: notify::Event) {
        // First of all: every open and every reader's close of any file in the tree comes by here.
        let close_write = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != close_write {
            return;
        }
        if event.need_rescan() {
            return self.send(Notice::Overflow);
        }
        let tracker = event.tracker();
        let mut paths = event.paths.into_iter();
        let Some(path) = paths.next() else { return };
        match event.kind {
            EventKind::Access(_) => self.file(Action::Change, true, path),
            EventKind::Create(CreateKind::Folder) => self.send(Notice::Appeared(path)),
            EventKind::Create(_) => self.file(Action::Creation, false, path),
            EventKind::Modify(ModifyKind::Data(_)) => self.file(Action::Change, false, path),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                if let Some(tracker) = tracker {
                    self.moved_from = Some((tracker, path.clone()));
                }
                self.send(Notice::Left(path));
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                self.moved_to = tracker;
                let from = self.moved_from.take().filter(|(from, _)| Some(*from) == tracker);
                self.send(Notice::Renamed { from: from.map(|(_, path)| path), to: path, seen: Seen::now() });
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) if tracker.is_none() || tracker != self.moved_to => {
                if let Some(to) = paths.next() {
                    self.send(Notice::Renamed { from: Some(path), to, seen: Seen::now() });
                }
            }
            EventKind::Remove(RemoveKind::Folder | RemoveKind::Other | RemoveKind::Any) => {
                self.send(Notice::Left(path))
            }
            _ => {}
        }
    }

    fn file(&self, action: Action, complete: bool, path: PathBuf) {
        if path.file_name().is_some_and(|name| (self.interesting)(name.as_bytes())) {
            self.send(Notice::File { action, complete, path, seen: Seen::now() });
        }
    }

    /// At most one a second: notify reads again at once after an error, whatever it was.
    fn error(&mut self, error: &notify::Error) {
        if self.last_error.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.last_error = Some(Instant::now());
            self.send(Notice::Error(reason(error)));
        }
    }

    fn send(&self, notice: Notice) {
        let weight = notice.weight();
        // Only this thread adds, so the sum cannot pass the bound between the two calls.
        if self.queue.bytes.load(Ordering::Relaxed) + weight > QUEUE_BYTES {
            self.queue.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.queue.bytes.fetch_add(weight, Ordering::Relaxed);
        let _ = self.notices.send(notice); // fails only while stopping
    }
}

/// What is watched and what could not be; shared with [`Inotify::report`], so never locked across a
/// call that waits.
struct Book {
    roots: Vec<PathBuf>,
    /// Ordered by components, so that a directory and all below it are neighbours.
    watched: BTreeSet<PathBuf>,
    failures: BTreeMap<PathBuf, String>,
    failures_beyond: u64,
}

impl Book {
    fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, watched: BTreeSet::new(), failures: BTreeMap::new(), failures_beyond: 0 }
    }

    fn watched_below(&self, top: &Path) -> impl Iterator<Item = &PathBuf> {
        let from_top = (Bound::Included(top), Bound::Unbounded);
        self.watched.range::<Path, _>(from_top).take_while(move |path| path.starts_with(top))
    }

    fn failures_below(&self, top: &Path) -> impl Iterator<Item = (&PathBuf, &String)> {
        let from_top = (Bound::Included(top), Bound::Unbounded);
        self.failures.range::<Path, _>(from_top).take_while(move |(path, _)| path.starts_with(top))
    }

    /// Whether this path was that of a directory, watched or not.
    fn has(&self, path: &Path) -> bool {
        self.watched.contains(path) || self.failures_below(path).next().is_some()
    }

    fn insert(&mut self, path: &Path) {
        self.failures.remove(path);
        self.watched.insert(path.to_path_buf());
    }

    fn fail(&mut self, path: &Path, reason: String) {
        if self.failures.len() < MAX_FAILURES || self.failures.contains_key(path) {
            self.failures.insert(path.to_path_buf(), reason);
        } else {
            self.failures_beyond += 1;
        }
    }

    /// Takes `top` and everything below out of the book; gives what was watched.
    fn remove_below(&mut self, top: &Path) -> Vec<PathBuf> {
        let failed: Vec<PathBuf> = self.failures_below(top).map(|(path, _)| path.clone()).collect();
        for path in failed {
            self.failures.remove(&path);
        }
        let watched: Vec<PathBuf> = self.watched_below(top).cloned().collect();
        for path in &watched {
            self.watched.remove(path);
        }
        watched
    }

    fn report(&self) -> Vec<TreeReport> {
        let tree = |root: &PathBuf| TreeReport {
            root: root.clone(),
            watched: self.watched_below(root).count(),
            failed: self.failures_below(root).count(),
            examples: self
                .failures_below(root)
                .take(EXAMPLES)
                .map(|(path, reason)| (path.clone(), reason.clone()))
                .collect(),
        };
        self.roots.iter().map(tree).collect()
    }
}

/// A new directory's content is reported as this.
#[derive(Clone, Copy)]
enum Arrival<'a> {
    Created,
    Renamed { from: Option<&'a Path> },
}

/// Owns the watcher; runs in our thread.
struct Guard {
    watcher: RecommendedWatcher,
    interesting: Interesting,
    emit: Emit,
    book: Arc<Mutex<Book>>,
    queue: Arc<Queue>,
    writer: Arc<Writer>,
    /// Each root with the directory that was there when it was last looked at.
    roots: Vec<(PathBuf, Option<Identity>)>,
    overflowed: bool,
    lost: u64,
    /// How many directories could not be watched since the last gap about it, and the first of them.
    trouble: Option<(u64, String)>,
    next_recovery: Instant,
    next_check: Instant,
}

impl Guard {
    fn new(
        watcher: RecommendedWatcher,
        interesting: Interesting,
        emit: Emit,
        book: Arc<Mutex<Book>>,
        queue: Arc<Queue>,
    ) -> Self {
        let roots = lock(&book).roots.iter().map(|root| (root.clone(), None)).collect();
        let now = Instant::now();
        Self {
            watcher,
            interesting,
            emit,
            book,
            queue,
            writer: Arc::new(Writer::unavailable()),
            roots,
            overflowed: false,
            lost: 0,
            trouble: None,
            next_recovery: now,
            next_check: now + CHECK_EVERY,
        }
    }

    /// The first watches. What fails is in the report, which the caller reads next: no gap for it.
    fn place_roots(&mut self) {
        for index in 0..self.roots.len() {
            let Some((root, known)) = self.roots.get_mut(index) else { continue };
            let root = root.clone();
            match walk::identify_directory(&root) {
                Ok(identity) => {
                    *known = Some(identity);
                    self.place(&root, None);
                }
                Err(error) => lock(&self.book).fail(&root, error.to_string()),
            }
        }
        self.trouble = None;
    }

    fn run(mut self, notices: &Receiver<Notice>) {
        while !self.queue.stopping.load(Ordering::Relaxed) {
            match notices.recv_timeout(self.next_check.saturating_duration_since(Instant::now())) {
                Ok(notice) => {
                    self.queue.bytes.fetch_sub(notice.weight(), Ordering::Relaxed);
                    self.handle(notice);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.lost += self.queue.lost.swap(0, Ordering::Relaxed);
            self.recover_if_due();
            self.check_if_due();
        }
    }

    fn handle(&mut self, notice: Notice) {
        match notice {
            Notice::File { action, complete, path, seen } => self.file(action, complete, path, seen),
            Notice::Appeared(path) => self.place(&path, Some(Arrival::Created)),
            Notice::Renamed { from, to, seen } => self.renamed(from, to, seen),
            Notice::Left(path) => self.left(&path),
            Notice::Overflow => self.overflowed = true,
            Notice::Error(text) => self.note_trouble(|| text),
            Notice::Wake => {}
        }
    }

    fn file(&mut self, action: Action, complete: bool, path: PathBuf, seen: Seen) {
        // inotify shows a new link as a created file; nobody writes to a link after that.
        let complete =
            complete || action == Action::Creation && path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        self.emit_file(action, complete, path, None, seen);
    }

    fn renamed(&mut self, from: Option<PathBuf>, to: PathBuf, seen: Seen) {
        if walk::identify_directory(&to).is_ok() {
            self.place(&to, Some(Arrival::Renamed { from: from.as_deref() }));
        } else if to.file_name().is_some_and(|name| (self.interesting)(name.as_bytes())) {
            self.emit_file(Action::Rename, true, to, from, seen);
        }
    }

    /// A name is gone, or something else has it by now.
    fn left(&mut self, path: &Path) {
        if !lock(&self.book).has(path) {
            return; // a file
        }
        self.place_again(path, Some(Arrival::Created));
        if self.roots.iter().any(|(root, _)| root == path) {
            self.check_roots();
        }
    }

    /// Watches the directory at `top`, if there is one, and every directory below, each before it is
    /// listed; reports the hooks found if the directory has just arrived.
    fn place(&mut self, top: &Path, arrival: Option<Arrival<'_>>) {
        if walk::identify_directory(top).is_err() {
            return; // gone again; or a link, which a watch would follow
        }
        self.watch(top);
        let walked = walk::walk(top, Limits::default(), |entry| match entry.kind {
            Kind::Directory => self.watch(&entry.path()),
            Kind::OtherFilesystem => {}
            Kind::File | Kind::SymbolicLink | Kind::Special => self.found(entry, top, arrival),
        });
        let Ok(report) = walked else { return }; // the watch of `top` failed for the same reason
        if report.truncated {
            self.fail(top, "more directories below than are walked (depth or number)".into());
        }
        if let Some(path) = report.first_unreadable {
            self.fail(&path, format!("cannot be listed, nor {} others below {}", report.unreadable - 1, top.display()));
        }
    }

    /// A file in a directory that has just arrived. Written before the watch or still being
    /// written: the listing cannot tell, so only a renamed file and a link are complete.
    fn found(&mut self, entry: &Entry<'_>, top: &Path, arrival: Option<Arrival<'_>>) {
        let Some(arrival) = arrival.filter(|_| (self.interesting)(entry.name)) else { return };
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
            Ok(()) => lock(&self.book).insert(path),
            Err(error) if is_gone(&error) => {}
            Err(error) => self.fail(path, reason(&error)),
        }
    }

    fn fail(&mut self, path: &Path, reason: String) {
        self.note_trouble(|| format!("{}: {reason}", path.display()));
        lock(&self.book).fail(path, reason);
    }

    fn forget(&mut self, top: &Path) {
        let paths = lock(&self.book).remove_below(top);
        for path in paths {
            let _ = self.watcher.unwatch(&path); // notify may have dropped it by itself
        }
    }

    /// As [`Guard::place`], without trusting any watch set before; also of trees below that are on
    /// another filesystem.
    fn place_again(&mut self, top: &Path, arrival: Option<Arrival<'_>>) {
        self.forget(top);
        self.place(top, arrival);
        for root in self.root_paths() {
            if root != top && root.starts_with(top) {
                self.place(&root, None);
            }
        }
    }

    /// After lost events: directories may have come and gone unseen. Not more often than the roots
    /// are checked, or a flood of changes would keep us walking.
    fn recover_if_due(&mut self) {
        if !(self.overflowed || self.lost > 0) || Instant::now() < self.next_recovery {
            return;
        }
        let watched: Vec<PathBuf> = lock(&self.book).watched.iter().cloned().collect();
        for path in watched.iter().filter(|path| walk::identify_directory(path).is_err()) {
            self.forget(path);
        }
        for root in self.root_paths() {
            self.place(&root, None);
        }
        if std::mem::take(&mut self.overflowed) {
            let detail = "the kernel's inotify queue was full; all trees were listed for new directories";
            self.emit_gap(Gap::QUEUE_OVERFLOW, None, detail.into());
        }
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let detail = "more inotify events than could be kept; all trees were listed for new directories";
            self.emit_gap(Gap::CHANNEL_FULL, Some(lost), detail.into());
        }
        self.next_recovery = Instant::now() + CHECK_EVERY;
    }

    fn check_if_due(&mut self) {
        if Instant::now() < self.next_check {
            return;
        }
        self.check_roots();
        if let Some((count, first)) = self.trouble.take() {
            self.emit_gap(Gap::UNREADABLE, None, format!("inotify failed {count} times; first {first}"));
        }
        self.next_check = Instant::now() + CHECK_EVERY;
    }

    /// Finds roots that came, went or were replaced. Nothing below them is reported file by file: the
    /// gap says that what is there must be compared with what was known.
    fn check_roots(&mut self) {
        for index in 0..self.roots.len() {
            let Some((root, known)) = self.roots.get_mut(index) else { continue };
            let now = walk::identify_directory(root);
            let before = std::mem::replace(known, now.as_ref().ok().copied());
            if *known == before {
                continue;
            }
            let root = root.clone();
            self.place_again(&root, None);
            let detail = match now {
                Ok(_) => {
                    let what = if before.is_some() { "was replaced" } else { "appeared" };
                    format!("the tree {} {what}; it is watched from now on", root.display())
                }
                Err(error) => {
                    lock(&self.book).fail(&root, error.to_string());
                    format!("the tree {} is gone: nothing is watched there until it is back", root.display())
                }
            };
            self.emit_gap(Gap::UNREADABLE, None, detail);
        }
    }

    fn root_paths(&self) -> Vec<PathBuf> {
        self.roots.iter().map(|(root, _)| root.clone()).collect()
    }

    fn note_trouble(&mut self, detail: impl FnOnce() -> String) {
        self.trouble.get_or_insert_with(|| (0, detail())).0 += 1;
    }

    fn emit_file(&mut self, action: Action, complete: bool, path: PathBuf, previous_path: Option<PathBuf>, seen: Seen) {
        (self.emit)(Message::Event(FileEvent {
            action,
            complete,
            is_directory: false,
            listed: false,
            file: FileRef { path, directory: None },
            previous_path,
            writer: Arc::clone(&self.writer),
            seen,
        }));
    }

    fn emit_gap(&mut self, cause: &'static str, lost: Option<u64>, detail: String) {
        (self.emit)(Message::Gap(Gap { cause, lost, detail }));
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
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

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the limit fs.inotify.max_user_watches is reached".into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        notify::ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn into_io(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        _ => io::Error::other(reason(&error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    struct Watched {
        tmp: TempDir,
        messages: Receiver<Message>,
        inotify: Inotify,
    }

    fn watch(prepare: impl FnOnce(&Path)) -> Watched {
        let tmp = tempfile::tempdir().unwrap();
        prepare(tmp.path());
        let (messages, inotify) = start(vec![tmp.path().to_path_buf()]);
        Watched { tmp, messages, inotify }
    }

    fn start(trees: Vec<PathBuf>) -> (Receiver<Message>, Inotify) {
        let (sender, messages) = mpsc::channel();
        let interesting: Interesting = Arc::new(|name| name.ends_with(b".pth"));
        let inotify = spawn(trees, interesting, Box::new(move |message| drop(sender.send(message)))).unwrap();
        (messages, inotify)
    }

    impl Watched {
        fn path(&self, name: impl AsRef<Path>) -> PathBuf {
            self.tmp.path().join(name)
        }

        fn next(&self) -> Message {
            self.messages.recv_timeout(Duration::from_secs(20)).unwrap()
        }

        /// The events up to the first that is wanted, which is the last of them.
        fn until(&self, wanted: impl Fn(&FileEvent) -> bool) -> Vec<FileEvent> {
            let mut events = Vec::new();
            loop {
                match self.next() {
                    Message::Event(event) => {
                        let found = wanted(&event);
                        events.push(event);
                        if found {
                            return events;
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }

        fn until_gap(&self) -> Gap {
            loop {
                if let Message::Gap(gap) = self.next() {
                    return gap;
                }
            }
        }

        /// Everything reported so far: up to the close of a file written last.
        fn so_far(&self, sentinel: &str) -> Vec<FileEvent> {
            let sentinel = self.path(sentinel);
            fs::write(&sentinel, "").unwrap();
            let mut events = self.until(|event| event.file.path == sentinel && event.complete);
            events.retain(|event| event.file.path != sentinel);
            events
        }
    }

    fn what(event: &FileEvent) -> (Action, bool) {
        (event.action, event.complete)
    }

    #[test]
    fn a_new_file_is_a_creation_then_a_complete_change_by_an_unavailable_writer() {
        let watched = watch(|_| {});
        fs::write(watched.path("x.pth"), "import os").unwrap();
        let events = watched.until(|event| event.complete);
        assert_eq!(what(events.first().unwrap()), (Action::Creation, false));
        assert_eq!(what(events.last().unwrap()), (Action::Change, true));
        for event in &events {
            assert_eq!(event.file.path, watched.path("x.pth"));
            assert!(event.file.directory.is_none() && event.writer.process.is_none());
        }
    }

    #[test]
    fn an_overwrite_or_append_is_a_change_that_is_complete_when_closed() {
        let watched = watch(|top| fs::write(top.join("x.pth"), "old").unwrap());
        let mut file = OpenOptions::new().append(true).open(watched.path("x.pth")).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(what(watched.until(|_| true).first().unwrap()), (Action::Change, false));
        drop(file);
        assert_eq!(what(watched.until(|event| event.complete).last().unwrap()), (Action::Change, true));
        fs::write(watched.path("x.pth"), "other").unwrap();
        let events = watched.until(|event| event.complete);
        assert!(events.iter().all(|event| event.action == Action::Change));
    }

    #[test]
    fn a_file_renamed_into_place_is_one_complete_rename_with_its_previous_name() {
        let watched = watch(|top| fs::write(top.join("x.tmp"), "").unwrap());
        fs::rename(watched.path("x.tmp"), watched.path("x.pth")).unwrap();
        let events = watched.so_far("end.pth");
        assert_eq!(events.len(), 1, "{events:?}");
        let event = events.first().unwrap();
        assert_eq!(what(event), (Action::Rename, true));
        assert_eq!(event.file.path, watched.path("x.pth"));
        assert_eq!(event.previous_path, Some(watched.path("x.tmp")));
    }

    #[test]
    fn a_file_renamed_into_the_tree_has_no_previous_name() {
        let watched = watch(|_| {});
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x.pth"), "").unwrap();
        fs::rename(outside.path().join("x.pth"), watched.path("x.pth")).unwrap();
        let events = watched.until(|_| true);
        let event = events.first().unwrap();
        assert_eq!((what(event), &event.previous_path), ((Action::Rename, true), &None));
    }

    #[test]
    fn a_hard_link_is_a_creation_and_a_symbolic_link_a_complete_one() {
        let watched = watch(|top| fs::write(top.join("x"), "").unwrap());
        fs::hard_link(watched.path("x"), watched.path("hard.pth")).unwrap();
        symlink("/nowhere", watched.path("soft.pth")).unwrap();
        let events = watched.so_far("end.pth");
        let seen: Vec<_> = events.iter().map(|event| (event.file.path.clone(), what(event))).collect();
        let expected = [("hard.pth", false), ("soft.pth", true)];
        assert_eq!(seen, expected.map(|(name, complete)| (watched.path(name), (Action::Creation, complete))));
    }

    #[test]
    fn names_that_are_not_utf_8_are_reported_as_they_are() {
        let directory = OsStr::from_bytes(b"d\xff\n");
        let name = OsStr::from_bytes(b"\xfe\x1b[2J.pth");
        let watched = watch(|top| fs::create_dir(top.join(directory)).unwrap());
        fs::write(watched.path(directory).join(name), "").unwrap();
        let events = watched.until(|event| event.complete);
        assert!(events.iter().all(|event| event.file.path == watched.path(directory).join(name)));
    }

    #[test]
    fn uninteresting_names_reading_and_attributes_yield_nothing() {
        let watched = watch(|top| fs::write(top.join("x.pth"), "").unwrap());
        for number in 0..500 {
            fs::write(watched.path(format!("{number}.txt")), "noise").unwrap();
            fs::rename(watched.path(format!("{number}.txt")), watched.path(format!("{number}.py"))).unwrap();
            fs::read(watched.path("x.pth")).unwrap();
        }
        let mut permissions = fs::metadata(watched.path("x.pth")).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(watched.path("x.pth"), permissions).unwrap();
        let events = watched.so_far("end.pth");
        assert!(events.is_empty(), "{events:?}");
    }

    #[test]
    fn every_file_written_right_after_its_directories_were_made_is_reported() {
        let watched = watch(|_| {});
        let mut missing: BTreeSet<PathBuf> = BTreeSet::new();
        for number in 0..300 {
            let directory = watched.path(format!("{number}/b/c"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("x.pth"), "").unwrap();
            missing.insert(directory.join("x.pth"));
        }
        while !missing.is_empty() {
            for event in watched.until(|_| true) {
                assert!(matches!(event.action, Action::Creation | Action::Change));
                missing.remove(&event.file.path);
            }
        }
        watched.so_far("end.pth");
        assert_eq!(watched.inotify.report().first().unwrap().watched, 901);
    }

    #[test]
    fn a_directory_renamed_into_place_reports_what_is_in_it_and_is_watched() {
        let watched = watch(|_| {});
        let outside = tempfile::tempdir().unwrap();
        let new = outside.path().join("new");
        fs::create_dir_all(new.join("a/b")).unwrap();
        fs::write(new.join("a/b/x.pth"), "").unwrap();
        fs::write(new.join("a/noise.py"), "").unwrap();
        fs::rename(&new, watched.path("here")).unwrap();
        let events = watched.until(|_| true);
        let event = events.first().unwrap();
        assert_eq!((what(event), &event.previous_path), ((Action::Rename, true), &None));
        assert_eq!(event.file.path, watched.path("here/a/b/x.pth"));
        fs::write(watched.path("here/a/b/y.pth"), "").unwrap();
        watched.until(|event| event.file.path == watched.path("here/a/b/y.pth") && event.complete);
    }

    #[test]
    fn a_directory_renamed_within_the_tree_reports_under_its_new_path_only() {
        let watched = watch(|top| {
            fs::create_dir_all(top.join("old/deep")).unwrap();
            fs::write(top.join("old/deep/x.pth"), "").unwrap();
        });
        fs::rename(watched.path("old"), watched.path("new")).unwrap();
        let events = watched.until(|_| true);
        let event = events.first().unwrap();
        assert_eq!(event.file.path, watched.path("new/deep/x.pth"));
        assert_eq!(event.previous_path, Some(watched.path("old/deep/x.pth")));
        watched.so_far("middle.pth");
        fs::write(watched.path("new/deep/x.pth"), "again").unwrap();
        fs::write(watched.path("new/y.pth"), "").unwrap();
        let events = watched.so_far("end.pth");
        assert!(events.iter().all(|event| event.file.path.starts_with(watched.path("new"))), "{events:?}");
        for name in ["new/deep/x.pth", "new/y.pth"] {
            assert!(events.iter().any(|event| event.file.path == watched.path(name) && event.complete));
        }
        assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
    }

    #[test]
    fn directories_renamed_over_and_over_are_still_watched_in_the_end() {
        let watched = watch(|top| fs::create_dir_all(top.join("0/deep")).unwrap());
        for number in 0..200 {
            fs::rename(watched.path(number.to_string()), watched.path((number + 1).to_string())).unwrap();
        }
        watched.so_far("middle.pth");
        fs::write(watched.path("200/deep/x.pth"), "").unwrap();
        let events = watched.until(|event| event.complete);
        assert!(events.iter().all(|event| event.file.path == watched.path("200/deep/x.pth")), "{events:?}");
        assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
    }

    #[test]
    fn a_directory_removed_and_made_again_over_and_over_is_still_watched() {
        let watched = watch(|_| {});
        for _ in 0..200 {
            fs::create_dir_all(watched.path("d/e")).unwrap();
            fs::remove_dir_all(watched.path("d")).unwrap();
        }
        fs::create_dir_all(watched.path("d/e")).unwrap();
        watched.so_far("middle.pth");
        fs::write(watched.path("d/e/x.pth"), "").unwrap();
        watched.until(|event| event.file.path == watched.path("d/e/x.pth") && event.complete);
        assert_eq!(watched.inotify.report().first().unwrap().watched, 3);
    }

    #[test]
    fn a_directory_moved_out_of_the_tree_is_not_watched_any_more() {
        let watched = watch(|top| fs::create_dir_all(top.join("d/e")).unwrap());
        let outside = tempfile::tempdir().unwrap();
        fs::rename(watched.path("d"), outside.path().join("d")).unwrap();
        watched.so_far("middle.pth");
        fs::write(outside.path().join("d/e/x.pth"), "").unwrap();
        assert!(watched.so_far("end.pth").is_empty());
        assert_eq!(watched.inotify.report().first().unwrap().watched, 1);
    }

    #[test]
    fn two_directories_that_change_places_are_both_watched() {
        let watched = watch(|top| {
            fs::create_dir_all(top.join("one/1")).unwrap();
            fs::create_dir_all(top.join("two/2")).unwrap();
        });
        let (one, two) = (watched.path("one"), watched.path("two"));
        let (cwd, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
        rustix::fs::renameat_with(cwd, &one, cwd, &two, flags).unwrap();
        watched.so_far("middle.pth");
        for name in ["one/2/x.pth", "two/1/x.pth"] {
            fs::write(watched.path(name), "").unwrap();
            watched.until(|event| event.file.path == watched.path(name) && event.complete);
        }
    }

    #[test]
    fn a_link_to_a_directory_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let watched = watch(|top| symlink(outside.path(), top.join("before")).unwrap());
        symlink(outside.path(), watched.path("after")).unwrap();
        watched.so_far("middle.pth");
        fs::write(outside.path().join("x.pth"), "").unwrap();
        assert!(watched.so_far("end.pth").is_empty());
        assert_eq!(watched.inotify.report().first().unwrap().watched, 1);
    }

    #[test]
    fn a_removed_root_is_a_gap_and_is_watched_again_when_it_is_back() {
        let watched = watch(|_| {});
        fs::remove_dir(watched.tmp.path()).unwrap();
        let gap = watched.until_gap();
        assert_eq!((gap.cause, gap.detail.contains("is gone")), (Gap::UNREADABLE, true), "{gap:?}");
        let report = watched.inotify.report();
        assert_eq!(report.first().map(|tree| (tree.watched, tree.failed)), Some((0, 1)));
        fs::create_dir_all(watched.path("d")).unwrap();
        let gap = watched.until_gap();
        assert!(gap.detail.contains("appeared"), "{gap:?}");
        fs::write(watched.path("d/x.pth"), "").unwrap();
        watched.until(|event| event.file.path == watched.path("d/x.pth") && event.complete);
    }

    #[test]
    fn a_root_replaced_by_a_rename_above_it_is_a_gap() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir_all(tmp.path().join("venv/lib")).unwrap();
        fs::create_dir_all(tmp.path().join("other/lib")).unwrap();
        let (messages, inotify) = start(vec![tmp.path().join("venv/lib")]);
        let watched = Watched { tmp, messages, inotify };
        fs::rename(watched.path("venv"), watched.path("old")).unwrap();
        fs::rename(watched.path("other"), watched.path("venv")).unwrap();
        while !watched.until_gap().detail.contains("is watched from now on") {}
        fs::write(watched.path("venv/lib/x.pth"), "").unwrap();
        watched.until(|event| event.file.path == watched.path("venv/lib/x.pth") && event.complete);
    }

    #[test]
    fn a_root_that_is_missing_a_link_or_relative_is_told() {
        let tmp = tempfile::tempdir().unwrap();
        symlink("/", tmp.path().join("link")).unwrap();
        let (_messages, inotify) = start(vec![tmp.path().join("missing"), tmp.path().join("link")]);
        let report = inotify.report();
        assert_eq!(report.len(), 2);
        assert!(report.iter().all(|tree| (tree.watched, tree.failed, tree.examples.len()) == (0, 1, 1)), "{report:?}");
        inotify.stop();
        let refused = spawn(vec![PathBuf::from("relative")], Arc::new(|_| true), Box::new(drop));
        assert!(refused.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
    }

    #[test]
    fn trees_inside_each_other_are_counted_each() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir_all(tmp.path().join("a/b/c")).unwrap();
        let (_messages, inotify) = start(vec![tmp.path().join("a/b"), tmp.path().join("a"), tmp.path().join("a")]);
        let watched: Vec<usize> = inotify.report().iter().map(|tree| tree.watched).collect();
        assert_eq!(watched, [3, 2]);
    }

    #[test]
    fn after_an_overflow_there_is_a_gap_and_directories_made_unseen_are_watched() {
        let watched = watch(|_| {});
        watched.inotify.notices.send(Notice::Overflow).unwrap();
        let gap = watched.until_gap();
        assert_eq!((gap.cause, gap.lost), (Gap::QUEUE_OVERFLOW, None));
        let (sender, _receiver) = mpsc::channel();
        let mut guard =
            guard(vec![watched.tmp.path().to_path_buf()], Box::new(move |message| drop(sender.send(message))));
        guard.place_roots();
        fs::create_dir_all(watched.path("d/e")).unwrap();
        guard.forget(&watched.path("d"));
        lock(&guard.book).insert(&watched.path("gone"));
        guard.overflowed = true;
        guard.recover_if_due();
        assert_eq!(lock(&guard.book).report().first().unwrap().watched, 3);
    }

    fn guard(roots: Vec<PathBuf>, emit: Emit) -> Guard {
        let watcher =
            RecommendedWatcher::new(drop::<notify::Result<notify::Event>>, notify::Config::default()).unwrap();
        Guard::new(watcher, Arc::new(|_| true), emit, Arc::new(Mutex::new(Book::new(roots))), Arc::default())
    }

    #[test]
    fn more_notices_than_the_bound_are_dropped_and_counted_and_make_a_gap() {
        let (notices, receiver) = mpsc::channel();
        let queue = Arc::new(Queue::default());
        let filter = Filter::new(Arc::new(|_| true), notices, Arc::clone(&queue));
        let long = PathBuf::from("x".repeat(4000));
        for _ in 0..10_000 {
            filter.send(Notice::Left(long.clone()));
        }
        drop(filter);
        let kept = receiver.iter().count();
        assert!((7_000..10_000).contains(&kept), "{kept}");
        assert_eq!(queue.lost.load(Ordering::Relaxed), 10_000 - kept as u64);
        let (sender, messages) = mpsc::channel();
        let mut guard = guard(Vec::new(), Box::new(move |message| drop(sender.send(message))));
        guard.lost = 7;
        guard.recover_if_due();
        guard.lost = 1;
        guard.recover_if_due(); // too early for the next
        let gaps: Vec<Message> = messages.try_iter().collect();
        assert!(matches!(gaps.as_slice(), [Message::Gap(Gap { cause: Gap::CHANNEL_FULL, lost: Some(7), .. })]));
    }

    #[test]
    fn errors_of_notify_are_a_gap_and_a_stream_of_them_is_told_once_a_second() {
        let (notices, receiver) = mpsc::channel();
        let mut filter = Filter::new(Arc::new(|_| true), notices, Arc::default());
        for _ in 0..1_000 {
            notify::EventHandler::handle_event(&mut filter, Err(notify::Error::generic("broken")));
        }
        assert!(receiver.try_iter().count() < 5);
        let watched = watch(|_| {});
        watched.inotify.notices.send(Notice::Error("broken".into())).unwrap();
        let gap = watched.until_gap();
        assert_eq!((gap.cause, gap.detail.contains("broken")), (Gap::UNREADABLE, true));
    }

    #[test]
    fn the_book_keeps_neighbours_apart_and_bounds_its_failures() {
        let mut book = Book::new(vec![PathBuf::from("/a")]);
        for path in ["/a", "/a/b", "/a-b", "/ab", "/a/b/c"] {
            book.insert(Path::new(path));
        }
        for number in 0..MAX_FAILURES + 5 {
            book.fail(Path::new(&format!("/a/{number}")), "reason".into());
        }
        let report = book.report();
        let tree = report.first().unwrap();
        assert_eq!((tree.watched, tree.failed, tree.examples.len()), (3, MAX_FAILURES, EXAMPLES));
        assert_eq!(book.failures_beyond, 5);
        assert_eq!(book.remove_below(Path::new("/a")).len(), 3);
        assert_eq!((book.watched.len(), book.failures.len()), (2, 0));
    }

    #[test]
    fn stopping_ends_the_thread_and_the_messages() {
        let watched = watch(|_| {});
        watched.inotify.stop();
        assert!(matches!(watched.messages.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected)));
    }
}
