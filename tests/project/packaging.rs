//! The Debian package's texts fit the program: versions, licences, paths, maintainer scripts.

use crate::source::{project, read};
use std::process::Command;

#[test]
fn the_debian_changelog_starts_with_this_version() {
    let changelog = read("packaging/debian/changelog");
    let head = format!("pyhookwatch ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&head), "{head}");
}

#[test]
fn every_released_version_is_in_the_debian_changelog() {
    let changelog = read("packaging/debian/changelog");
    let news = read("CHANGELOG.md");
    for version in news.lines().filter_map(|line| line.strip_prefix("## ")).filter(|title| *title != "Unreleased") {
        let version = version.split(' ').next().unwrap();
        assert!(changelog.contains(&format!("pyhookwatch ({version}-")), "{version}");
    }
}

#[test]
fn the_copyright_file_names_every_crate_that_is_linked() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-musl", "--format", "{p}"])
        .current_dir(project())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let copyright = read("packaging/debian/copyright");
    let named: Vec<&str> = copyright
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("crates/"))
        .filter(|name| name.ends_with("/*"))
        .collect();
    let mut linked: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "pyhookwatch")
        .map(|name| format!("{name}/*"))
        .collect();
    linked.sort();
    linked.dedup();
    assert!(linked.len() > 30);
    let missing: Vec<_> = linked.iter().filter(|name| !named.contains(&name.as_str())).collect();
    let gone: Vec<_> = named.iter().filter(|name| !linked.iter().any(|known| known == *name)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing {missing:?}, gone {gone:?}: run packaging/debian/make-copyright"
    );
}

#[test]
fn what_the_package_rotates_is_the_file_that_the_configuration_shows() {
    let shown = "path = \"/var/log/pyhookwatch/alerts.json\"";
    assert!(read("config/pyhookwatch.toml").contains(shown));
    assert!(read("packaging/logrotate/pyhookwatch").contains("\n/var/log/pyhookwatch/*.json "));
}

#[test]
fn no_option_of_the_unit_takes_away_a_call_without_which_the_watcher_is_half_blind() {
    let unit = read("packaging/systemd/pyhookwatch.service");
    let options: Vec<&str> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    // It denies openat2 as a whole.
    assert!(!options.iter().any(|line| line.starts_with("RestrictSUIDSGID=")));
    let allowed = options.iter().filter_map(|line| line.strip_prefix("SystemCallFilter=")).next_back().unwrap();
    for call in ["fanotify_mark", "open_by_handle_at", "openat2", "capset", "seccomp"] {
        assert!(allowed.split(' ').any(|name| name == call), "{call}");
    }
}

#[test]
fn the_maintainer_scripts_parse() {
    for script in ["postinst", "prerm", "postrm", "tests/installed"] {
        let path = project().join("packaging/debian").join(script);
        let status = Command::new("/bin/sh").arg("-n").arg(&path).status().unwrap();
        assert!(status.success(), "{script}");
    }
}
