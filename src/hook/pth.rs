//! `.pth` files: what each line does, and in which versions of Python. Pure, linear in time.
//!
//! Any version of Python can read the file, so this is the union of all grammars of CPython's `site`:
//!
//! * up to 3.12 lines end at `\n`, `\r\n` or `\r`; the locale decodes, and 2.7 does not decode at all;
//! * from 3.13 a byte order mark is dropped and every separator of `str.splitlines` ends a line;
//! * from 3.15 each line is stripped first (PEP 829, which also plans to ignore import lines from 3.18 on);
//! * a line that then starts with `import` and a blank or tab is executed, one with `#` is a comment, and any
//!   other is a directory to add.
//!
//! A file that is no UTF-8 stops 3.x with an error in a UTF-8 locale, and runs in an eight-bit one, where a
//! lone byte 0x85 is a separator too. No executed line is missed: `tests/oracle/site.rs` compares with real interpreters.
//! Some lines are listed that never run: those after a line that raises an error (up to 3.14), and lines with a NUL
//! byte.

mod interpreters;

pub use interpreters::Interpreters;

use super::search_path;
use crate::event::Signal;
use crate::event::Signals;

/// Import lines kept of one file.
pub const MAX_IMPORTS: usize = 2000;
/// Lines of every other kind kept of one file.
pub const MAX_OTHERS: usize = 200;

/// How an interpreter reads a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is executed.
    Import,
    /// It is a directory.
    Path,
    /// It is skipped.
    Comment,
    /// It holds nothing.
    Blank,
}

/// One line as some interpreter reads it. Where interpreters split differently, the same bytes stand in more
/// than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number as editors count, by `\n` alone, from 1.
    pub number: usize,
    /// What it is.
    pub kind: Kind,
    /// The bytes without a byte order mark and leading white space.
    pub text: &'a [u8],
    /// The interpreters that read it so.
    pub interpreters: Interpreters,
    /// `OddSeparator`, `ByteOrderMark` and `Indented`, of import lines only.
    pub signals: Signals,
}

/// A file as a whole.
#[derive(Clone, Debug, Default)]
pub struct Parsed<'a> {
    /// The lines in order, without blank ones; at most [`MAX_IMPORTS`] and [`MAX_OTHERS`] of each other kind.
    pub lines: Vec<Line<'a>>,
    /// Import lines, counted.
    pub imports: usize,
    /// Path lines, counted.
    pub path_lines: usize,
    /// Comments, counted.
    pub comments: usize,
    /// Blank lines, counted.
    pub blanks: usize,
    /// The directories of the path lines kept, without white space around them.
    pub paths: Vec<&'a [u8]>,
    /// Everything remarkable about the spelling. `Truncated`: import or path lines were not kept, or what was
    /// given is not the whole file.
    pub signals: Signals,
    /// The interpreters that execute any line of it.
    pub interpreters: Interpreters,
}

/// Reads a whole file.
pub fn parse(content: &[u8]) -> Parsed<'_> {
    let mut parsed = Parsed::default();
    if undecodable(content).is_some() {
        parsed.signals.insert(Signal::Undecodable);
    }
    for line in lines(content) {
        let (count, kept) = match line.kind {
            Kind::Import => (&mut parsed.imports, MAX_IMPORTS),
            Kind::Path => (&mut parsed.path_lines, MAX_OTHERS),
            Kind::Comment => (&mut parsed.comments, MAX_OTHERS),
            Kind::Blank => (&mut parsed.blanks, 0),
        };
        *count += 1;
        let keep = *count <= kept;
        if keep {
            parsed.lines.push(line);
        } else if matches!(line.kind, Kind::Import | Kind::Path) {
            parsed.signals.insert(Signal::Truncated);
        }
        if line.kind == Kind::Import {
            parsed.interpreters = parsed.interpreters.union(line.interpreters);
            parsed.signals.extend(line.signals);
        }
        if line.kind == Kind::Path {
            let path = trim_end(line.text);
            parsed.signals.extend(search_path::signals(path));
            if keep {
                parsed.paths.push(path);
            }
        }
    }
    parsed
}

/// Reads the beginning of a larger file: a character that is cut in two at the end is no error.
pub fn parse_beginning(content: &[u8]) -> Parsed<'_> {
    let mut parsed = parse(without_cut_character(content));
    parsed.signals.insert(Signal::Truncated);
    parsed
}

/// The lines that some interpreter executes, without leading blanks, in order.
pub fn executed(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(content).filter(|line| line.kind == Kind::Import).map(|line| line.text)
}

/// Whether this is the beginning of a model's weights and nothing that Python would execute: torch's two
/// formats, NumPy's, HDF5, gzip and 7z. Give at least 4 KiB.
///
/// The magic alone proves nothing: a file may begin like a zip and go on with an import line. So it must also
/// hold what is no UTF-8, which weights do and which 3.x refuses, and no line that starts with `import`,
/// which 2.7 or an eight-bit locale would run nevertheless.
pub fn is_model_weights(head: &[u8]) -> bool {
    let magic = matches!(
        head,
        [0x80, 2..=5, ..]
            | [b'P', b'K', 3, 4, ..]
            | [0x93, b'N', b'U', b'M', b'P', b'Y', ..]
            | [0x89, b'H', b'D', b'F', ..]
            | [0x1f, 0x8b, ..]
            | [b'7', b'z', 0xbc, 0xaf, ..]
    );
    magic && undecodable(without_cut_character(head)).is_some() && executed(head).next().is_none()
}

/// Which interpreters read a file of this name in a site directory.
pub fn name_interpreters(name: &[u8]) -> Interpreters {
    match (name.ends_with(b".pth"), name.ends_with(b".start"), name.starts_with(b".")) {
        // Distributions have brought the refusal of 3.13 back to some older ones.
        (true, _, true) => Interpreters::OLD,
        (true, _, false) => Interpreters::ALL,
        (_, true, false) => Interpreters::SINCE_3_15,
        _ => Interpreters::NONE,
    }
}

/// `HiddenName` for a `.pth` file with a dot before its name, which the interpreters of
/// [`name_interpreters`] read although `ls` does not show it.
pub fn name_signals(name: &[u8]) -> Signals {
    (name.starts_with(b".") && !name_interpreters(name).is_empty()).then_some(Signal::HiddenName).into_iter().collect()
}

/// Where the first bytes that are no UTF-8 stand.
fn undecodable(content: &[u8]) -> Option<usize> {
    std::str::from_utf8(content).err().map(|error| error.valid_up_to())
}

fn without_cut_character(content: &[u8]) -> &[u8] {
    match std::str::from_utf8(content) {
        Err(error) if error.error_len().is_none() => content.get(..error.valid_up_to()).unwrap_or(content),
        _ => content,
    }
}

/// Every line as some interpreter reads it, in order. Nothing is kept.
pub fn lines(content: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let bad = undecodable(content);
    universal(content).flat_map(move |outer| {
        let old = Interpreters::OLD;
        let whole = (outer.has_odd_separator(bad.is_some()))
            .then(|| classify(&outer, outer.text, old, bad))
            .filter(|line| matches!(line.kind, Kind::Import | Kind::Path) && !line.interpreters.is_empty());
        // Older interpreters see the first part as the beginning of the whole.
        let first = if whole.is_some() { Interpreters::SINCE_3_13 } else { Interpreters::ALL };
        let parts = Separated { rest: Some(outer.text), eight_bit: bad.is_some() };
        whole.into_iter().chain(parts.enumerate().map(move |(index, part)| {
            if index == 0 {
                return classify(&outer, part, first, bad);
            }
            let mut line = classify(&outer, part, Interpreters::SINCE_3_13, bad);
            if line.kind == Kind::Import {
                line.signals.insert(Signal::OddSeparator);
            }
            line
        }))
    })
}

/// The lines as 3.13 and later split them, without a byte order mark: number as in [`Line::number`], bytes, and
/// whether one is a line only by a separator that editors do not show.
pub(super) fn split(content: &[u8]) -> impl Iterator<Item = (usize, &[u8], bool)> {
    universal(content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)).flat_map(|outer| {
        let parts = Separated { rest: Some(outer.text), eight_bit: false };
        parts.enumerate().map(move |(index, part)| (outer.number, part, index > 0 || outer.after_return))
    })
}

/// A line up to one of the universal newlines.
#[derive(Clone, Copy)]
struct Universal<'a> {
    text: &'a [u8],
    number: usize,
    /// Where it starts and where its separator ends, in the content.
    start: usize,
    end: usize,
    /// The separator before it is a carriage return alone.
    after_return: bool,
}

impl Universal<'_> {
    fn has_odd_separator(&self, eight_bit: bool) -> bool {
        next_separator(self.text, eight_bit).is_some()
    }
}

/// Splits at `\n`, `\r\n` and `\r`. The empty text after the last separator is no line.
fn universal(content: &[u8]) -> impl Iterator<Item = Universal<'_>> {
    let (mut start, mut number, mut after_return) = (0, 1, false);
    std::iter::from_fn(move || {
        let rest = content.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let separator: &[u8] = match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => b"\r\n",
            Some([b'\r', ..]) => b"\r",
            Some([b'\n', ..]) => b"\n",
            _ => b"",
        };
        let end = start + length + separator.len();
        let line = Universal { text: rest.get(..length).unwrap_or_default(), number, start, end, after_return };
        number += usize::from(separator.ends_with(b"\n"));
        after_return = separator == b"\r";
        start = end;
        Some(line)
    })
}

/// Splits at the further separators of `str.splitlines`.
struct Separated<'a> {
    rest: Option<&'a [u8]>,
    eight_bit: bool,
}

impl<'a> Iterator for Separated<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let (length, separator) = next_separator(text, self.eight_bit).unwrap_or((text.len(), 0));
        self.rest = if separator == 0 { None } else { text.get(length + separator..) };
        text.get(..length)
    }
}

/// Position and length of the next separator.
fn next_separator(text: &[u8], eight_bit: bool) -> Option<(usize, usize)> {
    text.iter().enumerate().find_map(|(at, byte)| {
        let length = match byte {
            0x0b | 0x0c | 0x1c..=0x1e => 1,
            0x85 if eight_bit => 1,
            0xc2 if text.get(at + 1) == Some(&0x85) => 2,
            0xe2 if matches!(text.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
            _ => return None,
        };
        Some((at, length))
    })
}

fn classify<'a>(outer: &Universal<'a>, text: &'a [u8], interpreters: Interpreters, bad: Option<usize>) -> Line<'a> {
    let is_first = outer.start == 0 && std::ptr::eq(text.as_ptr(), outer.text.as_ptr());
    let unmarked = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first);
    let written = unmarked.unwrap_or(text);
    let text = trim_start(written, bad.is_some());
    let indented = text.len() < written.len();
    let kind = match text {
        [] => Kind::Blank,
        [b'#', ..] => Kind::Comment,
        _ if text.starts_with(b"import ") || text.starts_with(b"import\t") => Kind::Import,
        _ => Kind::Path,
    };
    let mut line = Line { number: outer.number, kind, text, interpreters, signals: Signals::default() };
    if kind == Kind::Import {
        for (is_so, signal, by) in [
            (outer.after_return, Signal::OddSeparator, Interpreters::ALL),
            (unmarked.is_some(), Signal::ByteOrderMark, Interpreters::SINCE_3_13),
            (indented, Signal::Indented, Interpreters::SINCE_3_15),
        ] {
            if is_so {
                line.signals.insert(signal);
                line.interpreters = line.interpreters.intersection(by);
            }
        }
    }
    if let Some(bad) = bad {
        line.interpreters = line.interpreters.of_undecodable(outer.end <= bad);
    }
    line
}

/// Removes leading white space as `str.strip` knows it.
fn trim_start(mut line: &[u8], eight_bit: bool) -> &[u8] {
    let is_blank = |text: &[u8]| is_space(text) || (eight_bit && matches!(text, [0x85 | 0xa0]));
    while let Some(length) = (1..=3).find(|&length| line.get(..length).is_some_and(is_blank)) {
        line = line.get(length..).unwrap_or_default();
    }
    line
}

fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some((before, _)) = (1..=3)
        .filter_map(|length| line.split_at_checked(line.len().checked_sub(length)?))
        .find(|(_, last)| is_space(last))
    {
        line = before;
    }
    line
}

fn is_space(character: &[u8]) -> bool {
    std::str::from_utf8(character).is_ok_and(|text| !text.is_empty() && text.chars().all(is_blank))
}

/// White space as `str.strip` knows it.
pub(super) fn is_blank(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(content: &[u8]) -> Vec<&[u8]> {
        executed(content).collect()
    }

    fn labels(content: &[u8]) -> Vec<&'static str> {
        let imports = lines(content).filter(|line| line.kind == Kind::Import);
        imports.map(|line| line.interpreters.label().unwrap_or("all")).collect()
    }

    #[test]
    fn every_shape_that_some_interpreter_executes_is_found_with_its_interpreters_and_signal() {
        let odd = Some(Signal::OddSeparator);
        for (shape, label, signal) in [
            (&b"import x"[..], "all", None),
            (b"import x\n", "all", None),
            (b"import\tx", "all", None),
            (b"import  x", "all", None),
            (b"# c\r\nimport x\r\n", "all", None),
            (b"/nowhere\n\n\nimport x", "all", None),
            (b" import x", "3.15+", Some(Signal::Indented)),
            (b"\timport x", "3.15+", Some(Signal::Indented)),
            (b"\xc2\xa0import x", "3.15+", Some(Signal::Indented)),
            (b"\x0cimport x", "3.13+", odd),
            (b"\xef\xbb\xbfimport x", "3.13+", Some(Signal::ByteOrderMark)),
            (b"# c\rimport x", "all", odd),
            (b"# c\x0bimport x", "3.13+", odd),
            (b"# c\x0cimport x", "3.13+", odd),
            (b"# c\x1cimport x", "3.13+", odd),
            (b"# c\x1dimport x", "3.13+", odd),
            (b"# c\x1eimport x", "3.13+", odd),
            (b"# c\xc2\x85import x", "3.13+", odd),
            (b"# c\xe2\x80\xa8import x", "3.13+", odd),
            (b"# c\xe2\x80\xa9import x", "3.13+", odd),
            (b"# \xff\nimport x", "2.7, 3.x in an 8-bit locale", Some(Signal::Undecodable)),
            (b"import x\n# \xff", "up to 3.12, later ones in an 8-bit locale", Some(Signal::Undecodable)),
            (b"# \x85import x", "3.x in an 8-bit locale", odd),
        ] {
            let parsed = parse(shape);
            assert_eq!(labels(shape), [label], "{shape:?}");
            assert_eq!(parsed.imports, 1, "{shape:?}");
            assert!(parsed.interpreters.label() == (label != "all").then_some(label), "{shape:?}");
            assert!(code(shape).concat().ends_with(b"x"), "{shape:?}");
            let evasion = parsed.signals.iter().filter(|found| !found.as_str().starts_with("path"));
            let evasion: Vec<_> = evasion.filter(|found| signal != odd || *found != Signal::Undecodable).collect();
            assert_eq!(evasion, signal.into_iter().collect::<Vec<_>>(), "{shape:?}");
        }
    }

    #[test]
    fn what_no_interpreter_executes_is_not_shown_as_code() {
        for shape in [
            &b""[..],
            b"IMPORT x",
            b"from x import y",
            b"exec('x')",
            b"importx",
            b"import",
            b"# import x",
            b"/usr/lib/import x",
            b"\xe2\x80\x8bimport x",
            b"\xff\xfei\0m\0p\0o\0r\0t\0 \0x\0",
        ] {
            assert!(code(shape).is_empty(), "{shape:?}");
        }
    }

    #[test]
    fn code_that_only_older_interpreters_see_in_one_line_is_shown_whole() {
        let content = b"import a;\x0cevil()";
        assert_eq!(code(content), [&content[..], b"import a;"]);
        assert_eq!(labels(content), ["up to 3.12", "3.13+"]);
    }

    #[test]
    fn lines_are_numbered_as_editors_do_and_counted_by_kind() {
        let parsed = parse(b"# a\r# b\n\n/opt/x  \n../y\nimport z");
        let numbers: Vec<_> = parsed.lines.iter().map(|line| (line.number, line.kind)).collect();
        assert_eq!(
            numbers,
            [(1, Kind::Comment), (1, Kind::Comment), (3, Kind::Path), (4, Kind::Path), (5, Kind::Import)]
        );
        assert_eq!((parsed.imports, parsed.path_lines, parsed.comments, parsed.blanks), (1, 2, 2, 1));
        assert_eq!(parsed.paths, [&b"/opt/x"[..], b"../y"]);
        let signals: Vec<_> = parsed.signals.iter().collect();
        assert_eq!(signals, [Signal::PathRelative, Signal::PathAdded]);
    }

    #[test]
    fn an_import_line_after_any_number_of_paths_is_kept_and_the_loss_is_reported() {
        let content = [b"/x\n".repeat(5000), b"import y".to_vec()].concat();
        let parsed = parse(&content);
        assert_eq!(parsed.lines.len(), MAX_OTHERS + 1);
        assert_eq!((parsed.path_lines, parsed.lines[MAX_OTHERS].number), (5000, 5001));
        assert!(parsed.signals.contains(Signal::Truncated));
    }

    #[test]
    fn a_character_cut_in_two_is_an_error_of_whole_files_only() {
        let content = "import x # \u{20ac}".as_bytes();
        let content = &content[..content.len() - 1];
        assert!(parse(content).signals.contains(Signal::Undecodable));
        assert!(!parse_beginning(content).signals.contains(Signal::Undecodable));
    }

    #[test]
    fn weights_are_known_and_nothing_that_runs_is_taken_for_them() {
        let torch: &[u8] = b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pklFB\x12\0ZZZ\x80\x02ccollections\nOrderedDict\n";
        assert!(is_model_weights(torch));
        assert!(is_model_weights(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."));
        for not in [
            &b"import x"[..],
            b"PK\x03\x04\nimport evil\n",
            b"PK\x03\x04 text only",
            b"\x80\x02\nimport evil\n",
            b"PK\x03\x04\x80\rimport evil",
            b"PK\x03\x04\x80\x85import evil",
            b"\x80",
            b"",
        ] {
            assert!(!is_model_weights(not), "{not:?}");
        }
    }

    #[test]
    fn the_name_decides_which_interpreters_read_the_file() {
        for (name, label, hidden) in [
            ("a.pth", None, false),
            ("-x.pth", None, false),
            (".a.pth", Some("up to 3.12"), true),
            (".pth", Some("up to 3.12"), true),
            ("a.PTH", Some("none"), false),
            ("a.pth~", Some("none"), false),
            ("a.start", Some("3.15+"), false),
            (".a.start", Some("none"), false),
        ] {
            assert_eq!(name_interpreters(name.as_bytes()).label(), label, "{name}");
            assert_eq!(name_signals(name.as_bytes()).contains(Signal::HiddenName), hidden, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_without_loss_of_code(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            for line in executed(&content) {
                prop_assert!(line.starts_with(b"import"));
                prop_assert!(content.windows(line.len()).any(|window| window == line));
            }
        }
    }
}
