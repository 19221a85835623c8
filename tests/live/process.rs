//! What is told of the process besides its executable, and processes that are hard to read.

use crate::actor::{Actor, OWN_MOUNTS, py};
use crate::expect::{By, Expected};
use crate::harness::{Backend, Scene};
use crate::needs::{self, Need};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SITECUSTOMIZE: &str = "/usr/lib/python3.12/sitecustomize.py";

fn sitecustomize() -> Expected {
    Expected::new("creation", SITECUSTOMIZE, "SITECUSTOMIZE_MODIFIED")
}

macro_rules! test_name {
    ($name:literal) => {
        concat!(module_path!(), "::", $name)
    };
}

#[test]
fn the_alert_tells_the_place_and_the_login_of_the_writer() {
    if !needs::met(
        test_name!("the_alert_tells_the_place_and_the_login_of_the_writer"),
        &[Need::Fanotify, Need::Python, Need::AuditSession],
    ) {
        return;
    }
    let mut watch = Scene::new().watch(Backend::Fanotify);
    let mut actor = Actor::python(&[]);
    let directory = watch.scene.outside();
    actor.run(&format!(
        "import os\nos.chdir({})\nopen('/proc/self/loginuid', 'w').write('1000')\nimport pty\nchild, end = pty.fork()\nif child == 0:\n  \
         open({}, 'w').write('import os')\n  os.read(0, 1)\n  os._exit(0)",
        py(&directory),
        py(&watch.at(SITECUSTOMIZE)),
    ));
    let by = By::Alive(actor.executable());
    let alert = &watch.expect_alerts(&[sitecustomize().elastic_unless_excluded(&actor.executable()).by(by)])[0].0;
    assert_eq!(alert["process"]["working_directory"].as_str(), directory.to_str());
    assert_eq!(alert["process"]["parent"]["pid"], actor.pid());
    assert_eq!(alert["process"]["parent"]["user"]["id"], rustix::process::geteuid().as_raw().to_string());
    let writer = &alert["pyhookwatch"]["writer"];
    assert!(writer["terminal"].as_str().unwrap().starts_with("pts/"), "{writer}");
    let session = fs::read_to_string(format!("/proc/{}/sessionid", actor.pid())).unwrap();
    assert_eq!(writer["login_session"].to_string(), session.trim());
    assert_eq!(writer["login_user"]["id"], "1000");
    assert_eq!((&writer["mount_namespace"], &writer["confidence"]), (&json!("host"), &json!("high")));
    watch.stop();
}

#[test]
fn a_writer_in_another_mount_namespace_is_shown_as_such() {
    if !needs::met(
        test_name!("a_writer_in_another_mount_namespace_is_shown_as_such"),
        &[Need::Fanotify, Need::MountNamespace, Need::Python],
    ) {
        return;
    }
    let mut watch = Scene::new().watch(Backend::Fanotify);
    let mut actor = Actor::python(&OWN_MOUNTS);
    actor.run(&format!("open({}, 'w').write('import os')", py(&watch.at(SITECUSTOMIZE))));
    let executable = actor.executable();
    let by = By::Alive(executable.clone());
    let alert = &watch.expect_alerts(&[sitecustomize().elastic_unless_excluded(&executable).by(by)])[0].0;
    assert_eq!(alert["pyhookwatch"]["writer"]["mount_namespace"], "other");
    watch.stop();
}

/// Of a main thread that has ended nothing but the name is left.
#[test]
fn a_process_whose_main_thread_has_ended_is_named_by_another_thread() {
    if !needs::met(
        test_name!("a_process_whose_main_thread_has_ended_is_named_by_another_thread"),
        &[Need::Fanotify, Need::Python],
    ) {
        return;
    }
    let mut watch = Scene::new().watch(Backend::Fanotify);
    let code = format!(
        "import ctypes, os, threading
def write():
    while ' Z ' not in open('/proc/%d/stat' % os.getpid()).read(): pass
    open({}, 'w').write('import os')
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=write).start()
ctypes.CDLL(None).syscall({}, 0)",
        py(&watch.at(SITECUSTOMIZE)),
        libc_exit()
    );
    let mut command = Command::new(needs::python().unwrap());
    let mut child = Ended(command.arg("-c").arg(code).stdin(Stdio::piped()).spawn().unwrap());
    let executable = needs::python().unwrap().canonicalize().unwrap();
    let by = By::Alive(executable.clone());
    let alert = &watch.expect_alerts(&[sitecustomize().elastic_unless_excluded(&executable).by(by)])[0].0;
    assert_eq!(alert["process"]["pid"], child.0.id());
    assert!(alert["process"]["command_line"].as_str().unwrap().contains(" -c import ctypes"));
    assert!(alert["process"]["working_directory"].is_string());
    drop(child.0.stdin.take());
    child.0.wait().unwrap();
    watch.stop();
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
    let name = test_name!("a_writer_whose_command_line_never_comes_holds_up_nobody");
    if !needs::met(name, &[Need::Fanotify, Need::MountNamespace, Need::Python, Need::Fuse]) {
        return;
    }
    let mut watch = Scene::new().watch(Backend::Fanotify);
    let point = watch.scene.outside().join("fuse");
    fs::create_dir(&point).unwrap();
    let path = watch.at(SITECUSTOMIZE);
    let mut child = None;
    watch.while_held_up(|| {
        let mut command = Command::new(OWN_MOUNTS[0]);
        command.args(&OWN_MOUNTS[1..]).arg(needs::python().unwrap());
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
    let alert = &watch.expect_alerts(&[sitecustomize().elastic().by(by)])[0].0;
    assert_eq!(alert["process"]["pid"], child.0.id());
    assert_eq!(alert["process"]["command_line"], Value::Null);
    // The same process is not waited for again, and others are read as ever.
    let mut shell = Actor::shell(Command::new("/bin/sh"));
    shell.run(&format!("rm {0}; echo import sys > {0}", path.display()));
    let by = By::Alive(shell.executable());
    let alert = &watch.expect_alerts(&[sitecustomize().elastic().by(by)])[0].0;
    assert_eq!(alert["process"]["command_line"], "/bin/sh");
    // The daemon also ends with a thread that is still held up.
    watch.stop();
    drop(child.0.stdin.take());
    child.0.wait().unwrap();
}

/// The state of its main thread.
fn state_of(pid: u32) -> Option<char> {
    let mut stat = String::new();
    fs::File::open(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?.read_to_string(&mut stat).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}
