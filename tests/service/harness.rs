//! Starts the program, makes changes, and waits for what it says. Nothing here sleeps where something
//! can be waited for; every wait has an end.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pyhookwatch");

/// Longest wait for anything that must happen; a loaded machine is slow, not wrong.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Directory, as the program sees it, where [`Site::plant`] puts hooks.
pub const PACKAGES: &str = "/usr/lib/python3.12/site-packages";

/// Ends the test early, loudly, when it cannot run here.
macro_rules! needs {
    ($there:expr, $what:literal, $name:literal) => {
        if !$there {
            assert!(
                std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none_or(|value| value != "1"),
                "PYHOOKWATCH_REQUIRE_LIVE=1, but this needs {}: {}",
                $what,
                $name
            );
            eprintln!("SKIPPED (needs {}): {}", $what, $name);
            return;
        }
    };
}
pub(crate) use needs;

/// Ends the test early, loudly, when it is not run by root.
macro_rules! needs_root {
    ($name:literal) => {
        crate::harness::needs!(rustix::process::geteuid().is_root(), "root", $name);
    };
}
pub(crate) use needs_root;

/// A child that is started while a thread has a file open inherits it, and holds it open until it runs
/// its own program: the file would be closed late, by another process, which is another change.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a child. No other way is to be used in these tests.
pub fn spawn(command: &mut Command) -> Child {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// Writes a file and closes it.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    let _together = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    fs::write(path, content).unwrap();
}

/// Tries until `attempt` gives something; for what gives no sign of its own, such as a file that
/// another program writes.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < end, "{what}: did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A directory of the test's own: `root` is what the program takes for `/`, everything else is beside it.
pub struct Site {
    directory: TempDir,
    staged: std::cell::Cell<u32>,
}

impl Site {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pyhookwatch-").tempdir().unwrap();
        let site = Self { directory, staged: std::cell::Cell::new(0) };
        // Reachable for other users, whatever the umask.
        fs::set_permissions(site.directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir_all(site.inside(PACKAGES)).unwrap();
        fs::create_dir_all(site.inside("/staging")).unwrap();
        site
    }

    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A path beside the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the program's `/...` really is.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// A file beside the root with this text.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Renames a finished file into place: exactly one change, however slow the machine.
    pub fn plant(&self, path: &str, content: impl AsRef<[u8]>) {
        plant_in(&self.root(), &self.staged, path, content);
    }

    /// Plants `count` hooks named after `prefix` and a number.
    pub fn plant_many(&self, prefix: &str, count: usize) {
        for number in 0..count {
            self.plant(&format!("{PACKAGES}/{prefix}{number}.pth"), format!("import os # {number}\n"));
        }
    }

    /// `run --root ROOT` with these arguments, not started yet.
    pub fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// `run` with this configuration file.
    pub fn run_config(&self, text: &str) -> Command {
        let file = self.file("pyhookwatch.toml", text);
        self.run(&["--config", file.to_str().unwrap()])
    }
}

/// See [`Site::plant`]; for a root that is not a [`Site`]'s.
pub fn plant_in(root: &Path, staged: &std::cell::Cell<u32>, path: &str, content: impl AsRef<[u8]>) {
    staged.set(staged.get() + 1);
    let staging = root.join(format!("staging/{}", staged.get()));
    write(&staging, content);
    fs::rename(staging, root.join(path.trim_start_matches('/'))).unwrap();
}

/// The lines that a program writes to a pipe.
pub struct Lines {
    incoming: Receiver<String>,
    seen: Vec<String>,
    unread: VecDeque<String>,
}

impl Lines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(pipe);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { incoming, seen: Vec::new(), unread: VecDeque::new() }
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> Option<String> {
        if let Some(line) = self.unread.pop_front() {
            return Some(line);
        }
        match self.incoming.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}; so far: {:#?}", self.seen),
        }
    }

    /// Waits for a line that contains this text.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.next() {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("the program ended without `{text}`; it said: {:#?}", self.seen),
            }
        }
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Everything read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

/// A child that is ended with the test, by its id.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.0.try_wait().unwrap() {
            return status;
        }
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty()).unwrap();
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        let ready = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        assert!(ready > 0, "process {} did not end within {PATIENCE:?}", self.0.id());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The running program.
pub struct Daemon {
    pub process: Running,
    pub stderr: Lines,
    pub stdout: Option<Lines>,
}

impl Daemon {
    /// Starts it and waits until it watches.
    pub fn start(command: Command) -> Self {
        let mut daemon = Self::spawn(command);
        daemon.stderr.wait_for("pyhookwatch: ready: ");
        daemon
    }

    /// Starts it and reads both its outputs.
    pub fn spawn(command: Command) -> Self {
        let (mut daemon, stdout) = Self::spawn_with_raw_stdout(command);
        daemon.stdout = Some(Lines::of(stdout));
        daemon
    }

    /// Starts it; nobody reads its standard output but the caller.
    pub fn spawn_with_raw_stdout(mut command: Command) -> (Self, std::process::ChildStdout) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command.env_remove("JOURNAL_STREAM"));
        let stderr = Lines::of(child.stderr.take().unwrap());
        let stdout = child.stdout.take().unwrap();
        (Self { process: Running(child), stderr, stdout: None }, stdout)
    }

    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        let Some(line) = self.stdout.as_mut().unwrap().next() else {
            panic!("standard output ended; standard error: {:#?}", self.stderr.rest())
        };
        line
    }

    /// The next record on standard output.
    pub fn record(&mut self) -> Value {
        crate::schema::valid(&self.line())
    }

    /// Holds it up, until SIGCONT, as a machine does that has no time for it.
    pub fn suspend(&self) {
        self.process.signal(Signal::STOP);
        eventually("the stop", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T').then_some(())
        });
    }

    pub fn reload(&mut self) -> String {
        self.process.signal(Signal::HUP);
        self.stderr.wait_for("reload")
    }

    /// Asks it to end and waits; gives the status and the rest of standard error.
    pub fn stop(&mut self) -> (ExitStatus, Vec<String>) {
        self.process.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end; gives the status and the rest of standard error.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>) {
        (self.process.wait(), self.stderr.rest())
    }
}

/// What a command that ends by itself said.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: Vec<String>,
}

/// Runs a command that ends by itself.
pub fn say(command: &mut Command) -> Said {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("JOURNAL_STREAM");
    let output = spawn(command).wait_with_output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect(),
    }
}

/// Runs the program with these arguments.
pub fn program(arguments: &[&str]) -> Said {
    say(Command::new(PROGRAM).args(arguments))
}

impl Said {
    /// It failed with this code and said so in one line of its own.
    pub fn one_line(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{:#?}", self.stderr);
        assert_eq!(self.stderr.len(), 1, "{:#?}", self.stderr);
        assert!(self.stderr[0].starts_with("pyhookwatch: "), "{:#?}", self.stderr);
        assert_eq!(self.stdout, "");
        &self.stderr[0]
    }
}

/// A datagram socket that stands for a syslog daemon.
pub struct Receiving(UnixDatagram);

impl Receiving {
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message: its syslog header, its record, and its length in bytes.
    pub fn message(&self) -> (String, Value, usize) {
        let mut buffer = vec![0; 200_000];
        let length = loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => break length,
                // A receive with a timeout is not taken up again after the machine was held.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no message within {PATIENCE:?}: {error}"),
            }
        };
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (header, record) = text.split_at(text.find('{').unwrap());
        (header.to_owned(), crate::schema::valid(record), length)
    }

    pub fn record(&self) -> Value {
        self.message().1
    }
}

/// Waits until a file has this many lines; gives them.
pub fn lines_of(path: &Path, count: usize) -> Vec<String> {
    let mut last = 0;
    eventually(&format!("{count} lines in {}", path.display()), || {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        last = whole.lines().count().max(last);
        (last >= count).then(|| whole.lines().map(str::to_owned).collect())
    })
}

/// The records of a file of alerts, each checked against the schema.
pub fn records_of(path: &Path, count: usize) -> Vec<Value> {
    lines_of(path, count).iter().map(|line| crate::schema::valid(line)).collect()
}

/// The sequence numbers of records.
pub fn sequences(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["event"]["sequence"].as_u64().expect("a sequence number")).collect()
}
