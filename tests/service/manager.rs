//! Messages to the service manager, and that the watchdog starves when any of the threads that watch hangs.

use crate::support::{DaemonUnderTest, Lines, Running, ScratchTree, needs, patience, spawn};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The watchdog's time in these tests; the daemon reports that it lives twice in it.
const WATCHDOG: Duration = Duration::from_millis(1000);

/// A service manager.
struct ServiceManager(UnixDatagram);

impl ServiceManager {
    fn new(tree: &ScratchTree) -> Self {
        let socket = UnixDatagram::bind(tree.path("notify")).unwrap();
        socket.set_read_timeout(Some(patience())).unwrap();
        Self(socket)
    }

    fn reported(&self) -> String {
        let mut bytes = [0; 8192];
        let length = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Waits for a message that begins like this.
    fn wait_for(&self, start: &str) -> String {
        let end = Instant::now() + patience();
        loop {
            let message = self.reported();
            if message.starts_with(start) {
                return message;
            }
            assert!(Instant::now() < end, "no `{start}`");
        }
    }

    /// Whether a sign of life comes within the watchdog's time.
    fn is_fed(&self) -> bool {
        self.0.set_read_timeout(Some(WATCHDOG)).unwrap();
        let received = self.0.recv(&mut [0; 8192]);
        self.0.set_read_timeout(Some(patience())).unwrap();
        match received {
            Ok(_) => true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Drops what was sent until now.
    fn discard_messages(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 8192]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }
}

fn managed(tree: &ScratchTree, arguments: &[&str]) -> Command {
    let mut command = tree.run(arguments);
    command.env("NOTIFY_SOCKET", tree.path("notify"));
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()).env_remove("WATCHDOG_PID");
    command
}

#[test]
fn the_manager_receives_ready_reloading_ready_again_and_stopping() {
    let tree = ScratchTree::new();
    let manager = ServiceManager::new(&tree);
    let config = tree.file("pyhookwatch.toml", "[[output]]\ntype = \"stdout\"\n");
    let mut daemon =
        DaemonUnderTest::spawn(managed(&tree, &["--backend", "inotify", "--config", config.to_str().unwrap()]));
    let ready = manager.wait_for("READY=1\n");
    let expected = "\nSTATUS=DEGRADED (no fanotify, so no writers); 0 alerts, 0 losses; watching: inotify on ";
    assert!(ready.contains(expected), "{ready}");

    tree.plant_many("one", 1);
    daemon.record();
    let status = manager.wait_for("WATCHDOG=1\nSTATUS=");
    assert!(status.contains("; 1 alerts, 0 losses; "), "{status}");
    // The same again is not reported again.
    assert_eq!(manager.reported(), "WATCHDOG=1");

    daemon.reload();
    assert!(manager.wait_for("RELOADING=1\n").contains("\nMONOTONIC_USEC="));
    assert!(!manager.wait_for("READY=1\n").contains("REFUSED"));

    fs::write(&config, "nonsense = 1\n").unwrap();
    daemon.reload();
    manager.wait_for("RELOADING=1\n");
    assert!(manager.wait_for("READY=1\n").contains("the last reload was REFUSED"));

    assert!(daemon.stop().0.success());
    manager.wait_for("STOPPING=1\n");
}

/// Holds up one thread: while it hangs nothing is reported, and when it goes on it is.
fn a_hanging_thread_starves_the_watchdog(tree: &ScratchTree, backend: &str, name: &str) {
    let manager = ServiceManager::new(tree);
    let mut daemon = DaemonUnderTest::start(managed(tree, &["--backend", backend, "--output", "stdout"]));
    manager.wait_for("READY=1\n");
    // A quiet daemon is asked and answers.
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let thread = tasks
        .map(|task| task.unwrap().file_name().into_string().unwrap())
        .find(|task| match name {
            "main" => *task == daemon.pid().to_string(),
            _ => {
                let comm = fs::read_to_string(format!("/proc/{}/task/{task}/comm", daemon.pid())).unwrap();
                comm.starts_with(name)
            }
        })
        .unwrap_or_else(|| panic!("no thread {name}"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/hang.py");
    let mut command = Command::new("python3");
    let mut holder = spawn(command.args([script, &thread]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    Lines::of(holder.stdout.take().unwrap()).wait_for("held");
    let mut holder = Running(holder);
    manager.discard_messages();
    // Two more may be on their way.
    let messages = (0..3).take_while(|_| manager.is_fed()).count();
    assert!(messages < 3, "the watchdog was fed although {name} hangs");
    drop(holder.0.stdin.take());
    assert!(holder.wait().success());
    manager.wait_for("WATCHDOG=1");
    assert!(daemon.stop().0.success());
}

#[test]
fn a_hanging_reader_of_the_kernels_queue_starves_the_watchdog() {
    needs!(Root, Python);
    a_hanging_thread_starves_the_watchdog(&ScratchTree::new(), "fanotify", "phw-fanotify");
}

#[test]
fn a_hanging_runtime_starves_the_watchdog() {
    needs!(Root, Python);
    a_hanging_thread_starves_the_watchdog(&ScratchTree::new(), "fanotify", "main");
}

#[test]
fn each_hanging_inotify_thread_starves_the_watchdog() {
    needs!(Root, Python);
    for thread in ["phw-inotify", "notify-rs"] {
        a_hanging_thread_starves_the_watchdog(&ScratchTree::new(), "inotify", thread);
    }
}
