//! The inventory for a person: by Python, the worst first, no wider than the terminal.

use super::json::{text, version};
use super::report::{JudgedHook, Report};
use crate::commands::style::{Color, Style, shorten_middle};
use crate::escape;
use crate::event::{ContentClass, FileState, Hook, HookKind, Provenance, SpecialFile};
use crate::hook::location::Version;
use crate::hook::sites::{self, Python};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Lines shown of what a hook runs.
const SHOWN_LINES: usize = 3;
/// Names shown of what could not be read.
const SHOWN_UNREAD: usize = 10;

/// The colour of a class; none for what is ordinary.
fn color(class: ContentClass) -> Color {
    match class {
        ContentClass::Hostile => Color::Red,
        ContentClass::Suspicious | ContentClass::Opaque => Color::Yellow,
        _ => Color::None,
    }
}

/// Sorts the worst class first.
fn rank(judged: &JudgedHook) -> usize {
    let changed = matches!(judged.hook.provenance, Provenance::Changed(_));
    match judged.hook.content.class {
        ContentClass::Hostile => 0,
        ContentClass::Suspicious => 1,
        _ if changed => 2,
        ContentClass::Opaque => 3,
        ContentClass::Unknown => 4,
        ContentClass::Neutral => 5,
        ContentClass::Inert => 6,
    }
}

/// The Pythons in the order of their prefix; `None` comes first and is shown last.
type Key = Option<(PathBuf, Option<Version>)>;

pub fn of(report: &Report, style: &Style) -> String {
    let pythons = &report.inventory.pythons;
    let mut groups: BTreeMap<Key, Vec<&JudgedHook>> = BTreeMap::new();
    for judged in &report.hooks {
        groups.entry(key(judged, pythons)).or_default().push(judged);
    }
    let mut groups: Vec<(Key, Vec<&JudgedHook>)> = groups.into_iter().collect();
    // The sort is stable: hooks of one class stay in the order of their paths.
    groups.iter_mut().for_each(|(_, hooks)| hooks.sort_by_key(|judged| rank(judged)));
    let worst = |hooks: &[&JudgedHook]| hooks.first().map_or(usize::MAX, |judged| rank(judged).min(2));
    groups.sort_by_key(|(key, hooks)| (worst(hooks), key.is_none()));
    let mut output = String::new();
    for (key, hooks) in &groups {
        let shown: Vec<_> = hooks.iter().filter(|judged| judged.is_remarkable()).collect();
        if shown.is_empty() {
            continue;
        }
        output += &style.fit(&heading(key, pythons));
        shown.iter().for_each(|judged| output += &entry(judged, style));
        if hooks.len() > shown.len() {
            output += &style.fit(&format!("  and {} more without findings", hooks.len() - shown.len()));
        }
        output.push('\n');
    }
    output + &summary(report, style)
}

/// The Python that a hook is listed with.
fn key(judged: &JudgedHook, pythons: &[Python]) -> Key {
    let at = judged.found.hook_path;
    if at.kind == HookKind::Environment {
        return None;
    }
    let prefix = sites::prefix(&judged.found.path, at.kind)?;
    let is_known = pythons.iter().any(|python| python.prefix == prefix && python.version == at.version);
    Some((prefix, at.version.filter(|_| is_known)))
}

fn heading(key: &Key, pythons: &[Python]) -> String {
    let Some((prefix, version_of_path)) = key else { return "Outside every Python's directories".into() };
    let known = pythons.iter().find(|python| python.prefix == *prefix && python.version == *version_of_path);
    let number = version_of_path.map_or_else(String::new, |version_of_path| format!(" {}", version(version_of_path)));
    let role = known.map_or_else(String::new, |python| format!(" ({})", python.role.as_str()));
    format!("Python{number} in {}{role}", text(prefix))
}

fn entry(judged: &JudgedHook, style: &Style) -> String {
    let JudgedHook { found, hook } = judged;
    let shape = format!("{}/{}", found.hook_path.kind.as_str(), found.hook_path.form.as_str());
    let owner = match hook.provenance.package() {
        Some(package) if matches!(hook.provenance, Provenance::Changed(_)) => {
            format!("changed since {}", escape::one_line(package))
        }
        Some(package) => escape::one_line(package),
        None => hook.provenance.as_str().into(),
    };
    let name = shorten_middle(&text(&found.path), style.width().saturating_sub(14));
    let mut output =
        style.paint(color(hook.content.class), style.fit(&format!("  {:<10}  {name}", hook.content.class.as_str())));
    let mut add = |what: &str, words: &str| output += &style.fit(&format!("      {what:<9} {words}"));
    add("is", &format!("{shape}, {owner}"));
    if let Some(lies) = &found.real_path {
        add("real path", &text(lies));
    }
    match &hook.file.state {
        FileState::SymbolicLink(target) => add("target", &text(target)),
        FileState::Unreadable(reason) => add("skipped", &escape::one_line(reason)),
        FileState::Special(what) if *what != SpecialFile::Directory => add("is a", what.as_str()),
        _ => {}
    }
    if let Some(shadow) = &hook.shadowed_by {
        add("hidden by", &text(shadow));
    }
    if let Some(interpreters) = hook.content.interpreters {
        add("run by", interpreters);
    }
    if !hook.content.signals.is_empty() {
        let signals: Vec<_> = hook.content.signals.iter().map(|signal| signal.as_str()).collect();
        add("signals", &signals.join(", "));
    }
    what_runs(hook).for_each(|(what, line)| add(what, &line));
    output
}

/// The first lines of what would run, and of what was hidden in it.
fn what_runs(hook: &Hook) -> impl Iterator<Item = (&'static str, String)> {
    let settings = hook.content.settings.iter().map(|setting| {
        ("sets", format!("{}={} (line {})", setting.variable, escape::reversible(&setting.value), setting.line))
    });
    let runs = hook
        .content
        .runs
        .iter()
        .filter(|_| hook.content.settings.is_empty())
        .map(|line| ("runs", escape::reversible(line)));
    let decoded = hook.content.decoded.iter().map(|line| ("decoded", escape::reversible(line)));
    let paths = hook.content.paths.iter().map(|path| ("adds", escape::reversible(path)));
    let more = hook.content.runs.len() > SHOWN_LINES && hook.content.settings.is_empty();
    settings
        .chain(runs.take(SHOWN_LINES))
        .chain(more.then(|| ("", format!("and {} more lines", hook.content.runs.len().saturating_sub(SHOWN_LINES)))))
        .chain(decoded.take(SHOWN_LINES))
        .chain(paths.take(SHOWN_LINES))
}

fn summary(report: &Report, style: &Style) -> String {
    let count = |class| report.count(class);
    let hooks = report.hooks.len();
    let installations =
        report.inventory.pythons.iter().filter(|python| python.role == sites::PythonRole::Installation).count();
    let mut output = style.fit(&format!(
        "{hooks} hooks ({} hostile, {} suspicious, {} opaque) and {installations} installed Pythons in {} directories",
        count(ContentClass::Hostile),
        count(ContentClass::Suspicious),
        count(ContentClass::Opaque),
        report.inventory.directories,
    ));
    let inventory = &report.inventory;
    let unread = inventory.unreadable + report.skipped.len() as u64;
    if unread > 0 {
        output += &style.fit(&format!("NOT READ: {unread} files and directories, among them"));
        let names = inventory.unreadable_paths.iter().chain(report.skipped.iter().map(|(path, _)| path));
        names.take(SHOWN_UNREAD).for_each(|path| output += &style.fit(&format!("  {}", text(path))));
    }
    if inventory.truncated {
        output += &style.fit("NOT COMPLETE: a directory was too deep or too large, or there are too many hooks");
    }
    output
}
