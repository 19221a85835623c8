//! Gathers the evidence about the programs of one process around one write.

use super::decision::{Attribution, CurrentProgram, History};
use super::pending_write::PendingWrite;
use super::process_record::{ProcessRecord, Program, Start};
use super::process_table::ProcessTable;
use super::program::{LocatedProgram, ProgramLocator};
use super::records::taskstats::Exit;
use crate::event::{Evidence, FileId, Process};
use std::sync::Arc;

/// The evidence about one process. Owns what [`History`] borrows.
pub struct ProgramHistory<'a> {
    write: &'a PendingWrite,
    process: Option<&'a ProcessRecord>,
    starts: Vec<(&'a Start, Arc<LocatedProgram>)>,
    /// Times of the completed execs; `None` when some may be missing.
    execs: Option<&'a [u64]>,
    current: Option<CurrentProgram<'a>>,
    inherited: Option<Arc<LocatedProgram>>,
    may_have_inherited: bool,
    of_sibling: Option<Arc<LocatedProgram>>,
}

impl<'a> ProgramHistory<'a> {
    /// Gathers it. `is_complete`: the table has every fork and exec since the write.
    pub fn of(
        table: &'a ProcessTable,
        write: &'a PendingWrite,
        process: Option<&'a ProcessRecord>,
        is_complete: bool,
        locator: &mut ProgramLocator<'_>,
    ) -> Self {
        let counted = process.filter(|process| is_complete && !process.ambiguous);
        let execs = counted.map(|process| process.execs.as_slice());
        let current_file = write.seen().and_then(|seen| seen.executable_id);
        let current_file = current_file.or(exit_of(process).and_then(|exit| exit.executable));
        let starts = process.into_iter().flat_map(ProcessRecord::starts).chain(table.unassigned_of(write.pid));
        let starts: Vec<_> = starts.map(|start| (start, started(&start.program, current_file, locator))).collect();
        let current = current_program(write, process, execs, current_file);
        let inherited = counted.and_then(|process| table.inherited(process, locator));
        let of_sibling = match current {
            Some(CurrentProgram { evidence: Evidence::ExitRecord, id: Some(id), .. })
                if starts.is_empty() && inherited.as_ref().is_some_and(|program| program.id != Some(id)) =>
            {
                process.and_then(|process| table.program_of_sibling(process, id, locator))
            }
            _ => None,
        };
        let may_have_inherited = current.is_none() && process.is_some_and(|process| table.may_have_inherited(process));
        Self { write, process, starts, execs, current, inherited, may_have_inherited, of_sibling }
    }

    /// Names the program that wrote.
    pub fn decide(&self) -> Attribution {
        let programs = self.starts.iter().filter(|(_, program)| !program.is_script);
        let (before, after): (Vec<_>, Vec<_>) = programs.partition(|(start, _)| start.is_before(self.write.sequence));
        History {
            current: self.current,
            inherited: self.inherited.as_deref(),
            may_have_inherited: self.may_have_inherited,
            before: before.iter().map(|(_, program)| &**program).collect(),
            after: after.iter().map(|(_, program)| &**program).collect(),
            execs: self.execs.map(<[u64]>::len).or(self.never_ran_exec().then_some(0)),
            is_quiet: self.is_quiet(),
            had_threads: self.process.is_some_and(ProcessRecord::had_threads),
            of_sibling: self.of_sibling.as_deref(),
        }
        .decide()
    }

    /// Whether all completed execs are known.
    pub fn counts_execs(&self) -> bool {
        self.execs.is_some()
    }

    /// Whether the process may have chosen the executable that this evidence shows, in its own user namespace. No
    /// record holds the namespace of an ended process, but root of this host needs none.
    pub fn may_be_chosen(&self, evidence: Evidence) -> bool {
        match evidence {
            Evidence::ExitRecord => exit_of(self.process).is_some_and(|exit| exit.uid != 0),
            Evidence::Proc => self.write.seen().is_none_or(|seen| seen.in_host_users != Some(true)),
            _ => false,
        }
    }

    /// Neither an exec nor a start came after the queue was known to be empty. Execs after the snapshot count too,
    /// because the executable changes a moment before the kernel reports the exec.
    fn is_quiet(&self) -> bool {
        let ran_exec = |execs: &[u64]| execs.iter().any(|&time| time > self.write.since);
        self.execs.is_some_and(|execs| !ran_exec(execs))
            && !self.starts.iter().any(|(start, _)| start.sequence > self.write.since_sequence)
    }

    /// The exit record counts no exec, and `/proc` shows no later program.
    fn never_ran_exec(&self) -> bool {
        let has_path = self.current.is_some_and(|current| current.path.is_some());
        !has_path && exit_of(self.process).is_some_and(|exit| exit.never_ran_exec == Some(true))
    }
}

fn exit_of(process: Option<&ProcessRecord>) -> Option<&Exit> {
    process.and_then(ProcessRecord::exit)
}

/// What the process ran when `/proc` was read, otherwise at its end.
fn current_program<'a>(
    write: &'a PendingWrite,
    process: Option<&ProcessRecord>,
    execs: Option<&[u64]>,
    id: Option<FileId>,
) -> Option<CurrentProgram<'a>> {
    let exit = exit_of(process);
    let seen = write.seen();
    // A process that ends between two reads leaves a path without its file. Its exit record holds the file, if no exec
    // came in between.
    let no_exec_since = execs.is_some_and(|execs| execs.iter().all(|&time| time <= write.snapshot.time));
    let path = seen.filter(|seen| seen.executable_id.is_some() || exit.is_none() || no_exec_since);
    let path = path.and_then(|seen| seen.executable.as_ref()).map(|executable| executable.path.as_path());
    let has_file = exit.is_some_and(|exit| exit.executable.is_some());
    (path.is_some() || has_file).then(|| CurrentProgram {
        evidence: if path.is_some() { Evidence::Proc } else { Evidence::ExitRecord },
        path,
        id,
        may_be_unrecorded: path.is_some() && seen.is_some_and(may_be_unrecorded),
        since: process.and_then(ProcessRecord::current_since),
    })
}

/// Whether the start of the shown program may have left no record. Not if the process shows a file of this host from
/// within its own user namespace, where it can choose any.
fn may_be_unrecorded(seen: &Process) -> bool {
    let is_host_file = seen.executable.as_ref().is_some_and(|executable| executable.is_host_file);
    !(is_host_file && seen.in_host_users == Some(false))
}

/// A started program as it is now. A loader without a program stands for a program without a record.
fn started(program: &Arc<Program>, current: Option<FileId>, locator: &mut ProgramLocator<'_>) -> Arc<LocatedProgram> {
    let located = locator.locate(program);
    if program.is_loader() && (current.is_none() || located.id != current) { Arc::default() } else { located }
}
