//! Gaps are never silent and never a flood: the first of a cause is reported at once, what follows
//! within [`WINDOW`] is added up and reported at its end.
//!
//! Pure: time comes in with the calls.

use crate::event::LossReport;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One cause is reported at most once in this time.
const WINDOW: Duration = Duration::from_secs(10);

/// See the module. One entry for each cause of the last [`WINDOW`].
#[derive(Debug, Default)]
pub struct Gaps(BTreeMap<&'static str, PendingBatch>);

#[derive(Debug)]
struct PendingBatch {
    until: Instant,
    more: u64,
    lost: Option<u64>,
    detail: String,
}

impl Gaps {
    /// Takes a gap. Gives it back when it is to be reported now.
    pub fn take(&mut self, gap: LossReport, now: Instant) -> Option<LossReport> {
        match self.0.get_mut(gap.cause) {
            Some(held) if now < held.until => {
                held.more += 1;
                held.lost = match (held.lost, gap.lost) {
                    (None, None) => None,
                    (known, lost) => Some(known.unwrap_or(0) + lost.unwrap_or(0)),
                };
                held.detail = gap.detail;
                None
            }
            _ => {
                self.0.insert(
                    gap.cause,
                    PendingBatch { until: now + WINDOW, more: 0, lost: None, detail: String::new() },
                );
                Some(gap)
            }
        }
    }

    /// The sums of windows that have ended; all of them when `everything` is asked for.
    pub fn due(&mut self, now: Instant, everything: bool) -> Vec<LossReport> {
        let mut due = Vec::new();
        self.0.retain(|&cause, held| {
            let ended = everything || held.until <= now;
            if ended && held.more > 0 {
                let detail = format!("{} more of this kind; the last: {}", held.more, held.detail);
                due.push(LossReport { cause, lost: held.lost, detail });
            }
            !ended
        });
        due
    }

    /// When [`Gaps::due`] has something to tell.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter(|held| held.more > 0).map(|held| held.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(lost: Option<u64>) -> LossReport {
        LossReport { cause: LossReport::CHANNEL_FULL, lost, detail: "x".into() }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_of_the_window_as_one_sum() {
        let start = Instant::now();
        let mut gaps = Gaps::default();
        assert_eq!(gaps.take(gap(Some(3)), start), Some(gap(Some(3))));
        assert_eq!(gaps.next_deadline(), None);
        for _ in 0..1000 {
            assert_eq!(gaps.take(gap(Some(2)), start + Duration::from_secs(1)), None);
        }
        assert_eq!(gaps.next_deadline(), Some(start + WINDOW));
        assert!(gaps.due(start + Duration::from_secs(9), false).is_empty());
        let due = gaps.due(start + WINDOW, false);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].lost, Some(2000));
        assert!(due[0].detail.starts_with("1000 more"));
        assert_eq!(gaps.take(gap(None), start + WINDOW), Some(gap(None)));
    }

    #[test]
    fn causes_do_not_hide_each_other_and_the_end_tells_everything() {
        let now = Instant::now();
        let mut gaps = Gaps::default();
        let other = LossReport { cause: LossReport::QUEUE_OVERFLOW, lost: None, detail: "y".into() };
        assert!(gaps.take(gap(Some(1)), now).is_some());
        assert!(gaps.take(other.clone(), now).is_some());
        assert!(gaps.take(gap(Some(1)), now).is_none());
        assert!(gaps.take(other, now).is_none());
        assert_eq!(gaps.due(now, true).len(), 2);
        assert!(gaps.due(now, true).is_empty());
    }
}
