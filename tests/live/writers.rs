//! Who is named, and whose word a rule's exclusion takes: only that of a living process whose
//! executable is the host's file at that path.

use crate::expect::{By, Expected};
use crate::fixture::{Backend, Fixture};
use crate::support::{Helper, OWN_MOUNTS, needs, py};
use crate::with_each_backend;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SITECUSTOMIZE: &str = "/usr/lib/python3.12/sitecustomize.py";

fn sitecustomize(detection: &'static str) -> Expected {
    Expected::new("creation", SITECUSTOMIZE, detection)
}

with_each_backend! {
    /// The Elastic rule excludes `/usr/bin/python*`; the Sumo rule excludes nobody.
    [SystemPython]
    fn an_excluded_writer_silences_only_the_rule_that_excludes_it(fixture, backend) {
        let mut session = fixture.start(backend);
        let mut helper = Helper::python_at(Path::new("/usr/bin/python3"), &[]);
        helper.run(&format!("open({}, 'w').write('import os')", py(&session.at(SITECUSTOMIZE))));
        let by = By::Alive(helper.executable());
        let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").by(by)]);
        // Without a writer the rule does not match in the first place.
        assert_eq!(alerts[0].excluded(), if backend == Backend::Fanotify { "elastic" } else { "" });
        session.stop();
    }
}

/// A shell in a mount namespace of its own whose `/usr/local/bin` holds a copy of it under this name.
fn shell_named(name: &str, prefix: &[&str]) -> Helper {
    let script = format!(
        "mount -t tmpfs none /usr/local/bin && cp /bin/sh /usr/local/bin/{name} && exec /usr/local/bin/{name} -s"
    );
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).args(["/bin/sh", "-c", &script]);
    Helper::shell(command)
}

#[test]
fn a_user_namespace_that_fakes_an_excluded_executable_is_seen_through() {
    needs!(Fanotify, UserNamespace);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut shell = shell_named("pip3", &["unshare", "-Ur", "-m"]);
    // Its start left no record. Only after something else was read is it certain that it wrote as what it is
    // by then.
    fs::write(session.at("/tmp/usercustomize.py"), "").unwrap();
    session.expect_alerts(&[Expected::new("creation", "/tmp/usercustomize.py", "PYTHON_STARTUP_FILE_MODIFIED")]);
    shell.run(&format!("echo import os > {}", session.at(SITECUSTOMIZE).display()));
    let by = By::Alive("/usr/local/bin/pip3".into());
    // The Sumo rule goes by the path alone when it names what it found.
    let alerts = session.expect_alerts(&[sitecustomize("PYTHON_STARTUP_FILE_MODIFIED").elastic().by(by)]);
    assert_eq!(alerts[0].flag("/pyhookwatch/writer/executable_is_hosts"), Some("false"));
    assert_eq!(alerts[0].excluded(), "");
    assert!(alerts[0].exclusion_not_applied("elastic").unwrap().contains("not found to be the host's file"));
    session.stop();
}

/// Seen from the same mount namespace the copy is the file at that path, so it counts until it is
/// deleted.
#[test]
fn an_executable_that_was_deleted_while_it_runs_is_not_excluded_any_more() {
    needs!(Fanotify, MountNamespace);
    let mut shell = shell_named("python3.12", &OWN_MOUNTS);
    let mut session = Fixture::new().start_within(&shell);
    let path = session.fixture.root().join(SITECUSTOMIZE.trim_start_matches('/'));
    let by = By::Alive("/usr/local/bin/python3.12".into());

    shell.run(&format!("echo import os > {}", path.display()));
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").by(by.clone())]);
    assert_eq!(alerts[0].excluded(), "elastic");

    shell.run(&format!("rm {} /usr/local/bin/python3.12", path.display()));
    shell.run(&format!("echo import sys > {}", path.display()));
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").elastic().by(by)]);
    assert_eq!(alerts[0].flag("/pyhookwatch/writer/executable_deleted"), Some("true"));
    assert_eq!(alerts[0].excluded(), "");
    assert!(alerts[0].exclusion_not_applied("elastic").unwrap().contains("deleted"));
    session.stop();
}

#[test]
fn an_executable_that_was_replaced_while_it_runs_is_not_excluded_any_more() {
    needs!(Fanotify, MountNamespace);
    let mut shell = shell_named("python3.12", &OWN_MOUNTS);
    let mut session = Fixture::new().start_within(&shell);
    let path = session.fixture.root().join(SITECUSTOMIZE.trim_start_matches('/'));
    shell.run("cp /bin/sh /usr/local/bin/new && mv /usr/local/bin/new /usr/local/bin/python3.12");
    shell.run(&format!("echo import os > {}", path.display()));
    let by = By::Alive("/usr/local/bin/python3.12".into());
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").elastic().by(by)]);
    assert_eq!(alerts[0].flag("/pyhookwatch/writer/executable_deleted"), Some("true"));
    session.stop();
}

#[test]
fn a_second_writer_of_the_same_change_is_not_covered_by_the_excluded_first() {
    needs!(Fanotify, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut python = Helper::python_at(Path::new("/usr/bin/python3"), &[]);
    let path = session.at(SITECUSTOMIZE);
    python.run(&format!("file = open({}, 'w')", py(&path)));
    fs::write(&path, "import os").unwrap();
    let executable: PathBuf = std::env::current_exe().unwrap();
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").elastic().by(By::Alive(executable))]);
    let others = alerts[0].0["pyhookwatch"]["writer"]["other_writers"].as_array().unwrap().clone();
    assert_eq!(others.len(), 1);
    assert_eq!(others[0]["executable"].as_str(), python.executable().to_str());
    session.stop();
}

#[test]
fn the_alert_names_the_user_and_the_parents_of_the_writer() {
    needs!(Fanotify);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut shell = Helper::shell(Command::new("/bin/sh"));
    shell.run(&format!("echo import os > {}", session.at(SITECUSTOMIZE).display()));
    let by = By::Alive(shell.executable());
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").elastic().by(by)]);
    let alert = &alerts[0].0;
    assert_eq!(alert["user"]["id"], rustix::process::geteuid().as_raw().to_string());
    assert_eq!(alert["process"]["pid"], shell.pid());
    assert_eq!(alert["process"]["name"], "sh");
    assert_eq!(alert["process"]["parent"]["pid"], std::process::id());
    session.stop();
}

/// The daemon is held up, so that it looks at the process when it runs the other program already.
#[test]
fn a_writer_that_has_run_an_excluded_program_since_is_neither_named_as_it_nor_excluded() {
    needs!(Fanotify, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let path = session.at(SITECUSTOMIZE);
    let python = Path::new("/usr/bin/python3").canonicalize().unwrap();
    let script = r#"echo import os > "$1"; exec "$2" -c 'import sys; sys.stdin.read()'"#;
    let mut child = None;
    session.while_held(|| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(&path).arg(&python).stdin(Stdio::piped());
        let running = child.insert(command.spawn().unwrap());
        let executable = PathBuf::from(format!("/proc/{}/exe", running.id()));
        while fs::read_link(&executable).ok().as_ref() != Some(&python) {
            std::thread::yield_now();
        }
    });
    let by = By::Perhaps(vec![Path::new("/bin/sh").canonicalize().unwrap()]);
    let alerts = session.expect_alerts(&[sitecustomize("SITECUSTOMIZE_MODIFIED").elastic().by(by)]);
    assert_eq!(alerts[0].excluded(), "");
    let note = alerts[0].text("/pyhookwatch/writer/note").unwrap_or_default();
    assert!(note.contains("has run another program since"), "{note}");
    let mut child = child.unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    session.stop();
}
