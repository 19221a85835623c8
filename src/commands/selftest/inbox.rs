//! What the self-test waits for: events of its watchers, and signals.

use serde_json::Value;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

/// An alert of a watcher.
#[derive(Debug)]
pub struct Alert {
    /// Number of the watcher.
    pub watcher: usize,
    /// The ECS document.
    pub document: Value,
    /// When it was read, in nanoseconds of CLOCK_MONOTONIC.
    pub read_at: u64,
}

/// One event. The number is that of the watcher.
#[derive(Debug)]
pub enum Event {
    /// A line of its standard output.
    Alert(Alert),
    /// A line of its standard error.
    LogLine(usize, String),
    /// It closed its standard output.
    Ended(usize),
    /// A signal asks the self-test to end.
    Signal,
}

/// Why a wait ended without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The time was up.
    TimedOut,
    /// A signal came.
    Interrupted,
}

/// Receives events, and records the signal that ended the test.
pub struct EventInbox {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    signal: Arc<AtomicUsize>,
}

impl EventInbox {
    /// Handles SIGINT, SIGTERM and SIGHUP from now on, so that the self-test can clean up.
    ///
    /// # Errors
    /// A signal cannot be handled, or the thread that forwards signals cannot be started.
    pub fn open() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let signal = Arc::new(AtomicUsize::new(0));
        let (mut wakeups, handler_end) = UnixStream::pair()?;
        for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, signal.clone(), value)?;
            signal_hook::low_level::pipe::register(number, handler_end.try_clone()?)?;
        }
        let forward = sender.clone();
        std::thread::Builder::new().spawn(move || {
            let mut byte = [0];
            while wakeups.read(&mut byte).is_ok_and(|length| length > 0) && forward.send(Event::Signal).is_ok() {}
        })?;
        Ok(Self { sender, receiver, signal })
    }

    /// A sender for a thread that reads from a watcher.
    pub fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// The next event until then.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn next(&self, until: Instant) -> Result<Event, WaitError> {
        if self.signal().is_some() {
            return Err(WaitError::Interrupted);
        }
        match self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Signal) => Err(WaitError::Interrupted),
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(WaitError::TimedOut),
        }
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }
}
