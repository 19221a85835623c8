//! Reads a TOML document key by key and reports every error instead of stopping at the first.
//!
//! A [`Table`] records which keys were read; [`Table::finish`] reports all others. So the known keys are those that are
//! read.

use crate::diagnostic::{Diagnostic, nearest, quote};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::{Component, Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Errors reported of one file; the rest are only counted.
pub(super) const MAX_DIAGNOSTICS: usize = 100;

/// Longest path the kernel takes, without its closing NUL.
const MAX_PATH: usize = 4095;

/// Makes a path of a string of the file, or returns the error.
type PathCheck = fn(&str) -> Result<PathBuf, &'static str>;

/// Collects the errors of one file.
pub(super) struct Report<'t> {
    file: &'t Path,
    /// Offset of every line feed, to turn offsets into line numbers.
    line_feeds: Vec<usize>,
    /// Lines with a syntax error. Their parsed values are guesses, so they get no second report.
    broken: BTreeSet<usize>,
    diagnostics: RefCell<Vec<Diagnostic>>,
}

impl<'t> Report<'t> {
    /// Starts with the syntax errors, one for each line.
    pub(super) fn new(file: &'t Path, text: &str, errors: &[toml::de::Error]) -> Self {
        let line_feeds = text.bytes().enumerate().filter_map(|(at, byte)| (byte == b'\n').then_some(at)).collect();
        let mut report = Self { file, line_feeds, broken: BTreeSet::new(), diagnostics: RefCell::default() };
        for error in errors {
            let line = report.line(error.span().map_or(text.len(), |span| span.start));
            if report.broken.insert(line) {
                let message = format!("not valid TOML: {}", error.message());
                report.diagnostics.get_mut().push(Diagnostic::new(file, Some(line), message));
            }
        }
        report
    }

    /// Reports an error at this place.
    pub(super) fn add(&self, at: &Range<usize>, message: String) {
        let line = self.line(at.start);
        if !self.broken.contains(&line) && !self.is_guess(at) {
            self.diagnostics.borrow_mut().push(Diagnostic::new(self.file, Some(line), message));
        }
    }

    /// Reports that something is missing, unless a syntax error can hide it.
    fn add_missing(&self, at: &Range<usize>, message: String) {
        if self.broken.is_empty() {
            self.add(at, message);
        }
    }

    /// The errors in the order of the file, at most [`MAX_DIAGNOSTICS`] and one that counts the rest.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| diagnostic.line);
        let more = diagnostics.len().saturating_sub(MAX_DIAGNOSTICS);
        if more > 0 {
            diagnostics.truncate(MAX_DIAGNOSTICS);
            diagnostics.push(Diagnostic::new(
                self.file,
                None,
                format!("{more} more errors: correct those above first"),
            ));
        }
        diagnostics
    }

    /// After a syntax error the parser puts a stand-in, of no length, where a value should be.
    fn is_guess(&self, at: &Range<usize>) -> bool {
        !self.broken.is_empty() && at.is_empty()
    }

    fn line(&self, offset: usize) -> usize {
        self.line_feeds.partition_point(|line_feed| *line_feed < offset) + 1
    }
}

/// A string of the file and its position.
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    pub(super) at: Range<usize>,
}

/// One table of the file. Each method that reads a key gives `None` if the key is not there or its
/// value is wrong; the latter is reported.
pub(super) struct Table<'t> {
    /// Where it is, for messages: `in [watch]`.
    pub(super) place: &'static str,
    /// The table's place in the file.
    pub(super) at: Range<usize>,
    table: &'t DeTable<'t>,
    report: &'t Report<'t>,
    known: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(place: &'static str, at: Range<usize>, table: &'t DeTable<'t>, report: &'t Report<'t>) -> Self {
        Self { place, at, table, report, known: Vec::new() }
    }

    /// Reports an error at this place.
    pub(super) fn report(&self, at: &Range<usize>, message: String) {
        self.report.add(at, message);
    }

    /// Reports every key that was not read.
    pub(super) fn finish(&mut self) {
        self.known.sort_unstable();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            self.report.add(&key.span(), format!("unknown key {} {}: {hint}", quote(name), self.place));
        }
    }

    /// A table below this one.
    pub(super) fn table(&mut self, key: &'static str, place: &'static str, form: &str) -> Option<Table<'t>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(place, value.span(), table, self.report)),
            other => self.wrong(key, &value.span(), form, other),
        }
    }

    /// Every table of an array of tables.
    pub(super) fn tables(&mut self, key: &'static str, place: &'static str, form: &str) -> Vec<Table<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong::<()>(key, &value.span(), form, value.get_ref());
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Table::new(place, item.span(), table, self.report)),
                other => {
                    self.wrong::<()>(key, &item.span(), form, other);
                }
            }
        }
        tables
    }

    /// One of the given words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.get(key)?;
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let allowed = names.join(", ");
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong(
                key,
                &value.span(),
                &format!("one of these words, in quotes: {allowed}"),
                value.get_ref(),
            );
        };
        if let Some((_, meaning)) = words.iter().find(|(name, _)| name == text) {
            return Some(*meaning);
        }
        let hint = nearest(text, &names).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let message = format!("{} is no `{key}` {}: use one of {allowed}{hint}", quote(text), self.place);
        self.report.add(&value.span(), message);
        None
    }

    /// One of the given words, which must be there.
    pub(super) fn required_word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        if self.get(key).is_none() {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.missing(key, &format!("one of {}", names.join(", ")));
        }
        self.word(key, words)
    }

    /// A whole number within the range.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.get(key)?;
        let form = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            return self.wrong(key, &value.span(), &form, value.get_ref());
        };
        let number = usize::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n));
        if number.is_none() {
            let message = format!("`{key}` {} must be {form}, not {}", self.place, quote(&integer.to_string()));
            self.report.add(&value.span(), message);
        }
        number
    }

    /// An absolute path, if `check` takes it.
    pub(super) fn path(&mut self, key: &'static str, check: PathCheck) -> Option<PathBuf> {
        let value = self.get(key)?;
        let DeValue::String(text) = value.get_ref() else {
            return self.wrong(key, &value.span(), "an absolute path in quotes", value.get_ref());
        };
        self.checked_path(key, &Text { text, at: value.span() }, check)
    }

    /// An absolute path, which must be there.
    pub(super) fn required_path(&mut self, key: &'static str, check: PathCheck) -> Option<PathBuf> {
        if self.get(key).is_none() {
            self.missing(key, "an absolute path");
        }
        self.path(key, check)
    }

    /// A list of strings, none of them empty.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Text<'t>>> {
        let form = "a list of strings: [\"...\", \"...\"]";
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.wrong(key, &value.span(), form, value.get_ref());
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) if !text.is_empty() => texts.push(Text { text, at: item.span() }),
                DeValue::String(_) => {
                    self.report.add(&item.span(), format!("an empty string in `{key}` {}: remove it", self.place));
                }
                other => {
                    self.wrong::<()>(key, &item.span(), form, other);
                }
            }
        }
        Some(texts)
    }

    /// A list of absolute paths, none twice, that is not empty.
    pub(super) fn some_paths(&mut self, key: &'static str) -> Option<Vec<PathBuf>> {
        let value = self.get(key)?;
        if value.get_ref().as_array().is_some_and(|items| items.is_empty()) {
            let way_out = "name at least one directory, or leave the key out for the default";
            self.report.add(&value.span(), format!("`{key}` {} is empty: {way_out}", self.place));
        }
        self.paths(key)
    }

    /// A list of absolute paths, none twice.
    pub(super) fn paths(&mut self, key: &'static str) -> Option<Vec<PathBuf>> {
        let texts = self.texts(key)?;
        let mut seen = BTreeSet::new();
        let mut paths = Vec::new();
        for text in &texts {
            let Some(path) = self.checked_path(key, text, absolute_path) else { continue };
            if seen.insert(path.clone()) {
                paths.push(path);
            } else {
                self.twice(key, text);
            }
        }
        Some(paths)
    }

    /// Reports a repeated entry of a list.
    pub(super) fn twice(&self, key: &str, text: &Text<'_>) {
        self.report.add(&text.at, format!("{} is twice in `{key}` {}: remove one", quote(text.text), self.place));
    }

    fn checked_path(&self, key: &str, text: &Text<'_>, check: PathCheck) -> Option<PathBuf> {
        match check(text.text) {
            Ok(path) => Some(path),
            Err(reason) => {
                let message = format!("{} is no path for `{key}` {}: {reason}", quote(text.text), self.place);
                self.report.add(&text.at, message);
                None
            }
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    fn missing(&self, key: &str, form: &str) {
        self.report.add_missing(&self.at, format!("`{key}` is missing {}: add it, {form}", self.place));
    }

    fn wrong<T>(&self, key: &str, at: &Range<usize>, form: &str, value: &DeValue<'_>) -> Option<T> {
        let found = match value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report.add(at, format!("`{key}` {} must be {form}, not {found}", self.place));
        None
    }
}

/// An absolute path without `.`, doubled or trailing slashes; `Err` gives the error.
/// `..` is refused: the kernel reports paths without it, so such a path would never match.
pub(super) fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("it must be absolute, beginning with `/`");
    }
    if text.contains('\0') {
        return Err("a path cannot hold a NUL character");
    }
    if text.len() > MAX_PATH {
        return Err("it is longer than the 4095 bytes a path can have");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("write it without `..`");
    }
    Ok(path.components().collect())
}
