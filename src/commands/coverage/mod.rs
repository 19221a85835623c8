//! `pyhookwatch coverage`: what guards each place where Python runs something by itself, what is blind there and why,
//! and which evidence there is to name writers by.
//!
//! Nothing is concluded from a version: every mark and watch is placed as `run` places it ([`watch_plan::probe`]), every
//! queue of records opened, and all of it taken back.

mod elsewhere;
mod json;
mod overlay;
mod running;
mod table;
mod trees;

use super::exit::Exit;
use super::local_filesystems;
use super::output::{print, print_diagnostics, print_error};
use super::overrides::Overrides;
use super::style::Style;
use crate::config::StatusSocket;
use crate::daemon::watch_plan;
use crate::daemon::watch_plan::Probe;
use crate::hook::sites;
use crate::source::Mechanism;
use crate::source::mounts;
use crate::source::mounts::{Class, Mount};
use crate::source::{Guard, Guarded, Settings};
use crate::writer::Available;
use elsewhere::Elsewhere;
use overlay::Overlay;
use running::Running;
use std::path::PathBuf;
use trees::Tree;

/// What to look at.
pub struct CoverageRequest {
    /// Configuration and root, as `run` takes them.
    pub settings: Overrides,
    /// JSON instead of a table.
    pub json: bool,
}

/// How well something is guarded, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Changes are not seen.
    Blind,
    /// Seen, but not all, or without the writer.
    Degraded,
    /// As it should be.
    Guarded,
}

impl State {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::Degraded => "degraded",
            Self::Guarded => "guarded",
        }
    }
}

/// Something that is to be known of a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it does to the place. Guarded: it is only to be known.
    pub state: State,
    /// A word for programs: an interface.
    pub code: &'static str,
    /// Why.
    pub reason: String,
    /// What to do about it. Empty: nothing.
    pub advice: &'static str,
}

/// A filesystem, and by what it is guarded.
pub struct Filesystem {
    guard: Guard,
    mechanism: Mechanism,
    in_watch_trees: bool,
    findings: Vec<Finding>,
}

/// Everything that is told.
pub struct Report {
    settings: Settings,
    probe: Probe,
    filesystems: Vec<Filesystem>,
    trees: Vec<Tree>,
    elsewhere: Elsewhere,
    /// What the kernel tells of writes through an overlay, where there is one.
    overlay: Option<Overlay>,
    /// Directories that could not be looked into, and the first of them.
    unread: (u64, Vec<PathBuf>),
    truncated: bool,
    daemon: Running,
}

impl Report {
    /// The worst of everything.
    fn state(&self) -> State {
        let trees = self.trees.iter().map(Tree::state);
        let filesystems = self.filesystems.iter().map(Filesystem::state);
        let elsewhere = self.elsewhere.findings.iter().map(|finding| finding.state);
        let evidence = self.probe.evidence.iter().map(|source| match source.available {
            Available::Full(_) => State::Guarded,
            Available::Partly(_) | Available::Missing(_) => State::Degraded,
        });
        let unread = if self.unread.0 > 0 || self.truncated { State::Degraded } else { State::Guarded };
        let all = trees.chain(filesystems).chain(elsewhere).chain(evidence).chain([unread]);
        all.min().unwrap_or(State::Guarded)
    }

    /// What `run` would have with the rights that this process lacks cannot be found out.
    fn no_permission(&self) -> bool {
        self.probe.refused.as_ref().is_some_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    /// 1 for anything that is less than it should be: a monitor is to notice a tree that has become blind, and an
    /// administrator who accepts it has read why.
    fn exit(&self) -> Exit {
        match self.state() {
            _ if self.no_permission() => Exit::NoPermission,
            State::Guarded => Exit::Fine,
            State::Degraded | State::Blind => Exit::Finding,
        }
    }
}

impl Filesystem {
    fn state(&self) -> State {
        self.findings.iter().map(|finding| finding.state).min().unwrap_or(State::Guarded)
    }
}

/// Finds out and prints.
pub fn coverage(request: &CoverageRequest) -> Exit {
    let (settings, socket) = match request.settings.configure() {
        Ok(config) => (config.source, config.status),
        Err(problems) => return print_diagnostics(&problems),
    };
    let probe = match watch_plan::probe(&settings) {
        Ok(probe) => probe,
        Err(error) => {
            print_error(format_args!("what guards this machine cannot be found out: {error}"));
            let is_refused = error.raw_os_error() == Some(libc::EPERM);
            return if is_refused { Exit::NoPermission } else { Exit::Failed };
        }
    };
    let report = find_out(settings, &socket, probe);
    print(&if request.json { json::of(&report) } else { table::of(&report, &Style::of_output()) });
    report.exit()
}

fn find_out(settings: Settings, socket: &StatusSocket, probe: Probe) -> Report {
    let mounted = mounts::read().unwrap_or_default();
    let inventory = sites::take_inventory(&settings.root, &local_filesystems::below(&settings.root), &|_| ());
    let elsewhere = elsewhere::look(&settings, &probe, &mounted);
    let has_overlay = probe.guards.iter().any(|guard| matches!(guard.by, Guarded::ThroughUpper(_)));
    let overlay = (has_overlay || elsewhere.has_overlay).then(overlay::try_out);
    let trees = trees::judge(&settings, &probe, &mounted, &inventory, overlay.as_ref());
    let filesystems = filesystems(&settings, &probe, &mounted, &trees);
    let daemon = running::ask(socket, &settings, &probe, &filesystems);
    let unread = (inventory.unreadable, inventory.unreadable_paths);
    Report { settings, probe, filesystems, trees, elsewhere, overlay, unread, truncated: inventory.truncated, daemon }
}

/// Every filesystem in scope. Without fanotify they are known by the mount table alone.
fn filesystems(settings: &Settings, probe: &Probe, mounted: &[Mount], trees: &[Tree]) -> Vec<Filesystem> {
    let guards = match probe.guards.is_empty() {
        false => probe.guards.clone(),
        true => mounts::by_device(mounted.to_vec())
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
            .collect(),
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
