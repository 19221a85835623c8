//! One error or warning about a file that an administrator wrote: where it is, what is wrong, what to do.
//!
//! An attacker may have written such a file, so its content is escaped before it reaches a terminal or a log.

use crate::escape::one_line as printable;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error or a warning about a configuration or rule file. `Display` prints one escaped line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub file: PathBuf,
    /// Line in it, from 1. `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and the way out.
    pub message: String,
    /// What kind of diagnostic it is.
    pub kind: DiagnosticKind,
}

/// Kinds of diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosticKind {
    /// The file is wrong, and is refused.
    Invalid,
    /// The file may not be read.
    NoPermission,
    /// The file can be read, but others than root and the user that the program runs as could have written it. With
    /// privileges it is refused, without them this is a warning.
    Insecure,
    /// The file is used as it is.
    Warning,
}

impl Diagnostic {
    /// An error at a line, or (`None`) about the file as a whole.
    pub fn new(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line, message: message.into(), kind: DiagnosticKind::Invalid }
    }

    /// The file is used as it is, but something about it should change.
    pub fn warning(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { kind: DiagnosticKind::Warning, ..Self::new(file, line, message) }
    }

    /// Others could have written the file: why, and the way out.
    pub fn insecure(file: &Path, why: &str) -> Self {
        let message = format!("others could have written it: {why}");
        Self { kind: DiagnosticKind::Insecure, ..Self::new(file, None, message) }
    }

    /// Whether the file is used all the same, at least without privileges.
    pub fn is_warning(&self) -> bool {
        matches!(self.kind, DiagnosticKind::Insecure | DiagnosticKind::Warning)
    }

    /// The same, as [`DiagnosticKind::NoPermission`] if that is the kernel's error.
    pub fn because_of(mut self, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied {
            self.kind = DiagnosticKind::NoPermission;
        }
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", printable(&self.message))
    }
}

impl std::error::Error for Diagnostic {}

/// Most characters of a file that a message quotes.
const MAX_QUOTE: usize = 80;

/// Text from a file between backticks, printable and short, to be named in a message.
pub fn quote(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(MAX_QUOTE).collect();
    let more = if characters.next().is_some() { "..." } else { "" };
    format!("`{}{more}`", printable(&start))
}

/// Longest word, in bytes, that is compared with the known ones.
const MAX_WORD: usize = 40;

/// The known word of which `word` is probably a misspelling.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 3 && distance * 2 <= word.len().max(candidate.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, removed or replaced to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut above: Vec<usize> = (0..=b.chars().count()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut left = row + 1;
        let mut current = vec![left];
        for (to, pair) in b.chars().zip(above.windows(2)) {
            let (diagonal, up) = match pair {
                [diagonal, up] => (*diagonal, *up),
                _ => return usize::MAX, // windows(2) gives pairs
            };
            left = (diagonal + usize::from(from != to)).min(up + 1).min(left + 1);
            current.push(left);
        }
        above = current;
    }
    above.last().copied().unwrap_or(usize::MAX)
}

/// The warnings, unless a privileged program has read a file that others could have written. Skipping only that file
/// would let an attacker disable a rule unnoticed, so everything is refused.
///
/// # Errors
/// The diagnostics of the insecure files.
pub fn reject_insecure(warnings: Vec<Diagnostic>, is_privileged: bool) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let is_insecure = |warning: &Diagnostic| warning.kind == DiagnosticKind::Insecure;
    if !is_privileged || !warnings.iter().any(is_insecure) {
        return Ok(warnings);
    }
    Err(warnings.into_iter().filter(is_insecure).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_diagnostic_reads_as_file_line_message() {
        let problem = Diagnostic::new(Path::new("/etc/x.toml"), Some(7), "wrong");
        assert_eq!(problem.to_string(), "/etc/x.toml:7: wrong");
        let problem = Diagnostic::new(Path::new("/etc/x.toml"), None, "missing");
        assert_eq!(problem.to_string(), "/etc/x.toml: missing");
    }

    #[test]
    fn control_and_direction_characters_are_escaped_letters_are_not() {
        let problem = Diagnostic::new(Path::new("/a\nb"), Some(1), "\u{1b}[2J \u{202e}x\r\0 M\u{fc}ller");
        assert_eq!(problem.to_string(), "/a\\nb:1: \\x1b[2J \\u{202e}x\\r\\x00 M\u{fc}ller");
    }

    #[test]
    fn a_long_quotation_is_cut() {
        let quoted = quote(&"x".repeat(1_000_000));
        assert_eq!(quoted.len(), MAX_QUOTE + "``...".len());
        assert_eq!(quote("short"), "`short`");
    }

    #[test]
    fn a_misspelling_finds_its_word_and_nonsense_finds_none() {
        let known = ["backend", "root", "trees", "max_message_bytes", "err"];
        for (slip, meant) in [
            ("tree", "trees"),
            ("Root", "root"),
            ("backned", "backend"),
            ("max-message-bytes", "max_message_bytes"),
            ("error", "err"),
        ] {
            assert_eq!(nearest(slip, &known), Some(meant), "{slip}");
        }
        for nonsense in ["", "zzz", "password", &"root".repeat(1000)] {
            assert_eq!(nearest(nonsense, &known), None, "{nonsense}");
        }
    }

    #[test]
    fn distance_counts_single_changes() {
        for (a, b, changes) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), changes, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn any_diagnostic_prints_as_one_printable_line(file in ".*", message in "(?s).*") {
            let line = Diagnostic::new(Path::new(&file), Some(1), message.clone()).to_string();
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
