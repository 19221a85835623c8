//! The daemon under test.

use super::process::{Lines, Running, spawn};
use super::schema;
use rustix::process::Signal;
use serde_json::Value;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};

/// A running daemon.
pub struct DaemonUnderTest {
    pub process: Running,
    pub stderr: Lines,
    /// `None` when the test reads the pipe itself.
    pub stdout: Option<Lines>,
}

impl DaemonUnderTest {
    /// Starts it and waits for its ready line.
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

    /// Starts it; the caller reads its standard output.
    pub fn spawn_with_raw_stdout(mut command: Command) -> (Self, ChildStdout) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command.env_remove("JOURNAL_STREAM"));
        let stderr = Lines::of(child.stderr.take().unwrap());
        let stdout = child.stdout.take().unwrap();
        (Self { process: Running(child), stderr, stdout: None }, stdout)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its standard output.
    pub fn output(&mut self) -> &mut Lines {
        self.stdout.as_mut().expect("the test does not read the pipe itself")
    }

    /// The next line of standard output.
    pub fn line(&mut self) -> String {
        let Some(line) = self.output().next() else {
            panic!("standard output ended; standard error: {:#?}", self.stderr.rest())
        };
        line
    }

    /// The next record on standard output, checked against the schema.
    pub fn record(&mut self) -> Value {
        schema::valid(&self.line())
    }

    /// Makes it read its configuration again; returns the line that reports the result.
    pub fn reload(&mut self) -> String {
        self.process.signal(Signal::HUP);
        self.stderr.wait_for("reload")
    }

    /// Ends it with SIGTERM; returns the status and the rest of standard error.
    pub fn stop(&mut self) -> (ExitStatus, Vec<String>) {
        self.process.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end; returns the status and the rest of standard error.
    pub fn end(&mut self) -> (ExitStatus, Vec<String>) {
        (self.process.wait(), self.stderr.rest())
    }
}
