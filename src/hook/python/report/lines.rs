//! The logical lines of a source, of which an alert shows the worst.

use crate::event::{ContentClass, Hook};
use std::cmp::Reverse;

/// Lines kept as candidates for the alert.
const MAX_CANDIDATES: usize = 160;
/// Bytes shown before a finding that is far to the right in its line.
const CONTEXT: usize = 256;

/// A logical line that may be shown.
struct Line {
    start: usize,
    end: usize,
    /// Where its worst finding is.
    finding: usize,
    class: ContentClass,
}

/// The logical line that is being read.
struct Current {
    start: usize,
    finding: usize,
    class: ContentClass,
    /// A text of this line has not been read yet.
    has_pending: bool,
}

/// The lines of one source.
pub struct Lines {
    candidates: Vec<Line>,
    count: usize,
    current: Current,
}

impl Lines {
    /// No lines yet.
    pub fn new() -> Self {
        let current = Current { start: 0, finding: 0, class: ContentClass::Inert, has_pending: false };
        Self { candidates: Vec::new(), count: 0, current }
    }

    /// Begins a further pass over the same lines.
    pub fn restart(&mut self) {
        self.count = 0;
    }

    /// Where the current line begins.
    pub fn start(&self) -> usize {
        self.current.start
    }

    /// Begins a line.
    pub fn begin(&mut self, start: usize) {
        self.current = Current { start, finding: self.current.finding, class: ContentClass::Inert, has_pending: false };
    }

    /// Something of this class was found in the current line.
    pub fn record(&mut self, class: ContentClass, at: usize) {
        if class >= ContentClass::Suspicious && class > self.current.class {
            self.current.class = class;
            self.current.finding = at;
        }
    }

    /// A text of the current line will be read later.
    pub fn expect_pending(&mut self) {
        self.current.has_pending = true;
    }

    /// Ends the current line.
    pub fn end(&mut self, end: usize) {
        let Current { start, finding, class, has_pending } = self.current;
        let is_remarkable = class >= ContentClass::Suspicious || has_pending;
        let is_among_first = self.count <= Hook::MAX_LINES;
        self.count += 1;
        let line = Line { start, end, finding, class };
        if let Some(known) = self.candidates.iter_mut().rev().find(|known| known.start == start) {
            if class > known.class {
                (known.class, known.finding) = (class, finding);
            }
        } else if is_among_first || is_remarkable && self.candidates.len() < MAX_CANDIDATES {
            self.candidates.push(line);
        } else if class == ContentClass::Hostile
            && let Some(known) = self.candidates.iter_mut().skip(Hook::MAX_LINES).find(|known| known.class < class)
        {
            *known = line;
        }
    }

    /// Moves the findings since the last [`Lines::begin`] to the line that begins here.
    pub fn attribute_to_line(&mut self, start: usize) {
        let class = self.current.class;
        if let Some(line) = self.candidates.iter_mut().find(|line| line.start == start && line.class < class) {
            line.class = class;
            line.finding = start;
        }
    }

    /// The lines for the alert in their order: the worst ones, then the first ones. And whether lines are missing or
    /// cut.
    pub fn excerpt(&self, source: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut chosen: Vec<&Line> = self.candidates.iter().collect();
        chosen.sort_by_key(|line| (Reverse(line.class.max(ContentClass::Neutral)), line.start));
        chosen.truncate(Hook::MAX_LINES);
        chosen.sort_by_key(|line| line.start);
        let mut is_cut = self.count > chosen.len();
        let lines = chosen.iter().map(|line| {
            let is_far_right = line.finding > line.start + Hook::MAX_LINE && line.finding <= line.end;
            let from = if is_far_right { line.finding - CONTEXT } else { line.start };
            let text = source.get(from..line.end).unwrap_or_default();
            let text = if is_far_right { text } else { text.trim_ascii_end() };
            is_cut |= text.len() > Hook::MAX_LINE || is_far_right;
            text.get(..Hook::MAX_LINE).unwrap_or(text).to_vec()
        });
        let lines = lines.collect();
        (lines, is_cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of ten bytes each.
    fn lines(count: usize, hostile: usize) -> Lines {
        let mut lines = Lines::new();
        for number in 0..count {
            lines.begin(number * 10);
            if number == hostile {
                lines.record(ContentClass::Hostile, number * 10);
            }
            lines.end(number * 10 + 9);
        }
        lines
    }

    #[test]
    fn the_worst_line_is_shown_behind_any_number_of_others() {
        let source = b"123456789\n".repeat(1000);
        let (shown, is_cut) = lines(1000, 999).excerpt(&source);
        assert_eq!(shown.len(), Hook::MAX_LINES);
        assert!(is_cut);
        let (shown, is_cut) = lines(3, 1).excerpt(&source);
        assert_eq!(shown, [b"123456789"; 3]);
        assert!(!is_cut);
    }

    #[test]
    fn a_finding_in_a_pending_text_belongs_to_its_line() {
        let mut lines = lines(30, usize::MAX);
        lines.begin(0);
        lines.record(ContentClass::Hostile, 0);
        lines.attribute_to_line(50);
        assert!(lines.candidates.iter().any(|line| line.start == 50 && line.class == ContentClass::Hostile));
    }
}
