//! Counts of alerts, exclusions and losses, for the status and the last log line of a run.

use crate::event::{Change, Level, LossCause, Writer};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::SystemTime;

/// Counts of a run. Never reset.
#[derive(Debug, Default)]
pub struct Stats {
    /// Alerts given to the outputs.
    pub alerts: u64,
    /// Alerts by their level, in the order of [`Level::ALL`].
    pub alerts_by_level: [u64; Level::ALL.len()],
    /// Changes without an alert because of an exclusion.
    pub excluded: u64,
    /// Changes that were reported before (a late close).
    pub repeated: u64,
    /// Losses reported.
    pub losses: u64,
    /// Losses by their cause.
    pub losses_by_cause: BTreeMap<LossCause, u64>,
    /// The last alerts.
    pub recent_alerts: Samples,
    /// The last excluded changes.
    pub recent_excluded: Samples,
}

impl Stats {
    /// Counts an alert.
    pub fn add_alert(&mut self, sample: Sample) {
        self.alerts += 1;
        if let Some(level) = sample.level {
            let slot = usize::from(level.severity()).saturating_sub(1);
            self.alerts_by_level.get_mut(slot).into_iter().for_each(|count| *count += 1);
        }
        self.recent_alerts.add(sample);
    }

    /// Counts an excluded change.
    pub fn add_excluded(&mut self, sample: Sample) {
        self.excluded += 1;
        self.recent_excluded.add(sample);
    }

    /// Counts a loss report.
    pub fn add_loss(&mut self, cause: LossCause) {
        self.losses += 1;
        *self.losses_by_cause.entry(cause).or_default() += 1;
    }
}

/// The last few changes of a kind.
#[derive(Debug, Default)]
pub struct Samples(VecDeque<Sample>);

impl Samples {
    const KEPT: usize = 16;

    fn add(&mut self, sample: Sample) {
        if self.0.len() >= Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }
}

/// One change for the status.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When its first event was read.
    pub time: SystemTime,
    /// The file.
    pub path: PathBuf,
    /// The writer's executable, where it is known.
    pub executable: Option<PathBuf>,
    /// The level of the alert; none for an excluded change.
    pub level: Option<Level>,
    /// Each rule that matched or was excluded: its title, and the selection or exclusion that decided.
    pub rules: Vec<(String, String)>,
}

impl Sample {
    /// Describes a change by this writer.
    pub fn new(change: &Change, writer: &Writer, level: Option<Level>, rules: Vec<(String, String)>) -> Self {
        let executable = writer.executable().map(|executable| executable.path.clone());
        Self { time: change.first.wall, path: change.file.path.clone(), executable, level, rules }
    }
}
