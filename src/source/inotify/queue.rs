//! The bounded channel from notify's thread to ours.

use super::limits::QUEUE_BYTES;
use super::watch_event::WatchEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

/// Counters of the channel, shared by both threads.
#[derive(Default)]
pub struct Queue {
    /// Memory of the events on their way: [`BoundedSender::send`] adds, the receiver subtracts.
    pub bytes: AtomicUsize,
    /// Events dropped since the last recovery.
    pub dropped: AtomicU64,
    /// Our thread must end once the channel is empty.
    pub stopping: AtomicBool,
    /// How often our thread has handled an event of notify's thread, or both threads have answered a wake-up.
    pub progress: AtomicU64,
}

/// The only sender of the channel, so that everything in it is counted.
#[derive(Clone)]
pub struct BoundedSender {
    /// The channel.
    pub events: Sender<WatchEvent>,
    /// Its counters.
    pub queue: Arc<Queue>,
}

impl BoundedSender {
    /// Sends, or counts a drop. Never waits.
    pub fn send(&self, event: WatchEvent) {
        let weight = event.weight();
        // Only notify's thread sends many, so the sum passes the bound by a few bytes at most.
        if self.queue.bytes.load(Ordering::Relaxed) + weight > QUEUE_BYTES {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.queue.bytes.fetch_add(weight, Ordering::Relaxed);
        let _ = self.events.send(event); // fails only while stopping
    }
}
