//! The events that notify's thread sends to ours.

use crate::event::{Action, Seen};
use std::path::PathBuf;

/// What notify's thread sends to ours.
pub enum WatchEvent {
    /// Something was done to a file that may be a hook.
    File { action: Action, complete: bool, path: PathBuf, seen: Seen },
    /// A directory was created.
    Appeared(PathBuf),
    /// A file or a directory (notify has no distinction) got this name.
    Renamed { from: Option<PathBuf>, to: PathBuf, seen: Seen },
    /// A file or a directory lost this name.
    Left(PathBuf),
    /// The kernel's queue overflowed.
    Overflow,
    /// notify failed.
    Error(String),
    /// Watch another tree.
    Root(PathBuf),
    /// Check whether to stop, and make progress.
    Wake,
}

impl WatchEvent {
    /// Bytes of memory that it takes in the channel.
    pub fn weight(&self) -> usize {
        let paths = match self {
            WatchEvent::File { path, .. }
            | WatchEvent::Appeared(path)
            | WatchEvent::Left(path)
            | WatchEvent::Root(path) => path.capacity(),
            WatchEvent::Renamed { from, to, .. } => to.capacity() + from.as_ref().map_or(0, PathBuf::capacity),
            WatchEvent::Error(text) => text.capacity(),
            WatchEvent::Overflow | WatchEvent::Wake => 0,
        };
        size_of::<Self>() + paths
    }
}
