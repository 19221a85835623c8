//! What the kernel queues about processes, so that they can be known after they are gone.
//!
//! [`connector`] tells the starts (fork, exec), [`taskstats`] the ends. Both are netlink sockets that
//! are never waited on: the kernel queues, the owner drains now and then, and what did not fit is
//! counted. Both work only in the initial pid and user namespaces, and say so when opened elsewhere.
//!
//! How far a record can be trusted:
//!
//! * The pids, times and ids are the kernel's own. `comm` is the process's own choice.
//! * The parent in a fork record is the parent by the process tree, not always the process that called
//!   `clone(2)`: with CLONE_PARENT a process makes a child that is told as its sibling.
//! * A missing record proves nothing. From Linux 6.6 on, any local process can make the connector fall
//!   silent for everyone, without a trace in it. The ends are not so easily hidden: an end without a
//!   start shows it.
//! * The executable in an exit record is the one at the end, as in `/proc/PID/exe`. A process in a user
//!   namespace of its own may set it to any executable file (`prctl(PR_SET_MM_MAP)`).

mod available;
pub mod connector;
pub mod netlink;
pub mod taskstats;

pub use available::{Available, RecordSource, RecordSources};

#[cfg(test)]
mod test_needs;

/// What one draining brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records handed on.
    pub records: usize,
    /// At least so many records were dropped by the kernel since the last draining, for want of room
    /// in the receive buffer, or could not be read. 0: none were, up to now.
    pub lost: u64,
}

/// Where a datagram does not hold what the kernel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed netlink record: {0}")]
pub struct Malformed(pub &'static str);
