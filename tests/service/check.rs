//! `check`: every mistake at once, each with its place and the way out.

use crate::support::{ScratchTree, program};

/// Five mistakes, on lines 2, 3, 4, 6 and 8.
const CONFIGURATION: &str = "[watch]
backend = \"fanotfy\"
tree = [\"/etc\"]
root = \"relative\"
[rules]
disabled = \"all\"
[[output]]
type = \"sylog\"
";

/// A rule without a mistake.
pub const RULE: &str = "title: A file of ours
id: ours-1
logsource:
  product: linux
  category: file_event
detection:
  selection:
    TargetFilename|endswith: /novelty.probe
  condition: selection
level: critical
detection_type: NOVELTY_CHANGED
";

fn rules(tree: &ScratchTree, files: &[(&str, String)]) -> String {
    for (name, text) in files {
        tree.file(&format!("rules/{name}"), text);
    }
    tree.path("rules").display().to_string()
}

/// What `check` says of these rules, without the directory's name.
fn refused(files: &[(&str, String)]) -> Vec<String> {
    let tree = ScratchTree::new();
    let directory = rules(&tree, files);
    let said = program(&["check", "--rules", &directory]);
    assert_eq!((said.code, said.stdout.as_str()), (78, ""), "{:#?}", said.stderr);
    said.stderr.iter().map(|line| line.replace(&format!("{directory}/"), "")).collect()
}

#[test]
fn five_mistakes_in_the_configuration_and_three_bad_rules_are_reported_together() {
    let tree = ScratchTree::new();
    let file = tree.file("five.toml", CONFIGURATION).display().to_string();
    let directory = rules(
        &tree,
        &[
            ("1-yaml.yml", "title: x\n  id: [\n".into()),
            ("2-field.yml", RULE.replace("TargetFilename|endswith", "TargetFileName|endswith")),
            (
                "3-condition.yml",
                RULE.replace("condition: selection", "condition: selektion").replace("ours-1", "ours-3"),
            ),
        ],
    );
    let said = program(&["check", "--config", &file, "--rules", &directory]);
    assert_eq!((said.code, said.stdout.as_str()), (78, ""));
    let expected = [
        (format!("{file}:2: "), "fanotify"),
        (format!("{file}:3: "), "`trees`"),
        (format!("{file}:4: "), "must be absolute"),
        (format!("{file}:6: "), "a list of strings"),
        (format!("{file}:8: "), "syslog"),
        (format!("{directory}/1-yaml.yml:2: "), "not valid YAML"),
        (format!("{directory}/2-field.yml:7: "), "there is no field `TargetFileName`; did you mean `TargetFilename`?"),
        (format!("{directory}/3-condition.yml:9: "), "selektion"),
    ];
    assert_eq!(said.stderr.len(), expected.len(), "{:#?}", said.stderr);
    for (line, (place, words)) in said.stderr.iter().zip(expected) {
        assert!(line.starts_with(&format!("pyhookwatch: error: {place}")), "{line}\nshould begin with {place}");
        assert!(line.contains(words), "{line}\nshould say {words}");
    }
}

#[test]
fn a_right_configuration_is_confirmed_with_the_list_of_rules() {
    let tree = ScratchTree::new();
    let directory = rules(&tree, &[("ours.yml", RULE.into())]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/pyhookwatch.toml");
    let said = program(&["check", "--config", shipped, "--rules", &directory]);
    assert_eq!((said.code, said.stderr.len()), (0, 0), "{:#?}", said.stderr);
    assert!(said.stdout.starts_with("the configuration and "), "{}", said.stdout);
    assert!(said.stdout.contains("  ours-1  A file of ours (rules, critical)\n"), "{}", said.stdout);
}

#[test]
fn the_old_name_of_a_field_is_accepted_with_a_warning() {
    let tree = ScratchTree::new();
    let old = RULE.replace("TargetFilename|endswith: /novelty.probe", "HookPlace: site\n    HookKind: pth");
    let directory = rules(&tree, &[("old.yml", old)]);
    let said = program(&["check", "--rules", &directory]);
    let warning = format!(
        "pyhookwatch: warning: {directory}/old.yml:8: the field `HookPlace` is now called `HookLocation`; the next \
         release refuses the old name"
    );
    assert_eq!((said.code, said.stderr), (0, vec![warning]));
    assert!(said.stdout.contains("  ours-1  A file of ours (rules, critical)\n"), "{}", said.stdout);
    let path = "/usr/lib/python3.12/site-packages/x.pth";
    for field in ["HookPlace=site", "HookLocation=site"] {
        let said = program(&["explain", "--rules", &directory, "--path", path, "--field", field]);
        assert!(said.stdout.contains("MATCHES (critical), NOVELTY_CHANGED"), "{field}\n{}", said.stdout);
    }
}

#[test]
fn a_configuration_that_is_missing_or_no_file_is_named_with_the_reason() {
    let tree = ScratchTree::new();
    let directory = tree.root().display().to_string();
    let line = program(&["check", "--config", &directory]).one_line(78).to_owned();
    assert!(line.contains(&format!("{directory}: not a regular file")), "{line}");
    let line = program(&["check", "--config", "/nowhere.toml"]).one_line(78).to_owned();
    assert!(line.contains("/nowhere.toml: cannot be read (No such file or directory"), "{line}");
    let binary = tree.path("binary.toml");
    std::fs::write(&binary, b"[watch]\n\xff\xfe\n").unwrap();
    let line = program(&["check", "--config", binary.to_str().unwrap()]).one_line(78).to_owned();
    assert!(line.contains("binary.toml:2: not UTF-8"), "{line}");
}

#[test]
fn a_rules_directory_that_was_asked_for_must_be_there() {
    for command in [&["check"][..], &["run", "--output", "stdout"], &["explain", "--path", "/x"]] {
        let line = program(&[command, &["--rules", "/nowhere"]].concat()).one_line(78).to_owned();
        assert!(line.starts_with("pyhookwatch: error: /nowhere: cannot read the rules directory: "), "{line}");
    }
}

#[test]
fn an_id_that_two_rules_share_is_reported_with_both_files() {
    let said = refused(&[("one.yml", RULE.into()), ("two.yml", RULE.into())]);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].starts_with("pyhookwatch: error: two.yml") && said[0].contains("`ours-1`"), "{said:#?}");
    assert!(said[0].contains("one.yml"), "{said:#?}");
}

#[test]
fn the_mistake_in_the_second_rule_of_a_file_has_its_own_line() {
    let two =
        format!("{RULE}---\n{}", RULE.replace("ours-1", "ours-2").replace("condition: selection", "condition: other"));
    let said = refused(&[("two.yml", two)]);
    assert_eq!(said.len(), 1, "{said:#?}");
    // Eleven lines, a separator, and the ninth line of the second rule.
    assert!(said[0].starts_with("pyhookwatch: error: two.yml:21: "), "{said:#?}");
}

#[test]
fn each_kind_of_malformed_rule_is_named() {
    for (wrong, words) in [
        (RULE.replace("title: A file of ours\n", ""), "no `title`"),
        (RULE.replace("id: ours-1\n", ""), "needs an `id`"),
        (RULE.replace("level: critical", "level: terrible"), "`level` must be"),
        (RULE.replace("category: file_event", "category: process_creation"), "file_event"),
        (RULE.replace("detection:", "detections:"), "no `detection`"),
        (RULE.replace("condition:", "conditions:"), "no `condition`"),
        (RULE.replace("|endswith", "|endwith"), "endwith"),
        (RULE.replace("level: critical", "level: critical\nrisk_score: 101"), "risk_score"),
        (RULE.replace("TargetFilename|endswith", "Colour"), "the fields are TargetFilename, "),
        ("just words\n".into(), "detection"),
        ("".into(), "holds no rule"),
    ] {
        let said = refused(&[("wrong.yml", wrong.clone())]);
        assert!(said.iter().any(|line| line.contains(words)), "{words}: {said:#?}\n{wrong}");
        assert!(said.iter().all(|line| line.starts_with("pyhookwatch: error: wrong.yml")), "{said:#?}");
    }
}

#[test]
fn run_and_explain_refuse_what_check_refuses() {
    let tree = ScratchTree::new();
    let file = tree.file("five.toml", CONFIGURATION).display().to_string();
    for command in [&["run"][..], &["explain", "--path", "/x"]] {
        let said = program(&[command, &["--config", &file]].concat());
        assert_eq!((said.code, said.stderr.len()), (78, 5), "{:#?}", said.stderr);
        assert!(said.stderr.iter().all(|line| line.starts_with("pyhookwatch: error: ")), "{:#?}", said.stderr);
    }
}

#[test]
fn a_rule_that_is_switched_off_must_exist() {
    let tree = ScratchTree::new();
    let file = tree.file("off.toml", "[rules]\ndisabled = [\"nothing-of-ours\"]\n").display().to_string();
    let line = program(&["check", "--config", &file]).one_line(78).to_owned();
    assert!(line.contains("`nothing-of-ours`, which does not exist"), "{line}");
}
