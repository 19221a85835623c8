//! Starts inotify for the daemon: its events get the filter, paths as seen from the root, and an open directory.

use super::channel::EventSender;
use super::shared_filter::SharedFilter;
use crate::event::{FileEvent, FileRef, Interest};
use crate::source::inotify::{self, Inotify, TreeReport};
use crate::source::{Message, Settings, mounts};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Watches these trees, and logs which of them have no watch or no writers.
///
/// # Errors
/// When there can be no inotify instance or no thread.
pub fn start(
    settings: &Settings,
    trees: Vec<PathBuf>,
    filter: &SharedFilter,
    events: &EventSender,
) -> io::Result<Inotify> {
    let (by_name, filter, events, root) = (filter.clone(), filter.clone(), events.clone(), settings.root.clone());
    let inotify = inotify::spawn(
        trees,
        Arc::new(move |name: &[u8]| by_name.interest(name) != Interest::None),
        Box::new(move |message| match message {
            Message::Event(event) => {
                if let Some(event) = accept(&filter, &root, event) {
                    events.send(Message::Event(event));
                    events.send(Message::EndOfRead);
                }
            }
            other => events.send(other),
        }),
    )?;
    inotify.report().iter().for_each(log_tree);
    Ok(inotify)
}

/// The event with its path as seen from the root, if a rule may want it. The directory is opened, so that the content
/// is read from where it was seen.
fn accept(filter: &SharedFilter, root: &Path, event: FileEvent) -> Option<FileEvent> {
    let seen_path = &event.file.path;
    let path = mounts::below_root(seen_path, root)?;
    let interest = filter.interest(path.file_name().unwrap_or_default().as_bytes());
    let classification = filter.accept(interest, &path)?.classification;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(seen_path.parent()?, flags, Mode::empty()).ok().map(Arc::new);
    let previous_path = event.previous_path.map(|path| mounts::below_root(&path, root).unwrap_or(path));
    Some(FileEvent { file: FileRef { path, directory }, classification, previous_path, ..event })
}

fn log_tree(tree: &TreeReport) {
    let root = tree.root.display();
    if tree.watched > 0 {
        log::warn!("{root} is watched with inotify ({} directories): alerts from there name no writer", tree.watched);
    }
    // A missing tree is normal: it is watched once it appears.
    if tree.root.exists()
        && let Some((path, reason)) = tree.examples.first()
    {
        log::warn!("{} directories of {root} are NOT watched, one is {}: {reason}", tree.failed, path.display());
    }
}
