//! What the program does without the rights it would like.

use crate::support::{CommandOutput, DaemonUnderTest, PROGRAM, ScratchTree, needs};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The program as nobody, copied to where nobody can reach it.
pub fn as_nobody(tree: &ScratchTree) -> Command {
    as_nobody_with(tree, &[])
}

/// The same with these options of `setpriv`.
pub fn as_nobody_with(tree: &ScratchTree, options: &[&str]) -> Command {
    let program = tree.path("pyhookwatch");
    // By another process: a child started beside this test could inherit a descriptor open for writing.
    assert!(Command::new("/bin/cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).args(options).arg(program);
    command
}

pub fn run_as_nobody(tree: &ScratchTree, arguments: &[&str]) -> CommandOutput {
    CommandOutput::of(as_nobody(tree).args(arguments))
}

#[test]
fn fanotify_without_privilege_is_refused_with_the_way_out() {
    needs!(Root);
    let tree = ScratchTree::new();
    let root = tree.root().display().to_string();
    let said = run_as_nobody(&tree, &["run", "--root", &root, "--backend", "fanotify", "--output", "stdout"]);
    let line = said.one_line(77);
    assert!(line.contains("fanotify is refused") && line.contains("run as root (CAP_SYS_ADMIN)"), "{line}");
}

#[test]
fn without_privilege_auto_watches_with_inotify_and_says_what_that_means() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut command = as_nobody(&tree);
    command.arg("run").arg("--root").arg(tree.root()).args(["--output", "stdout"]);
    let mut daemon = DaemonUnderTest::start(command);
    let said = daemon.stderr.seen().join("\n");
    assert!(said.contains("fanotify is refused here") && said.contains("alerts name no writer"), "{said}");
    assert!(said.contains("ready: ") && said.contains("inotify on "), "{said}");
    tree.plant_many("pkg", 1);
    let alert = daemon.record();
    assert_eq!(alert["pyhookwatch"]["writer"]["evidence"], "unavailable");
    assert_eq!(alert["file"]["path"], format!("{}/pkg0.pth", crate::support::PACKAGES));
    assert!(alert.get("process").is_none(), "{alert:#}");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_configuration_or_rule_that_may_not_be_read_is_named() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (file, rule) = (tree.file("secret.toml", ""), tree.file("rules/secret.yml", crate::check::RULE));
    for path in [&file, &rule] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let said = run_as_nobody(&tree, &["check", "--config", file.to_str().unwrap()]);
    let line = said.one_line(77);
    assert!(line.contains("secret.toml: cannot be read (Permission denied") && line.contains("run as root"), "{line}");
    let said = run_as_nobody(&tree, &["check", "--rules", tree.path("rules").to_str().unwrap()]);
    let line = said.one_line(77);
    assert!(line.contains("secret.yml: cannot read the rule file: Permission denied"), "{line}");
}

#[test]
fn an_output_file_that_may_not_be_written_is_a_matter_of_permission() {
    needs!(Root);
    let tree = ScratchTree::new();
    let root = tree.root().display().to_string();
    let output = format!("file:{}", tree.path("alerts.json").display());
    let said = run_as_nobody(&tree, &["run", "--root", &root, "--backend", "inotify", "--output", &output]);
    let line = said.one_line(77);
    assert!(line.contains("alerts.json: Permission denied"), "{line}");
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let tree = ScratchTree::new();
    let file = tree.file("file", "");
    for (root, words) in [(file.to_str().unwrap(), "not a directory"), ("/nowhere", "No such file")] {
        let said = crate::support::program(&["run", "--root", root, "--output", "stdout"]);
        let line = said.one_line(78);
        assert!(line.contains(root) && line.contains(words), "{line}");
    }
}
