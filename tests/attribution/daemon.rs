//! The daemon and its alerts about the writes of the gate.

use crate::support::{DaemonUnderTest, PROGRAM, ScratchTree, patience};
use crate::tree::key_of;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// What a daemon has reported so far.
#[derive(Default)]
pub struct Reported {
    /// The alerts about each hook, by the key in its path.
    pub alerts: BTreeMap<String, Vec<Value>>,
    /// How often it reported a loss of each cause.
    pub losses: BTreeMap<String, usize>,
}

impl Reported {
    /// Adds a line of output; returns the key of an alert.
    fn add(&mut self, line: &str) -> Option<String> {
        let alert: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        if alert["event"]["kind"] != "alert" {
            *self.losses.entry(alert["event"]["reason"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
            return None;
        }
        let key = key_of(alert["file"]["path"].as_str()?)?.to_owned();
        self.alerts.entry(key.clone()).or_default().push(alert);
        Some(key)
    }
}

/// A running daemon, and what it has reported.
pub struct RecordingDaemon {
    daemon: DaemonUnderTest,
    reported: Reported,
}

impl RecordingDaemon {
    /// Starts it on the tree's root and waits until it is ready.
    pub fn start(tree: &ScratchTree) -> Self {
        // The machine's own rules and configuration are not used.
        let configuration = tree.file("outside/pyhookwatch.toml", "[rules]\ndirectories = []\n");
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--backend", "fanotify", "--output", "stdout", "--format", "ecs", "--config"]);
        command.arg(&configuration).arg("--root").arg(tree.root());
        Self { daemon: DaemonUnderTest::start(command), reported: Reported::default() }
    }

    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    pub fn hold(&self) {
        self.daemon.process.hold();
    }

    /// Continues it.
    pub fn resume(&self) {
        self.daemon.process.resume();
    }

    /// Adds the next line that comes in this time; returns the key of an alert. `Ok(None)` for a line of another kind.
    fn add_next(&mut self, time: Duration) -> Result<Option<String>, RecvTimeoutError> {
        match self.daemon.output().next_within(time) {
            Ok(line) => Ok(self.reported.add(&line)),
            Err(RecvTimeoutError::Disconnected) => panic!("the daemon ended:\n{}", self.daemon.stderr.so_far()),
            Err(timeout) => Err(timeout),
        }
    }

    /// Waits until each of these hooks has an alert, or nothing has come for long. Returns those without.
    pub fn wait_for(&mut self, keys: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut missing: BTreeSet<_> = keys.into_iter().filter(|key| !self.reported.alerts.contains_key(key)).collect();
        while !missing.is_empty() {
            match self.add_next(patience()) {
                Ok(Some(key)) => drop(missing.remove(&key)),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        missing
    }

    /// Whether it reports a loss of this cause within this time.
    pub fn reports_loss(&mut self, cause: &str, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while !self.reported.losses.contains_key(cause) {
            if self.add_next(deadline.saturating_duration_since(Instant::now())).is_err() {
                return false;
            }
        }
        true
    }

    /// Ends it, which must succeed; returns all that it reported.
    pub fn end(self) -> Reported {
        let Self { mut daemon, mut reported } = self;
        daemon.process.signal(rustix::process::Signal::TERM);
        daemon.output().rest().iter().for_each(|line| drop(reported.add(line)));
        let (status, messages) = daemon.end();
        assert!(status.success(), "it ended with {status}: {messages:#?}");
        reported
    }
}
