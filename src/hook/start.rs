//! `.start` files of Python 3.15 (PEP 829): entry points that are called at start-up. Pure, linear in time.
//!
//! Each line is `module:function`, both dotted names. Lines are split and stripped as in a `.pth` file, `#`
//! starts a comment at the beginning of a line only, and anything else is reported by Python and skipped. The
//! module is imported even when the function is not there. A file that is no UTF-8 is skipped as a whole.
//!
//! A `.start` of any content keeps the import lines of the `.pth` of the same name from running, as long as
//! it is UTF-8. One without an entry does nothing else.

use super::pth;
use super::pth::Interpreters;
use crate::event::Hook;
use crate::event::Signal;
use crate::event::Signals;

/// Entries kept of one file.
pub const MAX_ENTRIES: usize = 2000;

/// One entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Number as editors count, by `\n` alone, from 1.
    pub number: usize,
    /// The line without white space around it.
    pub text: &'a str,
    /// The module that is imported.
    pub module: &'a str,
    /// The function of the module that Python calls.
    pub function: &'a str,
}

/// A file as a whole.
#[derive(Clone, Debug, Default)]
pub struct Parsed<'a> {
    /// The entry points in order, at most [`MAX_ENTRIES`].
    pub entries: Vec<Entry<'a>>,
    /// Entry points, counted.
    pub found: usize,
    /// Lines that Python reports as wrong and skips, counted.
    pub invalid: usize,
    /// The modules of the entry points, each once, at most [`Hook::MAX_IMPORTS`].
    pub imports: Vec<String>,
    /// `SuppressesPth` for a file without an entry; `OddSeparator`, `ByteOrderMark`, `Undecodable`,
    /// `Truncated` as for a `.pth` file.
    pub signals: Signals,
}

impl Parsed<'_> {
    /// The interpreters that read this file.
    pub fn interpreters(&self) -> Interpreters {
        if self.signals.contains(Signal::Undecodable) { Interpreters::NONE } else { Interpreters::SINCE_3_15 }
    }
}

/// Reads a whole file.
pub fn parse(content: &[u8]) -> Parsed<'_> {
    let mut parsed = Parsed::default();
    let Ok(_) = std::str::from_utf8(content) else {
        parsed.signals.insert(Signal::Undecodable);
        return parsed;
    };
    let has_mark = content.starts_with(b"\xef\xbb\xbf");
    for (index, (number, text, odd)) in lines(content).enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((module, function)) = entry_point(text) else {
            parsed.invalid += 1;
            continue;
        };
        parsed.found += 1;
        if odd {
            parsed.signals.insert(Signal::OddSeparator);
        }
        if has_mark && index == 0 {
            parsed.signals.insert(Signal::ByteOrderMark);
        }
        if parsed.found > MAX_ENTRIES {
            parsed.signals.insert(Signal::Truncated);
            continue;
        }
        parsed.entries.push(Entry { number, text, module, function });
        if parsed.imports.len() < Hook::MAX_IMPORTS && !parsed.imports.iter().any(|known| known == module) {
            parsed.imports.push(module.to_owned());
        }
    }
    if parsed.found == 0 {
        parsed.signals.insert(Signal::SuppressesPth);
    }
    parsed
}

/// Number, text, and whether it is a line only by a separator that editors do not show.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &str, bool)> {
    pth::split(content).map(|(number, text, odd)| {
        let text = std::str::from_utf8(text).unwrap_or_default();
        (number, text.trim_matches(pth::is_blank), odd)
    })
}

/// The two sides of the colon, both dotted names.
fn entry_point(text: &str) -> Option<(&str, &str)> {
    let (module, function) = text.split_once(':')?;
    (is_dotted_name(module) && is_dotted_name(function)).then_some((module, function))
}

/// Words of letters, digits, marks and `_` that do not begin with a digit. More characters count as letters than in
/// Python, so that no entry is missed.
fn is_dotted_name(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
    text.split('.')
        .all(|word| !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(content: &str) -> Vec<&str> {
        parse(content.as_bytes()).entries.into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn entries_are_read_as_python_3_15_does() {
        assert_eq!(entries("# c\n\n  mod:go  \npkg.mod:cls.go\r\n"), ["mod:go", "pkg.mod:cls.go"]);
        assert_eq!(entries("\u{feff}mod:go"), ["mod:go"]);
        assert_eq!(entries("# c\u{2028}mod:go"), ["mod:go"]);
        assert_eq!(entries("m\u{f6}d:go"), ["m\u{f6}d:go"]);
        for wrong in ["mod", "mod:", ":go", "mod:go # c", "mod:go()", "1mod:go", "mod..x:go", "a:b:c", "import x"] {
            assert!(entries(wrong).is_empty(), "{wrong}");
            assert_eq!(parse(wrong.as_bytes()).invalid, 1, "{wrong}");
        }
    }

    #[test]
    fn modules_are_listed_once_and_evasions_are_signals() {
        let parsed = parse(b"\xef\xbb\xbfa:x\na:y\rb.c:z");
        assert_eq!(parsed.imports, ["a", "b.c"]);
        let signals: Vec<_> = parsed.signals.iter().collect();
        assert_eq!(signals, [Signal::OddSeparator, Signal::ByteOrderMark]);
        assert_eq!(parsed.interpreters().label(), Some("3.15+"));
        assert_eq!(parsed.entries[2].number, 2);
    }

    #[test]
    fn a_file_without_entries_only_suppresses_its_pth() {
        for content in [&b""[..], b"\n", b"# nothing", b"wrong"] {
            assert!(parse(content).signals.contains(Signal::SuppressesPth), "{content:?}");
        }
        assert!(!parse(b"a:b").signals.contains(Signal::SuppressesPth));
        let undecodable = parse(b"a:b\n\xff");
        assert!(!undecodable.signals.contains(Signal::SuppressesPth));
        assert!(undecodable.entries.is_empty() && undecodable.interpreters().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_within_bounds(content in ".{0,300}") {
            let parsed = parse(content.as_bytes());
            prop_assert!(parsed.imports.len() <= parsed.found);
        }
    }
}
