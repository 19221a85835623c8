//! Delivery: every output has a bounded queue in memory and a task that empties it.
//!
//! An output that stalls, vanishes or refuses delays neither the watcher nor another output. A full queue drops its
//! oldest alert; the drops are counted and reported once delivery works again.

mod error;
mod file;
mod header;
mod outputs;
mod queue;
mod settings;
mod stdout;
mod syslog;
#[cfg(test)]
mod tests;
mod worker;

pub use error::OutputError;
pub use header::LocalOffset;
pub use outputs::{OutputState, Outputs};
pub use settings::{OutputSettings, Protocol, SyslogSettings, Target};
