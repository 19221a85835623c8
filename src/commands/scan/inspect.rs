//! Finds every hook, inspects its content, and follows it to further hooks.

use super::report::{JudgedHook, Report};
use crate::event::{FileState, Hook, HookKind, HookLocation};
use crate::hook::content::Limits;
use crate::hook::sites::{self, FoundHook, Inventory, Progress};
use crate::hook::tracked_paths::TrackedPaths;
use crate::hook::{Surface, kind, location};
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A search that takes longer shows its progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);
/// Longest chain of hooks that lead to further ones: a `.pth` to a directory, its `usercustomize` to a module.
const ROUNDS: usize = 3;

/// Searches these directories and inspects every hook. Shows the progress on a terminal.
pub fn inspect(root: &Path, tops: &[PathBuf]) -> Report {
    let has_shown = Cell::new(false);
    let (started, is_terminal) = (Instant::now(), io::stderr().is_terminal());
    let show = |progress: Progress| {
        if is_terminal && started.elapsed() > PROGRESS_AFTER {
            let Progress { directories, found } = progress;
            let _ = write!(io::stderr(), "\rpyhookwatch: {directories} directories, {found} names of interest\x1b[K");
            has_shown.set(true);
        }
    };
    let mut inventory = sites::take_inventory(root, tops, &show);
    if has_shown.get() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let hooks = inspect_all(root, &mut inventory);
    let skipped = hooks.iter().filter_map(|judged| match &judged.hook.file.state {
        FileState::Unreadable(reason) => Some((judged.found.path.clone(), reason.clone())),
        _ => None,
    });
    let skipped = skipped.collect();
    Report { root: root.to_path_buf(), inventory, hooks, skipped }
}

/// Inspects every hook, then the files that these lead to.
fn inspect_all(root: &Path, inventory: &mut Inventory) -> Vec<JudgedHook> {
    let tracked = Arc::new(TrackedPaths::default());
    let mut surface = Surface::new(root, tracked.clone(), SystemTime::now());
    let mut judged: BTreeMap<PathBuf, JudgedHook> = BTreeMap::new();
    let mut followed = HashSet::new();
    for _ in 0..ROUNDS {
        let new: Vec<FoundHook> =
            inventory.hooks.iter().filter(|found| !judged.contains_key(&found.path)).cloned().collect();
        if new.is_empty() {
            break;
        }
        let mut modules: BTreeMap<PathBuf, HashSet<OsString>> = BTreeMap::new();
        for found in new {
            if found.hook_path != kind::of(&found.path) {
                tracked.add_file(found.path.clone(), found.hook_path);
            }
            let hook = match inventory.open(&found) {
                Ok(file) => {
                    Hook { path: found.hook_path, ..surface.inspect(&file, found.hook_path, Limits::default()).0 }
                }
                Err(error) => unreadable(&found, &error),
            };
            surface.track(&found.path, &hook);
            follow(&found, &hook, inventory, &mut modules);
            judged.insert(found.path.clone(), JudgedHook { found, hook });
        }
        for (directory, names) in modules {
            if followed.insert((directory.clone(), names.len())) {
                let place = location::of(&directory).location;
                let place = if place == HookLocation::Elsewhere { HookLocation::SearchPath } else { place };
                inventory.find_modules(&directory, place, &names);
            }
        }
        // A hook whose classification changed meanwhile is inspected again.
        for found in &inventory.hooks {
            if judged.get(&found.path).is_some_and(|known| known.found.hook_path != found.hook_path) {
                judged.remove(&found.path);
            }
        }
    }
    let is_listed = |judged: &JudgedHook| {
        let sets_nothing = judged.found.hook_path.kind == HookKind::Environment
            && judged.hook.content.settings.is_empty()
            && !matches!(judged.hook.file.state, FileState::Unreadable(_));
        !sets_nothing && judged.hook.file.state != FileState::Gone
    };
    judged.into_values().filter(is_listed).collect()
}

/// The hook of a file that cannot be opened.
fn unreadable(found: &FoundHook, error: &io::Error) -> Hook {
    let mut hook = Hook::new(found.hook_path);
    hook.file.state = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileState::Gone,
        _ => FileState::Unreadable(error.to_string()),
    };
    hook
}

/// Finds the directories that a hook adds to the path. Adds the names of its imports to each directory that may hold
/// them.
fn follow(
    found: &FoundHook,
    hook: &Hook,
    inventory: &mut Inventory,
    modules: &mut BTreeMap<PathBuf, HashSet<OsString>>,
) {
    let leads_on = found.hook_path.kind.leads_on() && found.hook_path.location != HookLocation::Elsewhere;
    let Some(holder) = found.path.parent().filter(|_| leads_on) else {
        return;
    };
    let mut directories = vec![holder.to_path_buf()];
    if found.hook_path.kind == HookKind::Pth {
        directories.extend(hook.content.paths.iter().filter_map(|added| inventory.search_directory(holder, added)));
    }
    // Beside the hook, in the directories that it adds, and in the packages of its Python.
    let prefix = sites::prefix(&found.path, found.hook_path.kind);
    let own = inventory.pythons.iter().filter(|python| Some(&python.prefix) == prefix.as_ref());
    let own = own.flat_map(|python| &python.directories);
    let packages = own.filter(|site| matches!(site.location, HookLocation::Site | HookLocation::UserSite));
    directories.extend(packages.map(|site| site.path.clone()));
    for directory in directories {
        modules.entry(directory).or_default().extend(hook.content.imports.iter().map(OsString::from));
    }
}
