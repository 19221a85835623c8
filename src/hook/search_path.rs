//! Classifies a directory that a start-up file adds to Python's path, by its spelling alone. Pure: no file is read, and
//! symbolic links are not resolved.

use crate::event::Signal;
use crate::event::Signals;

/// World-writable directories of a usual Linux system (FHS, systemd's tmpfiles.d).
const TEMPORARY: [&[u8]; 8] =
    [b"/tmp", b"/var/tmp", b"/usr/tmp", b"/dev/shm", b"/dev/mqueue", b"/run/user", b"/run/lock", b"/var/lock"];

/// Hidden directories of Python's tools, with virtual environments, managed interpreters and user installations. A path
/// through one is ordinary.
const TOOLS: [&[u8]; 9] =
    [b".local", b".venv", b".virtualenvs", b".pyenv", b".tox", b".nox", b".conda", b".pixi", b".eggs"];

/// Directories below `.cache` in which tools keep environments and checkouts. Others below `.cache` count as hidden.
const CACHES: [&[u8]; 5] = [b"uv", b"pip", b"pypoetry", b"pre-commit", b"pants"];

/// Components kept of one path, more than PATH_MAX allows.
const MAX_DEPTH: usize = 4096;

/// `PathTemporary`, `PathHidden` and `PathRelative` as they apply to a directory on the path, else `PathAdded`.
///
/// `PathRelative` is for a path whose meaning depends on the process: one that leaves its directory by `..`, the directory
/// itself (`.`), and anything below `/proc`.
pub fn signals(path: &[u8]) -> Signals {
    let absolute = path.first() == Some(&b'/');
    // Python applies `.` and `..` first (os.path.abspath). `left` counts each `..` that leaves the starting directory.
    let (mut components, mut deeper, mut left): (Vec<&[u8]>, usize, usize) = (Vec::new(), 0, 0);
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if deeper > 0 => deeper -= 1,
            b".." if components.pop().is_none() => left += 1,
            b".." => {}
            _ if components.len() >= MAX_DEPTH => deeper += 1,
            name => components.push(name),
        }
    }
    let mut signals = Signals::default();
    // Enough `..` end at the root, from any starting directory.
    if absolute || left > 0 {
        let is_below =
            |directory: &&[u8]| directory.split(|&byte| byte == b'/').skip(1).eq(leading(&components, directory));
        if TEMPORARY.iter().any(is_below) {
            signals.insert(Signal::PathTemporary);
        }
    }
    if (!absolute && (left > 0 || components.is_empty())) || (absolute && components.first() == Some(&&b"proc"[..])) {
        signals.insert(Signal::PathRelative);
    }
    if has_hidden(&components) {
        signals.insert(Signal::PathHidden);
    }
    if signals.is_empty() {
        signals.insert(Signal::PathAdded);
    }
    signals
}

/// As many of the first components as the directory has.
fn leading<'a>(components: &'a [&'a [u8]], directory: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let depth = directory.iter().filter(|&&byte| byte == b'/').count();
    components.iter().copied().take(depth)
}

/// Whether a component is hidden and belongs to none of the tools.
fn has_hidden(components: &[&[u8]]) -> bool {
    let mut components = components.iter().peekable();
    while let Some(name) = components.next() {
        if *name == b".cache" && components.peek().is_some_and(|next| CACHES.contains(next)) {
            // Tools make hidden directories in their cache, as `.tmpAbC`.
            return false;
        }
        if name.starts_with(b".") && !TOOLS.contains(name) && !name.starts_with(b".venv-") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Vec<&'static str> {
        signals(path.as_bytes()).iter().map(Signal::as_str).collect()
    }

    #[test]
    fn each_spelling_has_its_signal() {
        for (path, expected) in [
            ("/usr/lib/x", "path-added"),
            ("pkg.egg", "path-added"),
            ("./pkg", "path-added"),
            ("/home/u/.local/lib/x", "path-added"),
            ("/home/u/p/.venv/lib/x", "path-added"),
            ("/home/u/p/.venv-3.12/lib/x", "path-added"),
            ("/home/u/.cache/uv/builds-v0/.tmpAbC/lib", "path-added"),
            ("/tmp", "path-temporary"),
            ("/tmp/x", "path-temporary"),
            ("//tmp//x", "path-temporary"),
            ("/usr/../tmp/x", "path-temporary"),
            ("/var/tmp/x", "path-temporary"),
            ("/dev/shm", "path-temporary"),
            ("/run/user/1000/x", "path-temporary"),
            ("/tmpx", "path-added"),
            ("/srv/tmp/x", "path-added"),
            ("/opt/.x/y", "path-hidden"),
            ("/opt/...", "path-hidden"),
            ("/home/u/.cache/x", "path-hidden"),
            ("/home/u/.config/x", "path-hidden"),
            (".", "path-relative"),
            ("./", "path-relative"),
            ("", "path-relative"),
            ("a/..", "path-relative"),
            ("..", "path-relative"),
            ("../../x", "path-relative"),
            ("/proc/self/cwd", "path-relative"),
        ] {
            assert_eq!(found(path), [expected], "{path}");
        }
        assert_eq!(found("../../../../tmp/.x"), ["path-temporary", "path-hidden", "path-relative"]);
    }
}
