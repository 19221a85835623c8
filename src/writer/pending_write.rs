//! A write whose writer is not resolved yet.

use super::snapshot::ProcSnapshot;
use crate::event::Process;
use std::sync::Arc;

/// See the module.
pub struct PendingWrite {
    /// Pid in the event.
    pub pid: u32,
    /// Position in the queue of writes and exec records.
    pub sequence: u64,
    /// The queue was empty then, so the write is later. Nanoseconds of CLOCK_MONOTONIC.
    pub since: u64,
    /// The position at that time: starts with a higher one are later too.
    pub since_sequence: u64,
    /// Exec records of all processes before the write.
    pub starts: u64,
    /// What `/proc` showed of the process.
    pub snapshot: Arc<ProcSnapshot>,
}

impl PendingWrite {
    /// Whether nothing between two writes can make their writers differ.
    pub fn has_writer_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot) && self.since == other.since && self.starts == other.starts
    }

    /// The process as `/proc` showed it.
    pub fn seen(&self) -> Option<&Process> {
        self.snapshot.writer.process.as_ref()
    }
}
