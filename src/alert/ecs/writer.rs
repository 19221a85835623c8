//! The writer in the document: the fields of ECS, and those that ECS does not have.

use super::finding::Finding;
use super::json::{insert, path};
use crate::alert::redact;
use crate::escape;
use crate::event::{Candidate, Confidence, Doubt, FileId, LivingAncestor, Process, Script, Writer};
use serde_json::{Map, Value, json};

/// Bytes of a command line that are shown.
const MAX_COMMAND_LINE: usize = 4096;
/// Ancestors that are shown besides the parent.
const MAX_ANCESTORS: usize = 16;

/// `process`: the writer and its parent.
pub fn process(writer: &Writer) -> Option<Value> {
    let process = writer.process.as_ref()?;
    let mut value = plain(process);
    insert(&mut value, "working_directory", process.working_directory.as_deref().map(path));
    insert(&mut value, "parent", writer.parents.first().map(|parent| Value::Object(relative(parent))));
    Some(Value::Object(value))
}

/// The fields of every process.
fn plain(process: &Process) -> Map<String, Value> {
    let mut value = Map::new();
    insert(&mut value, "pid", (process.pid != 0).then_some(process.pid));
    insert(&mut value, "executable", process.executable.as_ref().map(|executable| path(&executable.path)));
    insert(&mut value, "name", (!process.comm.is_empty()).then(|| escape::reversible(&process.comm)));
    if !process.arguments.is_empty() {
        let (line, cut) = escape::capped(&redact::arguments(&process.arguments).join(&b' '), MAX_COMMAND_LINE);
        let more = if cut || process.arguments_truncated { " ..." } else { "" };
        value.insert("command_line".into(), format!("{line}{more}").into());
    }
    value
}

/// A parent, an ancestor or another writer.
fn relative(process: &Process) -> Map<String, Value> {
    let mut value = plain(process);
    insert(&mut value, "user", process.user.map(|who| user(who.effective.unwrap_or(who.real), None)));
    insert(&mut value, "gone", process.is_gone.then_some(true));
    value
}

/// A user by number and, where it is known, name.
pub fn user(uid: u32, name: Option<&str>) -> Value {
    let mut user = Map::new();
    user.insert("id".into(), uid.to_string().into());
    insert(&mut user, "name", name);
    Value::Object(user)
}

/// `pyhookwatch.writer`.
pub fn facts(finding: &Finding<'_>) -> Value {
    let Finding { change, writer, names, .. } = finding;
    let mut value = Map::new();
    value.insert("evidence".into(), writer.evidence.as_str().into());
    let confidence = if writer.confidence == Confidence::Confirmed { "high" } else { "low" };
    value.insert("confidence".into(), confidence.into());
    if !writer.corroborated_by.is_empty() {
        value.insert(
            "corroborated_by".into(),
            writer.corroborated_by.iter().map(|evidence| evidence.as_str()).collect(),
        );
    }
    insert(&mut value, "note", writer.confidence.doubt().map(Doubt::as_str));
    if !writer.candidates.is_empty() {
        let candidates = writer.candidates.iter().take(Writer::MAX_CANDIDATES);
        value.insert("candidates".into(), candidates.map(candidate).collect());
    }
    insert(&mut value, "script", writer.script.as_ref().map(script));
    insert(&mut value, "installer", writer.installer);
    insert(&mut value, "ancestor_installer", writer.ancestor_installer);
    if let Some(process) = &writer.process {
        process_facts(&mut value, process, names.login.as_deref());
    }
    insert(&mut value, "unit", writer.unit.as_deref().map(|unit| escape::reversible(unit.as_bytes())));
    insert(
        &mut value,
        "living_ancestor",
        writer.living_ancestor.as_ref().map(|ancestor| living_ancestor(ancestor, names.login.as_deref())),
    );
    let ancestors: Vec<Value> =
        writer.parents.iter().skip(1).take(MAX_ANCESTORS).map(|process| relative(process).into()).collect();
    if !ancestors.is_empty() {
        value.insert("ancestors".into(), ancestors.into());
    }
    let others: Vec<_> = change.writers.iter().filter(|other| !std::ptr::eq(&***other, *writer)).collect();
    if !others.is_empty() {
        let others = others.iter().filter_map(|other| other.process.as_ref());
        value.insert("other_writers".into(), others.map(|process| Value::Object(relative(process))).collect());
        value.insert("more_writers".into(), change.more_writers.into());
    }
    Value::Object(value)
}

fn process_facts(value: &mut Map<String, Value>, process: &Process, login_name: Option<&str>) {
    match (&process.executable, process.executable_id) {
        (Some(executable), _) => {
            value.insert("executable_deleted".into(), executable.deleted.into());
            value.insert("executable_is_hosts".into(), executable.is_host_file.into());
        }
        (None, Some(id)) => {
            value.insert("executable_device".into(), device(id).into());
            value.insert("executable_inode".into(), id.inode.to_string().into());
        }
        (None, None) => {}
    }
    if let Some(who) = process.user {
        value.insert("real_user".into(), user(who.real, None));
        insert(value, "login_user", who.login.map(|login| user(login, login_name)));
        insert(value, "login_session", who.session);
    }
    insert(value, "terminal", process.terminal.as_deref().map(|name| escape::reversible(name.as_bytes())));
    let namespace = |is_host| if is_host { "host" } else { "other" };
    insert(value, "mount_namespace", process.in_host_mounts.map(namespace));
    insert(value, "user_namespace", process.in_host_users.map(namespace));
}

/// The nearest living ancestor of a writer that has ended.
fn living_ancestor(ancestor: &LivingAncestor, login_name: Option<&str>) -> Value {
    let escaped = |text: &Option<String>| text.as_deref().map(|text| escape::reversible(text.as_bytes()));
    let mut value = Map::new();
    value.insert("pid".into(), ancestor.pid.into());
    insert(&mut value, "container_id", escaped(&ancestor.container_id));
    insert(&mut value, "unit", escaped(&ancestor.unit));
    if let Some(who) = ancestor.user {
        insert(&mut value, "login_user", who.login.map(|login| user(login, login_name)));
        insert(&mut value, "login_session", who.session);
    }
    insert(&mut value, "terminal", escaped(&ancestor.terminal));
    insert(&mut value, "working_directory", ancestor.working_directory.as_deref().map(path));
    Value::Object(value)
}

fn script(script: &Script) -> Value {
    json!({ "name": path(&script.name), "module": script.is_module, "recorded": script.is_recorded })
}

fn candidate(candidate: &Candidate) -> Value {
    let mut value = Map::new();
    value.insert("evidence".into(), candidate.evidence.as_str().into());
    insert(&mut value, "executable", candidate.path.as_deref().map(path));
    insert(&mut value, "device", candidate.id.map(device));
    insert(&mut value, "inode", candidate.id.map(|id| id.inode.to_string()));
    Value::Object(value)
}

fn device(id: FileId) -> String {
    format!("{}:{}", id.device.0, id.device.1)
}
