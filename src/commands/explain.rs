//! `pyhookwatch explain`: evaluates the rules on a hypothetical change.

use super::exit::Exit;
use super::hypothetical::{self, HypotheticalChange};
use super::output::{print, print_diagnostics, print_error, print_json, print_warning};
use super::overrides::Overrides;
use crate::alert::ecs;
use crate::diagnostic::DiagnosticKind;
use crate::escape;
use crate::event::{DocumentHeader, Doubt, Hook, HookKind, Interest};
use crate::hook;
use crate::rules::fields::{self, FieldValue, Values};
use crate::rules::{Exclusion, Outcome, RuleSet};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of `--content` that are read: as many as the daemon hashes. Only the first MiB is parsed.
const MAX_CONTENT: u64 = 16 << 20;

/// What to explain.
#[derive(Default)]
pub struct ExplainRequest {
    /// The change.
    pub change: HypotheticalChange,
    /// Fields that replace those of the change.
    pub fields: Vec<(&'static str, FieldValue)>,
    /// File with the content of the changed file.
    pub content: Option<PathBuf>,
    /// JSON instead of text.
    pub json: bool,
}

/// The decision of every rule.
struct Answer<'a> {
    change: &'a HypotheticalChange,
    values: Values,
    hook: &'a Hook,
    outcomes: Vec<Outcome<'a>>,
    passes_name_filter: bool,
}

/// Prints which rules match, and what decided.
pub fn explain(overrides: Overrides, request: &ExplainRequest) -> Exit {
    let loaded = overrides.configure().and_then(|config| {
        let (rules, warnings) = RuleSet::load(&config.rules, hook::kind::names)?;
        Ok((rules, [config.warnings, warnings].concat()))
    });
    let rules = match loaded {
        Ok((rules, warnings)) => {
            // Insecure files decide nothing here, but the daemon may refuse them.
            let insecure = warnings.iter().filter(|warning| warning.kind == DiagnosticKind::Insecure);
            insecure.for_each(print_warning);
            rules
        }
        Err(problems) => return print_diagnostics(&problems),
    };
    let content = match request.content.as_deref().map(read).transpose() {
        Ok(content) => content,
        Err(message) => {
            print_error(message);
            return Exit::Usage;
        }
    };
    let change = &request.change;
    let hook = hook::hypothetical(&change.path, content.as_deref());
    let writer = change.writer();
    let mut values = change.values(&hook, &writer);
    values.extend(request.fields.iter().cloned());
    let passes_name_filter =
        change.path.file_name().is_some_and(|name| match rules.filter().interest(name.as_encoded_bytes()) {
            Interest::None => false,
            Interest::InPlace => hook.path.kind != HookKind::Other,
            Interest::Always => true,
        });
    let outcomes = rules.outcomes(&values, Exclusion::of(&writer)).collect();
    let answer = Answer { change, outcomes, passes_name_filter, values, hook: &hook };
    if request.json {
        print_json(&answer.to_json());
    } else {
        print(&answer.to_text());
    }
    if answer.matched() { Exit::Fine } else { Exit::Finding }
}

/// One `NAME=VALUE` of `--field`.
///
/// # Errors
/// What to write instead.
pub fn parse_field(word: &str) -> Result<(&'static str, FieldValue), String> {
    let (name, value) = word.split_once('=').ok_or("write NAME=VALUE")?;
    let field = fields::find(name).ok_or_else(|| fields::no_such_field(name))?;
    let option = match field.name {
        "TargetFilename" => Some("--path"),
        "EventAction" => Some("--action"),
        "Image" => Some("--exe"),
        "WriterEvidence" => Some("--evidence"),
        _ => None,
    };
    if let Some(option) = option {
        return Err(format!("give {name} with {option}"));
    }
    hypothetical::parse_value(field.name, value)
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

fn path_text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

impl Answer<'_> {
    fn matched(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.matched)
    }

    fn to_json(&self) -> Value {
        let rules: Vec<Value> = self.outcomes.iter().map(rule_json).collect();
        let field = |(name, value): (&&str, &FieldValue)| {
            let value = match value {
                FieldValue::Text(text) => escape::one_line(text).into(),
                FieldValue::Number(number) => Value::from(*number),
            };
            ((*name).to_owned(), value)
        };
        json!({
            "pyhookwatch": DocumentHeader::default(),
            "path": path_text(&self.change.path),
            "action": self.change.action.as_str(),
            "executable": self.change.executable.as_deref().map(path_text),
            "hook": { "kind": self.hook.path.kind.as_str(), "environment": fields::variables(self.hook) },
            "content": ecs::content(self.hook),
            "fields": self.values.iter().map(field).collect::<Map<_, _>>(),
            "name_filter": self.passes_name_filter,
            "matched": self.matched(),
            "rules": rules,
        })
    }

    fn to_text(&self) -> String {
        let writer = self.change.executable.as_deref().map_or_else(|| "an unknown writer".into(), path_text);
        let mut text = format!("{} of {} by {writer}\n", self.change.action, path_text(&self.change.path));
        text += &format!("  hook: {}\n", self.hook.path.kind.as_str());
        if !self.passes_name_filter {
            text += "  no loaded rule matches a file of this name: the name filter drops such a change\n";
        }
        text += "  fields:\n";
        // In the order of docs/rules.md.
        for field in &fields::FIELDS {
            match self.values.get(field.name) {
                Some(FieldValue::Text(value)) => text += &format!("    {}: {}\n", field.name, escape::one_line(value)),
                Some(FieldValue::Number(value)) => text += &format!("    {}: {value}\n", field.name),
                None => {}
            }
        }
        for (title, lines) in [("runs", &self.hook.content.runs), ("hidden in it", &self.hook.content.decoded)] {
            if !lines.is_empty() {
                text += &format!("  {title}:\n");
                lines.iter().for_each(|line| text += &format!("    {}\n", escape::reversible(line)));
            }
        }
        // Matches first, then exclusions.
        let mut outcomes: Vec<_> = self.outcomes.iter().collect();
        outcomes.sort_by_key(|outcome| (!outcome.matched, outcome.exclusion.is_none()));
        outcomes.into_iter().for_each(|outcome| text += &rule_text(outcome));
        text
    }
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
    if let (Some((filter, exclusion)), Some(map)) = (&outcome.exclusion, rule.as_object_mut()) {
        let doubt = exclusion.doubt();
        map.insert(
            "exclusion".into(),
            json!({ "filter": filter, "applied": doubt.is_none(), "reason": doubt.map(Doubt::as_str) }),
        );
    }
    rule
}

fn rule_text(outcome: &Outcome<'_>) -> String {
    let rule = outcome.rule;
    let verdict = match (&outcome.exclusion, outcome.matched) {
        (_, true) => format!("MATCHES ({}), {}", rule.level.as_str(), outcome.detection_type),
        (Some(_), false) => "is suppressed by an exclusion".into(),
        (None, false) => "does not match".into(),
    };
    let mut text = format!("{} [{} {}]\n", escape::one_line(&rule.name), escape::one_line(&rule.ruleset), rule.id);
    text += &format!("  {verdict}; decided by {}\n", outcome.decided_by);
    if let Some((filter, exclusion)) = &outcome.exclusion {
        text += &match exclusion {
            Exclusion::Allowed => format!(
                "  {filter} applies because the writer counts as confirmed; a writer that is not (already gone, deleted \
                 executable, container, inotify) would raise an alert\n"
            ),
            Exclusion::Denied(doubt) => format!("  {filter} was not applied: {doubt}\n"),
        };
    }
    text
}
