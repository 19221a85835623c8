//! The gate: every shape in every mode.

use crate::daemon::{RecordingDaemon, Reported};
use crate::peers::{Kind, Peer};
use crate::requirements::{Mode, Required, required};
use crate::score::{Score, Truth, Verdict, judge_all};
use crate::shapes::{Pids, SHAPES, Shape};
use crate::support::{needs, print, scaled, succeed};
use crate::table::Row;
use crate::tree::{Batch, GateTree, compile, pids, text};
use crate::{alone, table};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Writes of each shape in each mode.
const WRITES: usize = 300;

#[test]
fn every_writer_is_named_where_the_records_can_know_and_none_wrongly() {
    needs!(Fanotify, Compiler, SystemPython, Fatrace, UserNamespace, Overlay, IoUring);
    let _alone = alone();
    compile();
    let tree = GateTree::new();
    let shapes: Vec<_> = SHAPES.iter().filter(|shape| is_chosen("SHAPES", shape.word)).collect();
    // Named by what its sibling ran, and a file that is hardly older than a process could be another one with the
    // same inode number: made before all others.
    tree.program("cloneparent");
    let modes = Mode::ALL.into_iter().filter(|mode| is_chosen("MODES", mode.word()));
    let rows: Vec<_> = modes.flat_map(|mode| run_mode(&tree, mode, &shapes)).collect();
    assert!(!rows.is_empty(), "no shape or mode of that name");
    table::print(&rows);
    let failures: Vec<_> = rows.iter().flat_map(failures).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether a list in the environment has this word, or there is no list.
fn is_chosen(list: &str, word: &str) -> bool {
    let chosen = std::env::var(format!("PYHOOKWATCH_GATE_{list}")).ok();
    chosen.is_none_or(|words| words.split(',').any(|chosen| chosen == word))
}

fn writes() -> usize {
    let chosen = std::env::var("PYHOOKWATCH_GATE_WRITES").ok();
    // Even, for the shapes that write in pairs.
    chosen.map_or(WRITES, |number| number.parse::<usize>().unwrap() / 2 * 2)
}

/// What this row lacks.
fn failures(row: &Row) -> Vec<String> {
    let (tally, place) = (&row.daemon, format!("{} ({})", row.shape, row.mode.word()));
    let mut failures = Vec::new();
    if tally.wrong > 0 || tally.lost > 0 {
        let examples = tally.examples.join("\n    ");
        failures.push(format!("{place}: {} wrong, {} without an alert\n    {examples}", tally.wrong, tally.lost));
    }
    if required(row.shape, row.mode) == Required::Right && tally.unknown > 0 {
        failures.push(format!("{place}: {} unknown", tally.unknown));
    }
    failures
}

/// One shape's writes in one mode, and what is true of them.
struct Done<'a> {
    shape: &'a Shape,
    truths: BTreeMap<String, Truth>,
}

fn run_mode(tree: &GateTree, mode: Mode, shapes: &[&Shape]) -> Vec<Row> {
    let start = Instant::now();
    let mut daemon = RecordingDaemon::start(tree);
    let mut peers = [Kind::Fatrace, Kind::ProcReader].map(|kind| Peer::start(kind, tree));
    let load = (mode == Mode::Loaded).then(|| Load::start(tree));
    let mut done = Vec::new();
    for shape in shapes {
        let batch = Batch { tree, shape: shape.word, mode: mode.word(), writes: writes() };
        let command = (shape.start)(&batch);
        // Every program is there before the first watcher is stopped.
        (shape.truth)(&batch, 0);
        (shape.truth)(&batch, 1);
        // What was prepared is no write of this shape.
        peers.iter_mut().for_each(|peer| peer.catch_up(tree, batch.key("before").as_str()));
        if mode == Mode::Stopped {
            daemon.hold();
            peers.iter().for_each(|peer| peer.hold());
        }
        // Within a time, so that a shape that hangs is found.
        let limit = scaled(Duration::from_secs(100)).as_secs().to_string();
        let output = succeed(Command::new("timeout").arg(limit).args(&command));
        if mode == Mode::Stopped {
            daemon.resume();
            peers.iter().for_each(|peer| peer.resume());
        }
        daemon.wait_for(batch.keys());
        done.push(Done { shape, truths: truths(shape, &batch, &output) });
    }
    peers.iter_mut().for_each(|peer| peer.catch_up(tree, mode.word()));
    drop(load);
    let reported = daemon.end();
    let rows = done.iter().map(|done| row(done, mode, &reported, &peers)).collect();
    let losses: Vec<_> = reported.losses.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    let more = reported.alerts.values().filter(|alerts| alerts.len() > 1).count();
    let seconds = start.elapsed().as_secs_f64();
    print(&format!("{}: {seconds:.0} s, losses: {losses:?}, writes with more than one alert: {more}\n", mode.word()));
    rows
}

fn truths(shape: &Shape, batch: &Batch<'_>, output: &str) -> BTreeMap<String, Truth> {
    let printed = pids(output);
    let truth = |number: usize| {
        let pid = match shape.pids {
            Pids::Driver => Some(*printed.get(&number).expect("a pid from the driver")),
            Pids::File => Some(pid_in_file(shape, batch, number)),
            Pids::Nowhere => None,
        };
        let programs = batch.tree.programs();
        let parents = ["driver", shape.word, "pid-forker"].map(|name| text(&programs.join(name))).to_vec();
        Truth { executables: (shape.truth)(batch, number), parents, pid, is_foreign: shape.is_foreign }
    };
    (0..batch.writes).map(|number| (batch.key(number), truth(number))).collect()
}

fn pid_in_file(shape: &Shape, batch: &Batch<'_>, number: usize) -> u32 {
    let path = (shape.hook)(batch).replace('@', &number.to_string());
    let content = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let pid = content.strip_prefix("# pid ").and_then(|rest| rest.lines().next());
    pid.and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no pid in {path}"))
}

fn row(done: &Done<'_>, mode: Mode, reported: &Reported, peers: &[Peer; 2]) -> Row {
    let (mut daemon, mut others) = (Score::default(), [Score::default(), Score::default()]);
    let mut wrong_alerts = Vec::new();
    for (key, truth) in &done.truths {
        let alerts = reported.alerts.get(key).map(Vec::as_slice).unwrap_or_default();
        let verdict = judge_all(alerts, truth);
        if matches!(verdict, Some(Verdict::Wrong(_))) {
            wrong_alerts.extend_from_slice(alerts);
        }
        daemon.add(key, verdict);
        alerts.iter().for_each(|alert| daemon.add_evidence(alert));
        for (tally, peer) in others.iter_mut().zip(peers) {
            tally.add(key, Some(peer.judge(key, truth, done.shape.names)));
        }
    }
    Row { shape: done.shape.word, title: done.shape.title, mode, daemon, peers: others, wrong_alerts }
}

/// Busy cores and files that nobody wants, until it is dropped.
struct Load(Vec<Child>);

impl Load {
    fn start(tree: &GateTree) -> Self {
        let program = tree.program("load");
        let cores = std::thread::available_parallelism().unwrap().get();
        let start = |arguments: &[&str]| {
            Command::new(&program).args(arguments).stdin(Stdio::null()).spawn().expect("a process of the load")
        };
        let noise = text(&tree.root().join("noise"));
        let mut processes: Vec<_> = (0..cores).map(|_| start(&["burn"])).collect();
        processes.push(start(&["noise", &noise]));
        Self(processes)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
