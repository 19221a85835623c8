//! The plan of the watch: places every fanotify mark, and finds the trees that remain for inotify. The daemon
//! and `pyhookwatch coverage` share it.

use super::evidence;
use crate::hook::env;
use crate::privileges;
use crate::source::fanotify::FanotifyReader;
use crate::source::guard::REMOTE;
use crate::source::inotify::{self, TreeReport};
use crate::source::mounts::{self, Class, Mount};
use crate::source::{Backend, Guard, GuardStatus, Guarded, Mechanism, Settings};
use crate::writer::RecordSource;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The accepted fanotify marks, and the trees that remain for inotify.
pub struct WatchPlan {
    /// The group with its marks; otherwise why there is none (`None`: the settings exclude it).
    pub fanotify: Result<FanotifyReader, Option<io::Error>>,
    /// Every filesystem in scope. Empty without fanotify.
    pub guards: Vec<Guard>,
    /// The trees for inotify.
    pub trees: Vec<PathBuf>,
}

impl WatchPlan {
    /// Places the marks that the settings want.
    ///
    /// # Errors
    /// The settings demand fanotify and it is refused, or the mount table cannot be read.
    pub fn set_up(settings: &Settings) -> io::Result<Self> {
        let opened = match settings.backend {
            Backend::Inotify => Err(None),
            // The kernel would report every change, and no change could be located.
            _ if !privileges::can_locate() => Err(Some(io::Error::from_raw_os_error(libc::EPERM))),
            _ => FanotifyReader::open(&settings.root, env::directories().map(Path::new)).map_err(Some),
        };
        let mounted = mounts::read()?;
        match opened {
            Err(Some(error)) if settings.backend == Backend::Fanotify => Err(error),
            Err(refused) => {
                Ok(Self { fanotify: Err(refused), guards: Vec::new(), trees: all_trees(settings, &mounted) })
            }
            Ok((fanotify, guards)) => {
                let wanted = if settings.backend == Backend::Auto { all_trees(settings, &mounted) } else { Vec::new() };
                let mut trees = Vec::new();
                let guards = guards.into_iter().map(|guard| {
                    let left = trees_left_by(&guard, &wanted, &mounted);
                    let is_watched = !left.is_empty();
                    trees.extend(left);
                    if is_watched { guard.with_inotify() } else { guard }
                });
                Ok(Self { guards: guards.collect(), fanotify: Ok(fanotify), trees })
            }
        }
    }
}

/// Whether these mount points are above or below one of the trees that can hold Python (`watch.trees`). With another
/// root all are.
pub fn holds_watch_trees(settings: &Settings, mount_points: &[PathBuf]) -> bool {
    let is_near = |mount_point: &PathBuf| {
        settings.trees.iter().any(|tree| mount_point.starts_with(tree) || tree.starts_with(mount_point))
    };
    settings.root.parent().is_some() || mount_points.iter().any(is_near)
}

/// The trees for inotify on a filesystem that was mounted and refuses fanotify.
///
/// # Errors
/// When the mount table cannot be read.
pub fn inotify_fallback_roots(settings: &Settings, guard: &Guard) -> io::Result<Vec<PathBuf>> {
    // Reading the trees of a remote filesystem can take long, so it is not done for every mount.
    if settings.backend != Backend::Auto || !matches!(guard.by, Guarded::Refused(_)) {
        return Ok(Vec::new());
    }
    let mounted = mounts::read()?;
    Ok(trees_left_by(guard, &all_trees(settings, &mounted), &mounted))
}

/// What the daemon could watch on this machine.
pub struct Probe {
    /// Why there is no fanotify. `None`: there is, or the settings exclude it.
    pub refused: Option<io::Error>,
    /// Every filesystem in scope. Empty without fanotify.
    pub guards: Vec<Guard>,
    /// What inotify watches.
    pub trees: Vec<TreeReport>,
    /// Why inotify watches nothing although it should.
    pub no_inotify: Option<io::Error>,
    /// The sources of evidence about writers.
    pub evidence: Vec<RecordSource>,
}

/// Places every mark and watch, opens every queue of records, and removes all of them.
///
/// # Errors
/// As [`WatchPlan::set_up`].
pub fn probe(settings: &Settings) -> io::Result<Probe> {
    let WatchPlan { fanotify, guards, trees } = WatchPlan::set_up(settings)?;
    let evidence = match &fanotify {
        Ok(fanotify) => evidence::open(fanotify, &guards).1.all(),
        Err(_) => Vec::new(),
    };
    let refused = fanotify.err().flatten();
    let (mut reports, mut no_inotify) = (Vec::new(), None);
    if !trees.is_empty() {
        match inotify::spawn(trees, Arc::new(|_| false), Box::new(|_| ())) {
            Ok(inotify) => reports = inotify.report(),
            Err(error) => no_inotify = Some(error),
        }
    }
    Ok(Probe { refused, guards, trees: reports, no_inotify, evidence })
}

impl Probe {
    /// The guard of the filesystem of a mount.
    pub fn guard(&self, mount: &Mount) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.device == mount.device)
    }

    /// What watches a directory, and why nothing better.
    pub fn status_of(&self, mounted: &[Mount], directory: &Path) -> GuardStatus {
        let mount = mounts::holding(mounted, directory);
        let status = match mount.and_then(|mount| self.guard(mount)) {
            // An overlay that is watched through its upper directory lacks nothing.
            Some(guard) if guard.has_writers() => GuardStatus { mechanism: Mechanism::Fanotify, reason: None },
            Some(guard) => guard.status(),
            None if mount.is_some_and(|mount| mounts::class(&mount.fs_type) == Class::Remote) => {
                GuardStatus { mechanism: Mechanism::Nothing, reason: Some(REMOTE.into()) }
            }
            None => GuardStatus {
                mechanism: self.inotify_at(mounted, directory),
                reason: self.refused.as_ref().map(|error| format!("fanotify is refused ({error})")),
            },
        };
        let status = match status.mechanism {
            // Only the trees on the filesystem are watched.
            Mechanism::Inotify => GuardStatus { mechanism: self.inotify_at(mounted, directory), ..status },
            _ => status,
        };
        match &self.no_inotify {
            Some(error) if status.mechanism == Mechanism::Nothing => {
                let before = status.reason.map_or_else(String::new, |reason| reason + "; ");
                GuardStatus { reason: Some(format!("{before}inotify is refused ({error})")), ..status }
            }
            _ => status,
        }
    }

    /// Inotify where it watches the directory's tree on the same mount.
    fn inotify_at(&self, mounted: &[Mount], directory: &Path) -> Mechanism {
        let holder = |path: &Path| mounts::holding(mounted, path).map(|mount| mount.id);
        let is_watched = |tree: &TreeReport| {
            tree.watched > 0 && directory.starts_with(&tree.root) && holder(directory) == holder(&tree.root)
        };
        if self.trees.iter().any(is_watched) { Mechanism::Inotify } else { Mechanism::Nothing }
    }
}

/// The trees for inotify without fanotify: the configured trees, or the whole of another root. Every filesystem mounted
/// below them is a tree of its own, because a watch does not enter it. A tree that does not exist yet is watched once
/// it appears.
fn all_trees(settings: &Settings, mounted: &[Mount]) -> Vec<PathBuf> {
    let mut trees: Vec<PathBuf> = match settings.root.parent() {
        Some(_) => vec![settings.root.clone()],
        None => settings.trees.iter().map(|tree| tree.canonicalize().unwrap_or_else(|_| tree.clone())).collect(),
    };
    let below: Vec<PathBuf> = mounted
        .iter()
        .filter(|mount| mounts::class(&mount.fs_type) == Class::Local)
        .map(|mount| mount.mount_point.clone())
        .filter(|mount_point| trees.iter().any(|tree| mount_point.starts_with(tree)))
        .collect();
    trees.extend(below);
    trees.sort();
    trees.dedup();
    // A tree below another one of the same filesystem is watched with it.
    let holder = |tree: &Path| mounts::holding(mounted, tree).map(|mount| mount.id);
    let is_covered = |tree: &PathBuf| {
        trees.iter().any(|upper| upper != tree && tree.starts_with(upper) && holder(upper) == holder(tree))
    };
    trees.iter().filter(|tree| !is_covered(tree)).cloned().collect()
}

/// The trees on this filesystem, if it refuses fanotify.
fn trees_left_by(guard: &Guard, wanted: &[PathBuf], mounted: &[Mount]) -> Vec<PathBuf> {
    let is_on_it = |tree: &&PathBuf| {
        mounts::holding(mounted, tree).is_some_and(|mount| guard.mount_points.contains(&mount.mount_point))
    };
    let is_refused = matches!(guard.by, Guarded::Refused(_));
    wanted.iter().filter(|_| is_refused).filter(is_on_it).cloned().collect()
}
