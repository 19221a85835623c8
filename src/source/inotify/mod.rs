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
//!   bytes, and above [`QUEUE_BYTES`] they are dropped and counted, and make a [gap](crate::event::LossReport).
//!
//! `filter` runs in notify's thread and makes notices of its events, `keeper` runs in ours and
//! places the watches, `book` is what both it and the reports know of them.
//!
//! Limits: a mount (or a btrfs subvolume) on a directory below a root is not entered, and its coming
//! and going is not seen (give it as a tree of its own). A root is looked at every [`CHECK_EVERY`], so
//! one that is renamed by a directory above it, mounted over or created again is noticed that late,
//! with a gap. A watch that was refused (limit, permission) is tried again only when its directory
//! changes or after an overflow. notify 8.2 goes through all its watches for each watched directory
//! that is removed or moved: removing 10,000 at once cost 6 s of processor time and an overflow (a
//! gap), 100,000 more than 100 s. The scan is in notify's thread and comes before our next
//! request is served: leaving out our `unwatch` does not mend it. A panic in notify's thread must end
//! the program (`panic = "abort"`): requests to it would panic as well.

mod filter;
#[cfg(test)]
mod tests;
mod watch_index;
mod watcher;

pub use watch_index::TreeReport;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use notify::{RecommendedWatcher, Watcher};

use super::Message;
use filter::{BoundedSender, Filter, WatchEvent};
use watch_index::WatchIndex;
use watcher::InotifyWatcher;

/// Memory that notices may take which notify has handed over and we have not handled: about 200,000
/// ordinary ones, twelve full queues of the kernel (`max_queued_events` is 16,384). In bytes, because
/// whoever makes the changes chooses how long the paths are.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// How often the roots are looked at, and how often trouble of one sort is reported at most.
pub const CHECK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });

/// Tells by its name whether a file may be a hook.
pub type Interesting = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;
/// Takes the messages; called by one thread, and must not wait.
pub type Emit = Box<dyn FnMut(Message) + Send>;

/// The running source. Dropping it stops it.
pub struct Inotify {
    book: Arc<Mutex<WatchIndex>>,
    outbox: BoundedSender,
    thread: Option<JoinHandle<()>>,
}

impl Inotify {
    /// What is watched at this moment, a report for each tree.
    pub fn report(&self) -> Vec<TreeReport> {
        watch_index::lock(&self.book).report()
    }

    /// Wakes both threads, so that they advance [`Inotify::progress`].
    pub fn wake(&self) {
        // Dropped if the channel is full, and then the threads have work that advances it.
        self.outbox.send(WatchEvent::Wake);
    }

    /// How often the threads have made progress.
    pub fn progress(&self) -> u64 {
        self.outbox.queue.progress.load(Ordering::Relaxed)
    }

    /// Watches another tree (an absolute path) and everything below it. When that is done, a gap tells it: what was
    /// written there before is not known.
    pub fn watch(&self, tree: PathBuf) {
        self.outbox.send(WatchEvent::Root(tree));
    }

    /// Ends the thread and waits for it. What notify has handed over is handled before.
    pub fn stop(self) {}
}

impl Drop for Inotify {
    fn drop(&mut self) {
        self.outbox.queue.stopping.store(true, Ordering::Relaxed);
        self.outbox.send(WatchEvent::Wake); // dropped if the channel is full, and then not needed
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
    let (notices, receiver) = mpsc::channel();
    let outbox = BoundedSender { notices, queue: Arc::default() };
    let filter = Filter::new(Arc::clone(&interesting), outbox.clone());
    let config = notify::Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(filter, config).map_err(into_io)?;
    let book = Arc::new(Mutex::new(WatchIndex::new(trees)));
    let mut keeper = InotifyWatcher::new(watcher, interesting, emit, Arc::clone(&book), Arc::clone(&outbox.queue));
    keeper.place_roots();
    let thread = thread::Builder::new().name("phw-inotify".into()).spawn(move || keeper.run(&receiver))?;
    Ok(Inotify { book, outbox, thread: Some(thread) })
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
