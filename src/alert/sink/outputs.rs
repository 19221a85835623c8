//! All outputs of the daemon together.

use super::error::OutputError;
use super::file::FileSink;
use super::header::LocalOffset;
use super::queue::Queue;
use super::settings::{OutputSettings, Target};
use super::stdout::Stdout;
use super::syslog::Syslog;
use super::worker::{self, OnDropped, Sink};
use crate::alert::{Alert, Format};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The state of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputState {
    /// What it is, such as `syslog /dev/log`.
    pub name: String,
    /// It has not ended for good.
    pub is_there: bool,
    /// Alerts that wait.
    pub waiting: usize,
    /// Alerts delivered since the start.
    pub delivered: u64,
    /// Alerts dropped since the start.
    pub dropped: u64,
}

/// The running outputs: one queue and one task each. Dropping it does not end the tasks, use
/// [`Outputs::finish`].
pub struct Outputs {
    outputs: Vec<Output>,
    /// Notified by a task whose output is gone for good.
    lost: Arc<Notify>,
}

struct Output {
    name: String,
    queue: Arc<Queue>,
    task: JoinHandle<()>,
    announced: AtomicBool,
}

impl Outputs {
    /// Starts every output of `settings`. Files are opened at once; a missing syslog daemon is only a warning. Must run
    /// inside a tokio runtime with I/O and time.
    ///
    /// * `on_dropped` makes the record of dropped alerts from their number and the output's name. The output's task
    ///   calls it, again for the same alerts while the record cannot be delivered.
    /// * `local_offset` gives the local time's offset from UTC, for RFC 3164 headers.
    ///
    /// # Errors
    /// The first output that cannot be started; the outputs before it are ended again.
    pub fn start(
        settings: &[OutputSettings],
        on_dropped: impl Fn(u64, &str) -> Alert + Send + Sync + 'static,
        local_offset: LocalOffset,
    ) -> Result<Self, OutputError> {
        let on_dropped: OnDropped = Arc::new(on_dropped);
        let mut all = Self { outputs: Vec::with_capacity(settings.len()), lost: Arc::default() };
        for output in settings {
            if let Err(error) = all.start_one(output, &on_dropped, local_offset) {
                all.outputs.iter().for_each(|started| started.task.abort());
                return Err(error);
            }
        }
        Ok(all)
    }

    fn start_one(
        &mut self,
        settings: &OutputSettings,
        on_dropped: &OnDropped,
        local_offset: LocalOffset,
    ) -> Result<(), OutputError> {
        let format = settings.format.unwrap_or(Format::Ecs);
        match &settings.target {
            Target::Stdout => {
                let sink = Stdout::new(settings.format).map_err(OutputError::Stdout)?;
                self.run(sink, "stdout".to_owned(), settings.queue, on_dropped);
            }
            Target::File(path) => {
                let sink = FileSink::new(path.clone(), format)?;
                self.run(sink, format!("file {}", path.display()), settings.queue, on_dropped);
            }
            Target::Syslog(syslog) => {
                let sink = Syslog::new(syslog.clone(), format, local_offset);
                self.run(sink, format!("syslog {}", syslog.socket.display()), settings.queue, on_dropped);
            }
        }
        Ok(())
    }

    fn run(&mut self, sink: impl Sink, name: String, bound: usize, on_dropped: &OnDropped) {
        let queue = Arc::new(Queue::new(bound));
        let task = worker::run(sink, name.clone(), Arc::clone(&queue), Arc::clone(on_dropped), Arc::clone(&self.lost));
        self.outputs.push(Output { name, queue, task: tokio::spawn(task), announced: AtomicBool::new(false) });
    }

    /// Puts the alert into every output's queue. Never waits: a full queue drops its oldest alert, which is counted and
    /// reported later.
    pub fn send(&self, alert: Arc<Alert>) {
        for output in &self.outputs {
            output.queue.push(Arc::clone(&alert));
        }
    }

    /// Opens every file anew, for log rotation (SIGHUP). A failure is logged and tried again; meanwhile the alerts wait.
    pub fn reopen(&self) {
        for output in &self.outputs {
            output.queue.reopen();
        }
    }

    /// Waits until an output is gone for good and returns its name; each one once. Cancel-safe.
    pub async fn lost(&self) -> String {
        loop {
            let lost = self
                .outputs
                .iter()
                .find(|output| output.queue.is_gone() && !output.announced.swap(true, Ordering::Relaxed));
            if let Some(output) = lost {
                return output.name.clone();
            }
            self.lost.notified().await;
        }
    }

    /// Whether every output is gone for good, or none is configured.
    pub fn all_gone(&self) -> bool {
        self.outputs.iter().all(|output| output.queue.is_gone())
    }

    /// The outputs for the ready line, such as `syslog /dev/log, file /var/log/pyhookwatch/alerts.json`.
    pub fn describe(&self) -> String {
        let names: Vec<_> = self.outputs.iter().map(|output| output.name.as_str()).collect();
        names.join(", ")
    }

    /// The present state of each output.
    pub fn states(&self) -> Vec<OutputState> {
        let state = |output: &Output| {
            let (delivered, dropped) = output.queue.totals();
            let (name, waiting) = (output.name.clone(), output.queue.len());
            OutputState { name, is_there: !output.queue.is_gone(), waiting, delivered, dropped }
        };
        self.outputs.iter().map(state).collect()
    }

    /// Alerts that wait, summed over the outputs.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.outputs.iter().map(|output| output.queue.len()).sum()
    }

    /// Delivers what is queued, for at most `deadline`, and ends the outputs. Returns how many alerts
    /// were neither delivered nor reported as dropped, summed over the outputs.
    ///
    /// A write to a stalled disk or terminal cannot be ended: end the runtime with
    /// [`tokio::runtime::Runtime::shutdown_background`], or it waits for that write.
    pub async fn finish(mut self, deadline: Duration) -> u64 {
        for output in &self.outputs {
            output.queue.close();
        }
        let finished = async {
            for output in &mut self.outputs {
                // An error is a task that panicked; what it left is counted below.
                let _ = (&mut output.task).await;
            }
        };
        // After a timeout too, the alerts that are left are counted below.
        let _ = tokio::time::timeout(deadline, finished).await;
        for output in &self.outputs {
            output.task.abort();
        }
        self.outputs.iter().map(|output| output.queue.undelivered()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::worker::Failure;
    use crate::event::Level;
    use std::time::SystemTime;

    struct Closed;

    impl Sink for Closed {
        async fn deliver(&mut self, _: &Arc<Alert>) -> Result<(), Failure> {
            Err(Failure::Gone("closed".to_owned()))
        }
    }

    fn alert() -> Alert {
        Alert::new(Level::Low, SystemTime::UNIX_EPOCH, &serde_json::json!({}))
    }

    #[tokio::test]
    async fn each_output_that_is_gone_for_good_is_announced_once() {
        let mut outputs = Outputs { outputs: Vec::new(), lost: Arc::default() };
        let on_dropped: OnDropped = Arc::new(|_, _| alert());
        outputs.run(Closed, "first".to_owned(), 5, &on_dropped);
        outputs.run(Closed, "second".to_owned(), 5, &on_dropped);
        outputs.send(Arc::new(alert()));
        let mut names = [outputs.lost().await, outputs.lost().await];
        names.sort();
        assert_eq!(names, ["first", "second"]);
        assert!(outputs.all_gone());
        let again = tokio::time::timeout(Duration::from_millis(10), outputs.lost()).await;
        assert!(again.is_err(), "announced twice");
        outputs.send(Arc::new(alert()));
        assert_eq!(outputs.waiting(), 0);
        assert_eq!(outputs.finish(Duration::from_secs(20)).await, 0);
    }
}
