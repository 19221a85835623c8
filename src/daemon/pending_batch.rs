//! Events that wait for their writers until the kernel's queue is empty.
//!
//! A late reader sees a process that wrote a hook and then ran another program as that program. The kernel queues both
//! in order, so once the queue is empty, every program that was started before the snapshot is known.

use crate::event::{FileEvent, Writer};
use std::sync::Arc;

/// Most writes that wait. Past it their writers are resolved from the evidence so far.
const MAX_PENDING: usize = 1024;

/// The writes since the last resolution.
pub struct PendingBatch {
    /// The events in the order of the queue, each with the number of its write.
    events: Vec<(usize, FileEvent)>,
    /// The number of all writes, including those whose directory was gone.
    writes: usize,
    /// The writer of an event until it is resolved.
    placeholder: Arc<Writer>,
}

impl Default for PendingBatch {
    fn default() -> Self {
        Self { events: Vec::new(), writes: 0, placeholder: Arc::new(Writer::unavailable()) }
    }
}

impl PendingBatch {
    /// Counts a write and returns its number.
    pub fn add_write(&mut self) -> usize {
        self.writes += 1;
        self.writes - 1
    }

    /// Keeps the event of a write.
    pub fn add_event(&mut self, write: usize, event: FileEvent) {
        self.events.push((write, event));
    }

    /// The writer of an event that is not resolved yet.
    pub fn placeholder(&self) -> Arc<Writer> {
        self.placeholder.clone()
    }

    /// Whether the batch must be resolved before the next write.
    pub fn is_full(&self) -> bool {
        self.writes >= MAX_PENDING
    }

    /// Empties the batch: every event, with its writer where `writers` has one for its write.
    pub fn drain(&mut self, writers: &[Arc<Writer>]) -> impl Iterator<Item = FileEvent> {
        self.writes = 0;
        self.events.drain(..).map(|(write, event)| match writers.get(write) {
            Some(writer) => FileEvent { writer: writer.clone(), ..event },
            None => event,
        })
    }
}
