//! What each thread of the running daemon may still do.

use crate::support::{DaemonUnderTest, PACKAGES, ScratchTree, eventually, needs, spawn};
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

const DAC_READ_SEARCH: u64 = 1 << 2;
const NET_ADMIN: u64 = 1 << 12;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;

/// The most that a thread of this name may keep.
fn allowed(name: &str) -> u64 {
    match name {
        "phw-fanotify" => SYS_ADMIN | SYS_PTRACE | DAC_READ_SEARCH | NET_ADMIN,
        "phw-cmdline" | "tokio-rt-worker" => 0,
        _ => DAC_READ_SEARCH,
    }
}

/// The value of a line of `/proc/PID/status`.
fn field<'t>(status: &'t str, name: &str) -> &'t str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap().trim()
}

/// Fails if a thread keeps more than its list; gives the names of all.
fn threads_keep_their_lists(daemon: &DaemonUnderTest) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap() {
        let task = task.unwrap().path();
        // It can have ended.
        let (Ok(status), Ok(name)) =
            (std::fs::read_to_string(task.join("status")), std::fs::read_to_string(task.join("comm")))
        else {
            continue;
        };
        let name = name.trim().to_owned();
        let set = |field_name| u64::from_str_radix(field(&status, field_name), 16).unwrap();
        for held in ["CapPrm", "CapEff"] {
            assert_eq!(set(held) & !allowed(&name), 0, "{name} keeps too much: {status}");
        }
        for held in ["CapInh", "CapAmb"] {
            assert_eq!(set(held), 0, "{name}: {status}");
        }
        assert_eq!((field(&status, "NoNewPrivs"), field(&status, "Seccomp")), ("1", "2"), "{name}: {status}");
        names.insert(name);
    }
    names
}

/// A hook written by a program of its own that is gone at once; gives the alert.
fn hook_of_another(tree: &ScratchTree, daemon: &mut DaemonUnderTest, name: &str) -> serde_json::Value {
    let path = format!("{PACKAGES}/{name}.pth");
    let staged = tree.inside("/staging/x");
    crate::support::write(&staged, "import os\n");
    let mut moved = Command::new("/bin/mv");
    assert!(spawn(moved.arg(&staged).arg(tree.inside(&path))).wait().unwrap().success());
    let alert = daemon.record();
    assert_eq!(alert["file"]["path"], path);
    alert
}

/// Everything that starts a thread has happened: a writer read, a file written and opened anew.
fn after_everything(tree: &ScratchTree, daemon: &mut DaemonUnderTest) -> BTreeSet<String> {
    let file = tree.path("log/alerts.json");
    let alert = hook_of_another(tree, daemon, "first");
    assert_eq!(alert["process"]["name"], "mv", "{alert:#}");
    assert_eq!(alert["pyhookwatch"]["writer"]["evidence"].as_str().map(|word| word != "unknown"), Some(true));
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    eventually("the first alert in the file", || (lines() == 1).then_some(()));
    std::fs::rename(&file, tree.path("log/alerts.json.1")).unwrap();
    daemon.reload();
    hook_of_another(tree, daemon, "second");
    eventually("the second alert in the new file", || (lines() == 1).then_some(()));
    threads_keep_their_lists(daemon)
}

#[test]
fn as_root_every_thread_keeps_only_its_list_and_everything_still_works() {
    needs!(Root);
    let tree = ScratchTree::new();
    std::fs::create_dir(tree.path("log")).unwrap();
    let output = format!("file:{}", tree.path("log/alerts.json").display());
    let mut daemon =
        DaemonUnderTest::start(tree.run(&["--backend", "fanotify", "--output", "stdout", "--output", &output]));
    let names = after_everything(&tree, &mut daemon);
    for name in ["pyhookwatch", "phw-fanotify", "phw-dirscan", "tokio-rt-worker"] {
        assert!(names.contains(name), "{name} is not there: {names:?}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    assert_eq!(u64::from_str_radix(field(&status, "CapBnd"), 16).unwrap(), 0, "{status}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    assert!(daemon.stop().0.success());
}

#[test]
fn with_inotify_nothing_but_reading_is_kept() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--backend", "inotify", "--output", "stdout"]));
    tree.plant_many("one", 1);
    daemon.record();
    let names = threads_keep_their_lists(&daemon);
    assert!(names.contains("phw-inotify"), "{names:?}");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_service_user_with_four_capabilities_names_writers_and_keeps_no_more_than_root_does() {
    needs!(Root);
    let tree = ScratchTree::new();
    std::fs::create_dir(tree.path("log")).unwrap();
    chown(tree.path("log"), Some(65534), None).unwrap();
    // What only root may read is read all the same.
    let config = tree.file("pyhookwatch.toml", "");
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o600)).unwrap();
    let four = "+sys_admin,+sys_ptrace,+dac_read_search,+net_admin";
    let mut command = crate::privileges::as_nobody_with(
        &tree,
        &[
            &format!("--inh-caps=-all,{four}"),
            &format!("--ambient-caps=-all,{four}"),
            &format!("--bounding-set=-all,{four}"),
        ],
    );
    command.args(["run", "--backend", "fanotify", "--root"]).arg(tree.root()).arg("--config").arg(config);
    command.args(["--output", "stdout", "--output", &format!("file:{}", tree.path("log/alerts.json").display())]);
    let mut daemon = DaemonUnderTest::start(command);
    let said = daemon.stderr.seen().join("\n");
    assert!(!said.contains("without CAP_") && !said.contains("cannot"), "{said}");
    let names = after_everything(&tree, &mut daemon);
    assert!(names.contains("phw-fanotify"), "{names:?}");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_capability_that_is_missing_is_said_and_the_rest_works() {
    needs!(Root);
    let tree = ScratchTree::new();
    let two = "+sys_admin,+dac_read_search";
    let mut command = crate::privileges::as_nobody_with(
        &tree,
        &[&format!("--inh-caps=-all,{two}"), &format!("--ambient-caps=-all,{two}")],
    );
    command.args(["run", "--backend", "fanotify", "--output", "stdout", "--root"]).arg(tree.root());
    let mut daemon = DaemonUnderTest::start(command);
    let said = daemon.stderr.seen().join("\n");
    for name in ["CAP_SYS_PTRACE", "CAP_NET_ADMIN"] {
        assert!(said.contains(&format!("without {name}: ")), "{said}");
    }
    tree.plant_many("one", 1);
    daemon.record();
    assert!(daemon.stop().0.success());
}

#[test]
fn without_the_right_to_locate_fanotify_is_not_taken_for_working() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut command =
        crate::privileges::as_nobody_with(&tree, &["--inh-caps=-all,+sys_admin", "--ambient-caps=-all,+sys_admin"]);
    command.args(["run", "--output", "stdout", "--root"]).arg(tree.root());
    let mut daemon = DaemonUnderTest::start(command);
    let said = daemon.stderr.seen().join("\n");
    assert!(said.contains("fanotify is refused here") && said.contains("inotify on "), "{said}");
    tree.plant_many("one", 1);
    daemon.record();
    assert!(daemon.stop().0.success());
}

#[test]
fn an_output_that_could_not_be_opened_after_a_rotation_is_refused_at_the_start() {
    needs!(Root);
    let tree = ScratchTree::new();
    std::fs::create_dir(tree.path("log")).unwrap();
    chown(tree.path("log"), Some(1234), Some(1234)).unwrap();
    let output = format!("file:{}", tree.path("log/alerts.json").display());
    let root = tree.root().display().to_string();
    let line = crate::support::program(&["run", "--root", &root, "--output", &output]).one_line(77).to_owned();
    assert!(line.contains("alerts.json: Permission denied"), "{line}");
}
