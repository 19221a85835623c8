//! The last stage: one [`Alert`] for one change, rendered and delivered.
//!
//! * [`ecs`] builds the document, [`text`] the form for a terminal.
//! * [`sink`] delivers: syslog, file, standard output. Formats and sinks combine freely.

pub mod ecs;
mod record;
pub mod redact;
mod shorten;
pub mod sink;
pub mod text;
mod utc;

pub use record::{Alert, Format, MAX_LINE};
