//! Reading rule files: Sigma YAML, with every problem of every file reported.
//!
//! `sigma-rust` parses each rule whole (what it refuses is refused) and then each selection alone.
//! The condition, the detection types and the name filter come from the same YAML.

mod renamed;
mod selection;

use super::condition::Condition;
use super::filter::{self, KnownNames};
use super::{DetectionType, Rule, Selection};
use crate::diagnostic::Diagnostic;
use crate::event::{Level, RuleInfo};
use crate::secure_open;
use renamed::{OldName, replace_old_names};
use serde::Deserialize;
use serde_norway::{Mapping, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest rule file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Most rule files of one directory.
const MAX_FILES: usize = 10_000;
/// Most opening brackets of one file: the YAML parser's time grows with the square of their nesting.
const MAX_BRACKETS: usize = 4_000;
/// Most selections of one rule.
const MAX_SELECTIONS: usize = 200;

/// Rulesets that only embedded rules may claim.
const RESERVED_RULESETS: [&str; 3] = ["elastic", "sumo", "pyhookwatch"];

/// Our own keys beside Sigma's.
#[derive(Default, Deserialize)]
struct OwnKeys {
    ruleset: Option<String>,
    risk_score: Option<u8>,
    detection_type: Option<DetectionTypes>,
    #[serde(default)]
    detection_type_selections: Mapping,
    #[serde(default)]
    baseline: bool,
    #[serde(default)]
    tests: Vec<RuleTest>,
}

/// A change that a rule's author expects the rule to match, or not to: `pyhookwatch check` tries each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// What the case is about.
    pub name: String,
    /// `TargetFilename`.
    pub path: PathBuf,
    /// `EventAction`; a creation when it is not told.
    pub action: Option<String>,
    /// `Image` of a verified writer.
    pub exe: Option<PathBuf>,
    /// Content of the file.
    pub content: Option<String>,
    /// Further fields, over what the rest says.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Whether the rule matches.
    #[serde(default = "yes")]
    pub matches: bool,
    /// The detection type it must give.
    #[serde(rename = "type")]
    pub detection_type: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DetectionTypes {
    One(String),
    FirstThatHolds(Vec<Case>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    when: Option<String>,
    #[serde(rename = "type")]
    name: String,
}

/// What is told of a text that holds rules.
pub struct Origin<'a> {
    /// File name for diagnostics and `explain`.
    pub file: &'a Path,
    /// Ruleset of the rules that name none.
    pub ruleset: &'a str,
    /// The rules are ours and may claim a reserved ruleset.
    pub embedded: bool,
}

/// Reads every `*.yml` and `*.yaml` of a directory, in the order of their names.
///
/// # Errors
/// Every problem of every file; the directory itself missing is one, unless it may be missing. A file that others could
/// have written is read all the same.
pub fn directory(path: &Path, may_be_missing: bool, known: KnownNames<'_>) -> (Vec<Rule>, Vec<Diagnostic>) {
    let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
    let (files, insecure_because) = match rule_files(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_be_missing => return (rules, diagnostics),
        Err(error) => {
            let message = format!("cannot read the rules directory: {error}; create it, or name another one");
            diagnostics.push(Diagnostic::new(path, None, message).because_of(&error));
            return (rules, diagnostics);
        }
    };
    diagnostics.extend(insecure_because.iter().map(|why| Diagnostic::insecure(path, why)));
    if files.len() > MAX_FILES {
        diagnostics.push(Diagnostic::new(path, None, format!("more than {MAX_FILES} rule files; merge some")));
    }
    let ruleset = path.file_name().map_or_else(|| "local".into(), |name| name.to_string_lossy().into_owned());
    for file in files.iter().take(MAX_FILES) {
        match read(file) {
            Ok((text, weak)) => {
                // What holds for all of them was said already.
                let own = weak.filter(|why| Some(why) != insecure_because.as_ref());
                diagnostics.extend(own.map(|why| Diagnostic::insecure(file, &why)));
                let origin = Origin { file, ruleset: &ruleset, embedded: false };
                let (found, wrong) = text_of_rules(&text, &origin, known);
                rules.extend(found);
                diagnostics.extend(wrong);
            }
            Err(problem) => diagnostics.push(problem),
        }
    }
    (rules, diagnostics)
}

/// The rule files in a directory, and who else could have put them there.
fn rule_files(directory: &Path) -> std::io::Result<(Vec<PathBuf>, Option<String>)> {
    let secure_open::Opened { file, insecure_because } = secure_open::open(directory)?;
    let mut files = Vec::new();
    for entry in rustix::fs::Dir::new(file)? {
        let path = directory.join(OsStr::from_bytes(entry?.file_name().to_bytes()));
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok((files, insecure_because))
}

/// The text of a rule file, and who else could have written it.
fn read(path: &Path) -> Result<(String, Option<String>), Diagnostic> {
    let problem = |message: String| Diagnostic::new(path, None, message);
    let advice = "make it readable, or remove it";
    let refused =
        |error: std::io::Error| problem(format!("cannot read the rule file: {error}; {advice}")).because_of(&error);
    let secure_open::Opened { file, insecure_because } = secure_open::open(path).map_err(refused)?;
    if !file.metadata().map_err(refused)?.is_file() {
        return Err(problem(format!("not a regular file; {advice}")));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(refused)?;
    if text.len() as u64 > MAX_FILE {
        return Err(problem(format!("the rule file is larger than {MAX_FILE} bytes; split it")));
    }
    Ok((text, insecure_because))
}

/// Parses the rules of one text, several when `---` separates them.
///
/// # Errors
/// Every problem, with its line where that can be told.
pub fn text_of_rules(text: &str, origin: &Origin<'_>, known: KnownNames<'_>) -> (Vec<Rule>, Vec<Diagnostic>) {
    let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
    if text.bytes().filter(|byte| b"[{".contains(byte)).count() > MAX_BRACKETS {
        let message = format!("more than {MAX_BRACKETS} opening brackets; split the file");
        return (rules, vec![Diagnostic::new(origin.file, None, message)]);
    }
    let starts = document_starts(text);
    for (number, document) in serde_norway::Deserializer::from_str(text).enumerate() {
        let value = match Value::deserialize(document) {
            Ok(Value::Null) => continue,
            Ok(value) => value,
            Err(error) => {
                let line = error.location().map(|location| location.line());
                diagnostics.push(Diagnostic::new(origin.file, line, format!("not valid YAML: {error}")));
                // The parser cannot find the next document after a syntax error.
                break;
            }
        };
        let mut reader = RuleReader {
            text,
            first_line: starts.get(number).copied().unwrap_or_default(),
            origin,
            diagnostics: &mut diagnostics,
        };
        rules.extend(reader.rule(value, known));
    }
    if rules.is_empty() && diagnostics.is_empty() {
        diagnostics.push(Diagnostic::new(origin.file, None, "the file holds no rule; remove it"));
    }
    (rules, diagnostics)
}

/// The line, from 0, at which each YAML document of a text begins.
fn document_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut is_first = true;
    for (number, line) in text.lines().enumerate() {
        let is_marker = line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if is_marker && !is_first {
            starts.push(number);
        }
        // A marker before anything else begins the first document, it does not end one.
        is_first &= !is_marker && (line.trim().is_empty() || line.starts_with(['#', '%']));
    }
    starts
}

/// Reads one rule, and collects its diagnostics.
struct RuleReader<'a> {
    text: &'a str,
    /// Line of the text, from 0, at which the rule begins.
    first_line: usize,
    origin: &'a Origin<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl RuleReader<'_> {
    /// Adds an error at the first line of the rule that begins with `near`.
    fn error(&mut self, near: &str, message: impl Into<String>) {
        let line = self.line_of(near);
        self.diagnostics.push(Diagnostic::new(self.origin.file, line, message));
    }

    fn line_of(&self, near: &str) -> Option<usize> {
        let is_near = |line: &str| line.trim_start().trim_start_matches("- ").starts_with(near);
        let index = self.text.lines().skip(self.first_line).position(is_near)?;
        Some(self.first_line + index + 1)
    }

    fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|found| !found.is_warning()).count()
    }

    /// `None` when the rule has a problem; it is in the list then.
    fn rule(&mut self, mut value: Value, known: KnownNames<'_>) -> Option<Rule> {
        let before = self.error_count();
        self.replace_old_names(&mut value);
        let (selections, condition) = self.detection(value.get("detection"));
        let own: OwnKeys = self.own_keys(&value);
        let (extra, _) = self.selections(&own.detection_type_selections);
        let detection_types = self.detection_types(own.detection_type.as_ref(), &selections, &extra);
        let names =
            condition.as_ref().map(|condition| filter::derive(condition, &yaml_of(value.get("detection")), known));
        let info = self.info(&value, &own);
        // Last, for what only the whole shows (wrong types of Sigma's own keys, for example).
        if self.error_count() == before
            && let Err(error) = whole(&value)
        {
            self.error("title:", format!("not a Sigma rule: {error}"));
        }
        if self.error_count() > before {
            return None;
        }
        let (condition, names, info, tests) = (condition?, names?, info?, own.tests);
        let silencing = condition.silencing().into_iter().map(str::to_owned).collect();
        Some(Rule { info: Arc::new(info), condition, silencing, selections, extra, detection_types, names, tests })
    }

    /// Replaces old names of fields, and warns of each.
    fn replace_old_names(&mut self, value: &mut Value) {
        for key in ["detection", "detection_type_selections"] {
            let selections = value.get_mut(key).and_then(Value::as_mapping_mut).into_iter().flatten();
            for OldName { old, new, is_twice } in selections.flat_map(|(_, selection)| replace_old_names(selection)) {
                let line = self.line_of(old);
                self.diagnostics.push(match is_twice {
                    false => Diagnostic::warning(
                        self.origin.file,
                        line,
                        format!("the field `{old}` is now called `{new}`; the next release refuses the old name"),
                    ),
                    true => Diagnostic::new(
                        self.origin.file,
                        line,
                        format!("`{old}` is the old name of `{new}`, which stands in the same selection; remove one"),
                    ),
                });
            }
        }
    }

    fn own_keys(&mut self, value: &Value) -> OwnKeys {
        const OURS: [&str; 6] =
            ["ruleset", "risk_score", "detection_type", "detection_type_selections", "baseline", "tests"];
        let ours: Mapping = OURS.iter().filter_map(|key| Some(((*key).into(), value.get(*key)?.clone()))).collect();
        serde_norway::from_value(Value::Mapping(ours)).unwrap_or_else(|error| {
            self.error(
                "detection_type",
                format!("`ruleset` must be text, `risk_score` a number from 0 to 100, `detection_type` a name or a list of `when` and `type`, `baseline` true or false, `tests` a list of cases ({error})"),
            );
            OwnKeys::default()
        })
    }

    fn detection(&mut self, detection: Option<&Value>) -> (Vec<Selection>, Option<Condition>) {
        let Some(Value::Mapping(detection)) = detection else {
            self.error("title:", "the rule has no `detection`");
            return (Vec::new(), None);
        };
        let mut selections = detection.clone();
        let Some(condition) = selections.remove("condition").and_then(|value| value.as_str().map(str::to_owned)) else {
            self.error("detection:", "`detection` has no `condition` in one line of text");
            return (Vec::new(), None);
        };
        let (parsed, names) = self.selections(&selections);
        let condition = match Condition::parse(&condition, &names) {
            Ok(condition) => Some(condition),
            Err(message) => {
                self.error("condition:", message);
                None
            }
        };
        (parsed, condition)
    }

    /// Parses selections; gives those that are right, and the names of all.
    fn selections(&mut self, selections: &Mapping) -> (Vec<Selection>, Vec<String>) {
        let mut parsed = Vec::new();
        let mut names = Vec::new();
        if selections.len() > MAX_SELECTIONS {
            self.error("detection:", format!("more than {MAX_SELECTIONS} selections"));
        }
        for (name, value) in selections.iter().take(MAX_SELECTIONS) {
            let Some(name) = name.as_str().filter(|name| is_word(name)) else {
                self.error("detection:", "a selection's name must be of letters, digits, `_`, `-` and `.`");
                continue;
            };
            names.push(name.to_owned());
            let near = format!("{name}:");
            for message in selection::mistakes(value) {
                self.error(&near, format!("`{name}`: {message}"));
            }
            match selection::compile(value) {
                Ok(rule) => {
                    let of_writer = selection::uses_writer(value);
                    parsed.push(Selection { name: name.to_owned(), rule, of_writer });
                }
                Err(error) => self.error(&near, format!("`{name}`: {error}")),
            }
        }
        (parsed, names)
    }

    fn detection_types(
        &mut self,
        types: Option<&DetectionTypes>,
        selections: &[Selection],
        extra: &[Selection],
    ) -> Vec<DetectionType> {
        let names: Vec<String> = selections.iter().chain(extra).map(|selection| selection.name.clone()).collect();
        let cases = match types {
            None => return Vec::new(),
            Some(DetectionTypes::One(name)) => &[Case { when: None, name: name.clone() }][..],
            Some(DetectionTypes::FirstThatHolds(cases)) => cases,
        };
        let mut parsed = Vec::new();
        for case in cases {
            if !is_word(&case.name) {
                self.error("detection_type", "a detection type must be of letters, digits, `_`, `-` and `.`");
            }
            match case.when.as_ref().map(|when| Condition::parse(when, &names)).transpose() {
                Ok(when) => parsed.push(DetectionType { when, name: case.name.clone() }),
                Err(message) => self.error("detection_type", format!("detection_type: {message}")),
            }
        }
        parsed
    }

    fn info(&mut self, value: &Value, own: &OwnKeys) -> Option<RuleInfo> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let list = |key: &str| -> Vec<String> {
            let items = value.get(key).and_then(Value::as_sequence).map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let before = self.diagnostics.len();
        let id = text("id").filter(|id| is_word(id) && id.len() <= 128);
        if id.is_none() {
            self.error("id:", "the rule needs an `id` (a UUID) of its own: it names the rule in alerts and is how one rule replaces another");
        }
        let name = text("title");
        if name.is_none() {
            self.error("id:", "the rule has no `title`");
        }
        let level = text("level").unwrap_or("medium").parse::<Level>();
        if level.is_err() {
            self.error("level:", "`level` must be informational, low, medium, high or critical");
        }
        let logsource = |key: &str| value.get("logsource").and_then(|source| source.get(key)).and_then(Value::as_str);
        if logsource("category") != Some("file_event") || logsource("product").is_some_and(|product| product != "linux")
        {
            self.error("logsource:", "only rules for `product: linux`, `category: file_event` can be evaluated here");
        }
        if own.risk_score.is_some_and(|score| score > 100) {
            self.error("risk_score:", "`risk_score` must be from 0 to 100");
        }
        if self.diagnostics.len() > before {
            return None;
        }
        let (id, name, level) = (id?, name?, level.ok()?);
        let ruleset = own.ruleset.as_deref().filter(|name| self.origin.embedded || !RESERVED_RULESETS.contains(name));
        Some(RuleInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            ruleset: ruleset.unwrap_or(self.origin.ruleset).to_owned(),
            level,
            is_baseline: own.baseline,
            risk_score: own.risk_score.unwrap_or(default_risk(level)),
            description: text("description").unwrap_or_default().to_owned(),
            references: list("references"),
            tags: list("tags"),
            origin: self.origin.file.to_string_lossy().into_owned(),
        })
    }
}

/// Risk of a rule that tells none: the usual four steps of a hundred.
fn default_risk(level: Level) -> u8 {
    match level {
        Level::Informational => 10,
        Level::Low => 21,
        Level::Medium => 47,
        Level::High => 73,
        Level::Critical => 99,
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn yaml_of(detection: Option<&Value>) -> BTreeMap<String, Value> {
    let mapping = detection.and_then(Value::as_mapping);
    mapping.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect()
}

/// The rule as `sigma-rust` reads it.
fn whole(value: &Value) -> Result<sigma_rust::Rule, serde_norway::Error> {
    serde_norway::from_value(value.clone())
}

#[cfg(test)]
mod tests;
