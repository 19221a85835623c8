//! What a hook leads to: the end of a link, the modules it imports, the directories it adds to the path, and the
//! file that Python finds before it.
//!
//! Everything is opened below the root, without magic links, and without a step into another filesystem: a link to a
//! dead server must not hold up the daemon. What cannot be reached so stays unknown, and is said to be.

use super::content;
use super::content::{Content, Limits};
use super::env;
use super::judge;
use super::kind;
use super::learned::Learned;
use crate::event::{ContentClass, FileRef, FileState, Hook, HookForm, HookKind, HookPlace, Signal, Whereabouts};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Modules and directories of one hook that are looked into.
const MAX_FOLLOWED: usize = 8;
/// Bytes read of each.
const MAX_READ: usize = 256 << 10;
/// A Python tree younger than this is being installed.
const NEW: Duration = Duration::from_secs(15 * 60);
/// A directory younger than this at its rename was made for it.
const JUST: Duration = Duration::from_secs(2);
/// Directories between a file of the standard library and its top: `encodings/__pycache__`.
const MAX_DEPTH: usize = 4;

/// The content at the end of a symbolic link.
pub fn target(root: &Path, link: &Path, target: &Path, limits: Limits) -> Content {
    let end = beside(link, target);
    match open(root, &end) {
        Ok(opened) => content::read_opened(opened, limits),
        Err(errno) => content::without_content(content::failed(errno)),
    }
}

/// Looks at what is around the hook, and adds what it finds.
pub fn look_around(root: &Path, file: &FileRef, hook: &mut Hook) {
    match hook.at.kind {
        HookKind::Sitecustomize => hook.shadowed_by = shadow(root, &file.path, hook.at),
        HookKind::StdlibBoot | HookKind::StdlibFile | HookKind::Site | HookKind::BundledWheel | HookKind::StdlibZip => {
            hook.in_new_tree = is_in_new_tree(root, &file.path);
        }
        HookKind::Start if hook.signals.contains(Signal::SuppressesPth) => {
            let suppressed = Path::new(file.path.file_name().unwrap_or_default()).with_extension("pth");
            let is_there = file
                .directory
                .as_ref()
                .is_some_and(|directory| rustix::fs::statat(directory, &suppressed, AtFlags::SYMLINK_NOFOLLOW).is_ok());
            if !is_there {
                hook.signals.remove(Signal::SuppressesPth);
            }
        }
        _ => {}
    }
    let leads_on = matches!(
        hook.at.kind,
        HookKind::Pth | HookKind::Start | HookKind::Sitecustomize | HookKind::Usercustomize | HookKind::StartupScript
    );
    if leads_on && hook.class != ContentClass::Hostile {
        let modules = followed_modules(file, hook).into_iter();
        let added = followed_directories(root, &file.path, hook);
        for (found, at) in modules.chain(added) {
            judge_followed(&found, at, hook);
        }
    }
}

/// Modules that lie beside the hook.
fn followed_modules(file: &FileRef, hook: &Hook) -> Vec<(Content, Whereabouts)> {
    let Some(directory) = file.directory.as_deref() else { return Vec::new() };
    let open = |name: &str, ending: &str| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(directory, format!("{name}{ending}"), flags, Mode::empty(), how).ok()
    };
    let names = hook.imports.iter().filter(|name| !name.contains(['/', '\0'])).take(MAX_FOLLOWED);
    names
        .filter_map(|name| {
            let path = name.replace('.', "/");
            let (opened, form) = [("/__init__.py", HookForm::Package), (".py", HookForm::Module)]
                .into_iter()
                .find_map(|(ending, form)| Some((open(&path, ending)?, form)))?;
            let at = Whereabouts { kind: HookKind::Module, form, ..hook.at };
            Some((content::read_opened(opened, small()), at))
        })
        .collect()
}

/// `sitecustomize` and `usercustomize` in the directories that a path line adds: they run without an import line.
fn followed_directories(root: &Path, path: &Path, hook: &Hook) -> Vec<(Content, Whereabouts)> {
    if hook.at.kind != HookKind::Pth {
        return Vec::new();
    }
    let directories =
        hook.paths.iter().take(MAX_FOLLOWED).map(|added| beside(path, Path::new(OsStr::from_bytes(added))));
    let names = [
        ("usercustomize.py", HookKind::Usercustomize, HookForm::Module),
        ("usercustomize/__init__.py", HookKind::Usercustomize, HookForm::Package),
        ("sitecustomize.py", HookKind::Sitecustomize, HookForm::Module),
        ("sitecustomize/__init__.py", HookKind::Sitecustomize, HookForm::Package),
    ];
    directories
        .flat_map(|directory| names.map(|(name, kind, form)| (directory.join(name), kind, form)))
        .filter_map(|(path, kind, form)| {
            let at = Whereabouts { kind, form, place: HookPlace::SearchPath, version: hook.at.version };
            Some((content::read_opened(open(root, &path).ok()?, small()), at))
        })
        .collect()
}

fn judge_followed(found: &Content, at: Whereabouts, hook: &mut Hook) {
    if found.facts.state != FileState::Regular {
        return;
    }
    let findings = judge::judge(at, Path::new(""), &found.head, !found.whole);
    if findings.class == ContentClass::Hostile {
        hook.class = ContentClass::Hostile;
        hook.signals.extend(findings.signals);
        hook.decoded.extend(findings.decoded);
        hook.decoded.truncate(Hook::MAX_LINES);
        let room = Hook::MAX_LINES.saturating_sub(hook.runs.len());
        hook.runs_truncated |= findings.truncated || findings.runs.len() > room;
        hook.runs.extend(findings.runs.into_iter().take(room));
    }
}

fn small() -> Limits {
    Limits { hash: 0, parse: MAX_READ }
}

/// Debian's packages come after the standard library, where its own `sitecustomize` lies.
fn shadow(root: &Path, path: &Path, at: Whereabouts) -> Option<PathBuf> {
    let (_, _, directory) = kind::module_of(path)?;
    if at.place != HookPlace::Site || directory.file_name()? != "dist-packages" {
        return None;
    }
    // `/usr/lib/python3/dist-packages` is that of every version: each must have its own.
    let libraries = Path::new("/usr/lib");
    let versions: Vec<String> = match at.version {
        Some((major, minor)) => vec![format!("python{major}.{minor}")],
        None => {
            let all = std::fs::read_dir(below(root, libraries)).ok()?.take(1000);
            let names = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter(|name| name.starts_with("python3.")).collect()
        }
    };
    let own: Vec<PathBuf> = versions.iter().map(|version| libraries.join(version).join("sitecustomize.py")).collect();
    let all_there = own.iter().all(|own| own != path && rustix::fs::stat(below(root, own)).is_ok());
    if all_there { own.into_iter().next() } else { None }
}

/// Whether the standard library's directory itself was made a moment ago. Its birth cannot be set back or forth; a
/// directory that takes its place has an event of its own.
fn is_in_new_tree(root: &Path, path: &Path) -> bool {
    let top = path
        .ancestors()
        .skip(1)
        .take(MAX_DEPTH)
        .find(|directory| kind::directory(directory).place == HookPlace::Stdlib);
    let Some(top) = top else { return false };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(CWD, below(root, top), flags, StatxFlags::BTIME)
        .is_ok_and(|found| birth(&found).is_some_and(|birth| birth + NEW >= SystemTime::now()))
}

/// Whether a directory was made just before this moment. Then everything in it was put there since, and is told by
/// itself: installers rename what they have made, and an overlay copies directories so before it changes them.
pub fn was_just_made(file: &FileRef, moment: SystemTime) -> bool {
    let (Some(directory), Some(name)) = (file.directory.as_deref(), file.path.file_name()) else { return false };
    let found = rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME | StatxFlags::TYPE);
    found.is_ok_and(|found| birth(&found).is_some_and(|birth| birth + JUST >= moment))
}

/// When an inode was made, which nobody can set; `None` where the filesystem does not keep it.
fn birth(found: &Statx) -> Option<SystemTime> {
    let seconds = u64::try_from(found.stx_btime.tv_sec).ok()?;
    let is_kept = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    is_kept.then(|| SystemTime::UNIX_EPOCH + Duration::new(seconds, found.stx_btime.tv_nsec.min(999_999_999)))
}

/// Remembers where the hook leads. Tells whether there are new names to watch for.
pub fn learn(learned: &Learned, path: &Path, hook: &Hook) -> bool {
    if hook.at.place == HookPlace::Elsewhere && hook.at.kind != HookKind::StartupScript {
        return false;
    }
    let mut is_new = false;
    if let FileState::SymbolicLink(target) = &hook.file.state {
        let end = beside(path, target);
        is_new |= match hook.at.kind {
            HookKind::SiteDirectory => learned.add_directory(end, kind::directory(path).place),
            _ => end != path && learned.add_file(end, hook.at),
        };
    }
    match hook.at.kind {
        HookKind::Pth | HookKind::Start | HookKind::Sitecustomize | HookKind::Usercustomize => {
            for name in &hook.imports {
                is_new |= learned.add_module(name);
            }
            if hook.at.kind == HookKind::Pth {
                for added in &hook.paths {
                    is_new |=
                        learned.add_directory(beside(path, Path::new(OsStr::from_bytes(added))), HookPlace::SearchPath);
                }
            }
        }
        HookKind::Environment => {
            // Its name alone may not tell.
            if env::directories().any(|directory| path.parent() == Some(Path::new(directory))) {
                is_new |= learned.add_file(path.to_owned(), hook.at);
            }
            for setting in &hook.settings {
                is_new |= learn_setting(learned, path, setting.variable, &setting.value);
            }
        }
        _ => {}
    }
    is_new
}

fn learn_setting(learned: &Learned, path: &Path, variable: &str, value: &[u8]) -> bool {
    let absolute =
        |element: &[u8]| at_home(path, element).filter(|path| path.is_absolute()).map(|path| beside(&path, &path));
    match variable {
        "PYTHONSTARTUP" => absolute(value).is_some_and(|script| {
            let at = Whereabouts {
                kind: HookKind::StartupScript,
                form: HookForm::Module,
                place: HookPlace::SearchPath,
                version: None,
            };
            learned.add_file(script, at)
        }),
        "PYTHONPATH" => {
            let elements = value.split(|byte| *byte == b':').filter_map(absolute);
            elements.filter(|element| learned.add_directory(element.clone(), HookPlace::SearchPath)).count() > 0
        }
        _ => false,
    }
}

/// A value with `~` or `$HOME` at its start, in a file in somebody's home directory.
fn at_home(path: &Path, value: &[u8]) -> Option<PathBuf> {
    let rest = [&b"~/"[..], b"$HOME/", b"${HOME}/"].into_iter().find_map(|home| value.strip_prefix(home));
    let Some(rest) = rest else { return Some(PathBuf::from(OsStr::from_bytes(value))) };
    let home = path.ancestors().find(|above| {
        let is_user = above.parent().is_some_and(|parent| parent.file_name().is_some_and(|name| name == "home"));
        is_user || *above == Path::new("/root")
    })?;
    Some(home.join(OsStr::from_bytes(rest)))
}

/// The path that a link or a line in the file at `path` means, without `.` and `..`: the same words Python uses. A
/// link among the directories can make it another one; then its own events are not known to be a hook's.
pub fn beside(path: &Path, target: &Path) -> PathBuf {
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

/// A path below the root as this process sees it.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Opens a file for reading as a process would that has this root, but without a step into another filesystem.
fn open(root: &Path, path: &Path) -> rustix::io::Result<OwnedFd> {
    let top = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(top.as_fd(), path, flags, Mode::empty(), how)
}
