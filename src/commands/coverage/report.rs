//! Everything that `coverage` found.

use super::filesystems::Filesystem;
use super::finding::State;
use super::other_namespaces::OtherNamespaces;
use super::overlay::Overlay;
use super::running_daemon::RunningDaemon;
use super::trees::Tree;
use crate::commands::exit::Exit;
use crate::daemon::watch_plan::Probe;
use crate::source::Settings;
use crate::writer::Available;
use std::path::PathBuf;

/// See the module.
pub struct Report {
    /// What `run` would watch.
    pub settings: Settings,
    /// What the kernel accepted.
    pub probe: Probe,
    /// The filesystems below the root.
    pub filesystems: Vec<Filesystem>,
    /// The places of start-up hooks.
    pub trees: Vec<Tree>,
    /// Filesystems that only other mount namespaces have.
    pub other_namespaces: OtherNamespaces,
    /// Whether the kernel reports writes through an overlay, where one is mounted.
    pub overlay: Option<Overlay>,
    /// The number of directories that could not be read, and the first of them.
    pub skipped: (u64, Vec<PathBuf>),
    /// A limit ended the search for places.
    pub truncated: bool,
    /// The running daemon.
    pub daemon: RunningDaemon,
}

impl Report {
    /// The worst of everything.
    pub fn state(&self) -> State {
        let trees = self.trees.iter().map(Tree::state);
        let filesystems = self.filesystems.iter().map(Filesystem::state);
        let other_namespaces = self.other_namespaces.findings.iter().map(|finding| finding.state);
        let evidence = self.probe.evidence.iter().map(|source| match source.available {
            Available::Full(_) => State::Guarded,
            Available::Partly(_) | Available::Missing(_) => State::Degraded,
        });
        let skipped = if self.skipped.0 > 0 || self.truncated { State::Degraded } else { State::Guarded };
        let all = trees.chain(filesystems).chain(other_namespaces).chain(evidence).chain([skipped]);
        all.min().unwrap_or(State::Guarded)
    }

    /// A privilege is missing, so the report does not show what `run` could watch with it.
    pub fn no_permission(&self) -> bool {
        self.probe.refused.as_ref().is_some_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    /// The exit code: 1 for anything blind or degraded, so that a monitor notices a new one.
    pub fn exit(&self) -> Exit {
        match self.state() {
            _ if self.no_permission() => Exit::NoPermission,
            State::Guarded => Exit::Fine,
            State::Degraded | State::Blind => Exit::Finding,
        }
    }
}
