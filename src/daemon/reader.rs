//! The reader thread: each event from the kernel's queue to the daemon's channel.
//!
//! The thread drops records by name if no rule can match them. For the others it reads the writer from `/proc` at once.
//! Once the queue is empty it sends the events with their writers. It never waits for another thread.

use super::channel::EventSender;
use super::pending_batch::PendingBatch;
use super::shared_filter::SharedFilter;
use super::throttle::{BackpressureTimer, IdleBackoff};
use crate::escape;
use crate::event::{FileEvent, FileRef, HandleNameRef, HookPath, Interest, LossCause, LossReport, Seen};
use crate::handles::Located;
use crate::source::Message;
use crate::source::fanotify::FanotifyReader;
use crate::source::fanotify::mark_set::MountChanges;
use crate::source::fanotify::reader::{READ_SIZE, Ready};
use crate::source::fanotify::record::{self, Record};
use crate::source::heartbeat::Heartbeat;
use crate::sys;
use crate::writer::WriterResolver;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The reader gives up after more failed reads than this within [`REOPEN_WINDOW`].
const MAX_REOPENS: usize = 5;
const REOPEN_WINDOW: Duration = Duration::from_secs(60);

/// Delay before records about processes are collected. Collecting each at once costs ten times as much. With a longer
/// delay a flood of processes could fill the kernel's buffers.
const COLLECT_EVERY: Duration = Duration::from_millis(250);

/// How long after a program start the queue is read once more. If it is empty then, the program that runs by then is
/// the writer of what comes later. An exec takes about a millisecond.
const AFTER_START: Duration = Duration::from_millis(5);

/// The largest record: two names, two handles.
const MAX_RECORD: usize = 4096;

/// What the reader counts. Never reset.
#[derive(Debug, Default)]
pub struct ReadCounters {
    /// Events read from the kernel.
    pub records: AtomicU64,
    /// Events whose directory was gone before it could be located.
    pub unresolved: AtomicU64,
}

/// The state of the reader thread.
pub struct Reader {
    fanotify: FanotifyReader,
    resolver: WriterResolver,
    filter: SharedFilter,
    events: EventSender,
    heartbeat: Arc<Heartbeat>,
    counters: Arc<ReadCounters>,
    pending: PendingBatch,
    backpressure: BackpressureTimer,
    /// Writes that a rule may want, since the start.
    writes: u64,
    /// The last drain contained program starts.
    saw_start: bool,
    own_pid: u32,
}

impl Reader {
    /// Reads from this group.
    ///
    /// # Errors
    /// When there can be no heartbeat (descriptors are short).
    pub fn new(
        fanotify: FanotifyReader,
        resolver: WriterResolver,
        filter: SharedFilter,
        events: EventSender,
        counters: Arc<ReadCounters>,
    ) -> io::Result<Self> {
        Ok(Self {
            fanotify,
            resolver,
            filter,
            events,
            heartbeat: Arc::new(Heartbeat::new()?),
            counters,
            pending: PendingBatch::default(),
            backpressure: BackpressureTimer::default(),
            writes: 0,
            saw_start: false,
            own_pid: std::process::id(),
        })
    }

    /// Starts the thread. `failed` gets the error that ended it, if it was not stopped through the heartbeat.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn spawn(self, failed: oneshot::Sender<io::Error>) -> io::Result<Arc<Heartbeat>> {
        let heartbeat = self.heartbeat.clone();
        std::thread::Builder::new().name("phw-fanotify".into()).spawn(move || {
            if let Err(error) = self.run() {
                // The receiver is gone only when the daemon is stopping.
                let _ = failed.send(error);
            }
        })?;
        Ok(heartbeat)
    }

    /// Reads until the heartbeat stops it, then drains the queue once more.
    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_SIZE];
        let mut reopens: Vec<Instant> = Vec::new();
        let mut collected: Option<Instant> = None;
        let mut backoff = IdleBackoff::default();
        loop {
            let ready = self.wait(collected)?;
            let stopping = ready.heartbeat && self.heartbeat.ack();
            if ready.queue || stopping {
                match self.drain(&mut buffer, stopping) {
                    Ok(found_writes) if found_writes || stopping => {}
                    Ok(_) => std::thread::sleep(backoff.after_noise(Instant::now())),
                    Err(error) => {
                        reopens.retain(|time| time.elapsed() < REOPEN_WINDOW);
                        if reopens.len() >= MAX_REOPENS {
                            return Err(error);
                        }
                        reopens.push(Instant::now());
                        self.reopen(&error)?;
                    }
                }
            }
            if stopping {
                return Ok(());
            }
            if ready.process_records {
                // After COLLECT_EVERY without a record, the next record wakes the thread.
                collected = self.collect().then(Instant::now);
            }
            if ready.mounts {
                let changes = self.fanotify.update_marks()?;
                self.send_mount_changes(changes);
            }
        }
    }

    /// Waits for the queue, the mount table, the heartbeat and records about processes. `collected`: such records came
    /// at the last collection, so the next one is due after [`COLLECT_EVERY`].
    fn wait(&self, collected: Option<Instant>) -> io::Result<Ready> {
        let due_in = collected.map(|collected| COLLECT_EVERY.saturating_sub(collected.elapsed()));
        let after_start = self.saw_start.then_some(AFTER_START);
        let timeout = due_in.into_iter().chain(after_start).min();
        let descriptors = self.resolver.descriptors().filter(|_| due_in.is_none());
        let ready = self.fanotify.wait(&self.heartbeat, descriptors, timeout)?;
        Ok(Ready {
            queue: ready.queue || self.saw_start,
            process_records: ready.process_records || due_in.is_some_and(|due_in| due_in.is_zero()),
            ..ready
        })
    }

    /// Reads until the queue is empty or the channel has no room, and sends the events. Returns whether a rule may
    /// want any of it.
    fn drain(&mut self, buffer: &mut [u8], stopping: bool) -> io::Result<bool> {
        let before = self.writes;
        self.saw_start = false;
        let result = self.read_all(buffer, stopping);
        self.send_batch(matches!(result, Ok(true)));
        self.fanotify.refresh_watched_directories();
        let found_writes = self.writes > before;
        if found_writes {
            self.events.send(Message::EndOfRead);
        }
        result.map(|_| found_writes)
    }

    /// Returns whether the queue was empty after the last writer was observed.
    fn read_all(&mut self, buffer: &mut [u8], stopping: bool) -> io::Result<bool> {
        // During the shutdown the channel has no reader that could make room.
        while stopping || self.backpressure.may_read(self.events.has_room(), Instant::now()) {
            // A flood that keeps the reader busy must not look like a hang.
            self.heartbeat.advance();
            self.resolver.begin_read();
            let Some(bytes) = self.fanotify.read(buffer)? else { return Ok(true) };
            let (length, before) = (bytes.len(), self.writes);
            self.read_records(bytes)?;
            if self.pending.is_full() {
                self.send_batch(false);
            }
            if self.resolver.is_behind() {
                self.collect();
            }
            // A read that left room for the largest record took everything. After a write another read is needed: the
            // writer may have started another program before its snapshot.
            if length + MAX_RECORD <= READ_SIZE && self.writes == before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Handles the records of one read.
    fn read_records(&mut self, bytes: &[u8]) -> io::Result<()> {
        let seen = Seen::now();
        let mut count = 0;
        for record in record::records(bytes) {
            let record = record.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            // Taken before any decision, because nothing else closes the pidfd.
            let pidfd = record.pidfd.and_then(sys::adopt_pidfd);
            self.record(&record, pidfd.as_ref(), seen);
            count += 1;
        }
        self.counters.records.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Handles one record: filters, observes the writer, locates.
    fn record(&mut self, record: &Record<'_>, pidfd: Option<&OwnedFd>, seen: Seen) {
        if record.is_overflow() {
            self.resolver.observe_overflow();
            return self
                .report(LossCause::QueueOverflow, "the kernel's queue overflowed: changes may have gone unseen");
        }
        let Some(name) = record.name else { return };
        let pid = record.pid.unsigned_abs();
        if record.is_program_start() && pid != 0 {
            self.saw_start = true;
            self.resolver.observe_start(pid, name.to_owned());
        }
        let interest = self.interest(record, &name);
        if interest == Interest::None || pid == self.own_pid {
            return;
        }
        // Nearly all files of a common name are in other directories, and the directory costs far less than the writer.
        // With a rare name the writer comes first, before it can end.
        let mut located = None;
        if interest == Interest::InPlace {
            located = self.locate_hook(name);
            if located.is_none() {
                return;
            }
        }
        self.writes += 1;
        let write = self.pending.add_write();
        if !self.events.is_closed() {
            self.resolver.observe_write(pid, pidfd);
        }
        if interest == Interest::Always {
            located = self.locate(name).map(|found| (found, None));
        }
        if let Some((found, classification)) = located {
            self.add_event(write, record, found, classification, seen);
        }
    }

    /// Whether any rule may want the record, by its name or its directory's handle. Other directories are of interest
    /// only when they were renamed: then the files in them have new paths.
    fn interest(&mut self, record: &Record<'_>, name: &HandleNameRef<'_>) -> Interest {
        if record.is_directory() {
            self.fanotify.directory_changed(name.name);
            return if record.is_rename() { Interest::Always } else { Interest::None };
        }
        if record.action().is_none() {
            return Interest::None;
        }
        match self.filter.interest(name.name) {
            Interest::None if self.fanotify.is_in_watched_directory(name) => Interest::InPlace,
            interest => interest,
        }
    }

    /// The location of a common name, if it is that of a hook.
    fn locate_hook(&self, name: HandleNameRef<'_>) -> Option<(Located, Option<HookPath>)> {
        let found = self.locate(name)?;
        let accepted = self.filter.accept(Interest::InPlace, &found.path)?;
        Some((found, accepted.classification))
    }

    /// `None`: the directory is gone or outside the root, or the failure was reported as a loss.
    fn locate(&self, name: HandleNameRef<'_>) -> Option<Located> {
        match self.fanotify.locate(name) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.counters.unresolved.fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(error) => {
                let name = escape::reversible(name.name);
                let detail = format!("a change of {name} could not be located: {error}");
                self.events.send(Message::Loss(LossReport::counted(LossCause::Unreadable, 1, detail)));
                None
            }
        }
    }

    fn add_event(
        &mut self,
        write: usize,
        record: &Record<'_>,
        found: Located,
        classification: Option<HookPath>,
        seen: Seen,
    ) {
        let event = FileEvent {
            action: record.action().unwrap_or_default(),
            complete: record.is_complete(),
            is_directory: record.is_directory(),
            listed: false,
            file: FileRef { path: found.path, directory: Some(Arc::new(found.directory)) },
            classification,
            previous_path: record.old_name.and_then(|old| self.fanotify.locate_previous(old)),
            writer: self.pending.placeholder(),
            seen,
        };
        self.pending.add_event(write, event);
    }

    /// Resolves the writers of the pending writes, and sends the events.
    fn send_batch(&mut self, queue_is_empty: bool) {
        let resolution = self.resolver.resolve(self.fanotify.handles(), queue_is_empty);
        resolution.losses.into_iter().for_each(|loss| self.events.send(Message::Loss(loss)));
        for event in self.pending.drain(&resolution.writers) {
            self.events.send(Message::Event(event));
        }
    }

    /// Collects the records about processes. Returns whether more must be expected soon.
    fn collect(&mut self) -> bool {
        let collected = self.resolver.collect(self.fanotify.handles());
        collected.losses.into_iter().for_each(|loss| self.events.send(Message::Loss(loss)));
        collected.any
    }

    fn send_mount_changes(&self, changes: MountChanges) {
        for guard in changes.appeared {
            self.events.send(Message::FilesystemAppeared(guard));
        }
        for (path, is_local) in changes.covered {
            self.events.send(Message::PathCovered { path, is_local });
        }
    }

    /// Replaces a group whose queue cannot be read any more.
    fn reopen(&mut self, error: &io::Error) -> io::Result<()> {
        let mut changes = self.fanotify.reopen()?;
        changes.appeared.retain(|guard| !guard.has_writers());
        self.send_mount_changes(changes);
        self.resolver.observe_overflow();
        let detail = format!("reading the kernel's queue failed ({error}); the group was opened anew");
        self.report(LossCause::BadRecord, detail);
        Ok(())
    }

    fn report(&self, cause: LossCause, detail: impl Into<String>) {
        self.events.send(Message::Loss(LossReport::new(cause, detail)));
    }
}
