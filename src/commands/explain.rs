//! `pyhookwatch explain`: the rules' answer to a change that nobody made.

use super::exit::Exit;
use super::output::{print, print_diagnostics, print_error, print_warning};
use super::overrides::Overrides;
use crate::alert::ecs;
use crate::diagnostic::DiagnosticKind;
use crate::escape;
use crate::event::{
    Action, Confidence, Doubt, Evidence, Executable, Hook, HookKind, Interest, Process, SCHEMA_VERSION, Writer,
};
use crate::hook;
use crate::rules::fields::{self, Facts, FieldValue, Values};
use crate::rules::{Exclusion, Outcome, RuleSet};
use crate::writer::identity;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes read of `--content`, as the daemon hashes at most; it parses the first MiB.
const MAX_CONTENT: u64 = 16 << 20;

/// The change to explain.
#[derive(Default)]
pub struct ExplainRequest {
    /// The changed file.
    pub path: PathBuf,
    /// What was done.
    pub action: Action,
    /// The writer's executable.
    pub executable: Option<PathBuf>,
    /// The writer's arguments, separated by blanks.
    pub command_line: Option<String>,
    /// How the executable is known; by default as of a living process.
    pub evidence: Option<Evidence>,
    /// Fields that are set whatever the rest says.
    pub fields: Vec<(&'static str, FieldValue)>,
    /// File whose content is judged.
    pub content: Option<PathBuf>,
    /// JSON instead of text.
    pub json: bool,
}

/// What the rules said.
struct Answer<'a> {
    question: &'a ExplainRequest,
    values: Values,
    hook: &'a Hook,
    outcomes: Vec<Outcome<'a>>,
    passes_name_filter: bool,
}

/// Prints what every loaded rule says, and why.
pub fn explain(overrides: Overrides, question: &ExplainRequest) -> Exit {
    let loaded = overrides.configure().and_then(|config| {
        let (rules, warnings) = RuleSet::load(&config.rules, hook::kind::names)?;
        Ok((rules, [config.warnings, warnings].concat()))
    });
    let rules = match loaded {
        Ok((rules, warnings)) => {
            // They decide nothing here, but the daemon may refuse them.
            let untrusted = warnings.iter().filter(|warning| warning.kind == DiagnosticKind::Insecure);
            untrusted.for_each(|warning| print_warning(warning));
            rules
        }
        Err(problems) => return print_diagnostics(&problems),
    };
    let content = match question.content.as_deref().map(read).transpose() {
        Ok(content) => content,
        Err(message) => {
            print_error(message);
            return Exit::Usage;
        }
    };
    let hook = hook::hypothetical(&question.path, content.as_deref());
    let writer = supposed_writer(question);
    let facts = Facts {
        action: question.action,
        path: &question.path,
        previous_path: None,
        hook: &hook,
        writer: &writer,
        user_name: None,
    };
    let mut values = fields::values(&facts);
    values.extend(question.fields.iter().cloned());
    let answer = Answer {
        question,
        outcomes: rules.outcomes(&values, Exclusion::of(&writer)).collect(),
        passes_name_filter: question.path.file_name().is_some_and(|name| {
            match rules.filter().interest(name.as_encoded_bytes()) {
                Interest::None => false,
                Interest::InPlace => hook.path.kind != HookKind::Other,
                Interest::Always => true,
            }
        }),
        values,
        hook: &hook,
    };
    print(&if question.json { answer.as_json() } else { answer.as_text() });
    if answer.matched() { Exit::Fine } else { Exit::Finding }
}

/// One `NAME=VALUE` of `--field`.
///
/// # Errors
/// Why it is none, and what to write instead.
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
    parse_known_field(field.name, value)
}

/// A field's value in the form of the rules.
///
/// # Errors
/// There is no such field, or it is a number and the value is none.
pub fn parse_known_field(name: &str, value: &str) -> Result<(&'static str, FieldValue), String> {
    let field = fields::find(name).ok_or_else(|| fields::no_such_field(name))?;
    let value = match fields::NUMBERS.contains(&field.name) {
        true => FieldValue::Number(value.parse().map_err(|_| format!("{name} is a number, and {value} is none"))?),
        false => FieldValue::Text(value.to_owned()),
    };
    Ok((field.name, value))
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

/// A writer that was verified unless the evidence is another, or one of whom nothing is known.
pub fn supposed_writer(question: &ExplainRequest) -> Writer {
    let executable = question.executable.as_ref();
    let arguments = question.command_line.as_deref().unwrap_or_default().split_ascii_whitespace();
    let process = Process {
        executable: executable.map(|path| Executable { path: path.clone(), deleted: false, is_host_file: true }),
        arguments: arguments.map(|word| word.as_bytes().to_vec()).collect(),
        ..Process::default()
    };
    let usual = if executable.is_some() { Evidence::Proc } else { Evidence::Unknown };
    let evidence = question.evidence.unwrap_or(usual);
    let confidence = match (executable, evidence) {
        (None, _) => Confidence::Doubted(Doubt::ExecutableUnknown),
        (Some(_), Evidence::Proc) => Confidence::Confirmed,
        (Some(_), _) => Confidence::Doubted(Doubt::OneRecord),
    };
    let mut writer =
        Writer { evidence, confidence, process: Some(process), ..Writer::unknown(Doubt::ExecutableUnknown) };
    identity::identify(&mut writer, None);
    writer
}

fn path_text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

impl Answer<'_> {
    fn matched(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.matched)
    }

    fn as_json(&self) -> String {
        let rules: Vec<Value> = self.outcomes.iter().map(rule_json).collect();
        let field = |(name, value): (&&str, &FieldValue)| {
            let value = match value {
                FieldValue::Text(text) => escape::one_line(text).into(),
                FieldValue::Number(number) => Value::from(*number),
            };
            ((*name).to_owned(), value)
        };
        let document = json!({
            "pyhookwatch": { "schema_version": SCHEMA_VERSION },
            "path": path_text(&self.question.path),
            "action": self.question.action.as_str(),
            "executable": self.question.executable.as_deref().map(path_text),
            "hook": { "kind": self.hook.path.kind.as_str(), "environment": fields::variables(self.hook) },
            "content": ecs::content(self.hook),
            "fields": self.values.iter().map(field).collect::<Map<_, _>>(),
            "name_filter": self.passes_name_filter,
            "matched": self.matched(),
            "rules": rules,
        });
        format!("{document:#}\n")
    }

    fn as_text(&self) -> String {
        let question = self.question;
        let writer = question.executable.as_deref().map_or_else(|| "an unknown writer".into(), path_text);
        let mut text = format!("{} of {} by {writer}\n", question.action, path_text(&question.path));
        text += &format!("  hook: {}\n", self.hook.path.kind.as_str());
        if !self.passes_name_filter {
            text += "  no loaded rule wants a file of this name: such an event is dropped by the name filter\n";
        }
        text += "  fields:\n";
        // In the order of the documentation.
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
        // What matters first.
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
                "  {filter} counts because the writer is assumed to be verified; an unverified one (already gone, \
                 deleted executable, container, inotify) would raise an alert\n"
            ),
            Exclusion::Denied(doubt) => format!("  {filter} was not applied: {doubt}\n"),
        };
    }
    text
}
