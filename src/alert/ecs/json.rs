//! Helpers for building documents.

use crate::escape;
use serde_json::{Map, Value};
use std::path::Path;

/// A path, escaped.
pub(super) fn path(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

/// Adds a key whose value is known.
pub(super) fn insert(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.into(), value.into());
    }
}
