//! Limits how much content is read, because an attacker can write many large files. An alert without a hash is better
//! than one that waits behind them.
//!
//! Pure: the caller passes the time in.

use crate::hook::content::{Limits, MAX_HASHED, MAX_PARSED};
use std::time::Instant;

/// Bytes hashed per second on average (about a tenth of a core), and the most hashed at once after a quiet time.
const HASHED: Rate = Rate { per_second: 32 << 20, burst: 64 << 20 };
/// Bytes parsed per second, at the same cost.
const PARSED: Rate = Rate { per_second: 2 << 20, burst: 8 << 20 };
/// Bytes of each file that are always parsed: thirty times the largest known benign `.pth`.
const ALWAYS_PARSED: u64 = 64 << 10;

struct Rate {
    per_second: u64,
    burst: u64,
}

/// The bytes that may be read now.
#[derive(Debug)]
pub struct ReadBudget {
    hashing: u64,
    parsing: u64,
    since: Instant,
}

impl ReadBudget {
    /// A full budget.
    pub fn new(now: Instant) -> Self {
        Self { hashing: HASHED.burst, parsing: PARSED.burst, since: now }
    }

    /// How much of a file may be read now.
    pub fn limits(&mut self, now: Instant) -> Limits {
        let milliseconds = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        if milliseconds > 0 {
            let gain = |left: u64, rate: &Rate| {
                left.saturating_add(milliseconds.saturating_mul(rate.per_second / 1000)).min(rate.burst)
            };
            self.hashing = gain(self.hashing, &HASHED);
            self.parsing = gain(self.parsing, &PARSED);
            self.since = now;
        }
        let parse = self.parsing.max(ALWAYS_PARSED);
        Limits {
            hash: self.hashing.min(MAX_HASHED),
            parse: usize::try_from(parse).unwrap_or(MAX_PARSED).min(MAX_PARSED),
        }
    }

    /// Subtracts the bytes that were hashed and parsed.
    pub fn spend(&mut self, hashed: u64, parsed: u64) {
        self.hashing = self.hashing.saturating_sub(hashed);
        self.parsing = self.parsing.saturating_sub(parsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn large_files_exhaust_the_budget_small_ones_still_fit_and_time_refills_it() {
        let start = Instant::now();
        let mut budget = ReadBudget::new(start);
        for _ in 0..3 {
            assert_eq!(budget.limits(start).hash, MAX_HASHED);
            budget.spend(MAX_HASHED, 0);
        }
        budget.spend(MAX_HASHED - 1000, 0);
        assert_eq!(budget.limits(start).hash, 1000);
        budget.spend(1000, 0);
        assert_eq!(budget.limits(start).hash, 0);
        assert_eq!(budget.limits(start + Duration::from_millis(100)).hash, HASHED.per_second / 1000 * 100);
        assert_eq!(budget.limits(start + Duration::from_secs(3600)).hash, MAX_HASHED);
    }

    #[test]
    fn the_beginning_of_every_large_file_is_parsed() {
        let start = Instant::now();
        let mut budget = ReadBudget::new(start);
        for _ in 0..1000 {
            let limits = budget.limits(start);
            assert!(limits.parse as u64 >= ALWAYS_PARSED);
            budget.spend(0, limits.parse as u64);
        }
        assert_eq!(budget.limits(start).parse as u64, ALWAYS_PARSED);
        assert_eq!(budget.limits(start + Duration::from_secs(60)).parse, MAX_PARSED);
    }
}
