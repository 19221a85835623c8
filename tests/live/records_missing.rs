//! The daemon without some of the kernel's records: from the start, or because another process silenced them.

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture};
use crate::records::{
    PYTHON, WRITE, alert_about, assert_excluded, assert_named, assert_not_excluded, canonical, hook, python,
    written_unseen,
};
use crate::support::{Helper, needs, py, succeed};
use std::path::Path;
use std::process::Command;

#[test]
fn without_the_privilege_for_the_records_only_living_writers_are_excluded_and_what_is_missing_is_said() {
    needs!(Fanotify, Setpriv, SystemPython);
    let mut session = Fixture::new().start_through(&["setpriv", "--bounding-set=-net_admin"]);
    for queue in ["fork records", "exit records"] {
        let is_said = |line: &str| line.contains("no ") && line.contains(queue) && line.contains("CAP_NET_ADMIN");
        if !session.errors().lines().any(is_said) {
            session.fail(&format!("nothing is said about the {queue}"));
        }
    }

    let path = hook(&session, 1);
    let mut helper = Helper::python_at(Path::new(PYTHON), &[]);
    helper.run(&format!("open({}, 'w').write('import os')", py(&session.at(&path))));
    let alert = alert_about(&mut session, &path);
    assert_eq!(alert.text("/pyhookwatch/writer/evidence"), Some("proc"), "{}", alert.0);
    assert_excluded(&alert);

    let afterwards = format!("{WRITE}\nos.execv('{PYTHON}', ['python3', '-S', '-c', ''])");
    let sh = |place: &Path| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo import os > \"$0\"; exec \"$1\" -S -c ''"]).arg(place).arg(PYTHON);
        command
    };
    let path = hook(&session, 2);
    let alert = written_unseen(&mut session, &path, |place| drop(succeed(&mut python(WRITE, place))));
    assert_unsure_and_nobody_but(&alert, &canonical(PYTHON));
    let path = hook(&session, 3);
    let alert = written_unseen(&mut session, &path, |place| drop(succeed(&mut python(&afterwards, place))));
    assert_unsure_and_nobody_but(&alert, &canonical(PYTHON));
    let path = hook(&session, 4);
    let alert = written_unseen(&mut session, &path, |place| drop(succeed(&mut sh(place))));
    assert_unsure_and_nobody_but(&alert, &canonical("/bin/sh"));
    session.stop();
}

fn assert_unsure_and_nobody_but(alert: &Alert, executable: &str) {
    assert_not_excluded(alert, "");
    let found = alert.text("/process/executable");
    assert!(found.is_none_or(|found| found == executable), "{}", alert.0);
}

/// Lowers the kernel's count of listeners to the process connector by one: a socket whose first operation is
/// wrong was never counted, and its IGNORE takes one away. `higher` is the opposite: a listener that is not
/// taken back. `is_silent` reports whether no listener hears anything.
const COUNT: &str = "
import os, socket, struct
def connector(group=0):
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 11)
    made.bind((0, group))
    made.setblocking(False)
    return made
def send(to, operation):
    payload = struct.pack('II', operation, 3)
    message = struct.pack('IIIIHH', 1, 1, 0, 0, len(payload), 0) + payload
    to.send(struct.pack('IHHII', 16 + len(message), 3, 0, 0, 0) + message)
def lower():
    with connector() as used:
        send(used, 5)
        send(used, 2)
def higher():
    with connector() as used:
        send(used, 1)
def is_silent():
    with connector(1) as ear:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        try:
            ear.recv(4096)
            return False
        except BlockingIOError:
            return True
def silence():
    global taken
    while not is_silent():
        lower()
        taken += 1
        assert taken < 200
def restore(but):
    for _ in range(taken - but):
        higher()
taken = 0
";

/// Puts back what was taken from the kernel's count, whatever becomes of the test.
struct Silencer {
    helper: Helper,
    /// So many have come back by themselves.
    back: u32,
}

impl Silencer {
    fn new() -> Self {
        let mut helper = Helper::python(&[]);
        helper.run(COUNT);
        Self { helper, back: 0 }
    }

    fn silence(&mut self) {
        self.helper.run("silence()");
    }
}

impl Drop for Silencer {
    fn drop(&mut self) {
        self.helper.run(&format!("restore({})", self.back));
    }
}

/// It opens the connector anew, and then counts as a listener again. Nobody else on this machine hears anything
/// meanwhile.
#[test]
#[ignore = "silences every listener to process events on this machine: run it when nothing else runs"]
fn a_silenced_process_connector_is_reported_and_opened_anew() {
    needs!(Fanotify, Records, SystemPython);
    let mut session = Fixture::new().start(Backend::Fanotify);
    let mut silencer = Silencer::new();
    silencer.silence();
    // An end without a fork shows it.
    succeed(&mut Command::new("/bin/true"));
    let gap = session.next();
    assert_eq!(gap.text("/event/action"), Some("loss"), "{}", gap.0);
    assert_eq!(gap.text("/event/reason"), Some("attribution"), "{}", gap.0);

    // What is known from before the gap excludes nobody, so the queue of writes must have been read once since.
    for number in [1, 2] {
        let path = hook(&session, number);
        let alert = written_unseen(&mut session, &path, |place| drop(succeed(&mut python(WRITE, place))));
        assert_eq!(alert.text("/process/executable"), Some(canonical(PYTHON).as_str()), "{}", alert.0);
        if number == 2 {
            assert_named(&alert, &canonical(PYTHON), "exit-record", &["exec-record"]);
            assert_excluded(&alert);
        }
    }
    silencer.back = 1;
    drop(silencer);
    session.stop();
}
