//! Collects the status of the running daemon from its parts.

use super::pipeline::Pipeline;
use super::sources::Sources;
use super::stats::{Sample, Stats};
use super::status_report::{
    Capacity, Counters, DecidedRule, EvidenceStatus, FailedWatch, FanotifyStatus, FilesystemStatus, InotifyTree,
    OutputStatus, RecentChange, Reload, ReloadResult, RulesStatus, StatusReport,
};
use crate::alert::ecs::timestamp;
use crate::alert::sink::{OutputState, Outputs};
use crate::config;
use crate::escape;
use crate::event::{DocumentHeader, Level};
use crate::source::inotify::TreeReport;
use crate::source::mounts;
use crate::source::{Backend, Guard, GuardStatus, Settings};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

/// Run-level facts that no other part keeps.
pub struct StatusCollector {
    settings: Settings,
    started: SystemTime,
    running_since: Instant,
    rule_warnings: usize,
    last_reload: Option<Reload>,
}

impl StatusCollector {
    /// For a run that begins now.
    pub fn new(settings: Settings, rule_warnings: usize) -> Self {
        Self { settings, started: SystemTime::now(), running_since: Instant::now(), rule_warnings, last_reload: None }
    }

    /// Records a reload: `Ok` has the number of warnings, `Err` that of problems.
    pub fn reloaded(&mut self, result: Result<usize, usize>) {
        let (result, problems) = match result {
            Ok(warnings) => {
                self.rule_warnings = warnings;
                (ReloadResult::Loaded, 0)
            }
            Err(problems) => (ReloadResult::Refused, problems),
        };
        self.last_reload = Some(Reload { time: timestamp(SystemTime::now()), result, problems });
    }

    /// One escaped line for `systemctl status`. The unbounded part comes last, because the notifier cuts long lines.
    pub fn systemd_status(&self, sources: &Sources, pipeline: &Pipeline) -> String {
        let degraded = match sources.degraded().join(", ") {
            none if none.is_empty() => String::new(),
            reasons => format!("DEGRADED ({reasons}); "),
        };
        let reload = if self.last_reload.as_ref().is_some_and(|reload| reload.result == ReloadResult::Refused) {
            "the last reload was REFUSED, the previous configuration stays in force; "
        } else {
            ""
        };
        let Stats { alerts, losses, .. } = &pipeline.stats;
        escape::one_line(&format!("{degraded}{reload}{alerts} alerts, {losses} losses; watching: {}", sources.summary))
    }

    /// The status at this moment.
    pub fn report(&self, sources: &Sources, pipeline: &Pipeline, outputs: &Outputs) -> StatusReport {
        let mut guards = sources.guards.iter().chain(&pipeline.later_guards);
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        StatusReport {
            pyhookwatch: DocumentHeader::default(),
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            boot_id: boot_id.map(|id| escape::one_line(id.trim())),
            started: timestamp(self.started),
            uptime_seconds: self.running_since.elapsed().as_secs(),
            root: path_text(&self.settings.root),
            backend: backend_word(self.settings.backend).into(),
            fanotify: FanotifyStatus {
                active: guards.any(Guard::is_marked),
                reason: sources.refused.as_deref().map(escape::one_line),
            },
            filesystems: filesystems(sources, pipeline),
            inotify: sources.watched_trees().iter().map(inotify_tree).collect(),
            evidence: sources.evidence.all().iter().map(EvidenceStatus::from).collect(),
            rules: RulesStatus {
                loaded: pipeline.rules.infos().count(),
                warnings: self.rule_warnings,
                last_reload: self.last_reload.clone(),
            },
            counters: counters(sources, &pipeline.stats),
            recent_alerts: pipeline.stats.recent_alerts.iter().map(recent_change).collect(),
            recent_excluded: pipeline.stats.recent_excluded.iter().map(recent_change).collect(),
            outputs: outputs.states().into_iter().map(output_status).collect(),
            capacity: Capacity {
                tracked_paths_full: pipeline.tracked_paths_full(),
                directories_to_list: pipeline.unlisted(),
            },
        }
    }
}

fn counters(sources: &Sources, stats: &Stats) -> Counters {
    let levels = Level::ALL.iter().copied().zip(stats.alerts_by_level);
    Counters {
        records: sources.counters.records.load(Ordering::Relaxed),
        unresolved: sources.counters.unresolved.load(Ordering::Relaxed),
        alerts: stats.alerts,
        alerts_by_level: levels.collect(),
        excluded: stats.excluded,
        repeated: stats.repeated,
        losses: stats.losses,
        losses_by_cause: stats.losses_by_cause.clone(),
    }
}

/// Filesystems marked at the start or later that are still mounted. A later guard replaces that of the start.
fn filesystems(sources: &Sources, pipeline: &Pipeline) -> Vec<FilesystemStatus> {
    let mounted: Option<HashSet<(u32, u32)>> =
        mounts::read().ok().map(|all| all.into_iter().map(|mount| mount.device).collect());
    let is_mounted = |guard: &Guard| mounted.as_ref().is_none_or(|mounted| mounted.contains(&guard.device));
    let is_replaced = |guard: &Guard| pipeline.later_guards.iter().any(|later| later.device == guard.device);
    let of_start = sources.guards.iter().filter(|guard| !is_replaced(guard));
    let current = of_start.chain(&pipeline.later_guards).filter(|guard| is_mounted(guard));
    current.map(|guard| filesystem_status(guard, sources.holds_watch_trees(guard))).collect()
}

fn filesystem_status(guard: &Guard, in_watch_trees: bool) -> FilesystemStatus {
    let GuardStatus { mechanism, reason } = guard.status();
    FilesystemStatus {
        mount_points: guard.mount_points.iter().map(|mount_point| path_text(mount_point)).collect(),
        fs_type: escape::one_line(&guard.fs_type),
        device: format!("{}:{}", guard.device.0, guard.device.1),
        mechanism,
        reason: reason.map(|reason| escape::one_line(&reason)),
        in_watch_trees,
    }
}

fn inotify_tree(tree: &TreeReport) -> InotifyTree {
    let example = tree.examples.first();
    InotifyTree {
        tree: path_text(&tree.root),
        watched: tree.watched,
        failed: tree.failed,
        example: example.map(|(path, reason)| FailedWatch { path: path_text(path), reason: escape::one_line(reason) }),
    }
}

fn output_status(output: OutputState) -> OutputStatus {
    OutputStatus {
        name: escape::one_line(&output.name),
        active: output.is_there,
        waiting: output.waiting,
        delivered: output.delivered,
        dropped: output.dropped,
    }
}

fn recent_change(sample: &Sample) -> RecentChange {
    let rule = |(name, decided_by): &(String, String)| DecidedRule {
        name: escape::one_line(name),
        decided_by: escape::one_line(decided_by),
    };
    RecentChange {
        time: timestamp(sample.time),
        path: path_text(&sample.path),
        executable: sample.executable.as_deref().map(path_text),
        level: sample.level,
        rules: sample.rules.iter().map(rule).collect(),
    }
}

fn backend_word(backend: Backend) -> &'static str {
    config::BACKENDS.iter().find(|(_, known)| *known == backend).map_or("", |(word, _)| word)
}

fn path_text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}
