//! All loaded rules: the embedded ones and a site's own.

use super::embedded::EMBEDDED;
use super::exclusion::Exclusion;
use super::fields::{self, Facts};
use super::filter::{KnownNames, NameFilter};
use super::load;
use super::rule::{Outcome, Rule, RuleTest};
use super::verdict::verdict;
use crate::diagnostic::Diagnostic;
use crate::event::{DeniedExclusion, ExcludedRule, Match, RuleInfo, Verdict};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The default directory of a site's own rules; the only one that may be missing.
pub const SITE_RULES: &str = "/etc/pyhookwatch/rules.d";

/// Which rules to load.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Directories of `*.yml` files, read in this order after the embedded rules; a rule replaces an earlier one of the
    /// same id.
    pub directories: Vec<PathBuf>,
    /// Ids of rules that are switched off.
    pub disabled: Vec<String>,
}

/// The loaded rules.
#[derive(Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    filter: NameFilter,
}

impl RuleSet {
    /// Loads the embedded rules and those of the directories. Gives the rules with their warnings; the caller decides
    /// whether to refuse a file that others could have written.
    ///
    /// # Errors
    /// Every error of every file.
    pub fn load(settings: &Settings, known: KnownNames) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
        for (name, text) in EMBEDDED {
            let origin = load::Origin { file: Path::new(name), ruleset: "pyhookwatch", embedded: true };
            let (found, more) = load::text_of_rules(text, &origin, known);
            add(&mut rules, found, &mut diagnostics);
            diagnostics.extend(more);
        }
        for directory in &settings.directories {
            let (found, more) = load::directory(directory, directory == Path::new(SITE_RULES), known);
            add(&mut rules, found, &mut diagnostics);
            diagnostics.extend(more);
        }
        for id in &settings.disabled {
            if !rules.iter().any(|rule: &Rule| rule.info.id == *id) {
                let message = format!("`disabled` names the rule `{id}`, which does not exist; remove it there");
                diagnostics.push(Diagnostic::new(Path::new("configuration"), None, message));
            }
        }
        let (mut warnings, errors): (Vec<_>, Vec<_>) = diagnostics.into_iter().partition(Diagnostic::is_warning);
        if !errors.is_empty() {
            return Err(errors);
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

    /// The test cases of the rules, each with its rule.
    pub fn tests(&self) -> impl Iterator<Item = (&Arc<RuleInfo>, &RuleTest)> {
        self.rules.iter().flat_map(|rule| rule.tests.iter().map(|test| (&rule.info, test)))
    }

    /// The name filter that these rules need.
    pub fn filter(&self) -> &NameFilter {
        &self.filter
    }

    /// Judges one change by one writer, who may be excluded or not.
    pub fn judge(&self, facts: &Facts<'_>, of_writer: Exclusion) -> Verdict {
        let (mut matches, mut excluded) = (Vec::new(), Vec::new());
        for outcome in self.outcomes(&fields::values(facts), of_writer) {
            let rule = outcome.rule.clone();
            let exclusion_not_applied = match outcome.exclusion {
                Some((decided_by, Exclusion::Allowed)) => {
                    excluded.push(ExcludedRule { rule, decided_by });
                    continue;
                }
                Some((filter, Exclusion::Denied(doubt))) => Some(DeniedExclusion { filter, doubt }),
                None => None,
            };
            if outcome.matched {
                let Outcome { detection_type, decided_by, .. } = outcome;
                matches.push(Match { rule, detection_type, decided_by, exclusion_not_applied });
            }
        }
        verdict(matches, excluded)
    }

    /// The outcome of every rule for these fields, in the order they were loaded, with a writer that may be excluded or
    /// not.
    pub fn outcomes<'a>(
        &'a self,
        values: &fields::Values,
        of_writer: Exclusion,
    ) -> impl Iterator<Item = Outcome<'a>> + use<'a> {
        let event = fields::event(values);
        self.rules.iter().map(move |rule| rule.outcome(&event, of_writer))
    }
}

/// Adds rules, replacing earlier ones of the same id in their place. One directory must not have two of one id.
fn add(rules: &mut Vec<Rule>, found: Vec<Rule>, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for rule in found {
        if let Some(first) = seen.insert(rule.info.id.clone(), rule.info.origin.clone()) {
            let message =
                format!("the id `{}` is already that of the rule in {first}; give this one its own", rule.info.id);
            diagnostics.push(Diagnostic::new(Path::new(&rule.info.origin), None, message));
            continue;
        }
        match rules.iter_mut().find(|known| known.info.id == rule.info.id) {
            Some(known) => *known = rule,
            None => rules.push(rule),
        }
    }
}

fn any_name_warning(rule: &Rule) -> Diagnostic {
    let message = format!(
        "the rule `{}` has no condition on the file name, so it is evaluated for every file event, which costs CPU; \
         add a TargetFilename that ends in a name",
        rule.info.id
    );
    Diagnostic::warning(Path::new(&rule.info.origin), None, message)
}
