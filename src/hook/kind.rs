//! Which start-up hook a path is, by its name and the role of its directory: never by where the tree lies. Pure,
//! and without an allocation: it is asked for every file whose name could be a hook's.
//!
//! The names and places are those that were seen to execute on Python 2.7 to 3.15. Case matters as it does for
//! Python. A path alone cannot tell what PYTHONPATH and `.pth` lines add to the search path, nor which modules
//! the hooks of this machine import: [`module_of`] and [`directory`] serve those who have learned that.

use super::env;
use super::place::{find, is_core, is_searched, joined, library, named, split};
use crate::event::{HookForm, HookKind, HookLocation, HookPath};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use super::place::{Directory, Version, directory};

/// The modules of a kind, and the patterns of the names that their files and packages can have.
macro_rules! modules {
    ($(#[$meta:meta])* $list:ident, $names:ident: $($name:literal)* $(; $more:literal)?) => {
        $(#[$meta])*
        const $list: &[&str] = &[$($name),*];
        const $names: &[&str] = &[$($name, concat!($name, ".*"),)* "__init__.*" $(, $more)?];
    };
}

modules! {
    /// `encodings` and what Python imports of it before anything else: the codec of the locale among them.
    BOOT, BOOT_NAMES: "encodings" "aliases" "utf_8" "ascii" "latin_1" "utf_8_sig"
}
modules! {
    /// What Python 2.7 to 3.10 import at every start; later ones have most of them frozen into the interpreter.
    STDLIB, STDLIB_NAMES:
    "os" "io" "codecs" "abc" "posixpath" "genericpath" "stat" "_collections_abc" "_sitebuiltins" "_bootlocale"
    "_weakrefset" "sysconfig" "UserDict" "_abcoll" "_sysconfigdata" "copy_reg" "linecache" "re" "sre_compile"
    "sre_constants" "sre_parse" "traceback" "types" "warnings"
}
modules! {
    /// What hooks of common packages import; `__editable___NAME_finder` is that of an editable install.
    IMPORTED, IMPORTED_NAMES: "apport_python_hook" "_distutils_hack" "_virtualenv"; "__editable__*"
}

/// What the path is. [`HookKind::Other`] with [`HookLocation::Elsewhere`] when it is no hook.
///
/// The form is that of the file itself: the `__init__.so` of a package is an extension, and `package` a source.
pub fn of(path: &Path) -> HookPath {
    let (directory, name) = split(path.as_os_str().as_encoded_bytes());
    let ending = name.iter().rposition(|byte| *byte == b'.').and_then(|dot| name.get(dot + 1..)).unwrap_or_default();
    let found = match ending {
        b"py" | b"pyc" | b"pyo" | b"so" => import(directory, name).and_then(|import| module(&import)),
        b"pth" => Some(beside_packages(HookKind::Pth, directory)),
        b"start" => Some(beside_packages(HookKind::Start, directory)),
        b"whl" => wheel(directory),
        b"cfg" if name == b"pyvenv.cfg" => Some(program(pyvenv(directory), None)),
        b"_pth" | b"txt" => interpreter_config(directory, name),
        _ => without_ending(path, directory, name),
    };
    // Code is most of what is asked for, and no file that sets variables is named so.
    let is_code = matches!(ending, b"py" | b"pyc" | b"pyo" | b"so");
    found.or_else(|| if is_code { None } else { environment(path) }).unwrap_or(HookPath {
        kind: HookKind::Other,
        form: HookForm::File,
        location: HookLocation::Elsewhere,
        version: None,
    })
}

/// The import name that this path would satisfy, its form, and the directory that must be on the path for it:
/// `x.py`, `x/__init__.py`, `x.*.so`, `__pycache__/x.*.pyc` and so on. A name without an ending is taken for the
/// directory of a package. Whether Python searches the directory is another question: [`directory`].
pub fn module_of(path: &Path) -> Option<(&OsStr, HookForm, &Path)> {
    let (directory, name) = split(path.as_os_str().as_encoded_bytes());
    let import = import(directory, name).or_else(|| {
        let is_name = !name.is_empty() && !name.contains(&b'.');
        is_name.then_some(Import { name, form: HookForm::Directory, directory, version: None })
    })?;
    Some((OsStr::from_bytes(import.name), import.form, Path::new(OsStr::from_bytes(import.directory))))
}

/// A file that satisfies the import of a module.
struct Import<'p> {
    name: &'p [u8],
    form: HookForm,
    directory: &'p [u8],
    /// By the tag in the file's name.
    version: Option<Version>,
}

fn import<'p>(directory: &'p [u8], file: &'p [u8]) -> Option<Import<'p>> {
    let dot = file.iter().position(|byte| *byte == b'.')?;
    let (name, ending) = (file.get(..dot)?, file.get(dot + 1..)?);
    let (form, tag) = match ending {
        b"py" => (HookForm::Module, None),
        b"pyc" | b"pyo" => (HookForm::Sourceless, None),
        b"so" => (HookForm::Extension, None),
        _ => match ending.strip_suffix(b".so") {
            Some(tag) if is_extension_tag(tag) => (HookForm::Extension, Some(tag)),
            Some(_) => return None,
            // `cpython-311.pyc`, `cpython-311.opt-1.pyc`.
            None => (HookForm::Bytecode, Some(ending.strip_suffix(b".pyc")?)),
        },
    };
    let directory = match (split(directory), form) {
        ((above, b"__pycache__"), HookForm::Bytecode) => above,
        // Compiled files with a tag are read in `__pycache__` only.
        (_, HookForm::Bytecode) => return None,
        _ => directory,
    };
    let import = Import { name, form, directory, version: tag.and_then(tagged_version) };
    match (name, split(directory)) {
        (b"", _) => None,
        (b"__init__", (_, b"")) => None,
        (b"__init__", (above, package)) => {
            let form = if form == HookForm::Module { HookForm::Package } else { form };
            Some(Import { name: package, form, directory: above, ..import })
        }
        // Python 2 also takes `xmodule.so` for `x`.
        (b"sitecustomizemodule" | b"usercustomizemodule", _) if ending == b"so" => {
            Some(Import { name: name.strip_suffix(b"module").unwrap_or(name), ..import })
        }
        _ => Some(import),
    }
}

/// `cpython-311-x86_64-linux-gnu`, `abi3`: nothing else is looked for before `.so`.
fn is_extension_tag(tag: &[u8]) -> bool {
    matches!(tag, b"abi3" | b"abi3t")
        || [b"cpython-".as_slice(), b"pypy", b"graalpy"].iter().any(|start| tag.starts_with(start))
}

/// `cpython-311-x86_64-linux-gnu`, `cpython-313t`, `pypy310.opt-1`: digits after the implementation's name.
fn tagged_version(tag: &[u8]) -> Option<Version> {
    let rest = tag.strip_prefix(b"cpython-").or_else(|| tag.strip_prefix(b"pypy"))?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    joined(rest.get(..digits)?)
}

/// What a file that satisfies an import is.
fn module(import: &Import<'_>) -> Option<HookPath> {
    let at = |kind, found: Directory| HookPath {
        kind,
        form: import.form,
        location: found.place,
        version: found.version.or(import.version),
    };
    match import.name {
        b"sitecustomize" => {
            Some(at(HookKind::Sitecustomize, find(import.directory))).filter(|at| is_there(at, import.form))
        }
        b"usercustomize" => {
            Some(at(HookKind::Usercustomize, find(import.directory))).filter(|at| is_there(at, import.form))
        }
        b"site" => {
            let found = library(import.directory);
            match is_core(found) {
                true => Some(at(HookKind::Site, found)),
                false if import.form == HookForm::Module => {
                    Some(at(HookKind::Site, Directory { place: HookLocation::Elsewhere, version: None }))
                }
                false => None,
            }
        }
        name if is_one_of(BOOT, name) => {
            let holder = match (name, split(import.directory)) {
                (b"encodings", _) => import.directory,
                (_, (above, b"encodings")) => above,
                _ => return None,
            };
            Some(library(holder)).filter(|found| is_core(*found)).map(|found| at(HookKind::StdlibBoot, found))
        }
        name if is_one_of(STDLIB, name) => {
            let found = library(import.directory);
            is_core(found).then(|| at(HookKind::StdlibFile, found))
        }
        name if is_imported(name) => {
            let found = find(import.directory);
            is_searched(found).then(|| at(HookKind::Module, found))
        }
        _ => None,
    }
}

/// Whether hooks of common packages import a module of this name.
pub(super) fn is_imported(name: &[u8]) -> bool {
    is_one_of(IMPORTED, name) || name.starts_with(b"__editable__")
}

/// A directory of a customize module's name is one only where Python looks; a file is worth a word anywhere.
fn is_there(at: &HookPath, form: HookForm) -> bool {
    form != HookForm::Directory || at.location != HookLocation::Elsewhere
}

fn is_one_of(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|known| known.as_bytes() == name)
}

/// `.pth` and `.start` count only directly in a site directory.
fn beside_packages(kind: HookKind, directory: &[u8]) -> HookPath {
    let found = find(directory);
    let (place, version) = match found.place {
        HookLocation::Site | HookLocation::UserSite => (found.place, found.version),
        _ => (HookLocation::Elsewhere, None),
    };
    HookPath { kind, form: HookForm::File, location: place, version }
}

/// Wheels that go into every new virtual environment: Debian's, those of `ensurepip` and of virtualenv.
fn wheel(directory: &[u8]) -> Option<HookPath> {
    let at = |found: Directory| HookPath {
        kind: HookKind::BundledWheel,
        form: HookForm::Archive,
        location: found.place,
        version: found.version,
    };
    let (above, name) = split(directory);
    let (higher, parent) = split(above);
    match (parent, name) {
        (b"share", b"python-wheels") => Some(at(Directory { place: HookLocation::System, version: None })),
        (b"ensurepip", b"_bundled") => Some(library(higher)).filter(|found| is_core(*found)).map(at),
        (b"wheels", b"embed") if higher.ends_with(b"/virtualenv/seed") => {
            Some(find(split(split(higher).0).0)).filter(|found| is_searched(*found)).map(at)
        }
        _ => None,
    }
}

fn program(kind: HookKind, version: Option<Version>) -> HookPath {
    HookPath { kind, form: HookForm::File, location: HookLocation::Program, version }
}

/// Whether a `pyvenv.cfg` makes an interpreter that is no virtual environment's believe that it is: beside an
/// interpreter, where no tool writes it, and above the interpreters of a system, pyenv, uv or conda. Elsewhere it
/// is taken for a virtual environment's own, though the path cannot tell.
fn pyvenv(directory: &[u8]) -> HookKind {
    let (above, name) = split(directory);
    let parent = split(above).1;
    let is_planted = match name {
        b"bin" | b"sbin" | b"usr" | b"" => true,
        b"local" => parent == b"usr",
        b"conda" | b"anaconda3" | b"miniconda3" | b"miniforge3" | b"mambaforge" => true,
        _ if parent == b"versions" => name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        _ if parent == b"python" => name.starts_with(b"cpython-") || name.starts_with(b"pypy-"),
        _ => false,
    };
    if is_planted { HookKind::InterpreterConfig } else { HookKind::VenvConfig }
}

/// `python3.11._pth` and `pybuilddir.txt` beside an interpreter, `libpython3.14.so.1.0._pth` beside its library.
fn interpreter_config(directory: &[u8], name: &[u8]) -> Option<HookPath> {
    let beside = matches!(split(directory).1, b"bin" | b"sbin");
    match name.strip_suffix(b"._pth") {
        Some(program_name) if beside && program_name.starts_with(b"python") => {
            Some(program(HookKind::InterpreterConfig, named(program_name).flatten()))
        }
        Some(library) if library.starts_with(b"libpython") => Some(program(HookKind::InterpreterConfig, None)),
        None if beside && name == b"pybuilddir.txt" => Some(program(HookKind::InterpreterConfig, None)),
        _ => None,
    }
}

/// Interpreters, the directories that Python searches and those of packages: names without a known ending.
fn without_ending(path: &Path, directory: &[u8], name: &[u8]) -> Option<HookPath> {
    let is_directory_of = |found: Directory| HookPath {
        kind: if found.place == HookLocation::Archive { HookKind::StdlibZip } else { HookKind::SiteDirectory },
        form: if found.place == HookLocation::Archive { HookForm::Archive } else { HookForm::Directory },
        location: found.place,
        version: found.version,
    };
    if name.starts_with(b"py") {
        if matches!(split(directory).1, b"bin" | b"sbin" | b"shims") {
            return interpreter(name);
        }
        let found = library(path.as_os_str().as_encoded_bytes());
        return (found.place != HookLocation::Elsewhere).then(|| is_directory_of(found));
    }
    match name {
        b"site-packages" | b"dist-packages" | b"lib-dynload" => {
            Some(find(path.as_os_str().as_encoded_bytes())).filter(|found| is_searched(*found)).map(is_directory_of)
        }
        // Whoever puts a link here decides which bytecode runs.
        b"__pycache__" => {
            let holder = match split(directory) {
                (above, b"encodings") => Some(library(above)).filter(|found| is_core(*found))?,
                _ => find(directory),
            };
            is_searched(holder)
                .then(|| is_directory_of(Directory { place: holder.place, version: holder.version }))
                .map(|at| HookPath { kind: HookKind::SiteDirectory, form: HookForm::Directory, ..at })
        }
        // The directory of a package comes before a module of its name.
        _ if !name.contains(&b'.') => module(&Import { name, form: HookForm::Directory, directory, version: None }),
        _ => None,
    }
}

/// `python`, `python3`, `python3.11`, `python3.13t`, `python3.7m`, `pypy3`: not `python3-config`.
fn interpreter(name: &[u8]) -> Option<HookPath> {
    let end = name.iter().rposition(|byte| !matches!(byte, b't' | b'm' | b'd' | b'u')).map_or(0, |last| last + 1);
    let version = match name {
        b"python" | b"pypy" => None,
        _ => named(name.get(..end)?)?,
    };
    Some(program(HookKind::Interpreter, version))
}

fn environment(path: &Path) -> Option<HookPath> {
    let (_, place) = env::grammar(path)?;
    Some(HookPath { kind: HookKind::Environment, form: HookForm::File, location: place, version: None })
}

/// File names that a kind of hook can have, for the name filter: exact, `*` and an ending, or a beginning and `*`.
/// Many are common (`__init__.*`, `os.*`): whether such a name is a hook, [`of`] tells by its directory. Empty for
/// a kind that is not known by its name.
pub fn names(kind: &str) -> &'static [&'static str] {
    match kind {
        "sitecustomize" => &["sitecustomize", "sitecustomize.*", "sitecustomizemodule.so", "__init__.*"],
        "usercustomize" => &["usercustomize", "usercustomize.*", "usercustomizemodule.so", "__init__.*"],
        "pth" => &["*.pth"],
        "start" => &["*.start"],
        "site" => &["site", "site.*", "__init__.*"],
        "stdlib-boot" => BOOT_NAMES,
        "stdlib-file" => STDLIB_NAMES,
        "stdlib-zip" => &["python*"],
        "interpreter-config" => &["pyvenv.cfg", "*._pth", "pybuilddir.txt"],
        "venv-config" => &["pyvenv.cfg"],
        "module" => IMPORTED_NAMES,
        "bundled-wheel" => &["*.whl"],
        "interpreter" => &["python*", "pypy*"],
        "site-directory" => &["python*", "pypy*", "site-packages", "dist-packages", "lib-dynload", "__pycache__"],
        // Any name can be learned; these are usual.
        "startup-script" => &[".pythonrc", ".pythonrc.py", ".pythonstartup"],
        "environment" => &env::NAMES,
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
