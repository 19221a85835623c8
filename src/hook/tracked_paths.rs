//! What this machine has taught: modules that its hooks import, directories that they add to the path,
//! files that links and PYTHONSTARTUP lead to. Changes of these are changes of hooks.
//!
//! Shared between the reader, which asks for each name of interest, and the hook stage, which learns.
//! Each of the three lists is bounded by [`MAX_TRACKED`]; past it nothing more is tracked, and
//! [`TrackedPaths::is_full`] says so.

use super::kind;
use crate::event::{HookKind, HookLocation, HookPath};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Entries of each list.
pub const MAX_TRACKED: usize = 4096;
/// Longest module name that is tracked, in bytes: a file name with the shortest ending.
const MAX_MODULE: usize = 252;
/// Packages within packages that are tracked.
const MAX_DEPTH: usize = 4;

#[derive(Debug, Default)]
struct Lists {
    modules: HashSet<OsString>,
    directories: HashMap<PathBuf, HookLocation>,
    files: HashMap<PathBuf, HookPath>,
    /// Directories of Pythons that were there before.
    baseline: HashSet<PathBuf>,
    /// File names of the directories and files above, and of the modules up to their first dot.
    names: HashSet<OsString>,
    stems: HashSet<OsString>,
    full: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct TrackedPaths(RwLock<Lists>);

impl TrackedPaths {
    /// Where the path stands, by its name and by what was tracked.
    pub fn classify(&self, path: &Path) -> HookPath {
        let at = kind::of(path);
        let lists = self.read();
        // What leads to a hook makes it no other one: anybody can make a link to it.
        if (at.kind == HookKind::Other || at.location == HookLocation::Elsewhere)
            && let Some(known) = lists.files.get(path)
        {
            return *known;
        }
        let is_searched = |place: HookLocation| !matches!(place, HookLocation::Elsewhere | HookLocation::Program);
        let at = match at.location {
            HookLocation::Elsewhere => {
                lists.searched(at.kind, path).map_or(at, |place| HookPath { location: place, ..at })
            }
            _ => at,
        };
        if at.kind != HookKind::Other {
            return at;
        }
        let Some((name, form, directory)) = kind::module_of(path) else { return at };
        // A module of a package by its whole name, `package.module`.
        let (mut name, mut directory) = (name.to_owned(), directory);
        for _ in 0..MAX_DEPTH {
            if lists.modules.contains(&name) || kind::is_imported(name.as_encoded_bytes()) {
                let known = kind::directory(directory);
                let place = lists.directories.get(directory).copied().unwrap_or(known.place);
                if is_searched(place) {
                    return HookPath { kind: HookKind::Module, form, location: place, version: known.version };
                }
            }
            let (Some(package), Some(above)) = (directory.file_name(), directory.parent()) else { break };
            name = [package, OsStr::new("."), &name].into_iter().collect();
            directory = above;
        }
        at
    }

    /// Whether a path of an interesting name is a hook.
    pub fn is_startup_file(&self, path: &Path) -> bool {
        self.classify(path).kind != HookKind::Other
    }

    /// Learns a module that a hook imports, and the packages that it is in. Tells whether any is new.
    pub fn add_module(&self, name: &str) -> bool {
        let packages = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
        packages.chain([name]).take(MAX_DEPTH).filter(|name| self.add_one(OsStr::new(name))).count() > 0
    }

    fn add_one(&self, name: &OsStr) -> bool {
        let mut lists = self.write();
        if name.is_empty() || name.len() > MAX_MODULE || lists.modules.contains(name) {
            return false;
        }
        if lists.modules.len() >= MAX_TRACKED {
            lists.full = true;
            return false;
        }
        if let Some(stem) = name.as_encoded_bytes().rsplit(|byte| *byte == b'.').next() {
            lists.stems.insert(OsStr::from_bytes(stem).to_owned());
        }
        lists.modules.insert(name.to_owned())
    }

    /// Whether a file of this name may be one that was tracked. Called for every record of the kernel: no allocation,
    /// no system call.
    pub fn may_match(&self, name: &[u8]) -> bool {
        let lists = self.read();
        let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        lists.names.contains(OsStr::from_bytes(name)) || lists.stems.contains(OsStr::from_bytes(stem))
    }

    /// Remembers a directory of a Python that was there before.
    pub fn add_baseline_directory(&self, path: PathBuf) {
        let mut lists = self.write();
        if lists.baseline.len() < MAX_TRACKED {
            lists.baseline.insert(path);
        } else {
            lists.full = true;
        }
    }

    /// Whether this directory of a Python was there before.
    pub fn is_baseline_directory(&self, path: &Path) -> bool {
        self.read().baseline.contains(path)
    }

    /// Directories of Pythons that were there before, below this one.
    pub fn baseline_directories_below(&self, above: &Path) -> Vec<PathBuf> {
        self.read().baseline.iter().filter(|tree| tree.starts_with(above)).cloned().collect()
    }

    /// Learns a directory that Python searches. Tells whether it is new.
    pub fn add_directory(&self, path: PathBuf, place: HookLocation) -> bool {
        let mut lists = self.write();
        if lists.directories.len() >= MAX_TRACKED && !lists.directories.contains_key(&path) {
            lists.full = true;
            return false;
        }
        lists.names.extend(path.file_name().map(OsStr::to_owned));
        lists.directories.insert(path, place).is_none()
    }

    /// Learns that this very file is a hook. Tells whether it is new.
    pub fn add_file(&self, path: PathBuf, at: HookPath) -> bool {
        let mut lists = self.write();
        if lists.files.len() >= MAX_TRACKED && !lists.files.contains_key(&path) {
            lists.full = true;
            return false;
        }
        lists.names.extend(path.file_name().map(OsStr::to_owned));
        match lists.files.entry(path) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(at);
                true
            }
        }
    }

    /// Something could not be tracked.
    pub fn is_full(&self) -> bool {
        self.read().full
    }

    fn read(&self) -> RwLockReadGuard<'_, Lists> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Lists> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lists {
    /// What the tracked directory is in which Python would find this path: a file directly in it, or a module in any
    /// of its forms. It reads no `.pth` and no `.start` in a directory that is only on the path.
    fn searched(&self, kind: HookKind, path: &Path) -> Option<HookLocation> {
        let is_read_beside_packages = matches!(kind, HookKind::Pth | HookKind::Start);
        let directory = if is_read_beside_packages { path.parent()? } else { kind::module_of(path)?.2 };
        let place = self.directories.get(directory).copied()?;
        (!is_read_beside_packages || place != HookLocation::SearchPath).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(tracked: &TrackedPaths, path: &str) -> HookKind {
        tracked.classify(Path::new(path)).kind
    }

    #[test]
    fn a_module_of_a_package_is_learned_with_its_packages() {
        let tracked = TrackedPaths::default();
        assert!(tracked.add_module("tool.entry.point") && !tracked.add_module("tool.entry"));
        for name in ["tool/__init__.py", "tool.py", "tool/entry/__init__.py", "tool/entry/point.py"] {
            assert_eq!(kind(&tracked, &format!("/usr/lib/python3/dist-packages/{name}")), HookKind::Module, "{name}");
        }
        for name in ["tool/other.py", "entry.py", "point.py", "other/tool.py"] {
            assert_eq!(kind(&tracked, &format!("/usr/lib/python3/dist-packages/{name}")), HookKind::Other, "{name}");
        }
        for name in ["entry.py", "point.cpython-313.pyc", "tool", "tool.so"] {
            assert!(tracked.may_match(name.as_bytes()), "{name}");
        }
        assert!(!tracked.may_match(b"tools.py") && !tracked.may_match(b"other.py"));
    }

    #[test]
    fn what_leads_to_a_hook_does_not_make_it_another_one() {
        let tracked = TrackedPaths::default();
        let places =
            ["/usr/bin/python3", "/usr/lib/python3.11/encodings/utf_8.py", "/usr/lib/python3.11/sitecustomize.py"];
        let targets =
            ["/usr/lib/python3.11/encodings/utf_8.py", "/etc/python3.11/sitecustomize.py", "/etc/environment"];
        for place in places {
            for target in targets {
                let before = tracked.classify(Path::new(target));
                tracked.add_file(target.into(), tracked.classify(Path::new(place)));
                assert_eq!(tracked.classify(Path::new(target)), before, "{place} {target}");
            }
        }
        assert!(tracked.add_file("/srv/x.py".into(), tracked.classify(Path::new(places[2]))));
        assert!(!tracked.add_file("/srv/x.py".into(), tracked.classify(Path::new(places[0]))));
        assert_eq!(kind(&tracked, "/srv/x.py"), HookKind::Sitecustomize);
    }

    #[test]
    fn what_is_read_beside_packages_only_is_none_in_a_directory_of_the_path() {
        let tracked = TrackedPaths::default();
        tracked.add_directory("/srv/lib".into(), HookLocation::SearchPath);
        tracked.add_directory("/srv/site".into(), HookLocation::Site);
        let place = |path: &str| tracked.classify(Path::new(path)).location;
        assert_eq!(place("/srv/lib/x.pth"), HookLocation::Elsewhere);
        assert_eq!(place("/srv/site/x.pth"), HookLocation::Site);
        assert_eq!(place("/srv/site/torchvision/x.pth"), HookLocation::Elsewhere);
        assert_eq!(place("/srv/lib/usercustomize.py"), HookLocation::SearchPath);
        assert_eq!(place("/srv/lib/usercustomize/__init__.py"), HookLocation::SearchPath);
        assert_eq!(place("/srv/lib/ddtrace/usercustomize.py"), HookLocation::Elsewhere);
        assert_eq!(kind(&tracked, "/srv/site/_distutils_hack/__init__.py"), HookKind::Module);
    }
}
