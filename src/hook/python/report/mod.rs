//! What an analysis has found: signals, marks, the worst class, the lines and texts to show.

mod lines;
mod severity;
mod verdict;
mod weights;

pub mod marks;

pub use severity::{Severity, Strictness};

use super::effects::{self, Effect};
use super::lexer::decode;
use crate::event::{ContentClass, ContentReport, Hook, Signal, Signals};
use lines::Lines;
use std::collections::HashSet;
use std::rc::Rc;

/// Texts read after the source they were found in.
const MAX_PENDING: usize = 48;
/// Bytes of them in all.
const MAX_PENDING_BYTES: usize = 256 * 1024;
/// Texts within texts.
const MAX_LEVEL: u8 = 3;
/// Longest module name that is reported.
const MAX_MODULE: usize = 128;

/// A text that will be read as a source of its own.
pub struct Pending {
    /// The text.
    pub text: Rc<[u8]>,
    /// It was hidden.
    pub was_hidden: bool,
    /// Where the line of the main source begins that it is in.
    line: usize,
    /// How many texts it is within.
    level: u8,
}

/// The findings so far.
pub struct Report {
    strictness: Strictness,
    signals: Signals,
    class: ContentClass,
    marks: u32,
    mentions: u32,
    has_code: bool,
    lines: Lines,
    /// Where in the main source the reader is.
    at: usize,
    /// How many texts the current source is within.
    level: u8,
    pending: Vec<Pending>,
    pending_bytes: usize,
    seen: HashSet<Rc<[u8]>>,
    decoded: Vec<Vec<u8>>,
    imports: Vec<String>,
}

impl Report {
    /// Nothing found yet.
    pub fn new(strictness: Strictness) -> Self {
        Self {
            strictness,
            signals: Signals::default(),
            class: ContentClass::Inert,
            marks: 0,
            mentions: 0,
            has_code: false,
            lines: Lines::new(),
            at: 0,
            level: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            seen: HashSet::new(),
            decoded: Vec::new(),
            imports: Vec::new(),
        }
    }

    /// Whether the source is a `.pth` line.
    pub fn is_pth(&self) -> bool {
        self.strictness == Strictness::Line
    }

    /// Records a signal at the current place.
    pub fn record(&mut self, signal: Signal, severity: Severity) {
        self.signals.insert(signal);
        self.raise(severity);
    }

    /// Records a finding that has no signal of its own.
    pub fn raise(&mut self, severity: Severity) {
        let class = severity.class(self.strictness);
        self.class = self.class.max(class);
        self.lines.record(class, self.at);
    }

    /// Records a signal that is not remarkable.
    pub fn note(&mut self, signal: Signal) {
        self.signals.insert(signal);
    }

    /// Adds marks, see [`marks`].
    pub fn mark(&mut self, marks: u32) {
        self.marks |= marks;
    }

    /// Records that a name with this effect is reached.
    pub fn effect(&mut self, effect: Effect) {
        if effect == Effect::FileChange {
            self.mark(marks::CHANGES_FILES);
        }
        if let Some((signal, marks, severity)) = weights::weight(effect) {
            self.mark(marks);
            self.record(signal, severity);
        }
    }

    /// Records what a text of the source mentions.
    pub fn record_mentions(&mut self, mentions: u32) {
        if mentions == 0 {
            return;
        }
        self.mentions |= mentions;
        for weight in weights::MENTIONS {
            if mentions & weight.any != 0 && mentions & weight.with != 0 {
                if let Some(signal) = weight.signal {
                    self.note(signal);
                }
                self.raise(weight.severity);
            }
        }
    }

    /// Records the import of a module.
    pub fn import(&mut self, module: &str) {
        let top = module.split('.').next().unwrap_or_default();
        let is_known = top.is_empty() || effects::is_standard(top) || self.imports.len() >= Hook::MAX_IMPORTS;
        if !is_known && module.len() <= MAX_MODULE && !self.imports.iter().any(|import| import == module) {
            self.imports.push(module.to_owned());
        }
    }

    /// Keeps a text that runs or was hidden; it is read after the current source.
    pub fn read_later(&mut self, text: &Rc<[u8]>, was_hidden: bool) {
        if text.is_empty() || self.level >= MAX_LEVEL {
            return;
        }
        if was_hidden {
            self.keep_decoded(text);
        }
        if self.pending_bytes + text.len() > MAX_PENDING_BYTES || self.seen.len() >= MAX_PENDING {
            self.record(Signal::Truncated, Severity::BEYOND_LIMIT);
            return;
        }
        if !self.seen.insert(Rc::clone(text)) {
            return;
        }
        self.pending_bytes += text.len();
        self.lines.expect_pending();
        let (line, level) = (self.lines.start(), self.level + 1);
        self.pending.push(Pending { text: Rc::clone(text), was_hidden, line, level });
    }

    fn keep_decoded(&mut self, text: &[u8]) {
        if self.level > 0 || !decode::is_text(text) {
            return;
        }
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.trim_ascii().is_empty()) {
            let line = line.get(..Hook::MAX_LINE).unwrap_or(line);
            if self.decoded.len() >= Hook::MAX_LINES {
                break;
            }
            if !self.decoded.iter().any(|known| known == line) {
                self.decoded.push(line.to_vec());
            }
        }
    }

    /// Begins a pass over the main source.
    pub fn begin_pass(&mut self) {
        self.level = 0;
        self.lines.restart();
    }

    /// Takes the next pending text and begins to read it.
    pub fn begin_pending(&mut self) -> Option<Pending> {
        let pending = self.pending.pop()?;
        self.level = pending.level;
        self.lines.begin(pending.line);
        Some(pending)
    }

    /// Ends the reading of a pending text, of whose class the report was `before`.
    pub fn end_pending(&mut self, pending: &Pending, before: ContentClass) {
        if pending.was_hidden {
            self.record_mentions(effects::mentions::mentions(&pending.text));
            if self.class > before {
                self.raise(Severity::Low);
            }
        }
        self.lines.attribute_to_line(pending.line);
    }

    /// The worst class so far.
    pub fn class(&self) -> ContentClass {
        self.class
    }

    /// How many texts the current source is within; 0 for the main source.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The reader of the main source has come to this place.
    pub fn set_place(&mut self, at: usize) {
        if self.level == 0 {
            self.at = at;
        }
    }

    /// Begins a logical line of the main source.
    pub fn begin_line(&mut self, start: usize) {
        self.lines.begin(start);
    }

    /// Ends a logical line of the main source that has code in it.
    pub fn end_line(&mut self, end: usize) {
        self.lines.end(end);
    }

    /// Records that a statement runs.
    pub fn found_code(&mut self) {
        self.has_code = true;
    }

    /// Ends the analysis of this source.
    pub fn finish(mut self, source: &[u8]) -> ContentReport {
        if let Some(severity) = verdict::of_combinations(self.marks, self.mentions, self.signals, self.strictness) {
            self.raise(severity);
        }
        if verdict::is_large(source.len(), self.strictness) {
            self.record(Signal::Large, Severity::Low);
        }
        let (runs, truncated) = self.lines.excerpt(source);
        let least = if self.has_code { ContentClass::Neutral } else { ContentClass::Inert };
        ContentReport {
            signals: self.signals,
            runs,
            truncated,
            decoded: self.decoded,
            imports: self.imports,
            ..ContentReport::of(self.class.max(least))
        }
    }
}
