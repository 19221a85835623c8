//! The limits of the inotify source.

use std::time::Duration;

/// Memory for events that notify has sent and our thread has not handled: about 200,000 ordinary ones, twelve full
/// queues of the kernel (`max_queued_events` is 16,384). In bytes, because the writer chooses how long the paths are.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// How often the roots are checked, and how often failures of one kind are reported at most.
pub const CHECK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
