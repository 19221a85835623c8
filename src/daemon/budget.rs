//! How much content may be hashed: whoever can write files can write many large ones, and an alert
//! without a hash is better than one that waits behind them.
//!
//! Pure: time comes in with the calls.

use crate::hook::content::MAX_HASHED;
use std::time::Instant;

/// Bytes that may be hashed in a second, on average: some tenth of a core.
const PER_SECOND: u64 = 32 << 20;
/// Bytes that may be hashed at once after a quiet time.
const BURST: u64 = 64 << 20;

/// See the module.
#[derive(Debug)]
pub struct HashBudget {
    left: u64,
    since: Instant,
}

impl HashBudget {
    /// A full budget.
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// The largest file that may be hashed now, in bytes.
    pub fn limit(&mut self, now: Instant) -> u64 {
        let milliseconds = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let gained = milliseconds.saturating_mul(PER_SECOND / 1000);
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(BURST);
            self.since = now;
        }
        self.left.min(MAX_HASHED)
    }

    /// So much was hashed.
    pub fn spend(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn many_large_files_use_it_up_small_ones_still_fit_and_time_fills_it_again() {
        let start = Instant::now();
        let mut budget = HashBudget::new(start);
        for _ in 0..3 {
            assert_eq!(budget.limit(start), MAX_HASHED);
            budget.spend(MAX_HASHED);
        }
        budget.spend(MAX_HASHED - 1000);
        assert_eq!(budget.limit(start), 1000);
        budget.spend(1000);
        assert_eq!(budget.limit(start), 0);
        assert_eq!(budget.limit(start + Duration::from_millis(100)), PER_SECOND / 1000 * 100);
        assert_eq!(budget.limit(start + Duration::from_secs(3600)), MAX_HASHED);
    }
}
