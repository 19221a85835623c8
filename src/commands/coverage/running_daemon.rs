//! The running daemon, and whether its status agrees with the probe.

use super::filesystems::Filesystem;
use crate::commands::status;
use crate::config::StatusSocket;
use crate::daemon::status_report::{EvidenceStatus, StatusReport};
use crate::daemon::watch_plan::Probe;
use crate::source::Mechanism;
use crate::source::Settings;

/// See the module.
pub enum RunningDaemon {
    /// No daemon answered, for this reason.
    NotReached(String),
    /// It answered.
    Reached {
        /// Its process id.
        pid: u32,
        /// Where its status differs from the probe.
        differences: Vec<String>,
    },
}

impl RunningDaemon {
    /// One sentence for a person.
    pub fn words(&self) -> String {
        match self {
            Self::NotReached(reason) => format!("no running daemon was reached: {reason}"),
            Self::Reached { pid, differences } if differences.is_empty() => {
                format!("the running daemon (process {pid}) has the same")
            }
            Self::Reached { pid, differences } => {
                format!("the running daemon (process {pid}) DIFFERS: {}; restart it", differences.join("; "))
            }
        }
    }
}

/// Queries the daemon at the configured socket, and compares its status.
pub fn compare(socket: &StatusSocket, settings: &Settings, probe: &Probe, filesystems: &[Filesystem]) -> RunningDaemon {
    let Some(path) = socket.path(&settings.root) else {
        return RunningDaemon::NotReached("it has no status socket".into());
    };
    match status::query(path) {
        Err(error) => RunningDaemon::NotReached(error.reason),
        Ok(report) => RunningDaemon::Reached { pid: report.pid, differences: differences(&report, probe, filesystems) },
    }
}

fn differences(report: &StatusReport, probe: &Probe, filesystems: &[Filesystem]) -> Vec<String> {
    let mut differences = Vec::new();
    for mount in filesystems.iter().filter(|_| !probe.guards.is_empty()) {
        let device = format!("{}:{}", mount.guard.device.0, mount.guard.device.1);
        let reported = report.filesystems.iter().find(|reported| reported.device == device);
        let reported = reported.map_or(Mechanism::Nothing, |reported| reported.mechanism);
        if reported != mount.mechanism {
            let (reported, probed) = (reported.as_str(), mount.mechanism.as_str());
            differences.push(format!("{} by {reported}, not {probed}", mount.guard.mount_point().display()));
        }
    }
    for probed in probe.evidence.iter().map(EvidenceStatus::from) {
        let reported = report.evidence.iter().find(|reported| reported.name == probed.name);
        if let Some(reported) = reported.filter(|reported| reported.available != probed.available) {
            differences.push(format!("{}: {}", probed.name, reported.available.as_str()));
        }
    }
    differences
}
