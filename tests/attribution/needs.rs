//! What these tests need of the machine, and what happens when it is not there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the test can run: as in the live tests, loudly skipped where something is missing, a failure
/// where `PYHOOKWATCH_REQUIRE_LIVE=1` is set. The guard keeps the tests of this program apart: each
/// measures the whole machine.
pub fn met(test: &str, needs: &[(&str, bool)]) -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    let missing: Vec<_> = needs.iter().filter(|(_, there)| !there).map(|(words, _)| *words).collect();
    if missing.is_empty() {
        return Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner));
    }
    let line = format!("SKIPPED (needs {}): {test}\n", missing.join(", "));
    assert!(std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none_or(|value| value != "1"), "{line}");
    // Not with eprintln!, which the test runner hides when the test passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// Root with CAP_SYS_ADMIN, for fanotify.
pub fn fanotify() -> (&'static str, bool) {
    const CAP_SYS_ADMIN: u64 = 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let there = rustix::process::geteuid().is_root() && set >> CAP_SYS_ADMIN & 1 == 1;
    ("root with CAP_SYS_ADMIN", there)
}

/// A C compiler for the writers.
pub fn compiler() -> (&'static str, bool) {
    ("cc", works("cc", &["--version"]))
}

/// The distribution's Python.
pub fn python() -> (&'static str, bool) {
    ("/usr/bin/python3", works("/usr/bin/python3", &["-c", ""]))
}

/// The peer.
pub fn fatrace() -> (&'static str, bool) {
    ("fatrace (run tests/prepare.sh)", works("fatrace", &["--help"]))
}

/// Namespaces of users and mounts.
pub fn namespaces() -> (&'static str, bool) {
    ("unshare -Ur -m", works("unshare", &["-Ur", "-m", "true"]))
}

/// io_uring, which an administrator can forbid.
pub fn io_uring() -> (&'static str, bool) {
    let forbidden = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|word| word.trim() == "2");
    ("io_uring", !forbidden)
}

/// Overlay mounts.
pub fn overlay() -> (&'static str, bool) {
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("\toverlay\n"));
    ("overlay mounts", known)
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
