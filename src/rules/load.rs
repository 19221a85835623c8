//! Reading rule files: Sigma YAML. Every error of every file is reported, with its line where that is known.
//!
//! `sigma-rust` parses each rule whole, and then each selection alone. The condition, the detection types and the name
//! filter come from the same YAML.

mod files;
mod origin;
mod reader;
mod renamed;
mod selection;
mod text;

pub use files::directory;
pub use origin::Origin;
pub use text::text_of_rules;

#[cfg(test)]
mod tests;
