//! The self-test: what it says here, and that it leaves nothing and hides nothing.

use crate::documented::assert_documented;
use crate::support::{
    CommandOutput, Lines, PROGRAM, Running, ScratchTree, eventually, needs, patience, program, spawn,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Whatever a self-test could leave.
fn left() -> Vec<String> {
    let places = ["/var/tmp", "/var/lib", "/root", "/tmp", "/home", "/usr/local", "/opt", "/srv", "/var", "/usr"];
    let entries = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten().map_while(Result::ok);
    let names = entries.map(|entry| entry.path().display().to_string());
    let mut left: Vec<String> = names.filter(|name| name.contains(".pyhookwatch-selftest-")).collect();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains("pyhookwatch-selftest")).map(str::to_owned));
    left
}

/// One after the other: each looks at what is left.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn everything_passes_here_and_nothing_is_left() {
    needs!(Root);
    let _alone = alone();
    let said = program(&["selftest", "--json"]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(said.code, 0, "{document:#}");
    assert_eq!(document["summary"]["failed"], 0, "{document:#}");
    let place =
        |name: &str| document["cases"].as_array().unwrap().iter().find(|place| place["name"] == name).cloned().unwrap();
    for name in
        ["root", "mount-namespace", "private-file", "rename", "hard-link", "directory-rename", "tmpfs", "mounted-later"]
    {
        let place = place(name);
        assert_eq!((&place["outcome"], &place["writer"]["correct"]), (&"passed".into(), &true.into()), "{place:#}");
        assert!(place["latency_ms"].as_f64().unwrap() < patience().as_secs_f64() * 1000.0);
    }
    // Watching an overlay through its upper directory is no limitation: only an unnamed writer degrades the case.
    for place in [place("overlay-creation"), place("overlay-rename")] {
        assert!(place["outcome"] != "degraded" || place["writer"]["correct"].is_null(), "{place:#}");
    }
    assert_eq!(place("inotify")["writer"]["evidence"], "unavailable");
    let late = place("late");
    if late["outcome"] != "not-tried" {
        assert_ne!(late["writer"]["evidence"], "proc", "{late:#}");
    }
    assert_eq!(left(), Vec::<String>::new());
    assert_documented(&document, include_str!("../../docs/selftest.md"));
}

#[test]
fn without_privilege_inotify_alone_is_tried_and_77_says_so() {
    needs!(Root);
    let _alone = alone();
    let tree = ScratchTree::new();
    let said = CommandOutput::of(crate::privileges::as_nobody(&tree).args(["selftest", "--json"]));
    let document: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{:?}", said.stderr));
    assert_eq!(said.code, 77, "{document:#}");
    assert!(document["no_permission"].as_str().unwrap().contains("CAP_SYS_ADMIN"));
    assert_eq!(document["summary"]["passed"], 1, "{document:#}");
    assert_eq!(left(), Vec::<String>::new());
}

/// The pids of the watchers that are its children. One that has not become a watcher yet is none: whoever starts it
/// waits for that.
fn watchers(pid: u32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let watches = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).nth(1) == Some(b"run")
    };
    list.split_whitespace().map(|pid| pid.parse().unwrap()).filter(watches).collect()
}

fn begin() -> (Running, Lines, Vec<i32>) {
    let mut command = Command::new(PROGRAM);
    let mut child = spawn(command.args(["selftest", "--json"]).stdout(Stdio::piped()).stderr(Stdio::inherit()));
    let stdout = Lines::of(child.stdout.take().unwrap());
    let running = Running(child);
    let watchers = eventually("the watchers", || Some(watchers(running.0.id())).filter(|all| !all.is_empty()));
    (running, stdout, watchers)
}

#[test]
fn a_watcher_that_is_killed_fails_the_test() {
    needs!(Root);
    let _alone = alone();
    let (mut running, mut stdout, watchers) = begin();
    // A child of ours until we wait for it: nobody else has its number.
    kill_process(Pid::from_raw(watchers[0]).unwrap(), Signal::KILL).unwrap();
    assert_eq!(running.wait().code(), Some(1));
    let document: Value = serde_json::from_str(&stdout.rest().concat()).unwrap();
    assert!(document["summary"]["failed"].as_u64().unwrap() > 0, "{document:#}");
    assert_eq!(left(), Vec::<String>::new());
}

#[test]
fn after_a_signal_nothing_is_left() {
    needs!(Root);
    let _alone = alone();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let started = Instant::now();
        let (mut running, mut stdout, watchers) = begin();
        // Held up, so that the test is still there for the signal; it is ended all the same.
        kill_process(Pid::from_raw(watchers[0]).unwrap(), Signal::STOP).unwrap();
        running.signal(signal);
        let status = running.wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal.as_raw()), "{status}");
        assert!(started.elapsed() < patience());
        assert_eq!(stdout.rest(), Vec::<String>::new());
        assert_eq!(left(), Vec::<String>::new());
        for pid in watchers {
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is left");
        }
    }
}
