//! The origin of a text of rules.

use std::path::Path;

/// The origin of a text of rules.
pub struct Origin<'a> {
    /// File name for diagnostics and `explain`.
    pub file: &'a Path,
    /// Ruleset of the rules that name none.
    pub ruleset: &'a str,
    /// The rules are embedded and may claim a reserved ruleset.
    pub embedded: bool,
}
