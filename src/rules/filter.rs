//! The name filter of the hot path: can any rule match a file of this name?
//!
//! Derived from the loaded rules, so that there is only one list. It may pass too much, never too little: the rules
//! themselves judge each name that passes.

use super::condition::Condition;
use crate::event::{HookKind, Interest};
use serde_norway::Value;
use std::collections::BTreeMap;

/// The file names that belong to a kind of hook, from the hook stage: `.bashrc`, `*.pth` or `sitecustomize.*`. Empty for
/// a kind that is not known by its name.
pub type KnownNames = fn(HookKind) -> &'static [&'static str];

/// Longest file name of Linux, in bytes (NAME_MAX).
const NAME_MAX: usize = 255;

/// Which part of a name the pattern describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    Ending,
    Beginning,
}

/// A pattern of file names, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
    interest: Interest,
}

/// File names that a rule can match. `None` of [`derive()`] stands for "any name".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<Pattern>);

impl Names {
    fn add(&mut self, other: Names) {
        self.0.extend(other.0);
    }

    fn one(text: &str, shape: Shape, interest: Interest) -> Self {
        // Char by char as `lower` does: `str::to_lowercase` gives a final sigma its own letter.
        let text: String = text.chars().flat_map(char::to_lowercase).collect();
        Self(vec![Pattern { text: text.into_bytes().into(), shape, interest }])
    }

    /// The names of a `TargetFilename` in Sigma's grammar.
    fn of_pattern(pattern: &str) -> Option<Self> {
        // Because of Sigma's escapes, only the text after the last wildcard or backslash is certain.
        let literal = pattern.rsplit(['*', '?', '\\']).next().unwrap_or_default();
        let is_whole = literal.len() == pattern.len();
        match literal.rsplit_once('/') {
            Some((_, "")) => None,
            Some((_, name)) => Some(Self::one(name, Shape::Whole, Interest::Always)),
            None if literal.is_empty() => None,
            None if is_whole => Some(Self::one(literal, Shape::Whole, Interest::Always)),
            None => Some(Self::one(literal, Shape::Ending, Interest::Always)),
        }
    }

    /// The names of a kind of hook: exact, `*` and an ending, or a beginning and `*`.
    fn of_known(patterns: &[&str]) -> Option<Self> {
        let mut names = Self::default();
        for pattern in patterns {
            names.add(match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
                (Some(ending), _) => Self::one(ending, Shape::Ending, Interest::InPlace),
                (None, Some(beginning)) => Self::one(beginning, Shape::Beginning, Interest::InPlace),
                (None, None) => Self::one(pattern, Shape::Whole, Interest::InPlace),
            });
        }
        (!patterns.is_empty()).then_some(names)
    }
}

/// The names that a rule with this condition over these selections can match. `None`: any.
pub fn derive(condition: &Condition, selections: &BTreeMap<String, Value>, known: KnownNames) -> Option<Names> {
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

/// One of several suffices, so the names of each must be known.
fn union(parts: impl Iterator<Item = Option<Names>>) -> Option<Names> {
    let mut all = Names::default();
    for part in parts {
        all.add(part?);
    }
    Some(all)
}

fn of_selection(selection: &Value, known: KnownNames) -> Option<Names> {
    match selection {
        // Every field of a map must match, so one field with names suffices.
        Value::Mapping(fields) => fields.iter().find_map(|(key, values)| of_field(key.as_str()?, values, known)),
        // One of the maps suffices.
        Value::Sequence(maps) => union(maps.iter().map(|map| of_selection(map, known))),
        _ => None,
    }
}

fn of_field(key: &str, values: &Value, known: KnownNames) -> Option<Names> {
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
            union(values.iter().map(|word| Names::of_known(known(kind_of(word)?))))
        }
        "EnvironmentVariables" => Names::of_known(known(HookKind::Environment)),
        _ => None,
    }
}

fn kind_of(word: &str) -> Option<HookKind> {
    HookKind::ALL.iter().copied().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
}

/// The compiled filter.
#[derive(Clone, Debug)]
pub struct NameFilter {
    /// Some rule can match any name.
    everything: bool,
    /// Whole names and endings by their last byte, beginnings by their first one.
    by_last: Vec<Vec<Pattern>>,
    by_first: Vec<Vec<Pattern>>,
}

impl Default for NameFilter {
    fn default() -> Self {
        Self { everything: false, by_last: vec![Vec::new(); 256], by_first: vec![Vec::new(); 256] }
    }
}

impl NameFilter {
    /// Compiles the names of all rules; `None` among them opens the filter for every name.
    pub fn new(rules: impl IntoIterator<Item = Option<Names>>) -> Self {
        let mut filter = Self::default();
        for names in rules {
            match names {
                None => filter.everything = true,
                Some(names) => names.0.into_iter().for_each(|pattern| filter.add(pattern)),
            }
        }
        filter
    }

    fn add(&mut self, pattern: Pattern) {
        let (buckets, byte) = match pattern.shape {
            Shape::Beginning => (&mut self.by_first, pattern.text.first()),
            Shape::Whole | Shape::Ending => (&mut self.by_last, pattern.text.last()),
        };
        let Some(bucket) = byte.and_then(|byte| buckets.get_mut(usize::from(*byte))) else { return };
        match bucket.iter_mut().find(|known| known.shape == pattern.shape && known.text == pattern.text) {
            Some(known) => known.interest = known.interest.max(pattern.interest),
            None => bucket.push(pattern),
        }
    }

    /// Whether any rule could match a file of this name. Runs for every record of the kernel: no allocation, no system
    /// call.
    pub fn interest(&self, name: &[u8]) -> Interest {
        if self.everything {
            return Interest::Always;
        }
        if name.is_ascii() {
            return self.interest_in_lower(name);
        }
        let mut buffer = [0; NAME_MAX * 3];
        match lower(name, &mut buffer) {
            Some(lower) => self.interest_in_lower(lower),
            // Longer than any name of Linux: the rules decide.
            None => Interest::Always,
        }
    }

    fn interest_in_lower(&self, name: &[u8]) -> Interest {
        let of = |buckets: &[Vec<Pattern>], byte: Option<&u8>| -> Interest {
            let bucket = byte.and_then(|byte| buckets.get(usize::from(byte.to_ascii_lowercase())));
            let matching = bucket.into_iter().flatten().filter(|pattern| pattern.matches(name));
            matching.map(|pattern| pattern.interest).max().unwrap_or(Interest::None)
        };
        of(&self.by_last, name.last()).max(of(&self.by_first, name.first()))
    }
}

impl Pattern {
    /// Compares with a name in lower case, or in ASCII.
    fn matches(&self, name: &[u8]) -> bool {
        let length = self.text.len();
        let part = match self.shape {
            Shape::Whole => (name.len() == length).then_some(name),
            Shape::Ending => name.len().checked_sub(length).and_then(|start| name.get(start..)),
            Shape::Beginning => name.get(..length),
        };
        part.is_some_and(|part| part.eq_ignore_ascii_case(&self.text))
    }
}

/// Lower case char by char, as in `sigma-rust`, in a fixed buffer. `None`: the name is too long for it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RuleSet, Settings};
    use proptest::prelude::*;

    fn known(kind: HookKind) -> &'static [&'static str] {
        match kind {
            HookKind::Environment => &["environment", "*.conf"],
            HookKind::Pth => &["*.pth"],
            _ => &[],
        }
    }

    /// The names that a rule with this detection can match.
    fn names(detection: &str) -> Option<Names> {
        let mut selections: BTreeMap<String, Value> = serde_norway::from_str(detection).unwrap();
        let condition = selections.remove("condition").unwrap();
        let of: Vec<String> = selections.keys().cloned().collect();
        derive(&Condition::parse(condition.as_str().unwrap(), &of).unwrap(), &selections, known)
    }

    fn patterns(names: &[&str], shape: Shape, interest: Interest) -> Option<Names> {
        Some(Names(names.iter().flat_map(|name| Names::one(name, shape, interest).0).collect()))
    }

    fn exact(names: &[&str]) -> Option<Names> {
        patterns(names, Shape::Whole, Interest::Always)
    }

    fn ending(names: &[&str]) -> Option<Names> {
        patterns(names, Shape::Ending, Interest::Always)
    }

    #[test]
    fn names_come_from_the_part_of_a_pattern_after_its_last_slash() {
        for (pattern, expected) in [
            ("/usr/lib/python*/SiteCustomize.py", exact(&["sitecustomize.py"])),
            ("/etc/environment", exact(&["environment"])),
            ("plain.py", exact(&["plain.py"])),
            ("*.pth", ending(&[".pth"])),
            ("/a/b*c.py", ending(&["c.py"])),
            ("/a/b?c.py", ending(&["c.py"])),
            ("*/site-packages/*", None),
            ("/a/", None),
            ("*", None),
        ] {
            assert_eq!(names(&format!("{{s: {{TargetFilename: '{pattern}'}}, condition: s}}")), expected, "{pattern}");
        }
    }

    #[test]
    fn the_condition_decides_which_selections_are_enough() {
        let selections = "a: {TargetFilename|endswith: x.py}, b: {Image: y}, c: {TargetFilename|endswith: [z, w]}";
        for (condition, expected) in [
            ("a", ending(&["x.py"])),
            ("a and b", ending(&["x.py"])),
            ("b and a", ending(&["x.py"])),
            ("a and not b", ending(&["x.py"])),
            ("a or c", ending(&["x.py", "z", "w"])),
            ("1 of them", None),
            ("all of them", ending(&["x.py"])),
            ("a or b", None),
            ("not a", None),
        ] {
            assert_eq!(names(&format!("{{{selections}, condition: {condition}}}")), expected, "{condition}");
        }
    }

    #[test]
    fn lists_of_maps_need_names_in_each_and_other_modifiers_give_none() {
        let one =
            "{s: [{TargetFilename|endswith: a.py}, {TargetFilename|endswith|cased: b.py, Image: x}], condition: s}";
        assert_eq!(names(one), ending(&["a.py", "b.py"]));
        for unbounded in [
            "{s: [{TargetFilename|endswith: a.py}, {Image: x}], condition: s}",
            "{s: {TargetFilename|contains: a.py}, condition: s}",
            "{s: {TargetFilename|startswith: /etc/a}, condition: s}",
            "{s: {TargetFilename|re: 'a[.]py$'}, condition: s}",
            "{s: {TargetFilename|endswith: [a.py, '']}, condition: s}",
            "{s: [keyword], condition: s}",
        ] {
            assert_eq!(names(unbounded), None, "{unbounded}");
        }
    }

    #[test]
    fn kinds_of_hooks_stand_for_their_names() {
        assert_eq!(names("{s: {HookKind: pth}, condition: s}"), patterns(&[".pth"], Shape::Ending, Interest::InPlace));
        let mut both = patterns(&["environment"], Shape::Whole, Interest::InPlace).unwrap();
        both.add(patterns(&[".conf"], Shape::Ending, Interest::InPlace).unwrap());
        assert_eq!(names("{s: {EnvironmentVariables|contains: PYTHONPATH}, condition: s}"), Some(both));
        assert_eq!(names("{s: {HookKind: other}, condition: s}"), None);
    }

    #[test]
    fn a_rule_without_names_opens_the_filter_for_everything() {
        assert_eq!(NameFilter::new([ending(&[".pth"]), None]).interest(b"anything"), Interest::Always);
        assert_eq!(NameFilter::new([ending(&[".pth"])]).interest(b"anything"), Interest::None);
        assert_eq!(NameFilter::default().interest(b"x"), Interest::None);
    }

    #[test]
    fn a_name_of_a_kind_of_hook_counts_in_its_place_and_a_name_in_a_rule_everywhere() {
        let known = |names: &[&str]| Names::of_known(names);
        let filter = NameFilter::new([known(&["__init__.py", "*.pth", "python*"]), ending(&[".pth"])]);
        for name in ["__init__.py", "python3.11"] {
            assert_eq!(filter.interest(name.as_bytes()), Interest::InPlace, "{name}");
        }
        assert_eq!(filter.interest(b"a.pth"), Interest::Always);
        for name in ["x__init__.py", "pytho", "evil.py"] {
            assert_eq!(filter.interest(name.as_bytes()), Interest::None, "{name}");
        }
    }

    #[test]
    fn names_are_compared_as_the_rules_compare_them() {
        let filter = NameFilter::new([exact(&["sitecustomize.py", "käse.py"]), ending(&[".pth", "hook.x"])]);
        for name in
            ["sitecustomize.py", "SITECUSTOMIZE.PY", "a.pth", ".pth", ".PTH", "KÄSE.py", "hoo\u{212a}.x", "ä.pth"]
        {
            assert!(filter.interest(name.as_bytes()) != Interest::None, "{name}");
        }
        assert!(filter.interest(b"\xff\xfe.pth") != Interest::None);
        for name in ["xsitecustomize.py", "sitecustomize.pyc", "a.pth.bak", "", "kase.py"] {
            assert!(filter.interest(name.as_bytes()) == Interest::None, "{name}");
        }
    }

    #[test]
    fn a_greek_name_is_lowered_as_the_rules_lower_it() {
        for pattern in ["ΧΡΗΣΤΗΣ", "*ΤΗΣ", "/a/ΧΡΗΣΤΗΣ"] {
            let filter = NameFilter::new([names(&format!("{{s: {{TargetFilename: '{pattern}'}}, condition: s}}"))]);
            for name in ["ΧΡΗΣΤΗΣ", "χρηστησ"] {
                assert!(filter.interest(name.as_bytes()) != Interest::None, "{pattern} {name}");
            }
            // A final sigma is another letter to `sigma-rust`, so also here.
            assert!(filter.interest("χρηστης".as_bytes()) == Interest::None, "{pattern}");
        }
    }

    fn file_name() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("site"),
            Just("SITE"),
            Just("user"),
            Just("customize"),
            Just(".py"),
            Just(".pyc"),
            Just(".pth"),
            Just(".Pth"),
            Just("x"),
            Just("\u{130}"),
            Just("environment"),
            Just(".bashrc"),
            Just(".sh"),
            Just("é"),
        ];
        proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// No rule sees a name that the filter drops.
        #[test]
        fn no_path_that_an_embedded_rule_matches_is_dropped(name in file_name(), directory in 0usize..4) {
            use crate::event::{Action, Confidence, Doubt, Evidence, Executable, Process, Writer};
            let rules = RuleSet::load(&Settings::default(), crate::hook::kind::names).unwrap().0;
            let directory = ["/usr/lib/python3.12", "/v/lib/python3/site-packages", "/etc", "/root"][directory];
            let path = std::path::Path::new(directory).join(&name);
            let content = b"export PYTHONSTARTUP=/x\n";
            let hook = crate::hook::hypothetical(&path, Some(content));
            let executable = Some(Executable { path: "/bin/cp".into(), deleted: false, is_host_file: true });
            let process = Some(Process { executable, ..Process::default() });
            let writer = Writer { evidence: Evidence::Proc, confidence: Confidence::Confirmed, process, ..Writer::unknown(Doubt::NoRecord) };
            let facts = crate::rules::fields::Facts {
                action: Action::Creation, path: &path, previous_path: None, hook: &hook, writer: &writer, user_name: None,
            };
            if !rules.judge(&facts, crate::rules::Exclusion::Allowed).matches.is_empty() {
                prop_assert!(rules.filter().interest(name.as_bytes()) != Interest::None, "{}", path.display());
            }
        }
    }
}
