//! The bounded queue between the daemon and the task of one output.
//!
//! An alert leaves the queue once it is delivered, so that a failed attempt loses nothing. A full queue drops its oldest
//! alert, so that `push` never waits.

use crate::alert::Alert;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Shortest time between two reports of dropped alerts from an output that is slow but alive: a report with every alert
/// would double the load.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Most bytes of alerts that wait, whatever their number: about twice the need of 10,000 ordinary alerts.
const MAX_BYTES: usize = 64 << 20;

/// Longest pause between attempts once the output is being finished.
const LAST_PAUSES: Duration = Duration::from_millis(50);

/// The next step of the output's task.
#[derive(Debug)]
pub(super) enum Job {
    /// Open the output again.
    Reopen,
    /// Report that this many alerts were dropped.
    Report(u64),
    /// Deliver the alert with this number; it stays in the queue until [`Queue::delivered`].
    Deliver(u64, Arc<Alert>),
    /// The queue is closed and empty.
    End,
}

/// The queue of one output; shared by the daemon (any thread) and one task.
#[derive(Debug)]
pub(super) struct Queue {
    bound: usize,
    state: Mutex<State>,
    /// Wakes the task that waits for a job.
    work: Notify,
    /// Wakes the task that pauses between attempts.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Numbered, because the oldest can be dropped while the task delivers it.
    waiting: VecDeque<(u64, Arc<Alert>)>,
    /// Their sizes together.
    bytes: usize,
    next_number: u64,
    unreported: u64,
    delivered: u64,
    dropped: u64,
    reported_at: Option<Instant>,
    reopen: bool,
    closed: bool,
    gone: bool,
}

impl State {
    /// Removes the oldest alert, if there is one.
    fn take_first(&mut self) -> bool {
        match self.waiting.pop_front() {
            Some((_, alert)) => {
                self.bytes = self.bytes.saturating_sub(alert.size());
                true
            }
            None => false,
        }
    }
}

impl Queue {
    /// An empty queue for at most `bound` alerts; 0 counts as 1.
    pub fn new(bound: usize) -> Self {
        Self { bound: bound.max(1), state: Mutex::default(), work: Notify::new(), hurry: Notify::new() }
    }

    /// Adds an alert. Never waits: a full queue drops its oldest alert, and an output that is gone drops this one.
    pub fn push(&self, alert: Arc<Alert>) {
        let mut state = self.state();
        if state.gone {
            state.dropped += 1;
            return;
        }
        while state.waiting.len() >= self.bound || state.bytes + alert.size() > MAX_BYTES {
            if !state.take_first() {
                break;
            }
            state.unreported += 1;
            state.dropped += 1;
        }
        state.bytes += alert.size();
        let number = state.next_number;
        state.next_number += 1;
        state.waiting.push_back((number, alert));
        drop(state);
        self.work.notify_one();
    }

    /// Waits for the next job. Cancel-safe: the job stays in the queue.
    pub async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.job(Instant::now()) {
                return job;
            }
            self.work.notified().await;
        }
    }

    fn job(&self, now: Instant) -> Option<Job> {
        let mut state = self.state();
        if std::mem::take(&mut state.reopen) {
            return Some(Job::Reopen);
        }
        // A report takes the place of the dropped alerts: before the alerts that are left.
        let spaced = state.reported_at.is_none_or(|at| now.duration_since(at) >= REPORT_EVERY);
        if state.unreported > 0 && (spaced || state.waiting.is_empty() || state.closed) {
            return Some(Job::Report(state.unreported));
        }
        match state.waiting.front() {
            Some((number, alert)) => Some(Job::Deliver(*number, Arc::clone(alert))),
            None if state.closed => Some(Job::End),
            None => None,
        }
    }

    /// The alert with this number has arrived: it leaves the queue.
    pub fn delivered(&self, number: u64) {
        let mut state = self.state();
        state.delivered += 1;
        if state.waiting.front().is_some_and(|(first, _)| *first == number) {
            state.take_first();
        } else {
            // It was pushed out while it was being written, and arrived after all.
            state.unreported = state.unreported.saturating_sub(1);
            state.dropped = state.dropped.saturating_sub(1);
        }
    }

    /// Alerts that were delivered, and those that were dropped, since the start.
    pub fn totals(&self) -> (u64, u64) {
        let state = self.state();
        (state.delivered, state.dropped)
    }

    /// The report of so many dropped alerts has arrived.
    pub fn reported(&self, dropped: u64) {
        let mut state = self.state();
        state.unreported = state.unreported.saturating_sub(dropped);
        state.reported_at = Some(Instant::now());
    }

    /// Pauses between two attempts; ends early when the output is to be reopened or finished.
    pub async fn pause(&self, pause: Duration) {
        let pause = if self.state().closed { pause.min(LAST_PAUSES) } else { pause };
        // Both ends of the pause are the same to the caller.
        let _ = tokio::time::timeout(pause, self.hurry.notified()).await;
    }

    /// Makes the task open its output again.
    pub fn reopen(&self) {
        self.state().reopen = true;
        self.work.notify_one();
        self.hurry.notify_one();
    }

    /// Makes the task end when the queue is empty.
    pub fn close(&self) {
        self.state().closed = true;
        self.work.notify_one();
        self.hurry.notify_one();
    }

    /// The output is gone for good: waiting and new alerts are dropped.
    pub fn give_up(&self) {
        let mut state = self.state();
        state.gone = true;
        state.dropped += state.waiting.len() as u64;
        state.waiting.clear();
        state.bytes = 0;
    }

    /// Whether the output is gone for good.
    pub fn is_gone(&self) -> bool {
        self.state().gone
    }

    /// Alerts that wait.
    pub fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Alerts that were neither delivered nor reported as dropped.
    pub fn undelivered(&self) -> u64 {
        let state = self.state();
        state.waiting.len() as u64 + state.unreported
    }

    /// No code leaves the state half changed while it holds the lock, so a poisoned lock is usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use std::time::SystemTime;

    fn alert(n: u64) -> Arc<Alert> {
        let document = serde_json::json!({ "event": { "sequence": n } });
        Arc::new(Alert::new(Level::High, SystemTime::UNIX_EPOCH, &document))
    }

    fn filled(bound: usize, alerts: u64) -> Queue {
        let queue = Queue::new(bound);
        (0..alerts).for_each(|n| queue.push(alert(n)));
        queue
    }

    fn head(queue: &Queue) -> u64 {
        match queue.job(Instant::now()) {
            Some(Job::Deliver(number, _)) => number,
            other => panic!("no alert to deliver but {other:?}"),
        }
    }

    #[test]
    fn a_full_queue_keeps_the_newest_alerts_and_counts_the_others() {
        let queue = filled(3, 10);
        assert_eq!((queue.len(), queue.undelivered()), (3, 10));
        assert!(matches!(queue.job(Instant::now()), Some(Job::Report(7))));
        queue.reported(7);
        assert_eq!(head(&queue), 7);
    }

    #[test]
    fn an_alert_stays_at_the_head_until_it_is_delivered() {
        let queue = filled(3, 2);
        assert_eq!((head(&queue), head(&queue)), (0, 0));
        queue.delivered(0);
        assert_eq!((head(&queue), queue.len()), (1, 1));
    }

    #[test]
    fn an_alert_pushed_out_while_it_is_written_does_not_count_as_dropped() {
        let queue = filled(2, 2);
        let number = head(&queue);
        queue.push(alert(2));
        assert_eq!((queue.len(), queue.undelivered()), (2, 3));
        queue.delivered(number);
        assert_eq!((queue.len(), queue.undelivered()), (2, 2));
        assert_eq!(head(&queue), 1, "and there is nothing to report");
    }

    #[test]
    fn reports_of_a_slow_output_are_spaced_but_the_last_one_is_not_withheld() {
        let queue = filled(1, 2);
        queue.reported(1);
        queue.push(alert(2));
        assert_eq!(head(&queue), 2, "a report was just made");
        let later = Instant::now() + REPORT_EVERY;
        assert!(matches!(queue.job(later), Some(Job::Report(1))));
        queue.delivered(2);
        assert!(matches!(queue.job(Instant::now()), Some(Job::Report(1))), "nothing else to do");
    }

    #[test]
    fn a_closed_queue_ends_after_its_last_alert() {
        let queue = filled(5, 1);
        queue.close();
        queue.delivered(head(&queue));
        assert!(matches!(queue.job(Instant::now()), Some(Job::End)));
    }

    #[test]
    fn an_output_that_is_gone_drops_everything() {
        let queue = filled(5, 3);
        queue.give_up();
        queue.push(alert(3));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn large_alerts_are_bounded_by_their_bytes() {
        let queue = Queue::new(1_000_000);
        let document = serde_json::json!({ "message": "x".repeat(60_000) });
        let large = Arc::new(Alert::new(Level::High, SystemTime::UNIX_EPOCH, &document));
        for _ in 0..2000 {
            queue.push(large.clone());
        }
        let waiting = queue.len();
        assert_eq!(waiting, MAX_BYTES / large.size());
        assert_eq!(queue.state().unreported as usize, 2000 - waiting);
        queue.give_up();
        assert_eq!(queue.state().bytes, 0);
    }
}
