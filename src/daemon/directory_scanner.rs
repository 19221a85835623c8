//! Lists renamed directories, because the kernel reports only the name of a renamed directory. It has its own thread,
//! so a tree of 300,000 entries delays neither alerts nor outputs.

use super::channel::{EventSender, PipelineInput};
use super::shared_filter::SharedFilter;
use crate::event::{FileEvent, FileRef, Interest, LossCause, LossReport};
use crate::source::Message;
use crate::walk::{self, Entry, Kind, Limits};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

/// Renamed directories that may wait.
const MAX_WAITING: usize = 4096;

/// The thread's queue. The thread ends when this is dropped and the queue is empty.
pub struct DirectoryScanner {
    queue: SyncSender<FileEvent>,
    unfinished: Arc<AtomicUsize>,
}

impl DirectoryScanner {
    /// Starts the thread. Its findings go through the channel, like those of the sources.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(filter: SharedFilter, events: EventSender) -> io::Result<Self> {
        let (queue, directories) = sync_channel::<FileEvent>(MAX_WAITING);
        let unfinished = Arc::new(AtomicUsize::new(0));
        let left = unfinished.clone();
        std::thread::Builder::new().name("phw-dirscan".into()).spawn(move || {
            for directory in directories {
                scan(&directory, &filter, &events);
                left.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Self { queue, unfinished })
    }

    /// Queues the directory.
    ///
    /// # Errors
    /// The event, when too many wait.
    pub fn add(&self, directory: FileEvent) -> Result<(), FileEvent> {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(directory).map_err(|error| {
            self.unfinished.fetch_sub(1, Ordering::Relaxed);
            match error {
                std::sync::mpsc::TrySendError::Full(event) | std::sync::mpsc::TrySendError::Disconnected(event) => {
                    event
                }
            }
        })
    }

    /// The number of directories that wait or are being listed.
    pub fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Acquire)
    }
}

fn scan(directory: &FileEvent, filter: &SharedFilter, events: &EventSender) {
    let (Some(parent), Some(name)) = (&directory.file.directory, directory.file.path.file_name()) else { return };
    let walked = walk::walk_at(parent, name.as_ref(), &directory.file.path, Limits::default(), |entry| {
        if let Some(event) = event_of(entry, directory, filter) {
            send(events, Message::Event(event));
        }
    });
    send(events, Message::EndOfRead);
    let detail = match walked {
        Ok(report) if report.truncated => "it holds more than can be listed".to_owned(),
        Ok(report) if report.unreadable > 0 => format!("{} directories in it could not be read", report.unreadable),
        // Renamed again or removed before it could be listed: it has another event.
        Ok(_) | Err(_) => return,
    };
    let detail = format!("{} was renamed into place, but {detail}", directory.file.path.display());
    send(events, Message::Loss(LossReport::new(LossCause::Unreadable, detail)));
}

/// The event of a file in the directory, if a rule may want it.
fn event_of(entry: &Entry<'_>, directory: &FileEvent, filter: &SharedFilter) -> Option<FileEvent> {
    if matches!(entry.kind, Kind::Directory | Kind::OtherFilesystem) {
        return None;
    }
    let interest = filter.interest(entry.name);
    if interest == Interest::None {
        return None;
    }
    let path = entry.path();
    let classification = filter.accept(interest, &path)?.classification;
    let previous = directory.previous_path.as_ref();
    let previous_path =
        previous.and_then(|previous| Some(previous.join(path.strip_prefix(&directory.file.path).ok()?)));
    Some(FileEvent {
        action: directory.action,
        complete: true,
        is_directory: false,
        listed: true,
        file: FileRef { path, directory: Some(entry.directory().ok()?) },
        classification,
        previous_path,
        writer: directory.writer.clone(),
        seen: directory.seen,
    })
}

/// Waits for room, because this thread reads no queue of the kernel.
fn send(events: &EventSender, message: Message) {
    let is_change = matches!(message, Message::Event(_));
    if !events.send_blocking(PipelineInput::Source(message)) && is_change {
        events.record_drop(1);
    }
}
