//! An output that nobody reads must not hold up the watcher, another output, or the truth about it.

use crate::output::{SyslogSocket, lines_of, records_of, sequences};
use crate::support::{DaemonUnderTest, ScratchTree, eventually, needs};
use serde_json::Value;
use std::fs;

/// Alerts that the queue of the stalled output holds.
const QUEUE: usize = 5;

#[test]
fn a_syslog_socket_that_nobody_reads_delays_nobody_and_its_losses_are_counted_and_reported() {
    needs!(Root);
    let tree = ScratchTree::new();
    let (socket, file) = (tree.path("log"), tree.path("alerts.json"));
    let server = SyslogSocket::bind(&socket);
    let mut daemon = DaemonUnderTest::start(tree.run_config(&format!(
        "[[output]]\ntype = \"syslog\"\nsocket = \"{}\"\nqueue = {QUEUE}\n[[output]]\ntype = \"file\"\npath = \"{}\"\n",
        socket.display(),
        file.display()
    )));
    let held_by_kernel = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let count = held_by_kernel.trim().parse::<usize>().unwrap() + QUEUE + 50;
    // One at a time, so that the queue is full because the socket is, and not because all came at once.
    for number in 1..=count {
        tree.plant_many(&format!("pkg{number}-"), 1);
        lines_of(&file, number);
    }
    // The file has everything while the socket still stands still.
    assert_eq!(sequences(&records_of(&file, count)), (1..=count as u64).collect::<Vec<_>>());
    daemon.stderr.wait_for("is full: the daemon does not read it");

    let (mut arrived, mut lost) = (Vec::new(), 0);
    while arrived.len() + lost < count {
        let record = server.record();
        if record["event"]["kind"] == "pipeline_error" {
            assert_eq!(record["pyhookwatch"]["loss"]["cause"], "output-dropped");
            assert!(record["message"].as_str().unwrap().contains(socket.to_str().unwrap()), "{record}");
            lost += usize::try_from(record["pyhookwatch"]["loss"]["count"].as_u64().unwrap()).unwrap();
        } else {
            arrived.push(record);
        }
    }
    assert!(lost > 0);
    let arrived = sequences(&arrived);
    assert!(arrived.is_sorted(), "{arrived:?}");
    assert_eq!(arrived.len() + lost, count, "every alert arrived or is counted as lost, once");
    daemon.stderr.wait_for("works again");

    // What is reported to one output takes no number from the others: they can prove that they miss
    // nothing.
    tree.plant_many("after", 3);
    for number in 1..=3 {
        assert_eq!(server.record()["event"]["sequence"], count + number);
    }
    assert_eq!(sequences(&records_of(&file, count + 3)), (1..=count as u64 + 3).collect::<Vec<_>>());
    assert!(daemon.stop().0.success());
}

#[test]
fn of_more_changes_at_once_than_can_be_judged_each_is_reported_or_counted() {
    needs!(Root);
    const COUNT: usize = 3000;
    let tree = ScratchTree::new();
    let file = tree.path("alerts.json");
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &format!("file:{}", file.display())]));
    daemon.process.hold();
    tree.plant_many("pkg", COUNT);
    daemon.process.resume();
    let is_gap = |record: &&Value| record["event"]["kind"] == "pipeline_error";
    let records = eventually("every change reported or counted", || {
        let records = records_of(&file, 0);
        let lost: u64 =
            records.iter().filter(is_gap).map(|gap| gap["pyhookwatch"]["loss"]["count"].as_u64().unwrap()).sum();
        let alerts = records.iter().filter(|record| !is_gap(record)).count();
        (alerts + usize::try_from(lost).unwrap() >= COUNT).then_some((records, alerts, lost))
    });
    let (records, alerts, lost) = records;
    assert_eq!(alerts as u64 + lost, COUNT as u64);
    assert_eq!(sequences(&records), (1..=records.len() as u64).collect::<Vec<_>>());
    for gap in records.iter().filter(is_gap) {
        assert_eq!(gap["event"]["reason"], "channel-full");
        assert_eq!(gap["event"]["dataset"], "pyhookwatch.loss");
    }
    assert!(daemon.stop().0.success());
}
