//! Which mechanism guards what: places every fanotify mark, and tells which trees are left for inotify. The watcher
//! and `pyhookwatch coverage` both begin here, so that the one does what the other says.

use crate::hook::env;
use crate::privileges;
use crate::source::fanotify::Watcher;
use crate::source::inotify;
use crate::source::inotify::TreeReport;
use crate::source::mounts;
use crate::source::mounts::{Class, Mount};
use crate::source::{Backend, Counters, Guard, Guarded, Settings};
use crate::writer;
use crate::writer::RecordSource;
use crate::writer::WriterResolver;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the kernel took.
pub struct Placed {
    /// The group with its marks; else why there is none (`None`: it is not wanted).
    pub fanotify: Result<Watcher, Option<io::Error>>,
    /// Every filesystem in scope, and whether inotify is to watch a tree on it. Empty without fanotify.
    pub guards: Vec<(Guard, bool)>,
    /// What inotify is to watch.
    pub trees: Vec<PathBuf>,
}

/// Places the marks as the settings want it.
///
/// # Errors
/// When fanotify alone is wanted and refused, and when the mount table cannot be read.
pub fn place(settings: &Settings, counters: &Arc<Counters>) -> io::Result<Placed> {
    let opened = match settings.backend {
        Backend::Inotify => Err(None),
        // Every change would be seen and none could be said where.
        _ if !privileges::can_locate() => Err(Some(io::Error::from_raw_os_error(libc::EPERM))),
        _ => Watcher::open(settings.clone(), env::directories().map(Path::new), counters.clone()).map_err(Some),
    };
    let mounted = mounts::read()?;
    Ok(match opened {
        Err(Some(error)) if settings.backend == Backend::Fanotify => return Err(error),
        Err(refused) => Placed { fanotify: Err(refused), guards: Vec::new(), trees: all_trees(settings, &mounted) },
        Ok((watcher, guards)) => {
            let wanted = if settings.backend == Backend::Auto { all_trees(settings, &mounted) } else { Vec::new() };
            let mut trees = Vec::new();
            let guards = guards.into_iter().map(|guard| {
                let left = trees_left_by(&guard, &wanted, &mounted);
                let by_inotify = !left.is_empty();
                trees.extend(left);
                (guard, by_inotify)
            });
            Placed { fanotify: Ok(watcher), guards: guards.collect(), trees }
        }
    })
}

/// What inotify is to watch of a filesystem that appeared and refuses fanotify.
///
/// # Errors
/// When the mount table cannot be read.
pub fn left_for_inotify(settings: &Settings, guard: &Guard) -> io::Result<Vec<PathBuf>> {
    // Looking at the trees can take long where one is not local, so not for every mount.
    if settings.backend != Backend::Auto || !matches!(guard.by, Guarded::Refused(_)) {
        return Ok(Vec::new());
    }
    let mounted = mounts::read()?;
    Ok(trees_left_by(guard, &all_trees(settings, &mounted), &mounted))
}

/// By what a directory is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// By nothing.
    Nothing,
    /// A watch on each directory: no writer.
    Inotify,
    /// A mark on the whole filesystem, or on that of an overlay's upper directory.
    Fanotify,
}

impl Mechanism {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Inotify => "inotify",
            Self::Fanotify => "fanotify",
        }
    }
}

/// What `run` would have here.
pub struct Probe {
    /// Why there is no fanotify. `None`: there is, or it is not wanted.
    pub refused: Option<io::Error>,
    /// Every filesystem in scope. Empty without fanotify.
    pub guards: Vec<Guard>,
    /// What inotify watches.
    pub trees: Vec<TreeReport>,
    /// Why inotify does not watch at all, where it should.
    pub no_inotify: Option<io::Error>,
    /// What there is to name writers by.
    pub evidence: Vec<RecordSource>,
}

impl Probe {
    /// The guard of the filesystem that a mount shows.
    pub fn guard(&self, mount: &Mount) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.device == mount.device)
    }

    /// By what a directory is guarded, and why not by more.
    pub fn guarding(&self, mounted: &[Mount], directory: &Path) -> (Mechanism, Option<String>) {
        let is_watched = |tree: &TreeReport| {
            let holder = |path: &Path| mounts::holding(mounted, path).map(|mount| mount.id);
            tree.watched > 0 && directory.starts_with(&tree.root) && holder(directory) == holder(&tree.root)
        };
        let by_inotify = || match self.trees.iter().any(is_watched) {
            true => Mechanism::Inotify,
            false => Mechanism::Nothing,
        };
        let mount = mounts::holding(mounted, directory);
        let (mechanism, why) = match mount.and_then(|mount| self.guard(mount)).map(|guard| &guard.by) {
            Some(Guarded::Fanotify | Guarded::ThroughUpper(_)) => (Mechanism::Fanotify, None),
            Some(Guarded::Refused(reason)) => (by_inotify(), Some(format!("fanotify is refused ({reason})"))),
            Some(Guarded::Remote) => (Mechanism::Nothing, Some(REMOTE.into())),
            None if mount.is_some_and(|mount| mounts::class(&mount.fs_type) == Class::Remote) => {
                (Mechanism::Nothing, Some(REMOTE.into()))
            }
            None => (by_inotify(), self.refused.as_ref().map(|error| format!("fanotify is refused ({error})"))),
        };
        match &self.no_inotify {
            Some(error) if mechanism == Mechanism::Nothing => {
                let before = why.map_or_else(String::new, |why| why + "; ");
                (mechanism, Some(format!("{before}inotify is refused ({error})")))
            }
            _ => (mechanism, why),
        }
    }
}

/// Why nothing is watched there.
const REMOTE: &str = "a network filesystem, or one served by a process: others change it unseen, and asking can hang";

/// Places every mark and watch, opens every queue of records, and takes all back.
///
/// # Errors
/// As [`place`].
pub fn probe(settings: &Settings) -> io::Result<Probe> {
    let Placed { fanotify, guards, trees } = place(settings, &Arc::default())?;
    let mut evidence = Vec::new();
    if let Ok(watcher) = &fanotify {
        let is_marked = guards.iter().any(|(guard, _)| matches!(guard.by, Guarded::Fanotify));
        evidence.extend([RecordSource::pidfds(watcher.has_pidfd()), RecordSource::starts(is_marked)]);
        // Opened while the marks are there, as the watcher does it.
        let (attribution, records) = WriterResolver::open();
        drop(attribution);
        evidence.extend(records.all());
        evidence.push(writer::processes_of_others());
        evidence.push(writer::programs_of_the_host());
    }
    let refused = fanotify.err().flatten();
    let (mut reports, mut no_inotify) = (Vec::new(), None);
    if !trees.is_empty() {
        match inotify::spawn(trees, Arc::new(|_| false), Box::new(|_| ())) {
            Ok(inotify) => reports = inotify.report(),
            Err(error) => no_inotify = Some(error),
        }
    }
    let guards = guards.into_iter().map(|(guard, _)| guard).collect();
    Ok(Probe { refused, guards, trees: reports, no_inotify, evidence })
}

/// What inotify watches when it watches alone: the configured trees, or the whole of another root,
/// and every filesystem mounted below them, because a watch does not enter it. A tree that is not
/// there yet is watched once it appears.
fn all_trees(settings: &Settings, mounted: &[Mount]) -> Vec<PathBuf> {
    let mut trees: Vec<PathBuf> = match settings.root.parent() {
        Some(_) => vec![settings.root.clone()],
        None => settings.trees.iter().map(|tree| tree.canonicalize().unwrap_or_else(|_| tree.clone())).collect(),
    };
    let below: Vec<PathBuf> = mounted
        .iter()
        .filter(|mount| mounts::class(&mount.fs_type) == Class::Local)
        .map(|mount| mount.mount_point.clone())
        .filter(|place| trees.iter().any(|tree| place.starts_with(tree)))
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

/// The trees that inotify must watch because fanotify was refused where they lie.
fn trees_left_by(guard: &Guard, wanted: &[PathBuf], mounted: &[Mount]) -> Vec<PathBuf> {
    let on_it = |tree: &&PathBuf| {
        mounts::holding(mounted, tree).is_some_and(|mount| guard.mount_points.contains(&mount.mount_point))
    };
    let is_refused = matches!(guard.by, Guarded::Refused(_));
    wanted.iter().filter(|_| is_refused).filter(on_it).cloned().collect()
}
