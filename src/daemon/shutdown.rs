//! The end of a run: no new events, judge what is here, deliver.

use super::channel::PipelineInput;
use super::pipeline::Pipeline;
use super::sources::Sources;
use crate::alert::sink::Outputs;
use crate::event::{LossCause, LossReport};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until};

/// The deadlines after SIGTERM: until when the kernel's queue is read, what was read is judged, and alerts are
/// delivered. All ends within two seconds; the last two tenths are for the kernel to take the process down. A build
/// without optimisation is slower.
const READING: Duration = Duration::from_millis(800 * SLOWER);
const JUDGING: Duration = Duration::from_millis(1200 * SLOWER);
const DELIVERY: Duration = Duration::from_millis(1800 * SLOWER);
const SLOWER: u64 = if cfg!(debug_assertions) { 3 } else { 1 };

/// How often the drain checks whether everything has arrived.
const CHECK_EVERY: Duration = Duration::from_millis(2);

/// Ends the sources, judges what they have found, and delivers the alerts.
pub async fn finish(mut sources: Sources, mut pipeline: Pipeline, outputs: Arc<Outputs>) {
    let start = Instant::now();
    pipeline.judge_until(start + JUDGING);
    drain(&mut sources, &mut pipeline, start + READING).await;
    pipeline.flush().await;
    let stats = pipeline.into_stats();
    let undelivered = match Arc::try_unwrap(outputs) {
        Ok(outputs) => outputs.finish(DELIVERY.saturating_sub(start.elapsed())).await,
        Err(_) => 0,
    };
    if undelivered > 0 {
        log::error!("{undelivered} alerts could not be delivered in time and are lost");
    }
    // The outputs have ended, so later drops are only logged.
    if let Some(dropped) = sources.events.take_dropped().and_then(|loss| loss.count) {
        log::error!("{dropped} more changes came too late to be judged");
    }
    log::info!(
        "stopped: {} records read, {} alerts, {} changes excluded, {} repeated, {} losses, {} gone before they could be located",
        sources.counters.records.load(Ordering::Relaxed),
        stats.alerts,
        stats.excluded,
        stats.repeated,
        stats.losses,
        sources.counters.unresolved.load(Ordering::Relaxed),
    );
}

/// Stops the threads that watch, and judges what they still send until `deadline`. The reader drains the kernel's queue
/// once more, and renamed directories are listed. Changes not read by then count as lost. The outputs deliver
/// meanwhile.
async fn drain(sources: &mut Sources, pipeline: &mut Pipeline, deadline: Instant) {
    sources.events.start_blocking();
    let mut reading = sources.reader.is_some() && !sources.reader_failed.is_terminated();
    if let Some(reader) = sources.reader.take() {
        reader.stop();
    }
    let mut inotify_stopped = stop_inotify(sources);
    loop {
        let watching = inotify_stopped.is_some();
        tokio::select! {
            biased;
            () = sleep_until(deadline.into()) => break,
            // When the threads have ended, all their events are in the channel.
            end = &mut sources.reader_failed, if reading => {
                reading = false;
                if let Ok(error) = end {
                    log::error!("the last changes could not be read: {error}");
                }
            }
            () = ended(&mut inotify_stopped), if watching => inotify_stopped = None,
            input = sources.inputs.recv() => match input {
                Some(input) => take(pipeline, input).await,
                None => break,
            },
            () = sleep(CHECK_EVERY), if !reading && !watching => {
                // The order matters: a listing is in the channel before it counts as finished.
                if pipeline.unlisted() == 0 && sources.inputs.is_empty() {
                    break;
                }
            }
        }
    }
    sources.events.close();
    // Later sends fail and are counted.
    sources.inputs.close();
    while let Ok(input) = sources.inputs.try_recv() {
        take(pipeline, input).await;
    }
    if reading || inotify_stopped.is_some() {
        let detail = "the end came before all changes were read: they came faster";
        pipeline.report(LossReport::new(LossCause::ChannelFull, detail));
    }
}

/// Stops inotify in a thread of its own, because it may be in the middle of a large directory. If there can be no
/// thread, inotify is stopped at once.
fn stop_inotify(sources: &mut Sources) -> Option<oneshot::Receiver<()>> {
    let inotify = sources.inotify.take()?;
    let (done, stopped) = oneshot::channel();
    let _ = std::thread::Builder::new().spawn(move || {
        inotify.stop();
        drop(done);
    });
    Some(stopped)
}

async fn ended(stopped: &mut Option<oneshot::Receiver<()>>) {
    if let Some(stopped) = stopped {
        let _ = stopped.await;
    }
}

/// The outputs' tasks run on this thread too, so they get a turn after each change.
async fn take(pipeline: &mut Pipeline, input: PipelineInput) {
    pipeline.take(input);
    tokio::task::yield_now().await;
}
