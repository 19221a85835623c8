//! The settings of the sources.

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
