//! Wakes a thread that waits for the kernel: to stop it, or to see whether it still makes progress.
//!
//! From outside, a thread that waits for events looks like one that hangs. So the watchdog wakes it now and then; a
//! thread that works or wakes up advances a counter.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the thread and those that wake it.
#[derive(Debug)]
pub struct Heartbeat {
    fd: EventFd,
    stopping: AtomicBool,
    progress: AtomicU64,
}

impl Heartbeat {
    /// A heartbeat that has not woken its thread yet.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { fd, stopping: AtomicBool::new(false), progress: AtomicU64::new(0) })
    }

    /// Wakes the thread, so that it advances its counter.
    pub fn wake(&self) {
        // The write fails only when the eventfd's counter is full, and then the thread wakes up all the same.
        let _ = self.fd.write(1);
    }

    /// Wakes the thread and makes it stop.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    /// How often the thread has made progress.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Called by the thread while it works.
    pub fn advance(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Called by the thread when the descriptor is readable. Returns whether the thread must stop.
    pub fn ack(&self) -> bool {
        // EAGAIN: the thread was not woken, so there is nothing to clear.
        let _ = self.fd.read();
        self.advance();
        self.stopping.load(Ordering::Acquire)
    }
}

impl AsFd for Heartbeat {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(heartbeat: &Heartbeat) -> bool {
        poll(&mut [PollFd::new(heartbeat.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn an_ack_advances_by_one_and_clears_the_descriptor() {
        let heartbeat = Heartbeat::new().unwrap();
        assert!(!is_readable(&heartbeat));
        heartbeat.wake();
        heartbeat.wake();
        assert!(is_readable(&heartbeat));
        assert!(!heartbeat.ack());
        assert_eq!(heartbeat.progress(), 1);
        assert!(!is_readable(&heartbeat));
    }

    #[test]
    fn every_ack_after_stop_returns_stop() {
        let heartbeat = Heartbeat::new().unwrap();
        heartbeat.stop();
        assert!(is_readable(&heartbeat));
        assert!(heartbeat.ack() && heartbeat.ack());
    }
}
