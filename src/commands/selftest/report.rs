//! The result of a self-test as one JSON document: an interface, described field by field in `docs/selftest.md`.
//! `coverage` reads the document of a self-test that it starts.

use crate::commands::exit::Exit;
use crate::event::{DocumentHeader, Level};
use crate::source::Mechanism;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole document. Every text is escaped for printing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTestReport {
    /// Schema version.
    pub pyhookwatch: DocumentHeader,
    /// Version of this program.
    pub version: String,
    /// The number of cases with each outcome.
    pub summary: BTreeMap<Outcome, usize>,
    /// The missing privilege, without which most cases cannot run.
    pub no_permission: Option<String>,
    /// The running daemon of this machine, if it answers.
    pub daemon: Option<DaemonAlerts>,
    /// Time from the start to the end.
    pub duration_ms: u64,
    /// The result of each test case, in the order of the run.
    pub cases: Vec<CaseResult>,
}

/// What the running daemon reported of the planted hooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonAlerts {
    /// Its process id.
    pub pid: u32,
    /// Alerts on planted hooks among its recent alerts.
    pub alerts: usize,
    /// Their highest level.
    pub highest_level: Option<Level>,
}

/// The result of one test case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Its word, listed in `docs/selftest.md`.
    pub name: String,
    /// The same for a person.
    pub description: String,
    /// Type of the filesystem.
    pub fs_type: Option<String>,
    /// How the filesystem is watched.
    pub mechanism: Mechanism,
    /// The outcome.
    pub outcome: Outcome,
    /// Time from the writer's last system call to the line of the alert.
    pub latency_ms: Option<f64>,
    /// The writer in the alert.
    pub writer: Option<NamedWriter>,
    /// Why the case did not simply pass.
    pub reason: Option<String>,
}

/// The writer that an alert named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedWriter {
    /// Its executable, if the alert names one.
    pub executable: Option<String>,
    /// The evidence for it, as in the alert.
    pub evidence: String,
    /// Whether it is the process that wrote. `None`: the alert names no process.
    pub correct: Option<bool>,
}

/// The outcome of a test case, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// `coverage` claims that the place is watched, but the alert is missing or wrong.
    Failed,
    /// Detected with less than the full evidence, and `coverage` claims no more.
    Degraded,
    /// Not possible on this machine.
    NotTried,
    /// Detected, with the writer if the mechanism can name one.
    Passed,
}

impl Outcome {
    /// Every outcome, the worst first.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Degraded, Self::NotTried, Self::Passed];
}

impl CaseResult {
    /// A case that did not run to its end.
    pub fn without_alert(name: &str, description: &str, outcome: Outcome, reason: &str) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            fs_type: None,
            mechanism: Mechanism::Nothing,
            outcome,
            latency_ms: None,
            writer: None,
            reason: Some(crate::escape::one_line(reason)),
        }
    }
}

/// How many cases have each outcome.
pub fn summary(cases: &[CaseResult]) -> BTreeMap<Outcome, usize> {
    let count = |outcome| cases.iter().filter(|case| case.outcome == outcome).count();
    Outcome::ALL.into_iter().map(|outcome| (outcome, count(outcome))).collect()
}

impl SelfTestReport {
    /// The number of cases with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.summary.get(&outcome).copied().unwrap_or_default()
    }

    /// The exit code. A test in which nothing passed shows nothing, so it does not succeed.
    pub fn exit(&self) -> Exit {
        if self.count(Outcome::Failed) > 0 || self.count(Outcome::Passed) == 0 {
            Exit::Finding
        } else if self.no_permission.is_some() {
            Exit::NoPermission
        } else {
            Exit::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of cases with these outcomes.
    fn report(outcomes: &[Outcome]) -> SelfTestReport {
        let case = |outcome: &Outcome| CaseResult::without_alert("root", "", *outcome, "");
        let cases: Vec<CaseResult> = outcomes.iter().map(case).collect();
        SelfTestReport {
            pyhookwatch: DocumentHeader::default(),
            version: "1.2.3".into(),
            summary: summary(&cases),
            no_permission: None,
            daemon: None,
            duration_ms: 0,
            cases,
        }
    }

    #[test]
    fn a_test_in_which_no_case_ran_does_not_pass() {
        let exit = |outcomes: &[Outcome]| report(outcomes).exit();
        assert_eq!(exit(&[Outcome::Passed, Outcome::NotTried, Outcome::Degraded]), Exit::Fine);
        assert_eq!(exit(&[Outcome::Passed, Outcome::Failed]), Exit::Finding);
        assert_eq!(exit(&[Outcome::NotTried; 3]), Exit::Finding);
        assert_eq!(exit(&[]), Exit::Finding);
    }

    #[test]
    fn the_words_of_the_outcomes_are_the_keys_of_the_summary() {
        let document = serde_json::to_value(report(&[Outcome::NotTried])).unwrap();
        let keys: Vec<_> = document["summary"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["failed", "degraded", "not-tried", "passed"]);
        assert_eq!(document["cases"][0]["outcome"], "not-tried");
    }
}
