//! The alert as an Elastic Common Schema document: an interface, described in docs/alerts.md and in
//! config/alert.schema.json.
//!
//! A field that is not known is left out, never guessed. Text that others chose goes through [`crate::escape`].

mod composer;
mod file;
mod finding;
mod hook;
mod json;
mod threat;
mod writer;

pub use super::utc::timestamp;
pub use composer::Composer;
pub use finding::{Finding, Names};
pub use hook::content;

#[cfg(test)]
mod tests;
