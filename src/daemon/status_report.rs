//! The daemon's status as one JSON document: an interface, described field by field in `docs/status.md`.
//!
//! The daemon serialises a [`StatusReport`] to its status socket; `status`, `coverage` and the self-test deserialise
//! the same type. A reader ignores fields that it does not know. Every text is escaped for printing.

use crate::escape;
use crate::event::{DocumentHeader, Level, LossCause};
use crate::source::Mechanism;
use crate::writer::{Available, RecordSource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Schema version.
    pub pyhookwatch: DocumentHeader,
    /// Version of the daemon.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Identifier of this boot; pids and sequence numbers of alerts are unique within it.
    pub boot_id: Option<String>,
    /// Start of the daemon, RFC 3339.
    pub started: String,
    /// Time since then.
    pub uptime_seconds: u64,
    /// The directory that is treated as `/`.
    pub root: String,
    /// The configured backend: `auto`, `fanotify` or `inotify`.
    pub backend: String,
    /// State of fanotify as a whole.
    pub fanotify: FanotifyStatus,
    /// The mounted filesystems below the root.
    pub filesystems: Vec<FilesystemStatus>,
    /// The trees that inotify watches.
    pub inotify: Vec<InotifyTree>,
    /// The sources of records about processes.
    pub evidence: Vec<EvidenceStatus>,
    /// The rules in force.
    pub rules: RulesStatus,
    /// Numbers since the start.
    pub counters: Counters,
    /// The last 16 alerts, oldest first.
    pub recent_alerts: Vec<RecentChange>,
    /// The last 16 changes without an alert because of an exclusion, oldest first.
    pub recent_excluded: Vec<RecentChange>,
    /// The outputs.
    pub outputs: Vec<OutputStatus>,
    /// How full bounded tables are.
    pub capacity: Capacity,
}

/// State of fanotify as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FanotifyStatus {
    /// At least one filesystem is marked.
    pub active: bool,
    /// The kernel's reason for a refusal.
    pub reason: Option<String>,
}

/// One filesystem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilesystemStatus {
    /// Where it is mounted.
    pub mount_points: Vec<String>,
    /// Its type.
    pub fs_type: String,
    /// `MAJOR:MINOR`.
    pub device: String,
    /// How it is watched.
    pub mechanism: Mechanism,
    /// Why it is watched in that way, or not at all.
    pub reason: Option<String>,
    /// Python's directories can be on it.
    pub in_watch_trees: bool,
}

/// One tree that inotify watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InotifyTree {
    /// Its top directory.
    pub tree: String,
    /// Directories with a watch.
    pub watched: usize,
    /// Directories without one.
    pub failed: usize,
    /// One of these.
    pub example: Option<FailedWatch>,
}

/// A directory that could not get a watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedWatch {
    /// The directory.
    pub path: String,
    /// The kernel's reason.
    pub reason: String,
}

/// One source of records about processes. `coverage` prints the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceStatus {
    /// Its word, listed in `docs/coverage.md`.
    pub name: String,
    /// Whether it works.
    pub available: Availability,
    /// What is missing, or worth knowing.
    pub detail: Option<String>,
}

/// Whether a source of records works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// It works.
    Full,
    /// It works with restrictions.
    Partly,
    /// It does not work.
    Missing,
}

impl Availability {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partly => "partly",
            Self::Missing => "missing",
        }
    }
}

impl From<&RecordSource> for EvidenceStatus {
    fn from(source: &RecordSource) -> Self {
        let (available, detail) = match &source.available {
            Available::Full(detail) => (Availability::Full, detail.as_deref()),
            Available::Partly(reason) => (Availability::Partly, Some(reason.as_str())),
            Available::Missing(reason) => (Availability::Missing, Some(reason.as_str())),
        };
        Self { name: source.name.to_owned(), available, detail: detail.map(escape::one_line) }
    }
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulesStatus {
    /// Their number.
    pub loaded: usize,
    /// Warnings about configuration and rules when they were loaded.
    pub warnings: usize,
    /// The last SIGHUP, if there was one.
    pub last_reload: Option<Reload>,
}

/// The outcome of a SIGHUP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// When it came, RFC 3339.
    pub time: String,
    /// Whether the new configuration is in force.
    pub result: ReloadResult,
    /// Mistakes in the refused configuration.
    pub problems: usize,
}

/// Whether a reload took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadResult {
    /// The new configuration and rules are in force.
    Loaded,
    /// The old ones stay in force.
    Refused,
}

/// Numbers since the start of the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Records read from the kernel.
    pub records: u64,
    /// Changes whose path was gone before it could be resolved.
    pub unresolved: u64,
    /// Alerts given to the outputs.
    pub alerts: u64,
    /// The same by level.
    pub alerts_by_level: BTreeMap<Level, u64>,
    /// Changes without an alert because of an exclusion.
    pub excluded: u64,
    /// Changes that had been alerted already.
    pub repeated: u64,
    /// Loss reports.
    pub losses: u64,
    /// The same by cause.
    pub losses_by_cause: BTreeMap<LossCause, u64>,
}

/// One change, in a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentChange {
    /// When the kernel reported it, RFC 3339.
    pub time: String,
    /// The changed file.
    pub path: String,
    /// The writer's executable, if known.
    pub executable: Option<String>,
    /// Level of the alert; none for an excluded change.
    pub level: Option<Level>,
    /// The rules that matched or were excluded.
    pub rules: Vec<DecidedRule>,
}

/// A rule that matched a change, or that an exclusion suppressed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecidedRule {
    /// Its title.
    pub name: String,
    /// The selection or exclusion that decided.
    pub decided_by: String,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// Its type and target, such as `syslog /dev/log`.
    pub name: String,
    /// It has not failed for good.
    pub active: bool,
    /// Alerts in its queue.
    pub waiting: usize,
    /// Alerts delivered.
    pub delivered: u64,
    /// Alerts dropped because the queue was full.
    pub dropped: u64,
}

/// How full bounded tables are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// A module or directory that a hook leads to could not be added: its changes raise no alert.
    pub tracked_paths_full: bool,
    /// Renamed directories that wait to be listed.
    pub directories_to_list: usize,
}

#[cfg(test)]
pub(crate) mod tests;
