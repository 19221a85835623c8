//! Wrong usage of the command line.

use crate::support::program;

#[test]
fn wrong_usage_is_one_line_and_code_64() {
    for (arguments, words) in [
        (&["frobnicate"][..], "'frobnicate'"),
        (&["run", "--outptu", "stdout"], "'--output'"),
        (&["run", "--output", "printer"], "use stdout, syslog, syslog:unix:PATH or file:PATH"),
        (&["run", "--output", "file:relative"], "must be absolute"),
        (&["run", "--output", "syslog:udp://127.0.0.1:514"], "let rsyslog or journald forward them"),
        (&["run", "--output", "stdout", "--output", "stdout"], "two --output go to stdout"),
        (&["run", "--output", "file:/x/y", "--output", "file:/x/y"], "two --output go to /x/y"),
        (&["explain", "--path", "relative/x.pth"], "--path relative/x.pth: it must be absolute"),
        (&["run", "--backend", "magic"], "use one of auto, fanotify, inotify"),
        (&["run", "--format", "xml"], "use one of ecs, text"),
        (&["explain"], "--path"),
        (&["explain", "--path", "/x", "--action", "touched"], "creation, change, rename"),
        (&["check", "--config"], "--config"),
    ] {
        let said = program(arguments);
        let line = said.one_line(64);
        assert!(line.starts_with("pyhookwatch: error: "), "{line}");
        assert!(line.contains(words), "{line}\nshould say {words}");
        assert!(line.contains("--help"), "{line}");
    }
}

#[test]
fn a_hostile_argument_cannot_drive_the_terminal() {
    let said = program(&["run", "--output", "x\n\x1b[2J\u{202e}"]);
    let line = said.one_line(64);
    assert!(!line.chars().any(|character| character.is_control() || character == '\u{202e}'), "{line:?}");
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["explain", "--help"],
        &["check", "--help"],
        &["scan", "--help"],
        &["--version"],
    ] {
        let said = program(arguments);
        assert_eq!((said.code, said.stderr.len()), (0, 0), "{arguments:?}");
        assert!(!said.stdout.is_empty());
    }
    // Without a command the help is the answer, but nothing was done.
    let said = program(&[]);
    assert_eq!(said.code, 64);
    assert!(said.stderr.iter().any(|line| line.starts_with("Usage: pyhookwatch")), "{:#?}", said.stderr);
}
