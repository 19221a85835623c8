//! Directories that a start-up file puts on Python's path: what their spelling alone tells. Pure, and no
//! file is looked at, so a link on the way is not seen here.

use crate::event::Signal;
use crate::event::Signals;

/// Directories that everybody may write, on Linux as distributions set it up.
const TEMPORARY: [&[u8]; 8] =
    [b"/tmp", b"/var/tmp", b"/usr/tmp", b"/dev/shm", b"/dev/mqueue", b"/run/user", b"/run/lock", b"/var/lock"];

/// Hidden directories in which tools for Python keep what users work with. A path through them is the rule
/// and not the exception: virtual environments, managed interpreters and user installations stand there.
const TOOLS: [&[u8]; 9] =
    [b".local", b".venv", b".virtualenvs", b".pyenv", b".tox", b".nox", b".conda", b".pixi", b".eggs"];

/// Caches in which tools keep environments and checkouts. `.cache` alone is a good place to hide, so only
/// these below it are ordinary.
const CACHES: [&[u8]; 5] = [b"uv", b"pip", b"pypoetry", b"pre-commit", b"pants"];

/// Components kept of one path: more than the kernel takes.
const MAX_DEPTH: usize = 4096;

/// What is remarkable about a directory on the path, relative ones being taken from a directory that is not
/// known here: `PathTemporary`, `PathHidden`, `PathRelative`, or `PathAdded` when nothing is.
///
/// `PathRelative` stands for a path whose meaning depends on something else: one that leaves its directory
/// by `..`, the directory itself (`.`), and anything below `/proc`, which differs for each process.
pub fn signals(path: &[u8]) -> Signals {
    let absolute = path.first() == Some(&b'/');
    // What is left after `.` and `..` were applied, and how often `..` led out of where the path began. Python
    // applies them before it looks, so a path of any length can lead anywhere.
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
    // Enough of `..` ends at the root, wherever the path began.
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

/// Whether a component begins with a dot and is none of the tools' own.
fn has_hidden(components: &[&[u8]]) -> bool {
    let mut components = components.iter().peekable();
    while let Some(name) = components.next() {
        if *name == b".cache" && components.peek().is_some_and(|next| CACHES.contains(next)) {
            // Below its cache a tool makes directories of its own, as `.tmpAbC`.
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
    fn each_remarkable_spelling_is_told() {
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
