//! Starts the sources: the fanotify reader thread, and inotify for the trees it cannot watch.

use super::pipeline::Pipeline;
use super::placing;
use super::placing::Placed;
use crate::event::{FileEvent, FileRef, HandleName, Interest, Locate, LossCause, LossReport, Writer};
use crate::hook::tracked_paths::TrackedPaths;
use crate::privileges;
use crate::privileges::Role;
use crate::rules::filter::NameFilter;
use crate::source::fanotify::{Callbacks, Watcher, Witness};
use crate::source::heartbeat::Heartbeat;
use crate::source::inotify::{self, Inotify, TreeReport};
use crate::source::mounts;
use crate::source::{Counters, Guard, Guarded, Message, Settings};
use crate::writer;
use crate::writer::WriterResolver;
use crate::writer::{RecordSource, RecordSources};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{sleep, sleep_until};

/// Messages between the reader and the rest. Each may hold a descriptor of a directory.
const CHANNEL: usize = 4096;

/// Room for what the reader may hold (1,024 events) and the changes of one more read: 64 KiB are at most
/// some 1,000 records.
const ROOM: usize = 2048 + 64;

/// How often it is looked whether nothing is left to come, at the end.
const LOOK: Duration = Duration::from_millis(2);

/// The filter of the hot path: by name, and for common names by place. The names of the rules are replaced as a whole
/// when they are loaded again.
#[derive(Clone, Default)]
pub struct SharedFilter {
    names: Arc<RwLock<Arc<NameFilter>>>,
    tracked: Arc<TrackedPaths>,
}

impl SharedFilter {
    /// Puts the filter of these rules in place.
    pub fn replace(&self, filter: NameFilter) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(filter);
    }

    /// Whether any rule could want this name.
    pub fn interest(&self, name: &[u8]) -> Interest {
        match self.names.read().unwrap_or_else(PoisonError::into_inner).interest(name) {
            Interest::None if self.tracked.may_match(name) => Interest::InPlace,
            interest => interest,
        }
    }

    /// Whether any rule could want a file of this name with this path.
    pub fn wants(&self, path: &Path) -> bool {
        match self.interest(path.file_name().unwrap_or_default().as_encoded_bytes()) {
            Interest::None => false,
            Interest::InPlace => self.tracked.is_startup_file(path),
            Interest::Always => true,
        }
    }

    /// The paths that the hook stage found to lead to start-up code on this machine.
    pub fn tracked_paths(&self) -> &Arc<TrackedPaths> {
        &self.tracked
    }
}

/// The sending side of the channel: never waits, counts what it could not send.
#[derive(Clone)]
pub struct EventSender {
    /// For those who may wait.
    pub sender: Sender<Message>,
    lost: Arc<AtomicU64>,
    patient: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl EventSender {
    /// Sends, or counts a loss. At the end it waits for room instead: nothing else is left to read.
    pub fn emit(&self, message: Message) {
        let is_loss = !matches!(message, Message::EndOfRead);
        let sent = match self.patient.load(Ordering::Relaxed) {
            true => self.sender.blocking_send(message).is_ok(),
            false => self.sender.try_send(message).is_ok(),
        };
        if !sent && is_loss {
            self.lose(1);
        }
    }

    /// Counts changes that nobody will judge.
    pub fn lose(&self, changes: u64) {
        self.lost.fetch_add(changes, Ordering::Relaxed);
    }

    /// Whether the changes of one read of the kernel's queue find room.
    pub fn has_room(&self) -> bool {
        self.sender.capacity() >= ROOM
    }

    /// What was lost since the last call.
    pub fn take_lost(&self) -> Option<LossReport> {
        match self.lost.swap(0, Ordering::Relaxed) {
            0 => None,
            lost => Some(LossReport {
                cause: LossCause::ChannelFull,
                count: Some(lost),
                detail: "changes came faster than they could be judged".into(),
            }),
        }
    }
}

/// The writer stage, as the reader calls it.
struct Witnessing {
    attribution: WriterResolver,
    over: Arc<AtomicBool>,
    /// Writes that were not looked at, because they can only be counted any more.
    unseen: usize,
}

impl Witness for Witnessing {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.attribution.descriptors().collect()
    }

    fn begin_read(&mut self) {
        self.attribution.begin_read();
    }

    fn queue_was_empty(&mut self) {
        self.attribution.queue_was_empty();
    }

    fn started(&mut self, pid: u32, program: HandleName) {
        self.attribution.started(pid, program);
    }

    fn wrote(&mut self, pid: u32, pidfd: Option<&OwnedFd>) {
        // The end comes once and for all, so those that are not looked at come last.
        if self.over.load(Ordering::Relaxed) {
            self.unseen += 1;
        } else {
            self.attribution.wrote(pid, pidfd);
        }
    }

    fn collect(&mut self, locate: Locate<'_>, report: &mut dyn FnMut(LossReport)) -> bool {
        self.attribution.collect(locate, report)
    }

    fn lost_records(&mut self) {
        self.attribution.lost_records();
    }

    fn is_behind(&self) -> bool {
        self.attribution.is_behind()
    }

    fn judge(&mut self, emptied: bool, locate: Locate<'_>, report: &mut dyn FnMut(LossReport)) -> Vec<Arc<Writer>> {
        let mut writers = self.attribution.judge(emptied, locate, report);
        let nobody = Arc::new(Writer::unavailable());
        writers.extend(std::iter::repeat_n(nobody, std::mem::take(&mut self.unseen)));
        writers
    }
}

/// The running sources.
pub struct Sources {
    /// Where their messages arrive.
    pub messages: Receiver<Message>,
    /// The sending side, for who adds to it.
    pub handover: EventSender,
    /// Tells when the reader thread has ended although nobody stopped it, and why.
    pub ended: oneshot::Receiver<io::Error>,
    /// What the reader counts.
    pub counters: Arc<Counters>,
    /// One line for the ready message.
    pub summary: String,
    /// Every filesystem in scope at the start, and whether inotify watches trees on it. Empty without fanotify.
    pub guards: Vec<(Guard, bool)>,
    /// Why there is no fanotify, where it is wanted.
    pub refused: Option<String>,
    /// What there is to name writers by.
    pub evidence: Arc<RecordSources>,
    reader: Option<Arc<Heartbeat>>,
    inotify: Option<Inotify>,
    settings: Settings,
    filter: SharedFilter,
    /// How far the threads were when they were asked last.
    beats: [Option<u64>; 2],
}

impl Sources {
    /// Places every mark and watch, then starts reading. What is not covered, or covered without a
    /// writer, is said on standard error.
    ///
    /// # Errors
    /// When nothing at all can be watched the way the settings demand.
    pub fn start(settings: &Settings, filter: &SharedFilter) -> io::Result<Self> {
        let (sender, messages) = channel(CHANNEL);
        let handover = EventSender { sender, lost: Arc::default(), patient: Arc::default(), over: Arc::default() };
        let counters = Arc::new(Counters::default());
        let (trouble, ended) = oneshot::channel();
        privileges::raise(Role::Reader)?;
        let Placed { fanotify, guards, trees } = placing::place(settings, &counters)?;
        if let Err(Some(error)) = &fanotify {
            log::warn!("fanotify is refused here ({error}): watching with inotify instead; no writer can be named");
        }
        guards.iter().for_each(|(guard, by_inotify)| tell(guard, *by_inotify));
        let refused = fanotify.as_ref().err().and_then(Option::as_ref).map(ToString::to_string);
        let mut evidence = Arc::new(RecordSources::default());
        let reader = match fanotify {
            Err(_) => None,
            Ok(watcher) => {
                if !watcher.has_pidfd() {
                    log::warn!("this kernel gives no pidfds with file events: no writer can be verified");
                }
                privileges::missing().iter().for_each(|missing| log::warn!("{missing}"));
                let has_pidfd = watcher.has_pidfd();
                let (attribution, records) = WriterResolver::open();
                for missing in records.all().iter().filter_map(RecordSource::missing) {
                    log::warn!("no {missing}; more of the writers that are gone will stay unknown");
                }
                // In the order of the coverage's report.
                let is_marked = guards.iter().any(|(guard, _)| matches!(guard.by, Guarded::Fanotify));
                records.begin_with([RecordSource::pidfds(has_pidfd), RecordSource::starts(is_marked)]);
                records.add(writer::processes_of_others());
                let host_programs = writer::programs_of_the_host();
                host_programs.missing().iter().for_each(|missing| log::warn!("no {missing}"));
                records.add(host_programs);
                evidence = records;
                Some(start_reader(watcher, attribution, filter.clone(), handover.clone(), trouble)?)
            }
        };
        // The reader has its own now, and every thread from here on gets no more than this one keeps.
        privileges::drop_to(Role::Files);
        let inotify = if trees.is_empty() { None } else { Some(start_inotify(settings, trees, filter, &handover)?) };
        let summary = summary(&guards, inotify.as_ref());
        if summary.is_empty() {
            return Err(io::Error::other("nothing can be watched: every filesystem and tree was refused"));
        }
        Ok(Self {
            messages,
            handover,
            ended,
            counters,
            summary,
            guards,
            refused,
            evidence,
            reader,
            inotify,
            settings: settings.clone(),
            filter: filter.clone(),
            beats: [None; 2],
        })
    }

    /// What inotify watches, a report for each tree.
    pub fn watched_trees(&self) -> Vec<TreeReport> {
        self.inotify.as_ref().map(Inotify::report).unwrap_or_default()
    }

    /// What is not watched as well as it should be; empty when all is well.
    pub fn degraded(&self) -> Vec<String> {
        let holding = self.guards.iter().map(|(guard, _)| guard).filter(|guard| guard.holds_trees);
        let unmarked = holding.filter_map(|guard| match guard.by {
            Guarded::Fanotify | Guarded::ThroughUpper(_) => None,
            Guarded::Refused(_) => Some(format!("{} refuses fanotify", guard.place())),
            Guarded::Remote => Some(format!("{} is not watched", guard.place())),
        });
        let records = self.evidence.all();
        let missing = records.iter().filter(|source| source.missing().is_some());
        let missing = missing.map(|source| format!("no {}", source.name));
        let without = self.reader.is_none().then(|| "no fanotify, so no writers".to_owned());
        without.into_iter().chain(unmarked).chain(missing).collect()
    }

    /// Whether every thread that watches has answered, or got on with its work, since the last call; and asks them
    /// again. One that hangs in a system call, or is gone, does neither.
    pub fn have_answered(&mut self) -> bool {
        let beats = [self.reader.as_ref().map(|bell| bell.beats()), self.inotify.as_ref().map(Inotify::beats)];
        let before = std::mem::replace(&mut self.beats, beats);
        if let Some(bell) = &self.reader {
            bell.ring();
        }
        if let Some(inotify) = &self.inotify {
            inotify.ring();
        }
        // Who was not there at the last call was not asked.
        beats.iter().zip(before).all(|(&now, before)| now.is_none() || now != before)
    }

    /// What a message asks of the sources, before it is taken: a filesystem that appeared and refuses fanotify is
    /// watched with inotify from now on, where a tree that can hold Python lies on it.
    pub fn heed(&mut self, message: &mut Message) {
        let Message::Mounted { guard, by_inotify } = message else { return };
        match self.watch_with_inotify(guard) {
            Ok(is_watched) => *by_inotify = is_watched,
            Err(error) => log::error!("inotify cannot be had for {}: {error}", guard.place()),
        }
    }

    fn watch_with_inotify(&mut self, guard: &Guard) -> io::Result<bool> {
        let trees = placing::left_for_inotify(&self.settings, guard)?;
        let is_watched = !trees.is_empty();
        match &self.inotify {
            Some(inotify) => trees.into_iter().for_each(|tree| inotify.watch(tree)),
            None if is_watched => {
                self.inotify = Some(start_inotify(&self.settings, trees, &self.filter, &self.handover)?);
            }
            None => {}
        }
        Ok(is_watched)
    }

    /// Ends the sources. The reader drains the kernel's queue once more before it ends, and `pipeline`
    /// gets all that it finds, and what is in the renamed directories among it. What is not read by
    /// `reading` (somebody writes faster than it is judged) is counted as lost. The outputs deliver
    /// meanwhile.
    pub async fn stop(&mut self, pipeline: &mut Pipeline, reading: Instant) {
        // Nothing else is left to read, and something takes from the channel.
        self.handover.patient.store(true, Ordering::Relaxed);
        let mut running = self.reader.is_some() && !self.ended.is_terminated();
        if let Some(stop) = self.reader.take() {
            stop.stop();
        }
        let (done, mut stopped) = oneshot::channel::<()>();
        let mut watching = self.inotify.is_some();
        if let Some(inotify) = self.inotify.take() {
            // Not here: its thread may be within a large directory. Without a thread it is stopped at once.
            let _ = std::thread::Builder::new().spawn(move || {
                inotify.stop();
                drop(done);
            });
        }
        loop {
            tokio::select! {
                biased;
                () = sleep_until(reading.into()) => break,
                // What they found is in the channel when they have ended.
                end = &mut self.ended, if running => {
                    running = false;
                    if let Ok(error) = end {
                        log::error!("the last changes could not be read: {error}");
                    }
                }
                _ = &mut stopped, if watching => watching = false,
                message = self.messages.recv() => match message {
                    Some(message) => {
                        pipeline.take(message);
                        tokio::task::yield_now().await;
                    }
                    None => break,
                },
                () = sleep(LOOK), if !running && !watching => {
                    // In this order: what a listing found is in the channel before it is finished.
                    if pipeline.unlisted() == 0 && self.messages.is_empty() {
                        break;
                    }
                }
            }
        }
        self.handover.over.store(true, Ordering::Relaxed);
        self.handover.patient.store(false, Ordering::Relaxed);
        // Whoever still sends fails now, and counts it.
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            pipeline.take(message);
            tokio::task::yield_now().await;
        }
        if running || watching {
            pipeline.take(Message::LossReport(LossReport {
                cause: LossCause::ChannelFull,
                count: None,
                detail: "the end came before all changes were read: they came faster".into(),
            }));
        }
    }
}

/// What is watched and how, for the ready message; empty when nothing is.
fn summary(guards: &[(Guard, bool)], inotify: Option<&Inotify>) -> String {
    let guards = guards.iter().map(|(guard, _)| guard);
    let by_fanotify = guards.clone().filter(|guard| matches!(guard.by, Guarded::Fanotify));
    let marked: Vec<String> = by_fanotify.map(|guard| guard.place().to_string()).collect();
    let overlays = guards.filter(|guard| matches!(guard.by, Guarded::ThroughUpper(_))).count();
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

fn start_reader(
    watcher: Watcher,
    attribution: WriterResolver,
    filter: SharedFilter,
    handover: EventSender,
    trouble: oneshot::Sender<io::Error>,
) -> io::Result<Arc<Heartbeat>> {
    let bell = Arc::new(Heartbeat::new()?);
    let readers = bell.clone();
    std::thread::Builder::new().name("pyhookwatch-fan".into()).spawn(move || {
        let mut callbacks = Callbacks {
            interest: &|name| filter.interest(name),
            belongs: &|path| filter.tracked_paths().is_startup_file(path),
            witness: &mut Witnessing { attribution, over: handover.over.clone(), unseen: 0 },
            has_room: &|| handover.has_room(),
            emit: &mut |message| handover.emit(message),
        };
        if let Err(error) = watcher.run(&readers, &mut callbacks) {
            // The receiver is gone only when the daemon is ending anyway.
            let _ = trouble.send(error);
        }
    })?;
    Ok(bell)
}

fn start_inotify(
    settings: &Settings,
    trees: Vec<PathBuf>,
    filter: &SharedFilter,
    handover: &EventSender,
) -> io::Result<Inotify> {
    let (by_name, filter, handover, root) = (filter.clone(), filter.clone(), handover.clone(), settings.root.clone());
    let inotify = inotify::spawn(
        trees,
        Arc::new(move |name: &[u8]| by_name.interest(name) != Interest::None),
        Box::new(move |message| match message {
            Message::Event(event) => {
                if let Some(event) = seen_from(&root, event).filter(|event| filter.wants(&event.file.path)) {
                    handover.emit(Message::Event(event));
                    handover.emit(Message::EndOfRead);
                }
            }
            other => handover.emit(other),
        }),
    )?;
    for tree in inotify.report() {
        if tree.watched > 0 {
            log::warn!(
                "{} is watched with inotify ({} directories): no writer can be named there",
                tree.root.display(),
                tree.watched
            );
        }
        // A missing tree is not worth a word: it is watched once it appears.
        if tree.root.exists()
            && let Some((path, reason)) = tree.examples.first()
        {
            log::warn!(
                "{} directories of {} are NOT watched, one is {}: {reason}",
                tree.failed,
                tree.root.display(),
                path.display()
            );
        }
    }
    Ok(inotify)
}

/// The event with its path below the root, and its directory opened, so that the content is read
/// from where it was seen.
fn seen_from(root: &Path, mut event: FileEvent) -> Option<FileEvent> {
    let parent = event.file.path.parent()?;
    let directory = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
    let path = mounts::below_root(&event.file.path, root)?;
    event.previous_path = event.previous_path.map(|path| mounts::below_root(&path, root).unwrap_or(path));
    event.file = FileRef { path, directory: directory.map(|fd: OwnedFd| Arc::new(fd)).or(event.file.directory) };
    Some(event)
}

/// Says how a filesystem is guarded, where that is not as it should be: a warning where Python can
/// live.
pub fn tell(guard: &Guard, by_inotify: bool) {
    let place = format!("{} ({})", guard.place(), guard.fs_type);
    let said = match &guard.by {
        Guarded::Fanotify | Guarded::ThroughUpper(_) => return,
        Guarded::Remote => format!("{place} is a network filesystem or one served by a process: NOT watched"),
        Guarded::Refused(reason) if by_inotify => {
            format!("{place} refuses fanotify ({reason}): watched with inotify instead; no writer can be named there")
        }
        Guarded::Refused(reason) => {
            format!(
                "{place} refuses fanotify ({reason}) and is NOT watched; name it in `trees` to watch it with inotify"
            )
        }
    };
    if guard.holds_trees {
        log::warn!("{said}");
    } else {
        log::info!("{said}");
    }
}
