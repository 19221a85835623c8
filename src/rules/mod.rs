//! The fourth stage: does it matter? Sigma rules over the facts, and nothing else.

use std::path::PathBuf;

/// Which rules to load.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Directories of `*.yml` files, read in this order after the embedded rules; a rule replaces an
    /// earlier one of the same id.
    pub directories: Vec<PathBuf>,
    /// Ids of rules that are switched off.
    pub disabled: Vec<String>,
}
