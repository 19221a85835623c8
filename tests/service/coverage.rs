//! What guards what: on this machine, below another root, without privilege.

use crate::documented::assert_documented;
use crate::support::{CommandOutput, DaemonUnderTest, ScratchTree, needs, program};
use serde_json::Value;
use std::fs;

fn tree_of<'d>(document: &'d Value, path: &str) -> &'d Value {
    let trees = document["trees"].as_array().unwrap();
    trees.iter().find(|tree| tree["path"] == path).unwrap_or_else(|| panic!("no {path}: {document:#}"))
}

#[test]
fn every_sort_of_place_is_found_and_guarded_by_fanotify() {
    needs!(Root);
    let tree = ScratchTree::new();
    for file in ["/usr/lib/python312.zip", "/srv/app/venv/pyvenv.cfg", "/home/u/.profile", "/usr/bin/python3.12"] {
        fs::create_dir_all(tree.inside(file).parent().unwrap()).unwrap();
        fs::write(tree.inside(file), "").unwrap();
    }
    fs::create_dir_all(tree.inside("/home/u/.local/lib/python3.12/site-packages")).unwrap();
    let said = program(&["coverage", "--json", "--root", tree.root().to_str().unwrap()]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{:?}", said.stderr));
    // What is degraded may be the machine's fault, never these places'.
    assert_eq!(said.code, i32::from(document["state"] != "guarded"), "{document:#}");
    for (path, place) in [
        ("/usr/lib/python3.12/site-packages", "site"),
        ("/home/u/.local/lib/python3.12/site-packages", "user-site"),
        ("/usr/lib", "zip"),
        ("/srv/app/venv", "virtual-environment"),
        ("/home/u", "environment"),
        ("/usr/bin", "program"),
    ] {
        let found = tree_of(&document, path);
        assert_eq!((&found["location"], &found["mechanism"]), (&place.into(), &"fanotify".into()), "{found:#}");
        assert_eq!(found["state"], "guarded");
    }
    let names: Vec<&str> =
        document["evidence"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pidfd", "exec-records", "fork-records", "exit-records", "processes", "host-programs"]);
    assert_documented(&document, include_str!("../../docs/coverage.md"));
}

#[test]
fn without_privilege_77_says_that_it_cannot_be_known() {
    needs!(Root);
    let tree = ScratchTree::new();
    let said = CommandOutput::of(crate::privileges::as_nobody(&tree).args([
        "coverage",
        "--root",
        tree.root().to_str().unwrap(),
    ]));
    assert_eq!(said.code, 77, "{}", said.stdout);
    assert!(said.stdout.contains("NO PERMISSION") && said.stdout.contains("inotify"), "{}", said.stdout);
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 120), "{}", said.stdout);
}

#[test]
fn a_link_to_nowhere_is_reported_and_a_configuration_with_a_mistake_is_refused() {
    let tree = ScratchTree::new();
    std::os::unix::fs::symlink("/gone", tree.inside("/usr/lib/python3.13")).unwrap();
    let said = program(&["coverage", "--json", "--root", tree.root().to_str().unwrap()]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(tree_of(&document, "/usr/lib/python3.13")["findings"][0]["code"], "link-to-nowhere");
    let wrong = tree.file("wrong.toml", "nonsense = 1\n");
    assert_eq!(program(&["coverage", "--config", wrong.to_str().unwrap()]).code, 78);
}

#[test]
fn a_running_daemon_is_asked_and_compared() {
    needs!(Root);
    let tree = ScratchTree::new();
    fs::create_dir(tree.path("run")).unwrap();
    let text = |backend: &str| {
        let socket = tree.path("run/status.sock");
        format!(
            "[watch]\nbackend = \"{backend}\"\n[status]\nsocket = \"{}\"\n[[output]]\ntype = \"stdout\"\n",
            socket.display()
        )
    };
    let ask = || {
        let config = tree.file("asked.toml", &text("auto"));
        let root = tree.root();
        let said =
            program(&["coverage", "--json", "--config", config.to_str().unwrap(), "--root", root.to_str().unwrap()]);
        serde_json::from_str::<Value>(&said.stdout).unwrap()["daemon"].clone()
    };
    let mut same = DaemonUnderTest::start(tree.run_config(&text("auto")));
    let answer = ask();
    assert_eq!((&answer["reached"], &answer["pid"]), (&true.into(), &same.pid().into()));
    let differences = answer["differences"].as_array().unwrap();
    assert!(!differences.iter().any(|one| one.as_str().unwrap().contains(" by ")), "{differences:?}");
    assert!(same.stop().0.success());
    let _other = DaemonUnderTest::start(tree.run_config(&text("inotify")));
    let answer = ask();
    assert!(answer["differences"][0].as_str().unwrap().contains("by nothing, not fanotify"), "{answer}");
}
