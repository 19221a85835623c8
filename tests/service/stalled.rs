//! An output that nobody reads must not hold up the watcher, another output, or the truth about it.

use crate::harness::{Daemon, PATIENCE, Site, lines_of, needs_root, records_of, sequences};
use crate::schema;
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixDatagram;

/// Alerts that the queue of the stalled output holds.
const QUEUE: usize = 5;

/// Reads a record from the syslog socket.
fn receive(server: &UnixDatagram) -> Value {
    let mut buffer = vec![0; 65_536];
    let length = server.recv(&mut buffer).expect("a message");
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    schema::valid(&text[text.find('{').unwrap()..])
}

#[test]
fn a_syslog_socket_that_nobody_reads_delays_nobody_and_its_losses_are_counted_and_reported() {
    needs_root!("a_syslog_socket_that_nobody_reads_delays_nobody_and_its_losses_are_counted_and_reported");
    let site = Site::new();
    let (socket, file) = (site.path("log"), site.path("alerts.json"));
    let server = UnixDatagram::bind(&socket).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut daemon = Daemon::start(site.run_config(&format!(
        "[[output]]\ntype = \"syslog\"\nsocket = \"{}\"\nqueue = {QUEUE}\n[[output]]\ntype = \"file\"\npath = \"{}\"\n",
        socket.display(),
        file.display()
    )));
    let held_by_kernel = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let count = held_by_kernel.trim().parse::<usize>().unwrap() + QUEUE + 50;
    // One at a time, so that the queue is full because the socket is, and not because all came at once.
    for number in 1..=count {
        site.plant_many(&format!("pkg{number}-"), 1);
        lines_of(&file, number);
    }
    // The file has everything while the socket still stands still.
    assert_eq!(sequences(&records_of(&file, count)), (1..=count as u64).collect::<Vec<_>>());
    daemon.stderr.wait_for("is full: the daemon does not read it");

    let (mut arrived, mut lost) = (Vec::new(), 0);
    while arrived.len() + lost < count {
        let record = receive(&server);
        if record["event"]["kind"] == "pipeline_error" {
            assert_eq!(record["pyhookwatch"]["gap"]["cause"], "output-dropped");
            assert!(record["message"].as_str().unwrap().contains(socket.to_str().unwrap()), "{record}");
            lost += usize::try_from(record["pyhookwatch"]["gap"]["lost"].as_u64().unwrap()).unwrap();
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
    site.plant_many("after", 3);
    for number in 1..=3 {
        assert_eq!(receive(&server)["event"]["sequence"], count + number);
    }
    assert_eq!(sequences(&records_of(&file, count + 3)), (1..=count as u64 + 3).collect::<Vec<_>>());
    assert!(daemon.stop().0.success());
}
