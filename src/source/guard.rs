//! How a filesystem is watched, and why not better.

use crate::event::words;
use std::fmt;
use std::path::{Path, PathBuf};

words! {
    /// The mechanism that watches a directory or a filesystem, the weakest first.
    Mechanism {
        /// None.
        Nothing = "nothing",
        /// A watch on each directory: no writer.
        Inotify = "inotify",
        /// A mark on the whole filesystem, or on that of an overlay's upper directory.
        Fanotify = "fanotify",
    }
}

/// One filesystem and how it is watched.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `major:minor` of the filesystem.
    pub device: (u32, u32),
    /// Where it is mounted; never empty.
    pub mount_points: Vec<PathBuf>,
    /// Its type.
    pub fs_type: String,
    /// What watches it.
    pub by: Guarded,
}

/// What watches a filesystem.
#[derive(Clone, Debug)]
pub enum Guarded {
    /// A fanotify mark on the whole filesystem: every directory, with the writer.
    Fanotify,
    /// The fanotify mark of the filesystem that holds this upper directory of an overlay.
    ThroughUpper(PathBuf),
    /// inotify, in the configured trees and without a writer, because the kernel refused a mark for this reason.
    Inotify(String),
    /// Nothing: the kernel refused a mark for this reason, and no configured tree lies on it.
    Refused(String),
    /// Nothing: a network filesystem, or one that a process serves.
    Remote,
}

/// The state of a guard for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardStatus {
    /// What watches the filesystem.
    pub mechanism: Mechanism,
    /// Why it is not fanotify, or through which directory; for people, not escaped.
    pub reason: Option<String>,
}

/// Why nothing watches a remote filesystem.
pub const REMOTE: &str =
    "a network filesystem or one served by a process: other machines change it unseen, and reading it can hang";

impl Guard {
    /// The first of its mount points, for messages.
    pub fn mount_point(&self) -> &Path {
        self.mount_points.first().map_or(Path::new("?"), PathBuf::as_path)
    }

    /// Whether a fanotify mark watches it, directly or through an upper directory.
    pub fn has_writers(&self) -> bool {
        self.status().mechanism == Mechanism::Fanotify
    }

    /// Whether it has a mark of its own.
    pub fn is_marked(&self) -> bool {
        matches!(self.by, Guarded::Fanotify)
    }

    /// What watches it and why.
    pub fn status(&self) -> GuardStatus {
        let refused = |reason: &str| Some(format!("fanotify is refused ({reason})"));
        let (mechanism, reason) = match &self.by {
            Guarded::Fanotify => (Mechanism::Fanotify, None),
            Guarded::ThroughUpper(upper) => (Mechanism::Fanotify, Some(format!("through {}", upper.display()))),
            Guarded::Inotify(reason) => (Mechanism::Inotify, refused(reason)),
            Guarded::Refused(reason) => (Mechanism::Nothing, refused(reason)),
            Guarded::Remote => (Mechanism::Nothing, Some(REMOTE.into())),
        };
        GuardStatus { mechanism, reason }
    }

    /// The same filesystem once inotify watches the trees on it.
    #[must_use]
    pub fn with_inotify(self) -> Self {
        match self.by {
            Guarded::Refused(reason) => Self { by: Guarded::Inotify(reason), ..self },
            _ => self,
        }
    }
}

impl fmt::Display for GuardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mechanism {
            Mechanism::Nothing => f.write_str("NOT watched")?,
            Mechanism::Inotify => f.write_str("watched with inotify, without writers")?,
            Mechanism::Fanotify => f.write_str("watched with fanotify")?,
        }
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}
