//! fanotify: one group that watches whole filesystems and reports the process of each event.
//!
//! [`record`] parses the kernel's bytes, [`group`] opens and marks, [`mark_set`] decides what to mark, [`reader`] waits
//! and reads for the daemon's reader thread. The reader reads only recently used blocks of a disk: the directory
//! of a hook, and the first bytes of a started program.

pub mod group;
pub mod listener;
pub mod mark_set;
pub mod reader;
pub mod record;
pub mod watched_directories;

pub use reader::FanotifyReader;
