//! When the queue is read: how long the reader rests after noise, and how long it waits for room.
//!
//! Pure: time comes in with the calls.

use std::time::{Duration, Instant};

/// Rest after a batch of noise, once there were [`PROMPT`] of them within a second, and after the next ones
/// while that does not end. Waking the reader for each record is what costs, not parsing it: with this rest
/// a noisy machine pays a fifth. A batch with a hook in it is followed without rest.
const REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(3);
/// Batches of noise in a second that are followed without rest: at some 25 us each, half a percent of a core.
/// A process that starts is noise, and its write, if it is a hook, wants to be read while it lives.
const PROMPT: u32 = 200;

/// Longest time that records are left in the kernel's queue because there is no room for their
/// changes. Past it they are read all the same and what finds no room is counted as lost: a queue
/// that grows for as long as a disk hangs would take the machine's memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long there has been no room for changes, see [`PATIENCE`].
#[derive(Debug, Default)]
pub(super) struct BackpressureTimer {
    full_since: Option<Instant>,
}

impl BackpressureTimer {
    pub(super) fn may_read(&mut self, has_room: bool, now: Instant) -> bool {
        if has_room {
            self.full_since = None;
            return true;
        }
        now.duration_since(*self.full_since.get_or_insert(now)) >= PATIENCE
    }
}

/// How long to rest after each batch of noise.
#[derive(Default)]
pub(super) struct IdleBackoff {
    second: Option<Instant>,
    batches: u32,
    last: Option<(Instant, Duration)>,
}

impl IdleBackoff {
    pub(super) fn after_noise(&mut self, now: Instant) -> Duration {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.batches) = (Some(now), 0);
        }
        self.batches += 1;
        if self.batches <= PROMPT {
            return Duration::ZERO;
        }
        // Something came during the last rest, or right after it: it goes on.
        let rest = match self.last {
            Some((at, rest)) if now.duration_since(at) < rest + REST => LONGEST_REST.min(rest * 2),
            _ => REST,
        };
        self.last = Some((now, rest));
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_noise_is_followed_at_once_and_much_with_longer_and_longer_rests() {
        let (mut rests, start) = (IdleBackoff::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert!((0..PROMPT).all(|_| rests.after_noise(at(0)).is_zero()));
        assert_eq!(rests.after_noise(at(1)), REST);
        assert_eq!(rests.after_noise(at(2)), REST * 2);
        assert_eq!(rests.after_noise(at(4)), LONGEST_REST);
        assert_eq!(rests.after_noise(at(7)), LONGEST_REST);
        assert_eq!(rests.after_noise(at(900)), REST);
        assert!(rests.after_noise(at(1001)).is_zero());
    }

    #[test]
    fn without_room_reading_waits_but_not_for_ever() {
        let mut patience = BackpressureTimer::default();
        let start = Instant::now();
        assert!(patience.may_read(true, start));
        assert!(!patience.may_read(false, start));
        assert!(!patience.may_read(false, start + PATIENCE / 2));
        assert!(patience.may_read(false, start + PATIENCE));
        assert!(patience.may_read(true, start + PATIENCE * 2));
        assert!(!patience.may_read(false, start + PATIENCE * 3));
    }
}
