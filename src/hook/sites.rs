//! The inventory: which Pythons, searched directories and hooks there are below a root, found by walking.
//!
//! * Two threads share the work, by directories of the second level, each opened from its parent: never through
//!   a symbolic link, never into another filesystem than that of the top.
//! * Only names that a hook can have cost more than the listing itself.
//! * A symbolic link in the place of a searched directory is resolved below the root, as Python would, and what
//!   lies there is taken for what it stands for. So is a directory that a `.pth` file adds ([`Inventory::search`]).
//!
//! Bounded by [`MAX_FOUND`]; what was not seen is counted and, the first of each part, named.

mod assemble;
mod names;
#[cfg(test)]
mod tests;

pub use assemble::{Python, Role, SearchedDirectory, prefix};

use super::env;
use super::kind;
use crate::event::{FileRef, HookForm, HookKind, HookLocation, HookPath};
use crate::walk::{self, Entry, Kind, Limits, WalkReport};
use names::HookNames;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Hooks and searched directories kept.
pub const MAX_FOUND: usize = 50_000;
/// Names kept of directories that could not be read, or not to their end.
const MAX_UNREAD: usize = 100;
/// Directories of one level that become parts of the work of their own; past that their parent is one.
const MAX_PARTS: usize = 256;
/// Threads that walk.
const WALKERS: usize = 2;
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// A whole server may have more entries than one walk of the watcher.
const ENTRIES: u64 = 100_000_000;
/// Entries looked at in one directory that something adds to the path, and in those below it.
const SEARCHED_ENTRIES: u64 = 200_000;

/// How far the walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Directories listed.
    pub directories: u64,
    /// Hooks and searched directories found.
    pub found: u64,
}

/// Something that the inventory lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path as Python sees it below the root, with `/` for the root.
    pub path: PathBuf,
    /// What it is there.
    pub at: HookPath,
    /// What has the name.
    pub is: Kind,
    /// Where it lies when a link above it leads there, below the root too.
    pub lies: Option<PathBuf>,
}

/// What there is.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Every Python, by its directory and version.
    pub pythons: Vec<Python>,
    /// Every hook, by its path; the interpreters too. Also those elsewhere, where Python does not look.
    pub hooks: Vec<Found>,
    /// Directories that were listed.
    pub directories: u64,
    /// Directories that could not be opened or read to their end.
    pub unreadable: u64,
    /// The first of them in each part of the tree.
    pub unread: Vec<PathBuf>,
    /// A limit kept the walk out of something.
    pub truncated: bool,
    root: PathBuf,
}

/// Walks `tops` (paths below `root`, as the host sees them; a file is taken as it is) and lists what is there.
/// `progress` is called in this thread every now and then.
pub fn take_stock(root: &Path, tops: &[PathBuf], progress: &dyn Fn(Progress)) -> Inventory {
    let stock = Stock { root, names: HookNames::new(), found: AtomicUsize::new(0), listed: AtomicU64::new(0) };
    let mut inventory = Inventory { root: root.to_path_buf(), ..Inventory::default() };
    let mut parts = Vec::new();
    let mut found = Vec::new();
    for top in tops {
        stock.split(top, &mut parts, &mut found, &mut inventory);
    }
    let shared = Mutex::new((found, inventory));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        let (next, parts, stock, shared) = (&next, &parts, &stock, &shared);
        for _ in 0..WALKERS {
            let done = done.clone();
            scope.spawn(move || {
                let _done = done;
                let mut found = Vec::new();
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report =
                        walk::walk_at(&part.parent, Path::new(&part.name), &part.path, limits(usize::MAX), |entry| {
                            stock.see(entry, &mut found);
                        });
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    shared.1.note(&part.path, report);
                }
                shared.lock().unwrap_or_else(PoisonError::into_inner).0.append(&mut found);
            });
        }
        drop(done);
        while ended.recv_timeout(TELL_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            let found = stock.found.load(Ordering::Relaxed) as u64;
            progress(Progress { directories: stock.listed.load(Ordering::Relaxed), found });
        }
    });
    let (found, mut inventory) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut found = found;
    stock.see_environment(tops, &mut found, &mut inventory);
    inventory.truncated |= stock.found.load(Ordering::Relaxed) > MAX_FOUND;
    inventory.settle(found);
    inventory
}

fn limits(depth: usize) -> Limits {
    Limits { depth: depth.min(walk::MAX_DEPTH), entries: ENTRIES, ..Limits::default() }
}

/// A directory that one thread walks.
struct Part {
    parent: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
}

/// What the walkers share.
struct Stock<'r> {
    root: &'r Path,
    names: HookNames,
    found: AtomicUsize,
    listed: AtomicU64,
}

impl Stock<'_> {
    /// Lists the top and the level below it, and makes parts of the directories of that level.
    fn split(&self, top: &Path, parts: &mut Vec<Part>, found: &mut Vec<Found>, inventory: &mut Inventory) {
        if let Some(is) = other_than_directory(top) {
            found.extend(judge(seen_from(self.root, top), is));
            return;
        }
        let (mut first, seen) = (Vec::new(), found.len());
        let report = walk::walk(top, limits(0), |entry| self.take(entry, found, &mut first));
        if first.len() > MAX_PARTS {
            found.truncate(seen);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(CWD, top, flags, Mode::empty()) {
                Ok(opened) => parts.push(Part { parent: Arc::new(opened), name: ".".into(), path: top.to_path_buf() }),
                Err(error) => inventory.note(top, Err(error.into())),
            }
            return;
        }
        inventory.note_top(top, report);
        for part in first {
            let mut second = Vec::new();
            let seen = found.len();
            let report = walk::walk_at(&part.parent, Path::new(&part.name), &part.path, limits(0), |entry| {
                self.take(entry, found, &mut second);
            });
            if second.len() > MAX_PARTS {
                found.truncate(seen);
                parts.push(part);
                continue;
            }
            inventory.note_top(&part.path, report);
            parts.append(&mut second);
        }
    }

    /// An entry of a level that is split: what is below it is walked later.
    fn take(&self, entry: &Entry<'_>, found: &mut Vec<Found>, parts: &mut Vec<Part>) {
        self.see(entry, found);
        if entry.kind != Kind::Directory || parts.len() > MAX_PARTS {
            return;
        }
        if let Ok(parent) = entry.directory() {
            parts.push(Part { parent, name: OsStr::from_bytes(entry.name).to_owned(), path: entry.path() });
        }
    }

    /// Files of any name that set variables: the sieve of names cannot know them.
    fn see_environment(&self, tops: &[PathBuf], found: &mut Vec<Found>, inventory: &mut Inventory) {
        for directory in env::directories() {
            let path = self.root.join(directory.trim_start_matches('/'));
            if !tops.iter().any(|top| path.starts_with(top)) {
                continue;
            }
            let report = walk::walk(&path, limits(0), |entry| {
                let hook = judge(seen_from(self.root, &entry.path()), entry.kind);
                found.extend(hook.filter(|hook| hook.at.kind == HookKind::Environment));
            });
            // Listed and counted once already.
            inventory.truncated |= report.is_ok_and(|report| report.entries >= ENTRIES);
        }
    }

    /// Called for every entry there is: no allocation for a name that no hook can have.
    fn see(&self, entry: &Entry<'_>, found: &mut Vec<Found>) {
        if entry.kind == Kind::Directory {
            self.listed.fetch_add(1, Ordering::Relaxed);
        }
        if !self.names.has(entry.name) {
            return;
        }
        let Some(hook) = judge(seen_from(self.root, &entry.path()), entry.kind) else { return };
        if self.found.fetch_add(1, Ordering::Relaxed) < MAX_FOUND {
            found.push(hook);
        }
    }
}

/// What a top is that cannot be walked. `None`: a directory, or nothing that could be looked at.
fn other_than_directory(top: &Path) -> Option<Kind> {
    let kind = std::fs::symlink_metadata(top).ok()?.file_type();
    match () {
        () if kind.is_dir() => None,
        () if kind.is_file() => Some(Kind::File),
        () if kind.is_symlink() => Some(Kind::SymbolicLink),
        () => Some(Kind::Special),
    }
}

/// The path with the root for `/`.
fn seen_from(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).map_or_else(|_| path.to_path_buf(), |below| Path::new("/").join(below))
}

/// What the inventory keeps of a path.
fn judge(path: PathBuf, is: Kind) -> Option<Found> {
    let mut at = kind::of(&path);
    let is_directory = matches!(is, Kind::Directory | Kind::OtherFilesystem);
    let is_kept = match (at.kind, at.form) {
        (HookKind::Other, _) => false,
        (HookKind::StdlibZip, _) if is_directory => {
            at.form = HookForm::Directory;
            true
        }
        // The cache of each package directory is worth a word only where a link has taken its place.
        (HookKind::SiteDirectory, _) if is_directory => path.file_name() != Some(OsStr::new("__pycache__")),
        // A directory in the place of a package or file: what is in it is found by itself.
        _ if is_directory => false,
        (_, HookForm::Directory) => is == Kind::SymbolicLink,
        _ => true,
    };
    is_kept.then_some(Found { path, at, is, lies: None })
}

impl Inventory {
    /// Opens the directory of a hook, following no link but those that Python would, and none out of the root. The
    /// path is the one that Python sees.
    ///
    /// # Errors
    /// Whatever opening it gives.
    pub fn open(&self, found: &Found) -> io::Result<FileRef> {
        let path = found.lies.as_ref().unwrap_or(&found.path);
        let (parent, _) = resolve(&self.root, path.parent().unwrap_or(Path::new("/")))?;
        Ok(FileRef { path: found.path.clone(), directory: Some(Arc::new(parent)) })
    }

    /// Where a path leads, links followed below the root: the real path, as seen from the root.
    pub fn real(&self, path: &Path) -> Option<PathBuf> {
        resolve(&self.root, path).ok()?.1
    }

    /// Looks into a directory that something adds to the path (a `.pth` file of `holder`, a link): one level, for
    /// hooks, which are then in [`HookLocation::SearchPath`]. Gives where it really is, if it is a directory.
    pub fn search(&mut self, holder: &Path, added: &[u8]) -> Option<PathBuf> {
        let path = holder.join(OsStr::from_bytes(added));
        let (directory, real) = resolve(&self.root, &path).ok()?;
        let real = real.unwrap_or(path);
        let wanted = |kind| matches!(kind, HookKind::Sitecustomize | HookKind::Usercustomize);
        let mut found = self.list(&directory, &real, 1);
        found.retain(|hook| wanted(hook.at.kind) && hook.at.location == HookLocation::Elsewhere);
        for mut hook in found {
            // Directly there, or as a package or bytecode: not anything deeper.
            if kind::module_of(&hook.path).is_none_or(|(_, _, directory)| directory != real) {
                continue;
            }
            hook.at.location = HookLocation::SearchPath;
            self.keep(hook);
        }
        Some(real)
    }

    /// Finds modules by these names directly in a searched directory (a path as seen from the root), in every form:
    /// what a hook imports is a hook.
    pub fn find_modules(&mut self, directory: &Path, place: HookLocation, names: &HashSet<OsString>) {
        let Ok((opened, real)) = resolve(&self.root, directory) else { return };
        let mut found = Vec::new();
        let limits = Limits { entries: SEARCHED_ENTRIES, ..limits(1) };
        let report = walk::walk_at(&opened, Path::new("."), directory, limits, |entry| {
            let path = entry.path();
            let Some((name, form, holder)) = kind::module_of(&path) else { return };
            let is_file = matches!(entry.kind, Kind::File | Kind::SymbolicLink) && form != HookForm::Directory;
            if is_file && holder == directory && names.contains(name) {
                let version = kind::directory(directory).version;
                let at = HookPath { kind: HookKind::Module, form, location: place, version };
                let lies = real.as_ref().and_then(|real| Some(real.join(path.strip_prefix(directory).ok()?)));
                let lies = lies.filter(|lies| *lies != path);
                found.push(Found { path, at, is: entry.kind, lies });
            }
        });
        // What is deeper is not meant.
        self.note_top(directory, report);
        found.into_iter().for_each(|hook| self.keep(hook));
    }

    /// Adds a hook, or what is now known of one that was found where Python did not seem to look.
    fn keep(&mut self, hook: Found) {
        match self.hooks.binary_search_by(|known| known.path.cmp(&hook.path)) {
            Ok(at) => {
                if let Some(known) = self.hooks.get_mut(at).filter(|known| known.at.location == HookLocation::Elsewhere)
                {
                    known.at.location = hook.at.location;
                }
            }
            Err(_) if self.hooks.len() >= MAX_FOUND => self.truncated = true,
            Err(at) => self.hooks.insert(at, hook),
        }
    }

    /// What hooks are in a directory, as if it were at `path`, at most `depth` levels below it.
    fn list(&mut self, directory: &OwnedFd, path: &Path, depth: usize) -> Vec<Found> {
        let names = HookNames::new();
        let mut found = Vec::new();
        let limits = Limits { entries: SEARCHED_ENTRIES, ..limits(depth) };
        let report = walk::walk_at(directory, Path::new("."), path, limits, |entry| {
            if names.has(entry.name) && found.len() < MAX_FOUND {
                found.extend(judge(entry.path(), entry.kind));
            }
        });
        self.note_top(path, report);
        found
    }

    /// Sorts what was found, follows links in the place of searched directories, and puts Pythons together.
    fn settle(&mut self, mut found: Vec<Found>) {
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found.dedup_by(|one, other| one.path == other.path);
        let mut linked = Vec::new();
        for link in found.iter().filter(|found| found.is == Kind::SymbolicLink) {
            let stands_for_a_directory = link.at.kind == HookKind::SiteDirectory || link.at.form == HookForm::Directory;
            if !stands_for_a_directory {
                continue;
            }
            let Ok((directory, Some(real))) = resolve(&self.root, &link.path) else { continue };
            // A link from one searched directory to another of its own names, as `dist-packages` may be.
            if kind::directory(&real) == kind::directory(&link.path) {
                continue;
            }
            for mut hook in self.list(&directory, &link.path, 2) {
                hook.lies = hook.path.strip_prefix(&link.path).ok().map(|below| real.join(below));
                linked.push(hook);
            }
        }
        found.append(&mut linked);
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found.dedup_by(|one, other| one.path == other.path);
        self.pythons = assemble::pythons(&mut found, &|path| self.real(path));
        found.retain(|found| found.at.kind != HookKind::SiteDirectory);
        self.hooks = found;
    }

    fn note(&mut self, path: &Path, report: io::Result<WalkReport>) {
        match report {
            Ok(report) => {
                self.directories += report.directories;
                self.unreadable += report.unreadable;
                self.truncated |= report.truncated;
                self.name_unread(report.first_unreadable.as_deref());
            }
            // Removed or replaced meanwhile: nothing of this name is left.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {}
            Err(_) => {
                self.unreadable += 1;
                self.name_unread(Some(path));
            }
        }
    }

    /// As [`Inventory::note`], where the depth of the walk is meant to be a limit.
    fn note_top(&mut self, path: &Path, report: io::Result<WalkReport>) {
        let report = report.map(|report| WalkReport { truncated: false, ..report });
        self.note(path, report);
    }

    fn name_unread(&mut self, path: Option<&Path>) {
        if let Some(path) = path.filter(|_| self.unread.len() < MAX_UNREAD) {
            self.unread.push(seen_from(&self.root, path));
        }
    }
}

/// Opens the directory that `path` leads to for a process whose root is `root`, and tells its real path from there
/// if the kernel can.
fn resolve(root: &Path, path: &Path) -> io::Result<(OwnedFd, Option<PathBuf>)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    let below = path.strip_prefix("/").unwrap_or(path);
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(&top, below, flags, Mode::empty(), how) {
        // Before Linux 5.6, or forbidden by a container: only the machine's own root can be trusted to path lookup.
        Err(Errno::NOSYS | Errno::PERM) if root == Path::new("/") => {
            rustix::fs::openat(&top, below, flags, Mode::empty())?
        }
        opened => opened?,
    };
    let real = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok();
    let real = real.filter(|real| !real.as_os_str().as_bytes().ends_with(b" (deleted)"));
    Ok((opened, real.map(|real| seen_from(root, &real))))
}
