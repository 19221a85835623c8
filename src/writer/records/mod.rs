//! The kernel's records about processes, which outlive the processes.
//!
//! [`connector`] reports starts (fork, exec), [`taskstats`] ends. Both are netlink sockets without waiting: the kernel
//! queues, the owner drains from time to time, and what did not fit is counted. Both work only in the initial pid and
//! user namespaces, and fail to open elsewhere.
//!
//! How reliable a record is:
//!
//! * Pids, times and ids come from the kernel. A process chooses its `comm` itself.
//! * The parent in a fork record is the parent in the process tree, not always the process that called `clone(2)`: with
//!   CLONE_PARENT a child appears as its creator's sibling.
//! * A missing record proves nothing. From Linux 6.6 on, any local process can silence the connector for everyone, and
//!   the connector shows no trace. Exit records reveal it: an end without a start.
//! * The executable in an exit record is the last one, as in `/proc/PID/exe`. A process in its own user namespace can
//!   set
//!   it to any executable file (`prctl(PR_SET_MM_MAP)`).

mod available;
pub mod connector;
pub mod netlink;
pub mod taskstats;

pub use available::{Available, RecordSource, RecordSources};

#[cfg(test)]
mod test_needs;
