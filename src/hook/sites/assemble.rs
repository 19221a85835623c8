//! Puts together what belongs to one Python: its library, searched directories and programs.

use super::Found;
use crate::event::{HookKind, HookLocation};
use crate::hook::kind::{Version, directory, of};
use crate::walk::Kind;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// What a Python is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It has a standard library.
    Installation,
    /// It has a `pyvenv.cfg`.
    VirtualEnvironment,
    /// A user's base directory, searched by every interpreter of its version that the user starts.
    UserBase,
    /// Directories of packages only.
    Packages,
    /// Interpreters only.
    #[default]
    Programs,
}

impl Role {
    /// The word used in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Installation => "installation",
            Role::VirtualEnvironment => "virtual-environment",
            Role::UserBase => "user-base",
            Role::Packages => "packages",
            Role::Programs => "programs",
        }
    }
}

/// A directory that Python searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchedDirectory {
    /// As Python names it.
    pub path: PathBuf,
    /// Its role.
    pub place: HookLocation,
    /// Where a symbolic link in its place leads, below the root. `None`: it is no link, or one to nowhere.
    pub leads_to: Option<PathBuf>,
    /// A symbolic link has its place.
    pub is_link: bool,
}

/// One Python: what has the same prefix and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Python {
    /// The directory above `lib` and `bin`.
    pub prefix: PathBuf,
    /// By the paths; `None` when they do not tell (`/usr/lib/python3/dist-packages` serves every version 3).
    pub version: Option<Version>,
    /// What it is.
    pub role: Role,
    /// Where Python looks, by path.
    pub directories: Vec<SearchedDirectory>,
    /// Interpreters by path.
    pub programs: Vec<PathBuf>,
}

/// The prefix of the Python that a hook belongs to, by its path. `None` for what belongs to no Python.
pub fn prefix(path: &Path, kind: HookKind) -> Option<PathBuf> {
    match kind {
        HookKind::Interpreter => return path.parent()?.parent().map(Path::to_path_buf),
        HookKind::VenvConfig | HookKind::InterpreterConfig => {
            let holder = path.parent()?;
            let is_program = holder.file_name().is_some_and(|name| name == "bin" || name == "sbin");
            return if is_program { holder.parent() } else { Some(holder) }.map(Path::to_path_buf);
        }
        _ => {}
    }
    // The outermost library: what is below the packages of a Python is that Python's.
    let library = path.ancestors().filter(|above| directory(above).place != HookLocation::Elsewhere).last()?;
    let above = library.parent()?.parent()?;
    // Debian's /etc/pythonX.Y belongs to /usr/lib/pythonX.Y.
    Some(if directory(library).place == HookLocation::Etc { above.join("usr") } else { above.to_path_buf() })
}

/// All Pythons that what was found belongs to. A `pyvenv.cfg` above a standard library is judged again: that is no
/// virtual environment.
pub fn pythons(found: &mut [Found], real: &dyn Fn(&Path) -> Option<PathBuf>) -> Vec<Python> {
    let libraries: HashSet<PathBuf> = found
        .iter()
        .filter(|found| matches!(found.at.kind, HookKind::StdlibBoot | HookKind::StdlibFile))
        .filter_map(|found| prefix(&found.path, found.at.kind))
        .collect();
    for config in found.iter_mut().filter(|found| found.at.kind == HookKind::VenvConfig) {
        if config.path.parent().is_some_and(|holder| libraries.contains(holder)) {
            config.at.kind = HookKind::InterpreterConfig;
        }
    }
    let mut known: BTreeMap<(PathBuf, Option<Version>), Python> = BTreeMap::new();
    let mut programs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut environments = HashSet::new();
    for found in found.iter() {
        let Some(prefix) = prefix(&found.path, found.at.kind) else { continue };
        match found.at.kind {
            HookKind::Interpreter => programs.entry(prefix).or_default().push(found.path.clone()),
            HookKind::VenvConfig => {
                environments.insert(prefix);
            }
            HookKind::SiteDirectory if found.at.location == HookLocation::Etc => {}
            HookKind::SiteDirectory => {
                let python = known.entry((prefix.clone(), found.at.version)).or_insert_with(|| Python {
                    prefix,
                    version: found.at.version,
                    role: Role::Packages,
                    ..Python::default()
                });
                let is_link = found.is == Kind::SymbolicLink;
                let leads_to = if is_link { real(&found.path) } else { None };
                let place = found.at.location;
                python.directories.push(SearchedDirectory { path: found.path.clone(), place, leads_to, is_link });
            }
            HookKind::StdlibBoot | HookKind::StdlibFile => {
                if let Some(python) = known.get_mut(&(prefix, found.at.version)) {
                    python.role = Role::Installation;
                }
            }
            _ => {}
        }
    }
    for ((prefix, version), python) in &mut known {
        if python.role == Role::Packages && environments.contains(prefix) {
            python.role = Role::VirtualEnvironment;
        } else if python.role == Role::Packages && prefix.file_name().is_some_and(|name| name == ".local") {
            python.role = Role::UserBase;
        }
        let named = programs.get(prefix).into_iter().flatten();
        let is_of = |program: &&PathBuf| {
            let told = of(program).version;
            told.is_none() || told == *version
        };
        if version.is_some() {
            python.programs = named.filter(is_of).cloned().collect();
        }
    }
    let mut all: Vec<Python> = known.into_values().collect();
    for (prefix, mut left) in programs {
        left.retain(|program| !all.iter().any(|python| python.programs.contains(program)));
        if !left.is_empty() {
            let role = if environments.contains(&prefix) { Role::VirtualEnvironment } else { Role::Programs };
            all.push(Python { prefix, programs: left, role, ..Python::default() });
        }
    }
    all.sort_by(|one, other| (&one.prefix, one.version).cmp(&(&other.prefix, other.version)));
    all
}
