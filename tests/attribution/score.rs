//! Judges what was said of one write.

use serde_json::Value;
use std::collections::BTreeMap;

/// What is true of one write.
pub struct Truth {
    /// The executable that wrote; several paths where one file has several.
    pub executables: Vec<String>,
    /// Those that its parent may be.
    pub parents: Vec<String>,
    /// The process, where it is known.
    pub pid: Option<u32>,
    /// The executable is not this host's file at that path: it must be called foreign, and no rule
    /// may be silenced for it.
    pub is_foreign: bool,
}

/// The answer to one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The executable was named.
    Right,
    /// None was named.
    Unknown,
    /// Something untrue was said.
    Wrong(String),
}

/// Judges one alert.
pub fn judge(alert: &Value, truth: &Truth) -> Verdict {
    let writer = &alert["pyhookwatch"]["writer"];
    let is_true = |path: &str| truth.executables.iter().any(|right| right == path);
    let mut untrue = Vec::new();
    let executable = alert["process"]["executable"].as_str();
    let others = writer["other_writers"].as_array().map(Vec::as_slice).unwrap_or_default();
    untrue.extend(executable.filter(|path| !is_true(path)).map(|path| format!("names {path}")));
    let others = others.iter().filter_map(|other| other["executable"].as_str());
    untrue.extend(others.filter(|path| !is_true(path)).map(|path| format!("names {path} among others")));
    let parent = alert["process"]["parent"]["executable"].as_str();
    let is_parent = |path: &&str| is_true(path) || truth.parents.iter().any(|right| right == path);
    untrue.extend(parent.filter(|path| !is_parent(path)).map(|path| format!("names the parent {path}")));
    let pid = alert["process"]["pid"].as_u64();
    if let (Some(said), Some(right)) = (pid, truth.pid)
        && said != u64::from(right)
    {
        untrue.push(format!("pid {said} was {right}"));
    }
    let evidence = writer["evidence"].as_str().unwrap_or("no evidence");
    if executable.is_some() && ["unknown", "unavailable", "no evidence"].contains(&evidence) {
        untrue.push(format!("names an executable with {evidence}"));
    }
    if truth.is_foreign {
        let excluded = alert["pyhookwatch"]["excluded"].as_array().is_some_and(|rules| !rules.is_empty());
        if excluded {
            untrue.push("is silenced for a rule".into());
        }
        if executable.is_some() && writer["executable_is_hosts"] != false {
            untrue.push("is taken for the host's file".into());
        }
        let rules = alert["pyhookwatch"]["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
        if executable.is_some() && !rules.iter().any(|rule| rule["ruleset"] == "elastic") {
            untrue.push("does not match the rule that wants a known executable".into());
        }
    }
    match (untrue.is_empty(), executable) {
        (false, _) => Verdict::Wrong(format!("{}: {} ({evidence})", alert["file"]["path"], untrue.join(", "))),
        (true, None) => Verdict::Unknown,
        (true, Some(_)) => Verdict::Right,
    }
}

/// Judges all alerts of one write: the worst counts. `None` when there is no alert.
pub fn judge_all(alerts: &[Value], truth: &Truth) -> Option<Verdict> {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Right => 0,
        Verdict::Unknown => 1,
        Verdict::Wrong(_) => 2,
    };
    alerts.iter().map(|alert| judge(alert, truth)).max_by_key(rank)
}

/// The verdicts of many writes.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// How many were named rightly.
    pub right: usize,
    /// How many were not named.
    pub unknown: usize,
    /// How many were named wrongly.
    pub wrong: usize,
    /// How many were not reported at all.
    pub lost: usize,
    /// How often each word of evidence was seen.
    pub evidence: BTreeMap<String, usize>,
    /// The first things that went wrong.
    pub examples: Vec<String>,
}

impl Score {
    /// Adds the verdict about one write; `None` when it was not reported.
    pub fn add(&mut self, key: &str, verdict: Option<Verdict>) {
        let mut example = None;
        match verdict {
            Some(Verdict::Right) => self.right += 1,
            Some(Verdict::Unknown) => self.unknown += 1,
            Some(Verdict::Wrong(why)) => {
                self.wrong += 1;
                example = Some(why);
            }
            None => {
                self.lost += 1;
                example = Some(format!("{key}: no alert"));
            }
        }
        self.examples.extend(example.filter(|_| self.examples.len() < 3));
    }

    /// Counts the evidence of an alert.
    pub fn add_evidence(&mut self, alert: &Value) {
        let word = alert["pyhookwatch"]["writer"]["evidence"].as_str().unwrap_or("none");
        *self.evidence.entry(word.to_owned()).or_default() += 1;
    }

    /// Adds the numbers of others.
    pub fn add_all(&mut self, other: &Score) {
        self.right += other.right;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.lost += other.lost;
    }

    /// All writes.
    pub fn writes(&self) -> usize {
        self.right + self.unknown + self.wrong + self.lost
    }

    /// The named share in percent, rounded down: 100 only when all were.
    pub fn percent(&self) -> usize {
        (self.right * 100).checked_div(self.writes()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn truth() -> Truth {
        let parents = vec!["/usr/bin/dash".into()];
        Truth { executables: vec!["/usr/bin/cp".into()], parents, pid: Some(7), is_foreign: false }
    }

    fn alert(executable: Option<&str>, pid: u32, evidence: &str) -> Value {
        let mut alert = json!({
            "file": { "path": "/x.pth" },
            "process": { "pid": pid },
            "pyhookwatch": { "rules": [{ "ruleset": "sumo" }], "writer": { "evidence": evidence } },
        });
        if let Some(path) = executable {
            alert["process"]["executable"] = path.into();
        }
        alert
    }

    fn is_wrong(alert: &Value, truth: &Truth) -> bool {
        matches!(judge(alert, truth), Verdict::Wrong(_))
    }

    #[test]
    fn the_true_name_is_right_and_no_name_is_unknown() {
        assert_eq!(judge(&alert(Some("/usr/bin/cp"), 7, "exit-record"), &truth()), Verdict::Right);
        assert_eq!(judge(&alert(None, 7, "unknown"), &truth()), Verdict::Unknown);
        assert_eq!(judge(&json!({ "file": { "path": "/x.pth" } }), &truth()), Verdict::Unknown);
    }

    #[test]
    fn another_name_is_wrong_whatever_the_evidence() {
        for evidence in ["proc", "exit-record", "exec-record", "fork-lineage", "unknown"] {
            assert!(is_wrong(&alert(Some("/usr/bin/mv"), 7, evidence), &truth()));
        }
        assert!(is_wrong(&alert(Some("/usr/bin/cp2"), 7, "proc"), &truth()));
    }

    #[test]
    fn another_process_is_wrong_also_without_a_name() {
        assert!(is_wrong(&alert(Some("/usr/bin/cp"), 8, "proc"), &truth()));
        assert!(is_wrong(&alert(None, 8, "unknown"), &truth()));
    }

    #[test]
    fn a_name_without_evidence_is_wrong() {
        assert!(is_wrong(&alert(Some("/usr/bin/cp"), 7, "unknown"), &truth()));
    }

    #[test]
    fn a_wrong_name_among_the_others_is_wrong() {
        let mut alert = alert(Some("/usr/bin/cp"), 7, "proc");
        alert["pyhookwatch"]["writer"]["other_writers"] = json!([{ "executable": "/usr/bin/mv" }]);
        assert!(is_wrong(&alert, &truth()));
    }

    #[test]
    fn a_wrong_name_of_the_parent_is_wrong() {
        let mut alert = alert(Some("/usr/bin/cp"), 7, "proc");
        alert["process"]["parent"]["executable"] = "/usr/bin/dash".into();
        assert_eq!(judge(&alert, &truth()), Verdict::Right);
        alert["process"]["parent"]["executable"] = "/usr/bin/mv".into();
        assert!(is_wrong(&alert, &truth()));
    }

    #[test]
    fn the_worst_alert_of_one_write_counts() {
        let alerts = [alert(Some("/usr/bin/mv"), 7, "proc"), alert(Some("/usr/bin/cp"), 7, "proc")];
        assert!(matches!(judge_all(&alerts, &truth()), Some(Verdict::Wrong(_))));
        assert_eq!(judge_all(&alerts[1..], &truth()), Some(Verdict::Right));
        assert_eq!(judge_all(&[], &truth()), None);
    }

    #[test]
    fn a_foreign_executable_must_be_called_so_and_silences_nothing() {
        let executables = vec!["/usr/local/bin/pip3".into()];
        let truth = Truth { executables, parents: Vec::new(), pid: None, is_foreign: true };
        let mut alert = alert(Some("/usr/local/bin/pip3"), 7, "proc");
        alert["pyhookwatch"]["rules"] = json!([{ "ruleset": "sumo" }, { "ruleset": "elastic" }]);
        assert!(is_wrong(&alert, &truth));
        alert["pyhookwatch"]["writer"]["executable_is_hosts"] = false.into();
        assert_eq!(judge(&alert, &truth), Verdict::Right);
        alert["pyhookwatch"]["excluded"] = json!([{ "ruleset": "elastic" }]);
        assert!(is_wrong(&alert, &truth));
        alert["pyhookwatch"]["excluded"] = json!([]);
        alert["pyhookwatch"]["rules"] = json!([{ "ruleset": "sumo" }]);
        assert!(is_wrong(&alert, &truth));
        assert_eq!(judge(&self::alert(None, 7, "unknown"), &truth), Verdict::Unknown);
    }

    #[test]
    fn a_write_without_an_alert_is_lost_and_a_wrong_one_is_counted() {
        let mut tally = Score::default();
        tally.add("a", Some(Verdict::Right));
        tally.add("b", None);
        tally.add("c", judge_all(&[alert(Some("/usr/bin/mv"), 7, "proc")], &truth()));
        tally.add("d", Some(Verdict::Unknown));
        assert_eq!((tally.right, tally.unknown, tally.wrong, tally.lost), (1, 1, 1, 1));
        assert_eq!(tally.examples.len(), 2);
        assert_eq!(tally.percent(), 25);
    }
}
