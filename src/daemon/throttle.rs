//! When the reader reads: how long it sleeps after uninteresting events, and how long it waits for room.
//!
//! Pure: the caller passes the time in.

use std::time::{Duration, Instant};

/// Sleep after a batch of uninteresting events, once there were [`PROMPT`] of them within a second. It doubles up to
/// [`LONGEST_REST`] while they do not end. Waking the reader for each record costs more than parsing it: with these
/// sleeps a busy machine pays a fifth. No sleep follows a batch with a hook in it.
const REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(3);

/// Uninteresting batches in a second that no sleep follows: at some 25 us each, half a percent of a core. A process
/// that starts is such a batch, and if it writes a hook, the event must be read while the process lives.
const PROMPT: u32 = 200;

/// How long events stay in the kernel's queue because the channel has no room. Past it they are read, and those
/// without room are counted as lost. Otherwise the queue could take the machine's memory while a disk hangs.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Measures for how long the channel has had no room.
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
        now.duration_since(*self.full_since.get_or_insert(now)) >= LONGEST_WAIT
    }
}

/// How long to sleep after each uninteresting batch.
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
        // Events came during the last sleep or right after it: the noise has not ended.
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
    fn little_noise_is_read_at_once_and_much_with_longer_and_longer_sleeps() {
        let (mut backoff, start) = (IdleBackoff::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert!((0..PROMPT).all(|_| backoff.after_noise(at(0)).is_zero()));
        assert_eq!(backoff.after_noise(at(1)), REST);
        assert_eq!(backoff.after_noise(at(2)), REST * 2);
        assert_eq!(backoff.after_noise(at(4)), LONGEST_REST);
        assert_eq!(backoff.after_noise(at(7)), LONGEST_REST);
        assert_eq!(backoff.after_noise(at(900)), REST);
        assert!(backoff.after_noise(at(1001)).is_zero());
    }

    #[test]
    fn without_room_reading_waits_but_not_for_ever() {
        let mut timer = BackpressureTimer::default();
        let start = Instant::now();
        assert!(timer.may_read(true, start));
        assert!(!timer.may_read(false, start));
        assert!(!timer.may_read(false, start + LONGEST_WAIT / 2));
        assert!(timer.may_read(false, start + LONGEST_WAIT));
        assert!(timer.may_read(true, start + LONGEST_WAIT * 2));
        assert!(!timer.may_read(false, start + LONGEST_WAIT * 3));
    }
}
