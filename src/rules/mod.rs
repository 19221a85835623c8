//! The fourth stage: does it matter? Sigma rules over the facts, and nothing else: a rule never
//! calls code, and the code holds no policy.
//!
//! One promise is kept here: a rule that is silenced by something about the *writer* is silenced
//! only for a verified writer ([`crate::event::Writer::may_be_excluded`]). For any other the rule
//! matches, and says which exclusion did not count and why.

pub mod condition;
pub mod fields;
pub mod filter;
pub mod load;

use crate::diagnostic::Diagnostic;
use crate::event::{Doubt, Exclusion, Match, RuleInfo, Verdict};
use condition::{Condition, Truth};
use fields::Facts;
use filter::{KnownNames, NameFilter, Names};
use load::RuleTest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a site's own rules are looked for; the only directory that may be missing.
pub const SITE_RULES: &str = "/etc/pyhookwatch/rules.d";

/// The rules in the program itself: file name and text.
pub const EMBEDDED: [(&str, &str); 9] = [
    (
        "elastic-python-site-or-user-customize.yml",
        include_str!("../../config/rules/elastic-python-site-or-user-customize.yml"),
    ),
    ("sumo-detect-python-startup-hooks.yml", include_str!("../../config/rules/sumo-detect-python-startup-hooks.yml")),
    ("pyhookwatch-content.yml", include_str!("../../config/rules/pyhookwatch-content.yml")),
    ("pyhookwatch-pth.yml", include_str!("../../config/rules/pyhookwatch-pth.yml")),
    ("pyhookwatch-customize.yml", include_str!("../../config/rules/pyhookwatch-customize.yml")),
    ("pyhookwatch-module.yml", include_str!("../../config/rules/pyhookwatch-module.yml")),
    ("pyhookwatch-stdlib.yml", include_str!("../../config/rules/pyhookwatch-stdlib.yml")),
    ("pyhookwatch-interpreter.yml", include_str!("../../config/rules/pyhookwatch-interpreter.yml")),
    ("pyhookwatch-environment.yml", include_str!("../../config/rules/pyhookwatch-environment.yml")),
];

/// Detection type of a rule that names none.
const DEFAULT_DETECTION_TYPE: &str = "CUSTOM_RULE_MATCHED";

/// Which rules to load.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Directories of `*.yml` files, read in this order after the embedded rules; a rule replaces an
    /// earlier one of the same id.
    pub directories: Vec<PathBuf>,
    /// Ids of rules that are switched off.
    pub disabled: Vec<String>,
}

/// One loaded rule.
pub struct Rule {
    info: Arc<RuleInfo>,
    condition: Condition,
    /// Names of the selections that can silence it.
    silencing: Vec<String>,
    selections: Vec<Selection>,
    /// Selections that only choose the detection type.
    extra: Vec<Selection>,
    detection_types: Vec<DetectionType>,
    names: Option<Names>,
    tests: Vec<RuleTest>,
}

/// One selection, evaluated by `sigma-rust`.
struct Selection {
    name: String,
    rule: sigma_rust::Rule,
    /// It looks at the writer.
    of_writer: bool,
}

/// A detection type and when it applies; the first that holds is taken.
struct DetectionType {
    when: Option<Condition>,
    name: String,
}

/// What one rule says of one change, and what settled it.
pub struct Outcome<'a> {
    /// Which rule.
    pub rule: &'a Arc<RuleInfo>,
    /// It matches, and gives an alert.
    pub matched: bool,
    /// What it calls the finding.
    pub detection_type: String,
    /// The selection or filter that settled it; several, comma separated, when all were needed.
    pub decided_by: String,
    /// The rule would match but for this exclusion of the writer: its name, and `Err` with the
    /// reason when it does not count.
    pub exclusion: Option<(String, Result<(), Doubt>)>,
}

/// The loaded rules.
#[derive(Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    filter: NameFilter,
}

impl RuleSet {
    /// Loads the embedded rules and those of the directories.
    ///
    /// Gives the rules with warnings (which do not hinder; whether a file that others could have written does is for the
    /// caller to decide), or every problem of every file.
    ///
    /// # Errors
    /// All problems found, each with its file and, where it can be told, its line.
    pub fn load(settings: &Settings, known: KnownNames<'_>) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for (name, text) in EMBEDDED {
            let origin = load::Origin { file: Path::new(name), ruleset: "pyhookwatch", embedded: true };
            let (found, wrong) = load::text_of_rules(text, &origin, known);
            add(&mut rules, found, &mut problems);
            problems.extend(wrong);
        }
        for directory in &settings.directories {
            let (found, wrong) = load::directory(directory, directory == Path::new(SITE_RULES), known);
            add(&mut rules, found, &mut problems);
            problems.extend(wrong);
        }
        for id in &settings.disabled {
            if !rules.iter().any(|rule: &Rule| rule.info.id == *id) {
                problems.push(Diagnostic::new(
                    Path::new("configuration"),
                    None,
                    format!("`disabled` names the rule `{id}`, which does not exist; remove it there"),
                ));
            }
        }
        let (mut warnings, problems): (Vec<_>, Vec<_>) = problems.into_iter().partition(Diagnostic::is_warning);
        if !problems.is_empty() {
            return Err(problems);
        }
        rules.retain(|rule| !settings.disabled.contains(&rule.info.id));
        warnings.extend(rules.iter().filter(|rule| rule.names.is_none()).map(any_name_warning));
        let filter = NameFilter::new(rules.iter().map(|rule| rule.names.clone()));
        Ok((Self { rules, filter }, warnings))
    }

    /// The rules' identities, in the order they were loaded.
    pub fn infos(&self) -> impl Iterator<Item = &Arc<RuleInfo>> {
        self.rules.iter().map(|rule| &rule.info)
    }

    /// The cases that the rules' authors wrote, each with its rule.
    pub fn tests(&self) -> impl Iterator<Item = (&Arc<RuleInfo>, &RuleTest)> {
        self.rules.iter().flat_map(|rule| rule.tests.iter().map(|test| (&rule.info, test)))
    }

    /// The name filter that these rules need.
    pub fn filter(&self) -> &NameFilter {
        &self.filter
    }

    /// Judges one change by one writer.
    pub fn judge(&self, facts: &Facts<'_>) -> Verdict {
        self.judge_when(facts, facts.writer.may_be_excluded())
    }

    /// Judges one change by one writer, whose exclusion counts (`Ok`) or not, and why.
    pub fn judge_when(&self, facts: &Facts<'_>, writer_counts: Result<(), Doubt>) -> Verdict {
        let mut verdict = Verdict::default();
        for outcome in self.outcomes(&fields::values(facts), writer_counts) {
            let rule = outcome.rule.clone();
            match outcome.exclusion {
                Some((decided_by, Ok(()))) => verdict.excluded.push(Exclusion { rule, decided_by }),
                exclusion if outcome.matched => verdict.matches.push(Match {
                    rule,
                    detection_type: outcome.detection_type,
                    decided_by: outcome.decided_by,
                    exclusion_not_applied: exclusion.and_then(|(filter, counts)| Some((filter, counts.err()?))),
                }),
                _ => {}
            }
        }
        verdict.sort();
        verdict
    }

    /// What every rule says of these fields, in the order they were loaded, with a writer whose exclusion
    /// counts (`Ok`) or not, and why.
    pub fn outcomes<'a>(
        &'a self,
        values: &fields::Values,
        writer_counts: Result<(), Doubt>,
    ) -> impl Iterator<Item = Outcome<'a>> + use<'a> {
        let event = fields::event(values);
        self.rules.iter().map(move |rule| rule.outcome(&event, writer_counts))
    }
}

impl Rule {
    fn outcome(&self, event: &sigma_rust::Event, writer_counts: Result<(), Doubt>) -> Outcome<'_> {
        let truth: Truth =
            self.selections.iter().map(|selection| (selection.name.clone(), selection.rule.is_match(event))).collect();
        let matched = self.condition.evaluate(&truth);
        let exclusion = if matched { None } else { self.excluded_by(&truth) }.map(|name| (name, writer_counts));
        let matched = matched || matches!(exclusion, Some((_, Err(_))));
        let deciders = self.condition.deciders(&truth).into_iter();
        let decided_by: Vec<&str> = match (&exclusion, matched) {
            (Some((name, _)), _) => vec![name],
            // A rule matches by what is true, not by the filters that are not.
            (None, true) => deciders.filter(|name| truth.get(*name).copied().unwrap_or(false)).collect(),
            (None, false) => deciders.collect(),
        };
        let decided_by = decided_by.join(", ");
        let detection_type = if matched { self.detection_type(truth, event) } else { String::new() };
        Outcome { rule: &self.info, matched, detection_type, decided_by, exclusion }
    }

    /// The exclusions of the writer without which the rule would match. Anything about the writer
    /// that silences is one, whatever its author called it, and only where it silences: the same
    /// selection can also be one of the reasons to match.
    fn excluded_by(&self, truth: &Truth) -> Option<String> {
        let names: Vec<&str> = self
            .selections
            .iter()
            .filter(|selection| selection.of_writer && self.silencing.contains(&selection.name))
            .map(|selection| selection.name.as_str())
            .filter(|name| truth.get(*name).copied().unwrap_or(false))
            .collect();
        (!names.is_empty() && self.condition.evaluate_unsilenced(truth, &names)).then(|| names.join(", "))
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

/// Adds rules, replacing earlier ones of the same id in their place. Two of one id in one directory
/// are a mistake.
fn add(rules: &mut Vec<Rule>, found: Vec<Rule>, problems: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for rule in found {
        if let Some(first) = seen.insert(rule.info.id.clone(), rule.info.origin.clone()) {
            problems.push(Diagnostic::new(
                Path::new(&rule.info.origin),
                None,
                format!("the id `{}` is already that of the rule in {first}; give this one its own", rule.info.id),
            ));
            continue;
        }
        match rules.iter_mut().find(|known| known.info.id == rule.info.id) {
            Some(known) => *known = rule,
            None => rules.push(rule),
        }
    }
}

fn any_name_warning(rule: &Rule) -> Diagnostic {
    Diagnostic::warning(
        Path::new(&rule.info.origin),
        None,
        format!(
            "the rule `{}` names no file, so every file event of the machine must be judged, which costs \
             CPU; add a TargetFilename that ends in a name",
            rule.info.id
        ),
    )
}
