//! The daemon under test and its alerts.

use crate::stage::{Stage, key_of};
use crate::watcher::{Watcher, patience};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a daemon has told so far.
#[derive(Default)]
pub struct Told {
    /// The alerts about each hook, by the key in its path.
    pub alerts: BTreeMap<String, Vec<Value>>,
    /// How often it reported a gap of each cause.
    pub gaps: BTreeMap<String, usize>,
}

impl Told {
    fn take(&mut self, line: &str) -> Option<String> {
        let alert: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if alert["event"]["kind"] != "alert" {
            *self.gaps.entry(alert["event"]["reason"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
            return None;
        }
        let key = key_of(alert["file"]["path"].as_str()?)?.to_owned();
        self.alerts.entry(key.clone()).or_default().push(alert);
        Some(key)
    }
}

/// A running daemon.
pub struct Daemon {
    /// The process.
    pub watcher: Watcher,
    told: Told,
}

impl Daemon {
    /// Starts it on the stage's root and waits until it is ready.
    pub fn start(stage: &Stage) -> Self {
        let configuration = stage.outside().join("pyhookwatch.toml");
        // The machine's own rules and configuration are kept out.
        std::fs::write(&configuration, "[rules]\ndirectories = []\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pyhookwatch"));
        command.args(["run", "--backend", "fanotify", "--output", "stdout", "--format", "ecs", "--config"]);
        command.arg(&configuration).arg("--root").arg(stage.root()).env_remove("JOURNAL_STREAM");
        let watcher = Watcher::start(command, |_| true);
        watcher.wait_for_error("pyhookwatch: ready:");
        Self { watcher, told: Told::default() }
    }

    /// Waits until each of these hooks has an alert, or nothing has come for long. Gives those without.
    pub fn wait_for(&mut self, keys: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut missing: BTreeSet<_> = keys.into_iter().filter(|key| !self.told.alerts.contains_key(key)).collect();
        while !missing.is_empty() {
            let Some(line) = self.watcher.next_within(patience()) else { break };
            if let Some(key) = self.told.take(&line) {
                missing.remove(&key);
            }
        }
        missing
    }

    /// Waits this long for a gap of this cause.
    pub fn reports_gap(&mut self, cause: &str, time: Duration) -> bool {
        let start = Instant::now();
        while !self.told.gaps.contains_key(cause) {
            let Some(rest) = time.checked_sub(start.elapsed()) else { return false };
            if let Some(line) = self.watcher.next_within(rest) {
                self.told.take(&line);
            }
        }
        true
    }

    /// Ends it well; gives all that it told.
    pub fn end(self) -> Told {
        let Self { watcher, mut told } = self;
        let (status, last) = watcher.end();
        assert!(status.success(), "it ended with {status}");
        last.iter().for_each(|line| drop(told.take(line)));
        told
    }
}
