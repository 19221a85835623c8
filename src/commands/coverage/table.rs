//! The coverage for a person: the worst first, each with its reason and its remedy; one line for each fully
//! watched filesystem.

use super::filesystems::Filesystem;
use super::finding::{Finding, State};
use super::report::Report;
use super::trees::Tree;
use crate::commands::style::{Color, Style, shorten_middle};
use crate::escape;
use crate::source::Guarded;
use crate::source::Mechanism;
use crate::writer::{Available, RecordSource};
use std::collections::BTreeMap;
use std::path::Path;

/// Trees named of each group.
const EXAMPLES: usize = 3;
/// Places named that cannot be read.
const SHOWN_UNREAD: usize = 5;

pub fn of(report: &Report, style: &Style) -> String {
    let mut output = String::new();
    for state in [State::Blind, State::Degraded] {
        output += &trees(report, state, style);
        output += &filesystems(report, state, style);
        for finding in report.other_namespaces.findings.iter().filter(|finding| finding.state == state) {
            output += &head(state, &finding.reason, style);
            output += &advice(finding.advice, style);
        }
    }
    for missing in report.probe.evidence.iter().filter_map(RecordSource::missing) {
        output += &head(State::Degraded, &format!("writers: no {missing}"), style);
        output += &advice("more of the ended writers will stay unknown; exclusions do not apply to them", style);
    }
    if report.skipped.0 > 0 || report.truncated {
        let names = report.skipped.1.iter().take(SHOWN_UNREAD).map(|path| text(path));
        let names = names.collect::<Vec<_>>().join(", ");
        let words = match report.skipped.0 {
            0 => "the search for Python trees ended at its limit of directories".to_owned(),
            count => format!("{count} directories could not be searched for Python trees: {names}"),
        };
        output += &head(State::Degraded, &words, style);
    }
    for mount in report.filesystems.iter().filter(|mount| mount.state() == State::Guarded) {
        output += &guarded(report, mount, style);
    }
    for known in report.other_namespaces.findings.iter().filter(|finding| finding.state == State::Guarded) {
        output += &style.wrap(10, &escape::one_line(&known.reason));
    }
    output + &summary(report, style)
}

fn head(state: State, words: &str, style: &Style) -> String {
    let (word, color) = match state {
        State::Blind => ("BLIND", Color::Red),
        State::Degraded => ("DEGRADED", Color::Yellow),
        State::Guarded => ("ok", Color::None),
    };
    let lines = style.wrap(10, &escape::one_line(words));
    let (first, rest) = lines.split_once('\n').unwrap_or((&lines, ""));
    style.paint(color, format!("{word:<10}{}\n", first.trim_start())) + rest
}

fn advice(words: &str, style: &Style) -> String {
    if words.is_empty() { String::new() } else { style.wrap(10, &format!("-> {words}")) }
}

/// Groups the trees that have the same findings.
fn trees(report: &Report, state: State, style: &Style) -> String {
    let mut groups: BTreeMap<Vec<&Finding>, Vec<&Tree>> = BTreeMap::new();
    for tree in report.trees.iter().filter(|tree| tree.state() == state) {
        groups.entry(tree.findings.iter().collect()).or_default().push(tree);
    }
    let mut output = String::new();
    for (findings, trees) in groups {
        let names: Vec<String> = trees.iter().take(EXAMPLES).map(|tree| text(&tree.path)).collect();
        let more = trees.len().saturating_sub(EXAMPLES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        output += &head(state, &format!("{}{more}", names.join(", ")), style);
        for finding in findings.iter().filter(|finding| finding.state != State::Guarded) {
            output += &style.wrap(10, &escape::one_line(&finding.reason));
            output += &advice(finding.advice, style);
        }
    }
    output
}

fn filesystems(report: &Report, state: State, style: &Style) -> String {
    let mut output = String::new();
    // The lines of the trees cover their filesystems.
    let is_unlisted = |mount: &&Filesystem| {
        !report.trees.iter().any(|tree| tree.device == Some(mount.guard.device) && tree.state() <= state)
    };
    for mount in report.filesystems.iter().filter(|mount| mount.state() == state).filter(is_unlisted) {
        for finding in &mount.findings {
            output += &head(
                state,
                &format!("{} ({}): {}", mount.guard.mount_point().display(), mount.guard.fs_type, finding.reason),
                style,
            );
            output += &advice(finding.advice, style);
        }
    }
    output
}

/// One line for a fully watched filesystem.
fn guarded(report: &Report, mount: &Filesystem, style: &Style) -> String {
    let on_it =
        report.trees.iter().filter(|tree| tree.device == Some(mount.guard.device) && tree.state() == State::Guarded);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    on_it.for_each(|tree| *kinds.entry(tree.place).or_default() += 1);
    if kinds.is_empty() && mount.mechanism != Mechanism::Fanotify {
        return style.fit(&format!(
            "{:<10}{} ({}): not watched, and no tree is there",
            "-",
            text(mount.guard.mount_points.first().map_or(Path::new("?"), |place| place)),
            escape::one_line(&mount.guard.fs_type)
        ));
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { "no tree".into() } else { kinds.join(", ") };
    let place = mount.guard.mount_points.first().map_or_else(String::new, |place| text(place));
    let through = match &mount.guard.by {
        Guarded::ThroughUpper(upper) => format!(" through {}", text(upper)),
        _ => String::new(),
    };
    let place = shorten_middle(&place, style.width() / 2);
    style.fit(&format!(
        "{:<10}{place} ({}): {}{through}: {kinds}",
        "ok",
        escape::one_line(&mount.guard.fs_type),
        mount.mechanism.as_str()
    ))
}

fn summary(report: &Report, style: &Style) -> String {
    let count = |state: State| report.trees.iter().filter(|tree| tree.state() == state).count();
    let mut output = style.fit(&format!(
        "{} places where Python runs something by itself: {} guarded, {} degraded, {} blind",
        report.trees.len(),
        count(State::Guarded),
        count(State::Degraded),
        count(State::Blind),
    ));
    let at_work = report.probe.evidence.iter().filter(|source| matches!(source.available, Available::Full(_)));
    let names: Vec<&str> = at_work.map(|source| source.name).collect();
    if !names.is_empty() {
        output += &style.fit(&format!("writers are named by: {}", names.join(", ")));
    }
    output += &style.wrap(0, &escape::one_line(&report.daemon.words()));
    if report.no_permission() {
        let words = "NO PERMISSION: this is what this user could watch; run it as root to see what the daemon has";
        output += &style.wrap(0, words);
    }
    output
}

fn text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}
