//! `pyhookwatch scan`: what would run at start-up now, and whose it is.

mod json;
mod table;

use super::exit::Exit;
use super::local_filesystems;
use super::output::{print, print_diagnostics, print_error};
use super::overrides::canonical_root;
use super::style::Style;
use crate::diagnostic::DiagnosticKind;
use crate::escape;
use crate::event::{ContentClass, FileState, Hook, HookKind, HookLocation, Provenance};
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

/// Progress is shown of walks that take longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// Times that what was found may lead to more: a `.pth` to a directory, its `usercustomize` to a module.
const ROUNDS: usize = 3;

/// What to scan.
pub struct ScanRequest {
    /// Treated as `/`.
    pub root: Option<PathBuf>,
    /// JSON instead of a table.
    pub json: bool,
    /// Only these files and directories.
    pub paths: Vec<PathBuf>,
}

/// A hook, and what was seen in it.
struct Judged {
    found: FoundHook,
    hook: Hook,
}

impl Judged {
    /// Whether a person should see it: not what every Python has, as its package brought it.
    fn is_remarkable(&self) -> bool {
        let is_bad = matches!(self.hook.content.class, ContentClass::Hostile | ContentClass::Suspicious);
        let is_changed = matches!(self.hook.provenance, Provenance::Changed(_));
        let is_part_of_python = matches!(
            self.found.hook_path.kind,
            HookKind::Site
                | HookKind::StdlibBoot
                | HookKind::StdlibFile
                | HookKind::Interpreter
                | HookKind::BundledWheel
        );
        is_bad || is_changed || !(is_part_of_python || self.found.hook_path.location == HookLocation::Elsewhere)
    }
}

/// Everything that is told.
struct Report {
    root: PathBuf,
    inventory: Inventory,
    hooks: Vec<Judged>,
    /// Hooks that could not be read, and why.
    unread: Vec<(PathBuf, String)>,
}

impl Report {
    fn count(&self, class: ContentClass) -> usize {
        self.hooks.iter().filter(|judged| judged.hook.content.class == class).count()
    }

    fn exit(&self) -> Exit {
        if self.count(ContentClass::Hostile) > 0 {
            Exit::Finding
        } else if self.inventory.unreadable > 0 || !self.unread.is_empty() {
            Exit::NoPermission
        } else {
            Exit::Fine
        }
    }
}

/// Walks, judges every hook, and prints what was found.
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
    let report = judge(&root, &wanted);
    print(&if request.json { json::of(&report) } else { table::of(&report, &Style::of_output()) });
    report.exit()
}

/// The path below the root that an argument means. The last name stays if it is a link: it may be a hook.
fn top(root: &Path, path: &Path) -> Result<PathBuf, (Exit, String)> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => (Exit::NoPermission, error.to_string()),
        _ => (Exit::Usage, format!("{error}; name a file or directory")),
    };
    let path = match path.is_absolute() && !path.starts_with(root) {
        true => root.join(path.strip_prefix("/").unwrap_or(path)),
        false => path.to_path_buf(),
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
    let whole = match is_link && kind::of(&seen).kind == HookKind::Other {
        true => whole.canonicalize().map_err(refused)?,
        false => whole,
    };
    match whole.starts_with(root) {
        true => Ok(whole),
        false => Err((Exit::Usage, format!("it lies outside of {}", root.display()))),
    }
}

fn judge(root: &Path, tops: &[PathBuf]) -> Report {
    let told = Cell::new(false);
    let (started, is_watched) = (Instant::now(), io::stderr().is_terminal());
    let tell = |progress: Progress| {
        if is_watched && started.elapsed() > PATIENCE {
            let Progress { directories, found } = progress;
            // Nobody is left to tell when printing fails.
            let _ = write!(io::stderr(), "\rpyhookwatch: {directories} directories, {found} names of interest\x1b[K");
            told.set(true);
        }
    };
    let mut inventory = sites::take_inventory(root, tops, &tell);
    if told.get() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let hooks = look_at_all(root, &mut inventory);
    let unread = hooks.iter().filter_map(|judged| match &judged.hook.file.state {
        FileState::Unreadable(reason) => Some((judged.found.path.clone(), reason.clone())),
        _ => None,
    });
    let unread = unread.collect();
    Report { root: root.to_path_buf(), inventory, hooks, unread }
}

/// Looks at every hook, then at what these lead to.
fn look_at_all(root: &Path, inventory: &mut Inventory) -> Vec<Judged> {
    let tracked = Arc::new(TrackedPaths::default());
    let mut surface = Surface::new(root, tracked.clone(), SystemTime::now());
    let mut judged: BTreeMap<PathBuf, Judged> = BTreeMap::new();
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
                Err(error) => unread(&found, &error),
            };
            surface.track(&found.path, &hook);
            follow(&found, &hook, inventory, &mut modules);
            judged.insert(found.path.clone(), Judged { found, hook });
        }
        for (directory, names) in modules {
            if followed.insert((directory.clone(), names.len())) {
                let place = location::of(&directory).location;
                let place = if place == HookLocation::Elsewhere { HookLocation::SearchPath } else { place };
                inventory.find_modules(&directory, place, &names);
            }
        }
        // One that is known by more than its path by now is looked at again.
        for found in &inventory.hooks {
            if judged.get(&found.path).is_some_and(|known| known.found.hook_path != found.hook_path) {
                judged.remove(&found.path);
            }
        }
    }
    let is_told = |judged: &Judged| {
        let sets_nothing = judged.found.hook_path.kind == HookKind::Environment
            && judged.hook.content.settings.is_empty()
            && !matches!(judged.hook.file.state, FileState::Unreadable(_));
        !sets_nothing && judged.hook.file.state != FileState::Gone
    };
    judged.into_values().filter(is_told).collect()
}

fn unread(found: &FoundHook, error: &io::Error) -> Hook {
    let mut hook = Hook::new(found.hook_path);
    hook.file.state = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileState::Gone,
        _ => FileState::Unreadable(error.to_string()),
    };
    hook
}

/// Finds the directories that a hook adds to the path, and notes where the modules it imports may lie.
fn follow(
    found: &FoundHook,
    hook: &Hook,
    inventory: &mut Inventory,
    modules: &mut BTreeMap<PathBuf, HashSet<OsString>>,
) {
    let leads_on = matches!(
        found.hook_path.kind,
        HookKind::Pth | HookKind::Start | HookKind::Sitecustomize | HookKind::Usercustomize
    );
    let Some(holder) = found.path.parent().filter(|_| leads_on && found.hook_path.location != HookLocation::Elsewhere)
    else {
        return;
    };
    let mut directories = vec![holder.to_path_buf()];
    if found.hook_path.kind == HookKind::Pth {
        directories.extend(hook.content.paths.iter().filter_map(|added| inventory.search_directory(holder, added)));
    }
    // Beside the hook, in the packages of its Python, and where it adds to the path itself.
    let prefix = sites::prefix(&found.path, found.hook_path.kind);
    let own = inventory.pythons.iter().filter(|python| Some(&python.prefix) == prefix.as_ref());
    let own = own.flat_map(|python| &python.directories);
    let packages = own.filter(|site| matches!(site.location, HookLocation::Site | HookLocation::UserSite));
    directories.extend(packages.map(|site| site.path.clone()));
    for directory in directories {
        modules.entry(directory).or_default().extend(hook.content.imports.iter().map(OsString::from));
    }
}
