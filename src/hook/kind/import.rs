//! Which import a file satisfies, by the suffixes of CPython's `importlib.machinery` and of PyPy.

use crate::event::HookForm;
use crate::hook::location::{Version, joined_version, split};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file that satisfies the import of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import<'p> {
    /// The import name without its package.
    pub(super) name: &'p [u8],
    /// The shape of the file itself: the `__init__.so` of a package is an extension.
    pub form: HookForm,
    /// Must be on the path for the import to find the file.
    pub(super) directory: &'p [u8],
    /// By the tag in the file's name.
    pub version: Option<Version>,
}

impl<'p> Import<'p> {
    /// The import that this path would satisfy: `x.py`, `x/__init__.py`, `x.*.so`, `__pycache__/x.*.pyc` and so on. A name
    /// without a dot is taken for the directory of a package.
    pub fn of(path: &'p Path) -> Option<Self> {
        let (directory, name) = split(path.as_os_str().as_encoded_bytes());
        Self::of_file(directory, name).or_else(|| Self::of_directory(directory, name))
    }

    /// The import name without its package.
    pub fn name(&self) -> &'p OsStr {
        OsStr::from_bytes(self.name)
    }

    /// The directory that must be on the path.
    pub fn directory(&self) -> &'p Path {
        Path::new(OsStr::from_bytes(self.directory))
    }

    pub(super) fn of_directory(directory: &'p [u8], name: &'p [u8]) -> Option<Self> {
        let is_name = !name.is_empty() && !name.contains(&b'.');
        is_name.then_some(Self { name, form: HookForm::Directory, directory, version: None })
    }

    pub(super) fn of_file(directory: &'p [u8], file: &'p [u8]) -> Option<Self> {
        let dot = file.iter().position(|byte| *byte == b'.')?;
        let (name, suffix) = (file.get(..dot)?, file.get(dot + 1..)?);
        let (form, tag) = form_of(suffix)?;
        let directory = match (split(directory), form) {
            // PEP 3147: compiled files with a tag are read from `__pycache__` only.
            ((above, b"__pycache__"), HookForm::Bytecode) => above,
            (_, HookForm::Bytecode) => return None,
            _ => directory,
        };
        let import = Self { name, form, directory, version: tag.and_then(tagged_version) };
        match (name, split(directory)) {
            (b"", _) | (b"__init__", (_, b"")) => None,
            (b"__init__", (above, package)) => {
                let form = if form == HookForm::Module { HookForm::Package } else { form };
                Some(Self { name: package, form, directory: above, ..import })
            }
            // Python 2 also takes `xmodule.so` for `x`.
            (b"sitecustomizemodule" | b"usercustomizemodule", _) if suffix == b"so" => {
                Some(Self { name: name.strip_suffix(b"module").unwrap_or(name), ..import })
            }
            _ => Some(import),
        }
    }
}

/// The form of a file by what follows the first dot of its name, and the tag of the implementation.
fn form_of(suffix: &[u8]) -> Option<(HookForm, Option<&[u8]>)> {
    match suffix {
        b"py" => return Some((HookForm::Module, None)),
        b"pyc" | b"pyo" => return Some((HookForm::Sourceless, None)),
        b"so" => return Some((HookForm::Extension, None)),
        _ => {}
    }
    if let Some(tag) = suffix.strip_suffix(b".so") {
        return is_extension_tag(tag).then_some((HookForm::Extension, Some(tag)));
    }
    // `cpython-311.pyc`, `cpython-311.opt-1.pyc`.
    Some((HookForm::Bytecode, Some(suffix.strip_suffix(b".pyc")?)))
}

/// `cpython-311-x86_64-linux-gnu`, `abi3` (PEP 3149, PEP 384): importlib looks for no other tag before `.so`.
fn is_extension_tag(tag: &[u8]) -> bool {
    matches!(tag, b"abi3" | b"abi3t")
        || [b"cpython-".as_slice(), b"pypy", b"graalpy"].iter().any(|start| tag.starts_with(start))
}

/// The digits after the implementation's name: `cpython-311-x86_64-linux-gnu`, `cpython-313t`, `pypy310.opt-1`.
fn tagged_version(tag: &[u8]) -> Option<Version> {
    let rest = tag.strip_prefix(b"cpython-").or_else(|| tag.strip_prefix(b"pypy"))?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    joined_version(rest.get(..digits)?)
}
