//! The status for a person: one line for each fact, with colour where attention is needed.

use crate::commands::style::{Color, Style};
use crate::daemon::status_report::{
    Availability, Counters, FilesystemStatus, InotifyTree, OutputStatus, RecentChange, ReloadResult, StatusReport,
};
use crate::escape;
use crate::source::Mechanism;
use std::fmt::Display;

/// Recent changes shown of each kind.
const SHOWN: usize = 5;

/// One line of text.
struct Line(Color, String);

/// The status as text, no wider than the terminal.
pub fn render(report: &StatusReport, style: &Style) -> String {
    let mut lines = heading(report);
    if let Some(reason) = &report.fanotify.reason {
        let text = format!("DEGRADED    fanotify is refused ({reason}): only inotify watches, which names no writer");
        lines.push(Line(Color::Red, text));
    }
    lines.extend(report.filesystems.iter().map(filesystem));
    lines.extend(report.inotify.iter().map(inotify_tree));
    for source in report.evidence.iter().filter(|source| source.available != Availability::Full) {
        let missing = source.detail.as_deref().unwrap_or(&source.name);
        lines.push(Line(Color::Yellow, format!("DEGRADED    writers: no {missing}")));
    }
    lines.extend(counters(&report.counters));
    if report.capacity.tracked_paths_full {
        let text = "FULL        the table of modules and directories that hooks lead to is full: changes of more raise no alert";
        lines.push(Line(Color::Red, text.into()));
    }
    lines.extend(report.outputs.iter().map(output));
    lines.extend(recent("alert", &report.recent_alerts));
    lines.extend(recent("excluded", &report.recent_excluded));
    lines.into_iter().map(|Line(color, text)| style.paint(color, style.fit(&escape::one_line(&text)))).collect()
}

fn heading(report: &StatusReport) -> Vec<Line> {
    let StatusReport { version, pid, root, rules, .. } = report;
    let uptime = duration(report.uptime_seconds);
    let (mut color, mut loaded) = (Color::None, format!("rules       {} loaded", rules.loaded));
    if rules.warnings > 0 {
        color = Color::Yellow;
        loaded += &format!(", {} warnings", rules.warnings);
    }
    match &rules.last_reload {
        Some(reload) if reload.result == ReloadResult::Refused => {
            color = Color::Red;
            loaded += &format!(
                ", last reload {}: refused (the old ones stay in force; see `pyhookwatch check`)",
                reload.time
            );
        }
        Some(reload) => loaded += &format!(", last reload {}: loaded", reload.time),
        None => {}
    }
    vec![
        Line(Color::None, format!("pyhookwatch {version}, process {pid}, up {uptime}, watching {root}")),
        Line(color, loaded),
    ]
}

fn filesystem(filesystem: &FilesystemStatus) -> Line {
    let (color, word) = match filesystem.mechanism {
        Mechanism::Fanotify => (Color::None, "ok"),
        Mechanism::Inotify => (Color::Yellow, "DEGRADED"),
        Mechanism::Nothing if filesystem.in_watch_trees => (Color::Red, "BLIND"),
        Mechanism::Nothing => (Color::None, "-"),
    };
    let mount_point = filesystem.mount_points.first().map_or("?", String::as_str);
    let more = match filesystem.mount_points.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more places", count - 1),
    };
    let reason = filesystem.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
    let (fs_type, mechanism) = (&filesystem.fs_type, filesystem.mechanism.as_str());
    Line(color, format!("{word:<12}{mount_point} ({fs_type}){more}: {mechanism}{reason}"))
}

fn inotify_tree(tree: &InotifyTree) -> Line {
    let color = if tree.failed > 0 { Color::Red } else { Color::None };
    let reason = tree.example.as_ref().map_or_else(String::new, |example| format!(" ({})", example.reason));
    let InotifyTree { tree, watched, failed, .. } = tree;
    Line(color, format!("inotify     {tree}: {watched} directories watched, {failed} not{reason}"))
}

fn counters(counters: &Counters) -> Vec<Line> {
    let levels = counters.alerts_by_level.iter().map(|(level, count)| (level.as_str(), *count));
    let Counters { records, alerts, excluded, repeated, unresolved, losses, .. } = counters;
    let mut lines = vec![Line(
        Color::None,
        format!(
            "counted     {records} records, {alerts} alerts{}, {excluded} excluded, {repeated} repeated, {unresolved} unresolved",
            in_parentheses(levels)
        ),
    )];
    if *losses > 0 {
        let causes = counters.losses_by_cause.iter().map(|(cause, count)| (cause, *count));
        lines.push(Line(Color::Yellow, format!("LOSSES      {losses}{}", in_parentheses(causes))));
    }
    lines
}

/// ` (2 low, 1 high)`, without those that are 0.
fn in_parentheses<N: Display>(counts: impl Iterator<Item = (N, u64)>) -> String {
    let counts = counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
    match counts.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    }
}

fn output(output: &OutputStatus) -> Line {
    let OutputStatus { name, active, waiting, delivered, dropped } = output;
    let color = if *dropped > 0 || !active { Color::Red } else { Color::None };
    let failed = if *active { "" } else { ", FAILED" };
    Line(color, format!("output      {name}: {delivered} delivered, {waiting} waiting, {dropped} dropped{failed}"))
}

/// The last changes, the newest first.
fn recent<'r>(word: &'r str, changes: &'r [RecentChange]) -> impl Iterator<Item = Line> + 'r {
    changes.iter().rev().take(SHOWN).map(move |change| {
        let RecentChange { time, path, .. } = change;
        let level = change.level.map_or_else(String::new, |level| format!("{} ", level.as_str()));
        let executable = change.executable.as_deref().unwrap_or("unknown");
        let rule = change.rules.first().map_or("?", |rule| rule.name.as_str());
        Line(Color::None, format!("{word:<12}{time} {level}{path} by {executable} ({rule})"))
    })
}

/// A duration in its two largest units; less than an hour in one.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status_report::tests::example;

    #[test]
    fn a_duration_has_at_most_two_units() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90_061, "1 d 1 h")] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn every_fact_of_the_report_has_its_line() {
        let text = render(&example(), &Style::plain(200));
        let expected = "\
pyhookwatch 1.2.3, process 7, up 1 d 1 h, watching /
rules       44 loaded, 1 warnings, last reload 2026-01-01T00:00:00Z: refused (the old ones stay in force; see `pyhookwatch check`)
DEGRADED    fanotify is refused (EPERM): only inotify watches, which names no writer
BLIND       /srv (nfs) and 1 more places: nothing, a network filesystem
inotify     /usr: 3 directories watched, 1 not (no space left)
DEGRADED    writers: no exec records
counted     10 records, 2 alerts (1 low, 1 high), 3 excluded, 4 repeated, 5 unresolved
LOSSES      1 (1 queue-overflow)
FULL        the table of modules and directories that hooks lead to is full: changes of more raise no alert
output      syslog /dev/log: 1 delivered, 2 waiting, 3 dropped, FAILED
alert       2026-01-01T00:00:00Z high /x.pth by /usr/bin/cp (A rule)
excluded    2026-01-01T00:00:00Z /y.pth by unknown (A rule)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_hostile_answer_is_printed_as_harmless_lines() {
        let mut hostile = example();
        hostile.version = "\u{1b}[2J\n".into();
        hostile.filesystems[0].mount_points = vec!["/\u{202e}".into()];
        hostile.outputs[0].name = "\r\n".into();
        hostile.recent_excluded[0].path = "\n".into();
        let text = render(&hostile, &Style::of_output());
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
        assert!(!text.contains('\u{202e}'));
    }
}
