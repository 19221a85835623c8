//! Groups what the walk found by Python: library, searched directories and programs.

use super::found::FoundHook;
use crate::event::words::words;
use crate::event::{HookKind, HookLocation};
use crate::hook::kind;
use crate::hook::location::{self, Version};
use crate::walk::Kind;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

words! {
    /// What a Python is.
    PythonRole {
        /// It has a standard library.
        Installation = "installation",
        /// It has a `pyvenv.cfg`.
        VirtualEnvironment = "virtual-environment",
        /// A user's base directory (PEP 370), searched by every interpreter of its version that the user starts.
        UserBase = "user-base",
        /// Directories of packages only.
        Packages = "packages",
        /// Interpreters only.
        Programs = "programs",
    }
}

/// A directory that Python searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchedDirectory {
    /// As Python names it.
    pub path: PathBuf,
    /// Its role.
    pub location: HookLocation,
    /// The target of a symbolic link in its place, below the root. `None`: no link, or a dangling one.
    pub real_path: Option<PathBuf>,
    /// A symbolic link has its name.
    pub is_link: bool,
}

/// One Python: everything of the same prefix and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The directory above `lib` and `bin`.
    pub prefix: PathBuf,
    /// `None` when the paths do not show it: `/usr/lib/python3/dist-packages` serves every version 3.
    pub version: Option<Version>,
    /// What it is.
    pub role: PythonRole,
    /// The directories it searches, by path.
    pub directories: Vec<SearchedDirectory>,
    /// Interpreters, by path.
    pub programs: Vec<PathBuf>,
}

impl Python {
    fn new(prefix: PathBuf, version: Option<Version>, role: PythonRole) -> Self {
        Self { prefix, version, role, directories: Vec::new(), programs: Vec::new() }
    }
}

/// The prefix of the Python that a start-up file belongs to, by its path. `None` for one that belongs to no Python.
pub fn prefix(path: &Path, kind: HookKind) -> Option<PathBuf> {
    match kind {
        HookKind::Interpreter => return path.parent()?.parent().map(Path::to_path_buf),
        HookKind::VenvConfig | HookKind::InterpreterConfig => {
            let holder = path.parent()?;
            let is_program_directory = holder.file_name().is_some_and(|name| name == "bin" || name == "sbin");
            return if is_program_directory { holder.parent() } else { Some(holder) }.map(Path::to_path_buf);
        }
        _ => {}
    }
    // The outermost library: the packages of a Python can hold a tree that looks like one.
    let library = path.ancestors().filter(|above| location::of(above).location != HookLocation::Elsewhere).last()?;
    let above = library.parent()?.parent()?;
    // Debian's /etc/pythonX.Y belongs to /usr/lib/pythonX.Y.
    Some(if location::of(library).location == HookLocation::Etc { above.join("usr") } else { above.to_path_buf() })
}

/// The files of all Pythons, by prefix.
#[derive(Default)]
struct Groups {
    by_version: BTreeMap<(PathBuf, Option<Version>), Python>,
    programs: BTreeMap<PathBuf, Vec<PathBuf>>,
    virtual_environments: HashSet<PathBuf>,
}

/// All Pythons that the found files belong to. A `pyvenv.cfg` above a standard library belongs to no virtual environment:
/// its kind is changed to [`HookKind::InterpreterConfig`].
pub fn group(found: &mut [FoundHook], real_path: &dyn Fn(&Path) -> Option<PathBuf>) -> Vec<Python> {
    let libraries: HashSet<PathBuf> = found
        .iter()
        .filter(|found| matches!(found.hook_path.kind, HookKind::StdlibBoot | HookKind::StdlibFile))
        .filter_map(|found| prefix(&found.path, found.hook_path.kind))
        .collect();
    for config in found.iter_mut().filter(|found| found.hook_path.kind == HookKind::VenvConfig) {
        if config.path.parent().is_some_and(|holder| libraries.contains(holder)) {
            config.hook_path.kind = HookKind::InterpreterConfig;
        }
    }
    let mut groups = Groups::default();
    for found in found.iter() {
        groups.add(found, real_path);
    }
    groups.finish()
}

impl Groups {
    /// `found` is sorted by path: a directory comes before the files in it.
    fn add(&mut self, found: &FoundHook, real_path: &dyn Fn(&Path) -> Option<PathBuf>) {
        let hook_path = found.hook_path;
        let Some(prefix) = prefix(&found.path, hook_path.kind) else { return };
        match hook_path.kind {
            HookKind::Interpreter => self.programs.entry(prefix).or_default().push(found.path.clone()),
            HookKind::VenvConfig => {
                self.virtual_environments.insert(prefix);
            }
            HookKind::SiteDirectory if hook_path.location != HookLocation::Etc => {
                let version = hook_path.version;
                let key = (prefix.clone(), version);
                let python =
                    self.by_version.entry(key).or_insert_with(|| Python::new(prefix, version, PythonRole::Packages));
                let is_link = found.entry == Kind::SymbolicLink;
                python.directories.push(SearchedDirectory {
                    path: found.path.clone(),
                    location: hook_path.location,
                    real_path: if is_link { real_path(&found.path) } else { None },
                    is_link,
                });
            }
            HookKind::StdlibBoot | HookKind::StdlibFile => {
                if let Some(python) = self.by_version.get_mut(&(prefix, hook_path.version)) {
                    python.role = PythonRole::Installation;
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Vec<Python> {
        let Self { mut by_version, programs, virtual_environments } = self;
        for ((prefix, version), python) in &mut by_version {
            if python.role == PythonRole::Packages && virtual_environments.contains(prefix) {
                python.role = PythonRole::VirtualEnvironment;
            } else if python.role == PythonRole::Packages && prefix.file_name().is_some_and(|name| name == ".local") {
                python.role = PythonRole::UserBase;
            }
            if version.is_some() {
                let named = programs.get(prefix).into_iter().flatten();
                // A program without a version in its name belongs to every version.
                let own = named.filter(|program| kind::of(program).version.is_none_or(|known| Some(known) == *version));
                python.programs = own.cloned().collect();
            }
        }
        let mut all: Vec<Python> = by_version.into_values().collect();
        for (prefix, mut programs) in programs {
            programs.retain(|program| !all.iter().any(|python| python.programs.contains(program)));
            if !programs.is_empty() {
                let is_virtual = virtual_environments.contains(&prefix);
                let role = if is_virtual { PythonRole::VirtualEnvironment } else { PythonRole::Programs };
                all.push(Python { programs, ..Python::new(prefix, None, role) });
            }
        }
        all.sort_by(|one, other| (&one.prefix, one.version).cmp(&(&other.prefix, other.version)));
        all
    }
}
