//! Builds the document of an alert, and that of a loss.

use super::file;
use super::finding::Finding;
use super::hook;
use super::json::{insert, path};
use super::threat;
use super::writer;
use crate::alert::Alert;
use crate::alert::utc::timestamp;
use crate::escape;
use crate::event::{Action, Level, LossReport, Match, SCHEMA_VERSION};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::time::SystemTime;

/// The version of the schema that the field names are from.
const ECS_VERSION: &str = "8.17.0";

/// Makes the records of one run of the program, with the same host and rising sequence numbers.
pub struct Composer {
    hostname: String,
    boot_id: String,
    run_id: String,
    sequence: u64,
}

impl Default for Composer {
    fn default() -> Self {
        Self::new()
    }
}

impl Composer {
    /// Reads the host's name and boot id, and draws an id for this run.
    pub fn new() -> Self {
        Self {
            hostname: small_file("/proc/sys/kernel/hostname"),
            boot_id: small_file("/proc/sys/kernel/random/boot_id"),
            run_id: small_file("/proc/sys/kernel/random/uuid"),
            sequence: 0,
        }
    }

    /// The alert of one finding. `None` when no rule matched.
    pub fn alert(&mut self, finding: &Finding<'_>) -> Option<Alert> {
        let Finding { change, writer, hook, verdict, names } = finding;
        let first = verdict.matches.first()?;
        let level = verdict.level?;
        self.sequence += 1;
        let mut document = self.record(change.first.wall, message(finding, first, level));
        document.insert(
            "event".into(),
            json!({
                "kind": "alert",
                "category": ["file"],
                "type": [event_type(change.action)],
                "action": change.action.as_str(),
                "severity": level.severity(),
                "risk_score": verdict.risk_score,
                "sequence": self.sequence,
                "created": timestamp(SystemTime::now()),
                "module": "pyhookwatch",
                "dataset": "pyhookwatch.alert",
            }),
        );
        document.insert("file".into(), file::file(change, hook, names));
        insert(&mut document, "process", writer::process(writer));
        if let Some(effective) = writer.process.as_ref().and_then(|process| process.user?.effective) {
            document.insert("user".into(), writer::user(effective, names.user.as_deref()));
        }
        if let Some(id) = &writer.container_id {
            document.insert("container".into(), json!({ "id": escape::reversible(id.as_bytes()) }));
        }
        document.insert("rule".into(), rule(first));
        document.insert("threat".into(), threat::threat(verdict));
        document.insert("pyhookwatch".into(), own(finding, first));
        Some(Alert::new(level, change.first.wall, &Value::Object(document)))
    }

    /// The record of a loss, for every output.
    pub fn loss(&mut self, loss: &LossReport) -> Alert {
        self.sequence += 1;
        self.loss_record(loss, Some(self.sequence))
    }

    /// The record of what one output has dropped, for that output alone. It has no sequence number: the other outputs
    /// do not get the record and would miss its number.
    pub fn loss_of_one_output(&self, loss: &LossReport) -> Alert {
        self.loss_record(loss, None)
    }

    fn loss_record(&self, loss: &LossReport, sequence: Option<u64>) -> Alert {
        let time = SystemTime::now();
        let count = loss.count.map_or_else(String::new, |count| format!(" ({count} lost)"));
        let mut document =
            self.record(time, format!("loss: {}{count}: {}", loss.cause, escape::one_line(&loss.detail)));
        let mut event = json!({
            "kind": "pipeline_error",
            "category": ["file"],
            "type": ["error"],
            "action": "loss",
            "reason": loss.cause.as_str(),
            "severity": Level::High.severity(),
            "created": timestamp(time),
            "module": "pyhookwatch",
            "dataset": "pyhookwatch.loss",
        });
        if let Some(event) = event.as_object_mut() {
            insert(event, "sequence", sequence);
        }
        document.insert("event".into(), event);
        let mut own = Map::new();
        own.insert("cause".into(), loss.cause.as_str().into());
        insert(&mut own, "count", loss.count);
        document.insert("pyhookwatch".into(), json!({ "schema_version": SCHEMA_VERSION, "loss": own }));
        Alert::new(Level::High, time, &Value::Object(document))
    }

    fn record(&self, time: SystemTime, message: String) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("@timestamp".into(), timestamp(time).into());
        document.insert("message".into(), message.into());
        document.insert("ecs".into(), json!({ "version": ECS_VERSION }));
        document.insert(
            "agent".into(),
            json!({
                "type": "pyhookwatch",
                "version": env!("CARGO_PKG_VERSION"),
                "ephemeral_id": self.run_id,
            }),
        );
        document.insert("host".into(), json!({ "hostname": self.hostname, "boot": { "id": self.boot_id } }));
        document
    }
}

/// The whole alert in one sentence.
fn message(finding: &Finding<'_>, first: &Match, level: Level) -> String {
    let what = match finding.change.action {
        Action::Creation => "created",
        Action::Change => "changed",
        Action::Rename => "renamed into place",
        Action::Deletion => "deleted",
        Action::Attribute => "given other attributes",
        Action::Mount => "covered by a mount",
    };
    let who = match (&finding.writer.process, finding.writer.executable()) {
        (_, Some(executable)) => path(&executable.path),
        (Some(process), None) if !process.comm.is_empty() => {
            format!("a process named {} (executable unknown)", escape::reversible(&process.comm))
        }
        _ => "an unknown process".into(),
    };
    let pid = finding.writer.process.as_ref().map_or_else(String::new, |process| format!(", pid {}", process.pid));
    let effective = finding.writer.process.as_ref().and_then(|process| process.user?.effective);
    let user = match (&finding.names.user, effective) {
        (Some(name), _) => format!(", user {name}"),
        (None, Some(uid)) => format!(", user id {uid}"),
        (None, None) => String::new(),
    };
    format!(
        "{} ({}): {} {what} by {who}{pid}{user}",
        first.detection_type,
        level.as_str(),
        path(&finding.change.file.path)
    )
}

fn event_type(action: Action) -> &'static str {
    match action {
        Action::Creation => "creation",
        Action::Deletion => "deletion",
        Action::Change | Action::Rename | Action::Attribute | Action::Mount => "change",
    }
}

fn rule(found: &Match) -> Value {
    let info = &found.rule;
    let mut rule = Map::new();
    rule.insert("id".into(), info.id.clone().into());
    rule.insert("name".into(), escape::one_line(&info.name).into());
    rule.insert("ruleset".into(), escape::one_line(&info.ruleset).into());
    if !info.description.is_empty() {
        rule.insert("description".into(), escape::one_line(&info.description).into());
    }
    insert(&mut rule, "reference", info.references.first().map(|reference| escape::one_line(reference)));
    Value::Object(rule)
}

/// `pyhookwatch`: everything that ECS has no field for.
fn own(finding: &Finding<'_>, first: &Match) -> Value {
    let Finding { change, hook, verdict, .. } = finding;
    let mut own = Map::new();
    own.insert("schema_version".into(), SCHEMA_VERSION.into());
    own.insert("detection_type".into(), first.detection_type.clone().into());
    own.insert("level".into(), first.rule.level.as_str().into());
    own.insert("rules".into(), verdict.matches.iter().map(matched_rule).collect());
    if !verdict.excluded.is_empty() {
        let excluded = verdict.excluded.iter().map(|excluded| {
            json!({ "id": excluded.rule.id, "ruleset": excluded.rule.ruleset, "decided_by": excluded.decided_by })
        });
        own.insert("excluded".into(), excluded.collect());
    }
    own.insert("hook".into(), hook::hook(hook));
    insert(&mut own, "content", hook::content(hook));
    own.insert("provenance".into(), hook::provenance(&hook.provenance));
    if !hook.content.settings.is_empty() {
        own.insert("environment".into(), hook.content.settings.iter().map(hook::setting).collect());
    }
    insert(&mut own, "previous_path", change.previous_path.as_deref().map(path));
    own.insert("writer".into(), writer::facts(finding));
    own.insert("complete".into(), change.complete.into());
    own.insert("count".into(), change.records.into());
    own.insert("next_step".into(), hook::next_step(hook).into());
    Value::Object(own)
}

fn matched_rule(found: &Match) -> Value {
    let mut value = json!({
        "id": found.rule.id,
        "name": escape::one_line(&found.rule.name),
        "ruleset": escape::one_line(&found.rule.ruleset),
        "level": found.rule.level.as_str(),
        "detection_type": found.detection_type,
        "decided_by": found.decided_by,
    });
    if let (Some(denied), Some(rule)) = (&found.exclusion_not_applied, value.as_object_mut()) {
        rule.insert(
            "exclusion_not_applied".into(),
            json!({ "filter": denied.filter, "reason": denied.doubt.as_str() }),
        );
    }
    value
}

/// The line of a small file of the kernel, escaped; empty when it cannot be read.
fn small_file(path: &str) -> String {
    let mut bytes = Vec::new();
    let _ = std::fs::File::open(path).and_then(|file| file.take(256).read_to_end(&mut bytes));
    escape::reversible(bytes.trim_ascii())
}
