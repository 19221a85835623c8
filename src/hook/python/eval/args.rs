//! The arguments of a call.

use super::value::{Taint, Value};

/// Positional and named arguments, and where they come from.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    /// By position.
    pub positional: &'a [Value],
    /// By name.
    pub named: &'a [(String, Value)],
    /// Where all of them come from.
    pub taint: Taint,
}

impl<'a> Args<'a> {
    /// The arguments of a call.
    pub fn new(positional: &'a [Value], named: &'a [(String, Value)]) -> Self {
        let args = Self { positional, named, taint: 0 };
        Self { taint: args.all().fold(0, |taint, value| taint | value.taint), ..args }
    }

    /// All of them, the positional ones first.
    pub fn all(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.positional.iter().chain(self.named.iter().map(|(_, value)| value))
    }

    /// The first one, whether by position or by name; unknown if there is none.
    pub fn first(&self) -> &'a Value {
        self.all().next().unwrap_or(&Value::UNKNOWN)
    }

    /// The positional argument with this index.
    pub fn get(&self, index: usize) -> Option<&'a Value> {
        self.positional.get(index)
    }

    /// The positional arguments from this index on.
    pub fn skip(&self, index: usize) -> &'a [Value] {
        self.positional.get(index..).unwrap_or_default()
    }

    /// The argument with this name.
    pub fn by_name(&self, name: &str) -> Option<&'a Value> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}
