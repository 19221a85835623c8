//! One entry of the inventory.

use crate::event::{HookForm, HookKind, HookPath};
use crate::hook::kind;
use crate::walk::Kind;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A start-up file or a directory that Python searches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHook {
    /// The path as Python sees it, with the inventory's root as `/`.
    pub path: PathBuf,
    /// What the path is.
    pub hook_path: HookPath,
    /// What the directory entry is.
    pub entry: Kind,
    /// The path without symbolic links, below the root too, where it differs.
    pub real_path: Option<PathBuf>,
}

impl FoundHook {
    /// The entry at this path (with the root as `/`), if an inventory lists it.
    pub fn at(path: PathBuf, entry: Kind) -> Option<Self> {
        let mut hook_path = kind::of(&path);
        let is_directory = matches!(entry, Kind::Directory | Kind::OtherFilesystem);
        let is_listed = match (hook_path.kind, hook_path.form) {
            (HookKind::Other, _) => false,
            (HookKind::StdlibZip, _) if is_directory => {
                hook_path.form = HookForm::Directory;
                true
            }
            // Every package directory has a cache: only a link in its place is listed.
            (HookKind::SiteDirectory, _) if is_directory => path.file_name() != Some(OsStr::new("__pycache__")),
            // A directory in place of a package or a file: the walk finds the files in it.
            _ if is_directory => false,
            (_, HookForm::Directory) => entry == Kind::SymbolicLink,
            _ => true,
        };
        is_listed.then_some(Self { path, hook_path, entry, real_path: None })
    }
}

/// The path of this machine as a process with this root sees it.
pub fn seen_from(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).map_or_else(|_| path.to_path_buf(), |below| Path::new("/").join(below))
}
