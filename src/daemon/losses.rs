//! Rate limit of loss reports: the first of a cause is reported at once, those of the next [`WINDOW`] as one sum.
//!
//! Pure: the caller passes the time in.

use crate::event::{LossCause, LossReport};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Shortest time between two reports of one cause.
const WINDOW: Duration = Duration::from_secs(10);

/// The unreported losses, by cause.
#[derive(Debug, Default)]
pub struct Losses(BTreeMap<LossCause, Window>);

#[derive(Debug)]
struct Window {
    ends: Instant,
    reports: u64,
    count: Option<u64>,
    last_detail: String,
}

impl Losses {
    /// Takes a loss. Returns it when it must be reported now.
    pub fn add(&mut self, loss: LossReport, now: Instant) -> Option<LossReport> {
        match self.0.get_mut(&loss.cause) {
            Some(window) if now < window.ends => {
                window.reports += 1;
                window.count = match (window.count, loss.count) {
                    (None, None) => None,
                    (known, more) => Some(known.unwrap_or(0) + more.unwrap_or(0)),
                };
                window.last_detail = loss.detail;
                None
            }
            _ => {
                let window = Window { ends: now + WINDOW, reports: 0, count: None, last_detail: String::new() };
                self.0.insert(loss.cause, window);
                Some(loss)
            }
        }
    }

    /// The sums of the windows that have ended.
    pub fn due(&mut self, now: Instant) -> Vec<LossReport> {
        self.take_if(|window| window.ends <= now)
    }

    /// The sums of all windows.
    pub fn flush(&mut self) -> Vec<LossReport> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, has_ended: impl Fn(&Window) -> bool) -> Vec<LossReport> {
        let mut sums = Vec::new();
        self.0.retain(|&cause, window| {
            let ended = has_ended(window);
            if ended && window.reports > 0 {
                let detail = format!("{} more of this kind; the last: {}", window.reports, window.last_detail);
                sums.push(LossReport { cause, count: window.count, detail });
            }
            !ended
        });
        sums
    }

    /// When [`Losses::due`] next returns something.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter(|window| window.reports > 0).map(|window| window.ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(count: Option<u64>) -> LossReport {
        LossReport { cause: LossCause::ChannelFull, count, detail: "x".into() }
    }

    #[test]
    fn the_first_is_reported_at_once_and_the_rest_of_the_window_as_one_sum() {
        let start = Instant::now();
        let mut losses = Losses::default();
        assert_eq!(losses.add(loss(Some(3)), start), Some(loss(Some(3))));
        assert_eq!(losses.next_deadline(), None);
        for _ in 0..1000 {
            assert_eq!(losses.add(loss(Some(2)), start + Duration::from_secs(1)), None);
        }
        assert_eq!(losses.next_deadline(), Some(start + WINDOW));
        assert!(losses.due(start + Duration::from_secs(9)).is_empty());
        let due = losses.due(start + WINDOW);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].count, Some(2000));
        assert!(due[0].detail.starts_with("1000 more"));
        assert_eq!(losses.add(loss(None), start + WINDOW), Some(loss(None)));
    }

    #[test]
    fn causes_do_not_hide_each_other_and_the_end_reports_everything() {
        let now = Instant::now();
        let mut losses = Losses::default();
        let other = LossReport::new(LossCause::QueueOverflow, "y");
        assert!(losses.add(loss(Some(1)), now).is_some());
        assert!(losses.add(other.clone(), now).is_some());
        assert!(losses.add(loss(Some(1)), now).is_none());
        assert!(losses.add(other, now).is_none());
        assert_eq!(losses.flush().len(), 2);
        assert!(losses.flush().is_empty());
    }
}
