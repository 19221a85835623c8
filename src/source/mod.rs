//! The first stage: which file changed?
//!
//! [`fanotify`] watches whole filesystems and reports the process; [`inotify`] (through the `notify` crate) watches
//! single trees where fanotify is refused, and reports no process.

pub mod fanotify;
pub mod guard;
pub mod heartbeat;
pub mod inotify;
pub mod message;
pub mod mounts;
pub mod settings;

pub use guard::{Guard, GuardStatus, Guarded, Mechanism};
pub use message::Message;
pub use settings::{Backend, Settings};
