//! Configuration and rules that others could have written.

use crate::check::RULE;
use crate::support::{DaemonUnderTest, ScratchTree, needs, program};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

/// Somebody who is neither root nor the user that the program runs as.
const SOMEBODY: u32 = 1234;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn root_takes_no_configuration_that_others_could_have_written() {
    needs!(Root);
    let tree = ScratchTree::new();
    let root = tree.root();
    let file = tree.file("etc/pyhookwatch.toml", "");
    let directory = tree.path("etc");
    let run = || {
        program(&["run", "--root", text(&root), "--output", "stdout", "--config", text(&file)]).one_line(77).to_owned()
    };
    let check = || program(&["check", "--config", text(&file)]).one_line(77).to_owned();
    for (weak, mode, before) in [(&file, 0o664, 0o644), (&file, 0o606, 0o600), (&directory, 0o777, 0o755)] {
        set_mode(weak, mode);
        for line in [run(), check()] {
            assert!(line.contains("pyhookwatch.toml: others could have written it: "), "{line}");
            assert!(line.ends_with(&format!("chmod go-w {}", weak.display())), "{line}");
        }
        set_mode(weak, before);
    }
    for weak in [&file, &directory] {
        chown(weak, Some(SOMEBODY), None).unwrap();
        for line in [run(), check()] {
            assert!(line.contains("belongs to user 1234, who can change it"), "{line}");
            assert!(line.ends_with(&format!("chown root: {}", weak.display())), "{line}");
        }
        chown(weak, Some(0), None).unwrap();
    }
    assert_eq!(program(&["check", "--config", text(&file)]).code, 0);
}

#[test]
fn a_link_to_what_somebody_else_owns_is_found_out_and_one_in_a_sticky_directory_too() {
    needs!(Root);
    let tree = ScratchTree::new();
    let theirs = tree.file("home/ours.yml", RULE);
    chown(tree.path("home"), Some(SOMEBODY), None).unwrap();
    std::fs::create_dir(tree.path("rules")).unwrap();
    let link = tree.path("rules/ours.yml");
    symlink(&theirs, &link).unwrap();
    let check = || program(&["check", "--rules", text(&tree.path("rules"))]);
    let line = check().one_line(77).to_owned();
    assert!(
        line.contains("rules/ours.yml: others could have written it: ") && line.contains("/home belongs"),
        "{line}"
    );
    chown(tree.path("home"), Some(0), None).unwrap();
    assert_eq!(check().code, 0);
    set_mode(&tree.path("rules"), 0o1777);
    assert_eq!(check().code, 0);
    std::os::unix::fs::lchown(&link, Some(SOMEBODY), None).unwrap();
    let line = check().one_line(77).to_owned();
    assert!(line.ends_with(&format!("chown -h root: {}", link.display())), "{line}");
}

#[test]
fn a_rule_that_somebody_could_have_written_never_comes_into_force_and_the_old_rules_stay() {
    needs!(Root);
    let tree = ScratchTree::new();
    let rule = tree.file("rules/ours.yml", RULE);
    std::fs::create_dir_all(tree.inside("/etc")).unwrap();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout", "--rules", text(&tree.path("rules"))]));
    tree.plant("/etc/novelty.probe", "1");
    assert_eq!(daemon.record()["file"]["path"], "/etc/novelty.probe");
    // Now it is silent about the name; but it is not root's any more.
    std::fs::write(&rule, RULE.replace("novelty.probe", "another.name")).unwrap();
    chown(&rule, Some(SOMEBODY), None).unwrap();
    let said = daemon.reload();
    assert!(said.contains("reload refused: the old configuration and rules stay in force"), "{said}");
    let why = daemon.stderr.seen().join("\n");
    assert!(why.contains("belongs to user 1234") && why.contains("chown root: "), "{why}");
    tree.plant("/etc/novelty.probe", "2");
    assert_eq!(daemon.record()["file"]["path"], "/etc/novelty.probe");
    chown(&rule, Some(0), None).unwrap();
    let said = daemon.reload();
    assert!(said.contains("reloaded: "), "{said}");
    tree.plant("/etc/another.name", "3");
    assert_eq!(daemon.record()["file"]["path"], "/etc/another.name");
    assert!(daemon.stop().0.success());
}

#[test]
fn who_has_no_privilege_is_warned_and_works_on() {
    needs!(Root);
    let tree = ScratchTree::new();
    let rule = tree.file("home/rules/ours.yml", RULE);
    for path in [&tree.path("home"), &tree.path("home/rules"), &rule] {
        chown(path, Some(65534), None).unwrap();
    }
    let rules = tree.path("home/rules").display().to_string();
    let check = || crate::privileges::run_as_nobody(&tree, &["check", "--rules", &rules]);
    let said = check();
    assert_eq!((said.code, said.stderr.len()), (0, 0), "her own files: {:#?}", said.stderr);
    set_mode(&rule, 0o664);
    let said = check();
    assert_eq!((said.code, said.stderr.len()), (0, 1), "{:#?}", said.stderr);
    assert!(said.stderr[0].contains("warning: ") && said.stderr[0].contains("chmod go-w"), "{:#?}", said.stderr);
    // Not even as root: it decides nothing.
    let said = program(&["explain", "--rules", &rules, "--path", "/etc/novelty.probe"]);
    assert_eq!((said.code, said.stderr.len()), (0, 1), "{:#?}", said.stderr);
    assert!(said.stderr[0].contains("others could have written it"), "{:#?}", said.stderr);
}
