//! Finds earlier programs and the ancestors of processes, including ended ones.

use super::clock;
use super::container;
use super::process::{self, Pinned};
use super::process_record::{ProcessKey, ProcessRecord};
use super::process_table::ProcessTable;
use super::program::{LocatedProgram, ProgramLocator};
use super::records::taskstats::Exit;
use super::snapshot::{MAX_PARENTS, with_ancestors};
use crate::event::{Executable, FileId, LivingAncestor, Process};
use std::path::PathBuf;
use std::sync::Arc;

/// Processes searched for a sibling.
const MAX_SEARCH: u64 = 1024;
/// Longest distance between a start time in clock ticks and the time of the fork record of the same process, in
/// nanoseconds.
const SAME_START: u64 = 20_000_000;

impl ProcessTable {
    /// What a process ran before it started a program itself.
    pub fn inherited(&self, process: &ProcessRecord, locator: &mut ProgramLocator<'_>) -> Option<Arc<LocatedProgram>> {
        self.inherited_through(process, locator, 0)
    }

    fn inherited_through(
        &self,
        process: &ProcessRecord,
        locator: &mut ProgramLocator<'_>,
        depth: usize,
    ) -> Option<Arc<LocatedProgram>> {
        match &process.observed {
            Some(observed) => observed.program.as_ref().map(|program| locator.locate(program)),
            None => self.program_at(process.parent?, process.forked_at?, locator, depth + 1),
        }
    }

    /// Whether an ended process may have run the program that it inherited. With CLONE_PARENT the fork record names
    /// another parent than the process it is a copy of. So where the exit record has no executable (before Linux 5.19),
    /// the process must have ended with the kernel's name of that parent, as a copy does.
    pub fn may_have_inherited(&self, process: &ProcessRecord) -> bool {
        if process.observed.is_some() {
            return true;
        }
        let name = |process: &ProcessRecord| match process.exit() {
            Some(exit) => Some(exit.comm.as_bytes().to_vec()),
            None => pinned(process).map(|pinned| pinned.name()),
        };
        let name_at_end = process.exit().map(|exit| exit.comm.as_bytes().to_vec());
        name_at_end.is_some() && name_at_end == process.parent.and_then(|key| self.get(key)).and_then(name)
    }

    /// What a process ran at this time.
    fn program_at(
        &self,
        key: ProcessKey,
        time: u64,
        locator: &mut ProgramLocator<'_>,
        depth: usize,
    ) -> Option<Arc<LocatedProgram>> {
        let process = self.get(key).filter(|_| depth <= MAX_PARENTS)?;
        let execs_before = process.execs.iter().filter(|&&exec| exec <= time).count();
        if execs_before == 0 && !process.ambiguous {
            return self.inherited_through(process, locator, depth);
        }
        let programs: Vec<_> = process.starts().map(|start| locator.locate(&start.program)).collect();
        let programs: Vec<_> = programs.into_iter().filter(|program| !program.is_script).collect();
        if !process.ambiguous && programs.len() == process.execs.len() {
            return programs.into_iter().nth(execs_before - 1);
        }
        // Some starts have no exec. The current program ran at that time, unless an exec came later.
        if process.execs.len() != execs_before {
            return None;
        }
        let Some(end) = &process.end else { return living_program(process) };
        let last = end.record.as_ref()?.executable?;
        programs.into_iter().find(|program| program.id == Some(last) && program.is_older_than(process.current_since()))
    }

    /// A program with this file that a process with the same parent ran.
    pub fn program_of_sibling(
        &self,
        process: &ProcessRecord,
        id: FileId,
        locator: &mut ProgramLocator<'_>,
    ) -> Option<Arc<LocatedProgram>> {
        let parent = process.parent?;
        let siblings = self.latest(MAX_SEARCH).filter(|other| other.parent == Some(parent));
        let programs = siblings.flat_map(ProcessRecord::starts).map(|start| locator.locate(&start.program));
        programs.filter(|program| program.id == Some(id)).min_by_key(|program| program.changed)
    }

    /// The ancestors, the parent first. `read` are those from `/proc`. Where the process has ended or has got another
    /// parent since, the records name them up to the first living one.
    pub fn ancestors(
        &self,
        process: &ProcessRecord,
        read: Vec<Process>,
        locator: &mut ProgramLocator<'_>,
    ) -> Vec<Process> {
        let mut ancestors: Vec<Process> = Vec::new();
        let mut next = process.parent;
        while let Some(key) = next
            && let Some(parent) = self.get(key)
            && ancestors.len() < MAX_PARENTS
        {
            if ancestors.is_empty() && read.first().is_some_and(|process| process.pid == parent.pid) {
                return read;
            }
            let living = if parent.end.is_none() { pinned(parent) } else { None };
            if let Some(living) = living {
                ancestors.extend(with_ancestors(&living));
                break;
            }
            ancestors.push(self.ended_ancestor(key, parent, locator));
            next = parent.parent;
        }
        ancestors.truncate(MAX_PARENTS);
        if ancestors.is_empty() { read } else { ancestors }
    }

    /// Where the nearest living ancestor runs.
    pub fn living_ancestor(&self, process: &ProcessRecord) -> Option<LivingAncestor> {
        let parent = |process: &ProcessRecord| self.get(process.parent?);
        let ancestors = std::iter::successors(parent(process), |process| parent(process)).take(MAX_PARENTS);
        let pinned = ancestors.filter(|ancestor| ancestor.end.is_none()).find_map(pinned)?;
        let ((process, _), cgroup) = (pinned.read(), pinned.cgroup());
        Some(LivingAncestor {
            pid: process.pid,
            container_id: container::id(&cgroup),
            unit: container::unit(&cgroup),
            user: process.user,
            terminal: process.terminal,
            working_directory: process.working_directory,
        })
    }

    fn ended_ancestor(&self, key: ProcessKey, process: &ProcessRecord, locator: &mut ProgramLocator<'_>) -> Process {
        let exit = process.exit();
        let id = exit.and_then(|exit| exit.executable);
        let is_its_file = |program: &Arc<LocatedProgram>| {
            id.is_none() || program.id == id && program.is_older_than(process.current_since())
        };
        let program = self.program_at(key, u64::MAX, locator, 0).filter(is_its_file);
        let path = program.and_then(|program| program.path.clone());
        let is_host_file = |path: &PathBuf| id.is_some_and(|id| process::is_host_file(path, id));
        Process {
            pid: process.pid,
            comm: exit.map(|exit| exit.comm.as_bytes().to_vec()).unwrap_or_default(),
            executable: path.map(|path| Executable { is_host_file: is_host_file(&path), path, deleted: false }),
            executable_id: id,
            user: exit.map(Exit::user),
            is_gone: true,
            ..Process::default()
        }
    }
}

/// What a living process runs.
fn living_program(process: &ProcessRecord) -> Option<Arc<LocatedProgram>> {
    let (path, id) = pinned(process)?.program()?;
    Some(Arc::new(LocatedProgram::running(path, id)))
}

/// Pins the process of a record, if it lives.
fn pinned(process: &ProcessRecord) -> Option<Pinned> {
    let pinned = Pinned::open(process.pid).ok()?;
    let (start_time, _) = pinned.origin()?;
    let is_same = match (&process.observed, process.forked_at) {
        (Some(observed), _) => observed.start_time == Some(start_time),
        (None, Some(forked_at)) => clock::of_ticks(start_time).abs_diff(forked_at) < SAME_START,
        (None, None) => false,
    };
    is_same.then_some(pinned)
}
