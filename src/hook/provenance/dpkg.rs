//! The line formats of dpkg's database (deb(5), dpkg(1), as written by dpkg 1.21). Pure.
//!
//! * `info/PACKAGE.list`: one absolute path a line, directories too.
//! * `info/PACKAGE.md5sums`: `MD5  PATH`, the path without its first slash; no configuration files.
//! * `status`: the configuration files of each package, ` /etc/x MD5` below the line `Conffiles:`.
//! * `diversions`: three lines each: the path, its new path, the package that owns the original name.

use std::borrow::Cow;

/// Directories of files that set the environment of other processes, or are installed into virtual environments.
const DIRECTORIES: [&[u8]; 4] =
    [b"/usr/lib/environment.d/", b"/usr/lib/systemd/", b"/usr/share/fish/", b"/usr/share/python-wheels/"];

/// Top directories that Debian 12 and later have below `/usr` only (merged `/usr`); packages can list either path.
const MERGED: [&[u8]; 7] = [b"/bin/", b"/sbin/", b"/lib/", b"/lib64/", b"/lib32/", b"/libx32/", b"/libo32/"];

/// Whether a path (after [`merged`]) can matter at the start of Python. Only these are indexed.
// Called for each of about 500,000 paths at the first question: the common cases compare bytes, no substrings.
pub fn is_relevant(path: &[u8]) -> bool {
    match path {
        [.., b'.', b'p', b't', b'h']
        | [.., b'.', b's', b't', b'a', b'r', b't']
        | [.., b'.', b'_', b'p', b't', b'h']
        | [b'/', b'e', b't', b'c', b'/', ..] => true,
        [.., b'.', b'p', b'y']
        | [.., b'.', b's', b'o']
        | [.., b'.', b'p', b'y', b'c' | b'o']
        | [.., b'.', b'w', b'h', b'l']
        | [.., b'.', b'z', b'i', b'p']
        | [.., b'.', b'c', b'f', b'g'] => is_in_python_path(path),
        _ => is_in_directories(path) || is_interpreter(path),
    }
}

fn is_in_directories(path: &[u8]) -> bool {
    let can_be = matches!(path, [b'/', b'u', b's', b'r', b'/', b'l' | b's', _, _, b'/' | b'r', ..]);
    can_be && DIRECTORIES.iter().any(|directory| path.starts_with(directory))
}

/// Whether the file belongs to Python itself, or is in a directory of packages.
fn is_in_python_path(path: &[u8]) -> bool {
    let mut rest = path;
    while let [_, tail @ ..] = rest {
        match rest {
            [b'p', b'y', b't', b'h', b'o', b'n', ..] | [b'p', b'y', b'p', b'y', ..] => return true,
            [b'-', b'p', b'a', b'c', b'k', b'a', b'g', b'e', b's', b'/', ..] => return true,
            _ => rest = tail,
        }
    }
    let is_customize = [b"sitecustomize.", b"usercustomize."].iter().any(|name| file_name(path).starts_with(*name));
    is_customize || is_in_directories(path)
}

fn is_interpreter(path: &[u8]) -> bool {
    let name = file_name(path);
    let has_name = matches!(name, [b'p', b'y', b't', b'h', b'o', b'n', ..] | [b'p', b'y', b'p', b'y', ..]);
    has_name && path.strip_suffix(name).is_some_and(|above| above.ends_with(b"bin/"))
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// The path below `/usr`, on a system where `/bin`, `/sbin` and `/lib*` are symbolic links into it.
pub fn merged(path: &[u8], is_merged: bool) -> Cow<'_, [u8]> {
    let can_be = is_merged && matches!(path, [b'/', b'b' | b's' | b'l', ..]);
    if can_be && MERGED.iter().any(|directory| path.starts_with(directory)) {
        return Cow::Owned([b"/usr", path].concat());
    }
    Cow::Borrowed(path)
}

/// The path and the hash of one line of `md5sums`, the path absolute.
pub fn md5sum(line: &[u8]) -> Option<(Vec<u8>, [u8; 16])> {
    let (hash, rest) = line.split_at_checked(32)?;
    let path = rest.strip_prefix(b"  ").or_else(|| rest.strip_prefix(b" *"))?;
    let path = path.strip_prefix(b"./").unwrap_or(path);
    Some(([b"/", path].concat(), md5(hash)?))
}

/// Whether a line of `md5sums` can be about this path; without allocation.
pub fn may_be_of(line: &[u8], path: &[u8]) -> bool {
    line.ends_with(file_name(path))
}

/// 32 hexadecimal digits.
pub fn md5(digits: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != 16 || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Parses `status` line by line for its configuration files.
#[derive(Debug, Default)]
pub struct Conffiles {
    within: bool,
}

impl Conffiles {
    /// The configuration file of this line, with the hash of the package's version. `None` for another line, and for
    /// `newconffile` in place of a hash.
    pub fn line<'a>(&mut self, line: &'a [u8]) -> Option<(&'a [u8], [u8; 16])> {
        let Some(text) = line.strip_prefix(b" ") else {
            self.within = line == b"Conffiles:";
            return None;
        };
        if !self.within {
            return None;
        }
        // A path can hold blanks; after the hash only this word follows.
        let text = text.strip_suffix(b" obsolete").unwrap_or(text);
        let at = text.iter().rposition(|byte| *byte == b' ')?;
        let (path, hash) = text.split_at_checked(at)?;
        Some((path, md5(hash.get(1..)?)?))
    }
}

/// A renamed file of a package (dpkg-divert(1)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The path as packages list it.
    pub from: Vec<u8>,
    /// Where the file of every other package is.
    pub to: Vec<u8>,
    /// The package that owns the original name; `:` for the administrator.
    pub by: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_that_matter_at_the_start_of_python_are_relevant_and_no_others() {
        for path in [
            "/usr/lib/python3/dist-packages/a.pth",
            "/usr/lib/python3.11/encodings/__init__.py",
            "/etc/python3.11/sitecustomize.py",
            "/etc/environment",
            "/usr/bin/python3.11",
            "/opt/x/lib/python3.9/site-packages/x/__init__.py",
            "/usr/share/python-wheels/pip-23.0.1-py3-none-any.whl",
            "/usr/lib/python311.zip",
            "/opt/x/odd.pth",
            "/usr/lib/systemd/system/x.service",
            "/usr/lib/environment.d/x.conf",
            "/usr/share/fish/vendor_conf.d/x.fish",
        ] {
            assert!(is_relevant(path.as_bytes()), "{path}");
        }
        for path in ["/usr/lib/python3.11", "/usr/share/doc/python3/README", "/usr/bin/perl", "/usr/share/x/x.py", ""] {
            assert!(!is_relevant(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn both_paths_of_a_merged_directory_are_one() {
        assert_eq!(&*merged(b"/lib/python3/x.py", true), b"/usr/lib/python3/x.py");
        assert_eq!(&*merged(b"/lib/python3/x.py", false), b"/lib/python3/x.py");
        assert_eq!(&*merged(b"/library/x.py", true), b"/library/x.py");
    }

    #[test]
    fn a_line_of_md5sums_holds_hash_and_path() {
        let hash = [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0, 0xb2, 4, 0xe9, 0x80, 9, 0x98, 0xec, 0xf8, 0x42, 0x7e];
        let line = b"d41d8cd98f00b204e9800998ecf8427e  usr/lib/a b.pth";
        assert_eq!(md5sum(line), Some((b"/usr/lib/a b.pth".to_vec(), hash)));
        assert!(may_be_of(line, b"/usr/lib/a b.pth"));
        assert!(!may_be_of(line, b"/usr/lib/c.pth"));
        for line in ["", "d41d8cd98f00b204e9800998ecf8427e", "x41d8cd98f00b204e9800998ecf8427e  a", "é"] {
            assert_eq!(md5sum(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn configuration_files_are_parsed_from_their_field_only() {
        let status = "Package: x\nConffiles:\n /etc/a d41d8cd98f00b204e9800998ecf8427e\n /etc/b newconffile\n \
                      /etc/c d41d8cd98f00b204e9800998ecf8427e obsolete\nDescription: y\n /etc/d d41d8cd98f00b204e9800998ecf8427e\n";
        let mut conffiles = Conffiles::default();
        let found: Vec<_> =
            status.split('\n').filter_map(|line| Some(conffiles.line(line.as_bytes())?.0.to_vec())).collect();
        assert_eq!(found, [b"/etc/a", b"/etc/c"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut conffiles = Conffiles { within: true };
            conffiles.line(&bytes);
            md5sum(&bytes);
            is_relevant(&bytes);
            prop_assert!(merged(&bytes, true).ends_with(&bytes));
        }
    }
}
