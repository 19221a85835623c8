//! Watches single trees with inotify (the `notify` crate), where fanotify is refused.
//!
//! inotify reports no process, needs a watch on each directory, and loses a directory that moves. Hence:
//!
//! * **Recursion is ours.** notify's recursive mode loses files that are written right after a `mkdir` (143 of 300 in a
//!   test). Here a new directory is watched first and listed afterwards: the watch or the listing sees each file. If
//!   both do, a later stage merges the events.
//! * **After every event about a path, the path is examined again.** notify drops the watches of a moved or
//!   removed directory, and of all below, before it serves our next request. So forgetting the path and watching what is
//!   there now is right in any order of events.
//! * **notify's thread never waits for ours.** It serves our requests, so waiting for each other would be a deadlock.
//!   The channel does not block: above [`QUEUE_BYTES`] events are dropped, counted and reported as a loss.
//!
//! `filter` runs in notify's thread and translates its events. `watcher` runs in ours and places the watches.
//! `watch_index` records the watches for both and for the reports.
//!
//! Limits:
//!
//! * A mount or a btrfs subvolume below a root is not entered, and its appearance is not seen: it must be a tree of its
//!   own.
//! * A root is checked every [`CHECK_EVERY`]. One that is renamed through a directory above it, mounted over or created
//!   again is noticed that late, with a loss report.
//! * A refused watch (limit, permission) is tried again only when its directory changes or after an overflow.
//! * notify 8.2 goes through all its watches for each watched directory that is removed or moved. Removing 10,000 at
//!   once
//!   took 6 s of processor time and caused an overflow, 100,000 more than 100 s. Leaving out our `unwatch` does not help.
//! * A panic in notify's thread must end the program, because requests to it would panic too. The panic hook in
//!   `cli.rs` aborts after every panic outside of content analysis, which notify's thread never runs.

mod callbacks;
mod filter;
mod limits;
mod queue;
#[cfg(test)]
mod tests;
mod watch_event;
mod watch_index;
mod watcher;

pub use callbacks::{Emit, NameFilter};
pub use limits::{CHECK_EVERY, QUEUE_BYTES};
pub use watch_index::TreeReport;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use notify::{RecommendedWatcher, Watcher};

use callbacks::reason;
use filter::Filter;
use queue::BoundedSender;
use watch_event::WatchEvent;
use watch_index::WatchIndex;
use watcher::InotifyWatcher;

/// The running source. Dropping it stops it.
pub struct Inotify {
    index: Arc<Mutex<WatchIndex>>,
    sender: BoundedSender,
    thread: Option<JoinHandle<()>>,
}

impl Inotify {
    /// The trees and what is watched of each.
    pub fn report(&self) -> Vec<TreeReport> {
        watch_index::lock(&self.index).report()
    }

    /// Wakes both threads, so that they advance [`Inotify::progress`].
    pub fn wake(&self) {
        // Dropped if the channel is full, and then the threads have work that advances it.
        self.sender.send(WatchEvent::Wake);
    }

    /// How often the threads have made progress.
    pub fn progress(&self) -> u64 {
        self.sender.queue.progress.load(Ordering::Relaxed)
    }

    /// Watches another tree (an absolute path) and everything below it. A loss report follows, because earlier writes
    /// below it are unknown.
    pub fn watch(&self, tree: PathBuf) {
        self.sender.send(WatchEvent::Root(tree));
    }

    /// Handles the events that notify has sent, then ends the thread and waits for it.
    pub fn stop(self) {}
}

impl Drop for Inotify {
    fn drop(&mut self) {
        self.sender.queue.stopping.store(true, Ordering::Relaxed);
        self.sender.send(WatchEvent::Wake); // dropped if the channel is full, and then not needed
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Watches `trees` (absolute paths) and everything below them. Returns when every possible watch is placed;
/// [`Inotify::report`] lists those that failed. A missing root is among them and is watched once it appears.
///
/// # Errors
/// When there can be no inotify instance or no thread, or a path is relative.
pub fn spawn(mut trees: Vec<PathBuf>, name_filter: NameFilter, emit: Emit) -> io::Result<Inotify> {
    if let Some(relative) = trees.iter().find(|root| !root.is_absolute()) {
        let message = format!("{} is not an absolute path", relative.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    trees.sort();
    trees.dedup();
    let (events, receiver) = mpsc::channel();
    let sender = BoundedSender { events, queue: Arc::default() };
    let filter = Filter::new(Arc::clone(&name_filter), sender.clone());
    let config = notify::Config::default().with_follow_symlinks(false);
    let watcher = RecommendedWatcher::new(filter, config).map_err(into_io)?;
    let index = Arc::new(Mutex::new(WatchIndex::new(trees)));
    let mut watcher_thread =
        InotifyWatcher::new(watcher, name_filter, emit, Arc::clone(&index), Arc::clone(&sender.queue));
    watcher_thread.place_roots();
    let thread = thread::Builder::new().name("phw-inotify".into()).spawn(move || watcher_thread.run(&receiver))?;
    Ok(Inotify { index, sender, thread: Some(thread) })
}

fn into_io(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        _ => io::Error::other(reason(&error)),
    }
}
