//! The filesystems below the root, and how each is watched.

use super::finding::{Finding, State};
use super::trees::Tree;
use crate::daemon::watch_plan::{self, Probe};
use crate::source::mounts::{self, Class, Mount};
use crate::source::{Guard, Guarded, Mechanism, Settings};
use std::path::PathBuf;

/// A filesystem, and how it is watched.
pub struct Filesystem {
    /// How fanotify watches it.
    pub guard: Guard,
    /// How it is watched.
    pub mechanism: Mechanism,
    /// Python's directories can be on it.
    pub in_watch_trees: bool,
    /// Its findings.
    pub findings: Vec<Finding>,
}

impl Filesystem {
    /// The worst of its findings.
    pub fn state(&self) -> State {
        self.findings.iter().map(|finding| finding.state).min().unwrap_or(State::Guarded)
    }
}

/// Every filesystem below the root. Without fanotify they come from the mount table.
pub fn judge(settings: &Settings, probe: &Probe, mounted: &[Mount], trees: &[Tree]) -> Vec<Filesystem> {
    let guards = if probe.guards.is_empty() {
        mounts::by_device(mounted.to_vec())
            .into_iter()
            .filter_map(|(device, mounts)| {
                let first = mounts.first().filter(|first| mounts::class(&first.fs_type) != Class::Pseudo)?;
                let is_in_scope = mounts.iter().any(|mount| mount.mount_point.starts_with(&settings.root))
                    || mounts::holding(mounted, &settings.root).is_some_and(|holder| holder.device == device);
                let by = match mounts::class(&first.fs_type) {
                    Class::Remote => Guarded::Remote,
                    _ => Guarded::Refused(
                        probe.refused.as_ref().map_or_else(|| "not wanted".into(), ToString::to_string),
                    ),
                };
                let mount_points: Vec<PathBuf> = mounts.iter().map(|mount| mount.mount_point.clone()).collect();
                is_in_scope.then(|| Guard { device, mount_points, fs_type: first.fs_type.clone(), by })
            })
            .collect()
    } else {
        probe.guards.clone()
    };
    let judge = |guard: Guard| {
        let on_it: Vec<&Tree> = trees.iter().filter(|tree| tree.device == Some(guard.device)).collect();
        let by_tree = on_it.iter().map(|tree| tree.mechanism).min();
        let mechanism = match &guard.by {
            Guarded::Fanotify | Guarded::ThroughUpper(_) => Mechanism::Fanotify,
            Guarded::Remote => Mechanism::Nothing,
            Guarded::Inotify(_) | Guarded::Refused(_) => by_tree.unwrap_or_else(|| {
                let watched = |place: &PathBuf| {
                    probe
                        .trees
                        .iter()
                        .any(|tree| tree.watched > 0 && (place.starts_with(&tree.root) || tree.root.starts_with(place)))
                };
                if guard.mount_points.iter().any(watched) { Mechanism::Inotify } else { Mechanism::Nothing }
            }),
        };
        let in_watch_trees = watch_plan::holds_watch_trees(settings, &guard.mount_points);
        let findings = findings(&guard, mechanism, in_watch_trees || !on_it.is_empty());
        Filesystem { guard, mechanism, in_watch_trees, findings }
    };
    guards.into_iter().map(judge).collect()
}

/// The deficiencies. `matters`: Python's directories are on it, or can be.
fn findings(guard: &Guard, mechanism: Mechanism, matters: bool) -> Vec<Finding> {
    let worst = |state| if matters { state } else { State::Guarded };
    let reason = guard.status().reason.unwrap_or_default();
    match (&guard.by, mechanism) {
        (Guarded::Remote, _) => vec![Finding {
            state: worst(State::Blind),
            code: "remote",
            reason,
            advice: "run pyhookwatch where the files are stored",
        }],
        (Guarded::Inotify(_) | Guarded::Refused(_), Mechanism::Inotify) => vec![Finding {
            state: worst(State::Degraded),
            code: "inotify",
            reason: format!("{reason}: inotify watches it, which names no writer and sees no mount"),
            advice: "on a container's overlay: watch from the host, where its upper directory can be marked",
        }],
        (Guarded::Inotify(_) | Guarded::Refused(_), _) => vec![Finding {
            state: worst(State::Blind),
            code: "refused",
            reason: format!("{reason}, and no tree on it is in watch.trees"),
            advice: "name its directories in watch.trees, so that inotify watches them",
        }],
        _ => Vec::new(),
    }
}
