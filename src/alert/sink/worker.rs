//! The task of one output: takes alerts from its queue and tries until they are delivered.

use super::queue::{Job, Queue};
use crate::alert::Alert;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// First pause after a failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Shortest time between two log lines about an output that fails.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Makes the record of dropped alerts from their number and the output's name.
pub(super) type OnDropped = Arc<dyn Fn(u64, &str) -> Alert + Send + Sync>;

/// Why an alert was not delivered, with a sentence for the administrator.
#[derive(Debug)]
pub(super) enum Failure {
    /// Try again after a pause.
    Later(String),
    /// Try again at once: the sink has waited already.
    Stalled(String),
    /// The output will never work again.
    Gone(String),
}

/// One way to deliver, one alert at a time. A sink never drops an alert by itself.
pub(super) trait Sink: Send + 'static {
    /// Delivers one alert completely. After a failure it is called again with the same alert, or with a younger one if
    /// that alert was dropped meanwhile.
    fn deliver(&mut self, alert: &Arc<Alert>) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Opens the output again, if it is a file.
    fn reopen(&mut self) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Serves `queue` until it is closed and empty, or the output is gone for good. `gone` is then notified.
pub(super) async fn run(
    mut sink: impl Sink,
    name: String,
    queue: Arc<Queue>,
    on_dropped: OnDropped,
    gone: Arc<Notify>,
) {
    let mut retries = Retries::default();
    loop {
        let done = match queue.next().await {
            Job::End => return,
            Job::Reopen => sink.reopen().await,
            Job::Report(dropped) => {
                let report = Arc::new(on_dropped(dropped, &name));
                sink.deliver(&report).await.map(|()| queue.reported(dropped))
            }
            Job::Deliver(number, alert) => sink.deliver(&alert).await.map(|()| queue.delivered(number)),
        };
        match done {
            Ok(()) => retries.succeeded(&name),
            Err(Failure::Later(reason)) => {
                retries.log(&name, &reason, queue.len());
                queue.pause(retries.pause()).await;
            }
            Err(Failure::Stalled(reason)) => retries.log(&name, &reason, queue.len()),
            Err(Failure::Gone(reason)) => {
                queue.give_up();
                log::error!("output {name} has ended, its alerts are dropped: {reason}");
                gone.notify_one();
                return;
            }
        }
    }
}

/// The pauses between attempts, and when a failure was last logged.
#[derive(Default)]
struct Retries {
    last_pause: Option<Duration>,
    logged_at: Option<Instant>,
    /// A failure was logged since the last success.
    is_logged: bool,
}

impl Retries {
    fn pause(&mut self) -> Duration {
        let pause = self.last_pause.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.last_pause = Some(pause);
        pause
    }

    fn log(&mut self, name: &str, reason: &str, waiting: usize) {
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            log::warn!("output {name} does not work, {waiting} alerts wait for the next attempt: {reason}");
            self.logged_at = Some(Instant::now());
            self.is_logged = true;
        }
    }

    fn succeeded(&mut self, name: &str) {
        self.last_pause = None;
        if std::mem::take(&mut self.is_logged) {
            log::info!("output {name} works again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_50_milliseconds_to_5_seconds_and_start_over_after_a_success() {
        let mut retries = Retries::default();
        let pauses: Vec<_> = (0..9).map(|_| retries.pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        retries.succeeded("test");
        assert_eq!(retries.pause(), FIRST_PAUSE);
    }
}
