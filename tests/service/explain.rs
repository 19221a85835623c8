//! `explain`: what the rules say of a change that nobody made.

use crate::check::RULE;
use crate::support::{ScratchTree, program};
use serde_json::{Value, json};

const ELASTIC: &str = "e0b4f4a8-6f0c-4c59-9c1b-3d52a7a0c121";
const SUMO: &str = "7a2f9d63-51c8-4f0e-8a35-0f6f4be1d9c2";
const HOOK: &str = "/usr/lib/python3.12/sitecustomize.py";

fn explained(arguments: &[&str], code: i32) -> Value {
    let said = program(&[&["explain", "--json", "--path"][..], arguments].concat());
    assert_eq!((said.code, said.stderr.len()), (code, 0), "{:#?}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

/// The answer of one rule.
fn rule<'v>(document: &'v Value, id: &str) -> &'v Value {
    let rules = document["rules"].as_array().unwrap();
    let mut found = rules.iter().filter(|rule| rule["id"] == id);
    let rule = found.next().unwrap_or_else(|| panic!("no rule {id}: {document:#}"));
    assert!(found.next().is_none(), "{id} is there twice");
    rule
}

/// The answer of the embedded rules only, in the order they are loaded.
fn text_of(said: &str, names: &[&str]) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in said.lines() {
        if !line.starts_with("  ") && line.ends_with(']') {
            keep = names.iter().any(|name| line.starts_with(name));
        }
        if keep {
            kept += &format!("{line}\n");
        }
    }
    kept
}

#[test]
fn the_json_form_names_every_rule_with_its_verdict_and_what_decided() {
    let document = explained(&[HOOK, "--exe", "/usr/bin/cp"], 0);
    assert_eq!(document["path"], HOOK);
    assert_eq!(document["action"], "creation");
    assert_eq!(document["matched"], true);
    assert_eq!(document["name_filter"], true);
    assert_eq!(document["hook"]["kind"], "sitecustomize");
    let expected = json!({
        "id": ELASTIC,
        "name": "Python Site or User Customize File Creation",
        "ruleset": "elastic",
        "level": "low",
        "detection_type": "SITECUSTOMIZE_MODIFIED",
        "matched": true,
        "decided_by": "selection_action, selection_executable, selection_path",
    });
    assert_eq!(rule(&document, ELASTIC), &expected);
    let expected = json!({
        "id": SUMO,
        "name": "Detect Python Startup Hooks",
        "ruleset": "sumo",
        "level": "high",
        "detection_type": "SITECUSTOMIZE_MODIFIED",
        "matched": true,
        "decided_by": "startup_file_name",
    });
    assert_eq!(rule(&document, SUMO), &expected);
    for rule in document["rules"].as_array().unwrap() {
        for field in ["id", "name", "ruleset", "level", "decided_by"] {
            assert!(rule[field].is_string(), "{field}: {rule:#}");
        }
        assert!(rule["matched"].is_boolean(), "{rule:#}");
        assert_eq!(rule["detection_type"].is_string(), rule["matched"] == true, "{rule:#}");
    }
}

#[test]
fn an_exclusion_that_silences_is_named() {
    let document = explained(&[HOOK, "--exe", "/usr/bin/pip3"], 0);
    let elastic = rule(&document, ELASTIC);
    assert_eq!((&elastic["matched"], &elastic["decided_by"]), (&json!(false), &json!("filter_executable_exact")));
    assert_eq!(elastic["exclusion"], json!({ "filter": "filter_executable_exact", "applied": true, "reason": null }));
    assert_eq!(rule(&document, SUMO)["detection_type"], "PYTHON_STARTUP_FILE_MODIFIED");
}

#[test]
fn the_action_and_the_content_count() {
    let document = explained(&[HOOK, "--exe", "/usr/bin/cp", "--action", "attribute"], 0);
    assert_eq!(rule(&document, ELASTIC)["decided_by"], "selection_action");
    let tree = ScratchTree::new();
    let content = tree.file("bashrc", "alias ll='ls -l'\nexport PYTHONSTARTUP=/tmp/x.py\n");
    let document = explained(&["/root/.bashrc", "--content", content.to_str().unwrap()], 0);
    assert_eq!(document["hook"], json!({ "kind": "environment", "environment": ["PYTHONSTARTUP"] }));
    assert_eq!(rule(&document, SUMO)["detection_type"], "PYTHONSTARTUP_ENV_SET");
    assert_eq!(rule(&document, SUMO)["decided_by"], "environment_pythonstartup");
    assert_eq!(explained(&["/root/.bashrc"], 1)["matched"], false);
}

#[test]
fn no_rule_matching_is_code_1_and_the_name_filter_is_reported() {
    let document = explained(&["/var/log/messages"], 1);
    assert_eq!((&document["matched"], &document["name_filter"]), (&json!(false), &json!(false)));
    let said = program(&["explain", "--path", "/var/log/messages"]);
    assert_eq!(said.code, 1);
    assert!(said.stdout.starts_with(
        "creation of /var/log/messages by an unknown writer\n  hook: other\n  no loaded rule matches a file of this name"
    ));
}

#[test]
fn the_text_form_says_the_same_to_people() {
    let said = program(&["explain", "--path", HOOK, "--exe", "/usr/bin/pip3"]);
    let names = ["Python Site or User Customize File Creation", "Detect Python Startup Hooks"];
    assert_eq!(
        text_of(&said.stdout, &names),
        format!(
            "creation of {HOOK} by /usr/bin/pip3
  hook: sitecustomize
  fields:
    TargetFilename: {HOOK}
    EventAction: creation
    HookKind: sitecustomize
    HookForm: module
    HookLocation: stdlib
    PythonVersion: 3.12
    ContentClass: unknown
    Provenance: unknown
    Image: /usr/bin/pip3
    Installer: pip
    WriterIsPython: false
    WriterEvidence: proc
Detect Python Startup Hooks [sumo {SUMO}]
  MATCHES (high), PYTHON_STARTUP_FILE_MODIFIED; decided by startup_file_name
Python Site or User Customize File Creation [elastic {ELASTIC}]
  is suppressed by an exclusion; decided by filter_executable_exact
  filter_executable_exact applies because the writer counts as confirmed; a writer that is not (already gone, \
             deleted executable, container, inotify) would raise an alert
"
        )
    );
}

#[test]
fn content_that_cannot_be_read_is_wrong_usage() {
    for (content, words) in [("/nowhere", "No such file"), ("/", "not a regular file"), ("/dev/zero", "not a regular")]
    {
        let said = program(&["explain", "--path", HOOK, "--content", content]);
        let line = said.one_line(64);
        assert!(line.contains(content) && line.contains(words), "{line}");
    }
}

#[test]
fn a_rule_of_the_site_adds_to_the_embedded_ones() {
    let tree = ScratchTree::new();
    tree.file("site-rules/ours.yml", RULE);
    let rules = tree.path("site-rules");
    assert_eq!(explained(&["/etc/novelty.probe"], 1)["name_filter"], false);
    let document = explained(&["/etc/novelty.probe", "--rules", rules.to_str().unwrap()], 0);
    assert_eq!(
        rule(&document, "ours-1"),
        &json!({
            "id": "ours-1", "name": "A file of ours", "ruleset": "site-rules", "level": "critical",
            "detection_type": "NOVELTY_CHANGED", "matched": true, "decided_by": "selection",
        })
    );
    assert_eq!(rule(&document, SUMO)["matched"], false);
    assert_eq!(document["name_filter"], true);
}

#[test]
fn a_rule_of_the_site_replaces_the_embedded_one_of_its_id() {
    let tree = ScratchTree::new();
    tree.file("site-rules/ours.yml", &RULE.replace("ours-1", SUMO));
    let rules = tree.path("site-rules");
    let document = explained(&[HOOK, "--exe", "/usr/bin/cp", "--rules", rules.to_str().unwrap()], 0);
    assert_eq!(
        (&rule(&document, SUMO)["name"], &rule(&document, SUMO)["matched"]),
        (&json!("A file of ours"), &json!(false))
    );
    assert_eq!(rule(&document, ELASTIC)["matched"], true);
}

#[test]
fn a_rule_that_is_switched_off_says_nothing() {
    let tree = ScratchTree::new();
    let file = tree.file("off.toml", &format!("[rules]\ndisabled = [\"{SUMO}\"]\n"));
    let document = explained(&[HOOK, "--exe", "/usr/bin/cp", "--config", file.to_str().unwrap()], 0);
    assert!(document["rules"].as_array().unwrap().iter().all(|rule| rule["id"] != SUMO), "{document:#}");
    assert_eq!(rule(&document, ELASTIC)["matched"], true);
}

#[test]
fn the_fields_that_the_rules_saw_are_shown() {
    let document = explained(
        &[
            HOOK,
            "--exe",
            "/usr/bin/python3.11",
            "--command-line",
            "python3 -m  pip install x",
            "--field",
            "UserId=33",
            "--field",
            "SystemdUnit=a=b.service",
        ],
        0,
    );
    let expected = json!({
        "CommandLine": "python3 -m pip install x",
        "ContentClass": "unknown",
        "EventAction": "creation",
        "HookForm": "module",
        "HookKind": "sitecustomize",
        "HookLocation": "stdlib",
        "Image": "/usr/bin/python3.11",
        "Installer": "pip",
        "Provenance": "unknown",
        "PythonVersion": "3.12",
        "SystemdUnit": "a=b.service",
        "TargetFilename": HOOK,
        "UserId": 33,
        "WriterIsPython": "true",
        "WriterEvidence": "proc",
        "WriterScript": "pip",
    });
    assert_eq!(document["fields"], expected);
}

/// Excludes what is installed by pip as root.
const FILTERED: &str = "title: Not by pip
id: ours-2
logsource:
  product: linux
  category: file_event
detection:
  selection:
    TargetFilename|endswith: /sitecustomize.py
  filter:
    Installer: pip
    UserId: 0
  condition: selection and not filter
level: low
";

#[test]
fn a_field_that_is_set_decides_and_one_record_alone_lets_no_exclusion_count() {
    let tree = ScratchTree::new();
    tree.file("site-rules/filtered.yml", FILTERED);
    let rules = tree.path("site-rules");
    let by_pip = [HOOK, "--exe", "/usr/bin/python3.11", "--command-line", "python3 /usr/bin/pip install x", "--rules"];
    let with = |more: &[&str]| {
        let document = explained(&[&by_pip[..], &[rules.to_str().unwrap()], more].concat(), 0);
        rule(&document, "ours-2").clone()
    };
    assert_eq!(with(&["--field", "UserId=1000"])["matched"], true);
    let silenced = with(&["--field", "UserId=0"]);
    assert_eq!((&silenced["matched"], &silenced["exclusion"]["applied"]), (&json!(false), &json!(true)));
    for evidence in ["exit-record", "exec-record", "fork-lineage"] {
        let not_applied = with(&["--field", "UserId=0", "--evidence", evidence]);
        assert_eq!(
            (&not_applied["matched"], &not_applied["exclusion"]["reason"]),
            (&json!(true), &json!("only one kind of record names the writer"))
        );
    }
}

#[test]
fn a_field_that_cannot_be_set_is_refused_with_the_way_out() {
    for (arguments, words) in [
        (&["--field", "SystemUnit=x"][..], "did you mean `SystemdUnit`?"),
        (&["--field", "SystemdUnit"], "NAME=VALUE"),
        (&["--field", "UserId=root"], "UserId is a number, and root is none"),
        (&["--field", "Image=/bin/cp"], "give Image with --exe"),
        (&["--field", "WriterEvidence=proc"], "give WriterEvidence with --evidence"),
        (&["--evidence", "guessed"], "proc, exit-record"),
        (&["--evidence", "exit-record"], "name the executable with --exe"),
        (&["--exe", "/bin/cp", "--evidence", "unknown"], "leave out --exe"),
    ] {
        let said = program(&[&["explain", "--path", HOOK], arguments].concat());
        let line = said.one_line(64);
        assert!(line.contains(words), "{arguments:?}: {line}");
    }
}
