//! Writers whose parents are gone: the one that forked them is named, and so on up to a process that lives.

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture, Session};
use crate::records::{PYTHON, alert_about, canonical, hook};
use crate::support::{Helper, needs, py};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;
use std::fs;
use std::path::Path;

/// A process that adopts the orphans below it. It starts a shell, which forks another shell, which starts a
/// Python and ends, like the first one. The Python writes when it has been given to its adopter.
struct Family {
    adopter: Helper,
}

impl Family {
    fn new() -> Self {
        let mut adopter = Helper::python(&[]);
        // PR_SET_CHILD_SUBREAPER
        adopter.run("import ctypes, os, subprocess\nassert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0");
        Self { adopter }
    }

    /// Gives the writer's path to write to and what it does afterwards. Both shells are gone and reaped when
    /// the writer writes.
    fn orphan_writes(&mut self, path: &Path, then: &str) {
        let adopter = self.adopter.pid();
        let text = format!(
            "import os, time\nwhile os.getppid() != {adopter}:\n  time.sleep(0.001)\n\
             open({}, 'w').write('import os')\n{then}",
            py(path)
        );
        self.adopter.run(&format!(
            "first = subprocess.Popen(['/bin/sh', '-c', '(\"$0\" -S -c \"$1\" & :) ; :', {PYTHON:?}, {text:?}])\nfirst.wait()"
        ));
    }

    /// Waits until every orphan has ended and is reaped.
    fn bury(&mut self) {
        self.adopter.run("try:\n  while True: os.wait()\nexcept ChildProcessError: pass");
    }

    fn assert_reported(&self, alert: &Alert) {
        let process = &alert.0["process"];
        assert_eq!(process["executable"].as_str(), Some(canonical(PYTHON).as_str()), "{}", alert.0);
        let shell = canonical("/bin/sh");
        let parent = &process["parent"];
        assert_eq!((&parent["gone"], &parent["executable"]), (&json!(true), &json!(shell)), "{}", alert.0);
        let ancestors = alert.0["pyhookwatch"]["writer"]["ancestors"].as_array().unwrap();
        let [grandparent, adopter, test, ..] = ancestors.as_slice() else { panic!("{}", alert.0) };
        assert_eq!((&grandparent["gone"], &grandparent["executable"]), (&json!(true), &json!(shell)), "{}", alert.0);
        assert_ne!(grandparent["pid"], parent["pid"]);
        // From here on they live, and were read.
        assert_eq!(adopter["pid"], self.adopter.pid(), "{}", alert.0);
        assert!(adopter.get("gone").is_none(), "{}", alert.0);
        assert_eq!(test["pid"], std::process::id(), "{}", alert.0);
    }
}

fn watch() -> (Session, String) {
    let session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    (session, path)
}

#[test]
fn a_dead_orphan_is_reported_with_those_that_forked_it() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let (mut session, path) = watch();
    let mut family = Family::new();
    let place = session.at(&path);
    session.while_held(|| {
        family.orphan_writes(&place, "");
        family.bury();
    });
    let alert = alert_about(&mut session, &path);
    family.assert_reported(&alert);
    assert_eq!(alert.text("/pyhookwatch/writer/evidence"), Some("exit-record"), "{}", alert.0);
    session.stop();
}

#[test]
fn a_living_orphan_is_reported_with_those_that_forked_it() {
    needs!(Fanotify, Records, SystemPython);
    let (mut session, path) = watch();
    let mut family = Family::new();
    let pipe = session.fixture.outside().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    family.orphan_writes(&session.at(&path), &format!("open({}).read()", py(&pipe)));
    let alert = alert_about(&mut session, &path);
    // Lets it end.
    drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    family.bury();
    family.assert_reported(&alert);
    assert_eq!(alert.text("/pyhookwatch/writer/evidence"), Some("proc"), "{}", alert.0);
    session.stop();
}
