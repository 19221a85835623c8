//! How the daemon does, as one JSON document: an interface, described in `docs/status.md`.

use super::pipeline::{Pipeline, Sample, Stats};
use super::placing::Mechanism;
use super::watch::Sources;
use crate::alert::ecs::timestamp;
use crate::alert::sink::Outputs;
use crate::escape;
use crate::event::{Level, SCHEMA_VERSION};
use crate::source::mounts;
use crate::source::{Backend, Guard, Guarded, Settings};
use crate::writer::{Available, RecordSource};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

/// What is known of the run besides what its parts know themselves.
pub struct StatusReport {
    /// What it was told to watch.
    settings: Settings,
    started: SystemTime,
    running_since: Instant,
    /// Warnings about the rules in force.
    rule_warnings: usize,
    reload: Option<Reload>,
}

/// What became of the last SIGHUP.
struct Reload {
    at: SystemTime,
    /// Mistakes for which the old rules stay in force; 0: the new ones are.
    problems: usize,
}

impl StatusReport {
    /// Of a run that begins now.
    pub fn new(settings: Settings, rule_warnings: usize) -> Self {
        Self { settings, started: SystemTime::now(), running_since: Instant::now(), rule_warnings, reload: None }
    }

    /// Rules were loaded again with so many warnings, or refused with so many problems.
    pub fn reloaded(&mut self, result: Result<usize, usize>) {
        let problems = match result {
            Ok(warnings) => {
                self.rule_warnings = warnings;
                0
            }
            Err(problems) => problems,
        };
        self.reload = Some(Reload { at: SystemTime::now(), problems });
    }

    /// One line for the service manager and the administrator who asks it.
    pub fn line(&self, sources: &Sources, pipeline: &Pipeline) -> String {
        let degraded = match sources.degraded().join(", ") {
            none if none.is_empty() => String::new(),
            reasons => format!("DEGRADED ({reasons}); "),
        };
        let reloaded = match self.reload.as_ref().is_some_and(|reload| reload.problems > 0) {
            true => "the last reload was REFUSED, the configuration of before it stays in force; ",
            false => "",
        };
        let Stats { alerts, gaps, .. } = &pipeline.tally;
        // The longest comes last: the manager is told the beginning. Names of mount points are in it.
        let line = format!("{degraded}{reloaded}{alerts} alerts, {gaps} losses; watching: {}", sources.summary);
        escape::one_line(&line)
    }

    /// The document, with a line feed at its end.
    pub fn document(&self, sources: &Sources, pipeline: &Pipeline, outputs: &Outputs) -> String {
        let tally = &pipeline.tally;
        let counters = &sources.counters;
        let mut levels = Map::new();
        for (level, count) in Level::ALL.into_iter().zip(tally.levels) {
            levels.insert(level.as_str().into(), count.into());
        }
        let outputs = outputs.states().into_iter().map(|output| {
            json!({
                "name": escape::one_line(&output.name),
                "active": output.is_there,
                "waiting": output.waiting,
                "delivered": output.delivered,
                "dropped": output.dropped,
            })
        });
        let reload = self.reload.as_ref().map(|reload| {
            let result = if reload.problems == 0 { "loaded" } else { "refused" };
            json!({ "time": timestamp(reload.at), "result": result, "problems": reload.problems })
        });
        let mut guards = sources.guards.iter().chain(&pipeline.mounted);
        let is_marked = guards.any(|(guard, _)| matches!(guard.by, Guarded::Fanotify));
        let document = json!({
            "pyhookwatch": { "schema_version": SCHEMA_VERSION },
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "boot_id": std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| escape::one_line(id.trim())),
            "started": timestamp(self.started),
            "uptime_seconds": self.running_since.elapsed().as_secs(),
            "root": text(&self.settings.root),
            "backend": backend(self.settings.backend),
            "fanotify": { "active": is_marked, "reason": sources.refused.as_deref().map(escape::one_line) },
            "filesystems": self.filesystems(sources, pipeline),
            "inotify": inotify(sources),
            "evidence": sources.evidence.all().iter().map(evidence).collect::<Vec<_>>(),
            "rules": {
                "loaded": pipeline.rules.infos().count(),
                "warnings": self.rule_warnings,
                "last_reload": reload,
            },
            "counters": {
                "records": counters.records.load(Ordering::Relaxed),
                "unresolved": counters.vanished.load(Ordering::Relaxed),
                "alerts": tally.alerts,
                "alerts_by_level": levels,
                "excluded": tally.excluded,
                "repeated": tally.repeated,
                "losses": tally.gaps,
                "losses_by_cause": tally.causes,
            },
            "recent_alerts": tally.recent.iter().map(sample).collect::<Vec<_>>(),
            "recent_excluded": tally.silenced.iter().map(sample).collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
            "capacity": {
                "tracked_paths_full": pipeline.learned_is_full(),
                "directories_to_list": pipeline.unlisted(),
            },
        });
        format!("{document}\n")
    }

    /// Those of the start and those that came later, as far as they are still mounted.
    fn filesystems(&self, sources: &Sources, pipeline: &Pipeline) -> Vec<Value> {
        let mounted: Option<HashSet<(u32, u32)>> =
            mounts::read().ok().map(|all| all.into_iter().map(|mount| mount.device).collect());
        let is_there = |guard: &Guard| mounted.as_ref().is_none_or(|mounted| mounted.contains(&guard.device));
        let is_newer = |guard: &Guard| pipeline.mounted.iter().any(|(newer, _)| newer.device == guard.device);
        let first =
            sources.guards.iter().filter(|(guard, _)| !is_newer(guard)).map(|(guard, by_inotify)| (guard, *by_inotify));
        let later = pipeline.mounted.iter().map(|(guard, by_inotify)| (guard, *by_inotify));
        first
            .chain(later)
            .filter(|(guard, _)| is_there(guard))
            .map(|(guard, by_inotify)| filesystem(guard, by_inotify))
            .collect()
    }
}

fn filesystem(guard: &Guard, by_inotify: bool) -> Value {
    let (mechanism, reason) = match &guard.by {
        Guarded::Fanotify => (Mechanism::Fanotify, None),
        Guarded::ThroughUpper(upper) => (Mechanism::Fanotify, Some(format!("through {}", upper.display()))),
        Guarded::Refused(reason) if by_inotify => (Mechanism::Inotify, Some(format!("fanotify is refused ({reason})"))),
        Guarded::Refused(reason) => (Mechanism::Nothing, Some(format!("fanotify is refused ({reason})"))),
        Guarded::Remote => (Mechanism::Nothing, Some("a network filesystem, or one served by a process".into())),
    };
    json!({
        "mount_points": guard.mount_points.iter().map(|place| text(place)).collect::<Vec<_>>(),
        "fs_type": escape::one_line(&guard.fs_type),
        "device": format!("{}:{}", guard.device.0, guard.device.1),
        "mechanism": mechanism.as_str(),
        "reason": reason.map(|reason| escape::one_line(&reason)),
        "in_watch_trees": guard.holds_trees,
    })
}

fn inotify(sources: &Sources) -> Vec<Value> {
    let tree = |tree: crate::source::inotify::TreeReport| {
        let example = tree
            .examples
            .first()
            .map(|(path, reason)| json!({ "path": text(path), "reason": escape::one_line(reason) }));
        json!({ "tree": text(&tree.root), "watched": tree.watched, "failed": tree.failed, "example": example })
    };
    sources.watched_trees().into_iter().map(tree).collect()
}

/// One source of evidence; the same in the coverage.
pub fn evidence(source: &RecordSource) -> Value {
    let (available, detail) = match &source.available {
        Available::Full(detail) => ("full", detail.as_deref()),
        Available::Partly(reason) => ("partly", Some(reason.as_str())),
        Available::Missing(reason) => ("missing", Some(reason.as_str())),
    };
    json!({ "name": source.name, "available": available, "detail": detail.map(escape::one_line) })
}

fn sample(sample: &Sample) -> Value {
    let rules = sample
        .rules
        .iter()
        .map(|(name, by)| json!({ "name": escape::one_line(name), "decided_by": escape::one_line(by) }));
    json!({
        "time": timestamp(sample.time),
        "path": text(&sample.path),
        "executable": sample.executable.as_deref().map(text),
        "level": sample.level.map(Level::as_str),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn backend(backend: Backend) -> &'static str {
    crate::config::BACKENDS.iter().find(|(_, known)| *known == backend).map_or("", |(word, _)| word)
}

fn text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}
