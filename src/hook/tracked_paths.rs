//! Paths that are start-up files on this machine only: modules that start-up files import, directories that they add to
//! the path, files that symbolic links and PYTHONSTARTUP lead to.
//!
//! The reader looks up each name that the rules do not want; the hook stage adds entries. Each list holds at most [`MAX_TRACKED`]
//! entries. A full list takes no more, and [`TrackedPaths::is_full`] reports it.

use super::kind::{self, Import};
use super::location;
use crate::event::{HookKind, HookLocation, HookPath};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Entries of each list.
pub const MAX_TRACKED: usize = 4096;
/// Longest module name kept, in bytes: NAME_MAX without the shortest ending.
const MAX_MODULE: usize = 252;
/// Levels of nested packages kept.
const MAX_DEPTH: usize = 4;

#[derive(Debug, Default)]
struct Lists {
    modules: HashSet<OsString>,
    directories: HashMap<PathBuf, HookLocation>,
    files: HashMap<PathBuf, HookPath>,
    /// Directories that a Python searched when the daemon started.
    baseline: HashSet<PathBuf>,
    /// Last components of the directories and files above.
    names: HashSet<OsString>,
    /// Last components of the modules' names: file names up to the first dot.
    stems: HashSet<OsString>,
    full: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct TrackedPaths(RwLock<Lists>);

impl TrackedPaths {
    /// What the path is, by its name and by the lists.
    pub fn classify(&self, path: &Path) -> HookPath {
        let mut found = kind::of(path);
        let lists = self.read();
        // A symlink must not change the target's classification: anyone can create one.
        if (found.kind == HookKind::Other || found.location == HookLocation::Elsewhere)
            && let Some(known) = lists.files.get(path)
        {
            return *known;
        }
        if found.location == HookLocation::Elsewhere
            && let Some(location) = lists.location_on_path(found.kind, path)
        {
            found.location = location;
        }
        if found.kind != HookKind::Other {
            return found;
        }
        lists.imported_module(path).unwrap_or(found)
    }

    /// Whether a path of an interesting name is a start-up file.
    pub fn is_startup_file(&self, path: &Path) -> bool {
        self.classify(path).kind != HookKind::Other
    }

    /// Whether a file of this name can be on a list. Runs for every record of the kernel: no allocation, no system call.
    pub fn may_match(&self, name: &[u8]) -> bool {
        let lists = self.read();
        let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        lists.names.contains(OsStr::from_bytes(name)) || lists.stems.contains(OsStr::from_bytes(stem))
    }

    /// Adds a module that a start-up file imports, and the packages that it is in. Returns whether any is new.
    pub fn add_module(&self, name: &str) -> bool {
        let packages = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
        packages.chain([name]).take(MAX_DEPTH).filter(|name| self.add_one_module(OsStr::new(name))).count() > 0
    }

    fn add_one_module(&self, name: &OsStr) -> bool {
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

    /// Adds a directory that Python searches. Returns whether it is new.
    pub fn add_directory(&self, path: PathBuf, location: HookLocation) -> bool {
        let mut lists = self.write();
        if lists.directories.len() >= MAX_TRACKED && !lists.directories.contains_key(&path) {
            lists.full = true;
            return false;
        }
        lists.names.extend(path.file_name().map(OsStr::to_owned));
        lists.directories.insert(path, location).is_none()
    }

    /// Adds a file that is a start-up file by what leads to it. Returns whether it is new.
    pub fn add_file(&self, path: PathBuf, hook_path: HookPath) -> bool {
        let mut lists = self.write();
        if lists.files.len() >= MAX_TRACKED && !lists.files.contains_key(&path) {
            lists.full = true;
            return false;
        }
        lists.names.extend(path.file_name().map(OsStr::to_owned));
        match lists.files.entry(path) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(hook_path);
                true
            }
        }
    }

    /// Adds a directory that a Python searched when the daemon started.
    pub fn add_baseline_directory(&self, path: PathBuf) {
        let mut lists = self.write();
        if lists.baseline.len() < MAX_TRACKED {
            lists.baseline.insert(path);
        } else {
            lists.full = true;
        }
    }

    /// Whether a Python searched this directory when the daemon started.
    pub fn is_baseline_directory(&self, path: &Path) -> bool {
        self.read().baseline.contains(path)
    }

    /// The baseline directories at or below this one.
    pub fn baseline_directories_below(&self, above: &Path) -> Vec<PathBuf> {
        self.read().baseline.iter().filter(|directory| directory.starts_with(above)).cloned().collect()
    }

    /// Whether a list had no room for an entry.
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
    /// The location of a start-up file in a listed directory: directly in it, or a module in any of its forms. Python reads
    /// `.pth` and `.start` files in site directories only, not in others on the path.
    fn location_on_path(&self, kind: HookKind, path: &Path) -> Option<HookLocation> {
        let is_site_only = matches!(kind, HookKind::Pth | HookKind::Start);
        let directory = if is_site_only { path.parent()? } else { Import::of(path)?.directory() };
        let location = self.directories.get(directory).copied()?;
        (!is_site_only || location != HookLocation::SearchPath).then_some(location)
    }

    /// A module that a start-up file imports, in a directory that Python searches.
    fn imported_module(&self, path: &Path) -> Option<HookPath> {
        let import = Import::of(path)?;
        // A module of a package has its whole name, `package.module`.
        let (mut name, mut directory) = (import.name().to_owned(), import.directory());
        for _ in 0..MAX_DEPTH {
            if self.modules.contains(&name) || kind::is_imported(name.as_encoded_bytes()) {
                let role = location::of(directory);
                let location = self.directories.get(directory).copied().unwrap_or(role.location);
                if !matches!(location, HookLocation::Elsewhere | HookLocation::Program) {
                    return Some(HookPath {
                        kind: HookKind::Module,
                        form: import.form,
                        location,
                        version: role.version,
                    });
                }
            }
            let (package, above) = (directory.file_name()?, directory.parent()?);
            name = [package, OsStr::new("."), &name].into_iter().collect();
            directory = above;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(tracked: &TrackedPaths, path: &str) -> HookKind {
        tracked.classify(Path::new(path)).kind
    }

    #[test]
    fn a_module_of_a_package_is_tracked_with_its_packages() {
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
    fn a_link_does_not_change_the_classification_of_its_target() {
        let tracked = TrackedPaths::default();
        let sources =
            ["/usr/bin/python3", "/usr/lib/python3.11/encodings/utf_8.py", "/usr/lib/python3.11/sitecustomize.py"];
        let targets =
            ["/usr/lib/python3.11/encodings/utf_8.py", "/etc/python3.11/sitecustomize.py", "/etc/environment"];
        for source in sources {
            for target in targets {
                let before = tracked.classify(Path::new(target));
                tracked.add_file(target.into(), tracked.classify(Path::new(source)));
                assert_eq!(tracked.classify(Path::new(target)), before, "{source} {target}");
            }
        }
        assert!(tracked.add_file("/srv/x.py".into(), tracked.classify(Path::new(sources[2]))));
        assert!(!tracked.add_file("/srv/x.py".into(), tracked.classify(Path::new(sources[0]))));
        assert_eq!(kind(&tracked, "/srv/x.py"), HookKind::Sitecustomize);
    }

    #[test]
    fn pth_files_count_in_site_directories_but_not_in_others_on_the_path() {
        let tracked = TrackedPaths::default();
        tracked.add_directory("/srv/lib".into(), HookLocation::SearchPath);
        tracked.add_directory("/srv/site".into(), HookLocation::Site);
        let location = |path: &str| tracked.classify(Path::new(path)).location;
        assert_eq!(location("/srv/lib/x.pth"), HookLocation::Elsewhere);
        assert_eq!(location("/srv/site/x.pth"), HookLocation::Site);
        assert_eq!(location("/srv/site/torchvision/x.pth"), HookLocation::Elsewhere);
        assert_eq!(location("/srv/lib/usercustomize.py"), HookLocation::SearchPath);
        assert_eq!(location("/srv/lib/usercustomize/__init__.py"), HookLocation::SearchPath);
        assert_eq!(location("/srv/lib/ddtrace/usercustomize.py"), HookLocation::Elsewhere);
        assert_eq!(kind(&tracked, "/srv/site/_distutils_hack/__init__.py"), HookKind::Module);
    }
}
