//! How a thread that waits for the kernel is told to stop, and asked whether it still answers.
//!
//! Nobody can see from outside whether a thread waits because nothing happens or because it hangs. So it is rung
//! now and then: what waits as it should wakes up and counts one. A thread that is at work counts too.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the thread and whoever rings.
#[derive(Debug)]
pub struct Heartbeat {
    fd: EventFd,
    stopping: AtomicBool,
    beats: AtomicU64,
}

impl Heartbeat {
    /// A bell that was not rung yet.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { fd, stopping: AtomicBool::new(false), beats: AtomicU64::new(0) })
    }

    /// Wakes the thread, so that it counts one.
    pub fn ring(&self) {
        // The write can only fail when the counter is full, and then the thread wakes all the same.
        let _ = self.fd.write(1);
    }

    /// Wakes the thread for the last time.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.ring();
    }

    /// How often the thread has answered or got on with its work.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The thread gets on with its work.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Called by the thread when the bell is readable. Tells whether it is to stop.
    pub fn answer(&self) -> bool {
        // EAGAIN: it was not rung, and there is nothing to take back.
        let _ = self.fd.read();
        self.beat();
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

    fn is_readable(bell: &Heartbeat) -> bool {
        poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn an_answer_counts_one_and_makes_the_bell_quiet_again() {
        let bell = Heartbeat::new().unwrap();
        assert!(!is_readable(&bell));
        bell.ring();
        bell.ring();
        assert!(is_readable(&bell));
        assert!(!bell.answer());
        assert_eq!(bell.beats(), 1);
        assert!(!is_readable(&bell));
    }

    #[test]
    fn who_is_told_to_stop_is_told_so_at_every_answer() {
        let bell = Heartbeat::new().unwrap();
        bell.stop();
        assert!(is_readable(&bell));
        assert!(bell.answer() && bell.answer());
    }
}
