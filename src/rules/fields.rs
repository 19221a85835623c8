//! The fields that rules can use: an interface, documented in docs/rules.md.
//!
//! Text chosen by others is given to the rules unescaped, so that a pattern means what it says. A
//! byte that is not UTF-8 becomes U+FFFD there, which only a wildcard can match; the alert shows the
//! true bytes.

use crate::event::{Action, FileState, Hook, Process, Signal, Writer};
use sigma_rust::Event;
use std::collections::BTreeMap;
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
pub const FIELDS: [Field; 37] = [
    field("TargetFilename", false, "path of the changed file"),
    field("EventAction", false, "creation, change, rename, deletion, attribute or mount"),
    field("PreviousFilename", false, "path before a rename, when the kernel told it"),
    field("SymlinkTarget", false, "target, when the file is a symbolic link"),
    field(
        "HookKind",
        false,
        "sitecustomize, usercustomize, pth, start, site, stdlib-boot, stdlib-file, stdlib-zip, interpreter-config, \
         venv-config, module, startup-script, bundled-wheel, interpreter, site-directory, environment or other",
    ),
    field(
        "HookForm",
        false,
        "module, package, extension, bytecode, sourceless, archive, directory or file: the hook's shape",
    ),
    field(
        "HookLocation",
        false,
        "stdlib, site, user-site, archive, etc, search-path, program, system, user or elsewhere: what the directory is",
    ),
    field("PythonVersion", false, "version by the path, as 3.11"),
    field("ContentClass", false, "inert, neutral, suspicious, hostile, opaque or unknown"),
    field("ContentSignals", false, "what was found in the content, comma separated"),
    field("Interpreters", false, "the interpreters that run it when not all do, as 3.15+"),
    field("ShadowedBy", false, "path of the file that Python finds in its place"),
    field("NewTree", false, "true when the Python tree it is in was made less than a quarter of an hour ago"),
    field("Provenance", false, "owned, changed, unowned or unknown, by the lists of packages"),
    field("Package", false, "the package that lists it, as dpkg:python3-pip or wheel:coverage-7.6.1"),
    field("FileSize", false, "size in bytes"),
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
    field("LoginSession", true, "login session (audit), absent for services"),
    field("Terminal", true, "controlling terminal, as pts/3 or tty1"),
    field("CurrentDirectory", true, "working directory"),
    field("WriterScript", true, "script or module that the writer, an interpreter, runs"),
    field("Installer", true, "installer that the writer is by its name, as pip or dpkg"),
    field("AncestorInstaller", true, "installer that the nearest of its verified ancestors is by its name"),
    field("WriterIsPython", true, "true or false by the name of the writer's executable, absent when it is unknown"),
    field("ContainerId", true, "container of the writer's cgroup"),
    field("SystemdUnit", true, "systemd unit of the writer's cgroup"),
    field("MountNamespace", true, "host, or other for a container or a private mount namespace"),
    field(
        "WriterEvidence",
        true,
        "proc, exit-record, exec-record, fork-lineage, unknown or unavailable: how the executable is known",
    ),
];

/// Fields that had another name in the last release: old name, new name. Site rules may use the old one until the
/// next release.
const RENAMED: [(&str, &str); 1] = [("HookPlace", "HookLocation")];

/// The old and the present name of a field that is given by its old one.
pub fn renamed(name: &str) -> Option<(&'static str, &'static str)> {
    RENAMED.into_iter().find(|(old, _)| *old == name)
}

/// Looks a field up by its name or its old one, case-sensitive as in Sigma.
pub fn find(name: &str) -> Option<&'static Field> {
    let name = renamed(name).map_or(name, |(_, new)| new);
    FIELDS.iter().find(|field| field.name == name)
}

/// Why there is no field of this name, and which may be meant.
pub fn no_such_field(name: &str) -> String {
    let known: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    match crate::diagnostic::nearest(name, &known) {
        Some(near) => format!("there is no field `{name}`; did you mean `{near}`?"),
        None => format!("there is no field `{name}`; the fields are {}", known.join(", ")),
    }
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

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// A number: in a rule it is an `i64` and equals nothing of another type.
    Number(i64),
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        FieldValue::Text(text.to_owned())
    }
}

impl From<&OsStr> for FieldValue {
    fn from(text: &OsStr) -> Self {
        FieldValue::Text(lossy(text.as_encoded_bytes()))
    }
}

impl From<&Path> for FieldValue {
    fn from(path: &Path) -> Self {
        path.as_os_str().into()
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        FieldValue::Text(text)
    }
}

impl From<u32> for FieldValue {
    fn from(number: u32) -> Self {
        FieldValue::Number(i64::from(number))
    }
}

/// The fields that are known, by name.
pub type Values = BTreeMap<&'static str, FieldValue>;

/// The fields that hold a number.
pub const NUMBERS: [&str; 5] = ["FileSize", "ProcessId", "UserId", "LoginUserId", "LoginSession"];

/// Every field that is known of one change by one writer.
pub fn values(facts: &Facts<'_>) -> Values {
    let mut values = Values::new();
    let writer = facts.writer;
    let mut set = |name, value: Option<FieldValue>| {
        if let Some(value) = value {
            values.insert(name, value);
        }
    };
    set("TargetFilename", Some(facts.path.into()));
    set("EventAction", Some(facts.action.as_str().into()));
    set("HookKind", Some(facts.hook.path.kind.as_str().into()));
    content(facts.hook, &mut set);
    set("PreviousFilename", facts.previous_path.map(Into::into));
    if let FileState::SymbolicLink(target) = &facts.hook.file.state {
        set("SymlinkTarget", Some(target.as_path().into()));
    }
    let variables = variables(facts.hook).join(",");
    set("EnvironmentVariables", (!variables.is_empty()).then(|| variables.into()));
    set("WriterEvidence", Some(writer.evidence.as_str().into()));
    set("User", facts.user_name.map(Into::into));
    set("ContainerId", writer.container_id.as_deref().map(Into::into));
    set("SystemdUnit", writer.unit.as_deref().map(Into::into));
    set("WriterScript", writer.script.as_ref().map(|script| script.name.as_path().into()));
    set("Installer", writer.installer.map(Into::into));
    set("AncestorInstaller", writer.ancestor_installer.map(Into::into));
    if let Some(parent) = writer.parents.first() {
        set("ParentImage", parent.executable.as_ref().map(|executable| executable.path.as_path().into()));
        set("ParentCommandLine", (!parent.arguments.is_empty()).then(|| command_line(parent).into()));
    }
    if let Some(process) = &writer.process {
        set("ProcessId", (process.pid != 0).then(|| process.pid.into()));
        set("Image", process.executable.as_ref().map(|executable| executable.path.as_path().into()));
        set("WriterIsPython", process.executable.as_ref().map(|executable| is_python(&executable.path).into()));
        set("ProcessName", (!process.comm.is_empty()).then(|| lossy(&process.comm).into()));
        set("CommandLine", (!process.arguments.is_empty()).then(|| command_line(process).into()));
        set("CurrentDirectory", process.working_directory.as_deref().map(Into::into));
        set("Terminal", process.terminal.as_deref().map(Into::into));
        set("MountNamespace", process.in_host_mounts.map(|is_host| if is_host { "host" } else { "other" }.into()));
        set("UserId", process.user.and_then(|user| user.effective).map(Into::into));
        set("LoginUserId", process.user.and_then(|user| user.login).map(Into::into));
        set("LoginSession", process.user.and_then(|user| user.session).map(Into::into));
    }
    values
}

/// `true` for an executable that is named as Python is.
fn is_python(executable: &Path) -> &'static str {
    let name = executable.file_name().unwrap_or_default().as_encoded_bytes();
    if name.starts_with(b"python") || name.starts_with(b"pypy") { "true" } else { "false" }
}

/// What the file is and would run.
fn content(hook: &Hook, set: &mut impl FnMut(&'static str, Option<FieldValue>)) {
    set("HookForm", Some(hook.path.form.as_str().into()));
    set("HookLocation", Some(hook.path.location.as_str().into()));
    set("PythonVersion", hook.path.version.map(|(major, minor)| format!("{major}.{minor}").into()));
    set("ContentClass", Some(hook.content.class.as_str().into()));
    let signals: Vec<&str> = hook.content.signals.iter().map(Signal::as_str).collect();
    set("ContentSignals", (!signals.is_empty()).then(|| signals.join(",").into()));
    set("Interpreters", hook.content.interpreters.map(Into::into));
    set("ShadowedBy", hook.shadowed_by.as_deref().map(Into::into));
    set("NewTree", hook.in_new_tree.then(|| "true".into()));
    set("Provenance", Some(hook.provenance.as_str().into()));
    set("Package", hook.provenance.package().map(Into::into));
    set("FileSize", hook.file.size.and_then(|size| Some(FieldValue::Number(i64::try_from(size).ok()?))));
}

/// The fields in the form that `sigma-rust` evaluates.
pub fn event(values: &Values) -> Event {
    let mut event = Event::new();
    for (name, value) in values {
        match value {
            FieldValue::Text(text) => event.insert(*name, text.as_str()),
            FieldValue::Number(number) => event.insert(*name, *number),
        }
    }
    event
}

/// The distinct variables of an environment file, in the order of the file.
pub fn variables(hook: &Hook) -> Vec<&'static str> {
    let mut variables = Vec::new();
    for setting in &hook.content.settings {
        if !variables.contains(&setting.variable) {
            variables.push(setting.variable);
        }
    }
    variables
}

fn command_line(process: &Process) -> String {
    lossy(&process.arguments.join(&b' '))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
