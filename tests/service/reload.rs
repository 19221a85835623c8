//! SIGHUP: new rules count at once, wrong ones never.

use crate::check::RULE;
use crate::support::{DaemonUnderTest, ScratchTree};

/// Alerts come in the order of the changes, so one that is known to come reports that none came before.
fn marker(tree: &ScratchTree, daemon: &mut DaemonUnderTest, name: &str) {
    tree.plant_many(name, 1);
    assert_eq!(daemon.record()["file"]["path"], format!("{}/{name}0.pth", crate::support::PACKAGES));
}

fn start(tree: &ScratchTree, backend: &str) -> DaemonUnderTest {
    std::fs::create_dir_all(tree.path("rules")).unwrap();
    std::fs::create_dir_all(tree.inside("/etc")).unwrap();
    DaemonUnderTest::start(tree.run(&[
        "--backend",
        backend,
        "--output",
        "stdout",
        "--rules",
        tree.path("rules").to_str().unwrap(),
    ]))
}

fn a_new_rule_counts(backend: &str) {
    let tree = ScratchTree::new();
    let mut daemon = start(&tree, backend);
    tree.plant("/etc/novelty.probe", "1");
    marker(&tree, &mut daemon, "nothing-before-me");
    tree.file("rules/ours.yml", RULE);
    let said = daemon.reload();
    assert!(said.contains("reloaded: "), "{said}");
    // The name filter is the new one: nobody wanted this name before.
    tree.plant("/etc/novelty.probe", "2");
    let alert = daemon.record();
    assert_eq!(alert["file"]["path"], "/etc/novelty.probe");
    assert_eq!(alert["rule"]["id"], "ours-1");
    assert_eq!(alert["rule"]["ruleset"], "rules");
    assert_eq!(alert["pyhookwatch"]["detection_type"], "NOVELTY_CHANGED");
    assert_eq!(alert["event"]["severity"], 5);
    std::fs::remove_file(tree.path("rules/ours.yml")).unwrap();
    daemon.reload();
    tree.plant("/etc/novelty.probe", "3");
    marker(&tree, &mut daemon, "nothing-after-me");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_new_rule_counts_at_once_for_a_name_that_nobody_wanted_before() {
    crate::support::needs!(Root);
    a_new_rule_counts("fanotify");
}

#[test]
fn a_new_rule_counts_at_once_with_inotify_too() {
    a_new_rule_counts("inotify");
}

#[test]
fn with_a_broken_rule_the_old_rules_stay_and_it_is_said() {
    let tree = ScratchTree::new();
    tree.file("rules/ours.yml", RULE);
    let mut daemon = start(&tree, "inotify");
    tree.file("rules/broken.yml", &RULE.replace("ours-1", "ours-2").replace("condition: selection", "condition: all"));
    // The right rule is gone as well: what is refused is refused whole.
    std::fs::remove_file(tree.path("rules/ours.yml")).unwrap();
    let said = daemon.reload();
    assert!(
        said.contains("reload refused: the old configuration and rules stay in force (1 problems above)"),
        "{said}"
    );
    let problem = daemon.stderr.seen().iter().find(|line| line.contains("broken.yml:9: ")).cloned();
    assert!(problem.is_some_and(|line| line.starts_with("pyhookwatch: error: ")), "{:#?}", daemon.stderr.seen());
    tree.plant("/etc/novelty.probe", "1");
    assert_eq!(daemon.record()["rule"]["id"], "ours-1");
    marker(&tree, &mut daemon, "still-here");
    std::fs::remove_file(tree.path("rules/broken.yml")).unwrap();
    let said = daemon.reload();
    assert!(said.contains("reloaded: "), "{said}");
    tree.plant("/etc/novelty.probe", "2");
    marker(&tree, &mut daemon, "ours-is-gone");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_configuration_that_breaks_later_does_not_stop_the_watch() {
    let tree = ScratchTree::new();
    let mut command = tree.run_config("[rules]\ndirectories = []\n");
    command.args(["--backend", "inotify", "--output", "stdout"]);
    let mut daemon = DaemonUnderTest::start(command);
    tree.file("pyhookwatch.toml", "[rules\n");
    let said = daemon.reload();
    assert!(said.contains("reload refused"), "{said}");
    marker(&tree, &mut daemon, "still-here");
    std::fs::remove_file(tree.path("pyhookwatch.toml")).unwrap();
    assert!(daemon.reload().contains("reload refused"));
    marker(&tree, &mut daemon, "and-here");
    assert!(daemon.stop().0.success());
}
