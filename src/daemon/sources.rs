//! Starts the sources, and checks their state.

use super::channel::{EventSender, PipelineInput, channel};
use super::evidence;
use super::inotify_feed;
use super::reader::{ReadCounters, Reader};
use super::shared_filter::SharedFilter;
use super::watch_plan::{self, WatchPlan};
use crate::privileges;
use crate::privileges::Role;
use crate::source::fanotify::FanotifyReader;
use crate::source::heartbeat::Heartbeat;
use crate::source::inotify::{Inotify, TreeReport};
use crate::source::{Guard, Guarded, Mechanism, Settings};
use crate::writer::{RecordSource, RecordSources};
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// The running sources.
pub struct Sources {
    /// The receiving side of their channel.
    pub inputs: Receiver<PipelineInput>,
    /// The sending side, for other threads that find changes.
    pub events: EventSender,
    /// Resolves to the error that ended the reader thread. Without a reader its sender is gone from the start.
    pub reader_failed: oneshot::Receiver<io::Error>,
    /// Counters of the reader.
    pub counters: Arc<ReadCounters>,
    /// The watched filesystems and trees, in one line.
    pub summary: String,
    /// Every filesystem in scope at the start. Empty without fanotify.
    pub guards: Vec<Guard>,
    /// Why there is no fanotify, where it is wanted.
    pub refused: Option<String>,
    /// The sources of evidence about writers.
    pub evidence: Arc<RecordSources>,
    /// The reader thread; `None` without fanotify, and once it was stopped.
    pub reader: Option<Arc<Heartbeat>>,
    /// The inotify threads; `None` where nothing is left for them, and once they were stopped.
    pub inotify: Option<Inotify>,
    settings: Settings,
    filter: SharedFilter,
    /// Progress of the reader and of inotify at the last check.
    progress: [Option<u64>; 2],
}

impl Sources {
    /// Places every mark and watch, then starts reading. Logs filesystems that are not watched, or without writers.
    ///
    /// # Errors
    /// The settings cannot be met.
    pub fn start(settings: &Settings, filter: &SharedFilter) -> io::Result<Self> {
        let (events, inputs) = channel();
        let counters = Arc::new(ReadCounters::default());
        privileges::raise(Role::Reader)?;
        let plan = WatchPlan::set_up(settings)?;
        log_plan(settings, &plan);
        let refused = plan.fanotify.as_ref().err().and_then(Option::as_ref).map(ToString::to_string);
        let (failed, reader_failed) = oneshot::channel();
        let mut evidence = Arc::new(RecordSources::default());
        let mut reader = None;
        if let Ok(fanotify) = plan.fanotify {
            let (resolver, sources) = evidence::open(&fanotify, &plan.guards);
            log_evidence(&fanotify, &sources);
            evidence = sources;
            let thread = Reader::new(fanotify, resolver, filter.clone(), events.clone(), counters.clone())?;
            reader = Some(thread.spawn(failed)?);
        }
        // The reader thread has its privileges now; every later thread gets no more than this one keeps.
        privileges::drop_to(Role::Files);
        let inotify = if plan.trees.is_empty() {
            None
        } else {
            Some(inotify_feed::start(settings, plan.trees, filter, &events)?)
        };
        let summary = summary(&plan.guards, inotify.as_ref());
        if summary.is_empty() {
            return Err(io::Error::other("nothing can be watched: every filesystem and tree was refused"));
        }
        Ok(Self {
            inputs,
            events,
            reader_failed,
            counters,
            summary,
            guards: plan.guards,
            refused,
            evidence,
            reader,
            inotify,
            settings: settings.clone(),
            filter: filter.clone(),
            progress: [None; 2],
        })
    }

    /// A report for each tree that inotify watches.
    pub fn watched_trees(&self) -> Vec<TreeReport> {
        self.inotify.as_ref().map(Inotify::report).unwrap_or_default()
    }

    /// Each deficiency of the watch in a few words; empty if there is none.
    pub fn degraded(&self) -> Vec<String> {
        let in_trees = self.guards.iter().filter(|guard| self.holds_watch_trees(guard));
        let unmarked = in_trees.filter_map(|guard| match guard.by {
            Guarded::Fanotify | Guarded::ThroughUpper(_) => None,
            Guarded::Inotify(_) | Guarded::Refused(_) => {
                Some(format!("{} refuses fanotify", guard.mount_point().display()))
            }
            Guarded::Remote => Some(format!("{} is not watched", guard.mount_point().display())),
        });
        let evidence = self.evidence.all();
        let missing = evidence.iter().filter(|source| source.missing().is_some());
        let missing = missing.map(|source| format!("no {}", source.name));
        let without = self.reader.is_none().then(|| "no fanotify, so no writers".to_owned());
        without.into_iter().chain(unmarked).chain(missing).collect()
    }

    /// Whether every thread that watches has made progress since the last call; then wakes them for the next one. A
    /// thread that hangs in a system call, or is gone, makes none.
    pub fn all_threads_progressed(&mut self) -> bool {
        let now = [self.reader.as_ref().map(|reader| reader.progress()), self.inotify.as_ref().map(Inotify::progress)];
        let before = std::mem::replace(&mut self.progress, now);
        self.reader.iter().for_each(|reader| reader.wake());
        self.inotify.iter().for_each(Inotify::wake);
        // A thread started since the last call was not woken yet.
        now.iter().zip(before).all(|(&now, before)| now.is_none() || now != before)
    }

    /// Starts inotify on a new mount that refused fanotify, where a configured tree lies on it. Returns the guard that
    /// the filesystem has then.
    pub fn handle_new_mount(&mut self, guard: Guard) -> Guard {
        match self.watch_with_inotify(&guard) {
            Ok(true) => guard.with_inotify(),
            Ok(false) => guard,
            Err(error) => {
                log::error!("inotify cannot be started for {}: {error}", guard.mount_point().display());
                guard
            }
        }
    }

    /// Whether a tree that can hold Python is on the filesystem, or the filesystem is below one.
    pub fn holds_watch_trees(&self, guard: &Guard) -> bool {
        watch_plan::holds_watch_trees(&self.settings, &guard.mount_points)
    }

    fn watch_with_inotify(&mut self, guard: &Guard) -> io::Result<bool> {
        let trees = watch_plan::inotify_fallback_roots(&self.settings, guard)?;
        let is_watched = !trees.is_empty();
        match &self.inotify {
            Some(inotify) => trees.into_iter().for_each(|tree| inotify.watch(tree)),
            None if is_watched => {
                self.inotify = Some(inotify_feed::start(&self.settings, trees, &self.filter, &self.events)?);
            }
            None => {}
        }
        Ok(is_watched)
    }
}

/// Logs how a filesystem is watched, where no mark watches it: a warning where Python can live.
pub fn log_guard(guard: &Guard, holds_watch_trees: bool) {
    let status = guard.status();
    if status.mechanism == Mechanism::Fanotify {
        return;
    }
    let advice = match guard.by {
        Guarded::Refused(_) => "; name it in `trees` to watch it with inotify",
        _ => "",
    };
    let level = if holds_watch_trees { log::Level::Warn } else { log::Level::Info };
    log::log!(level, "{} ({}) is {status}{advice}", guard.mount_point().display(), guard.fs_type);
}

fn log_plan(settings: &Settings, plan: &WatchPlan) {
    match &plan.fanotify {
        Err(Some(error)) => {
            log::warn!("fanotify is refused here ({error}): watching with inotify instead; alerts name no writer");
        }
        Err(None) => {}
        Ok(_) => privileges::missing().iter().for_each(|missing| log::warn!("{missing}")),
    }
    for guard in &plan.guards {
        log_guard(guard, watch_plan::holds_watch_trees(settings, &guard.mount_points));
    }
}

fn log_evidence(fanotify: &FanotifyReader, sources: &RecordSources) {
    if !fanotify.has_pidfd() {
        log::warn!("this kernel adds no pidfds to file events: no writer can be confirmed");
    }
    for missing in sources.all().iter().filter_map(RecordSource::missing) {
        log::warn!("no {missing}; more writers that have ended will stay unknown");
    }
}

/// The watched filesystems and trees for the ready message; empty if there are none.
fn summary(guards: &[Guard], inotify: Option<&Inotify>) -> String {
    let marked: Vec<String> = guards
        .iter()
        .filter(|guard| guard.is_marked())
        .map(|guard| guard.mount_point().display().to_string())
        .collect();
    let overlays = guards.iter().filter(|guard| matches!(guard.by, Guarded::ThroughUpper(_))).count();
    let watched: usize = inotify.iter().flat_map(|inotify| inotify.report()).map(|tree| tree.watched).sum();
    let mut parts = Vec::new();
    if !marked.is_empty() {
        parts.push(format!("fanotify on {} filesystems ({})", marked.len(), marked.join(", ")));
    }
    if overlays > 0 {
        parts.push(format!("{overlays} overlays through their upper directories"));
    }
    if watched > 0 {
        parts.push(format!("inotify on {watched} directories"));
    }
    parts.join(", ")
}
