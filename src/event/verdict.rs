//! What the rules decide about a change.

use super::Doubt;
use super::words::words;
use std::sync::Arc;

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
    /// It judges by names alone (`baseline: true`): the level of another matching rule takes precedence.
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
    /// The rule's name for the finding, e.g. `PTH_FILE_CREATED`.
    pub detection_type: String,
    /// The selections that settled it, comma separated.
    pub decided_by: String,
    /// The exclusion that would have suppressed the match, had it counted.
    pub exclusion_not_applied: Option<DeniedExclusion>,
}

/// An exclusion of the writer that did not count.
#[derive(Clone, Debug)]
pub struct DeniedExclusion {
    /// The filters, comma separated.
    pub filter: String,
    /// Why it did not count.
    pub doubt: Doubt,
}

/// A rule that an exclusion of the writer suppressed.
#[derive(Clone, Debug)]
pub struct ExcludedRule {
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// The filters that excluded, comma separated.
    pub decided_by: String,
}

/// The judgement of one change by all rules.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Matching rules: those that are no baseline first, then by level, highest first.
    pub matches: Vec<Match>,
    /// Rules that an exclusion suppressed.
    pub excluded: Vec<ExcludedRule>,
    /// The level of the change; `None` where no rule matches.
    pub level: Option<Level>,
    /// The risk of the change, 0 to 100.
    pub risk_score: u8,
}
