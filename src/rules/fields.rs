//! The fields that rules can use: an interface, documented in docs/rules.md.
//!
//! Text that others chose reaches the rules unescaped, so that a pattern matches what it shows. A byte that is not UTF-8
//! becomes U+FFFD, which only a wildcard can match; the alert shows the true bytes.

use crate::event::{Action, FileState, Hook, Process, Signal, Writer};
use sigma_rust::Event;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// A field that rules can use.
pub struct Field {
    /// Name in the rules.
    pub name: &'static str,
    /// It describes the writer: a selection that uses it and suppresses a rule is an exclusion, and counts only for a
    /// confirmed writer.
    pub of_writer: bool,
    /// What it holds, in Markdown: the table in docs/rules.md is made of this.
    pub meaning: &'static str,
}

const fn file(name: &'static str, meaning: &'static str) -> Field {
    Field { name, of_writer: false, meaning }
}

const fn writer(name: &'static str, meaning: &'static str) -> Field {
    Field { name, of_writer: true, meaning }
}

/// Every field, in the order of the documentation.
pub const FIELDS: [Field; 37] = [
    file("TargetFilename", "path of the changed file, with `--root` taken for `/`"),
    file("EventAction", "what was done to the file: a word of the list below"),
    file("PreviousFilename", "path before a rename, when the kernel reported it"),
    file("SymlinkTarget", "target, when the file is a symbolic link"),
    file("HookKind", "which start-up hook the path is: a word of the list below"),
    file("HookForm", "the hook's shape: a word of the list below"),
    file("HookLocation", "what the directory is to Python: a word of the list below"),
    file("PythonVersion", "version by the path, as `3.11`"),
    file("ContentClass", "what the content would do: a word of the list below"),
    file(
        "ContentSignals",
        "what was found in the content: words of the list below, comma separated; no word is part of another, \
         so match with `contains`",
    ),
    file("Interpreters", "the interpreters that run the hook when not all do, as `3.15+`"),
    file("ShadowedBy", "path of the file that Python finds in its place"),
    file(
        "NewTree",
        "`true` in a standard library whose directory was made after the daemon started, less than a quarter of an hour ago",
    ),
    file(
        "Provenance",
        "`owned` (a package lists the file with this content), `changed` (with other content), `unowned`, \
         `unknown`",
    ),
    file("Package", "the package that lists the file: `dpkg:python3-pip`, `wheel:coverage-7.6.1`"),
    file("FileSize", "size in bytes, a number"),
    file(
        "EnvironmentVariables",
        "the variables that an environment file now sets and did not set before, as far as that is known, \
         comma separated: `PYTHONSTARTUP`, `PYTHONPATH`, `PYTHONHOME`, `PYTHONUSERBASE`, `PYTHONPLATLIBDIR`, \
         `PYTHONPYCACHEPREFIX`, `PYTHONWARNINGS` (with a dotted category), `BROWSER` (beside it)",
    ),
    writer("Image", "path of the executable"),
    writer("CommandLine", "arguments, separated by blanks, the first 4,096 bytes"),
    writer("ProcessName", "the kernel's name of the process (`comm`)"),
    writer("ProcessId", "process id, a number"),
    writer("ParentImage", "path of the parent's executable"),
    writer("ParentCommandLine", "the parent's arguments, separated by blanks"),
    writer("User", "name of the effective user, from `/etc/passwd`"),
    writer("UserId", "effective user id, a number"),
    writer("LoginUserId", "user who logged in (audit login uid), a number; absent for services"),
    writer("LoginSession", "login session (audit), a number; absent for services"),
    writer("Terminal", "controlling terminal: `pts/3`, `tty1`, `ttyS0`, of other kinds the device as `major:minor`"),
    writer("CurrentDirectory", "working directory"),
    writer(
        "WriterScript",
        "script or module that an interpreter runs: `/usr/bin/pip`, `pip` for `python -m pip`; absent for a \
         program text (`-c`) or standard input",
    ),
    writer(
        "Installer",
        "the installer that the writer is by its name (see Exclusions): `pip`, `uv`, `poetry`, `pipx`, `pdm`, \
         `hatch`, `conda`, `mamba`, `micromamba`, `dpkg`, `apt`, `rpm`, `dnf`, `yum`, `apk`, `zypper`, \
         `pacman`, `snap`, `setuptools`, `easy_install`",
    ),
    writer(
        "AncestorInstaller",
        "the installer that the nearest ancestor with the host's own executable is: `apt` where it ran \
         `dpkg`, `dpkg` where it ran a maintainer script",
    ),
    writer("WriterIsPython", "`true` or `false` by the name of the executable; absent when it is unknown"),
    writer("ContainerId", "container of the writer's cgroup"),
    writer(
        "SystemdUnit",
        "systemd unit of the writer's cgroup: `ssh.service`, `session-3.scope`; a unit inside a unit after a \
         slash, `user@1000.service/x.service`, because the owner of the outer unit chooses the names of the \
         inner ones",
    ),
    writer("MountNamespace", "`host`, or `other`: a container or a private mount namespace"),
    writer("WriterEvidence", "how the executable is known: a word of the list below (docs/alerts.md)"),
];

/// Fields that had another name in the last release: old name, new name. Site rules may use the old one until the
/// next release.
const RENAMED: [(&str, &str); 1] = [("HookPlace", "HookLocation")];

/// The old and the present name of a field, found by its old name.
pub fn renamed(name: &str) -> Option<(&'static str, &'static str)> {
    RENAMED.into_iter().find(|(old, _)| *old == name)
}

/// Looks a field up by its name or its old one, case-sensitive as in Sigma.
pub fn find(name: &str) -> Option<&'static Field> {
    let name = renamed(name).map_or(name, |(_, new)| new);
    FIELDS.iter().find(|field| field.name == name)
}

/// The error about a name that is no field, with the field that was probably meant.
pub fn no_such_field(name: &str) -> String {
    let known: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    match crate::diagnostic::nearest(name, &known) {
        Some(near) => format!("there is no field `{name}`; did you mean `{near}`?"),
        None => format!("there is no field `{name}`; the fields are {}", known.join(", ")),
    }
}

/// The facts about one change by one writer.
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
