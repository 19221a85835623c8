//! Names and texts that an attacker chooses: each alert stays one printable line of JSON, which the
//! harness checks of every line.

use crate::expect::{By, Expected};
use crate::support::Helper;
use crate::with_each_backend;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const DIRECTORY: &str = "/usr/lib/python3/dist-packages";

with_each_backend! {
    []
    fn a_name_that_is_not_utf8_is_reported_byte_by_byte(fixture, backend) {
        let mut session = fixture.start(backend);
        fs::write(session.at(DIRECTORY).join(OsStr::from_bytes(b"\xff\xc3\x28.pth")), "import os").unwrap();
        session.expect_alerts(&[Expected::new("creation", format!("{DIRECTORY}/\\xff\\xc3(.pth"), "PTH_FILE_CREATED")]);
        session.stop();
    }

    []
    fn a_name_with_newline_escape_sequence_and_quotes_cannot_break_the_line(fixture, backend) {
        let mut session = fixture.start(backend);
        let name = "a\n{\"event\":1}\u{1b}[2J\r\t'\\\u{202e}htp.pth";
        fs::write(session.at(DIRECTORY).join(name), "import os").unwrap();
        let path = format!("{DIRECTORY}/a\\n{{\"event\":1}}\\x1b[2J\\r\\t'\\\\\\u{{202e}}htp.pth");
        session.expect_alerts(&[Expected::new("creation", path, "PTH_FILE_CREATED")]);
        session.stop();
    }

    []
    fn the_longest_name_in_a_deep_directory_is_reported(fixture, backend) {
        // The kernel's longest path is 4,095 bytes; the root takes some of them.
        let deep = format!("/opt/{}/lib/python3/site-packages", vec!["d".repeat(200); 15].join("/"));
        let path = format!("{deep}/{}.pth", "n".repeat(251));
        fs::create_dir_all(fixture.at(&path).parent().unwrap()).unwrap();
        let mut session = fixture.start(backend);
        fs::write(session.at(&path), "import os").unwrap();
        session.expect_alerts(&[Expected::new("creation", path, "PTH_FILE_CREATED")]);
        session.stop();
    }

    []
    fn the_name_before_a_rename_is_reported_as_carefully(fixture, backend) {
        let before = OsStr::from_bytes(b"\xfe\n\x1b]0;x\x07");
        fs::write(fixture.at("/tmp/x").with_file_name(before), "import os").unwrap();
        let mut session = fixture.start(backend);
        fs::rename(session.at("/tmp").join(before), session.at(DIRECTORY).join("x.pth")).unwrap();
        let expected = Expected::new("rename", format!("{DIRECTORY}/x.pth"), "PTH_FILE_CREATED");
        session.expect_alerts(&[expected.from("/tmp/\\xfe\\n\\x1b]0;x\\x07")]);
        session.stop();
    }

    []
    fn hostile_lines_in_a_hook_are_shown_escaped(fixture, backend) {
        let mut session = fixture.start(backend);
        fs::write(session.at(DIRECTORY).join("x.pth"), b"import os; print('\x1b[2J\xff')\n").unwrap();
        let alerts = session.expect_alerts(&[Expected::new("creation", format!("{DIRECTORY}/x.pth"), "PTH_FILE_CREATED")]);
        assert_eq!(alerts[0].0["pyhookwatch"]["content"]["lines"][0], "import os; print('\\x1b[2J\\xff')");
        session.stop();
    }

    []
    fn a_process_that_names_itself_with_escape_sequences_is_shown_escaped(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut command = Command::new("/bin/sh");
        command.arg0(OsStr::from_bytes(b"\x1b]0;owned\x07\xff\nsh")).args(["-s", "\"}\n{"]);
        let mut shell = Helper::shell(command);
        shell.run("printf '\\033[31m\\377x\\r' > /proc/$$/comm");
        let path = format!("{DIRECTORY}/x.pth");
        shell.run(&format!("echo import os > {}", session.at(&path).display()));
        let expected = Expected::new("creation", path, "PTH_FILE_CREATED").by(By::Alive(shell.executable()));
        let alerts = session.expect_alerts(&[expected]);
        if backend == Backend::Fanotify {
            let process = &alerts[0].0["process"];
            assert_eq!(process["name"], "\\x1b[31m\\xffx\\r");
            assert_eq!(process["command_line"], "\\x1b]0;owned\\x07\\xff\\nsh -s \"}\\n{");
            assert_eq!(process["pid"], shell.pid());
            assert_eq!(process["parent"]["pid"], std::process::id());
        }
        session.stop();
    }
}
