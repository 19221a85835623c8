//! The alert for a person at a terminal: who, what would run, which rule, what to do next.
//!
//! Rendered from the document, so that both forms have the same content.

use crate::event::Level;
use serde_json::Value;
use std::fmt::Write;

/// Lines of content that are shown.
const MAX_LINES: usize = 8;

/// The text form: several lines, each ended by a newline. The values of the document are escaped already; colours are the
/// only control sequences.
pub fn render(document: &Value, level: Level, color: bool) -> String {
    let mut text = String::new();
    let is_alert = document.pointer("/event/kind").and_then(Value::as_str) == Some("alert");
    let word = level.as_str().to_uppercase();
    let (paint, dim, plain) = if color { (paint(level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let title = if is_alert {
        format!("{} {}", string(document, "/pyhookwatch/detection_type"), string(document, "/file/path"))
    } else {
        string(document, "/message").to_owned()
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{paint}{word}{plain} {title}");
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {dim}{name:<8}{plain} {value}");
        }
    };
    row("when", string(document, "/@timestamp").to_owned());
    if is_alert {
        row("what", what(document));
        row("who", who(document));
        row("command", string(document, "/process/command_line").to_owned());
        row("script", script(document));
        row("ancestor", living_ancestor(document));
        row("parents", parents(document));
        row("evidence", evidence(document));
        row("unclear", candidates(document));
        for line in rules(document) {
            row("rule", line);
        }
        for line in runs(document) {
            row("runs", line);
        }
        row("next", string(document, "/pyhookwatch/next_step").to_owned());
    }
    text
}

fn paint(level: Level) -> &'static str {
    match level {
        Level::Critical => "\x1b[1;97;41m",
        Level::High => "\x1b[1;31m",
        Level::Medium => "\x1b[1;33m",
        Level::Low => "\x1b[1;36m",
        Level::Informational => "\x1b[1m",
    }
}

fn string<'d>(document: &'d Value, pointer: &str) -> &'d str {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'d>(document: &'d Value, pointer: &str) -> &'d [Value] {
    document.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `creation of a file, 24 bytes, owner root, mode 0644, sha256 …`
fn what(document: &Value) -> String {
    let kind = match string(document, "/file/type") {
        "" => "file",
        kind => kind,
    };
    let mut parts = vec![format!(
        "{} of a {kind} (hook: {})",
        string(document, "/event/action"),
        string(document, "/pyhookwatch/hook/kind")
    )];
    if let Some(size) = document.pointer("/file/size") {
        parts.push(format!("{size} bytes"));
    }
    for (name, pointer) in [
        ("to", "/file/target_path"),
        ("from", "/pyhookwatch/previous_path"),
        ("owner", "/file/owner"),
        ("mode", "/file/mode"),
        ("sha256", "/file/hash/sha256"),
        ("content", "/pyhookwatch/content/unreadable"),
    ] {
        let value = string(document, pointer);
        if !value.is_empty() {
            parts.push(format!("{name} {value}"));
        }
    }
    parts.join(", ")
}

/// `/usr/bin/cp (pid 12), user root, login alice, container …`
fn who(document: &Value) -> String {
    let Some(process) = document.get("process") else { return "unknown".into() };
    let mut who = executable_and_pid(process);
    who += foreign(document);
    for (name, pointer) in [("user", "/user"), ("login", "/pyhookwatch/writer/login_user")] {
        if let Some(user) = document.pointer(pointer) {
            let shown = user.get("name").or_else(|| user.get("id")).and_then(Value::as_str).unwrap_or("unknown");
            let _ = write!(who, ", {name} {shown}");
        }
    }
    if let Some(session) = document.pointer("/pyhookwatch/writer/login_session") {
        let _ = write!(who, ", session {session}");
    }
    for (name, pointer) in [
        ("terminal", "/pyhookwatch/writer/terminal"),
        ("unit", "/pyhookwatch/writer/unit"),
        ("container", "/container/id"),
        ("in", "/process/working_directory"),
    ] {
        let value = string(document, pointer);
        if !value.is_empty() {
            let _ = write!(who, ", {name} {value}");
        }
    }
    who
}

/// `/usr/bin/pip (by its arguments), installer pip`
fn script(document: &Value) -> String {
    let is = |pointer: &str| document.pointer(pointer).and_then(Value::as_bool) == Some(true);
    let mut parts = Vec::new();
    let name = string(document, "/pyhookwatch/writer/script/name");
    if !name.is_empty() {
        let module = if is("/pyhookwatch/writer/script/module") { "module " } else { "" };
        let by = if is("/pyhookwatch/writer/script/recorded") {
            "the kernel recorded its start"
        } else {
            "by the arguments"
        };
        parts.push(format!("{module}{name} ({by})"));
    }
    for (words, pointer) in [
        ("installer", "/pyhookwatch/writer/installer"),
        ("started by installer", "/pyhookwatch/writer/ancestor_installer"),
    ] {
        let installer = string(document, pointer);
        if !installer.is_empty() {
            parts.push(format!("{words} {installer} (by its name)"));
        }
    }
    parts.join(", ")
}

/// What is unusual about the executable.
fn foreign(document: &Value) -> &'static str {
    let is = |pointer: &str, wanted: bool| document.pointer(pointer).and_then(Value::as_bool) == Some(wanted);
    let other_mounts = string(document, "/pyhookwatch/writer/mount_namespace") == "other";
    if is("/pyhookwatch/writer/executable_deleted", true) {
        " [deleted or replaced since]"
    } else if is("/pyhookwatch/writer/executable_is_hosts", false) {
        " [NOT this host's file of that path]"
    } else if other_mounts {
        " [in another mount namespace]"
    } else {
        ""
    }
}

fn executable_and_pid(process: &Value) -> String {
    let name = |key: &str| process.get(key).and_then(Value::as_str);
    let shown = match (name("executable"), name("name")) {
        (Some(executable), _) => executable.to_owned(),
        (None, Some(comm)) => format!("{comm} (executable unknown)"),
        (None, None) => "unknown".to_owned(),
    };
    let gone = if process.get("gone").is_some() { ", gone" } else { "" };
    match process.get("pid") {
        Some(pid) => format!("{shown} (pid {pid}{gone})"),
        None => shown,
    }
}

/// Where the nearest living ancestor of a writer that has ended runs.
fn living_ancestor(document: &Value) -> String {
    let Some(nearest) = document.pointer("/pyhookwatch/writer/living_ancestor") else { return String::new() };
    let mut text = format!("living ancestor (pid {})", nearest.get("pid").and_then(Value::as_u64).unwrap_or_default());
    if let Some(user) = nearest.get("login_user") {
        let shown = user.get("name").or_else(|| user.get("id")).and_then(Value::as_str).unwrap_or("unknown");
        let _ = write!(text, ", login {shown}");
    }
    if let Some(session) = nearest.get("login_session") {
        let _ = write!(text, ", session {session}");
    }
    for (name, key) in
        [("terminal", "terminal"), ("unit", "unit"), ("container", "container_id"), ("in", "working_directory")]
    {
        if let Some(value) = nearest.get(key).and_then(Value::as_str) {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text
}

fn parents(document: &Value) -> String {
    let parent = document.pointer("/process/parent").into_iter();
    let all = parent.chain(list(document, "/pyhookwatch/writer/ancestors"));
    all.map(executable_and_pid).collect::<Vec<_>>().join(" < ")
}

fn evidence(document: &Value) -> String {
    let evidence = string(document, "/pyhookwatch/writer/evidence");
    let mut text = match evidence {
        "proc" => "proc: read while the process lived, checked against its pidfd".to_owned(),
        "exit-record" => "exit-record: the kernel's record of its end has the device and inode of this file".to_owned(),
        "exec-record" => "exec-record: the kernel recorded this as the last program it started".to_owned(),
        "fork-lineage" => "fork-lineage: it had started no program and was a copy of its parent".to_owned(),
        _ => evidence.to_owned(),
    };
    let corroborating: Vec<_> =
        list(document, "/pyhookwatch/writer/corroborated_by").iter().filter_map(Value::as_str).collect();
    if !corroborating.is_empty() {
        let _ = write!(text, "; corroborated by {}", corroborating.join(" and "));
    }
    let note = string(document, "/pyhookwatch/writer/note");
    if !note.is_empty() {
        let _ = write!(text, ": {note}");
    }
    text
}

/// `not established: exec-record names /usr/bin/cp, exit-record names device 8:1 inode 77`
fn candidates(document: &Value) -> String {
    let said = |candidate: &Value| {
        let what = match string(candidate, "/executable") {
            "" => format!("device {} inode {}", string(candidate, "/device"), string(candidate, "/inode")),
            executable => executable.to_owned(),
        };
        format!("{} names {what}", string(candidate, "/evidence"))
    };
    let all: Vec<_> = list(document, "/pyhookwatch/writer/candidates").iter().map(said).collect();
    if all.is_empty() { String::new() } else { format!("not established: {}", all.join(", ")) }
}

fn rules(document: &Value) -> impl Iterator<Item = String> {
    list(document, "/pyhookwatch/rules").iter().map(|rule| {
        let exclusion =
            match (string(rule, "/exclusion_not_applied/filter"), string(rule, "/exclusion_not_applied/reason")) {
                ("", _) => String::new(),
                (filter, reason) => format!("; exclusion {filter} not applied: {reason}"),
            };
        format!(
            "{} ({}, {}) {}{exclusion}",
            string(rule, "/name"),
            string(rule, "/ruleset"),
            string(rule, "/level"),
            string(rule, "/id")
        )
    })
}

fn runs(document: &Value) -> Vec<String> {
    let lines = list(document, "/pyhookwatch/content/lines");
    let mut shown: Vec<String> = lines.iter().take(MAX_LINES).filter_map(Value::as_str).map(str::to_owned).collect();
    let truncated = document.pointer("/pyhookwatch/content/truncated").and_then(Value::as_bool) == Some(true);
    if truncated || lines.len() > MAX_LINES {
        shown.push("... (more in the file)".into());
    }
    shown
}
