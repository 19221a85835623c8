//! What is reported of the process besides its executable, and processes that are hard to read.

use crate::expect::{By, Expected};
use crate::fixture::{Backend, Fixture};
use crate::support::{Helper, OWN_MOUNTS, needs, needs::python, py};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SITECUSTOMIZE: &str = "/usr/lib/python3.12/sitecustomize.py";

fn sitecustomize() -> Expected {
    Expected::new("creation", SITECUSTOMIZE, "SITECUSTOMIZE_MODIFIED")
}

#[test]
fn the_alert_reports_the_place_and_the_login_of_the_writer() {
    needs!(Fanotify, Python, AuditSession);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut helper = Helper::python(&[]);
    let directory = session.fixture.outside();
    helper.run(&format!(
        "import os\nos.chdir({})\nopen('/proc/self/loginuid', 'w').write('1000')\nimport pty\nchild, end = pty.fork()\nif child == 0:\n  \
         open({}, 'w').write('import os')\n  os.read(0, 1)\n  os._exit(0)",
        py(&directory),
        py(&session.at(SITECUSTOMIZE)),
    ));
    let by = By::Alive(helper.executable());
    let alert = &session.expect_alerts(&[sitecustomize().elastic_unless_excluded(&helper.executable()).by(by)])[0].0;
    assert_eq!(alert["process"]["working_directory"].as_str(), directory.to_str());
    assert_eq!(alert["process"]["parent"]["pid"], helper.pid());
    assert_eq!(alert["process"]["parent"]["user"]["id"], rustix::process::geteuid().as_raw().to_string());
    let writer = &alert["pyhookwatch"]["writer"];
    assert!(writer["terminal"].as_str().unwrap().starts_with("pts/"), "{writer}");
    let login_session = fs::read_to_string(format!("/proc/{}/sessionid", helper.pid())).unwrap();
    assert_eq!(writer["login_session"].to_string(), login_session.trim());
    assert_eq!(writer["login_user"]["id"], "1000");
    assert_eq!((&writer["mount_namespace"], &writer["confidence"]), (&json!("host"), &json!("high")));
    session.stop();
}

#[test]
fn a_writer_in_another_mount_namespace_is_shown_as_such() {
    needs!(Fanotify, MountNamespace, Python);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut helper = Helper::python(&OWN_MOUNTS);
    helper.run(&format!("open({}, 'w').write('import os')", py(&session.at(SITECUSTOMIZE))));
    let executable = helper.executable();
    let by = By::Alive(executable.clone());
    let alert = &session.expect_alerts(&[sitecustomize().elastic_unless_excluded(&executable).by(by)])[0].0;
    assert_eq!(alert["pyhookwatch"]["writer"]["mount_namespace"], "other");
    session.stop();
}

/// Of a main thread that has ended nothing but the name is left.
#[test]
fn a_process_whose_main_thread_has_ended_is_named_by_another_thread() {
    needs!(Fanotify, Python);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let code = format!(
        "import ctypes, os, threading
def write():
    while ' Z ' not in open('/proc/%d/stat' % os.getpid()).read(): pass
    open({}, 'w').write('import os')
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=write).start()
ctypes.CDLL(None).syscall({}, 0)",
        py(&session.at(SITECUSTOMIZE)),
        libc_exit()
    );
    let mut command = Command::new(python().unwrap());
    let mut child = Ended(command.arg("-c").arg(code).stdin(Stdio::piped()).spawn().unwrap());
    let executable = python().unwrap().canonicalize().unwrap();
    let by = By::Alive(executable.clone());
    let alert = &session.expect_alerts(&[sitecustomize().elastic_unless_excluded(&executable).by(by)])[0].0;
    assert_eq!(alert["process"]["pid"], child.0.id());
    assert!(alert["process"]["command_line"].as_str().unwrap().contains(" -c import ctypes"));
    assert!(alert["process"]["working_directory"].is_string());
    drop(child.0.stdin.take());
    child.0.wait().unwrap();
    session.stop();
}

/// The number of the system call that ends one thread.
fn libc_exit() -> i64 {
    if cfg!(target_arch = "x86_64") { 60 } else { 93 }
}

/// A process that ends when its standard input does.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_writer_whose_command_line_never_comes_holds_up_nobody() {
    needs!(Fanotify, MountNamespace, Python, Fuse);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let point = session.fixture.outside().join("fuse");
    fs::create_dir(&point).unwrap();
    let path = session.at(SITECUSTOMIZE);
    let mut child = None;
    session.while_held(|| {
        let mut command = Command::new(OWN_MOUNTS[0]);
        command.args(&OWN_MOUNTS[1..]).arg(python().unwrap());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/stall.py")).arg(&point).arg(&path);
        let running = child.insert(Ended(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()));
        let mut line = [0; 5];
        running.0.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"held\n");
        while state_of(running.0.id()) != Some('D') {
            std::thread::yield_now();
        }
    });
    let mut child = child.unwrap();
    let executable = fs::read_link(format!("/proc/{}/exe", child.0.id())).unwrap();
    let by = By::Alive(executable.clone());
    // Not excluded, whichever Python it is: it had only just started.
    let alert = &session.expect_alerts(&[sitecustomize().elastic().by(by)])[0].0;
    assert_eq!(alert["process"]["pid"], child.0.id());
    assert_eq!(alert["process"]["command_line"], Value::Null);
    // The same process is not waited for again, and others are read as ever.
    let mut shell = Helper::shell(Command::new("/bin/sh"));
    shell.run(&format!("rm {0}; echo import sys > {0}", path.display()));
    let by = By::Alive(shell.executable());
    let alert = &session.expect_alerts(&[sitecustomize().elastic().by(by)])[0].0;
    assert_eq!(alert["process"]["command_line"], "/bin/sh");
    // The daemon also ends with a thread that is still held up.
    session.stop();
    drop(child.0.stdin.take());
    child.0.wait().unwrap();
}

/// The state of its main thread.
fn state_of(pid: u32) -> Option<char> {
    let mut stat = String::new();
    fs::File::open(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?.read_to_string(&mut stat).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
