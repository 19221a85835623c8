//! The first stage: where was something written?
//!
//! [`fanotify`] watches whole filesystems and knows the writer; [`inotify`] (through the `notify`
//! crate) watches single trees where fanotify is refused, and does not.

pub mod fanotify;
pub mod inotify;
pub mod mounts;
pub mod walk;

use std::path::PathBuf;

/// Which mechanism to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// fanotify where the kernel allows it, inotify elsewhere.
    Auto,
    /// fanotify or nothing.
    Fanotify,
    /// inotify only.
    Inotify,
}

/// What to watch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which mechanism.
    pub backend: Backend,
    /// The directory treated as `/`; `/` itself by default.
    pub root: PathBuf,
    /// Trees that inotify watches where fanotify is refused, absolute, below `root`.
    pub trees: Vec<PathBuf>,
}
