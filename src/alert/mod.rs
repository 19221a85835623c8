//! The last stage: one [`Alert`] for one change, rendered and delivered.
//!
//! * [`ecs`] builds the document, [`text`] the form for a terminal.
//! * [`sink`] delivers: syslog, file, standard output. Formats and sinks combine freely.

pub mod ecs;
pub mod redact;
pub mod sink;
pub mod text;

use crate::event::Level;
use serde_json::Value;
use std::time::SystemTime;
use time::OffsetDateTime;

/// A moment in UTC. One before 1970 or after 9999, which a file's times may be, becomes 1970: the
/// `time` crate's own conversion panics there.
pub(crate) fn utc(time: SystemTime) -> OffsetDateTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = i128::try_from(since.as_nanos()).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// How a sink writes an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of Elastic Common Schema JSON.
    Ecs,
    /// A few lines for people.
    Text,
}

/// Longest record, in bytes of JSON: an ordinary alert has some 3,000, but escaping can make four bytes
/// of each one that others chose.
pub const MAX_LINE: usize = 64 << 10;

/// One finished record: an alert, or the report of a gap. Kept as its line, not as a tree: thousands
/// may wait in an output's queue.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Decides the syslog severity and the colour.
    pub level: Level,
    /// When the change was seen.
    pub time: SystemTime,
    /// The ECS document in one line.
    line: Box<str>,
}

impl Alert {
    /// A record of this document, of at most [`MAX_LINE`]. Every string in it must be escaped already.
    pub fn new(level: Level, time: SystemTime, document: &Value) -> Self {
        let mut line = document.to_string();
        if line.len() > MAX_LINE {
            line = ecs::shortened(document.clone(), MAX_LINE);
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

    /// The document as one line without its newline, valid JSON in every case. When it would be
    /// longer than `max` bytes it is shortened: see [`ecs::shortened`].
    pub fn json(&self, max: Option<usize>) -> String {
        match max {
            Some(max) if self.line.len() > max => ecs::shortened(self.document(), max),
            _ => self.line.to_string(),
        }
    }

    /// The form for a terminal: several lines, each ended by a newline.
    pub fn text(&self, color: bool) -> String {
        text::render(&self.document(), self.level, color)
    }
}
