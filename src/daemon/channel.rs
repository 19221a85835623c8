//! The channel between the threads that find changes and the pipeline.

use crate::event::{Hook, LossCause, LossReport};
use crate::source::Message;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Inputs that may wait. Each may hold a descriptor of a directory.
const CAPACITY: usize = 4096;

/// Room for the reader's pending batch (1,024 events) and for one more read of 64 KiB (about 1,000 records at most).
const ROOM_FOR_READ: usize = 2048 + 64;

/// What the pipeline takes.
#[derive(Debug)]
pub enum PipelineInput {
    /// From a source, or from the directory scanner.
    Source(Message),
    /// A hook that existed before the start, so that a later change can be compared with it.
    Baseline(PathBuf, Box<Hook>),
}

/// The sending side. It never waits by default, and counts what it could not send.
#[derive(Clone)]
pub struct EventSender {
    sender: Sender<PipelineInput>,
    dropped: Arc<AtomicU64>,
    blocking: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

/// A new channel.
pub fn channel() -> (EventSender, Receiver<PipelineInput>) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (EventSender { sender, dropped: Arc::default(), blocking: Arc::default(), closed: Arc::default() }, receiver)
}

impl EventSender {
    /// Sends, or counts a drop. During the shutdown it waits for room instead.
    pub fn send(&self, message: Message) {
        let is_loss = !matches!(message, Message::EndOfRead);
        let input = PipelineInput::Source(message);
        let sent = if self.blocking.load(Ordering::Relaxed) {
            self.sender.blocking_send(input).is_ok()
        } else {
            self.sender.try_send(input).is_ok()
        };
        if !sent && is_loss {
            self.record_drop(1);
        }
    }

    /// Sends, waiting for room: for threads that read no queue of the kernel. `false`: the channel is closed.
    pub fn send_blocking(&self, input: PipelineInput) -> bool {
        self.sender.blocking_send(input).is_ok()
    }

    /// Counts dropped changes.
    pub fn record_drop(&self, changes: u64) {
        self.dropped.fetch_add(changes, Ordering::Relaxed);
    }

    /// Whether the changes of one read of the kernel's queue find room.
    pub fn has_room(&self) -> bool {
        self.sender.capacity() >= ROOM_FOR_READ
    }

    /// The number of changes dropped since the last call.
    pub fn take_dropped(&self) -> Option<LossReport> {
        match self.dropped.swap(0, Ordering::Relaxed) {
            0 => None,
            dropped => {
                let detail = "changes came faster than they could be judged";
                Some(LossReport::counted(LossCause::ChannelFull, dropped, detail))
            }
        }
    }

    /// Makes senders wait for room, during the shutdown.
    pub fn start_blocking(&self) {
        self.blocking.store(true, Ordering::Relaxed);
    }

    /// Ends the waiting: senders count what they cannot send.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.blocking.store(false, Ordering::Relaxed);
    }

    /// Whether [`EventSender::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
