//! The watcher under test: `run` of this very program, as users start it, with its alerts on a pipe.

use super::helper::{self, Step};
use nix::poll::PollTimeout;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Longest line taken of the watcher: no alert is longer.
const MAX_LINE: u64 = 1 << 20;
/// Longest wait for the watcher's end before it is killed.
const END: Duration = Duration::from_secs(5);
/// Lines of standard error kept, to say why it did not start.
const MAX_SAID: usize = 20;

/// What is waited for.
pub enum News {
    /// A record of the watcher with this number, and when it was read.
    Record(usize, Value, u64),
    /// A line of its standard error.
    Said(usize, String),
    /// It closed one of them.
    Ended(usize),
    /// A signal asks for the end.
    Signal,
}

/// Where all news arrive, and the signal that ended the test.
pub struct Desk {
    /// To be given to whoever tells news.
    pub sender: Sender<News>,
    receiver: Receiver<News>,
    signal: Arc<AtomicUsize>,
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// The time was up.
    Late,
    /// A signal came.
    Interrupted,
}

impl Desk {
    /// Takes SIGINT, SIGTERM and SIGHUP over, so that nothing is left behind.
    ///
    /// # Errors
    /// When signals cannot be taken over.
    pub fn open() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let signal = Arc::new(AtomicUsize::new(0));
        let (mut ours, theirs) = UnixStream::pair()?;
        for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, signal.clone(), value)?;
            signal_hook::low_level::pipe::register(number, theirs.try_clone()?)?;
        }
        let told = sender.clone();
        std::thread::Builder::new().spawn(move || {
            let mut byte = [0];
            while ours.read(&mut byte).is_ok_and(|length| length > 0) && told.send(News::Signal).is_ok() {}
        })?;
        Ok(Self { sender, receiver, signal })
    }

    /// The next news until then.
    ///
    /// # Errors
    /// See [`Without`].
    pub fn next(&self, until: Instant) -> Result<News, Without> {
        if self.signal().is_some() {
            return Err(Without::Interrupted);
        }
        match self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Signal) => Err(Without::Interrupted),
            Ok(news) => Ok(news),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Without::Late),
        }
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }
}

/// A running watcher; ended and waited for when dropped.
pub struct Watcher {
    child: Child,
    said: Vec<String>,
}

impl Watcher {
    /// Starts `run` with these arguments; its news have this number.
    ///
    /// # Errors
    /// As `fork(2)` and `execve(2)`.
    pub fn start(number: usize, root: &Path, backend: &str, config: &Path, desk: &Desk) -> io::Result<Self> {
        let mut command = program(Step::Watch);
        command.arg(std::process::id().to_string());
        command.args(["--backend", backend, "--output", "stdout", "--format", "ecs", "--config"]).arg(config);
        command.arg("--root").arg(root).env_remove("JOURNAL_STREAM");
        // It is not the service, if the self-test is run by one.
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The terminal's Ctrl-C is ours to handle.
        let mut child = command.process_group(0).spawn()?;
        if let Some(stdout) = child.stdout.take() {
            let sender = desk.sender.clone();
            lines(stdout, move |line| match line {
                Some(line) => {
                    let read = helper::now();
                    let record = serde_json::from_slice(&line).unwrap_or_default();
                    sender.send(News::Record(number, record, read)).is_ok()
                }
                None => sender.send(News::Ended(number)).is_ok(),
            })?;
        }
        if let Some(stderr) = child.stderr.take() {
            let sender = desk.sender.clone();
            lines(stderr, move |line| {
                let said = line.map(|line| String::from_utf8_lossy(&line).into_owned());
                said.is_none_or(|said| sender.send(News::Said(number, said)).is_ok())
            })?;
        }
        Ok(Self { child, said: Vec::new() })
    }

    /// Keeps what it said.
    pub fn heard(&mut self, line: String) {
        if self.said.len() < MAX_SAID {
            self.said.push(line);
        }
    }

    /// The last it said, for the report.
    pub fn last_words(&self) -> &str {
        self.said.last().map_or("it said nothing", String::as_str)
    }

    /// Stops it until [`Watcher::go_on`], and waits until it stands still.
    ///
    /// # Errors
    /// When it has ended.
    pub fn hold(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // It is not taken from the kernel's list: that is for the end.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), options)? {
            Some(status) if status.stopped() => Ok(()),
            _ => Err(io::Error::other("the watcher has ended")),
        }
    }

    /// Lets it run again.
    ///
    /// # Errors
    /// When it has ended.
    pub fn go_on(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It is ours until it is waited for: no other process can have its number.
        let _ = self.signal(Signal::TERM);
        let _ = self.signal(Signal::CONT);
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&self.child), rustix::process::PidfdFlags::empty());
        let has_ended = pidfd.is_ok_and(|pidfd| {
            use std::os::fd::AsFd;
            let mut fds = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut fds, PollTimeout::try_from(END).unwrap_or(PollTimeout::ZERO)).is_ok_and(|n| n > 0)
        });
        if !has_ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// This program with the hidden argument.
fn program(step: Step) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pyhookwatch").args(["selftest-helper", step.word()]);
    command
}

/// What a helper that has ended did.
pub struct Done {
    /// Its process id.
    pub pid: u32,
    /// When it was done, in nanoseconds of CLOCK_MONOTONIC.
    pub at: u64,
}

/// Has a helper do one step, and waits for its end.
///
/// # Errors
/// Why it could not be started, or could not do it.
pub fn act(step: Step, arguments: &[&Path]) -> Result<Done, String> {
    let mut command = program(step);
    command.args(arguments.iter().map(OsString::from));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|error| format!("the helper cannot be started: {error}"))?;
    let pid = child.id();
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().parse() {
        Ok(at) if output.status.success() => Ok(Done { pid, at }),
        _ => Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("pyhookwatch: error: ").to_owned()),
    }
}

/// Hands on the lines of a pipe in a thread of their own, `None` at its end, until nobody wants them.
fn lines(
    pipe: impl Read + Send + 'static,
    mut take: impl FnMut(Option<Vec<u8>>) -> bool + Send + 'static,
) -> io::Result<()> {
    std::thread::Builder::new().spawn(move || {
        let mut reader = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            let is_over = read.is_err() || line.is_empty();
            if !take((!is_over).then_some(line)) || is_over {
                return;
            }
        }
    })?;
    Ok(())
}
