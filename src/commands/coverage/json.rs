//! The coverage as one JSON object: an interface, described in `docs/coverage.md`.

use super::filesystems::Filesystem;
use super::finding::{Finding, State};
use super::overlay::Overlay;
use super::report::Report;
use super::running_daemon::RunningDaemon;
use super::trees::Tree;
use crate::daemon::status_report::EvidenceStatus;
use crate::escape;
use crate::event::DocumentHeader;
use crate::source::{Guard, Guarded};
use serde_json::{Value, json};
use std::path::Path;

pub fn of(report: &Report) -> Value {
    let count = |state: State| report.trees.iter().filter(|tree| tree.state() == state).count();
    let trees = |mount: &Filesystem| report.trees.iter().filter(|tree| tree.device == Some(mount.guard.device)).count();
    json!({
        "pyhookwatch": DocumentHeader::default(),
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|release| escape::one_line(release.trim())),
        "root": text(&report.settings.root),
        "state": report.state().as_str(),
        "no_permission": report.no_permission(),
        "fanotify": {
            "available": report.probe.guards.iter().any(Guard::is_marked),
            "reason": report.probe.refused.as_ref().map(ToString::to_string),
        },
        "summary": {
            "trees": report.trees.len(),
            "guarded": count(State::Guarded),
            "degraded": count(State::Degraded),
            "blind": count(State::Blind),
            "unreadable_directories": report.skipped.0,
            "truncated": report.truncated,
            "other_namespaces": report.other_namespaces.namespaces,
        },
        "evidence": report.probe.evidence.iter().map(EvidenceStatus::from).collect::<Vec<_>>(),
        "overlay": report.overlay.as_ref().map(overlay),
        "filesystems": report.filesystems.iter().map(|mount| filesystem(mount, trees(mount))).collect::<Vec<_>>(),
        "trees": report.trees.iter().map(tree).collect::<Vec<_>>(),
        "other_namespaces": report.other_namespaces.findings.iter().map(finding).collect::<Vec<_>>(),
        "daemon": daemon(&report.daemon),
        "skipped": report.skipped.1.iter().map(|path| text(path)).collect::<Vec<_>>(),
    })
}

fn daemon(daemon: &RunningDaemon) -> Value {
    match daemon {
        RunningDaemon::NotReached(reason) => {
            json!({ "reached": false, "pid": null, "differences": [], "reason": escape::one_line(reason) })
        }
        RunningDaemon::Reached { pid, differences } => {
            let differences: Vec<String> = differences.iter().map(|words| escape::one_line(words)).collect();
            json!({ "reached": true, "pid": pid, "differences": differences, "reason": null })
        }
    }
}

fn overlay(overlay: &Overlay) -> Value {
    let reported = |word: &str| match overlay {
        Overlay::Tried(ways) => ways.iter().find(|(way, _)| way == word).map(|(_, is_reported)| *is_reported),
        Overlay::NotEstablished(_) => None,
    };
    let reason = match overlay {
        Overlay::Tried(_) => None,
        Overlay::NotEstablished(reason) => Some(escape::one_line(reason)),
    };
    json!({
        "creation": reported("overlay-creation"),
        "rename": reported("overlay-rename"),
        "change": reported("overlay-change"),
        "reason": reason,
    })
}

fn filesystem(mount: &Filesystem, trees: usize) -> Value {
    let Filesystem { guard, mechanism, in_watch_trees, findings } = mount;
    let upper = match &guard.by {
        Guarded::ThroughUpper(upper) => Some(text(upper)),
        _ => None,
    };
    json!({
        "mount_points": guard.mount_points.iter().map(|place| text(place)).collect::<Vec<_>>(),
        "fs_type": escape::one_line(&guard.fs_type),
        "device": format!("{}:{}", guard.device.0, guard.device.1),
        "mechanism": mechanism.as_str(),
        "upper": upper,
        "state": mount.state().as_str(),
        "in_watch_trees": in_watch_trees,
        "trees": trees,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn tree(tree: &Tree) -> Value {
    json!({
        "path": text(&tree.path),
        "location": tree.place,
        "role": tree.role.map(|role| role.as_str()),
        "real_path": tree.leads_to.as_deref().map(text),
        "mount_point": tree.mount_point.as_deref().map(text),
        "mechanism": tree.mechanism.as_str(),
        "state": tree.state().as_str(),
        "findings": tree.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "state": finding.state.as_str(),
        "code": finding.code,
        "reason": escape::one_line(&finding.reason),
        "advice": Some(finding.advice).filter(|advice| !advice.is_empty()),
    })
}

fn text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}
