//! A long day: nothing grows, and nothing is done when nothing happens.
//!
//! The program watches a filesystem of its own, mounted in a mount namespace of its own: the mark of
//! fanotify is on a whole filesystem, and on a shared one the other tests' files would count too.

use crate::support::{DaemonUnderTest, PACKAGES, PROGRAM, ScratchTree, eventually, needs, plant_in};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const MOUNT: &str = "mount -t tmpfs -o size=128m tmpfs \"$1\" && mkdir -p \"$1$3\" \"$1/staging\" \"$1/noise\" && \
    exec \"$2\" run --root \"$1\" --backend \"$4\" --output stdout";

/// Starts the program on its own filesystem; gives the way to it from here.
fn alone(tree: &ScratchTree, backend: &str) -> (DaemonUnderTest, PathBuf) {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh"]);
    command.arg(tree.root()).args([PROGRAM, PACKAGES, backend]);
    // glibc gives each thread a heap of its own: a helper thread that starts late would look like growth.
    command.env("MALLOC_ARENA_MAX", "1");
    let daemon = DaemonUnderTest::start(command);
    let root = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), tree.root().display()));
    (daemon, root)
}

/// Makes and removes this many files that no rule wants.
fn noise(root: &Path, made: &Cell<usize>, count: usize) {
    for _ in 0..count {
        // A name of its own each: of one name the kernel would make one record of all.
        let file = root.join(format!("noise/{}.log", made.replace(made.get() + 1)));
        fs::write(&file, "x").unwrap();
        fs::remove_file(&file).unwrap();
    }
}

#[derive(Debug, PartialEq)]
struct Counts {
    descriptors: usize,
    threads: usize,
}

fn counts(pid: u32) -> Counts {
    let entries = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    Counts { descriptors: entries("fd"), threads: entries("task") }
}

/// Resident memory in KiB.
fn resident(pid: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// A hook after every fifty files of noise; as many are made at once as the channel holds with ease.
fn day(daemon: &mut DaemonUnderTest, root: &Path, hooks: usize, noise_each: usize) {
    let made = Cell::new(0);
    for block in 0..hooks / 100 {
        for number in 0..100 {
            noise(root, &made, noise_each);
            let hook = block * 100 + number;
            plant_in(root, &format!("{PACKAGES}/h{hook}.pth"), format!("import x{hook}_{noise_each}"));
        }
        for _ in 0..100 {
            daemon.line();
        }
    }
}

#[test]
fn a_hundred_thousand_events_of_noise_and_two_thousand_hooks_leave_nothing_behind() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (mut daemon, root) = alone(&tree, "fanotify");
    // Longer than every memory of the program (2,048 changes), so that they are full.
    day(&mut daemon, &root, 2100, 2);
    let (before, memory) = (counts(daemon.pid()), resident(daemon.pid()));
    day(&mut daemon, &root, 2000, 50);
    // A directory stays open until its alert is written, the helper thread for a little longer.
    let mut after = counts(daemon.pid());
    eventually(&format!("as few descriptors and threads as before ({before:?})"), || {
        after = counts(daemon.pid());
        (after.descriptors <= before.descriptors && after.threads <= before.threads).then_some(())
    });
    let growth = resident(daemon.pid()) - memory;
    assert!(growth < 2048, "{growth} KiB more than after the warm-up ({memory} KiB)");
    let (status, said) = daemon.stop();
    assert!(status.success());
    let last = said.last().unwrap();
    assert!(last.contains(" 4100 alerts, ") && last.contains(" 0 losses, "), "{last}");
    // Each file of noise is created, written and closed, and removed: at least one record.
    let records: u64 = last.split("stopped: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(records >= 104_100, "{last}");
}

/// Context switches that the threads made of themselves: each is a wait that ended.
fn waits(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let waits = |task: fs::DirEntry| -> u64 {
        // A helper thread may end meanwhile.
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse().unwrap())
    };
    tasks.map(|task| waits(task.unwrap())).sum()
}

/// Processor time in clock ticks of a hundredth of a second.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Nothing polls: every thread sleeps until a descriptor, a signal or a deadline of a pending change
/// wakes it, and nothing is pending. What may wake in two seconds is one look of inotify at its roots
/// (every five seconds) and the end of the helper thread that wrote to standard output (after ten).
/// Each is a few waits; a loop of even ten a second in one thread would be twenty.
const MOST_WAITS: u64 = 10;

/// Every process that somebody starts meanwhile is a record that wakes the reader, at most this often.
const WAITS_FOR_A_PROCESS: u64 = 4;

/// Records about processes are read four times a second while there are any.
const WAITS_FOR_PROCESSES: u64 = 10;

/// Processes and threads started on this machine since it did.
fn forks() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    stat.lines().find_map(|line| line.strip_prefix("processes ")).unwrap().trim().parse().unwrap()
}

/// The work of those few waits is far below one tick; the other may be counted by chance.
const MOST_TICKS: u64 = 2;

fn is_quiet(backend: &str) {
    let tree = ScratchTree::new();
    let (mut daemon, root) = alone(&tree, backend);
    plant_in(&root, &format!("{PACKAGES}/a.pth"), "import x");
    daemon.line();
    // The last work of that alert is done when the count stands still.
    let mut last = waits(daemon.pid());
    eventually("rest after the alert", || {
        // A standstill is time without a change.
        std::thread::sleep(Duration::from_millis(100));
        let now = waits(daemon.pid());
        std::mem::replace(&mut last, now).eq(&now).then_some(())
    });
    let (waits_before, ticks_before, forks_before) = (waits(daemon.pid()), ticks(daemon.pid()), forks());
    // Nothing to wait for: that nothing happens in this time is what is tested.
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    let (waited, worked) =
        (waits(daemon.pid()).saturating_sub(waits_before), ticks(daemon.pid()).saturating_sub(ticks_before));
    let allowed = match forks() - forks_before {
        0 => MOST_WAITS,
        forks => MOST_WAITS + WAITS_FOR_PROCESSES + WAITS_FOR_A_PROCESS * forks,
    };
    assert!(waited <= allowed, "{waited} waits, {allowed} allowed, in {:?}", start.elapsed());
    assert!(worked <= MOST_TICKS, "{worked} ticks in {:?}", start.elapsed());
    assert!(daemon.stop().0.success());
}

#[test]
fn when_nothing_happens_fanotify_does_nothing() {
    needs!(Root);
    is_quiet("fanotify");
}

#[test]
fn when_nothing_happens_inotify_does_next_to_nothing() {
    needs!(Root);
    is_quiet("inotify");
}
