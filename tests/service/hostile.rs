//! Names, command lines and contents that try to forge a record or to drive a terminal.

use crate::rsyslog::{Rsyslog, Setup};
use crate::support::schema::valid;
use crate::support::{CommandOutput, DaemonUnderTest, PACKAGES, ScratchTree, needs, write};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

/// A newline, a forged alert, a terminal title, a cleared screen, a direction mark, a byte that is no
/// UTF-8, the C1 form of an escape sequence.
const NAME: &[u8] = b"a\n{\"event\":{\"kind\":\"alert\"}}\r\n\x1b]0;owned\x07\x1b[2J\x1b[1A\xe2\x80\xae\xff\xc2\x9b31m \\n HIGH fake .pth";

/// What an alert must show of it.
const SHOWN: &str = "a\\n{\"event\":{\"kind\":\"alert\"}}\\r\\n\\x1b]0;owned\\x07\\x1b[2J\\x1b[1A\\u{202e}\\xff\\u{9b}31m \\\\n HIGH fake .pth";

const CONTENT: &[u8] = b"import os; \x1b[2J\x1b]0;owned\x07 \xc2\x9b0m \xe2\x80\xa8{\"event\":{\"kind\":\"alert\"}}\n";

/// Makes the hostile change with a hostile command line, by `cp`, so that nothing else is special.
fn attack(tree: &ScratchTree) {
    write(&tree.inside("/staging/hostile"), CONTENT);
    let target = tree.inside(PACKAGES).join(OsStr::from_bytes(NAME));
    let said = CommandOutput::of(Command::new("cp").arg("-l").arg(tree.inside("/staging/hostile")).arg(target));
    assert_eq!(said.code, 0, "{:?}", said.stderr);
}

#[test]
fn a_forged_record_in_a_file_name_stays_a_name_in_json() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout", "--format", "ecs"]));
    attack(&tree);
    tree.plant_many("end", 1);
    let first = daemon.record();
    assert_eq!(first["file"]["name"], SHOWN);
    assert_eq!(first["event"]["sequence"], 1);
    let lines = first["pyhookwatch"]["content"]["lines"].as_array().unwrap();
    assert!(lines[0].as_str().unwrap().starts_with("import os; \\x1b[2J"), "{lines:?}");
    let second = daemon.record();
    assert_eq!(second["file"]["path"], format!("{PACKAGES}/end0.pth"));
    assert_eq!(second["event"]["sequence"], 2);
}

#[test]
fn on_a_pipe_the_text_form_holds_no_escape_byte_and_one_block_for_each_record() {
    needs!(Root);
    let tree = ScratchTree::new();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--output", "stdout", "--format", "text"]));
    attack(&tree);
    tree.plant_many("end", 2);
    let (status, said) = {
        // The blocks are whole when the program has ended.
        crate::support::eventually("three alerts", || {
            (daemon.line().starts_with("  next") && daemon.stdout.as_ref().unwrap().seen().join("\n").contains("end1"))
                .then_some(())
        });
        daemon.stop()
    };
    assert!(status.success(), "{said:#?}");
    daemon.stdout.as_mut().unwrap().rest();
    let lines = daemon.stdout.as_ref().unwrap().seen();
    for line in lines {
        assert!(!line.chars().any(|character| character.is_control() || character == '\u{202e}'), "{line:?}");
    }
    let titles: Vec<_> = lines.iter().filter(|line| !line.starts_with("  ")).collect();
    assert_eq!(
        titles,
        [
            &format!("MEDIUM PTH_FILE_CREATED {PACKAGES}/{SHOWN}"),
            &format!("MEDIUM PTH_FILE_CREATED {PACKAGES}/end0.pth"),
            &format!("MEDIUM PTH_FILE_CREATED {PACKAGES}/end1.pth"),
        ]
    );
    let count = |name: &str| lines.iter().filter(|line| line.starts_with(&format!("  {name} "))).count();
    for name in ["when", "what", "who", "evidence", "rule", "runs", "next"] {
        let expected = match name {
            // Of each the baseline rule is listed too.
            "rule" => 6,
            // The line with U+2028 ends there for Python 3.13 and not for older ones: both are shown.
            "runs" => 4,
            _ => 3,
        };
        assert_eq!(count(name), expected, "{name}: {lines:#?}");
    }
}

#[test]
fn through_syslog_a_forged_line_stays_in_its_message() {
    needs!(Rsyslogd);
    let tree = ScratchTree::new();
    let directory = tree.path("rsyslog");
    let rsyslog = Rsyslog::start(&directory, Setup { special_parser: true, large: true });
    let output = format!("syslog:unix:{}", Rsyslog::socket(&directory).display());
    for (format, round) in [("ecs", 0), ("text", 1)] {
        let mut daemon = DaemonUnderTest::start(tree.run(&["--output", &output, "--format", format]));
        attack(&tree);
        tree.plant_many("end", 1);
        rsyslog.messages(round * 2 + 2);
        assert!(daemon.stop().0.success());
        std::fs::remove_file(tree.inside(PACKAGES).join(OsStr::from_bytes(NAME))).unwrap();
    }
    let messages = rsyslog.messages(4);
    assert_eq!(messages.len(), 4, "{messages:#?}");
    assert_eq!(valid(&messages[0].text)["file"]["name"], SHOWN);
    assert!(
        messages[2].text.starts_with(&format!("MEDIUM PTH_FILE_CREATED {PACKAGES}/{SHOWN} | when ")),
        "{messages:#?}"
    );
}

#[test]
fn a_hostile_path_in_an_error_stays_one_line() {
    let tree = ScratchTree::new();
    for arguments in [
        ["check", "--config", "/nowhere\n\x1b[2Jpyhookwatch: fine"],
        ["check", "--rules", "/nowhere\n\x1b[2Jpyhookwatch: fine"],
    ] {
        let line = crate::support::program(&arguments).one_line(78).to_owned();
        assert!(!line.contains('\x1b') && line.contains("\\x1b[2J"), "{line:?}");
    }
    drop(tree);
}
