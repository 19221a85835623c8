//! A flood of short processes: what the records of them cost, and that hooks are reported all the same.

use crate::alone;
use crate::daemon::{RecordingDaemon, Reported};
use crate::score::{Truth, Verdict, judge_all};
use crate::support::{needs, print, succeed};
use crate::tree::{Batch, GateTree, compile, text};
use std::process::Command;
use std::time::{Duration, Instant};

/// Processes of a flood: each is started (vfork and exec) and ends.
const PROCESSES: u64 = 20_000;

/// What one of them may cost the daemon, in microseconds of its CPU; without optimisation the same work
/// costs several times as much.
const MOST_MICROSECONDS: u64 = if cfg!(debug_assertions) { 60 } else { 15 };

/// What a flood may add to the memory of the daemon at its highest, in KiB.
const MOST_GROWTH: u64 = 12 * 1024;

/// Other work on the machine makes records too: one of so many floods must be cheap enough.
const ATTEMPTS: [&str; 3] = ["first", "second", "third"];

/// The cause of a loss of records of processes.
const CAUSE: &str = "attribution";

/// CPU of the daemon in microseconds; the kernel counts in hundredths of a second.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
}

/// A line of `/proc/PID/status` in KiB.
fn memory(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// What a flood cost.
struct Cost {
    /// Microseconds of CPU for each process.
    microseconds: u64,
    /// The highest memory over that before, in KiB.
    growth: u64,
}

/// Runs a flood with a hook in its middle and writes one after it; both must be reported.
fn flood(tree: &GateTree, daemon: &mut RecordingDaemon, batch: &Batch<'_>, is_held: bool) -> Cost {
    let pid = daemon.pid();
    let tiny = tree.static_program("tiny");
    let hook = |number: usize| batch.hook().replace('@', &number.to_string());
    // What is made once is made.
    std::fs::write(hook(0), "import os\n").unwrap();
    assert!(daemon.wait_for([batch.key(0)]).is_empty());
    // The highest mark of memory starts again from here.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let (start, cpu_before, memory_before) = (Instant::now(), cpu(pid), memory(pid, "VmRSS"));
    if is_held {
        daemon.hold();
    }
    let driver = tree.program("driver");
    succeed(Command::new("timeout").args(["200", &driver, "flood", &PROCESSES.to_string(), &tiny, &hook(1)]));
    if is_held {
        daemon.resume();
    }
    std::fs::write(hook(2), "import os\n").unwrap();
    let lost = daemon.wait_for([batch.key(1), batch.key(2)]);
    assert!(lost.is_empty(), "no alert for {lost:?}");
    let microseconds = (cpu(pid) - cpu_before) / PROCESSES;
    let growth = memory(pid, "VmHWM").saturating_sub(memory_before);
    print(&format!(
        "flood of {PROCESSES} processes{} in {:.1} s: {microseconds} us of CPU each (at most {MOST_MICROSECONDS}), \
         {growth} KiB more than {memory_before} KiB (at most {MOST_GROWTH})\n",
        if is_held { ", daemon stopped," } else { "" },
        start.elapsed().as_secs_f64(),
    ));
    Cost { microseconds, growth }
}

/// The hooks of the floods were written by the flood's program and by this one.
fn names_nobody_else(tree: &GateTree, reported: Reported) {
    let this = text(&std::env::current_exe().unwrap().canonicalize().unwrap());
    // The driver's, and whatever started this program.
    let parents =
        reported.alerts.values().flatten().filter_map(|alert| alert["process"]["parent"]["executable"].as_str());
    let truth = Truth {
        executables: vec![tree.static_program("tiny"), this],
        parents: parents.map(str::to_owned).collect(),
        pid: None,
        is_foreign: false,
    };
    let verdicts: Vec<_> = reported.alerts.values().filter_map(|alerts| judge_all(alerts, &truth)).collect();
    assert!(!verdicts.iter().any(|verdict| matches!(verdict, Verdict::Wrong(_))), "{verdicts:?}");
}

#[test]
fn a_flood_of_processes_is_cheap_and_hides_no_hook() {
    needs!(Fanotify, Compiler);
    let _alone = alone();
    compile();
    let tree = GateTree::new();
    let mut daemon = RecordingDaemon::start(&tree);
    let cheap = ATTEMPTS.into_iter().any(|mode| {
        let batch = Batch { tree: &tree, shape: "flood", mode, writes: 3 };
        let cost = flood(&tree, &mut daemon, &batch, false);
        assert!(cost.growth <= MOST_GROWTH, "{} KiB more", cost.growth);
        cost.microseconds <= MOST_MICROSECONDS
    });
    assert!(cheap, "each flood cost more than {MOST_MICROSECONDS} us of CPU a process");
    names_nobody_else(&tree, daemon.end());
}

#[test]
fn a_flood_past_a_stopped_daemon_is_a_loss_of_attribution_and_hides_no_hook() {
    needs!(Fanotify, Compiler);
    let _alone = alone();
    compile();
    let tree = GateTree::new();
    let mut daemon = RecordingDaemon::start(&tree);
    let batch = Batch { tree: &tree, shape: "flood", mode: "held", writes: 3 };
    let cost = flood(&tree, &mut daemon, &batch, true);
    assert!(cost.growth <= MOST_GROWTH, "{} KiB more", cost.growth);
    assert!(daemon.reports_loss(CAUSE, Duration::from_secs(20)), "no loss of attribution was reported");
    names_nobody_else(&tree, daemon.end());
}
