//! The inventory, and what is added to it once the content of its start-up files is read.

use super::file_names::FileNames;
use super::found::{FoundHook, seen_from};
use super::pythons::{self, Python};
use crate::event::{FileRef, HookForm, HookKind, HookLocation, HookPath};
use crate::hook::kind::Import;
use crate::hook::location;
use crate::walk::{self, Kind, Limits, WalkReport};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Start-up files and searched directories kept.
pub const MAX_FOUND: usize = 50_000;
/// Entries of the whole walk; a large server has more than [`walk::MAX_ENTRIES`].
pub(super) const ENTRIES: u64 = 100_000_000;
/// Entries read in one directory that something adds to the path, and in those below it.
const SEARCHED_ENTRIES: u64 = 200_000;
/// Paths kept of directories that could not be read.
const MAX_UNREADABLE: usize = 100;

pub(super) fn limits(depth: usize) -> Limits {
    Limits { depth: depth.min(walk::MAX_DEPTH), entries: ENTRIES, ..Limits::default() }
}

/// The Pythons and start-up files below a root.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Every Python, by its prefix and version.
    pub pythons: Vec<Python>,
    /// Every start-up file and interpreter, by path; also those where Python does not search.
    pub hooks: Vec<FoundHook>,
    /// Directories that were listed.
    pub directories: u64,
    /// Directories that could not be opened or read to their end.
    pub unreadable: u64,
    /// The first of them in each part of the tree.
    pub unreadable_paths: Vec<PathBuf>,
    /// A limit kept the walk out of something.
    pub truncated: bool,
    root: PathBuf,
}

impl Inventory {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), ..Self::default() }
    }

    /// Opens the directory of a start-up file, following the symbolic links that Python would, none out of the root. The
    /// path of the result is the one that Python sees.
    ///
    /// # Errors
    /// As `openat2(2)` gives them.
    pub fn open(&self, found: &FoundHook) -> io::Result<FileRef> {
        let path = found.real_path.as_ref().unwrap_or(&found.path);
        let (parent, _) = resolve(&self.root, path.parent().unwrap_or(Path::new("/")))?;
        Ok(FileRef { path: found.path.clone(), directory: Some(Arc::new(parent)) })
    }

    /// The path without symbolic links, as seen from the root.
    pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
        resolve(&self.root, path).ok()?.1
    }

    /// Lists a directory that a `.pth` file in `holder` or a link adds to the path, one level deep. Its start-up files are
    /// then in [`HookLocation::SearchPath`]. Returns its real path; `None` if it is no directory.
    pub fn search_directory(&mut self, holder: &Path, added: &[u8]) -> Option<PathBuf> {
        let path = holder.join(OsStr::from_bytes(added));
        let (directory, real) = resolve(&self.root, &path).ok()?;
        let real = real.unwrap_or(path);
        let is_customize = |kind| matches!(kind, HookKind::Sitecustomize | HookKind::Usercustomize);
        let mut found = self.list(&directory, &real, 1);
        found.retain(|hook| {
            is_customize(hook.hook_path.kind)
                && hook.hook_path.location == HookLocation::Elsewhere
                // A file, package or bytecode directly in it.
                && Import::of(&hook.path).is_some_and(|import| import.directory() == real)
        });
        for mut hook in found {
            hook.hook_path.location = HookLocation::SearchPath;
            self.add(hook);
        }
        Some(real)
    }

    /// Adds the modules of these names, in every form, that are directly in a searched directory (a path as seen from the
    /// root): a start-up file imports them.
    pub fn find_modules(&mut self, directory: &Path, location: HookLocation, names: &HashSet<OsString>) {
        let Ok((opened, real)) = resolve(&self.root, directory) else { return };
        let version = location::of(directory).version;
        let mut found = Vec::new();
        let limits = Limits { entries: SEARCHED_ENTRIES, ..limits(1) };
        let report = walk::walk_at(&opened, Path::new("."), directory, limits, |entry| {
            let path = entry.path();
            let Some(import) = Import::of(&path) else { return };
            let form = import.form;
            let is_file = matches!(entry.kind, Kind::File | Kind::SymbolicLink) && form != HookForm::Directory;
            if is_file && import.directory() == directory && names.contains(import.name()) {
                let hook_path = HookPath { kind: HookKind::Module, form, location, version };
                let real_path = real.as_ref().and_then(|real| Some(real.join(path.strip_prefix(directory).ok()?)));
                let real_path = real_path.filter(|real| *real != path);
                found.push(FoundHook { path, hook_path, entry: entry.kind, real_path });
            }
        });
        self.add_shallow_report(directory, report);
        found.into_iter().for_each(|hook| self.add(hook));
    }

    /// Adds a start-up file, or the location of one that was found where Python did not seem to search.
    fn add(&mut self, hook: FoundHook) {
        match self.hooks.binary_search_by(|known| known.path.cmp(&hook.path)) {
            Ok(index) => {
                let known = self.hooks.get_mut(index).map(|known| &mut known.hook_path.location);
                if let Some(location) = known.filter(|location| **location == HookLocation::Elsewhere) {
                    *location = hook.hook_path.location;
                }
            }
            Err(_) if self.hooks.len() >= MAX_FOUND => self.truncated = true,
            Err(index) => self.hooks.insert(index, hook),
        }
    }

    /// The start-up files in a directory, as if it were at `path`, at most `depth` levels below it.
    fn list(&mut self, directory: &OwnedFd, path: &Path, depth: usize) -> Vec<FoundHook> {
        let names = FileNames::new();
        let mut found = Vec::new();
        let limits = Limits { entries: SEARCHED_ENTRIES, ..limits(depth) };
        let report = walk::walk_at(directory, Path::new("."), path, limits, |entry| {
            if names.contains(entry.name) && found.len() < MAX_FOUND {
                found.extend(FoundHook::at(entry.path(), entry.kind));
            }
        });
        self.add_shallow_report(path, report);
        found
    }

    /// Takes what the walk found, follows symbolic links in place of searched directories, and groups the Pythons.
    pub(super) fn complete(&mut self, mut found: Vec<FoundHook>) {
        sort_by_path(&mut found);
        let mut linked = Vec::new();
        for link in found.iter().filter(|found| found.entry == Kind::SymbolicLink) {
            let HookPath { kind, form, .. } = link.hook_path;
            if kind != HookKind::SiteDirectory && form != HookForm::Directory {
                continue;
            }
            let Ok((directory, Some(real))) = resolve(&self.root, &link.path) else { continue };
            // A link between two names of one searched directory, as `dist-packages` to `site-packages`.
            if location::of(&real) == location::of(&link.path) {
                continue;
            }
            for mut hook in self.list(&directory, &link.path, 2) {
                hook.real_path = hook.path.strip_prefix(&link.path).ok().map(|below| real.join(below));
                linked.push(hook);
            }
        }
        found.append(&mut linked);
        sort_by_path(&mut found);
        self.pythons = pythons::group(&mut found, &|path| self.real_path(path));
        found.retain(|found| found.hook_path.kind != HookKind::SiteDirectory);
        self.hooks = found;
    }

    pub(super) fn add_report(&mut self, path: &Path, report: io::Result<WalkReport>) {
        match report {
            Ok(report) => {
                self.directories += report.directories;
                self.unreadable += report.unreadable;
                self.truncated |= report.truncated;
                self.add_unreadable_path(report.first_unreadable.as_deref());
            }
            // Removed or replaced meanwhile.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {}
            Err(_) => {
                self.unreadable += 1;
                self.add_unreadable_path(Some(path));
            }
        }
    }

    /// As [`Inventory::add_report`], for a walk that must end at its depth limit.
    pub(super) fn add_shallow_report(&mut self, path: &Path, report: io::Result<WalkReport>) {
        self.add_report(path, report.map(|report| WalkReport { truncated: false, ..report }));
    }

    fn add_unreadable_path(&mut self, path: Option<&Path>) {
        if let Some(path) = path.filter(|_| self.unreadable_paths.len() < MAX_UNREADABLE) {
            self.unreadable_paths.push(seen_from(&self.root, path));
        }
    }
}

fn sort_by_path(found: &mut Vec<FoundHook>) {
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found.dedup_by(|one, other| one.path == other.path);
}

/// Opens the directory at `path` as a process whose root is `root` would (`RESOLVE_IN_ROOT`). Also returns its real path
/// below the root; `None` if it is deleted or `/proc` is not mounted.
fn resolve(root: &Path, path: &Path) -> io::Result<(OwnedFd, Option<PathBuf>)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    let below = path.strip_prefix("/").unwrap_or(path);
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(&top, below, flags, Mode::empty(), how) {
        // Before Linux 5.6, or a container's seccomp filter. Plain lookup leaves any other root by an absolute link.
        Err(Errno::NOSYS | Errno::PERM) if root == Path::new("/") => {
            rustix::fs::openat(&top, below, flags, Mode::empty())?
        }
        opened => opened?,
    };
    let real = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok();
    let real = real.filter(|real| !real.as_os_str().as_bytes().ends_with(b" (deleted)"));
    Ok((opened, real.map(|real| seen_from(root, &real))))
}
