//! Lists renamed directories in one thread of their own: the kernel tells only the name of a renamed
//! directory, and a tree of 300,000 entries must hold up neither an alert nor a write of an output.

use super::watch::{EventSender, SharedFilter};
use crate::event::{FileEvent, FileRef, Interest, LossCause, LossReport};
use crate::source::Message;
use crate::walk::{self, Kind, Limits};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Renamed directories that may wait to be listed.
const WAITING: usize = 4096;

/// The thread's queue. The thread ends when this is dropped and the queue is empty.
pub struct Listings {
    queue: SyncSender<FileEvent>,
    unfinished: Arc<AtomicUsize>,
}

impl Listings {
    /// Starts the thread. What it finds goes through the channel, like what the sources see.
    pub fn start(filter: SharedFilter, handover: EventSender) -> io::Result<Self> {
        let (queue, events) = sync_channel::<FileEvent>(WAITING);
        let unfinished = Arc::new(AtomicUsize::new(0));
        let left = unfinished.clone();
        std::thread::Builder::new().name("pyhookwatch-lst".into()).spawn(move || {
            for event in events {
                list(&event, &filter, &mut |message| {
                    let is_change = matches!(message, Message::Event(_));
                    // Waiting for room is right here: this thread reads no queue of the kernel. At the
                    // end nobody takes anything any more.
                    if handover.sender.blocking_send(message).is_err() && is_change {
                        handover.lose(1);
                    }
                });
                left.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Self { queue, unfinished })
    }

    /// Has the directory listed. Tells whether there was room for it.
    pub fn add(&self, event: FileEvent) -> bool {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let added = self.queue.try_send(event).is_ok();
        if !added {
            self.unfinished.fetch_sub(1, Ordering::Relaxed);
        }
        added
    }

    /// Directories that are waiting or being listed. Everything found in the others is in the channel.
    pub fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Acquire)
    }
}

fn list(event: &FileEvent, filter: &SharedFilter, emit: &mut dyn FnMut(Message)) {
    let (Some(parent), Some(name)) = (&event.file.directory, event.file.path.file_name()) else { return };
    let walked = walk::walk_at(parent, name.as_ref(), &event.file.path, Limits::default(), |entry| {
        if matches!(entry.kind, Kind::Directory | Kind::OtherFilesystem) {
            return;
        }
        if filter.interest(entry.name) == Interest::None || !filter.wants(&entry.path()) {
            return;
        }
        let Ok(directory) = entry.directory() else { return };
        let path = entry.path();
        let previous_path = event
            .previous_path
            .as_ref()
            .and_then(|previous| Some(previous.join(path.strip_prefix(&event.file.path).ok()?)));
        emit(Message::Event(FileEvent {
            action: event.action,
            complete: true,
            is_directory: false,
            listed: true,
            classification: None,
            file: FileRef { path, directory: Some(directory) },
            previous_path,
            writer: event.writer.clone(),
            seen: event.seen,
        }));
    });
    emit(Message::EndOfRead);
    let detail = match walked {
        Ok(report) if report.truncated => "it holds more than can be listed".to_owned(),
        Ok(report) if report.unreadable > 0 => format!("{} directories in it could not be read", report.unreadable),
        // Renamed on or removed before it could be listed: its own record tells.
        Ok(_) | Err(_) => return,
    };
    emit(Message::LossReport(LossReport {
        cause: LossCause::Unreadable,
        count: None,
        detail: format!("{} was renamed into place, but {detail}", event.file.path.display()),
    }));
}
