//! The name filter of the hot path: could any rule want a file of this name?
//!
//! Derived from the loaded rules, so that nobody keeps two lists. It may let through too much, never
//! too little: what it lets through is judged by the rules themselves.

use super::condition::Condition;
use serde_norway::Value;
use std::collections::BTreeMap;

/// Names of the files that fields other than `TargetFilename` stand for, told by the hook stage:
/// `HookKind` word to patterns in the form of [`Names`] (`*.pth` or `.bashrc`).
pub type KnownNames<'a> = &'a dyn Fn(&str) -> &'static [&'static str];

/// Longest file name of Linux, in bytes (NAME_MAX).
const NAME_MAX: usize = 255;

/// File names that a rule can want: exact ones and endings, in lower case. `None` in [`derive`]
/// stands for "any name".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    exact: Vec<String>,
    endings: Vec<String>,
}

impl Names {
    fn add(&mut self, other: Names) {
        self.exact.extend(other.exact);
        self.endings.extend(other.endings);
    }

    fn of_pattern(pattern: &str) -> Option<Self> {
        // Sigma's escapes: what is certain is only the text after the last wildcard or backslash.
        let literal = pattern.rsplit(['*', '?', '\\']).next().unwrap_or_default().to_lowercase();
        let is_whole = literal.len() == pattern.to_lowercase().len();
        match literal.rsplit_once('/') {
            Some((_, "")) => None,
            Some((_, name)) => Some(Self { exact: vec![name.to_owned()], endings: Vec::new() }),
            None if literal.is_empty() => None,
            None if is_whole => Some(Self { exact: vec![literal], endings: Vec::new() }),
            None => Some(Self { exact: Vec::new(), endings: vec![literal] }),
        }
    }

    fn of_known(patterns: &[&str]) -> Option<Self> {
        let mut names = Self::default();
        for pattern in patterns {
            names.add(Self::of_pattern(pattern)?);
        }
        (!patterns.is_empty()).then_some(names)
    }
}

/// The names that a rule with this condition over these selections can want. `None`: any.
pub fn derive(condition: &Condition, selections: &BTreeMap<String, Value>, known: KnownNames<'_>) -> Option<Names> {
    let of = |name: &String| selections.get(name).and_then(|selection| of_selection(selection, known));
    match condition {
        Condition::Selection(name) => of(name),
        Condition::OneOf(names) => union(names.iter().map(of)),
        Condition::AllOf(names) => names.iter().find_map(of),
        Condition::And(left, right) => derive(left, selections, known).or_else(|| derive(right, selections, known)),
        Condition::Or(left, right) => {
            union([derive(left, selections, known), derive(right, selections, known)].into_iter())
        }
        Condition::Not(_) => None,
    }
}

/// One of several suffices, so each must be known.
fn union(parts: impl Iterator<Item = Option<Names>>) -> Option<Names> {
    let mut all = Names::default();
    for part in parts {
        all.add(part?);
    }
    Some(all)
}

fn of_selection(selection: &Value, known: KnownNames<'_>) -> Option<Names> {
    match selection {
        // Every field of a map must match: any one of them that tells names will do.
        Value::Mapping(fields) => fields.iter().find_map(|(key, values)| of_field(key.as_str()?, values, known)),
        // One of the maps suffices.
        Value::Sequence(maps) => union(maps.iter().map(|map| of_selection(map, known))),
        _ => None,
    }
}

fn of_field(key: &str, values: &Value, known: KnownNames<'_>) -> Option<Names> {
    let mut parts = key.split('|');
    let field = parts.next()?;
    let modifiers: Vec<String> = parts.map(str::to_lowercase).collect();
    let values: Vec<&str> = match values {
        Value::Sequence(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        single => vec![single.as_str()?],
    };
    let plain = |modifier: &String| matches!(modifier.as_str(), "cased" | "all");
    match field {
        "TargetFilename" => {
            let ending = modifiers.iter().any(|modifier| modifier == "endswith");
            if !modifiers.iter().all(|modifier| plain(modifier) || modifier == "endswith") {
                return None;
            }
            union(
                values
                    .iter()
                    .map(|value| Names::of_pattern(&if ending { format!("*{value}") } else { (*value).to_owned() })),
            )
        }
        "HookKind" if modifiers.iter().all(plain) => {
            union(values.iter().map(|kind| Names::of_known(known(&kind.to_lowercase()))))
        }
        "EnvironmentVariables" => Names::of_known(known("environment")),
        _ => None,
    }
}

/// The compiled filter.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    /// Some rule can want any name.
    everything: bool,
    /// Exact names and endings by their last byte, lower case.
    by_last: Vec<Vec<Pattern>>,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: Box<[u8]>,
    exact: bool,
}

impl NameFilter {
    /// Compiles the names of all rules; `None` among them opens the filter for every name.
    pub fn new(rules: impl IntoIterator<Item = Option<Names>>) -> Self {
        let mut filter = Self { everything: false, by_last: vec![Vec::new(); 256] };
        for names in rules {
            match names {
                None => filter.everything = true,
                Some(names) => {
                    names.exact.iter().for_each(|name| filter.add(name, true));
                    names.endings.iter().for_each(|ending| filter.add(ending, false));
                }
            }
        }
        filter
    }

    fn add(&mut self, text: &str, exact: bool) {
        let bucket = text.bytes().last().and_then(|last| self.by_last.get_mut(usize::from(last)));
        if let Some(bucket) = bucket
            && !bucket.iter().any(|known| known.exact == exact && *known.text == *text.as_bytes())
        {
            bucket.push(Pattern { text: text.as_bytes().into(), exact });
        }
    }

    /// Whether any rule could want a file of this name. Called for every record of the kernel: no
    /// allocation, no system call.
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.everything {
            return true;
        }
        if name.is_ascii() {
            return self.matches_lower(name);
        }
        let mut buffer = [0; NAME_MAX * 3];
        match lower(name, &mut buffer) {
            Some(lower) => self.matches_lower(lower),
            // Longer than any name of Linux: let the rules decide.
            None => true,
        }
    }

    fn matches_lower(&self, name: &[u8]) -> bool {
        let Some(last) = name.last() else { return false };
        let bucket = self.by_last.get(usize::from(last.to_ascii_lowercase())).map(Vec::as_slice).unwrap_or_default();
        bucket.iter().any(|pattern| {
            let tail = name.len().checked_sub(pattern.text.len()).and_then(|start| name.get(start..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(&pattern.text))
                && (!pattern.exact || name.len() == pattern.text.len())
        })
    }
}

/// Lower case as `sigma-rust` makes it, char by char, in a fixed buffer.
fn lower<'b>(name: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0;
    for chunk in name.utf8_chunks() {
        let replacement = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for character in chunk.valid().chars().chain(replacement).flat_map(char::to_lowercase) {
            let room = buffer.get_mut(length..length + character.len_utf8())?;
            length += character.encode_utf8(room).len();
        }
    }
    buffer.get(..length)
}
