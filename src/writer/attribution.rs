//! Names the writer of each change: looks at the process at once, collects what the kernel's records
//! tell, and has [`super::judge`] decide when all records of that time have been read.

use super::clock::now;
use super::collector::Collector;
use super::decision::{Attribution, CurrentProgram, History};
use super::identity;
use super::process;
use super::process_record::{ProcessKey, ProcessRecord, Program, Start};
use super::program::{LocatedProgram, ProgramLocator};
use super::records::RecordSources;
use super::snapshot::ProcSnapshot;
use crate::event::{Candidate, Doubt, Evidence, Executable, FileId, HandleName, LossReport, Process, Writer};
use crate::handles::HandleTable;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An exec that is under way is waited for this long, if a writer cannot be named without it.
const EXEC: Duration = Duration::from_millis(1);
/// Exec records that wait for the forks of their time to be read.
const MAX_WAITING: usize = 8192;

/// See the module. Lives on the thread that reads the queue of writes.
pub struct WriterResolver {
    records: Collector,
    /// Rises with every record of interest, in the order of the queue.
    sequence: u64,
    /// The last read of the queue of writes began then.
    read_at: u64,
    /// The queue of writes was empty then: what is read from it later happened later.
    empty_at: u64,
    empty_sequence: u64,
    /// Processes looked at for the current read.
    looks: Vec<(u32, Arc<ProcSnapshot>)>,
    /// Whatever the writers being judged started since is known.
    emptied: bool,
    starts: u64,
    tickets: Vec<Ticket>,
}

/// What one collection of records about processes brought.
#[derive(Debug)]
pub struct Collected {
    /// There were records, or more are due.
    pub any: bool,
    /// Records that the kernel has dropped.
    pub losses: Vec<LossReport>,
}

/// The writers of the writes that were observed.
#[derive(Debug)]
pub struct Resolution {
    /// One for each write, in the order of the queue.
    pub writers: Vec<Arc<Writer>>,
    /// Records about processes that the kernel has dropped.
    pub losses: Vec<LossReport>,
}

/// A write whose writer is not resolved yet.
struct Ticket {
    pid: u32,
    sequence: u64,
    /// The write happened after this,
    since: u64,
    /// and so did the starts with higher numbers.
    since_sequence: u64,
    /// Programs that had been begun to be started by any process before it.
    starts: u64,
    look: Arc<ProcSnapshot>,
}

impl Ticket {
    /// Whether nothing lies between two writes that could make their writers differ.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.look, &other.look) && self.since == other.since && self.starts == other.starts
    }
}

impl WriterResolver {
    /// Opens the queues of records about processes that are to be had. The exec records come with the
    /// writes, so the marks must be placed before. Tells too which there are, and why others are missing.
    pub fn open() -> (Self, Arc<RecordSources>) {
        let (records, found) = Collector::open();
        let attribution = Self {
            records,
            sequence: 0,
            read_at: now(),
            empty_at: now(),
            empty_sequence: 0,
            looks: Vec::new(),
            emptied: false,
            starts: 0,
            tickets: Vec::new(),
        };
        (attribution, found)
    }

    /// Readable when records about processes wait to be collected.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.records.descriptors()
    }

    /// The read that was begun last took all there was, and the writers of all writes before it are resolved.
    fn queue_was_empty(&mut self) {
        self.empty_at = self.read_at;
        self.empty_sequence = self.sequence;
        if !self.records.counts_execs() {
            // Without forks nobody can tell whose they are after the pid was used again.
            self.records.ledger.discard_unassigned();
        }
    }

    /// The kernel's queue has lost events, and exec records with them.
    pub fn observe_overflow(&mut self) {
        self.records.lose();
    }

    /// So many exec records have come that the others should be read.
    pub fn is_behind(&self) -> bool {
        self.records.ledger.unassigned() >= MAX_WAITING
    }

    /// A read of the queue of writes begins. Processes looked at for the last one are looked at again.
    pub fn begin_read(&mut self) {
        self.looks.clear();
        self.read_at = now();
    }

    /// A process begins to start a program.
    pub fn observe_start(&mut self, pid: u32, program: HandleName) {
        self.sequence += 1;
        self.starts += 1;
        if !self.records.counts_execs() && self.is_behind() {
            // Nobody will put them to a process before the queue is empty.
            self.records.ledger.discard_unassigned();
            self.records.lose();
        }
        self.records.ledger.add_start(pid, self.sequence, self.empty_at, program);
    }

    /// A process has written: takes a snapshot of it at once. [`WriterResolver::resolve`] returns the writers in the order of these
    /// calls.
    ///
    /// One look stands for all writes of a pid in one read, if the process held its pid: then it held
    /// it from the first of them on, and all of them happened before.
    pub fn observe_write(&mut self, pid: u32, pidfd: Option<&OwnedFd>) {
        self.sequence += 1;
        let known = self.looks.iter().find(|(known, _)| *known == pid).map(|(_, look)| look.clone());
        let look = known.unwrap_or_else(|| {
            let look = Arc::new(ProcSnapshot::take(pid, pidfd));
            if look.held_pid {
                self.looks.push((pid, look.clone()));
            }
            look
        });
        self.tickets.push(Ticket {
            pid,
            sequence: self.sequence,
            since: self.empty_at,
            since_sequence: self.empty_sequence,
            starts: self.starts,
            look,
        });
    }

    /// Reads the records about processes that wait in the kernel, which keeps only so many.
    pub fn collect(&mut self, handles: &HandleTable) -> Collected {
        let mut losses = Vec::new();
        let any = self.records.collect(&mut ProgramLocator::new(handles), &mut |loss| losses.push(loss));
        Collected { any, losses }
    }

    /// The writers of all writes since the last call. `queue_is_empty`: the last read took all events, so every program
    /// that a writer has started since its write is known.
    pub fn resolve(&mut self, handles: &HandleTable, queue_is_empty: bool) -> Resolution {
        let mut losses = Vec::new();
        let writers = self.resolve_tickets(handles, queue_is_empty, &mut |loss| losses.push(loss));
        if queue_is_empty {
            self.queue_was_empty();
        }
        Resolution { writers, losses }
    }

    fn resolve_tickets(
        &mut self,
        handles: &HandleTable,
        queue_is_empty: bool,
        report: &mut dyn FnMut(LossReport),
    ) -> Vec<Arc<Writer>> {
        let tickets = std::mem::take(&mut self.tickets);
        if tickets.is_empty() {
            return Vec::new();
        }
        let mut resolver = ProgramLocator::new(handles);
        self.records.collect(&mut resolver, report);
        self.emptied = queue_is_empty;
        let mut writers: Vec<Arc<Writer>> = Vec::with_capacity(tickets.len());
        for (index, ticket) in tickets.iter().enumerate() {
            let same = index.checked_sub(1).filter(|&before| tickets.get(before).is_some_and(|it| it.is_like(ticket)));
            let writer = same.and_then(|before| writers.get(before).cloned());
            writers.push(writer.unwrap_or_else(|| Arc::new(self.decide(ticket, &mut resolver))));
        }
        let is_starting = |(ticket, writer): (&Ticket, &Arc<Writer>)| {
            ticket.look.held_pid && matches!(writer.confidence.doubt(), Some(Doubt::ExecFailed | Doubt::Disagreement))
        };
        if tickets.iter().zip(&writers).any(is_starting) {
            // An exec is told a moment after the executable has changed.
            std::thread::sleep(EXEC);
            self.records.collect(&mut resolver, report);
            for (ticket, writer) in tickets.iter().zip(&mut writers) {
                if is_starting((ticket, writer)) {
                    *writer = Arc::new(self.decide(ticket, &mut resolver));
                }
            }
        }
        writers
    }

    fn decide(&self, ticket: &Ticket, resolver: &mut ProgramLocator<'_>) -> Writer {
        if ticket.pid == 0 {
            return ticket.look.writer.clone();
        }
        let lives = match ticket.look.held_pid {
            true => self.records.ledger.process_at(ticket.pid, ticket.look.time).into_iter().collect(),
            false => self.records.ledger.candidates_for_pid(ticket.pid, ticket.since, ticket.look.time),
        };
        let mut answers: Vec<(Option<ProcessKey>, Attribution)> =
            lives.iter().map(|&id| (Some(id), self.name(ticket, self.records.ledger.get(id), resolver))).collect();
        if answers.is_empty() {
            answers.push((None, self.name(ticket, None, resolver)));
        }
        let (life, named) = answers.pop().unwrap_or_else(|| (None, self.name(ticket, None, resolver)));
        if answers.iter().all(|(_, other)| other.path == named.path && other.id == named.id) {
            let is_only = answers.is_empty();
            let named = if is_only { named } else { named.with_doubt(Doubt::SharedPid) };
            return self.writer(ticket, life.filter(|_| is_only), named, resolver);
        }
        let mut named = Attribution::unknown(Doubt::SharedPid, candidates_of(named));
        named.candidates.extend(answers.into_iter().flat_map(|(_, other)| candidates_of(other)));
        named.candidates.truncate(Writer::MAX_CANDIDATES);
        self.writer(ticket, None, named, resolver)
    }

    /// The program of one process at the time of the write.
    fn name(&self, ticket: &Ticket, life: Option<&ProcessRecord>, resolver: &mut ProgramLocator<'_>) -> Attribution {
        let look = &ticket.look;
        let counted = self.records.counts_execs()
            && life.is_some_and(|life| !life.ambiguous)
            && self.records.has_all_since(ticket.since);
        let exit = life.and_then(ProcessRecord::exit);
        let seen = look.writer.process.as_ref();
        let recorded =
            life.into_iter().flat_map(ProcessRecord::starts).chain(self.records.ledger.unassigned_of(ticket.pid));
        let last_id = seen.and_then(|process| process.executable_id).or(exit.and_then(|exit| exit.executable));
        let starts: Vec<(&Start, Arc<LocatedProgram>)> =
            recorded.map(|start| (start, started(&start.program, last_id, resolver))).collect();
        let (before, after): (Vec<_>, Vec<_>) = starts
            .iter()
            .filter(|(_, program)| !program.is_script)
            .partition(|(start, _)| start.is_before(ticket.sequence));
        let execs = life.filter(|_| counted).map(|life| life.execs.as_slice());
        // A process that ends between the two readings leaves a path without its file: its exit record
        // tells the file, if it ran no other program in between.
        let is_its_last = execs.is_some_and(|execs| execs.iter().all(|&time| time <= look.time));
        let path = seen.filter(|process| process.executable_id.is_some() || exit.is_none() || is_its_last);
        let path = path.and_then(|process| process.executable.as_ref()).map(|executable| executable.path.as_path());
        let by = if path.is_some() { Evidence::Proc } else { Evidence::ExitRecord };
        let last = (path.is_some() || exit.is_some_and(|exit| exit.executable.is_some())).then(|| CurrentProgram {
            evidence: by,
            path,
            id: last_id,
            may_be_unrecorded: path.is_some() && seen.is_some_and(may_be_unrecorded),
            since: life.and_then(ProcessRecord::current_since),
        });
        let inherited = life.filter(|_| counted).and_then(|life| self.records.ledger.inherited(life, resolver));
        let of_sibling = match last {
            Some(CurrentProgram { evidence: Evidence::ExitRecord, id: Some(id), .. })
                if starts.is_empty() && inherited.as_ref().is_some_and(|program| program.id != Some(id)) =>
            {
                life.and_then(|life| self.records.ledger.program_of_sibling(life, id, resolver))
            }
            _ => None,
        };
        let never_ran_exec = path.is_none() && exit.is_some_and(|exit| exit.never_ran_exec == Some(true));
        let named = History {
            current: last,
            inherited: inherited.as_deref(),
            may_have_inherited: last.is_none() && life.is_some_and(|life| self.records.ledger.may_have_inherited(life)),
            before: before.iter().map(|(_, program)| &**program).collect(),
            after: after.iter().map(|(_, program)| &**program).collect(),
            execs: execs.map(<[u64]>::len).or(never_ran_exec.then_some(0)),
            // Also those after the look: the executable changes a moment before the exec is told.
            is_quiet: execs.is_some_and(|execs| !execs.iter().any(|&time| time > ticket.since))
                && !starts.iter().any(|(start, _)| start.sequence > ticket.since_sequence),
            had_threads: life.is_some_and(ProcessRecord::had_threads),
            of_sibling: of_sibling.as_deref(),
        }
        .decide();
        let may_be_told_anything = match named.evidence {
            Evidence::ExitRecord => exit.is_some_and(|exit| exit.uid != 0),
            Evidence::Proc => seen.is_none_or(|process| process.in_host_users != Some(true)),
            _ => false,
        };
        let named = if may_be_told_anything { named.with_doubt(Doubt::OwnUserNamespace) } else { named };
        let named = if self.records.has_all_since(ticket.since) { named } else { named.with_doubt(Doubt::LostRecords) };
        match life.is_some_and(|life| life.ambiguous) || !counted && !self.emptied {
            true => named.with_doubt(Doubt::Ambiguous),
            false => named,
        }
    }

    /// The writer with what was established, and nothing of what was not.
    fn writer(
        &self,
        ticket: &Ticket,
        life: Option<ProcessKey>,
        named: Attribution,
        resolver: &mut ProgramLocator<'_>,
    ) -> Writer {
        let look = &ticket.look;
        let life = life.and_then(|id| self.records.ledger.get(id));
        let exit = life.and_then(ProcessRecord::exit);
        let mut writer = look.writer.clone();
        let mut process = writer.process.take().unwrap_or_else(|| Process { pid: ticket.pid, ..Process::default() });
        let started_since = life.is_some_and(|life| life.starts().any(|start| !start.is_before(ticket.sequence)));
        if named.evidence != Evidence::Proc {
            let was_read = process.executable.as_ref().map(|executable| &executable.path);
            if started_since || was_read.is_some_and(|path| Some(path) != named.path.as_ref()) {
                // Read as another program than the one that wrote: what exec changes is not the writer's.
                process.comm.clear();
                process.arguments.clear();
                process.arguments_truncated = false;
            }
            process.executable = named.path.map(|path| Executable {
                is_host_file: !named.is_replaced && named.id.is_some_and(|id| process::is_host_file(&path, id)),
                deleted: named.is_replaced,
                path,
            });
            process.executable_id = named.id;
            process.is_gone = !look.held_pid;
        }
        if let Some(exit) = exit {
            if process.comm.is_empty() && !started_since {
                process.comm = exit.comm.as_bytes().to_vec();
            }
            if process.user.is_none() {
                process.user = Some(exit.user());
            }
        }
        let mut script = None;
        if let Some(life) = life {
            let parents = std::mem::take(&mut writer.parents);
            writer.parents = self.records.ledger.ancestors(life, parents, resolver);
            writer.living_ancestor = if look.held_pid { None } else { self.records.ledger.living_ancestor(life) };
            script = recorded_script(life, ticket.sequence, process.executable.as_ref(), resolver);
        }
        let mut writer = Writer {
            evidence: named.evidence,
            corroborated_by: named.corroborated_by,
            confidence: named.confidence,
            candidates: named.candidates,
            process: Some(process),
            ..writer
        };
        identity::identify(&mut writer, script.as_deref());
        writer
    }
}

/// A program as it is found now; nothing of one of which only the loader left a record.
fn started(program: &Arc<Program>, last: Option<FileId>, resolver: &mut ProgramLocator<'_>) -> Arc<LocatedProgram> {
    let found = resolver.locate(program);
    match program.is_loader() && (last.is_none() || found.id != last) {
        true => Arc::default(),
        false => found,
    }
}

/// Whether what a process is shown as can be a program whose start left no record: not if it claims to be
/// a file of this host from within a user namespace of its own, where it can claim to be any.
fn may_be_unrecorded(process: &Process) -> bool {
    let is_host_file = process.executable.as_ref().is_some_and(|executable| executable.is_host_file);
    !(is_host_file && process.in_host_users == Some(false))
}

/// The script that the kernel opened before the interpreter that is the writer.
fn recorded_script(
    life: &ProcessRecord,
    sequence: u64,
    executable: Option<&Executable>,
    resolver: &mut ProgramLocator<'_>,
) -> Option<PathBuf> {
    let starts: Vec<_> = life.starts().filter(|start| start.sequence < sequence).collect();
    let programs: Vec<_> = starts.into_iter().map(|start| resolver.locate(&start.program)).collect();
    let (interpreter, before) = programs.split_last()?;
    // `#!/usr/bin/env python3`: env looks for the interpreter.
    let is_env = |program: &LocatedProgram| program.path.as_deref().is_some_and(|path| path.ends_with("env"));
    let script = match before {
        [.., script, env] if is_env(env) => script,
        [.., script] => script,
        [] => return None,
    };
    let is_it = interpreter.path.is_some() && interpreter.path.as_deref() == executable.map(|exe| exe.path.as_path());
    script.path.clone().filter(|_| is_it && script.is_script && !interpreter.is_script)
}

fn candidates_of(named: Attribution) -> Vec<Candidate> {
    match named.path.is_some() || named.id.is_some() {
        true => vec![Candidate { evidence: named.evidence, path: named.path, id: named.id }],
        false => named.candidates,
    }
}
