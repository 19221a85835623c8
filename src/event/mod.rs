//! The plain values that travel from stage to stage.
//!
//! Nothing here reads, decides or formats. Paths, names, command lines and the kernel's `comm` are
//! bytes chosen by whoever made the change; they stay bytes (`PathBuf`, `Vec<u8>`) until
//! [`crate::escape`] makes them printable.

mod change;
mod document;
mod hook;
mod loss;
pub(crate) mod words;
mod writer;

pub use change::{Action, Change, FileEvent, FileRef, Interest, Seen};
pub use document::{DocumentHeader, SCHEMA_VERSION};
pub use hook::{
    ContentClass, ContentReport, EnvironmentSetting, FileFacts, FileState, Hook, HookForm, HookKind, HookLocation,
    HookPath, Provenance, Signal, Signals,
};
pub use loss::{LossCause, LossReport};
pub use words::UnknownWord;
pub use writer::{
    Candidate, Confidence, Credentials, Doubt, Evidence, Executable, FileId, HandleName, LivingAncestor, Locate,
    Process, Script, Writer,
};

use std::sync::Arc;
use words::words;

words! {
    /// Sigma's levels, in order.
    Level {
        /// For context only.
        Informational = "informational",
        /// Low.
        Low = "low",
        /// Medium.
        Medium = "medium",
        /// High.
        High = "high",
        /// Critical.
        Critical = "critical",
    }
}

impl Level {
    /// `event.severity`: 1 (informational) to 5 (critical).
    pub fn severity(self) -> u8 {
        match self {
            Level::Informational => 1,
            Level::Low => 2,
            Level::Medium => 3,
            Level::High => 4,
            Level::Critical => 5,
        }
    }
}

/// What identifies a rule, in verdicts, alerts and `explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInfo {
    /// Unique id; a rule of the same id loaded later replaces it.
    pub id: String,
    /// The rule's title (ECS `rule.name`).
    pub name: String,
    /// `elastic`, `sumo`, `pyhookwatch`, or the directory's name for a site's own (ECS `rule.ruleset`).
    pub ruleset: String,
    /// Sigma level.
    pub level: Level,
    /// It judges by names alone (`baseline: true`): where a rule that knows more matches too, that one's level is the
    /// alert's.
    pub is_baseline: bool,
    /// 0 to 100.
    pub risk_score: u8,
    /// What it is about.
    pub description: String,
    /// Links.
    pub references: Vec<String>,
    /// Sigma tags, e.g. `attack.t1546.018`.
    pub tags: Vec<String>,
    /// File the rule came from, or `embedded`.
    pub origin: String,
}

/// A rule that matched.
#[derive(Clone, Debug)]
pub struct Match {
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// What it calls the finding, e.g. `PTH_FILE_CREATED`.
    pub detection_type: String,
    /// The selections that settled it.
    pub decided_by: String,
    /// An exclusion of the rule matched but did not count: its name, and why.
    pub exclusion_not_applied: Option<(String, Doubt)>,
}

/// A rule that would have matched but for an exclusion that counts.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// The filter that excluded.
    pub decided_by: String,
}

/// What the rules say of one change.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Matching rules: those that are no baseline first, then by level, highest first.
    pub matches: Vec<Match>,
    /// Rules silenced by an exclusion.
    pub excluded: Vec<Exclusion>,
}

impl Verdict {
    /// Adds what was found for another writer of the same change: a rule that matches for anybody
    /// matches.
    pub fn add(&mut self, other: Verdict) {
        for found in other.matches {
            if !self.matches.iter().any(|known| known.rule.id == found.rule.id) {
                self.matches.push(found);
            }
        }
        self.sort();
        self.excluded.retain(|excluded| !self.matches.iter().any(|found| found.rule.id == excluded.rule.id));
    }

    /// The level of the change: the highest of the matching rules, and of a baseline only where nothing else matches.
    pub fn level(&self) -> Option<Level> {
        let found = |baseline: bool| self.matches.iter().filter(move |found| found.rule.is_baseline == baseline);
        let highest = |matches: &mut dyn Iterator<Item = &Match>| matches.map(|found| found.rule.level).max();
        highest(&mut found(false)).or_else(|| highest(&mut found(true)))
    }

    /// Puts the matches into their order.
    pub fn sort(&mut self) {
        self.matches.sort_by_key(|found| (found.rule.is_baseline, std::cmp::Reverse(found.rule.level)));
    }
}
