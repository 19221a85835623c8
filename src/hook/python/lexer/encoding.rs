//! The coding comment of a source (PEP 263).

use super::decode;
use super::literal::unescape;

/// Longest name of a codec.
const MAX_NAME: usize = 64;

/// What the declared codec does to the source.
#[derive(Debug, PartialEq, Eq)]
pub enum Encoding {
    /// It maps bytes to characters, or none is declared.
    Plain,
    /// A known preprocessor for newer syntax.
    Preprocessor,
    /// It makes other code of the source: of this text, as far as that is known.
    Other(Option<Vec<u8>>),
}

/// Codecs that only map bytes to characters, without punctuation. Sorted.
static PLAIN: &[&str] = &[
    "ascii", "hz", "johab", "l1", "ptcp154", "tis620", "u8", "usascii", "utf", "utf8", "utf8dos", "utf8mac", "utf8sig",
    "utf8unix",
];

/// Beginnings of the names of further such codecs.
static PLAIN_FAMILIES: &[&str] =
    &["iso8859", "latin", "cp", "windows", "koi8", "mac", "euc", "iso2022", "big5", "gb", "shiftjis", "sjis", "ibm"];

/// The encoding that a comment in the first two lines declares.
pub fn declared_encoding(source: &[u8]) -> Encoding {
    for line in source.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()).take(2) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_start();
        if line.first() != Some(&b'#') {
            break;
        }
        if let Some(name) = codec_name(line) {
            return encoding(source, &name);
        }
    }
    Encoding::Plain
}

/// The name behind `coding:` or `coding=`.
fn codec_name(comment: &[u8]) -> Option<String> {
    const WORD: &[u8] = b"coding";
    let at = comment.windows(WORD.len()).position(|word| word == WORD)?;
    let [b':' | b'=', rest @ ..] = comment.get(at + WORD.len()..)? else { return None };
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let name: Vec<u8> = rest.trim_ascii_start().iter().take_while(is_name).take(MAX_NAME).copied().collect();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let letters = name.iter().copied().filter(is_letter).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    (!name.is_empty()).then_some(letters)
}

fn encoding(source: &[u8], codec: &str) -> Encoding {
    let is_plain = PLAIN.binary_search(&codec).is_ok();
    if is_plain || PLAIN_FAMILIES.iter().any(|family| codec.starts_with(family)) {
        Encoding::Plain
    } else if codec.starts_with("futurefstrings") || codec == "pyxl" {
        Encoding::Preprocessor
    } else if codec == "rot13" {
        Encoding::Other(Some(decode::rot13(source)))
    } else if codec.contains("unicodeescape") {
        Encoding::Other(Some(unescape(source, true)))
    } else {
        Encoding::Other(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(PLAIN.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_comment_in_the_first_two_lines_declares_the_encoding() {
        for (source, expected) in [
            ("# -*- coding: utf-8 -*-\n", Encoding::Plain),
            ("#!/usr/bin/python\n# vim: fileencoding=latin-1\n", Encoding::Plain),
            ("# coding: pyxl\n", Encoding::Preprocessor),
            ("# coding: utf-7\n", Encoding::Other(None)),
            ("# coding: rot13\nvzcbeg\n", Encoding::Other(Some(b"# pbqvat: ebg13\nimport\n".to_vec()))),
            ("import os\n# coding: utf-7\n", Encoding::Plain),
            ("#\n#\n# coding: utf-7\n", Encoding::Plain),
        ] {
            assert_eq!(declared_encoding(source.as_bytes()), expected, "{source:?}");
        }
    }
}
