//! The inventory as one JSON object: an interface, described in `docs/scan.md`.

use super::report::{JudgedHook, Report};
use crate::alert::ecs::timestamp;
use crate::alert::redact;
use crate::escape;
use crate::event::{ContentClass, DocumentHeader, FileState};
use crate::hook::location::Version;
use crate::users::Users;
use serde_json::{Map, Value, json};
use std::path::Path;

pub fn of(report: &Report) -> Value {
    let mut users = Users::default();
    let mut classes = Map::new();
    for class in ContentClass::ALL {
        classes.insert(class.as_str().into(), report.count(*class).into());
    }
    let unread =
        report.inventory.unreadable_paths.iter().map(|directory| json!({ "path": text(directory), "reason": null }));
    let unread_hooks =
        report.skipped.iter().map(|(hook, reason)| json!({ "path": text(hook), "reason": line(reason) }));
    json!({
        "pyhookwatch": DocumentHeader::default(),
        "root": text(&report.root),
        "pythons": report.inventory.pythons.iter().map(python).collect::<Vec<_>>(),
        "hooks": report.hooks.iter().map(|judged| hook(judged, &mut users)).collect::<Vec<_>>(),
        "summary": {
            "hooks": report.hooks.len(),
            "classes": classes,
            "directories": report.inventory.directories,
            "unreadable_directories": report.inventory.unreadable,
            "unreadable_hooks": report.skipped.len(),
            "truncated": report.inventory.truncated,
        },
        "skipped": unread.chain(unread_hooks).collect::<Vec<_>>(),
    })
}

fn python(python: &crate::hook::sites::Python) -> Value {
    let directories = python.directories.iter().map(|site| {
        json!({
            "path": text(&site.path),
            "location": site.location.as_str(),
            "link": site.is_link,
            "real_path": site.real_path.as_deref().map(text),
        })
    });
    json!({
        "prefix": text(&python.prefix),
        "version": python.version.map(version),
        "role": python.role.as_str(),
        "directories": directories.collect::<Vec<_>>(),
        "programs": python.programs.iter().map(|program| text(program)).collect::<Vec<_>>(),
    })
}

fn hook(judged: &JudgedHook, users: &mut Users) -> Value {
    let JudgedHook { found, hook } = judged;
    let file = &hook.file;
    let settings = hook.content.settings.iter().map(|setting| {
        json!({ "variable": setting.variable, "line": setting.line, "value": escape::reversible(&redact::text(&setting.value)) })
    });
    let lines = |lines: &[Vec<u8>]| lines.iter().map(|line| escape::reversible(line)).collect::<Vec<_>>();
    let leads_to = match &file.state {
        FileState::SymbolicLink(target) => Some(text(target)),
        _ => None,
    };
    json!({
        "path": text(&found.path),
        "real_path": found.real_path.as_deref().map(text),
        "kind": found.hook_path.kind.as_str(),
        "form": found.hook_path.form.as_str(),
        "location": found.hook_path.location.as_str(),
        "version": found.hook_path.version.map(version),
        "class": hook.content.class.as_str(),
        "signals": hook.content.signals.iter().map(|signal| signal.as_str()).collect::<Vec<_>>(),
        "decoded": lines(&hook.content.decoded),
        "runs": lines(&hook.content.runs),
        "runs_truncated": hook.content.truncated,
        "imports": hook.content.imports.iter().map(|name| line(name)).collect::<Vec<_>>(),
        "paths": lines(&hook.content.paths),
        "settings": settings.collect::<Vec<_>>(),
        "interpreters": hook.content.interpreters,
        "provenance": hook.provenance.as_str(),
        "package": hook.provenance.package().map(line),
        "shadowed_by": hook.shadowed_by.as_deref().map(text),
        "state": state(&file.state),
        "target": leads_to,
        "sha256": file.sha256.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        "size": file.size,
        "mtime": file.modified.map(timestamp),
        "owner": file.owner.map(|uid| users.name(uid).map_or_else(|| uid.to_string(), str::to_owned)),
        "mode": file.mode.map(|mode| format!("{mode:04o}")),
    })
}

fn state(state: &FileState) -> &'static str {
    match state {
        FileState::Regular => "file",
        FileState::SymbolicLink(_) => "link",
        FileState::Special(what) => what.as_str(),
        FileState::Gone => "gone",
        FileState::Unreadable(_) => "unreadable",
        FileState::NotLooked => "unknown",
    }
}

pub fn version((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

pub fn text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

fn line(text: &str) -> String {
    escape::one_line(text)
}
