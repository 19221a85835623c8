//! The outputs as the daemon uses them, against real sockets and files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::alert::{Alert, Format};
use crate::event::Level;
use ::syslog::{Facility, Severity};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use time::UtcOffset;
use tokio::net::UnixDatagram;

/// Longer than anything here takes: it ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn alert(message: impl Into<Value>) -> Arc<Alert> {
    let document = json!({ "message": message.into() });
    Arc::new(Alert::new(Level::High, SystemTime::UNIX_EPOCH, &document))
}

fn dropped(count: u64, output: &str) -> Alert {
    Alert::new(Level::High, SystemTime::UNIX_EPOCH, &json!({ "count": count, "output": output }))
}

fn start(target: Target, queue: usize) -> Result<Outputs, OutputError> {
    let settings = OutputSettings { target, format: Some(Format::Ecs), queue };
    Outputs::start(&[settings], dropped, |_| UtcOffset::UTC)
}

fn syslog(socket: &Path, queue: usize, max_message: usize) -> Outputs {
    let settings = SyslogSettings {
        socket: socket.to_owned(),
        protocol: Protocol::Rfc3164,
        facility: Facility::LOG_AUTHPRIV,
        severities: [Severity::LOG_INFO; 5],
        max_message,
    };
    start(Target::Syslog(settings), queue).unwrap()
}

/// The next datagram's document.
async fn receive(daemon: &UnixDatagram) -> Value {
    let mut buffer = vec![0; 2_000_000];
    let length = tokio::time::timeout(PATIENCE, daemon.recv(&mut buffer)).await.expect("no message came").unwrap();
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    serde_json::from_str(text.split_once("]: ").expect("no header").1).unwrap()
}

async fn messages(daemon: &UnixDatagram, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(receive(daemon).await["message"].clone());
    }
    all
}

/// Lets the tasks run until `done`; there is no event for a counter.
async fn until(done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "it never came to this");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn alerts_sent_before_the_syslog_daemon_starts_arrive_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let outputs = syslog(&path, 100, 8192);
    (0..5).for_each(|n| outputs.send(alert(n)));
    tokio::task::yield_now().await;
    let daemon = UnixDatagram::bind(&path).unwrap();
    assert_eq!(messages(&daemon, 5).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_syslog_socket_that_vanishes_and_comes_back_gets_every_alert_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut daemon = UnixDatagram::bind(&path).unwrap();
    let outputs = syslog(&path, 100, 8192);
    for round in [0, 10, 20] {
        outputs.send(alert(round));
        assert_eq!(messages(&daemon, 1).await, [round]);
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        (round + 1..round + 6).for_each(|n| outputs.send(alert(n)));
        tokio::task::yield_now().await;
        daemon = UnixDatagram::bind(&path).unwrap();
        let expected: Vec<_> = (round + 1..round + 6).map(Value::from).collect();
        assert_eq!(messages(&daemon, 5).await, expected);
    }
    assert_eq!(outputs.finish(PATIENCE).await, 0);
    let mut rest = [0; 100];
    assert!(daemon.try_recv(&mut rest).is_err(), "something arrived twice");
}

#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let outputs = syslog(&path, 100, 8192);
    drop(daemon);
    std::fs::remove_file(&path).unwrap();
    let daemon = UnixDatagram::bind(&path).unwrap();
    outputs.send(alert(1));
    assert_eq!(messages(&daemon, 1).await, [1]);
    until(|| outputs.waiting() == 0).await;
}

#[tokio::test]
async fn a_stalled_syslog_daemon_costs_only_the_oldest_alerts_and_gets_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let outputs = syslog(&path, 10, 8192);
    // Nobody reads: first the kernel's queue of the socket fills up (net.unix.max_dgram_qlen, 10 to
    // 512 messages), then ours.
    let sent = 2000;
    for n in 0..sent {
        let before = Instant::now();
        outputs.send(alert(n));
        assert!(before.elapsed() < Duration::from_secs(1), "send() waited");
        assert!(outputs.waiting() <= 10);
        tokio::task::yield_now().await;
    }
    let (mut arrived, mut lost) = (Vec::new(), 0);
    while arrived.len() as u64 + lost < sent {
        let document = receive(&daemon).await;
        arrived.extend(document["message"].as_u64());
        lost += document["count"].as_u64().unwrap_or(0);
    }
    assert!(arrived.is_sorted_by(|a, b| a < b), "out of order or twice: {arrived:?}");
    assert!(lost > 0);
    assert_eq!(arrived.len() as u64 + lost, sent);
}

#[tokio::test]
async fn an_alert_too_long_for_the_socket_arrives_shortened_and_the_next_one_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let outputs = syslog(&path, 10, 1 << 20);
    // Longer than what a socket may buffer, net.core.wmem_default (212,992 bytes where not changed).
    let wmem = std::fs::read_to_string("/proc/sys/net/core/wmem_default").unwrap();
    let long = wmem.trim().parse::<usize>().unwrap().min(900_000) + 1000;
    // No record of ours is that long; a smaller buffer would do the same to an ordinary one.
    let line = json!({ "message": "x".repeat(long) }).to_string().into();
    outputs.send(Arc::new(Alert { level: Level::High, time: SystemTime::UNIX_EPOCH, line }));
    outputs.send(alert("next"));
    let first = receive(&daemon).await;
    assert!(first.to_string().len() < long);
    assert_eq!(messages(&daemon, 1).await, ["next"]);
    until(|| outputs.waiting() == 0).await;
}

#[tokio::test]
async fn no_message_is_longer_than_configured() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let outputs = syslog(&path, 10, 1024);
    outputs.send(alert("x".repeat(5000)));
    let mut buffer = [0; 10_000];
    let length = tokio::time::timeout(PATIENCE, daemon.recv(&mut buffer)).await.unwrap().unwrap();
    assert!(length <= 1024, "{length}");
}

#[tokio::test]
async fn a_rotated_file_is_opened_again_and_no_alert_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("alerts"), dir.path().join("alerts.1"));
    let outputs = start(Target::File(path.clone()), 10).unwrap();
    outputs.send(alert(1));
    until(|| outputs.waiting() == 0).await;
    std::fs::rename(&path, &old).unwrap();
    outputs.send(alert(2));
    until(|| outputs.waiting() == 0).await;
    outputs.reopen();
    until(|| path.exists()).await;
    outputs.send(alert(3));
    assert_eq!(outputs.finish(PATIENCE).await, 0);
    assert_eq!(std::fs::read_to_string(old).unwrap(), "{\"message\":1}\n{\"message\":2}\n");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"message\":3}\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_again_keeps_its_alerts_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let outputs = start(Target::File(path.clone()), 10).unwrap();
    std::fs::rename(&path, dir.path().join("alerts.1")).unwrap();
    std::fs::create_dir(&path).unwrap();
    outputs.reopen();
    outputs.send(alert(1));
    until(|| outputs.waiting() == 1).await;
    std::fs::remove_dir(&path).unwrap();
    until(|| outputs.waiting() == 0).await;
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"message\":1}\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
    let error = start(Target::File("/nonexistent/alerts".into()), 10).err().unwrap().to_string();
    assert_eq!(
        error,
        "cannot open output file /nonexistent/alerts: No such file or directory (os error 2): \
         create its directory, correct its permissions, or configure another path"
    );
}

#[tokio::test]
async fn finishing_ends_at_its_deadline_and_returns_how_many_alerts_were_left() {
    let dir = tempfile::tempdir().unwrap();
    let outputs = syslog(&dir.path().join("nobody"), 100, 8192);
    (0..7).for_each(|n| outputs.send(alert(n)));
    let before = Instant::now();
    assert_eq!(outputs.finish(Duration::from_millis(60)).await, 7);
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(60) && took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn finishing_does_not_wait_for_the_pause_between_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let outputs = syslog(&path, 100, 8192);
    outputs.send(alert(1));
    tokio::task::yield_now().await;
    let daemon = UnixDatagram::bind(&path).unwrap();
    assert_eq!(outputs.finish(PATIENCE).await, 0);
    assert_eq!(messages(&daemon, 1).await, [1]);
}

#[tokio::test]
async fn the_outputs_describe_themselves_for_the_ready_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts");
    let settings = |target| OutputSettings { target, format: None, queue: 1 };
    let all = [settings(Target::File(file.clone())), settings(Target::Stdout)];
    let outputs = Outputs::start(&all, dropped, |_| UtcOffset::UTC).unwrap();
    assert_eq!(outputs.describe(), format!("file {}, stdout", file.display()));
    assert!(!outputs.all_gone());
}
