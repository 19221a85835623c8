//! Checks the privileges that the live tests of this module need.

use std::io::Write;
use std::process::Command;

/// Whether the test can run: as root with CAP_NET_ADMIN. Otherwise prints that the test is skipped, or fails where
/// `PYHOOKWATCH_REQUIRE_LIVE=1` is set.
pub fn met(test: &str) -> bool {
    const CAP_NET_ADMIN: u64 = 12;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap();
    let in_first_namespace = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    if effective >> CAP_NET_ADMIN & 1 == 1 && in_first_namespace {
        return true;
    }
    let line = format!("SKIPPED (needs root with CAP_NET_ADMIN): {test}\n");
    assert!(std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none_or(|value| value != "1"), "{line}");
    // The test runner hides the output of eprintln! when the test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    false
}

/// Runs an ignored test of this module in a new namespace of a kind (an option of unshare(1)).
pub fn in_a_namespace(kind: &str, test: &str) {
    if !met(test) {
        return;
    }
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args([kind, "--fork"]).arg(this).args(["--ignored", "--exact", test]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
