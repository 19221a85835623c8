//! One loaded rule, and its outcome for one change.

use super::condition::{Condition, Truth};
use super::exclusion::Exclusion;
use super::filter::Names;
use crate::event::RuleInfo;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Detection type of a rule that has none.
const DEFAULT_DETECTION_TYPE: &str = "CUSTOM_RULE_MATCHED";

/// One loaded rule.
pub struct Rule {
    pub(super) info: Arc<RuleInfo>,
    pub(super) condition: Condition,
    /// Names of the selections that can suppress it.
    pub(super) suppressing: Vec<String>,
    pub(super) selections: Vec<Selection>,
    /// Selections that only choose the detection type.
    pub(super) extra: Vec<Selection>,
    pub(super) detection_types: Vec<DetectionType>,
    /// The file names that it can match; `None`: any.
    pub(super) names: Option<Names>,
    pub(super) tests: Vec<RuleTest>,
}

/// One selection, evaluated by `sigma-rust`.
pub(super) struct Selection {
    pub name: String,
    pub rule: sigma_rust::Rule,
    /// It depends on a field of the writer.
    pub of_writer: bool,
}

/// A detection type and when it applies; the first that holds is taken.
pub(super) struct DetectionType {
    pub when: Option<Condition>,
    pub name: String,
}

/// A change that a rule should match or not; `pyhookwatch check` tries each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTest {
    /// What the case is about.
    pub name: String,
    /// `TargetFilename`.
    pub path: PathBuf,
    /// `EventAction`; without it a creation.
    pub action: Option<String>,
    /// `Image` of a confirmed writer.
    pub exe: Option<PathBuf>,
    /// Content of the file.
    pub content: Option<String>,
    /// Further fields; they replace those derived from the keys above.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Whether the rule matches.
    #[serde(default = "yes")]
    pub matches: bool,
    /// The detection type that the match must have.
    #[serde(rename = "type")]
    pub detection_type: Option<String>,
}

fn yes() -> bool {
    true
}

/// The outcome of one rule for one change, and what settled it.
pub struct Outcome<'a> {
    /// Which rule.
    pub rule: &'a Arc<RuleInfo>,
    /// The rule matches, so there is an alert.
    pub matched: bool,
    /// The rule's name for the finding; empty if it does not match.
    pub detection_type: String,
    /// The selection or filter that settled it; several, comma separated, when all were needed.
    pub decided_by: String,
    /// The exclusion of the writer without which the rule would match: its name, and whether it counts.
    pub exclusion: Option<(String, Exclusion)>,
}

impl Rule {
    /// Evaluates the rule for one event, with a writer that may be excluded or not.
    pub(super) fn outcome(&self, event: &sigma_rust::Event, of_writer: Exclusion) -> Outcome<'_> {
        let truth: Truth =
            self.selections.iter().map(|selection| (selection.name.clone(), selection.rule.is_match(event))).collect();
        let matched = self.condition.evaluate(&truth);
        let exclusion = if matched { None } else { self.excluded_by(&truth) }.map(|name| (name, of_writer));
        let matched = matched || matches!(exclusion, Some((_, Exclusion::Denied(_))));
        let deciders = self.condition.deciders(&truth).into_iter();
        let decided_by: Vec<&str> = match (&exclusion, matched) {
            (Some((name, _)), _) => vec![name],
            // Filters that are false do not make a rule match.
            (None, true) => deciders.filter(|name| truth.get(*name).copied().unwrap_or(false)).collect(),
            (None, false) => deciders.collect(),
        };
        let decided_by = decided_by.join(", ");
        let detection_type = if matched { self.detection_type(truth, event) } else { String::new() };
        Outcome { rule: &self.info, matched, detection_type, decided_by, exclusion }
    }

    /// The exclusions of the writer without which the rule would match. Their author may have called them anything. The
    /// same selection can also stand without `not`, and is no exclusion there.
    fn excluded_by(&self, truth: &Truth) -> Option<String> {
        let names: Vec<&str> = self
            .selections
            .iter()
            .filter(|selection| selection.of_writer && self.suppressing.contains(&selection.name))
            .map(|selection| selection.name.as_str())
            .filter(|name| truth.get(*name).copied().unwrap_or(false))
            .collect();
        (!names.is_empty() && self.condition.evaluate_unsuppressed(truth, &names)).then(|| names.join(", "))
    }

    fn detection_type(&self, mut truth: Truth, event: &sigma_rust::Event) -> String {
        truth.extend(self.extra.iter().map(|selection| (selection.name.clone(), selection.rule.is_match(event))));
        self.detection_types
            .iter()
            .find(|case| case.when.as_ref().is_none_or(|when| when.evaluate(&truth)))
            .map_or(DEFAULT_DETECTION_TYPE, |case| case.name.as_str())
            .to_owned()
    }
}
