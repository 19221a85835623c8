//! Alerts through the local syslog daemon.

use crate::output::{SyslogSocket, sequences};
use crate::rsyslog::{Message, Rsyslog, Setup};
use crate::support::schema::valid;
use crate::support::{DaemonUnderTest, PACKAGES, ScratchTree, needs};
use serde_json::Value;

const USUAL: Setup = Setup { special_parser: true, large: true };

fn output(tree: &ScratchTree, more: &str) -> String {
    let socket = Rsyslog::socket(&tree.path("rsyslog"));
    format!("[[output]]\ntype = \"syslog\"\nsocket = \"{}\"\n{more}\n", socket.display())
}

fn records(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(|message| valid(&message.text)).collect()
}

/// Two hundred alerts, whole, in order, none missing.
fn arrive_whole(protocol: &str, special_parser: bool) {
    let tree = ScratchTree::new();
    let rsyslog = Rsyslog::start(&tree.path("rsyslog"), Setup { special_parser, large: true });
    let mut daemon = DaemonUnderTest::start(tree.run_config(&output(&tree, &format!("protocol = \"{protocol}\""))));
    tree.plant_many("pkg", 200);
    let messages = rsyslog.messages(200);
    let (status, _) = daemon.stop();
    assert!(status.success());
    let records = records(&rsyslog.messages(200));
    assert_eq!(sequences(&records), (1..=200).collect::<Vec<_>>());
    for (number, (message, record)) in messages.iter().zip(&records).enumerate() {
        assert_eq!(message.program, "pyhookwatch");
        assert_eq!(message.pid, daemon.pid().to_string());
        assert_eq!(record["file"]["path"], format!("{PACKAGES}/pkg{number}.pth"));
        assert_eq!(record["pyhookwatch"]["content"]["lines"][0], format!("import os # {number}"));
    }
}

#[test]
fn two_hundred_alerts_arrive_whole_in_rfc_3164() {
    needs!(Rsyslogd);
    arrive_whole("rfc3164", true);
}

#[test]
fn two_hundred_alerts_arrive_whole_in_rfc_5424() {
    needs!(Rsyslogd);
    arrive_whole("rfc5424", false);
}

/// A rule of each level, for a file of the level's name.
const LEVELS: &str = "title: Probe of LEVEL
id: probe-LEVEL
logsource: {product: linux, category: file_event}
detection:
  selection:
    TargetFilename|endswith: /LEVEL.probe
  condition: selection
level: LEVEL
";

fn severities(more: &str) -> Vec<(String, String, String)> {
    let tree = ScratchTree::new();
    let rsyslog = Rsyslog::start(&tree.path("rsyslog"), USUAL);
    let levels = ["informational", "low", "medium", "high", "critical"];
    for level in levels {
        tree.file(&format!("rules/{level}.yml"), &LEVELS.replace("LEVEL", level));
    }
    let mut command = tree.run_config(&output(&tree, more));
    command.arg("--rules").arg(tree.path("rules"));
    let mut daemon = DaemonUnderTest::start(command);
    for level in levels {
        tree.plant(&format!("/{level}.probe"), "");
    }
    let messages = rsyslog.messages(levels.len());
    daemon.stop();
    let records = records(&messages);
    let level = |record: &Value| record["pyhookwatch"]["level"].as_str().unwrap().to_owned();
    records.iter().zip(messages).map(|(record, message)| (level(record), message.facility, message.severity)).collect()
}

fn owned(expected: [(&str, &str, &str); 5]) -> Vec<(String, String, String)> {
    expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())).to_vec()
}

#[test]
fn each_level_has_its_severity_and_the_facility_is_authpriv() {
    needs!(Rsyslogd);
    assert_eq!(
        severities(""),
        owned([
            ("informational", "authpriv", "info"),
            ("low", "authpriv", "notice"),
            ("medium", "authpriv", "warning"),
            ("high", "authpriv", "err"),
            ("critical", "authpriv", "crit"),
        ])
    );
}

#[test]
fn facility_and_severities_can_be_configured_one_by_one() {
    needs!(Rsyslogd);
    assert_eq!(
        severities("facility = \"local5\"\nseverity = { high = \"alert\", low = \"debug\" }"),
        owned([
            ("informational", "local5", "info"),
            ("low", "local5", "debug"),
            ("medium", "local5", "warning"),
            ("high", "local5", "alert"),
            ("critical", "local5", "crit"),
        ])
    );
}

#[test]
fn alerts_made_while_the_syslog_daemon_is_down_are_delivered_after_in_order() {
    needs!(Rsyslogd);
    let tree = ScratchTree::new();
    let directory = tree.path("rsyslog");
    let mut daemon = DaemonUnderTest::start(tree.run_config(&output(&tree, "")));
    let mut expected = 0;
    for round in 0..3 {
        let rsyslog = Rsyslog::start(&directory, USUAL);
        tree.plant_many(&format!("up{round}-"), 40);
        expected += 40;
        rsyslog.messages(expected);
        rsyslog.stop();
        tree.plant_many(&format!("down{round}-"), 40);
        expected += 40;
    }
    let rsyslog = Rsyslog::start(&directory, USUAL);
    let records = records(&rsyslog.messages(expected));
    assert_eq!(sequences(&records), (1..=expected as u64).collect::<Vec<_>>());
    let (status, said) = daemon.stop();
    assert!(status.success());
    let seen = daemon.stderr.seen();
    assert!(seen.iter().any(|line| line.contains("is the syslog daemon running?")), "{seen:#?}");
    assert!(seen.iter().any(|line| line.ends_with("works again")), "{seen:#?}");
    assert!(!said.iter().any(|line| line.contains("lost")), "{said:#?}");
    assert_eq!(rsyslog.messages(expected).len(), expected, "none arrives twice");
}

#[test]
fn a_syslog_socket_that_is_missing_at_the_start_is_used_when_it_appears() {
    let tree = ScratchTree::new();
    let socket = tree.path("late");
    let output = format!("syslog:unix:{}", socket.display());
    let mut daemon = DaemonUnderTest::start(tree.run(&["--backend", "inotify", "--output", &output]));
    let seen = daemon.stderr.seen().join("\n");
    assert!(seen.contains("late is not served") && seen.contains("alerts wait until it is"), "{seen}");
    tree.plant_many("early", 3);
    daemon.stderr.wait_for("alerts wait for the next attempt");
    let server = SyslogSocket::bind(&socket);
    for number in 1..=3 {
        let (header, record, _) = server.message();
        let (start, end) = ("<84>", format!(" pyhookwatch[{}]: ", daemon.pid()));
        assert!(header.starts_with(start) && header.ends_with(&end), "{header}");
        assert_eq!(record["event"]["sequence"], number);
    }
}
