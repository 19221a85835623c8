//! Alerts in a file and on standard output.

use crate::output::{records_of, sequences};
use crate::support::{CommandOutput, DaemonUnderTest, ScratchTree, needs};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_file_is_appended_to_and_one_that_is_created_is_closed_to_others() {
    needs!(Root);
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let output = format!("file:{}", file.display());
    for run in 1..=2 {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 022; exec \"$@\"", "sh"]).arg(crate::support::PROGRAM);
        command.arg("run").arg("--root").arg(tree.root()).args(["--output", &output]);
        let mut daemon = DaemonUnderTest::start(command);
        tree.plant_many(&format!("run{run}-"), 3);
        records_of(&file, run * 3);
        assert!(daemon.stop().0.success());
    }
    assert_eq!(sequences(&records_of(&file, 6)), [1, 2, 3, 1, 2, 3]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn after_a_rotation_the_next_alert_is_in_the_new_file_and_none_is_lost() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (file, old) = (tree.path("alerts.json"), tree.path("alerts.json.1"));
    let output = format!("file:{}", file.display());
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &output]));
    tree.plant_many("before", 20);
    records_of(&file, 20);
    fs::rename(&file, &old).unwrap();
    tree.plant_many("between", 20);
    records_of(&old, 40);
    assert!(!file.exists(), "the file is not opened again before it is asked for");
    daemon.reload();
    tree.plant_many("after", 20);
    assert_eq!(sequences(&records_of(&file, 20)), (41..=60).collect::<Vec<_>>());
    assert!(daemon.stop().0.success());
    assert_eq!(sequences(&records_of(&old, 40)), (1..=40).collect::<Vec<_>>());
}

#[test]
fn rotations_in_the_middle_of_a_burst_lose_and_double_nothing() {
    needs!(Root);
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let output = format!("file:{}", file.display());
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &output]));
    let mut all = Vec::new();
    for round in 0..5 {
        tree.plant_many(&format!("round{round}-"), 40);
        let old = tree.path(&format!("alerts.json.{round}"));
        fs::rename(&file, &old).unwrap();
        daemon.reload();
        // The file is opened by the output's task, soon.
        crate::support::eventually("the new file", || file.exists().then_some(()));
        all.push(old);
    }
    assert!(daemon.stop().0.success());
    all.push(file);
    let sequence: Vec<_> = all.iter().flat_map(|file| sequences(&records_of(file, 0))).collect();
    assert_eq!(sequence, (1..=200).collect::<Vec<_>>());
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_start_with_one_line() {
    let tree = ScratchTree::new();
    let link = tree.path("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for (path, reason) in [
        (tree.path("none/alerts.json"), "No such file or directory"),
        (link, "symbolic link"),
        (tree.root(), "not a regular file"),
        ("/dev/null".into(), "not a regular file"),
    ] {
        let output = format!("file:{}", path.display());
        let said = CommandOutput::of(&mut tree.run(&["--backend", "inotify", "--output", &output]));
        let line = said.one_line(78);
        assert!(line.contains(reason) && line.contains(path.to_str().unwrap()), "{line}");
    }
}

#[test]
fn when_the_reader_of_the_only_output_goes_the_program_ends_and_says_why() {
    let tree = ScratchTree::new();
    let (mut daemon, stdout) =
        DaemonUnderTest::spawn_with_raw_stdout(tree.run(&["--backend", "inotify", "--output", "stdout"]));
    daemon.stderr.wait_for("ready: ");
    drop(stdout);
    tree.plant_many("pkg", 1);
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(70), "{said:#?}");
    let all = said.join("\n");
    assert!(all.contains("the reader of standard output has closed it"), "{all}");
    assert!(all.contains("pyhookwatch: error: every output has ended for good"), "{all}");
    assert!(!all.contains("panicked"), "{all}");
    assert!(said.iter().all(|line| line.starts_with("pyhookwatch: ")), "{all}");
}

#[test]
fn head_takes_its_line_and_the_program_ends_without_a_panic() {
    let tree = ScratchTree::new();
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$@\" | head -1; exit ${PIPESTATUS[0]}", "bash"]).arg(crate::support::PROGRAM);
    shell.arg("run").arg("--root").arg(tree.root()).args(["--backend", "inotify", "--output", "stdout"]);
    let mut daemon = DaemonUnderTest::start(shell);
    tree.plant_many("first", 1);
    daemon.record();
    // `head` goes at some time after its line: alerts are made until the program notices.
    let mut number = 0;
    crate::support::eventually("the end of the program", || {
        number += 1;
        tree.plant_many(&format!("more{number}-"), 1);
        daemon.process.0.try_wait().unwrap()
    });
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(70), "{said:#?}");
    assert!(!said.join("\n").contains("panicked"), "{said:#?}");
}

#[test]
fn when_one_of_two_outputs_is_gone_the_other_goes_on() {
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let output = format!("file:{}", file.display());
    let (mut daemon, stdout) =
        DaemonUnderTest::spawn_with_raw_stdout(tree.run(&["--output", "stdout", "--output", &output]));
    daemon.stderr.wait_for("ready: ");
    drop(stdout);
    tree.plant_many("pkg", 1);
    daemon.stderr.wait_for("the output stdout is gone");
    tree.plant_many("more", 10);
    assert_eq!(sequences(&records_of(&file, 11)), (1..=11).collect::<Vec<_>>());
    assert!(daemon.stop().0.success());
}
