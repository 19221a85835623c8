//! What a directory is to Python, by its last names alone: a container's upper directory, a chroot and a Python
//! in somebody's home have the same endings as the system's own. Pure, and without an allocation.
//!
//! What a path cannot tell: which of these directories an interpreter really has (the inventory of
//! [`super::sites`] finds them), what PYTHONPATH, PYTHONUSERBASE and `.pth` files add, where links lead.

use crate::event::HookLocation;
use std::path::Path;

/// Python's version as a path tells it, (3, 11).
pub type Version = (u8, u8);

/// What a directory is to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its role; [`HookLocation::Elsewhere`] when Python does not look there.
    pub place: HookLocation,
    /// Of which Python; `None` when the path does not tell.
    pub version: Option<Version>,
}

/// What the directory of this path is to Python.
pub fn directory(path: &Path) -> Directory {
    find(path.as_os_str().as_encoded_bytes())
}

const ELSEWHERE: Directory = Directory { place: HookLocation::Elsewhere, version: None };

/// As [`directory`].
pub(super) fn find(path: &[u8]) -> Directory {
    let (above, name) = split(path);
    match name {
        b"site-packages" | b"dist-packages" => site(above),
        // On the path after the standard library itself: extension modules, and the parts of Python 2.
        b"lib-dynload" | b"lib-tk" | b"lib-old" => part_of_stdlib(above),
        _ if name.starts_with(b"plat-") => part_of_stdlib(above),
        _ => library(path),
    }
}

fn site(above: &[u8]) -> Directory {
    let library = library(above);
    let (prefix, name) = split(above);
    match library.place {
        // `~/.local/lib/python3.11/site-packages`.
        HookLocation::Stdlib if split(split(prefix).0).1 == b".local" => {
            Directory { place: HookLocation::UserSite, ..library }
        }
        HookLocation::Stdlib => Directory { place: HookLocation::Site, ..library },
        // PyPy's own archives up to 3.7: `pypy3.7-v7.3.5-linux64/site-packages`.
        _ if name.starts_with(b"pypy") => Directory { place: HookLocation::Site, version: None },
        _ => ELSEWHERE,
    }
}

fn part_of_stdlib(above: &[u8]) -> Directory {
    let library = library(above);
    if library.place == HookLocation::Stdlib { library } else { ELSEWHERE }
}

/// The standard library itself, the zip before it, and Debian's `/etc/pythonX.Y`: no other role.
pub(super) fn library(path: &[u8]) -> Directory {
    let (above, name) = split(path);
    match split(above).1 {
        // `sys.platlibdir` is `lib64` on some distributions; 32-bit ones exist.
        b"lib" | b"lib64" | b"lib32" | b"libx32" => match zip(name) {
            Some(version) => Directory { place: HookLocation::Archive, version: Some(version) },
            None => named(name).map_or(ELSEWHERE, |version| Directory { place: HookLocation::Stdlib, version }),
        },
        b"etc" => match named(name) {
            Some(version @ Some(_)) => Directory { place: HookLocation::Etc, version },
            _ => ELSEWHERE,
        },
        // PyPy: `lib-python/3`, `lib-python/2.7`.
        b"lib-python" => version(name).map_or(ELSEWHERE, |version| Directory { place: HookLocation::Stdlib, version }),
        _ => ELSEWHERE,
    }
}

/// Whether a directory of this path is the standard library or stands before it: where `encodings` and `os`
/// are looked for first.
pub(super) fn is_core(directory: Directory) -> bool {
    matches!(directory.place, HookLocation::Stdlib | HookLocation::Archive)
}

/// Whether Python looks in such a directory for the modules that hooks import.
pub(super) fn is_searched(directory: Directory) -> bool {
    matches!(
        directory.place,
        HookLocation::Stdlib | HookLocation::Site | HookLocation::UserSite | HookLocation::Archive
    )
}

/// `python3.11`, `python3.13t`, `python3`, `pypy3.10`, `pypy`: the version, if the name has both its numbers.
/// `None`: another name.
pub(super) fn named(name: &[u8]) -> Option<Option<Version>> {
    match (name.strip_prefix(b"python"), name.strip_prefix(b"pypy")) {
        (Some(rest), _) if !rest.is_empty() => version(rest),
        (None, Some(rest)) => {
            if rest.is_empty() {
                Some(None)
            } else {
                version(rest)
            }
        }
        _ => None,
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
fn zip(name: &[u8]) -> Option<Version> {
    let digits = name.strip_prefix(b"python")?.strip_suffix(b".zip")?;
    joined(digits.strip_suffix(b"t").unwrap_or(digits))
}

/// `311` as (3, 11).
pub(super) fn joined(digits: &[u8]) -> Option<Version> {
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

/// The path above, and the last name; slashes at the end do not count. Both empty: the root.
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
        let directory = directory(Path::new(path));
        (directory.place, directory.version)
    }

    #[test]
    fn the_standard_library_is_known_by_its_last_two_names_wherever_it_lies() {
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
    fn site_directories_and_user_sites_are_told_apart() {
        for (path, place) in [
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
            assert_eq!(role(path).0, place, "{path}");
        }
    }

    #[test]
    fn the_zip_and_the_directory_of_debian_have_their_own_places() {
        assert_eq!(role("/usr/lib/python311.zip"), (HookLocation::Archive, Some((3, 11))));
        assert_eq!(role("/usr/lib64/python313t.zip"), (HookLocation::Archive, Some((3, 13))));
        assert_eq!(role("/etc/python3.11"), (HookLocation::Etc, Some((3, 11))));
        assert_eq!(role("/diff/etc/python2.7"), (HookLocation::Etc, Some((2, 7))));
    }

    #[test]
    fn what_only_looks_like_it_is_elsewhere() {
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
    fn a_path_is_split_at_its_last_name() {
        for (path, above, name) in
            [("/a/b", "/a", "b"), ("/a//b//", "/a/", "b"), ("/a", "", "a"), ("a", "", "a"), ("/", "", ""), ("", "", "")]
        {
            assert_eq!(split(path.as_bytes()), (above.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
