//! The walk of an inventory: two threads share the directories of the second level.

use super::file_names::FileNames;
use super::found::{FoundHook, seen_from};
use super::inventory::{ENTRIES, Inventory, MAX_FOUND, limits};
use crate::event::HookKind;
use crate::hook::env;
use crate::walk::{self, Entry, Kind};
use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Directories of one level that become parts of their own; with more, their parent is one part.
pub(super) const MAX_PARTS: usize = 256;
/// Threads that walk.
const WALKERS: usize = 2;
/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// How far the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Directories listed.
    pub directories: u64,
    /// Start-up files and searched directories found.
    pub found: u64,
}

/// Walks `tops` (paths of this machine at or below `root`; a file is taken as it is) and lists the start-up files there.
/// Calls `progress` in this thread every 200 ms.
pub fn take_inventory(root: &Path, tops: &[PathBuf], progress: &dyn Fn(Progress)) -> Inventory {
    let scan = Scan { root, names: FileNames::new(), found: AtomicUsize::new(0), listed: AtomicU64::new(0) };
    let mut inventory = Inventory::new(root);
    let (mut parts, mut found) = (Vec::new(), Vec::new());
    for top in tops {
        scan.split(top, &mut parts, &mut found, &mut inventory);
    }
    let (mut found, mut inventory) = scan.walk_parts(&parts, found, inventory, progress);
    scan.add_environment_files(tops, &mut found, &mut inventory);
    inventory.truncated |= scan.found.load(Ordering::Relaxed) > MAX_FOUND;
    inventory.complete(found);
    inventory
}

/// A directory that one thread walks.
struct Part {
    parent: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
}

/// What the walking threads share.
struct Scan<'r> {
    root: &'r Path,
    names: FileNames,
    found: AtomicUsize,
    listed: AtomicU64,
}

impl Scan<'_> {
    /// Lists the top and the level below it, and makes parts of the directories of that level.
    fn split(&self, top: &Path, parts: &mut Vec<Part>, found: &mut Vec<FoundHook>, inventory: &mut Inventory) {
        if let Some(kind) = kind_of_file(top) {
            found.extend(FoundHook::at(seen_from(self.root, top), kind));
            return;
        }
        let (mut first, before) = (Vec::new(), found.len());
        let report = walk::walk(top, limits(0), |entry| self.add_with_part(entry, found, &mut first));
        if first.len() > MAX_PARTS {
            found.truncate(before);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(CWD, top, flags, Mode::empty()) {
                Ok(opened) => parts.push(Part { parent: Arc::new(opened), name: ".".into(), path: top.to_path_buf() }),
                Err(error) => inventory.add_report(top, Err(error.into())),
            }
            return;
        }
        inventory.add_shallow_report(top, report);
        for part in first {
            let (mut second, before) = (Vec::new(), found.len());
            let report = walk::walk_at(&part.parent, Path::new(&part.name), &part.path, limits(0), |entry| {
                self.add_with_part(entry, found, &mut second);
            });
            if second.len() > MAX_PARTS {
                found.truncate(before);
                parts.push(part);
                continue;
            }
            inventory.add_shallow_report(&part.path, report);
            parts.append(&mut second);
        }
    }

    /// Adds an entry of a level that is split; a directory becomes a part, walked later.
    fn add_with_part(&self, entry: &Entry<'_>, found: &mut Vec<FoundHook>, parts: &mut Vec<Part>) {
        self.add(entry, found);
        if entry.kind != Kind::Directory || parts.len() > MAX_PARTS {
            return;
        }
        if let Ok(parent) = entry.directory() {
            parts.push(Part { parent, name: OsStr::from_bytes(entry.name).to_owned(), path: entry.path() });
        }
    }

    /// Walks the parts in threads of their own; each thread takes the next part that is left.
    fn walk_parts(
        &self,
        parts: &[Part],
        found: Vec<FoundHook>,
        inventory: Inventory,
        progress: &dyn Fn(Progress),
    ) -> (Vec<FoundHook>, Inventory) {
        let shared = Mutex::new((found, inventory));
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (done, ended) = mpsc::channel::<()>();
            let (next, shared) = (&next, &shared);
            for _ in 0..WALKERS {
                let done = done.clone();
                scope.spawn(move || {
                    let _done = done;
                    let mut found = Vec::new();
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (name, limits) = (Path::new(&part.name), limits(usize::MAX));
                        let report =
                            walk::walk_at(&part.parent, name, &part.path, limits, |entry| self.add(entry, &mut found));
                        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        shared.1.add_report(&part.path, report);
                    }
                    shared.lock().unwrap_or_else(PoisonError::into_inner).0.append(&mut found);
                });
            }
            drop(done);
            while ended.recv_timeout(PROGRESS_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
                let found = self.found.load(Ordering::Relaxed) as u64;
                progress(Progress { directories: self.listed.load(Ordering::Relaxed), found });
            }
        });
        shared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the environment files that can have any name, which [`FileNames`] cannot know.
    fn add_environment_files(&self, tops: &[PathBuf], found: &mut Vec<FoundHook>, inventory: &mut Inventory) {
        for directory in env::directories() {
            let path = self.root.join(directory.trim_start_matches('/'));
            if !tops.iter().any(|top| path.starts_with(top)) {
                continue;
            }
            let report = walk::walk(&path, limits(0), |entry| {
                let hook = FoundHook::at(seen_from(self.root, &entry.path()), entry.kind);
                found.extend(hook.filter(|hook| hook.hook_path.kind == HookKind::Environment));
            });
            // The walk before has counted the rest of the report.
            inventory.truncated |= report.is_ok_and(|report| report.entries >= ENTRIES);
        }
    }

    /// Called for every entry: no allocation for a name that no start-up file can have.
    fn add(&self, entry: &Entry<'_>, found: &mut Vec<FoundHook>) {
        if entry.kind == Kind::Directory {
            self.listed.fetch_add(1, Ordering::Relaxed);
        }
        if !self.names.contains(entry.name) {
            return;
        }
        let Some(hook) = FoundHook::at(seen_from(self.root, &entry.path()), entry.kind) else { return };
        if self.found.fetch_add(1, Ordering::Relaxed) < MAX_FOUND {
            found.push(hook);
        }
    }
}

/// What a top is that cannot be walked. `None`: a directory, or a name that cannot be read.
fn kind_of_file(top: &Path) -> Option<Kind> {
    let file_type = std::fs::symlink_metadata(top).ok()?.file_type();
    match () {
        () if file_type.is_dir() => None,
        () if file_type.is_file() => Some(Kind::File),
        () if file_type.is_symlink() => Some(Kind::SymbolicLink),
        () => Some(Kind::Special),
    }
}
