//! What every JSON document of this program has in common.

use serde::{Deserialize, Serialize};

/// Version of the JSON documents. It rises when a key changes its name, its type or its meaning, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// The member `pyhookwatch`, with which every document of a command begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentHeader {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
}

impl Default for DocumentHeader {
    fn default() -> Self {
        Self { schema_version: SCHEMA_VERSION }
    }
}
