//! The fields that rules can use: an interface, documented in docs/rules.md.
//!
//! Text chosen by others is given to the rules unescaped, so that a pattern means what it says. A
//! byte that is not UTF-8 becomes U+FFFD there, which only a wildcard can match; the alert shows the
//! true bytes.

use crate::event::{Action, FileState, Hook, Process, Writer};
use sigma_rust::Event;
use std::ffi::OsStr;
use std::path::Path;

/// A field that rules can use.
pub struct Field {
    /// Name in the rules.
    pub name: &'static str,
    /// It tells of the writer: a selection that uses it and silences a rule is an exclusion, and
    /// counts only for a verified writer.
    pub of_writer: bool,
    /// What it holds.
    pub meaning: &'static str,
}

const fn field(name: &'static str, of_writer: bool, meaning: &'static str) -> Field {
    Field { name, of_writer, meaning }
}

/// Every field, in the order of the documentation.
pub const FIELDS: [Field; 17] = [
    field("TargetFilename", false, "path of the changed file"),
    field("EventAction", false, "creation, change, rename, deletion, attribute or mount"),
    field("PreviousFilename", false, "path before a rename, when the kernel told it"),
    field("SymlinkTarget", false, "target, when the file is a symbolic link"),
    field("HookKind", false, "sitecustomize, usercustomize, pth, site, environment or other"),
    field("EnvironmentVariables", false, "Python's variables that an environment file sets, comma separated"),
    field("Image", true, "path of the writer's executable"),
    field("CommandLine", true, "the writer's arguments, separated by blanks"),
    field("ProcessName", true, "the kernel's name of the process (comm)"),
    field("ProcessId", true, "process id"),
    field("ParentImage", true, "path of the parent's executable"),
    field("ParentCommandLine", true, "the parent's arguments, separated by blanks"),
    field("User", true, "name of the effective user"),
    field("UserId", true, "effective user id"),
    field("LoginUserId", true, "login user id (audit), absent for services"),
    field("ContainerId", true, "container of the writer's cgroup"),
    field("WriterEvidence", true, "proc, unknown or unavailable"),
];

/// Looks a field up by name, which is case-sensitive as in Sigma.
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// What is known of one change by one writer.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What was done.
    pub action: Action,
    /// Path, with `--root` taken for `/`.
    pub path: &'a Path,
    /// Path before a rename.
    pub previous_path: Option<&'a Path>,
    /// What it is and what would run.
    pub hook: &'a Hook,
    /// Who did it.
    pub writer: &'a Writer,
    /// Name of the writer's effective user.
    pub user_name: Option<&'a str>,
}

/// The facts in the form that `sigma-rust` evaluates.
pub fn event(facts: &Facts<'_>) -> Event {
    let mut event = Event::new();
    event.insert("TargetFilename", text(facts.path.as_os_str()));
    event.insert("EventAction", facts.action.as_str());
    event.insert("HookKind", facts.hook.kind.as_str());
    event.insert("WriterEvidence", facts.writer.evidence.as_str());
    if let Some(path) = facts.previous_path {
        event.insert("PreviousFilename", text(path.as_os_str()));
    }
    if let FileState::SymbolicLink(target) = &facts.hook.file.state {
        event.insert("SymlinkTarget", text(target.as_os_str()));
    }
    let variables = variables(facts.hook);
    if !variables.is_empty() {
        event.insert("EnvironmentVariables", variables.join(","));
    }
    if let Some(name) = facts.user_name {
        event.insert("User", name);
    }
    if let Some(id) = &facts.writer.container_id {
        event.insert("ContainerId", id.as_str());
    }
    if let Some(process) = &facts.writer.process {
        of_process(&mut event, process);
    }
    if let Some(parent) = facts.writer.parents.first() {
        if let Some(executable) = &parent.executable {
            event.insert("ParentImage", text(executable.path.as_os_str()));
        }
        event.insert("ParentCommandLine", command_line(parent));
    }
    event
}

fn of_process(event: &mut Event, process: &Process) {
    // A number in a rule is an `i64`, and equals nothing of another type.
    event.insert("ProcessId", i64::from(process.pid));
    if let Some(executable) = &process.executable {
        event.insert("Image", text(executable.path.as_os_str()));
    }
    if !process.comm.is_empty() {
        event.insert("ProcessName", lossy(&process.comm));
    }
    if !process.arguments.is_empty() {
        event.insert("CommandLine", command_line(process));
    }
    if let Some(user) = process.user {
        if let Some(effective) = user.effective {
            event.insert("UserId", i64::from(effective));
        }
        if let Some(login) = user.login {
            event.insert("LoginUserId", i64::from(login));
        }
    }
}

/// The distinct variables of an environment file, in the order of the file.
pub fn variables(hook: &Hook) -> Vec<&'static str> {
    let mut variables = Vec::new();
    for setting in &hook.settings {
        if !variables.contains(&setting.variable) {
            variables.push(setting.variable);
        }
    }
    variables
}

fn command_line(process: &Process) -> String {
    lossy(&process.arguments.join(&b' '))
}

fn text(os: &OsStr) -> String {
    lossy(os.as_encoded_bytes())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
