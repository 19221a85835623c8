//! The two public rules, reproduced exactly: tables written from their definitions, not from the code.
//!
//! `data/seed_elastic.tsv`: path, action, executable (`-`: not known), `alert` or `silent`.
//! `data/seed_sumo.tsv`: path, action, executable, variables that an environment file sets (`-`: none),
//! `silent` or the detection type.

use pyhookwatch::event::{
    Action, Confidence, ContentClass, ContentReport, Doubt, EnvironmentSetting, Evidence, Executable, Hook, Interest,
    Process, Verdict, Writer,
};
use pyhookwatch::hook::kind;
use pyhookwatch::rules::fields::Facts;
use pyhookwatch::rules::{self, Exclusion, RuleSet};
use std::collections::HashSet;
use std::path::Path;

/// The two seeds alone.
fn embedded() -> RuleSet {
    let load = |disabled| RuleSet::load(&rules::Settings { disabled, ..rules::Settings::default() }, kind::names);
    let (all, _) = load(Vec::new()).unwrap();
    load(all.infos().filter(|rule| rule.ruleset == "pyhookwatch").map(|rule| rule.id.clone()).collect()).unwrap().0
}

/// Rows of a table without comments and blank lines.
fn rows(table: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let lines = table.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| (index + 1, line.split('\t').collect()))
}

fn writer(executable: &str) -> Writer {
    let executable =
        (executable != "-").then(|| Executable { path: executable.into(), deleted: false, is_host_file: true });
    Writer {
        evidence: if executable.is_some() { Evidence::Proc } else { Evidence::Unknown },
        confidence: if executable.is_some() { Confidence::Confirmed } else { Confidence::Doubted(Doubt::NoRecord) },
        process: Some(Process { pid: 1, executable, ..Process::default() }),
        ..Writer::unknown(Doubt::NoRecord)
    }
}

fn hook(path: &str, environment: &str) -> Hook {
    let settings = ["PYTHONSTARTUP", "PYTHONPATH"]
        .into_iter()
        .filter(|variable| environment.split(',').any(|set| set == *variable))
        .map(|variable| EnvironmentSetting { variable, line: 1, text: Vec::new(), value: Vec::new() })
        .collect();
    let content = ContentReport { settings, ..ContentReport::of(ContentClass::Unknown) };
    Hook { content, ..Hook::new(kind::of(Path::new(path))) }
}

fn verdict(rules: &RuleSet, path: &str, action: &str, executable: &str, environment: &str) -> Verdict {
    let action: Action = action.parse().unwrap();
    let (hook, writer) = (hook(path, environment), writer(executable));
    let facts =
        Facts { action, path: Path::new(path), previous_path: None, hook: &hook, writer: &writer, user_name: None };
    rules.judge(&facts, Exclusion::of(&writer))
}

fn detection_type(verdict: &Verdict, ruleset: &str) -> Option<String> {
    let found = verdict.matches.iter().find(|found| found.rule.ruleset == ruleset)?;
    Some(found.detection_type.clone())
}

#[test]
fn the_elastic_rule_decides_every_row_of_its_table() {
    let rules = embedded();
    let (mut seen, mut wrong) = (HashSet::new(), Vec::new());
    for (line, row) in rows(include_str!("../data/seed_elastic.tsv")) {
        let [path, action, executable, expected] = row[..] else { panic!("line {line}: {row:?}") };
        let found = detection_type(&verdict(&rules, path, action, executable, "-"), "elastic");
        if found.is_some() != (expected == "alert") {
            wrong.push(format!("line {line}: {path} {action} {executable}: {found:?}, not {expected}"));
        }
        assert!(seen.insert(row), "line {line} stands twice");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 200, "only {} rows", seen.len());
}

#[test]
fn the_sumo_rule_decides_and_names_every_row_of_its_table() {
    let rules = embedded();
    let (mut seen, mut wrong) = (HashSet::new(), Vec::new());
    for (line, row) in rows(include_str!("../data/seed_sumo.tsv")) {
        let [path, action, executable, environment, expected] = row[..] else { panic!("line {line}: {row:?}") };
        let found = detection_type(&verdict(&rules, path, action, executable, environment), "sumo");
        if found.as_deref().unwrap_or("silent") != expected {
            wrong.push(format!("line {line}: {path} {action} {executable} {environment}: {found:?}, not {expected}"));
        }
        assert!(seen.insert(row), "line {line} stands twice");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 100, "only {} rows", seen.len());
}

/// The hot path drops by name before any rule is asked: it must not drop what a rule wants.
#[test]
fn the_name_filter_lets_every_alert_of_both_tables_through() {
    let rules = embedded();
    let passes =
        |path: &str| rules.filter().interest(Path::new(path).file_name().unwrap().as_encoded_bytes()) != Interest::None;
    for (line, row) in rows(include_str!("../data/seed_elastic.tsv")) {
        assert!(row[3] == "silent" || passes(row[0]), "elastic line {line}: {}", row[0]);
    }
    for (line, row) in rows(include_str!("../data/seed_sumo.tsv")) {
        // An environment event is reported by content, and the file's name by the table of such files.
        assert!(row[4] == "silent" || row[3] != "-" || passes(row[0]), "sumo line {line}: {}", row[0]);
    }
}

#[test]
fn an_exclusion_of_the_elastic_rule_does_not_count_for_a_writer_that_was_not_confirmed() {
    let rules = embedded();
    let path = Path::new("/usr/lib/python3.12/sitecustomize.py");
    let hook = hook(path.to_str().unwrap(), "-");
    let judged = |change: &dyn Fn(&mut Writer)| {
        let mut writer = writer("/usr/bin/pip3");
        change(&mut writer);
        let facts = Facts {
            action: Action::Creation,
            path,
            previous_path: None,
            hook: &hook,
            writer: &writer,
            user_name: None,
        };
        rules.judge(&facts, Exclusion::of(&writer))
    };
    fn executable(writer: &mut Writer) -> &mut Executable {
        writer.process.as_mut().unwrap().executable.as_mut().unwrap()
    }

    let confirmed = judged(&|_| {});
    assert_eq!(detection_type(&confirmed, "elastic"), None);
    assert_eq!(confirmed.excluded[0].decided_by, "filter_executable_exact");

    for unconfirmed in [
        judged(&|writer| writer.confidence = Confidence::Doubted(Doubt::NoRecord)),
        judged(&|writer| executable(writer).deleted = true),
        judged(&|writer| executable(writer).is_host_file = false),
    ] {
        let found = unconfirmed.matches.iter().find(|found| found.rule.ruleset == "elastic").unwrap();
        let denied = found.exclusion_not_applied.as_ref().unwrap();
        assert_eq!(denied.filter, "filter_executable_exact");
        assert!(!denied.doubt.as_str().is_empty());
        assert!(unconfirmed.excluded.is_empty());
    }
}

#[test]
fn levels_scores_and_tags_are_those_of_the_definitions() {
    let rules = embedded();
    let by = |ruleset: &str| rules.infos().find(|info| info.ruleset == ruleset).unwrap().clone();
    let (elastic, sumo) = (by("elastic"), by("sumo"));
    assert_eq!((elastic.level.as_str(), elastic.risk_score), ("low", 21));
    assert_eq!(elastic.name, "Python Site or User Customize File Creation");
    for tag in ["attack.persistence", "attack.execution", "attack.defense-evasion", "attack.t1546"] {
        assert!(elastic.tags.iter().any(|known| known == tag), "{tag}");
    }
    assert_eq!((sumo.level.as_str(), sumo.name.as_str()), ("high", "Detect Python Startup Hooks"));
    assert!(sumo.tags.iter().any(|tag| tag == "attack.t1546.018"));
}

#[test]
fn one_change_that_both_rules_match_takes_the_highest_level() {
    let rules = embedded();
    let both = verdict(&rules, "/usr/lib/python3.12/sitecustomize.py", "creation", "/bin/cp", "-");
    let rulesets: Vec<_> = both.matches.iter().map(|found| found.rule.ruleset.as_str()).collect();
    assert_eq!(rulesets, ["sumo", "elastic"]);
    assert_eq!(both.level.unwrap().as_str(), "high");
}
