//! The watchers of one self-test, and the alerts that they have sent.

use super::inbox::{Alert, Event, EventInbox, WaitError};
use super::watcher::Watcher;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for one event: enough for an emulated processor that is twenty times slower.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// Time for the log of a watcher that has ended: its standard error may close after its standard output.
const LAST_LOG_LINES: Duration = Duration::from_millis(200);
/// Beginning of the log line by which `run` reports that everything is watched.
const READY: &str = "pyhookwatch: ready: ";

/// See the module.
pub struct Watchers {
    // Dropped in this order: the processes, then the inbox of their events.
    running: Vec<Watcher>,
    inbox: EventInbox,
    /// Alerts that no case has waited for yet.
    unclaimed: Vec<Alert>,
}

/// Why the watchers are not ready.
#[derive(Debug)]
pub enum NotReady {
    /// A signal came.
    Interrupted,
    /// The reason.
    Failed(String),
}

impl Watchers {
    /// None yet. Handles signals from now on.
    ///
    /// # Errors
    /// See [`EventInbox::open`].
    pub fn new() -> io::Result<Self> {
        Ok(Self { running: Vec::new(), inbox: EventInbox::open()?, unclaimed: Vec::new() })
    }

    /// Starts one more.
    ///
    /// # Errors
    /// See [`Watcher::start`].
    pub fn start(&mut self, number: usize, root: &Path, backend: &str, config: &Path) -> io::Result<()> {
        self.running.push(Watcher::start(number, root, backend, config, self.inbox.sender())?);
        Ok(())
    }

    /// The one with this number.
    pub fn get(&self, number: usize) -> Option<&Watcher> {
        self.running.iter().find(|watcher| watcher.number == number)
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.inbox.signal()
    }

    /// Waits until each has logged that it is ready.
    ///
    /// # Errors
    /// See [`NotReady`].
    pub fn wait_until_ready(&mut self) -> Result<(), NotReady> {
        let until = Instant::now() + MAX_WAIT;
        let mut waiting = self.running.len();
        while waiting > 0 {
            match self.inbox.next(until) {
                Ok(Event::LogLine(number, line)) => {
                    waiting -= usize::from(line.starts_with(READY));
                    self.record_log_line(number, line);
                }
                Ok(Event::Ended(number)) => {
                    while let Ok(Event::LogLine(_, line)) = self.inbox.next(Instant::now() + LAST_LOG_LINES) {
                        self.record_log_line(number, line);
                    }
                    let last = self.get(number).map_or("", Watcher::last_log_line);
                    return Err(NotReady::Failed(format!("it ended: {last}")));
                }
                Ok(_) => {}
                Err(WaitError::Interrupted) => return Err(NotReady::Interrupted),
                Err(WaitError::TimedOut) => {
                    return Err(NotReady::Failed(format!("it was not ready within {} s", MAX_WAIT.as_secs())));
                }
            }
        }
        Ok(())
    }

    fn record_log_line(&mut self, number: usize, line: String) {
        if let Some(watcher) = self.running.iter_mut().find(|watcher| watcher.number == number) {
            watcher.record_log_line(line);
        }
    }

    /// Waits for the alert of this watcher about this path. `None`: it did not come in time.
    ///
    /// # Errors
    /// A signal came.
    pub fn wait_for_alert(&mut self, watcher: usize, path: &str, until: Instant) -> Result<Option<Alert>, WaitError> {
        loop {
            let is_wanted = |alert: &Alert| {
                alert.watcher == watcher && alert.document.pointer("/file/path").and_then(Value::as_str) == Some(path)
            };
            if let Some(index) = self.unclaimed.iter().position(is_wanted) {
                return Ok(Some(self.unclaimed.swap_remove(index)));
            }
            match self.inbox.next(until) {
                Ok(Event::Alert(alert)) => self.unclaimed.push(alert),
                Ok(Event::Ended(number)) if number == watcher => return Ok(None),
                Ok(_) => {}
                Err(WaitError::TimedOut) => return Ok(None),
                Err(interrupted) => return Err(interrupted),
            }
        }
    }
}
