//! The end: what was seen is reported, and nothing can keep the program from ending.

use crate::output::{records_of, sequences};
use crate::support::{DaemonUnderTest, PACKAGES, ScratchTree, needs, patience, write};
use rustix::process::Signal;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest time from SIGTERM to the end. Without optimisation every step takes ten times as long.
const LAST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 8 } else { 2 });

/// The program is stopped while the changes are made, so that at SIGTERM all of them are still in the
/// kernel's queue.
fn pending(count: usize) -> Duration {
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &format!("file:{}", file.display())]));
    daemon.process.hold();
    tree.plant_many("pkg", count);
    daemon.process.signal(Signal::TERM);
    let asked = Instant::now();
    daemon.process.signal(Signal::CONT);
    let (status, said) = daemon.end();
    let took = asked.elapsed();
    assert!(status.success(), "{status}");
    assert_eq!(sequences(&records_of(&file, 0)), (1..=count as u64).collect::<Vec<_>>(), "{said:#?}");
    let last = said.last().unwrap();
    assert!(last.contains(&format!(" {count} alerts,")), "{last}");
    took
}

#[test]
fn at_sigterm_a_thousand_pending_changes_are_delivered_within_two_seconds() {
    needs!(Root);
    let took = pending(1000);
    assert!(took < LAST, "took {took:?}");
}

#[test]
fn at_sigterm_more_changes_than_the_channel_holds_are_delivered_too() {
    needs!(Root);
    pending(1500);
}

#[test]
fn at_sigterm_a_file_that_is_still_being_written_is_reported() {
    needs!(Root);
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &format!("file:{}", file.display())]));
    let mut open = fs::File::create(tree.inside("/usr/lib/python3.12/sitecustomize.py")).unwrap();
    std::io::Write::write_all(&mut open, b"import os\n").unwrap();
    assert!(daemon.stop().0.success());
    drop(open);
    let records = records_of(&file, 1);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["pyhookwatch"]["complete"], false);
    assert_eq!(records[0]["pyhookwatch"]["content"]["lines"][0], "import os");
}

#[test]
fn at_sigterm_a_directory_that_was_just_renamed_is_still_listed() {
    needs!(Root);
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &format!("file:{}", file.display())]));
    let staged = tree.inside("/staging/python3.13");
    fs::create_dir_all(staged.join("site-packages")).unwrap();
    daemon.process.hold();
    for number in 0..50 {
        // Under a name that is no hook's: only the listing can report of it.
        let plain = tree.inside("/staging/plain");
        write(&plain, "import os\n");
        fs::hard_link(&plain, staged.join(format!("site-packages/pkg{number}.pth"))).unwrap();
        fs::remove_file(&plain).unwrap();
    }
    fs::rename(&staged, tree.inside("/usr/lib/python3.13")).unwrap();
    daemon.process.signal(Signal::TERM);
    daemon.process.signal(Signal::CONT);
    let (status, said) = daemon.end();
    assert!(status.success(), "{status}");
    let listed = records_of(&file, 0)
        .iter()
        .filter(|record| {
            let path = record["file"]["path"].as_str().unwrap_or_default();
            path.starts_with("/usr/lib/python3.13/") && record["event"]["action"] == "rename"
        })
        .count();
    assert_eq!(listed, 50, "{said:#?}");
}

#[test]
fn a_flood_that_does_not_stop_delays_the_end_by_two_seconds_at_most() {
    needs!(Root);
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &format!("file:{}", file.display())]));
    let (packages, over) = (tree.inside(PACKAGES), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (packages, over) = (&packages, &over);
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    number += 1;
                    write(&packages.join(format!("w{writer}-{number}.pth")), "import os\n");
                }
            });
        }
        records_of(&file, 100);
        let asked = Instant::now();
        daemon.process.signal(Signal::TERM);
        let (status, said) = daemon.end();
        let took = asked.elapsed();
        over.store(true, Ordering::Relaxed);
        assert!(status.success(), "{status}");
        assert!(took < LAST, "took {took:?}: {said:#?}");
        assert!(said.last().unwrap().contains("stopped: "), "{said:#?}");
    });
}

/// Started, with a standard output that is full and that nobody reads.
fn hung(tree: &ScratchTree) -> (DaemonUnderTest, std::process::ChildStdout) {
    let file = tree.path("alerts.json");
    let output = format!("file:{}", file.display());
    let (mut daemon, stdout) =
        DaemonUnderTest::spawn_with_raw_stdout(tree.run(&["--output", "stdout", "--output", &output]));
    daemon.stderr.wait_for("ready: ");
    // More than a pipe of 64 KiB holds.
    tree.plant_many("pkg", 80);
    records_of(&file, 80);
    assert!(fs::metadata(file).unwrap().len() > 2 * 65_536);
    (daemon, stdout)
}

#[test]
fn a_reader_that_stands_still_delays_the_end_by_two_seconds_at_most_and_the_loss_is_said() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (mut daemon, _stdout) = hung(&tree);
    let asked = Instant::now();
    let (status, said) = daemon.stop();
    let took = asked.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < LAST, "took {took:?}");
    assert!(said.iter().any(|line| line.contains("alerts could not be delivered in time and are lost")), "{said:#?}");
}

#[test]
fn a_second_sigterm_ends_a_program_that_hangs() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (mut daemon, _stdout) = hung(&tree);
    daemon.process.signal(Signal::TERM);
    // The same signal twice is one while the first is pending.
    let end = Instant::now() + patience();
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let bits = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap().trim();
        if u64::from_str_radix(bits, 16).unwrap() & (1 << 14) == 0 {
            break;
        }
        assert!(Instant::now() < end, "the first SIGTERM is never taken");
    }
    daemon.process.signal(Signal::TERM);
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(128 + 15), "{said:#?}");
}
