//! What a directory is to Python, by the last components of its path alone. A container's upper directory, a chroot and
//! a Python in a home directory end like the system's own. Pure, without allocation.
//!
//! A path does not show which of these directories an interpreter really has ([`super::sites`] lists them), what
//! PYTHONPATH, PYTHONUSERBASE and `.pth` files add, and where symbolic links lead ([`super::tracked_paths`]).

use crate::event::HookLocation;
use std::path::Path;

/// Python's version by a path, as (3, 11).
pub type Version = (u8, u8);

/// What a directory is to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryRole {
    /// [`HookLocation::Elsewhere`] when Python does not search it.
    pub location: HookLocation,
    /// `None` when the path does not show it.
    pub version: Option<Version>,
}

impl DirectoryRole {
    pub(super) const ELSEWHERE: Self = Self { location: HookLocation::Elsewhere, version: None };

    fn new(location: HookLocation, version: Option<Version>) -> Self {
        Self { location, version }
    }

    /// Whether `encodings` and `os` are searched here first: the standard library, or the zip before it.
    pub(super) fn is_stdlib(self) -> bool {
        matches!(self.location, HookLocation::Stdlib | HookLocation::Archive)
    }

    /// Whether Python searches it for the modules that start-up files import.
    pub(super) fn is_searched(self) -> bool {
        matches!(
            self.location,
            HookLocation::Stdlib | HookLocation::Site | HookLocation::UserSite | HookLocation::Archive
        )
    }
}

/// The directory that holds `pythonX.Y`: `sys.platlibdir` of CPython is `lib` or `lib64`; Debian's multilib has the others.
const LIB_NAMES: [&[u8]; 4] = [b"lib", b"lib64", b"lib32", b"libx32"];

/// On the path after the standard library: extension modules (CPython's `getpath`), and parts of Python 2's library.
const STDLIB_PARTS: [&[u8]; 3] = [b"lib-dynload", b"lib-tk", b"lib-old"];

/// The role of the directory at this path.
pub fn of(path: &Path) -> DirectoryRole {
    of_bytes(path.as_os_str().as_encoded_bytes())
}

/// As [`of`].
pub(super) fn of_bytes(path: &[u8]) -> DirectoryRole {
    let (above, name) = split(path);
    match name {
        b"site-packages" | b"dist-packages" => site(above),
        _ if STDLIB_PARTS.contains(&name) || name.starts_with(b"plat-") => {
            let library = stdlib(above);
            if library.location == HookLocation::Stdlib { library } else { DirectoryRole::ELSEWHERE }
        }
        _ => stdlib(path),
    }
}

fn site(above: &[u8]) -> DirectoryRole {
    let library = stdlib(above);
    let (prefix, name) = split(above);
    match library.location {
        // PEP 370: `~/.local/lib/python3.11/site-packages`.
        HookLocation::Stdlib if split(split(prefix).0).1 == b".local" => {
            DirectoryRole::new(HookLocation::UserSite, library.version)
        }
        HookLocation::Stdlib => DirectoryRole::new(HookLocation::Site, library.version),
        // PyPy's own archives up to 3.7: `pypy3.7-v7.3.5-linux64/site-packages`.
        _ if name.starts_with(b"pypy") => DirectoryRole::new(HookLocation::Site, None),
        _ => DirectoryRole::ELSEWHERE,
    }
}

/// As [`of`], for the standard library itself, the zip before it, and Debian's `/etc/pythonX.Y`.
pub(super) fn stdlib(path: &[u8]) -> DirectoryRole {
    let (above, name) = split(path);
    let found = match split(above).1 {
        parent if LIB_NAMES.contains(&parent) => match zip_version(name) {
            Some(version) => Some(DirectoryRole::new(HookLocation::Archive, Some(version))),
            None => interpreter_version(name).map(|version| DirectoryRole::new(HookLocation::Stdlib, version)),
        },
        b"etc" => match interpreter_version(name) {
            Some(version @ Some(_)) => Some(DirectoryRole::new(HookLocation::Etc, version)),
            _ => None,
        },
        // PyPy: `lib-python/3`, `lib-python/2.7`.
        b"lib-python" => version(name).map(|version| DirectoryRole::new(HookLocation::Stdlib, version)),
        _ => None,
    };
    found.unwrap_or(DirectoryRole::ELSEWHERE)
}

/// The version in `python3.11`, `python3.13t` and `pypy3.10`; `Some(None)` for `python3`, `pypy3` and `pypy`, which have
/// none of two numbers. `None`: another name.
pub(super) fn interpreter_version(name: &[u8]) -> Option<Option<Version>> {
    match (name.strip_prefix(b"python"), name.strip_prefix(b"pypy")) {
        (Some(rest), _) => version(rest),
        (None, Some(b"")) => Some(None),
        (None, Some(rest)) => version(rest),
        (None, None) => None,
    }
}

/// `3`, `3.11` and `3.13t`.
fn version(text: &[u8]) -> Option<Option<Version>> {
    let text = text.strip_suffix(b"t").unwrap_or(text);
    match text.iter().position(|byte| *byte == b'.') {
        Some(dot) => Some(Some((number(text.get(..dot)?)?, number(text.get(dot + 1..)?)?))),
        None => number(text).map(|_| None),
    }
}

/// `python311.zip` and `python313t.zip`.
fn zip_version(name: &[u8]) -> Option<Version> {
    let digits = name.strip_prefix(b"python")?.strip_suffix(b".zip")?;
    joined_version(digits.strip_suffix(b"t").unwrap_or(digits))
}

/// `311` as (3, 11).
pub(super) fn joined_version(digits: &[u8]) -> Option<Version> {
    let (major, minor) = digits.split_at_checked(1)?;
    Some((number(major)?, number(minor)?))
}

fn number(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    digits.iter().try_fold(0u8, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// The parent and the last component; slashes at the end do not count. Both are empty for the root.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = path.get(..end).unwrap_or_default();
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(path: &str) -> (HookLocation, Option<Version>) {
        let DirectoryRole { location, version } = of(Path::new(path));
        (location, version)
    }

    #[test]
    fn the_standard_library_is_recognised_by_its_last_two_components() {
        for (path, version) in [
            ("/usr/lib/python3.11", Some((3, 11))),
            ("/usr/lib64/python3.12", Some((3, 12))),
            ("/usr/lib/python3.13t/", Some((3, 13))),
            ("/usr/local/lib//python2.7", Some((2, 7))),
            ("/usr/lib/python3", None),
            ("/root/.pyenv/versions/3.12.1/lib/python3.12", Some((3, 12))),
            ("/opt/conda/envs/x/lib/python3.10", Some((3, 10))),
            ("/home/u/.local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/lib/python3.13", Some((3, 13))),
            ("/nix/store/abc-python3-3.11.6/lib/python3.11", Some((3, 11))),
            ("/snap/core22/1/usr/lib/python3.10", Some((3, 10))),
            ("/var/lib/docker/overlay2/ID/diff/usr/lib/python3.11", Some((3, 11))),
            (
                "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/usr/lib/python3.9",
                Some((3, 9)),
            ),
            ("/usr/lib/pypy3.10", Some((3, 10))),
            ("/usr/lib/pypy", None),
            ("/opt/pypy/lib-python/2.7", Some((2, 7))),
            ("/opt/pypy/lib-python/3", None),
            ("/usr/lib/python3.11/lib-dynload", Some((3, 11))),
            ("/usr/lib/python2.7/lib-tk", Some((2, 7))),
            ("/usr/lib/python2.7/plat-x86_64-linux-gnu", Some((2, 7))),
        ] {
            assert_eq!(role(path), (HookLocation::Stdlib, version), "{path}");
        }
    }

    #[test]
    fn site_directories_and_user_sites_are_distinguished() {
        for (path, location) in [
            ("/usr/lib/python3/dist-packages", HookLocation::Site),
            ("/usr/local/lib/python3.11/dist-packages", HookLocation::Site),
            ("/usr/lib64/python3.6/site-packages", HookLocation::Site),
            ("/srv/app/venv/lib/python3.12/site-packages", HookLocation::Site),
            ("/home/u/.local/pipx/venvs/x/lib/python3.11/site-packages", HookLocation::Site),
            ("/home/u/.local/share/uv/tools/x/lib/python3.12/site-packages", HookLocation::Site),
            ("/opt/pypy3.7-v7.3.5-linux64/site-packages", HookLocation::Site),
            ("/home/u/.local/lib/python3.11/site-packages", HookLocation::UserSite),
            ("/root/.local/lib/python2.7/site-packages", HookLocation::UserSite),
            ("/home/u/.local/lib/pypy3.10/site-packages", HookLocation::UserSite),
        ] {
            assert_eq!(role(path).0, location, "{path}");
        }
    }

    #[test]
    fn the_zip_and_debians_directory_in_etc_have_their_own_locations() {
        assert_eq!(role("/usr/lib/python311.zip"), (HookLocation::Archive, Some((3, 11))));
        assert_eq!(role("/usr/lib64/python313t.zip"), (HookLocation::Archive, Some((3, 13))));
        assert_eq!(role("/etc/python3.11"), (HookLocation::Etc, Some((3, 11))));
        assert_eq!(role("/diff/etc/python2.7"), (HookLocation::Etc, Some((2, 7))));
    }

    #[test]
    fn similar_names_are_elsewhere() {
        for path in [
            "",
            "/",
            "/usr/lib",
            "/python3.11",
            "/opt/python3.11",
            "/usr/LIB/python3.11",
            "/usr/lib/Python3.11",
            "/usr/lib/python",
            "/usr/lib/python3.",
            "/usr/lib/python3.x",
            "/usr/lib/python3.11m",
            "/usr/lib/python3.999",
            "/usr/lib/python-data",
            "/usr/lib/python3.11/encodings",
            "/usr/lib/python3.11/site-packages/x",
            "/usr/lib/python.zip",
            "/usr/lib/python3.zip",
            "/opt/python311.zip",
            "/etc/python3",
            "/etc/python",
            "/srv/site-packages",
            "/srv/old-site-packages",
            "/tmp/lib-dynload",
            "/usr/lib/python311.zip/site-packages",
        ] {
            assert_eq!(role(path), (HookLocation::Elsewhere, None), "{path}");
        }
    }

    #[test]
    fn a_path_is_split_before_its_last_component() {
        for (path, above, name) in
            [("/a/b", "/a", "b"), ("/a//b//", "/a/", "b"), ("/a", "", "a"), ("a", "", "a"), ("/", "", ""), ("", "", "")]
        {
            assert_eq!(split(path.as_bytes()), (above.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
