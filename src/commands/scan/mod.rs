//! `pyhookwatch scan`: the files that Python runs at start-up now, their content and their packages.

mod inspect;
mod json;
mod report;
mod table;

use super::exit::Exit;
use super::local_filesystems;
use super::output::{print, print_diagnostics, print_error, print_json};
use super::overrides::canonical_root;
use super::style::Style;
use crate::diagnostic::DiagnosticKind;
use crate::escape;
use crate::event::HookKind;
use crate::hook::kind;
use std::io;
use std::path::{Path, PathBuf};

/// What to scan.
pub struct ScanRequest {
    /// Treated as `/`.
    pub root: Option<PathBuf>,
    /// JSON instead of a table.
    pub json: bool,
    /// Only these files and directories.
    pub paths: Vec<PathBuf>,
}

/// Inspects every hook and prints the result.
pub fn scan(request: &ScanRequest) -> Exit {
    let root = match canonical_root(request.root.as_deref().unwrap_or(Path::new("/"))) {
        Ok(root) => root,
        Err(problem) => {
            let no_permission = problem.kind == DiagnosticKind::NoPermission;
            print_diagnostics(&[problem]);
            return if no_permission { Exit::NoPermission } else { Exit::Usage };
        }
    };
    let mut wanted = Vec::new();
    for path in &request.paths {
        match top(&root, path) {
            Ok(top) => wanted.push(top),
            Err((exit, reason)) => {
                let path = escape::reversible(path.as_os_str().as_encoded_bytes());
                print_error(format_args!("{path}: {reason}"));
                return exit;
            }
        }
    }
    if wanted.is_empty() {
        wanted = local_filesystems::below(&root);
    }
    let report = inspect::inspect(&root, &wanted);
    if request.json {
        print_json(&json::of(&report));
    } else {
        print(&table::of(&report, &Style::of_output()));
    }
    report.exit()
}

/// The path below the root for an argument. A symbolic link as the last name stays, because it may be a hook.
fn top(root: &Path, path: &Path) -> Result<PathBuf, (Exit, String)> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => (Exit::NoPermission, error.to_string()),
        _ => (Exit::Usage, format!("{error}; name a file or directory")),
    };
    let path = if path.is_absolute() && !path.starts_with(root) {
        root.join(path.strip_prefix("/").unwrap_or(path))
    } else {
        path.to_path_buf()
    };
    let is_link = std::fs::symlink_metadata(&path).map_err(refused)?.is_symlink();
    let whole = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if is_link => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            parent.canonicalize().map_err(refused)?.join(name)
        }
        _ => path.canonicalize().map_err(refused)?,
    };
    let seen = Path::new("/").join(whole.strip_prefix(root).unwrap_or(&whole));
    let whole =
        if is_link && kind::of(&seen).kind == HookKind::Other { whole.canonicalize().map_err(refused)? } else { whole };
    if whole.starts_with(root) {
        Ok(whole)
    } else {
        Err((Exit::Usage, format!("it lies outside of {}", root.display())))
    }
}
