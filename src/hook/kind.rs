//! Which start-up file a path is, by its name and the role of its directory, wherever the tree lies. Pure and without
//! allocation: it runs for every file whose name can be a start-up file's.
//!
//! The names are in `table`. Case matters as it does for Python. A path does not show what PYTHONPATH and `.pth` lines add
//! to the search path, nor which modules the start-up files of this machine import: [`super::tracked_paths`] knows those.

mod import;
mod table;
#[cfg(test)]
mod tests;

pub use import::Import;

use super::env;
use super::location::{self, DirectoryRole, Version, interpreter_version, split};
use crate::event::{HookForm, HookKind, HookLocation, HookPath};
use std::path::Path;
use table::{ImportedFrom, WheelOwner};

/// A path and its last component.
struct Parts<'p> {
    path: &'p [u8],
    directory: &'p [u8],
    name: &'p [u8],
}

type Recognise = fn(&Parts<'_>) -> Option<HookPath>;

/// How a file is recognised, by what follows the last dot of its name. Other names: [`without_extension`].
static BY_EXTENSION: [(&[u8], Recognise); 10] = [
    (b"py", module_file),
    (b"pyc", module_file),
    (b"so", module_file),
    (b"pyo", module_file),
    (b"pth", |parts| Some(in_site_directory(HookKind::Pth, parts))),
    (b"start", |parts| Some(in_site_directory(HookKind::Start, parts))),
    (b"cfg", pyvenv_cfg),
    (b"whl", bundled_wheel),
    (b"_pth", interpreter_config),
    (b"txt", interpreter_config),
];

/// What the path is: [`HookKind::Other`] with [`HookLocation::Elsewhere`] when it is no start-up file.
///
/// The form is that of the file itself: the `__init__.so` of a package is an extension, and `package` a source.
pub fn of(path: &Path) -> HookPath {
    let bytes = path.as_os_str().as_encoded_bytes();
    let (directory, name) = split(bytes);
    let parts = Parts { path: bytes, directory, name };
    let extension = name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
    let recognise = BY_EXTENSION.iter().find(|(known, _)| *known == extension);
    let found = recognise.map_or(without_extension as Recognise, |(_, recognise)| *recognise)(&parts);
    // Most files are code, and no environment file is named so.
    let is_code = matches!(extension, b"py" | b"pyc" | b"pyo" | b"so");
    found.or_else(|| if is_code { None } else { environment(path) }).unwrap_or(HookPath {
        kind: HookKind::Other,
        form: HookForm::File,
        location: HookLocation::Elsewhere,
        version: None,
    })
}

/// Patterns of the file names that a kind can have, for the name filter: exact, `*` and an ending, or a beginning and `*`.
/// Many are common (`__init__.*`, `os.*`); [`of`] decides by the directory. Empty for a kind without names of its own.
pub fn names(kind: HookKind) -> &'static [&'static str] {
    if kind == HookKind::Environment {
        return env::names();
    }
    let of_modules = table::MODULES.iter().find(|modules| modules.kind == kind).map(|modules| modules.file_names);
    let of_files = || table::FILE_NAMES.iter().find(|(known, _)| *known == kind).map(|(_, names)| *names);
    of_modules.or_else(of_files).unwrap_or_default()
}

/// Whether start-up files of common packages import a module of this name.
pub(super) fn is_imported(name: &[u8]) -> bool {
    table::IMPORTED.contains(name)
}

fn module_file(parts: &Parts<'_>) -> Option<HookPath> {
    module(&Import::of_file(parts.directory, parts.name)?)
}

/// The kind of a file by the import that it satisfies.
fn module(import: &Import<'_>) -> Option<HookPath> {
    let modules = table::MODULES.iter().find(|modules| modules.contains(import.name))?;
    let role = match modules.imported_from {
        ImportedFrom::AnyDirectory => Some(location::of_bytes(import.directory))
            .filter(|role| import.form != HookForm::Directory || role.location != HookLocation::Elsewhere),
        ImportedFrom::StdlibOrAnySource => Some(location::stdlib(import.directory))
            .filter(|role| role.is_stdlib())
            .or((import.form == HookForm::Module).then_some(DirectoryRole::ELSEWHERE)),
        ImportedFrom::Stdlib => Some(location::stdlib(import.directory)).filter(|role| role.is_stdlib()),
        ImportedFrom::Encodings => {
            let library = match (import.name, split(import.directory)) {
                (b"encodings", _) => Some(import.directory),
                (_, (above, b"encodings")) => Some(above),
                _ => None,
            };
            library.map(location::stdlib).filter(|role| role.is_stdlib())
        }
        ImportedFrom::SearchedDirectory => Some(location::of_bytes(import.directory)).filter(|role| role.is_searched()),
    }?;
    let version = role.version.or(import.version);
    Some(HookPath { kind: modules.kind, form: import.form, location: role.location, version })
}

/// `site.addsitedir` reads `.pth` and `.start` files directly in a site directory only.
fn in_site_directory(kind: HookKind, parts: &Parts<'_>) -> HookPath {
    let role = location::of_bytes(parts.directory);
    let (location, version) = match role.location {
        HookLocation::Site | HookLocation::UserSite => (role.location, role.version),
        _ => (HookLocation::Elsewhere, None),
    };
    HookPath { kind, form: HookForm::File, location, version }
}

fn bundled_wheel(parts: &Parts<'_>) -> Option<HookPath> {
    let (above, owner) = table::WHEEL_DIRECTORIES.iter().find_map(|(directory, owner)| {
        let above = directory.rsplit('/').try_fold(parts.directory, |path, component| {
            let (above, name) = split(path);
            (name == component.as_bytes()).then_some(above)
        })?;
        Some((above, *owner))
    })?;
    let (location, version) = match owner {
        WheelOwner::System => (HookLocation::System, None),
        WheelOwner::Stdlib => {
            let role = location::stdlib(above);
            role.is_stdlib().then_some((role.location, role.version))?
        }
        WheelOwner::Package => {
            let role = location::of_bytes(above);
            role.is_searched().then_some((role.location, role.version))?
        }
    };
    Some(HookPath { kind: HookKind::BundledWheel, form: HookForm::Archive, location, version })
}

fn beside_program(kind: HookKind, version: Option<Version>) -> HookPath {
    HookPath { kind, form: HookForm::File, location: HookLocation::Program, version }
}

/// A `pyvenv.cfg` beside or above an interpreter that is in no virtual environment moves that interpreter's library: in
/// `/usr`, and in the prefixes of pyenv, uv and conda. Elsewhere it belongs to a virtual environment.
fn pyvenv_cfg(parts: &Parts<'_>) -> Option<HookPath> {
    if parts.name != b"pyvenv.cfg" {
        return None;
    }
    let (above, name) = split(parts.directory);
    let is_prefix = match (split(above).1, name) {
        (_, b"usr" | b"") | (b"usr", b"local") => true,
        // pyenv: `versions/3.12.1`; a virtual environment of pyenv-virtualenv has a name there.
        (b"versions", name) => name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        // uv: `python/cpython-3.13.1-linux-x86_64-gnu`.
        (b"python", name) => name.starts_with(b"cpython-") || name.starts_with(b"pypy-"),
        _ => false,
    };
    let is_of_interpreter =
        is_prefix || table::PROGRAM_DIRECTORIES.contains(&name) || table::CONDA_PREFIXES.contains(&name);
    let kind = if is_of_interpreter { HookKind::InterpreterConfig } else { HookKind::VenvConfig };
    Some(beside_program(kind, None))
}

/// `python3.11._pth` and `pybuilddir.txt` beside an interpreter, `libpython3.14.so.1.0._pth` beside its library.
fn interpreter_config(parts: &Parts<'_>) -> Option<HookPath> {
    let is_beside = table::PROGRAM_DIRECTORIES.contains(&split(parts.directory).1);
    let version = match parts.name.strip_suffix(b"._pth") {
        Some(program) if is_beside && program.starts_with(b"python") => interpreter_version(program).flatten(),
        Some(library) if library.starts_with(b"libpython") => None,
        None if is_beside && parts.name == b"pybuilddir.txt" => None,
        _ => return None,
    };
    Some(beside_program(HookKind::InterpreterConfig, version))
}

/// Interpreters, the directories that Python searches, and those of packages.
fn without_extension(parts: &Parts<'_>) -> Option<HookPath> {
    let Parts { path, directory, name } = *parts;
    if name.starts_with(b"py") {
        let holder = split(directory).1;
        if table::PROGRAM_DIRECTORIES.contains(&holder) || holder == b"shims" {
            return interpreter(name);
        }
        return searched_directory(location::stdlib(path));
    }
    match name {
        b"site-packages" | b"dist-packages" | b"lib-dynload" => {
            Some(location::of_bytes(path)).filter(|role| role.is_searched()).and_then(searched_directory)
        }
        b"__pycache__" => bytecode_cache(directory),
        // A package is found before a module of its name.
        _ => module(&Import::of_directory(directory, name)?),
    }
}

fn searched_directory(role: DirectoryRole) -> Option<HookPath> {
    let (kind, form) = match role.location {
        HookLocation::Elsewhere => return None,
        HookLocation::Archive => (HookKind::StdlibZip, HookForm::Archive),
        _ => (HookKind::SiteDirectory, HookForm::Directory),
    };
    Some(HookPath { kind, form, location: role.location, version: role.version })
}

/// A symbolic link in place of a `__pycache__` chooses the bytecode that runs.
fn bytecode_cache(directory: &[u8]) -> Option<HookPath> {
    let role = match split(directory) {
        (above, b"encodings") => Some(location::stdlib(above)).filter(|role| role.is_stdlib())?,
        _ => Some(location::of_bytes(directory)).filter(|role| role.is_searched())?,
    };
    let (kind, form) = (HookKind::SiteDirectory, HookForm::Directory);
    Some(HookPath { kind, form, location: role.location, version: role.version })
}

/// `python`, `python3`, `python3.11`, `python3.13t`, `python3.7m`, `pypy3`: not `python3-config`.
fn interpreter(name: &[u8]) -> Option<HookPath> {
    // ABI flags of CPython: free-threaded, pymalloc, debug, wide Unicode.
    let end = name.iter().rposition(|byte| !matches!(byte, b't' | b'm' | b'd' | b'u')).map_or(0, |last| last + 1);
    let version = match name {
        b"python" | b"pypy" => None,
        _ => interpreter_version(name.get(..end)?)?,
    };
    Some(beside_program(HookKind::Interpreter, version))
}

fn environment(path: &Path) -> Option<HookPath> {
    let (_, location) = env::grammar(path)?;
    Some(HookPath { kind: HookKind::Environment, form: HookForm::File, location, version: None })
}
