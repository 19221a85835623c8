//! One rule, from YAML to what is evaluated.

use super::origin::Origin;
use super::renamed::{OldName, replace_old_names};
use super::selection;
use crate::diagnostic::Diagnostic;
use crate::event::{Level, RuleInfo};
use crate::rules::condition::Condition;
use crate::rules::filter::{self, KnownNames};
use crate::rules::rule::{DetectionType, Rule, RuleTest, Selection};
use serde::Deserialize;
use serde_norway::{Mapping, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most selections of one rule.
const MAX_SELECTIONS: usize = 200;

/// Rulesets that only embedded rules may claim.
const RESERVED_RULESETS: [&str; 3] = ["elastic", "sumo", "pyhookwatch"];

/// The keys that this program adds to Sigma's, by name.
const OWN_KEYS: [&str; 6] =
    ["ruleset", "risk_score", "detection_type", "detection_type_selections", "baseline", "tests"];

/// The keys that this program adds to Sigma's.
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

/// Reads one rule, and collects its diagnostics.
pub(super) struct RuleReader<'a> {
    text: &'a str,
    /// Line of the text, from 0, at which the rule begins.
    first_line: usize,
    origin: &'a Origin<'a>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> RuleReader<'a> {
    /// For a rule that begins at this line of the text, counted from 0.
    pub(super) fn new(text: &'a str, first_line: usize, origin: &'a Origin<'a>) -> Self {
        Self { text, first_line, origin, diagnostics: Vec::new() }
    }

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

    fn has_error(&self) -> bool {
        self.diagnostics.iter().any(|found| !found.is_warning())
    }

    /// The rule, unless a diagnostic is an error.
    pub(super) fn rule(mut self, value: Value, known: KnownNames) -> (Option<Rule>, Vec<Diagnostic>) {
        let rule = self.read(value, known);
        (rule, self.diagnostics)
    }

    fn read(&mut self, mut value: Value, known: KnownNames) -> Option<Rule> {
        self.replace_old_names(&mut value);
        let (selections, condition) = self.detection(value.get("detection"));
        let own: OwnKeys = self.own_keys(&value);
        let (extra, _) = self.selections(&own.detection_type_selections);
        let detection_types = self.detection_types(own.detection_type.as_ref(), &selections, &extra);
        let names =
            condition.as_ref().map(|condition| filter::derive(condition, &yaml_of(value.get("detection")), known));
        let info = self.info(&value, &own);
        // Last, for errors that only the whole shows, such as a wrong type of one of Sigma's own keys.
        if !self.has_error()
            && let Err(error) = whole(&value)
        {
            self.error("title:", format!("not a Sigma rule: {error}"));
        }
        if self.has_error() {
            return None;
        }
        let (condition, names, info, tests) = (condition?, names?, info?, own.tests);
        let suppressing = condition.suppressing().into_iter().map(str::to_owned).collect();
        Some(Rule { info: Arc::new(info), condition, suppressing, selections, extra, detection_types, names, tests })
    }

    /// Replaces old names of fields, and warns of each.
    fn replace_old_names(&mut self, value: &mut Value) {
        for key in ["detection", "detection_type_selections"] {
            let selections = value.get_mut(key).and_then(Value::as_mapping_mut).into_iter().flatten();
            for OldName { old, new, is_twice } in selections.flat_map(|(_, selection)| replace_old_names(selection)) {
                if is_twice {
                    self.error(
                        old,
                        format!("`{old}` is the old name of `{new}`, which stands in the same selection; remove one"),
                    );
                    continue;
                }
                let message = format!("the field `{old}` is now called `{new}`; the next release refuses the old name");
                self.diagnostics.push(Diagnostic::warning(self.origin.file, self.line_of(old), message));
            }
        }
    }

    fn own_keys(&mut self, value: &Value) -> OwnKeys {
        let ours: Mapping = OWN_KEYS.iter().filter_map(|key| Some(((*key).into(), value.get(*key)?.clone()))).collect();
        serde_norway::from_value(Value::Mapping(ours)).unwrap_or_else(|error| {
            self.error(
                "detection_type",
                format!(
                    "`ruleset` must be text, `risk_score` a number from 0 to 100, `detection_type` a name or a list of \
                     `when` and `type`, `baseline` true or false, `tests` a list of cases ({error})"
                ),
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

    /// Parses selections. Gives the correct ones, and the names of all.
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
            for message in selection::errors_of(value) {
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
        let errors_before = self.diagnostics.len();
        let id = text("id").filter(|id| is_word(id) && id.len() <= 128);
        if id.is_none() {
            self.error("id:", "the rule needs an `id` (a UUID) of its own: alerts name the rule by it, and a rule of the same id replaces it");
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
        if self.diagnostics.len() > errors_before {
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

/// Risk of a rule without `risk_score`: the usual steps of a hundred.
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
