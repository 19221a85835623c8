//! The status socket, as an administrator and as others meet it.

use crate::support::{CommandOutput, DaemonUnderTest, ScratchTree, eventually, needs, program};
use serde_json::Value;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

fn socket(tree: &ScratchTree) -> PathBuf {
    let directory = tree.path("run");
    if !directory.exists() {
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    }
    directory.join("status.sock")
}

fn start(tree: &ScratchTree, rules: &str) -> DaemonUnderTest {
    let text = format!("{rules}\n[status]\nsocket = \"{}\"\n[[output]]\ntype = \"stdout\"\n", socket(tree).display());
    DaemonUnderTest::start(tree.run_config(&text))
}

fn ask(tree: &ScratchTree, more: &[&str]) -> CommandOutput {
    let socket = socket(tree);
    program(&[&["status", "--socket", socket.to_str().unwrap()][..], more].concat())
}

fn document(tree: &ScratchTree) -> Value {
    let said = ask(tree, &["--json"]);
    assert_eq!(said.code, 0, "{:?}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
fn the_daemon_reports_what_it_watches_and_what_it_reported() {
    let tree = ScratchTree::new();
    let mut daemon = start(&tree, "");
    let before = document(&tree);
    assert_eq!((&before["pid"], &before["counters"]["alerts"]), (&daemon.pid().into(), &0.into()));
    assert_eq!(before["root"], tree.root().to_str().unwrap());
    tree.plant_many("pkg", 2);
    let paths: Vec<Value> = (0..2).map(|_| daemon.record()["file"]["path"].clone()).collect();
    let after =
        eventually("the delivery", || Some(document(&tree)).filter(|after| after["outputs"][0]["delivered"] == 2));
    assert_eq!(after["counters"]["alerts"], 2);
    let recent: Vec<Value> = after["recent_alerts"].as_array().unwrap().iter().map(|one| one["path"].clone()).collect();
    assert_eq!(recent, paths);
    assert!(after["rules"]["loaded"].as_u64().unwrap() > 10);
    assert_eq!(after["rules"]["last_reload"], Value::Null);
    assert_eq!(after["outputs"][0]["dropped"], 0);
    let text = ask(&tree, &[]).stdout;
    assert!(text.contains("2 alerts") && text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(daemon.stop().0.success());
    assert!(!socket(&tree).exists(), "the socket goes with its daemon");
}

#[test]
fn what_was_excluded_is_counted_and_sampled() {
    needs!(Root);
    let tree = ScratchTree::new();
    let me = std::env::current_exe().unwrap();
    let rule = format!(
        "title: Mine\nid: 6f1f0d52-3c3a-4b55-9d5f-7b2f2c9a1e10\nlogsource: {{product: linux, category: file_event}}\n\
         detection:\n  selection:\n    TargetFilename|endswith: '.marker'\n  filter:\n    Image: '{}'\n  condition: selection and not filter\nlevel: high\n",
        me.display()
    );
    let rules = tree.file("rules/mine.yml", &rule);
    let _daemon = start(&tree, &format!("[rules]\ndirectories = [\"{}\"]", rules.parent().unwrap().display()));
    tree.plant("/usr/lib/python3.12/x.marker", "x");
    let found =
        eventually("the exclusion", || Some(document(&tree)).filter(|found| found["counters"]["excluded"] == 1));
    let sample = &found["recent_excluded"][0];
    assert_eq!(
        (sample["path"].as_str(), sample["executable"].as_str()),
        (Some("/usr/lib/python3.12/x.marker"), me.to_str())
    );
    assert_eq!(sample["rules"][0]["name"], "Mine");
}

#[test]
fn the_result_of_the_last_reload_is_reported() {
    let tree = ScratchTree::new();
    let mut daemon = start(&tree, "");
    daemon.reload();
    eventually("the reload", || Some(()).filter(|()| document(&tree)["rules"]["last_reload"]["result"] == "loaded"));
    std::fs::write(tree.path("pyhookwatch.toml"), "nonsense\n").unwrap();
    daemon.reload();
    eventually("the refusal", || Some(()).filter(|()| document(&tree)["rules"]["last_reload"]["result"] == "refused"));
    assert!(ask(&tree, &[]).stdout.contains("refused (the old ones stay in force"));
}

#[test]
fn a_second_daemon_goes_on_without_the_socket_and_leaves_the_first_its_own() {
    let tree = ScratchTree::new();
    let first = start(&tree, "");
    let mut second = start(&tree, "");
    let said = second.stderr.seen().join("\n");
    assert!(said.contains("another daemon answers there already"), "{said}");
    assert!(second.stop().0.success());
    assert_eq!(document(&tree)["pid"], first.pid());
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let tree = ScratchTree::new();
    let mut killed = start(&tree, "");
    killed.process.signal(rustix::process::Signal::KILL);
    killed.process.wait();
    let said = ask(&tree, &[]);
    let line = said.one_line(69);
    assert!(line.contains("has ended: start it again"), "{line}");
    let daemon = start(&tree, "");
    assert_eq!(document(&tree)["pid"], daemon.pid());
}

#[test]
fn without_a_daemon_the_way_out_is_reported() {
    let tree = ScratchTree::new();
    let said = ask(&tree, &[]);
    let line = said.one_line(69);
    assert!(line.contains("no daemon answers there: start it"), "{line}");
}

#[test]
fn a_watcher_of_another_root_has_no_socket_of_its_own_accord() {
    let tree = ScratchTree::new();
    let daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout"]));
    let said = daemon.stderr.seen().join("\n");
    assert!(!said.contains("status socket"), "{said}");
}

#[test]
fn clients_that_never_read_hold_up_neither_alerts_nor_others() {
    let tree = ScratchTree::new();
    let mut daemon = start(&tree, "");
    let silent: Vec<UnixStream> = (0..40).filter_map(|_| UnixStream::connect(socket(&tree)).ok()).collect();
    tree.plant_many("pkg", 1);
    daemon.record();
    drop(silent);
    eventually("an answer", || Some(()).filter(|()| ask(&tree, &["--json"]).code == 0));
}

#[test]
fn others_get_no_answer() {
    needs!(Root);
    let tree = ScratchTree::new();
    let _daemon = start(&tree, "");
    assert_eq!(std::fs::metadata(socket(&tree)).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = |what: &str| {
        let said = CommandOutput::of(crate::privileges::as_nobody(&tree).args([
            "status",
            "--socket",
            socket(&tree).to_str().unwrap(),
        ]));
        assert_eq!(said.code, if what == "mode" { 77 } else { 69 }, "{what}: {:?}", said.stderr);
    };
    refused("mode");
    // Even if somebody opens it wide: the kernel says who asks.
    std::fs::set_permissions(socket(&tree), PermissionsExt::from_mode(0o666)).unwrap();
    refused("peer");
    let mut text = String::new();
    UnixStream::connect(socket(&tree)).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.ends_with("}\n"));
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_and_watching_goes_on() {
    let tree = ScratchTree::new();
    std::fs::create_dir(tree.path("run")).unwrap();
    std::fs::set_permissions(tree.path("run"), PermissionsExt::from_mode(0o777)).unwrap();
    let mut daemon = start(&tree, "");
    let said = daemon.stderr.seen().join("\n");
    assert!(said.contains("no status socket") && said.contains("can be written to by others"), "{said}");
    tree.plant_many("pkg", 1);
    daemon.record();
}
