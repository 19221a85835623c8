//! `pyhookwatch explain`: the rules' answer to a change that nobody made.

use super::{Exit, Overrides, complain, complain_of, print};
use crate::daemon::known_names;
use crate::escape;
use crate::event::{Action, Evidence, Executable, Process, Writer};
use crate::hook;
use crate::rules::fields::{self, Facts};
use crate::rules::{Outcome, RuleSet};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes read of `--content`; the daemon parses no more of a file either.
const MAX_CONTENT: u64 = 16 << 20;

/// The change to explain.
pub struct Question {
    /// The changed file.
    pub path: PathBuf,
    /// What was done.
    pub action: Action,
    /// The writer's executable, taken as verified.
    pub executable: Option<PathBuf>,
    /// File whose content is judged.
    pub content: Option<PathBuf>,
    /// JSON instead of text.
    pub json: bool,
}

/// Prints what every loaded rule says, and why.
pub fn explain(overrides: Overrides, question: &Question) -> Exit {
    let loaded = overrides.configure().and_then(|config| RuleSet::load(&config.rules, &known_names));
    let rules = match loaded {
        Ok((rules, _)) => rules,
        Err(problems) => return complain_of(&problems),
    };
    let content = match question.content.as_deref().map(read).transpose() {
        Ok(content) => content,
        Err(message) => {
            complain(format_args!("error: {}", escape::one_line(&message)));
            return Exit::Usage;
        }
    };
    let hook = hook::suppose(&question.path, content.as_deref());
    let writer = supposed_writer(question.executable.as_deref());
    let facts = Facts {
        action: question.action,
        path: &question.path,
        previous_path: None,
        hook: &hook,
        writer: &writer,
        user_name: None,
    };
    let outcomes: Vec<_> = rules.outcomes(&facts).collect();
    let passes = question.path.file_name().is_some_and(|name| rules.filter().matches(name.as_encoded_bytes()));
    let matched = outcomes.iter().any(|outcome| outcome.matched);
    print(&if question.json {
        as_json(question, &facts, &outcomes, passes)
    } else {
        as_text(question, &facts, &outcomes, passes)
    });
    if matched { Exit::Fine } else { Exit::NoMatch }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("cannot read {}: {error}; name a readable file", path.display());
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Err(format!("{} is not a regular file; name one", path.display()));
    }
    let mut content = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_CONTENT).read_to_end(&mut content)).map_err(fail)?;
    Ok(content)
}

/// A writer that was verified, or one of whom nothing is known.
fn supposed_writer(executable: Option<&Path>) -> Writer {
    let process = executable.map(|path| Process {
        executable: Some(Executable { path: path.to_path_buf(), deleted: false, is_host_file: true }),
        ..Process::default()
    });
    let evidence = if process.is_some() { Evidence::Proc } else { Evidence::Unknown };
    let sure = if process.is_some() { Ok(()) } else { Err("no --exe was given") };
    Writer { evidence, sure, process, ..Writer::unknown("no --exe was given") }
}

fn path_text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

fn as_json(question: &Question, facts: &Facts<'_>, outcomes: &[Outcome<'_>], passes: bool) -> String {
    let rules: Vec<Value> = outcomes.iter().map(rule_json).collect();
    let document = json!({
        "path": path_text(&question.path),
        "action": question.action.as_str(),
        "executable": question.executable.as_deref().map(path_text),
        "hook": { "kind": facts.hook.kind.as_str(), "environment": fields::variables(facts.hook) },
        "name_filter": passes,
        "matched": outcomes.iter().any(|outcome| outcome.matched),
        "rules": rules,
    });
    format!("{document:#}\n")
}

fn rule_json(outcome: &Outcome<'_>) -> Value {
    let mut rule = json!({
        "id": outcome.rule.id,
        "name": escape::one_line(&outcome.rule.name),
        "ruleset": escape::one_line(&outcome.rule.ruleset),
        "level": outcome.rule.level.as_str(),
        "detection_type": outcome.matched.then_some(outcome.detection_type.as_str()),
        "matched": outcome.matched,
        "decided_by": outcome.decided_by,
    });
    if let (Some((filter, counts)), Some(map)) = (&outcome.exclusion, rule.as_object_mut()) {
        map.insert("exclusion".into(), json!({ "filter": filter, "applied": counts.is_ok(), "reason": counts.err() }));
    }
    rule
}

fn as_text(question: &Question, facts: &Facts<'_>, outcomes: &[Outcome<'_>], passes: bool) -> String {
    let writer = question.executable.as_deref().map_or_else(|| "an unknown writer".into(), path_text);
    let mut text = format!("{} of {} by {writer}\n", question.action, path_text(&question.path));
    text += &format!("  hook: {}\n", facts.hook.kind.as_str());
    if !passes {
        text += "  no loaded rule wants a file of this name: such an event is dropped by the name filter\n";
    }
    for outcome in outcomes {
        let rule = outcome.rule;
        let verdict = match (&outcome.exclusion, outcome.matched) {
            (_, true) => format!("MATCHES ({}), {}", rule.level.as_str(), outcome.detection_type),
            (Some(_), false) => "is silenced by an exclusion".into(),
            (None, false) => "does not match".into(),
        };
        text += &format!("{} [{} {}]\n", escape::one_line(&rule.name), escape::one_line(&rule.ruleset), rule.id);
        text += &format!("  {verdict}; decided by {}\n", outcome.decided_by);
        if let Some((filter, counts)) = &outcome.exclusion {
            text += &match counts {
                Ok(()) => format!(
                    "  {filter} counts because the writer is taken as verified; for a writer that is not (already gone, \
                     deleted executable, container, inotify) this would be an alert\n"
                ),
                Err(reason) => format!("  {filter} was not applied: {reason}\n"),
            };
        }
    }
    text
}
