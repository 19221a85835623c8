//! Where a text of rules comes from.

use std::path::Path;

/// Where a text of rules comes from.
pub struct Origin<'a> {
    /// File name for diagnostics and `explain`.
    pub file: &'a Path,
    /// Ruleset of the rules that name none.
    pub ruleset: &'a str,
    /// The rules are embedded and may claim a reserved ruleset.
    pub embedded: bool,
}
