//! Follows a hook to the target of a link, its imported modules, the directories it adds to the path, and the file
//! that Python finds before it.
//!
//! Everything is opened below the root, without magic links and without entering another filesystem: a link to a dead
//! server must not block the daemon. A target that cannot be opened so has the class unknown.

use super::birth;
use super::classify;
use super::content;
use super::content::{Content, Limits};
use super::tracked_paths::TrackedPaths;
use super::{kind, location};
use crate::event::{ContentClass, FileRef, FileState, Hook, HookForm, HookKind, HookLocation, HookPath, Signal};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Most modules and directories followed from one hook.
const MAX_FOLLOWED: usize = 8;
/// Bytes read of each, and of all together before no further one is opened.
const MAX_READ: usize = 256 << 10;
const MAX_READ_IN_ALL: u64 = 512 << 10;

/// The content and the real path of the target of a symbolic link.
pub fn target(root: &Path, link: &Path, target: &Path, limits: Limits) -> (Content, Option<PathBuf>) {
    // The path is not normalised: only the kernel knows what `..` means after another link.
    match content::open_below(root, &link.parent().unwrap_or(Path::new("/")).join(target)) {
        Ok(opened) => {
            let end = real(root, &opened);
            (content::read_opened(opened, limits), end)
        }
        Err(errno) => (content::without_content(content::failed(errno)), None),
    }
}

/// The path of an open file, as seen from the root.
fn real(root: &Path, opened: &OwnedFd) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).ok()?;
    Some(Path::new("/").join(path.strip_prefix(root).ok()?))
}

/// Reads what the hook leads to and adds the report to it. Returns the number of bytes parsed.
pub fn look_around(root: &Path, tracked: &TrackedPaths, file: &FileRef, hook: &mut Hook) -> u64 {
    match hook.path.kind {
        HookKind::Sitecustomize => hook.shadowed_by = shadow(root, &file.path, hook.path),
        HookKind::StdlibBoot | HookKind::StdlibFile | HookKind::Site | HookKind::BundledWheel | HookKind::StdlibZip => {
            hook.in_new_tree = birth::is_in_new_tree(tracked, file);
        }
        HookKind::Start if hook.content.signals.contains(Signal::SuppressesPth) => {
            let suppressed = Path::new(file.path.file_name().unwrap_or_default()).with_extension("pth");
            let is_there = file
                .directory
                .as_ref()
                .is_some_and(|directory| rustix::fs::statat(directory, &suppressed, AtFlags::SYMLINK_NOFOLLOW).is_ok());
            if !is_there {
                hook.content.signals.remove(Signal::SuppressesPth);
            }
        }
        _ => {}
    }
    let leads_on = hook.path.kind.leads_on() || hook.path.kind == HookKind::StartupScript;
    let mut parsed = 0;
    if leads_on && hook.content.class != ContentClass::Hostile {
        let found: Vec<_> =
            followed_modules(file, hook).into_iter().chain(followed_directories(root, &file.path, hook)).collect();
        for (opened, hook_path) in found {
            if parsed >= MAX_READ_IN_ALL {
                hook.content.signals.insert(Signal::Truncated);
                hook.content.class = hook.content.class.max(ContentClass::Suspicious);
                break;
            }
            let found = content::read_opened(opened, Limits { hash: 0, parse: MAX_READ });
            parsed += found.head.len() as u64;
            classify_target(&found, hook_path, hook);
        }
    }
    parsed
}

/// The forms of a module, in the order in which Python tries them. Shared objects with the tag of a version are not read.
const FORMS: [(&str, HookForm); 5] = [
    ("/__init__.py", HookForm::Package),
    (".abi3.so", HookForm::Extension),
    (".so", HookForm::Extension),
    (".py", HookForm::Module),
    (".pyc", HookForm::Sourceless),
];

/// Imported modules in the directory of the hook.
fn followed_modules(file: &FileRef, hook: &Hook) -> Vec<(OwnedFd, HookPath)> {
    let Some(directory) = file.directory.as_deref() else { return Vec::new() };
    let open = |name: &str, ending: &str| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(directory, format!("{name}{ending}"), flags, Mode::empty(), how).ok()
    };
    // `import a.b` runs `a` too.
    let packages = |name: &'_ String| {
        let dots: Vec<usize> = name.match_indices('.').map(|(dot, _)| dot).chain([name.len()]).collect();
        dots.into_iter().filter_map(|dot| name.get(..dot).map(str::to_owned)).collect::<Vec<_>>()
    };
    let names = hook.content.imports.iter().filter(|name| !name.contains(['/', '\0'])).flat_map(packages);
    let mut names: Vec<String> = names.take(MAX_FOLLOWED).collect();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let path = name.replace('.', "/");
            let (opened, form) = FORMS.into_iter().find_map(|(ending, form)| Some((open(&path, ending)?, form)))?;
            Some((opened, HookPath { kind: HookKind::Module, form, ..hook.path }))
        })
        .collect()
}

/// `sitecustomize` and `usercustomize` in directories that a path line adds: they run without an import line.
fn followed_directories(root: &Path, path: &Path, hook: &Hook) -> Vec<(OwnedFd, HookPath)> {
    if hook.path.kind != HookKind::Pth {
        return Vec::new();
    }
    let directories =
        hook.content.paths.iter().take(MAX_FOLLOWED).map(|added| beside(path, Path::new(OsStr::from_bytes(added))));
    let names = [
        ("usercustomize.py", HookKind::Usercustomize, HookForm::Module),
        ("usercustomize/__init__.py", HookKind::Usercustomize, HookForm::Package),
        ("sitecustomize.py", HookKind::Sitecustomize, HookForm::Module),
        ("sitecustomize/__init__.py", HookKind::Sitecustomize, HookForm::Package),
    ];
    directories
        .flat_map(|directory| names.map(|(name, kind, form)| (directory.join(name), kind, form)))
        .filter_map(|(path, kind, form)| {
            let hook_path = HookPath { kind, form, location: HookLocation::SearchPath, version: hook.path.version };
            Some((content::open_below(root, &path).ok()?, hook_path))
        })
        .collect()
}

fn classify_target(found: &Content, hook_path: HookPath, hook: &mut Hook) {
    if found.facts.state != FileState::Regular {
        return;
    }
    let report = classify::classify(hook_path, Path::new(""), &found.head, !found.whole);
    // A library may start a process or load machine code. One that a start-up file imports seldom does.
    let as_hook = || {
        classify::classify(
            HookPath { kind: HookKind::Usercustomize, ..hook_path },
            Path::new(""),
            &found.head,
            !found.whole,
        )
    };
    if hook_path.form == HookForm::Extension
        || (report.class != ContentClass::Hostile && as_hook().class == ContentClass::Hostile)
    {
        hook.content.class = hook.content.class.max(ContentClass::Suspicious);
    }
    if report.class == ContentClass::Hostile {
        hook.content.class = ContentClass::Hostile;
        hook.content.signals.extend(report.signals);
        hook.content.decoded.extend(report.decoded);
        hook.content.decoded.truncate(Hook::MAX_LINES);
        let room = Hook::MAX_LINES.saturating_sub(hook.content.runs.len());
        hook.content.truncated |= report.truncated || report.runs.len() > room;
        hook.content.runs.extend(report.runs.into_iter().take(room));
    }
}

/// The `sitecustomize` of Debian's standard library, which Python finds before one in a package directory.
fn shadow(root: &Path, path: &Path, hook_path: HookPath) -> Option<PathBuf> {
    let directory = kind::Import::of(path)?.directory();
    // The versions in a container or below another root are not known.
    let is_debians = ["/usr/lib/python3", "/usr/local/lib/python3"]
        .iter()
        .any(|start| directory.as_os_str().as_bytes().starts_with(start.as_bytes()));
    if hook_path.location != HookLocation::Site || directory.file_name()? != "dist-packages" || !is_debians {
        return None;
    }
    // Every version reads `/usr/lib/python3/dist-packages`: each must have a `sitecustomize` of its own.
    let libraries = Path::new("/usr/lib");
    let versions: Vec<String> = match hook_path.version {
        Some((major, minor)) => vec![format!("python{major}.{minor}")],
        None => {
            let all = rustix::fs::Dir::new(content::open_below(root, libraries).ok()?).ok()?.take(1000);
            let names = all.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
            names.filter(|name| name.starts_with("python3.")).collect()
        }
    };
    let own: Vec<PathBuf> = versions.iter().map(|version| libraries.join(version).join("sitecustomize.py")).collect();
    let all_there = !own.is_empty() && own.iter().all(|own| own != path && content::open_below(root, own).is_ok());
    if all_there { own.into_iter().next() } else { None }
}

/// Tracks the files, modules and directories that the hook leads to.
pub fn track(tracked: &TrackedPaths, path: &Path, hook: &Hook) {
    if hook.path.location == HookLocation::Elsewhere && hook.path.kind != HookKind::StartupScript {
        return;
    }
    if let Some(end) = &hook.real_path {
        match hook.path.kind {
            HookKind::SiteDirectory => tracked.add_directory(end.clone(), location::of(path).location),
            _ => tracked.add_file(end.clone(), hook.path),
        };
    }
    match hook.path.kind {
        kind if kind.leads_on() => {
            for name in &hook.content.imports {
                tracked.add_module(name);
            }
            if hook.path.kind == HookKind::Pth {
                for added in &hook.content.paths {
                    tracked.add_directory(beside(path, Path::new(OsStr::from_bytes(added))), HookLocation::SearchPath);
                }
            }
        }
        HookKind::Environment => {
            for setting in &hook.content.settings {
                track_setting(tracked, path, setting.variable, &setting.value);
            }
        }
        _ => {}
    }
}

fn track_setting(tracked: &TrackedPaths, path: &Path, variable: &str, value: &[u8]) {
    let absolute =
        |element: &[u8]| at_home(path, element).filter(|path| path.is_absolute()).map(|path| beside(&path, &path));
    match variable {
        "PYTHONSTARTUP" => {
            let Some(script) = absolute(value) else { return };
            let hook_path = HookPath {
                kind: HookKind::StartupScript,
                form: HookForm::Module,
                location: HookLocation::SearchPath,
                version: None,
            };
            tracked.add_file(script, hook_path);
        }
        "PYTHONPATH" => {
            let elements = value.split(|byte| *byte == b':').filter_map(absolute);
            for element in elements {
                tracked.add_directory(element, HookLocation::SearchPath);
            }
        }
        _ => {}
    }
}

/// Expands `~` and `$HOME` at the start of a value, for a file in a home directory.
fn at_home(path: &Path, value: &[u8]) -> Option<PathBuf> {
    let rest = [&b"~/"[..], b"$HOME/", b"${HOME}/"].into_iter().find_map(|home| value.strip_prefix(home));
    let Some(rest) = rest else { return Some(PathBuf::from(OsStr::from_bytes(value))) };
    let home = path.ancestors().find(|above| {
        let is_user = above.parent().is_some_and(|parent| parent.file_name().is_some_and(|name| name == "home"));
        is_user || *above == Path::new("/root")
    })?;
    Some(home.join(OsStr::from_bytes(rest)))
}

/// The path that a line in the file at `path` means, without `.` and `..`, by its text alone as in Python. If a directory
/// of it is a link, events at the real path are not recognised.
fn beside(path: &Path, target: &Path) -> PathBuf {
    let from = path.parent().unwrap_or(Path::new("/"));
    let mut clean = PathBuf::from("/");
    for component in from.join(target).components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}
