//! Names the writer of each change. Takes a snapshot of the process at once, and decides when the records of that time
//! have been read.

use super::clock::now;
use super::collector::Collector;
use super::decision::Attribution;
use super::identity;
use super::pending_write::PendingWrite;
use super::process;
use super::process_record::{ProcessKey, ProcessRecord};
use super::program::{LocatedProgram, ProgramLocator};
use super::program_history::ProgramHistory;
use super::records::RecordSources;
use super::snapshot::ProcSnapshot;
use crate::event::{Doubt, Evidence, Executable, HandleName, LossReport, Process, Writer};
use crate::handles::HandleTable;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Wait for an exec that is under way, if a writer cannot be named without it.
const EXEC_WAIT: Duration = Duration::from_millis(1);
/// Most exec records that wait for the forks of their time.
const MAX_UNASSIGNED: usize = 8192;

/// The result of [`WriterResolver::collect`].
#[derive(Debug)]
pub struct Collected {
    /// There were records, or more are due.
    pub any: bool,
    /// Records that the kernel has dropped.
    pub losses: Vec<LossReport>,
}

/// The result of [`WriterResolver::resolve`].
#[derive(Debug, Default)]
pub struct Resolution {
    /// One for each write, in the order of the queue.
    pub writers: Vec<Arc<Writer>>,
    /// Records about processes that the kernel has dropped.
    pub losses: Vec<LossReport>,
}

/// See the module. Lives on the thread that reads the queue of writes.
pub struct WriterResolver {
    collector: Collector,
    /// Rises with every event of interest, in the order of the queue.
    sequence: u64,
    /// Start of the last read of the queue.
    read_at: u64,
    /// The queue was empty then: events read from it later are later.
    empty_at: u64,
    empty_sequence: u64,
    /// Snapshots of this read, by pid.
    snapshots: Vec<(u32, Arc<ProcSnapshot>)>,
    /// The last read took all events, so every program that a writer has started since its write is known.
    queue_is_empty: bool,
    starts: u64,
    pending: Vec<PendingWrite>,
}

impl WriterResolver {
    /// Opens the queues of records that are available here, and returns which these are. Exec records come in the
    /// queue of the writes, so its marks must be placed before.
    pub fn open() -> (Self, Arc<RecordSources>) {
        let (collector, sources) = Collector::open();
        let resolver = Self {
            collector,
            sequence: 0,
            read_at: now(),
            empty_at: now(),
            empty_sequence: 0,
            snapshots: Vec::new(),
            queue_is_empty: false,
            starts: 0,
            pending: Vec::new(),
        };
        (resolver, sources)
    }

    /// Readable when records about processes wait in the kernel.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.collector.descriptors()
    }

    /// Whether so many exec records have come that the other records should be read.
    pub fn is_behind(&self) -> bool {
        self.collector.table.unassigned() >= MAX_UNASSIGNED
    }

    /// A read of the queue begins. Snapshots of the last one no longer count.
    pub fn begin_read(&mut self) {
        self.snapshots.clear();
        self.read_at = now();
    }

    /// The kernel's queue has lost events, and exec records with them.
    pub fn observe_overflow(&mut self) {
        self.collector.note_lost_starts();
    }

    /// A process begins to start a program.
    pub fn observe_start(&mut self, pid: u32, program: HandleName) {
        self.sequence += 1;
        self.starts += 1;
        if !self.collector.counts_execs() && self.is_behind() {
            // Without forks they are assigned only when the queue is empty.
            self.collector.table.discard_unassigned();
            self.collector.note_lost_starts();
        }
        self.collector.table.add_start(pid, self.sequence, self.empty_at, program);
    }

    /// A process has written: takes a snapshot of it at once. [`WriterResolver::resolve`] returns the writers in the
    /// order of these calls.
    ///
    /// If the process held its pid, one snapshot serves all its writes in a read. It held the pid since the first of
    /// them, and all of them came before the snapshot.
    pub fn observe_write(&mut self, pid: u32, pidfd: Option<&OwnedFd>) {
        self.sequence += 1;
        let known = self.snapshots.iter().find(|(known, _)| *known == pid).map(|(_, snapshot)| snapshot.clone());
        let snapshot = known.unwrap_or_else(|| {
            let snapshot = Arc::new(ProcSnapshot::take(pid, pidfd));
            if snapshot.held_pid {
                self.snapshots.push((pid, snapshot.clone()));
            }
            snapshot
        });
        self.pending.push(PendingWrite {
            pid,
            sequence: self.sequence,
            since: self.empty_at,
            since_sequence: self.empty_sequence,
            starts: self.starts,
            snapshot,
        });
    }

    /// Reads the records about processes that wait in the kernel, which keeps only so many.
    pub fn collect(&mut self, handles: &HandleTable) -> Collected {
        let mut losses = Vec::new();
        let any = self.collector.collect(&mut ProgramLocator::new(handles), &mut losses);
        Collected { any, losses }
    }

    /// The writers of all writes since the last call. `queue_is_empty`: the last read took all events, so every program
    /// that a writer has started since its write is known.
    pub fn resolve(&mut self, handles: &HandleTable, queue_is_empty: bool) -> Resolution {
        let writes = std::mem::take(&mut self.pending);
        let mut resolution = Resolution::default();
        if !writes.is_empty() {
            self.queue_is_empty = queue_is_empty;
            self.resolve_writes(&writes, &mut ProgramLocator::new(handles), &mut resolution);
        }
        if queue_is_empty {
            self.queue_was_empty();
        }
        resolution
    }

    /// Every later event happens after the last read began.
    fn queue_was_empty(&mut self) {
        self.empty_at = self.read_at;
        self.empty_sequence = self.sequence;
        if !self.collector.counts_execs() {
            // Without forks the records cannot be assigned once the pid is used again.
            self.collector.table.discard_unassigned();
        }
    }

    fn resolve_writes(
        &mut self,
        writes: &[PendingWrite],
        locator: &mut ProgramLocator<'_>,
        resolution: &mut Resolution,
    ) {
        self.collector.collect(locator, &mut resolution.losses);
        let mut previous: Option<(&PendingWrite, Arc<Writer>)> = None;
        for write in writes {
            let writer = match previous {
                Some((other, writer)) if other.has_writer_of(write) => writer,
                _ => Arc::new(self.resolve_write(write, locator)),
            };
            resolution.writers.push(writer.clone());
            previous = Some((write, writer));
        }
        let writers = &mut resolution.writers;
        if writes.iter().zip(writers.iter()).any(|(write, writer)| may_be_starting(write, writer)) {
            // The kernel reports an exec a moment after the executable has changed.
            std::thread::sleep(EXEC_WAIT);
            self.collector.collect(locator, &mut resolution.losses);
            for (write, writer) in writes.iter().zip(writers) {
                if may_be_starting(write, writer) {
                    *writer = Arc::new(self.resolve_write(write, locator));
                }
            }
        }
    }

    fn resolve_write(&self, write: &PendingWrite, locator: &mut ProgramLocator<'_>) -> Writer {
        if write.pid == 0 {
            return write.snapshot.writer.clone();
        }
        let table = &self.collector.table;
        let candidates = if write.snapshot.held_pid {
            table.process_at(write.pid, write.snapshot.time).into_iter().collect()
        } else {
            table.candidates_for_pid(write.pid, write.since, write.snapshot.time)
        };
        let (process, attribution) = match candidates.as_slice() {
            [] => (None, self.attribute(write, None, locator)),
            [only] => {
                let process = table.get(*only);
                (process, self.attribute(write, process, locator))
            }
            several => (None, self.attribute_shared_pid(write, several, locator)),
        };
        self.writer(write, process, attribution, locator)
    }

    /// The program of one process at the time of the write.
    fn attribute(
        &self,
        write: &PendingWrite,
        process: Option<&ProcessRecord>,
        locator: &mut ProgramLocator<'_>,
    ) -> Attribution {
        let has_all_records = self.collector.has_all_since(write.since);
        let counts_execs = has_all_records && self.collector.counts_execs();
        let history = ProgramHistory::of(&self.collector.table, write, process, counts_execs, locator);
        let attribution = history.decide();
        let is_ambiguous = process.is_some_and(|process| process.ambiguous);
        let may_have_started_more = !history.counts_execs() && !self.queue_is_empty;
        let doubts = [
            (Doubt::OwnUserNamespace, history.may_be_chosen(attribution.evidence)),
            (Doubt::LostRecords, !has_all_records),
            (Doubt::Ambiguous, is_ambiguous || may_have_started_more),
        ];
        let doubts = doubts.into_iter().filter(|(_, applies)| *applies).map(|(doubt, _)| doubt);
        doubts.fold(attribution, Attribution::with_doubt)
    }

    /// The program of several processes that had the pid: known only if all ran the same one.
    fn attribute_shared_pid(
        &self,
        write: &PendingWrite,
        candidates: &[ProcessKey],
        locator: &mut ProgramLocator<'_>,
    ) -> Attribution {
        let process = |key: &ProcessKey| self.collector.table.get(*key);
        let mut all: Vec<_> = candidates.iter().map(|key| self.attribute(write, process(key), locator)).collect();
        match all.pop() {
            Some(latest) if all.iter().all(|other| other.path == latest.path && other.id == latest.id) => {
                latest.with_doubt(Doubt::SharedPid)
            }
            latest => {
                let mut candidates: Vec<_> =
                    latest.into_iter().chain(all).flat_map(Attribution::into_candidates).collect();
                candidates.truncate(Writer::MAX_CANDIDATES);
                Attribution::unknown(Doubt::SharedPid, candidates)
            }
        }
    }

    /// The writer with the established facts only.
    fn writer(
        &self,
        write: &PendingWrite,
        process: Option<&ProcessRecord>,
        attribution: Attribution,
        locator: &mut ProgramLocator<'_>,
    ) -> Writer {
        let snapshot = &write.snapshot;
        let mut writer = snapshot.writer.clone();
        let mut shown = writer.process.take().unwrap_or_else(|| Process { pid: write.pid, ..Process::default() });
        let started_since = process.is_some_and(|it| it.starts().any(|start| !start.is_before(write.sequence)));
        if attribution.evidence != Evidence::Proc {
            set_recorded_program(&mut shown, &attribution, started_since);
            shown.is_gone = !snapshot.held_pid;
        }
        if let Some(exit) = process.and_then(ProcessRecord::exit) {
            if shown.comm.is_empty() && !started_since {
                shown.comm = exit.comm.as_bytes().to_vec();
            }
            shown.user = shown.user.or_else(|| Some(exit.user()));
        }
        let mut script = None;
        if let Some(process) = process {
            let table = &self.collector.table;
            writer.parents = table.ancestors(process, std::mem::take(&mut writer.parents), locator);
            writer.living_ancestor = if snapshot.held_pid { None } else { table.living_ancestor(process) };
            script = recorded_script(process, write.sequence, shown.executable.as_ref(), locator);
        }
        let mut writer = Writer {
            evidence: attribution.evidence,
            corroborated_by: attribution.corroborated_by,
            confidence: attribution.confidence,
            candidates: attribution.candidates,
            process: Some(shown),
            ..writer
        };
        identity::identify(&mut writer, script.as_deref());
        writer
    }
}

/// Whether the writer's doubt may come from an exec that is under way.
fn may_be_starting(write: &PendingWrite, writer: &Writer) -> bool {
    write.snapshot.held_pid && matches!(writer.confidence.doubt(), Some(Doubt::ExecFailed | Doubt::Disagreement))
}

/// Replaces the program that `/proc` showed by the one that wrote. Where they differ, what exec changes is cleared.
fn set_recorded_program(shown: &mut Process, attribution: &Attribution, started_since: bool) {
    let was_read = shown.executable.as_ref().map(|executable| &executable.path);
    if started_since || was_read.is_some_and(|path| Some(path) != attribution.path.as_ref()) {
        shown.comm.clear();
        shown.arguments.clear();
        shown.arguments_truncated = false;
    }
    let deleted = attribution.is_replaced;
    shown.executable = attribution.path.clone().map(|path| Executable {
        is_host_file: !deleted && attribution.id.is_some_and(|id| process::is_host_file(&path, id)),
        deleted,
        path,
    });
    shown.executable_id = attribution.id;
}

/// The script that the kernel opened before the interpreter that is the writer.
fn recorded_script(
    process: &ProcessRecord,
    sequence: u64,
    executable: Option<&Executable>,
    locator: &mut ProgramLocator<'_>,
) -> Option<PathBuf> {
    let starts = process.starts().filter(|start| start.sequence < sequence);
    let programs: Vec<_> = starts.map(|start| locator.locate(&start.program)).collect();
    let (interpreter, before) = programs.split_last()?;
    // `#!/usr/bin/env python3`: env starts the interpreter.
    let is_env = |program: &LocatedProgram| program.path.as_deref().is_some_and(|path| path.ends_with("env"));
    let script = match before {
        [.., script, env] if is_env(env) => script,
        [.., script] => script,
        [] => return None,
    };
    let is_it = interpreter.path.is_some() && interpreter.path.as_deref() == executable.map(|exe| exe.path.as_path());
    script.path.clone().filter(|_| is_it && script.is_script && !interpreter.is_script)
}
