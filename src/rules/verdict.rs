//! How the matching rules make one verdict.

use crate::event::{ExcludedRule, Match, Verdict};
use std::cmp::Reverse;

/// Makes a verdict. The rules that are no baseline come first, then the highest level. Baselines decide level and risk
/// only where nothing else matches.
pub fn verdict(mut matches: Vec<Match>, excluded: Vec<ExcludedRule>) -> Verdict {
    matches.sort_by_key(|found| (found.rule.is_baseline, Reverse(found.rule.level)));
    let first = matches.first().map(|found| (found.rule.level, found.rule.is_baseline));
    let deciding = matches.iter().filter(|found| first.is_some_and(|(_, baseline)| found.rule.is_baseline == baseline));
    let risk_score = deciding.map(|found| found.rule.risk_score).max().unwrap_or_default();
    Verdict { level: first.map(|(level, _)| level), risk_score, matches, excluded }
}

/// Adds the verdict about another writer of the same change: a rule that matches for one writer matches.
pub fn merge(verdict: Verdict, other: Verdict) -> Verdict {
    let Verdict { mut matches, mut excluded, .. } = verdict;
    for found in other.matches {
        if !matches.iter().any(|known| known.rule.id == found.rule.id) {
            matches.push(found);
        }
    }
    excluded.retain(|excluded| !matches.iter().any(|found| found.rule.id == excluded.rule.id));
    self::verdict(matches, excluded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Level, RuleInfo};
    use std::sync::Arc;

    fn rule(id: &str, level: Level, risk_score: u8, is_baseline: bool) -> Arc<RuleInfo> {
        Arc::new(RuleInfo {
            id: id.into(),
            name: id.into(),
            ruleset: "set".into(),
            level,
            is_baseline,
            risk_score,
            description: String::new(),
            references: Vec::new(),
            tags: Vec::new(),
            origin: "embedded".into(),
        })
    }

    fn matching(id: &str, level: Level, risk_score: u8, is_baseline: bool) -> Match {
        Match {
            rule: rule(id, level, risk_score, is_baseline),
            detection_type: "TYPE".into(),
            decided_by: "selection".into(),
            exclusion_not_applied: None,
        }
    }

    fn ids(verdict: &Verdict) -> Vec<&str> {
        verdict.matches.iter().map(|found| found.rule.id.as_str()).collect()
    }

    #[test]
    fn a_baseline_decides_only_where_nothing_else_matches() {
        let baseline = || matching("baseline", Level::Critical, 99, true);
        let alone = verdict(vec![baseline()], Vec::new());
        assert_eq!((alone.level, alone.risk_score), (Some(Level::Critical), 99));
        let low = matching("low", Level::Low, 30, false);
        let medium = matching("medium", Level::Medium, 20, false);
        let both = verdict(vec![baseline(), low, medium], Vec::new());
        assert_eq!(ids(&both), ["medium", "low", "baseline"]);
        assert_eq!((both.level, both.risk_score), (Some(Level::Medium), 30));
        assert_eq!(verdict(Vec::new(), Vec::new()).level, None);
    }

    #[test]
    fn a_rule_that_matches_for_one_writer_is_not_excluded_for_another() {
        let excluded = |id| ExcludedRule { rule: rule(id, Level::High, 73, false), decided_by: "filter".into() };
        let first = verdict(vec![matching("low", Level::Low, 21, false)], vec![excluded("high"), excluded("other")]);
        let second = verdict(vec![matching("high", Level::High, 73, false)], vec![excluded("third")]);
        let merged = merge(first, second);
        assert_eq!(ids(&merged), ["high", "low"]);
        assert_eq!(merged.level, Some(Level::High));
        let left: Vec<_> = merged.excluded.iter().map(|excluded| excluded.rule.id.as_str()).collect();
        assert_eq!(left, ["other"]);
    }
}
