//! Parses the RECORD of a `.dist-info` directory (PEP 376, PEP 627: "Recording installed projects" of
//! packaging.python.org) and `installed-files.txt` of an `.egg-info` directory. Pure.
//!
//! The author of a wheel writes its RECORD, and anyone who can write the directory can replace it. An equal hash shows
//! which package a file came with, and not that the package is harmless.

use std::borrow::Cow;

/// One file of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path below the site directory, as `coverage/__init__.py`.
    pub path: Cow<'a, [u8]>,
    /// SHA-256 of the content; `None` without a hash, as for bytecode, or with another algorithm.
    pub sha256: Option<[u8; 32]>,
}

/// One line of a RECORD: `path,sha256=HASH,size`, the path in quotes when it holds a comma or a quote.
/// `None` when the path leads out of the site directory. A path with a line break is not parsed.
pub fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (path, rest) = field(line)?;
    let (hash, _) = field(rest)?;
    Some(Entry { path: below(path)?, sha256: hash.strip_prefix(b"sha256=").and_then(decode) })
}

/// One line of `installed-files.txt`: a path relative to the `.egg-info` directory, without a hash.
pub fn legacy_entry(line: &[u8]) -> Option<Entry<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some(Entry { path: below(Cow::Borrowed(line.strip_prefix(b"../")?))?, sha256: None })
}

/// The first field of a CSV line, and what follows its comma.
fn field(line: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = line.strip_prefix(b"\"") else {
        let end = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
        let (field, rest) = line.split_at_checked(end)?;
        return Some((Cow::Borrowed(field), rest.get(1..).unwrap_or_default()));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' if bytes.next_if(|(_, next)| **next == b'"').is_some() => value.push(b'"'),
            b'"' => {
                let rest = quoted.get(at + 1..)?;
                return Some((Cow::Owned(value), rest.strip_prefix(b",").unwrap_or_default()));
            }
            byte => value.push(*byte),
        }
    }
    None
}

/// The path without `./`, if it stays below its directory.
fn below(path: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    let path = match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.strip_prefix(b"./").unwrap_or(path)),
        Cow::Owned(path) => Cow::Owned(path.strip_prefix(b"./").map(<[u8]>::to_vec).unwrap_or(path)),
    };
    let leads_out =
        path.is_empty() || path.starts_with(b"/") || path.split(|byte| *byte == b'/').any(|part| part == b"..");
    (!leads_out).then_some(path)
}

/// URL-safe base64 of 32 bytes, with or without its padding.
fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.len() != 43 {
        return None;
    }
    let mut bytes = [0; 32];
    let mut out = bytes.iter_mut();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            *out.next()? = u8::try_from(bits >> count & 0xff).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    // base64.urlsafe_b64encode(hashlib.sha256(b"").digest()) of Python.
    const EMPTY: &str = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    fn sha256_of_nothing() -> [u8; 32] {
        Sha256::digest(b"").into()
    }

    #[test]
    fn a_line_holds_the_path_and_the_hash() {
        let line = format!("coverage/__init__.py,{EMPTY},1081");
        let found = entry(line.as_bytes()).unwrap();
        assert_eq!(&*found.path, b"coverage/__init__.py");
        assert_eq!(found.sha256, Some(sha256_of_nothing()));
        assert_eq!(entry(format!("{line}\r").as_bytes()), Some(found));
    }

    #[test]
    fn bytecode_and_other_hashes_are_listed_without_a_hash() {
        for line in [
            "x/__pycache__/y.pyc,,",
            "x/y.py",
            "x/y.py,md5=abc,3",
            "x/y.py,sha256=short,3",
            "x/y.py,sha256=4!DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0",
        ] {
            assert_eq!(entry(line.as_bytes()).unwrap().sha256, None, "{line}");
        }
    }

    #[test]
    fn quoted_paths_are_parsed_as_the_csv_module_writes_them() {
        let line = format!("\"a, \"\"b\"\".pth\",{EMPTY},0");
        let found = entry(line.as_bytes()).unwrap();
        assert_eq!(&*found.path, b"a, \"b\".pth");
        assert_eq!(found.sha256, Some(sha256_of_nothing()));
        assert_eq!(entry(b"\"never closed,sha256=x,0"), None);
    }

    #[test]
    fn paths_that_lead_out_of_the_site_directory_are_no_entries() {
        for path in ["../../../bin/x", "/etc/x.pth", "a/../../x.pth", "", "\"/etc/x\""] {
            assert_eq!(entry(format!("{path},{EMPTY},0").as_bytes()), None, "{path}");
        }
        assert_eq!(&*entry(b"./a.pth,,").unwrap().path, b"a.pth");
    }

    #[test]
    fn legacy_lists_are_relative_to_their_own_directory() {
        assert_eq!(&*legacy_entry(b"../a.pth").unwrap().path, b"a.pth");
        for line in ["PKG-INFO", "../../a.pth", "../", ""] {
            assert_eq!(legacy_entry(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_line_of_the_csv_module_is_parsed_back(
            path in "[a-z ,\"\u{e9}]{1,20}(/[a-z,\"]{1,9}){0,3}", digest in any::<[u8; 32]>()
        ) {
            let quoted = format!("\"{}\"", path.replace('"', "\"\""));
            let written = if path.contains([',', '"']) { quoted } else { path.clone() };
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let bit = |at: usize| digest.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
            let hash: String = (0..43)
                .map(|letter| char::from(alphabet[(0..6).fold(0, |value, at| value << 1 | bit(letter * 6 + at))]))
                .collect();
            let line = format!("{written},sha256={hash},7");
            let found = entry(line.as_bytes()).unwrap();
            prop_assert_eq!(&*found.path, path.as_bytes());
            prop_assert_eq!(found.sha256, Some(digest));
        }

        #[test]
        fn any_bytes_are_parsed_without_a_panic_and_stay_below_the_directory(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for line in bytes.split(|byte| *byte == b'\n') {
                for found in [entry(line), legacy_entry(line)].into_iter().flatten() {
                    prop_assert!(!found.path.starts_with(b"/"));
                    prop_assert!(!found.path.split(|byte| *byte == b'/').any(|part| part == b".."));
                    prop_assert!(found.path.len() <= line.len());
                }
            }
        }
    }
}
