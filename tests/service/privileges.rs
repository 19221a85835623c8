//! What the program does without the rights it would like.

use crate::harness::{Daemon, PROGRAM, Said, Site, needs_root, say};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The program as nobody, copied to where nobody can reach it.
pub fn as_nobody(site: &Site) -> Command {
    as_nobody_with(site, &[])
}

/// The same with these options of `setpriv`.
pub fn as_nobody_with(site: &Site, options: &[&str]) -> Command {
    let program = site.path("pyhookwatch");
    // By another process: a child started beside this test could inherit a descriptor open for writing.
    assert!(Command::new("/bin/cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).args(options).arg(program);
    command
}

pub fn says(site: &Site, arguments: &[&str]) -> Said {
    say(as_nobody(site).args(arguments))
}

#[test]
fn fanotify_without_privilege_is_refused_with_the_way_out() {
    needs_root!("fanotify_without_privilege_is_refused_with_the_way_out");
    let site = Site::new();
    let root = site.root().display().to_string();
    let said = says(&site, &["run", "--root", &root, "--backend", "fanotify", "--output", "stdout"]);
    let line = said.one_line(77);
    assert!(line.contains("fanotify is refused") && line.contains("run as root (CAP_SYS_ADMIN)"), "{line}");
}

#[test]
fn without_privilege_auto_watches_with_inotify_and_says_what_that_means() {
    needs_root!("without_privilege_auto_watches_with_inotify_and_says_what_that_means");
    let site = Site::new();
    let mut command = as_nobody(&site);
    command.arg("run").arg("--root").arg(site.root()).args(["--output", "stdout"]);
    let mut daemon = Daemon::start(command);
    let said = daemon.stderr.seen().join("\n");
    assert!(said.contains("fanotify is refused here") && said.contains("no writer can be named"), "{said}");
    assert!(said.contains("ready: ") && said.contains("inotify on "), "{said}");
    site.plant_many("pkg", 1);
    let alert = daemon.record();
    assert_eq!(alert["pyhookwatch"]["writer"]["evidence"], "unavailable");
    assert_eq!(alert["file"]["path"], format!("{}/pkg0.pth", crate::harness::PACKAGES));
    assert!(alert.get("process").is_none(), "{alert:#}");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_configuration_or_rule_that_may_not_be_read_is_named() {
    needs_root!("a_configuration_or_rule_that_may_not_be_read_is_named");
    let site = Site::new();
    let (file, rule) = (site.file("secret.toml", ""), site.file("rules/secret.yml", crate::check::RULE));
    for path in [&file, &rule] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let said = says(&site, &["check", "--config", file.to_str().unwrap()]);
    let line = said.one_line(77);
    assert!(line.contains("secret.toml: cannot be read (Permission denied") && line.contains("run as root"), "{line}");
    let said = says(&site, &["check", "--rules", site.path("rules").to_str().unwrap()]);
    let line = said.one_line(77);
    assert!(line.contains("secret.yml: cannot read the rule file: Permission denied"), "{line}");
}

#[test]
fn an_output_file_that_may_not_be_written_is_a_matter_of_permission() {
    needs_root!("an_output_file_that_may_not_be_written_is_a_matter_of_permission");
    let site = Site::new();
    let root = site.root().display().to_string();
    let output = format!("file:{}", site.path("alerts.json").display());
    let said = says(&site, &["run", "--root", &root, "--backend", "inotify", "--output", &output]);
    let line = said.one_line(77);
    assert!(line.contains("alerts.json: Permission denied"), "{line}");
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let site = Site::new();
    let file = site.file("file", "");
    for (root, words) in [(file.to_str().unwrap(), "not a directory"), ("/nowhere", "No such file")] {
        let said = crate::harness::program(&["run", "--root", root, "--output", "stdout"]);
        let line = said.one_line(78);
        assert!(line.contains(root) && line.contains(words), "{line}");
    }
}
