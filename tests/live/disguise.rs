//! A process in a user namespace of its own can have any executable shown as the one it runs
//! (`PR_SET_MM_MAP`), in `/proc` and in its exit record. It gains nothing by that.

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture, Session};
use crate::records::{PYTHON, WRITE, alert_about, canonical, compiled, hook, python};
use crate::support::{needs, wait_until_older};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What it does before: nothing, a start that fails, a program in memory, or both, which cancel each other out.
const BEFORE: [&[&str]; 4] = [&[], &["failed"], &["memory"], &["memory", "failed"]];

/// By then a file is not fresh any more.
const OLD: Duration = Duration::from_millis(300);

/// The writer in its disguise.
struct Disguised {
    program: PathBuf,
}

impl Disguised {
    /// Its file is older than any process of the test: of a fresh one the daemon would doubt what it is.
    fn new(fixture: &Fixture) -> Self {
        let program = compiled(&fixture.outside().join("disguise"), include_str!("disguise.c"), &["-static"]);
        wait_until_older(&program, OLD);
        Self { program }
    }

    /// Starts it, and waits until it has written.
    fn write(&self, path: &Path, before: &[&str], more: &[&str]) -> Child {
        self.write_through(&[], path, before, more)
    }

    /// The same, through a program that becomes it.
    fn write_through(&self, prefix: &[&str], path: &Path, before: &[&str], more: &[&str]) -> Child {
        let mut words = prefix.iter().map(OsStr::new).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(canonical(PYTHON)).arg(path).args(before).args(more);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "written\n");
        child
    }
}

fn watch() -> (Session, Disguised) {
    let fixture = Fixture::new();
    let disguised = Disguised::new(&fixture);
    let mut session = fixture.start(Backend::Fanotify);
    // So the daemon knows the file of the other program.
    let path = hook(&session, 99);
    assert!(python(WRITE, &session.at(&path)).status().unwrap().success());
    alert_about(&mut session, &path);
    (session, disguised)
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Lets anybody write to a directory of the fixture.
fn open_to_all(directory: &Path) {
    let temporary = std::env::temp_dir().canonicalize().unwrap();
    for directory in directory.ancestors().take_while(|directory| *directory != temporary) {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    }
}

/// Whoever it is taken for, no rule is silent.
fn assert_gains_nothing(alert: &Alert, before: &[&str], is_contradicted: bool) {
    assert_eq!(alert.excluded(), "", "{before:?}: {}", alert.0);
    if is_contradicted {
        assert_ne!(alert.text("/process/executable"), Some(canonical(PYTHON).as_str()), "{before:?}: {}", alert.0);
    }
}

#[test]
fn a_living_writer_in_disguise_is_not_excluded() {
    needs!(Fanotify, Records, SystemPython, UserNamespace, Compiler);
    let (mut session, disguised) = watch();
    for (number, before) in BEFORE.iter().enumerate() {
        let path = hook(&session, number);
        let child = disguised.write(&session.at(&path), before, &["wait"]);
        let alert = alert_about(&mut session, &path);
        end(child);
        assert_gains_nothing(&alert, before, !before.contains(&"memory"));
        assert_eq!(alert.text("/pyhookwatch/writer/user_namespace"), Some("other"), "{}", alert.0);
    }
    session.stop();
}

#[test]
fn a_living_writer_in_disguise_that_is_looked_at_late_is_not_excluded() {
    needs!(Fanotify, Records, SystemPython, UserNamespace, Compiler);
    let (mut session, disguised) = watch();
    for (number, before) in BEFORE.iter().enumerate() {
        let path = hook(&session, number);
        let place = session.at(&path);
        let mut child = None;
        session.while_held(|| child = Some(disguised.write(&place, before, &["wait"])));
        let alert = alert_about(&mut session, &path);
        end(child.unwrap());
        assert_gains_nothing(&alert, before, !before.contains(&"memory"));
    }
    session.stop();
}

/// Of one that is gone nobody can report its user namespace.
#[test]
fn a_dead_writer_in_disguise_is_not_excluded() {
    needs!(Fanotify, Records, SystemPython, UserNamespace, Compiler);
    let (mut session, disguised) = watch();
    // Root of this host needs no disguise; anybody else does it like this.
    let somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for (number, before) in BEFORE.iter().enumerate() {
        let path = hook(&session, number);
        let place = session.at(&path);
        open_to_all(place.parent().unwrap());
        session.while_held(|| end(disguised.write_through(&somebody, &place, before, &[])));
        let alert = alert_about(&mut session, &path);
        // What failed to start cannot be reported from what was shown at the end.
        assert_gains_nothing(&alert, before, before.is_empty());
    }
    session.stop();
}

/// It really was that program before.
#[test]
fn a_dead_writer_in_disguise_is_not_named_as_the_program_that_it_was_before() {
    needs!(Fanotify, Records, SystemPython, UserNamespace, Compiler);
    let (mut session, disguised) = watch();
    let path = hook(&session, 1);
    let place = session.at(&path);
    let python = [PYTHON, "-S", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"];
    session.while_held(|| end(disguised.write_through(&python, &place, &[], &[])));
    assert_gains_nothing(&alert_about(&mut session, &path), &[], true);
    session.stop();
}
