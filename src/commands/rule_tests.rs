//! The test cases that stand in rule files (`tests:`): `check` tries each against its rule.

use super::explain::{self, ExplainRequest};
use crate::diagnostic::Diagnostic;
use crate::event::{Action, Hook, RuleInfo};
use crate::hook;
use crate::rules::fields::{self, Facts, Values};
use crate::rules::{Exclusion, RuleSet, RuleTest};
use std::path::Path;

/// Runs every case; gives those that do not hold.
pub fn run(rules: &RuleSet) -> Vec<Diagnostic> {
    let wrong = |(rule, test): (&std::sync::Arc<RuleInfo>, &RuleTest)| {
        let message = differs(rules, rule, test).err()?;
        Some(Diagnostic::new(
            Path::new(&rule.origin),
            None,
            format!("the rule `{}`: its test case `{}` does not hold: {message}", rule.id, test.name),
        ))
    };
    rules.tests().filter_map(wrong).collect()
}

fn differs(rules: &RuleSet, rule: &RuleInfo, test: &RuleTest) -> Result<(), String> {
    let action: Action =
        test.action.as_deref().unwrap_or("creation").parse().map_err(|error| format!("unknown action: {error}"))?;
    let question =
        ExplainRequest { path: test.path.clone(), action, executable: test.exe.clone(), ..ExplainRequest::default() };
    let hook = hook::hypothetical(&test.path, test.content.as_deref().map(str::as_bytes));
    let mut values = values(&question, &hook);
    for (name, value) in &test.fields {
        let (name, value) = explain::parse_known_field(name, value)?;
        values.insert(name, value);
    }
    let writer = explain::supposed_writer(&question);
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

fn values(question: &ExplainRequest, hook: &Hook) -> Values {
    let writer = explain::supposed_writer(question);
    fields::values(&Facts {
        action: question.action,
        path: &question.path,
        previous_path: None,
        hook,
        writer: &writer,
        user_name: None,
    })
}
