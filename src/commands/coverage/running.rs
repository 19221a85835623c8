//! The daemon that runs here, if one does, and whether it has what was found out.

use super::Filesystem;
use crate::commands::at;
use crate::commands::status;
use crate::config::StatusSocket;
use crate::daemon::placing::Probe;
use crate::daemon::standing;
use crate::escape;
use crate::source::Settings;
use serde_json::Value;

/// See the module.
pub enum Running {
    /// Nobody answered, for this reason.
    NotReached(String),
    /// It answered.
    Reached {
        /// Its process id.
        pid: u64,
        /// Where it has something else than was found out.
        differences: Vec<String>,
    },
}

impl Running {
    /// One sentence.
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

/// Asks it, where it should be.
pub fn ask(socket: &StatusSocket, settings: &Settings, probe: &Probe, filesystems: &[Filesystem]) -> Running {
    let Some(path) = socket.path(&settings.root) else {
        return Running::NotReached("it has no status socket".into());
    };
    match status::ask(path) {
        Err(no_answer) => Running::NotReached(no_answer.reason),
        Ok(document) => {
            let pid = at(&document, "pid").as_u64().unwrap_or_default();
            Running::Reached { pid, differences: differences(&document, probe, filesystems) }
        }
    }
}

fn differences(document: &Value, probe: &Probe, filesystems: &[Filesystem]) -> Vec<String> {
    let list = |key: &str| at(document, key).as_array().map(Vec::as_slice).unwrap_or_default();
    let mut differences = Vec::new();
    for mount in filesystems.iter().filter(|_| !probe.guards.is_empty()) {
        let device = format!("{}:{}", mount.guard.device.0, mount.guard.device.1);
        let told = list("filesystems").iter().find(|told| at(told, "device").as_str() == Some(device.as_str()));
        let told = told.and_then(|told| at(told, "mechanism").as_str()).unwrap_or("nothing");
        if told != mount.mechanism.as_str() {
            differences.push(format!("{} by {told}, not {}", mount.guard.place(), mount.mechanism.as_str()));
        }
    }
    for source in &probe.evidence {
        let found = standing::evidence(source);
        let told = list("evidence").iter().find(|told| at(told, "name") == at(&found, "name"));
        if let Some(told) = told.filter(|told| at(told, "available") != at(&found, "available")) {
            let word = at(told, "available").as_str().unwrap_or("unknown");
            differences.push(format!("{}: {}", source.name, escape::one_line(word)));
        }
    }
    differences
}
