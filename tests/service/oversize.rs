//! An alert that is longer than a message may be.

use crate::output::SyslogSocket;
use crate::rsyslog::{Rsyslog, Setup};
use crate::support::schema::valid;
use crate::support::{DaemonUnderTest, Running, ScratchTree, needs, spawn};
use std::process::Command;

/// Content that no message of usual size holds: twenty long lines, each byte of which is escaped.
fn long_lines() -> Vec<u8> {
    [b"import x; \"".to_vec(), vec![0xff; 600], b"\n".to_vec()].concat().repeat(25)
}

/// A directory with a path of about 2,000 bytes, made of directories with names of this length.
fn deep(tree: &ScratchTree, name_length: usize) -> String {
    let path = format!("/usr/lib/python3.12/site-packages/{}", format!("{}/", "d".repeat(name_length)).repeat(9));
    std::fs::create_dir_all(tree.inside(&path)).unwrap();
    path
}

#[test]
fn an_alert_is_shortened_to_the_limit_of_each_output_and_stays_valid() {
    needs!(Root);
    let tree = ScratchTree::new();
    let limits = [1024, 1100, 1500, 2048, 4096, 8096, 16_384, 65_536];
    let servers = limits.map(|limit| SyslogSocket::bind(&tree.path(&format!("log{limit}"))));
    let outputs = limits.map(|limit| {
        let socket = tree.path(&format!("log{limit}"));
        format!("[[output]]\ntype = \"syslog\"\nsocket = \"{}\"\nmax_message_bytes = {limit}\n", socket.display())
    });
    let mut daemon = DaemonUnderTest::start(tree.run_config(&outputs.concat()));
    for name_length in (2..240).step_by(7) {
        let name = format!("{name_length}-\u{202e}\"\\.pth");
        tree.plant(&(deep(&tree, name_length) + &name), long_lines());
        for (server, limit) in servers.iter().zip(limits) {
            let (_, alert, length) = server.message();
            assert!(length <= limit, "{length} bytes where {limit} are allowed");
            let shortened = alert["pyhookwatch"]["shortened"] == true;
            assert_eq!(shortened, limit < 65_536, "limit {limit}");
            assert_eq!(alert["pyhookwatch"]["detection_type"], "PTH_FILE_CREATED");
            let path = alert["file"]["path"].as_str().unwrap();
            assert!(path.ends_with(".pth") && path.starts_with("/usr/lib/python3.12/"), "{path}");
        }
    }
    assert!(daemon.stop().0.success());
}

#[test]
fn a_long_alert_passes_an_rsyslogd_with_its_default_size_uncut() {
    needs!(Rsyslogd);
    let tree = ScratchTree::new();
    let directory = tree.path("rsyslog");
    let rsyslog = Rsyslog::start(&directory, Setup { special_parser: true, large: false });
    let output = format!("syslog:unix:{}", Rsyslog::socket(&directory).display());
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &output]));
    for name_length in [5, 100, 150, 200, 230] {
        tree.plant(&(deep(&tree, name_length) + "x.pth"), long_lines());
    }
    for message in rsyslog.messages(5) {
        assert_eq!(valid(&message.text)["pyhookwatch"]["shortened"], true);
    }
    assert!(daemon.stop().0.success());
}

#[test]
fn the_report_of_a_loss_keeps_its_cause_and_count_however_short_it_must_be() {
    needs!(Root);
    let tree = ScratchTree::new();
    let socket = tree.path("log");
    let server = SyslogSocket::bind(&socket);
    let _daemon = DaemonUnderTest::start(tree.run_config(&format!(
        "[[output]]\ntype = \"syslog\"\nsocket = \"{}\"\nmax_message_bytes = 1024\nqueue = 1\n",
        socket.display()
    )));
    tree.plant_many("pkg", 40);
    let gap = loop {
        let (_, record, length) = server.message();
        assert!(length <= 1024, "{length}");
        if record["event"]["kind"] == "pipeline_error" {
            break record;
        }
    };
    assert_eq!(gap["pyhookwatch"]["loss"]["cause"], "output-dropped");
    assert!(gap["pyhookwatch"]["loss"]["count"].as_u64().unwrap() > 0);
}

#[test]
fn a_command_line_of_a_hundred_kilobytes_is_cut_and_says_so() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout"]));
    // The shell is held open by its own redirection until the program has read /proc.
    let mut writer = Command::new("sh");
    writer.args(["-c", "printf 'import os\\n' > \"$1\" && read wait", "sh"]);
    writer.arg(tree.inside("/usr/lib/python3.12/usercustomize.py")).arg("\n\x1b".repeat(50_000));
    let mut writer = Running(spawn(writer.stdin(std::process::Stdio::piped())));
    let alert = daemon.record();
    drop(writer.0.stdin.take());
    writer.wait();
    let shown = alert["process"]["command_line"].as_str().unwrap();
    assert!(shown.ends_with(" ...") && shown.len() < 20_000, "{}", shown.len());
    assert_eq!(alert["pyhookwatch"]["writer"]["evidence"], "proc");
}
