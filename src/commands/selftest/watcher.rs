//! The watcher under test: `run` of this program, started as users start it, with its alerts on a pipe.

use super::helper::{self, HelperAction};
use super::inbox::{Alert, Event};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// Longest line that is read. No alert is longer.
const MAX_LINE: u64 = 1 << 20;
/// Longest wait for the end of the watcher before it is killed.
const MAX_END: Duration = Duration::from_secs(5);
/// Lines of standard error that are kept, to explain why it did not start.
const MAX_LOG_LINES: usize = 20;

/// A running watcher. Dropping it ends the process and waits for it.
pub struct Watcher {
    /// Its number, which its events have.
    pub number: usize,
    child: Child,
    log: Vec<String>,
}

impl Watcher {
    /// Starts `run` on this root with this backend and configuration.
    ///
    /// # Errors
    /// As `fork(2)` and `execve(2)`.
    pub fn start(number: usize, root: &Path, backend: &str, config: &Path, events: Sender<Event>) -> io::Result<Self> {
        let mut command = helper::command(HelperAction::Watch);
        command.arg(std::process::id().to_string());
        command.args(["--backend", backend, "--output", "stdout", "--format", "ecs", "--config"]).arg(config);
        command.arg("--root").arg(root).env_remove("JOURNAL_STREAM");
        // The watcher is not the service, even if a service runs the self-test.
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        let mut child = command.spawn()?;
        if let Some(stdout) = child.stdout.take() {
            let events = events.clone();
            read_lines(stdout, move |line| match line {
                Some(line) => {
                    let read_at = helper::now();
                    let document = serde_json::from_slice(&line).unwrap_or_default();
                    events.send(Event::Alert(Alert { watcher: number, document, read_at })).is_ok()
                }
                None => events.send(Event::Ended(number)).is_ok(),
            })?;
        }
        if let Some(stderr) = child.stderr.take() {
            read_lines(stderr, move |line| {
                let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
                line.is_none_or(|line| events.send(Event::LogLine(number, line)).is_ok())
            })?;
        }
        Ok(Self { number, child, log: Vec::new() })
    }

    /// Keeps a line of its standard error.
    pub fn record_log_line(&mut self, line: String) {
        if self.log.len() < MAX_LOG_LINES {
            self.log.push(line);
        }
    }

    /// The last line of its standard error.
    pub fn last_log_line(&self) -> &str {
        self.log.last().map_or("it logged nothing", |line| line.trim())
    }

    /// Stops it until [`Watcher::resume`]. Returns when the kernel has stopped it.
    ///
    /// # Errors
    /// It has ended.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // Leaves its exit status to the wait at the end.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), options)? {
            Some(status) if status.stopped() => Ok(()),
            _ => Err(io::Error::other("the watcher has ended")),
        }
    }

    /// Lets it run again.
    ///
    /// # Errors
    /// It has ended.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // The child has not been waited for, so no other process can have its number.
        Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.signal(Signal::TERM);
        let _ = self.signal(Signal::CONT);
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        let has_ended = pidfd.is_ok_and(|pidfd| {
            let timeout = PollTimeout::try_from(MAX_END).unwrap_or(PollTimeout::ZERO);
            nix::poll::poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|n| n > 0)
        });
        if !has_ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Passes the lines of a pipe to `take` in a thread of their own, then `None`. Ends early when `take` returns false.
fn read_lines(
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
