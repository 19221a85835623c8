//! Runs the test cases of rule files (`tests:`), each against its rule.

use super::hypothetical::{self, HypotheticalChange};
use crate::diagnostic::Diagnostic;
use crate::event::{Action, RuleInfo};
use crate::hook;
use crate::rules::{Exclusion, RuleSet, RuleTest};
use std::path::Path;

/// Runs every test case. Returns those that fail.
pub fn run(rules: &RuleSet) -> Vec<Diagnostic> {
    let wrong = |(rule, test): (&std::sync::Arc<RuleInfo>, &RuleTest)| {
        let message = run_test(rules, rule, test).err()?;
        Some(Diagnostic::new(
            Path::new(&rule.origin),
            None,
            format!("the rule `{}`: its test case `{}` fails: {message}", rule.id, test.name),
        ))
    };
    rules.tests().filter_map(wrong).collect()
}

fn run_test(rules: &RuleSet, rule: &RuleInfo, test: &RuleTest) -> Result<(), String> {
    let action: Action =
        test.action.as_deref().unwrap_or("creation").parse().map_err(|error| format!("unknown action: {error}"))?;
    let change = HypotheticalChange {
        path: test.path.clone(),
        action,
        executable: test.exe.clone(),
        ..HypotheticalChange::default()
    };
    let hook = hook::hypothetical(&test.path, test.content.as_deref().map(str::as_bytes));
    let writer = change.writer();
    let mut values = change.values(&hook, &writer);
    for (name, value) in &test.fields {
        let (name, value) = hypothetical::parse_value(name, value)?;
        values.insert(name, value);
    }
    let mut outcomes = rules.outcomes(&values, Exclusion::of(&writer));
    let Some(outcome) = outcomes.find(|outcome| outcome.rule.id == rule.id) else {
        return Err("the rule is switched off or was replaced".into());
    };
    let class =
        format!("class {}, signals {:?}", hook.content.class.as_str(), hook.content.signals.iter().collect::<Vec<_>>());
    match (outcome.matched, test.matches) {
        (false, true) => Err(format!("it does not match, decided by {} ({class})", outcome.decided_by)),
        (true, false) => Err(format!("it matches, decided by {} ({class})", outcome.decided_by)),
        _ => match &test.detection_type {
            Some(wanted) if test.matches && *wanted != outcome.detection_type => {
                Err(format!("its detection type is {}, not {wanted}", outcome.detection_type))
            }
            _ => Ok(()),
        },
    }
}
