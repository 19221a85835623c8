//! Soon.
use std::path::PathBuf;
pub fn uv() -> Option<PathBuf> { None }
