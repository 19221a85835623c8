//! A finished record, and its forms.

use super::shorten::shortened;
use super::text;
use crate::event::Level;
use serde_json::Value;
use std::time::SystemTime;

/// How a sink writes an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of Elastic Common Schema JSON.
    Ecs,
    /// A few lines for people.
    Text,
}

/// Longest record, in bytes of JSON. An ordinary alert has some 3,000, but escaping can make four bytes of each one that
/// others chose.
pub const MAX_LINE: usize = 64 << 10;

/// One finished record: an alert, or the report of a loss. Kept as a line, not as a tree: thousands may wait in the queue
/// of an output.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Decides the syslog severity and the colour.
    pub level: Level,
    /// When the change was seen.
    pub time: SystemTime,
    /// The ECS document in one line.
    pub(super) line: Box<str>,
}

impl Alert {
    /// A record of this document, of at most [`MAX_LINE`]. Every string in it must be escaped already.
    pub fn new(level: Level, time: SystemTime, document: &Value) -> Self {
        let mut line = document.to_string();
        if line.len() > MAX_LINE {
            line = shortened(document.clone(), MAX_LINE);
        }
        Self { level, time, line: line.into() }
    }

    /// Length of the record as JSON, in bytes.
    pub fn size(&self) -> usize {
        self.line.len()
    }

    /// The document.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.line).unwrap_or_default()
    }

    /// The document as one line of valid JSON, without a newline. Above `max` bytes it is shortened: see `shortened`.
    pub fn json(&self, max: Option<usize>) -> String {
        match max {
            Some(max) if self.line.len() > max => shortened(self.document(), max),
            _ => self.line.to_string(),
        }
    }

    /// The form for a terminal: several lines, each ended by a newline.
    pub fn text(&self, color: bool) -> String {
        text::render(&self.document(), self.level, color)
    }
}
