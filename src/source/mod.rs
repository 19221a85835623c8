//! The first stage: where was something written?
//!
//! [`fanotify`] watches whole filesystems and knows the writer; [`inotify`] (through the `notify`
//! crate) watches single trees where fanotify is refused, and does not.

pub mod fanotify;
pub mod heartbeat;
pub mod inotify;
pub mod mounts;

use crate::event::{FileEvent, Hook, LossReport};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

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

impl Settings {
    /// Whether what is mounted there is above or below one of the trees that can hold Python. Below another root
    /// everything is.
    pub fn can_hold_trees(&self, mount_point: &std::path::Path) -> bool {
        self.root.parent().is_some()
            || self.trees.iter().any(|tree| mount_point.starts_with(tree) || tree.starts_with(mount_point))
    }
}

/// What a source hands on.
#[derive(Debug)]
pub enum Message {
    /// Something happened to a name that a rule may want.
    Event(FileEvent),
    /// All events that were queued together with the last one have been handed on.
    EndOfRead,
    /// Changes may have gone unseen.
    LossReport(LossReport),
    /// A filesystem appeared while running, and this is how it is guarded.
    Mounted {
        /// By fanotify, or why not.
        guard: Guard,
        /// inotify watches a tree on it instead.
        by_inotify: bool,
    },
    /// Something was mounted at this path, as seen from the root; `local`: its files are on this machine, and looking at
    /// them cannot hang.
    MountedOver {
        /// Where.
        path: PathBuf,
        /// See above.
        local: bool,
    },
    /// A file that was there before: what it says is remembered, so that a later change can be told from it.
    Known(PathBuf, Box<Hook>),
}

/// How one filesystem is guarded.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `major:minor` of the filesystem.
    pub device: (u32, u32),
    /// Where it is mounted; never empty.
    pub mount_points: Vec<PathBuf>,
    /// Its type.
    pub fs_type: String,
    /// It is above or below one of the trees that can hold Python (`watch.trees`).
    pub holds_trees: bool,
    /// By what.
    pub by: Guarded,
}

impl Guard {
    /// The first of its mount points, for messages.
    pub fn place(&self) -> std::path::Display<'_> {
        self.mount_points.first().map_or(std::path::Path::new("?"), PathBuf::as_path).display()
    }
}

/// By what a filesystem is guarded, or why not.
#[derive(Clone, Debug)]
pub enum Guarded {
    /// A fanotify mark on the whole filesystem: every directory, and the writer is known.
    Fanotify,
    /// An overlay whose writes appear in this upper directory, which is guarded.
    ThroughUpper(PathBuf),
    /// The kernel refused a mark, for this reason.
    Refused(String),
    /// A network filesystem or one served by a process: not watched.
    Remote,
}

/// What the reader counts. Never reset.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records read from the kernel.
    pub records: AtomicU64,
    /// Records of interesting names whose directory was gone before it could be looked at.
    pub vanished: AtomicU64,
}

/// A path that leads to exactly what a descriptor has open, whatever its name leads to.
fn descriptor_path(fd: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}
