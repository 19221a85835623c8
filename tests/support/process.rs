//! Processes, and their output as events.

use super::wait::patience;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pyhookwatch");

/// A child inherits the files that other threads of this process have open, and holds them open until it
/// runs its own program. Such a file is closed late and by another process, which is another change.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a child; no thread is in [`write`] meanwhile.
pub fn spawn(command: &mut Command) -> Child {
    let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Writes a file and closes it; no child is started meanwhile.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    let _together = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The lines of a pipe.
pub struct Lines {
    incoming: Receiver<String>,
    seen: Vec<String>,
    unread: VecDeque<String>,
}

impl Lines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        Self::wanted(pipe, |_| true)
    }

    /// Keeps the lines that `is_wanted` chooses.
    pub fn wanted(pipe: impl Read + Send + 'static, is_wanted: fn(&str) -> bool) -> Self {
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
            let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
            // The receiver is gone once a test has failed.
            lines.filter(|line| is_wanted(line)).all(|line| sender.send(line).is_ok());
        });
        Self { incoming, seen: Vec::new(), unread: VecDeque::new() }
    }

    /// The next line, if one comes in this time.
    ///
    /// # Errors
    /// `Timeout`, or `Disconnected` at the end of the output.
    pub fn next_within(&mut self, time: Duration) -> Result<String, RecvTimeoutError> {
        if let Some(line) = self.unread.pop_front() {
            return Ok(line);
        }
        let line = self.incoming.recv_timeout(time)?;
        self.seen.push(line.clone());
        Ok(line)
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> Option<String> {
        match self.next_within(patience()) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {:?}; so far: {:#?}", patience(), self.seen),
        }
    }

    /// Waits for a line that contains this text.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.next() {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("the output ended without `{text}`: {:#?}", self.seen),
            }
        }
    }

    /// Everything up to the end.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Everything that was read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Everything that was written so far, as one text. The lines can still be read one by one.
    pub fn so_far(&mut self) -> String {
        while let Ok(line) = self.incoming.try_recv() {
            self.seen.push(line.clone());
            self.unread.push_back(line);
        }
        self.seen.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// A child that is killed with the test.
pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Stops it with SIGSTOP and waits until it stands still.
    pub fn hold(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(Pid::from_child(&self.0)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Continues it after [`Self::hold`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.0.try_wait().unwrap() {
            return status;
        }
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty()).unwrap();
        let timeout = PollTimeout::try_from(patience()).unwrap();
        let ready = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout).unwrap();
        assert!(ready > 0, "process {} did not end within {:?}", self.pid(), patience());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended by now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The result of a command that ends by itself.
pub struct CommandOutput {
    pub code: i32,
    pub stdout: String,
    pub stderr: Vec<String>,
}

impl CommandOutput {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("JOURNAL_STREAM");
        let output = spawn(command).wait_with_output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect(),
        }
    }

    /// Asserts that it failed with this code and one line of its own, which it returns.
    pub fn one_line(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{:#?}", self.stderr);
        assert_eq!(self.stderr.len(), 1, "{:#?}", self.stderr);
        assert!(self.stderr[0].starts_with("pyhookwatch: "), "{:#?}", self.stderr);
        assert_eq!(self.stdout, "");
        &self.stderr[0]
    }
}

/// Runs the program under test with these arguments.
pub fn program(arguments: &[&str]) -> CommandOutput {
    CommandOutput::of(Command::new(PROGRAM).args(arguments))
}

/// Runs a command to its end, which must be a success; returns its standard output.
pub fn succeed(command: &mut Command) -> String {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Prints a text that the test runner does not hide when the test passes, as it does with `eprintln!`.
pub fn print(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}
