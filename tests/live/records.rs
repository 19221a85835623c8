//! Writers that are gone when they are looked at: what the kernel's records name them as, how sure that is,
//! and that nothing less is ever excluded.
//!
//! The daemon is held up while they run, so that no test depends on who is faster.

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture, Session};
use crate::installers;
use crate::support::{needs, succeed};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the Elastic rule excludes.
pub const PYTHON: &str = "/usr/bin/python3";

/// A hook that both embedded rules want, as seen from the root, in a directory of its own.
pub fn hook(session: &Session, number: usize) -> String {
    let path = format!("/usr/lib/python3.{number}/sitecustomize.py");
    fs::create_dir_all(session.at(&path).parent().unwrap()).unwrap();
    path
}

/// A Python that runs this text; the path to write to is its argument, `sys.argv[1]`.
pub fn python(text: &str, path: &Path) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(["-S", "-c", &format!("import os, sys\n{text}")]).arg(path);
    command
}

/// Writes the hook.
pub const WRITE: &str = "open(sys.argv[1], 'w').write('import os')";

/// The file behind a path.
pub fn canonical(path: &str) -> String {
    Path::new(path).canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// The next alert, which is about this path.
pub fn alert_about(session: &mut Session, path: &str) -> Alert {
    let alert = session.next();
    if alert.text("/file/path") != Some(path) {
        session.fail(&format!("the alert is not about {path}: {}", alert.0));
    }
    alert
}

/// The alert about what is written to this hook while the daemon is held up.
pub fn written_unseen(session: &mut Session, path: &str, write: impl FnOnce(&Path)) -> Alert {
    let place = session.at(path);
    session.while_held(|| write(&place));
    alert_about(session, path)
}

/// The same, for a command that is run to its end.
fn run_unseen(session: &mut Session, path: &str, command: impl FnOnce(&Path) -> Command) -> Alert {
    written_unseen(session, path, |place| drop(succeed(&mut command(place))))
}

/// What is said of the writer.
pub fn reported<'a>(alert: &'a Alert, field: &str) -> Option<&'a str> {
    alert.text(&format!("/pyhookwatch/writer/{field}"))
}

/// The writer is named as this executable, known by this and that.
pub fn assert_named(alert: &Alert, executable: &str, evidence: &str, agreeing: &[&str]) {
    let agree = alert.0.pointer("/pyhookwatch/writer/corroborated_by").and_then(|all| all.as_array()).cloned();
    let agree: Vec<_> = agree.iter().flatten().filter_map(|word| word.as_str()).collect();
    let found = (alert.text("/process/executable"), reported(alert, "evidence"), agree.as_slice());
    assert_eq!(found, (Some(executable), Some(evidence), agreeing), "{}", alert.0);
}

/// It is sure, and so the rule that excludes it is silent.
pub fn assert_excluded(alert: &Alert) {
    let found = (alert.text("/pyhookwatch/writer/confidence"), alert.rulesets(), alert.excluded());
    assert_eq!(found, (Some("high"), "sumo".into(), "elastic".into()), "{}", alert.0);
}

/// Not sure, so no rule is silent; why not stands in the note.
pub fn assert_not_excluded(alert: &Alert, note: &str) {
    let found = (alert.text("/pyhookwatch/writer/confidence"), alert.excluded());
    assert_eq!(found, (Some("low"), String::new()), "{}", alert.0);
    assert!(reported(alert, "note").is_some_and(|reported| reported.contains(note)), "{}", alert.0);
    // It wants a known executable.
    let rules = if alert.text("/process/executable").is_some() { "sumo elastic" } else { "sumo" };
    assert_eq!(alert.rulesets(), rules, "{}", alert.0);
}

/// No executable is established.
pub fn assert_not_named(alert: &Alert) {
    assert_eq!(alert.text("/process/executable"), None, "{}", alert.0);
}

#[test]
fn a_dead_writer_is_excluded_when_its_exit_record_and_its_exec_record_agree() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    let mut waiting = python(&format!("sys.stdin.read()\n{WRITE}"), &session.at(&path));
    let mut child = waiting.stdin(Stdio::piped()).spawn().unwrap();
    let executable = PathBuf::from(format!("/proc/{}/exe", child.id()));
    while fs::read_link(&executable).ok() != Some(canonical(PYTHON).into()) {
        std::thread::yield_now();
    }
    // It has been running for a while when it writes: something else was read since.
    let other = hook(&session, 2);
    fs::write(session.at(&other), "import os").unwrap();
    alert_about(&mut session, &other);
    let alert = written_unseen(&mut session, &path, |_| {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    });
    assert_named(&alert, &canonical(PYTHON), "exit-record", &["exec-record"]);
    assert_excluded(&alert);
    // Its parent lives, and was read.
    assert_eq!(alert.0["process"]["parent"]["pid"], std::process::id());
    assert!(alert.text("/process/parent/command_line").is_some(), "{}", alert.0);
    assert!(alert.0["process"]["parent"].get("gone").is_none(), "{}", alert.0);
    session.stop();
}

/// While a program is being started, a thread or an io_uring of the one before can still write.
#[test]
fn a_dead_writer_that_had_only_just_started_is_named_and_not_excluded() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    let alert = run_unseen(&mut session, &path, |place| python(WRITE, place));
    assert_named(&alert, &canonical(PYTHON), "exit-record", &["exec-record"]);
    assert_not_excluded(&alert, "only just started");
    session.stop();
}

/// A start that fails leaves a record, and a later one that succeeds none of its own while that is not read.
#[test]
fn a_writer_that_starts_a_program_after_its_write_cannot_make_it_look_like_before() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let shell = canonical("/bin/sh");
    let text = "
import ctypes
if os.fork():
    os.wait()
    os._exit(0)
libc = ctypes.CDLL(None)
target = sys.argv[2].encode()
many = (ctypes.c_char_p * 3)(target, b'x' * 300000, None)
libc.execve(target, many, None)
open(sys.argv[1], 'w').write('import os')
libc.execve(target, (ctypes.c_char_p * 4)(target, b'-c', b':', None), None)";
    let path = hook(&session, 1);
    let alert = run_unseen(&mut session, &path, |place| {
        let mut command = Command::new(PYTHON);
        command.args(["-S", "-c", &format!("import os, sys{text}")]).arg(place).arg(&shell);
        command
    });
    // The record of its loader reports when it really was started.
    assert_named(&alert, &canonical(PYTHON), "fork-lineage", &[]);
    assert_not_excluded(&alert, "has run another program since");
    session.stop();
}

#[test]
fn a_dead_copy_of_a_process_is_excluded_when_its_exit_record_and_its_parents_program_agree() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    let text = format!("if os.fork():\n  os.wait()\nelse:\n  {WRITE}");
    let alert = run_unseen(&mut session, &path, |place| python(&text, place));
    assert_named(&alert, &canonical(PYTHON), "exit-record", &["fork-lineage"]);
    assert_excluded(&alert);
    assert_eq!(alert.flag("/process/parent/gone"), Some("true"));
    assert_eq!(alert.text("/process/parent/executable"), Some(canonical(PYTHON).as_str()));
    session.stop();
}

#[test]
fn a_dead_writer_that_ran_another_program_afterwards_is_named_by_its_exec_record_and_not_excluded() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    let text = format!("{WRITE}\nos.execv('/bin/true', ['true'])");
    let alert = run_unseen(&mut session, &path, |place| python(&text, place));
    assert_named(&alert, &canonical(PYTHON), "exec-record", &[]);
    assert_not_excluded(&alert, "has run another program since");
    session.stop();
}

#[test]
fn a_dead_writer_that_failed_to_start_a_program_before_is_named_and_not_excluded() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = hook(&session, 1);
    // The file is opened before the kernel finds out.
    let no_program = session.fixture.outside().join("no-program");
    fs::write(&no_program, "\x7fELF?").unwrap();
    fs::set_permissions(&no_program, fs::Permissions::from_mode(0o755)).unwrap();
    let no_program = no_program.display();
    let text = format!("try:\n  os.execv('{no_program}', ['x'])\nexcept OSError:\n  pass\n{WRITE}");
    let alert = run_unseen(&mut session, &path, |place| python(&text, place));
    assert_named(&alert, &canonical(PYTHON), "exit-record", &["exec-record"]);
    assert_not_excluded(&alert, "failed to start a program");
    session.stop();
}

/// Both linked dynamically (a shell), whose loader leaves a record, and statically, which leaves none.
#[test]
fn a_dead_program_in_memory_is_not_named_even_when_it_runs_an_excluded_one_afterwards() {
    needs!(Fanotify, Records, SystemPython, Compiler);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let static_program = compiled(&session.fixture.outside().join("static"), MINIMAL, &["-static"]);
    let arguments = |program: &Path, then: Option<&str>| match (program == static_program, then) {
        (true, then) => format!("['x', sys.argv[1]] + {:?}", then.into_iter().collect::<Vec<_>>()),
        (false, Some(then)) => format!("['sh', '-c', 'echo import > \"$0\"; exec {then} -S -c \"\"', sys.argv[1]]"),
        (false, None) => "['sh', '-c', 'echo import > \"$0\"', sys.argv[1]]".into(),
    };
    let mut number = 0;
    for program in [Path::new("/bin/sh"), &static_program] {
        for then in [None, Some(PYTHON)] {
            let text = format!(
                "memory = os.memfd_create('memory')\nos.write(memory, open('{}', 'rb').read())\nos.execve(memory, {}, {{}})",
                program.display(),
                arguments(program, then)
            );
            number += 1;
            let path = hook(&session, number);
            let alert = run_unseen(&mut session, &path, |place| python(&text, place));
            assert_not_named(&alert);
            assert_not_excluded(&alert, "left no record");
            if then.is_some() {
                assert_eq!(reported(&alert, "evidence"), Some("unknown"));
                let candidates = alert.0.pointer("/pyhookwatch/writer/candidates").unwrap();
                assert_eq!(candidates[0]["executable"].as_str(), Some(canonical(PYTHON).as_str()), "{}", alert.0);
            }
        }
    }
    session.stop();
}

/// Writes to its first argument and runs its second.
const MINIMAL: &str = "#include <fcntl.h>\n#include <unistd.h>\nint main(int count, char **words) {\n\
    int file = open(words[1], O_WRONLY | O_CREAT, 0644);\n\
    if (write(file, \"import os\\n\", 10) != 10 || close(file)) return 1;\n\
    if (count > 2) execl(words[2], words[2], \"-S\", \"-c\", \"\", (char *)0);\nreturn count > 2;\n}\n";

/// Compiles a program in C.
pub fn compiled(program: &Path, text: &str, options: &[&str]) -> PathBuf {
    let source = program.with_extension("c");
    fs::write(&source, text).unwrap();
    succeed(Command::new("cc").args(["-O1", "-Wall", "-o"]).arg(program).arg(source).args(options));
    program.to_path_buf()
}

/// A script that the kernel can start. Not written by this process: a child of another of its threads would
/// hold it open, and it could not be started.
fn script(session: &Session, name: &str, text: &str) -> PathBuf {
    let place = session.fixture.outside().join(name);
    let text_file = place.with_extension("text");
    fs::write(&text_file, text).unwrap();
    succeed(Command::new("cp").arg(text_file).arg(&place));
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    place
}

/// Its path counts as recorded, for the kernel opened it.
fn expect_script(first_line: &str, rest: &str, interpreter: &str) {
    let mut session = Fixture::new().start(Backend::Fanotify);
    let pip = script(&session, "pip", &format!("{first_line}\n{rest}\n"));
    let path = hook(&session, 1);
    let alert = run_unseen(&mut session, &path, |place| {
        let mut command = Command::new(&pip);
        command.arg(place);
        command
    });
    assert_named(&alert, &canonical(interpreter), "exit-record", &["exec-record"]);
    let found = (reported(&alert, "script/name"), alert.flag("/pyhookwatch/writer/script/recorded"));
    assert_eq!(found, (pip.to_str(), Some("true")), "{}", alert.0);
    assert_eq!(reported(&alert, "installer"), Some("pip"), "{}", alert.0);
    session.stop();
}

#[test]
fn a_dead_script_is_named_by_its_record_with_its_installer() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    expect_script("#!/bin/sh", "echo import os > \"$1\"", "/bin/sh");
}

#[test]
fn a_dead_script_that_env_found_the_interpreter_for_is_named_by_its_record_with_its_installer() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython);
    let line = format!("#!/usr/bin/env {PYTHON}");
    expect_script(&line, &format!("import sys\n{WRITE}"), PYTHON);
}

#[test]
fn a_dead_dpkg_is_named_with_its_installer() {
    needs!(Fanotify, Records, ExitExecutables, SystemPython, Dpkg);
    let fixture = Fixture::new();
    installers::prepare_dpkg(&fixture);
    let path = "/usr/lib/python3/dist-packages/hooktest.pth";
    let package = installers::package(&fixture, "1.0", path);
    let mut session = fixture.start(Backend::Fanotify);
    let root = session.fixture.root();
    let alert = run_unseen(&mut session, path, |_| {
        let mut command = Command::new("dpkg");
        // It wants ldconfig and start-stop-daemon to be there.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("--root").arg(root);
        command.args(["--force-script-chrootless", "--force-not-root", "--unpack"]).arg(package);
        command
    });
    assert_named(&alert, "/usr/bin/dpkg", "exit-record", &["exec-record"]);
    assert_eq!(reported(&alert, "installer"), Some("dpkg"), "{}", alert.0);
    session.stop();
}
