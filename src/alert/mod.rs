//! The last stage: one [`Alert`] for one change, rendered and delivered.
//!
//! * [`ecs`] builds the document, [`text`] the form for a terminal.
//! * [`sink`] delivers: syslog, file, standard output. Formats and sinks combine freely.

pub mod ecs;
pub mod sink;
pub mod text;

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

/// One finished record: an alert, or the report of a gap.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Decides the syslog severity and the colour.
    pub level: Level,
    /// When the change was seen.
    pub time: SystemTime,
    /// The ECS document. Every string in it is escaped already.
    pub document: Value,
}

impl Alert {
    /// The document as one line without its newline, valid JSON in every case. When it would be
    /// longer than `max` bytes it is shortened: see [`ecs::line`].
    pub fn json(&self, max: Option<usize>) -> String {
        ecs::line(&self.document, max)
    }

    /// The form for a terminal: several lines, each ended by a newline.
    pub fn text(&self, color: bool) -> String {
        text::render(&self.document, self.level, color)
    }
}
