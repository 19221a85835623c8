//! The hook in the document: what it is, what would run, which package owns it, what to do next.

use super::json::{insert, path};
use crate::alert::redact;
use crate::escape;
use crate::event::{ContentClass, EnvironmentSetting, FileState, Hook, HookKind, Provenance, Signal};
use serde_json::{Map, Value, json};

/// `pyhookwatch.hook`.
pub(super) fn hook(hook: &Hook) -> Value {
    let mut value = Map::new();
    value.insert("kind".into(), hook.path.kind.as_str().into());
    value.insert("form".into(), hook.path.form.as_str().into());
    value.insert("location".into(), hook.path.location.as_str().into());
    insert(&mut value, "python", hook.path.version.map(|(major, minor)| format!("{major}.{minor}")));
    insert(&mut value, "interpreters", hook.content.interpreters);
    insert(&mut value, "shadowed_by", hook.shadowed_by.as_deref().map(path));
    insert(&mut value, "new_tree", hook.in_new_tree.then_some(true));
    Value::Object(value)
}

/// `pyhookwatch.content`; `None` when the content was not inspected.
pub fn content(hook: &Hook) -> Option<Value> {
    let mut content = Map::new();
    let unread = match &hook.file.state {
        FileState::NotLooked => return None,
        FileState::Regular => None,
        FileState::Gone => Some("gone before it could be read".to_owned()),
        FileState::Unreadable(reason) => Some(escape::one_line(reason)),
        FileState::SymbolicLink(_) if hook.content.class == ContentClass::Unknown => {
            Some("a symbolic link; its target could not be read".to_owned())
        }
        FileState::SymbolicLink(_) => None,
        FileState::Special(what) => Some(format!("a {what}")),
    };
    content.insert("class".into(), hook.content.class.as_str().into());
    content.insert("signals".into(), hook.content.signals.iter().map(Signal::as_str).collect());
    match unread {
        Some(why) => insert(&mut content, "unreadable", Some(why)),
        None => {
            content.insert("lines".into(), lines(&hook.content.runs));
            content.insert("truncated".into(), hook.content.truncated.into());
        }
    }
    for (name, list) in [("decoded", &hook.content.decoded), ("paths", &hook.content.paths)] {
        if !list.is_empty() {
            content.insert(name.into(), lines(list));
        }
    }
    if !hook.content.imports.is_empty() {
        content.insert("imports".into(), hook.content.imports.iter().map(|name| escape::one_line(name)).collect());
    }
    Some(Value::Object(content))
}

fn lines(lines: &[Vec<u8>]) -> Value {
    lines.iter().map(|line| escape::reversible(line)).collect()
}

/// `pyhookwatch.provenance`.
pub(super) fn provenance(provenance: &Provenance) -> Value {
    let mut value = json!({ "state": provenance.as_str() });
    if let (Some(package), Some(map)) = (provenance.package(), value.as_object_mut()) {
        map.insert("package".into(), escape::one_line(package).into());
    }
    value
}

/// One entry of `pyhookwatch.environment`.
pub(super) fn setting(setting: &EnvironmentSetting) -> Value {
    json!({
        "variable": setting.variable,
        "line": setting.line,
        "text": escape::reversible(&redact::text(&setting.text)),
        "value": escape::reversible(&redact::text(&setting.value)),
    })
}

/// What to do first.
pub(super) fn next_step(hook: &Hook) -> &'static str {
    match hook.path.kind {
        HookKind::Environment => {
            "Read the setting and the file or directory it names before anyone logs in again; remove the line if nobody can explain it."
        }
        HookKind::SiteDirectory => {
            "Look where the directory really leads now (namei -l, findmnt -T) and run pyhookwatch scan on it; what is in it came without events of its own."
        }
        HookKind::Interpreter => {
            "Do not start this interpreter. Compare it with its package (dpkg --verify, or the hash of a clean host) and look who runs it now."
        }
        HookKind::InterpreterConfig | HookKind::VenvConfig => {
            "Start no Python of this directory: the file decides where its standard library comes from. Compare `home` with the environment's own interpreter; move a planted file aside and keep it as evidence."
        }
        HookKind::StdlibBoot | HookKind::StdlibFile | HookKind::StdlibZip => {
            "Start no Python of this tree, not even with -I -S: this runs before any option counts. Compare it with its package (dpkg --verify) and install the package again."
        }
        HookKind::BundledWheel => {
            "Make no virtual environment until the wheel was compared with its package (dpkg --verify); look for a .pth file inside, and in the environments made since."
        }
        _ if hook.content.class == ContentClass::Hostile => {
            "Start no Python on this host; isolate it if one has run since. Keep the file as evidence (its hash is in the alert), move it aside, and look which package or process brought it."
        }
        _ => {
            "Read the file before any Python starts on this host (python3 -I -S skips most hooks); if nobody can explain it, move it aside and keep it as evidence."
        }
    }
}
