//! Passwords and tokens in command lines and settings do not leave the machine; rules see them.

use crate::check::RULE;
use crate::support::{DaemonUnderTest, PACKAGES, Running, ScratchTree, needs, spawn};
use std::process::{Command, Stdio};

const SECRET: &str = "hunter2secret";

#[test]
fn a_secret_in_a_command_line_is_matched_by_rules_and_not_reported() {
    needs!(Root);
    let tree = ScratchTree::new();
    let condition = format!("CommandLine|contains: {SECRET}");
    tree.file("rules/ours.yml", &RULE.replace("TargetFilename|endswith: /novelty.probe", &condition));
    let rules = tree.path("rules").display().to_string();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout", "--rules", &rules]));
    let hook = tree.inside(&format!("{PACKAGES}/one.pth"));
    // The inner shell is the writer and waits until it was read; the outer one is its parent.
    let inner = format!("echo import os > {}; read x # --password={SECRET} https://me:{SECRET}@host/x", hook.display());
    let outer = format!("PGPASSWORD={SECRET} sh -c '{inner}'; true");
    let mut shell = Running(spawn(Command::new("sh").args(["-c", &outer]).stdin(Stdio::piped())));
    let alert = daemon.record();
    let reported = alert.to_string();
    assert!(!reported.contains(SECRET), "{alert:#}");
    let line = alert["process"]["command_line"].as_str().unwrap();
    assert!(line.ends_with("# --password=[redacted] https://me:[redacted]@host/x"), "{line}");
    assert!(line.contains(hook.to_str().unwrap()), "{line}");
    let rules = alert["pyhookwatch"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "ours-1"), "{alert:#}");
    drop(shell.0.stdin.take());
    assert!(shell.wait().success());
    assert!(daemon.stop().0.success());
}

#[test]
fn a_secret_beside_a_setting_is_not_reported_and_a_hooks_own_code_is() {
    let tree = ScratchTree::new();
    std::fs::create_dir_all(tree.inside("/etc/systemd/system")).unwrap();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--backend", "inotify", "--output", "stdout"]));
    let unit = format!("[Service]\nEnvironment=\"PYTHONPATH=/x\" \"DB_PASSWORD={SECRET}\"\nExecStart=/bin/true\n");
    tree.plant("/etc/systemd/system/x.service", unit);
    let alert = daemon.record();
    assert_eq!(alert["file"]["path"], "/etc/systemd/system/x.service");
    assert!(!alert.to_string().contains(SECRET) && alert.to_string().contains("DB_PASSWORD=[redacted]"), "{alert:#}");
    tree.plant(&format!("{PACKAGES}/one.pth"), format!("import os; password = '{SECRET}'\n"));
    assert!(daemon.record()["pyhookwatch"]["content"].to_string().contains(SECRET), "evidence stays");
    assert!(daemon.stop().0.success());
}
