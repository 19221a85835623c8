//! What processes ran before, and who their ancestors were, also when those are gone.

use super::container;
use super::process::{self, Pinned};
use super::process_table::{ProcessKey, ProcessRecord, ProcessTable};
use super::program::{ProgramLocator, Resolved};
use super::records::taskstats::Exit;
use super::{MAX_PARENTS, with_ancestors};
use crate::event::{Executable, FileId, LivingAncestor, Process};
use std::path::PathBuf;
use std::sync::Arc;

/// Processes that are looked at to find a sibling.
const MAX_SEARCH: u64 = 1024;
/// A start time in clock ticks is that of a fork record if they are no further apart, in nanoseconds.
const SAME_START: u64 = 20_000_000;

impl ProcessTable {
    /// What a process ran before it started anything itself.
    pub fn inherited(
        &self,
        life: &ProcessRecord,
        resolver: &mut ProgramLocator<'_>,
        depth: usize,
    ) -> Option<Arc<Resolved>> {
        match &life.observed {
            Some(observed) => observed.program.as_ref().map(|program| resolver.resolve(program)),
            None => self.program_at(life.parent?, life.began?, resolver, depth + 1),
        }
    }

    /// Whether nothing speaks against it that a process which is gone ran what it inherited. Its parent by the process
    /// tree may be another one than it is a copy of (CLONE_PARENT), so where no executable is told at the end, it must
    /// have ended with the kernel's name of that parent, which a copy has.
    pub fn may_have_inherited(&self, life: &ProcessRecord) -> bool {
        if life.observed.is_some() {
            return true;
        }
        let name = |life: &ProcessRecord| match life.exit() {
            Some(exit) => Some(exit.comm.as_bytes().to_vec()),
            None => pinned(life).map(|pinned| pinned.name()),
        };
        let ended_as = life.exit().map(|exit| exit.comm.as_bytes().to_vec());
        ended_as.is_some() && ended_as == life.parent.and_then(|id| self.life(id)).and_then(name)
    }

    /// What a process ran at this time.
    fn program_at(
        &self,
        id: ProcessKey,
        time: u64,
        resolver: &mut ProgramLocator<'_>,
        depth: usize,
    ) -> Option<Arc<Resolved>> {
        let life = self.life(id).filter(|_| depth <= MAX_PARENTS)?;
        let before = life.execs.iter().filter(|&&exec| exec <= time).count();
        if before == 0 && !life.muddled {
            return self.inherited(life, resolver, depth);
        }
        let programs: Vec<_> = life.starts().map(|start| resolver.resolve(&start.program)).collect();
        let programs: Vec<_> = programs.into_iter().filter(|program| !program.is_script).collect();
        if !life.muddled && programs.len() == life.execs.len() {
            return programs.into_iter().nth(before - 1);
        }
        // Not every start is accounted for. What it runs, or ran last, tells, if it ran no exec since.
        if life.execs.len() != before {
            return None;
        }
        let Some(end) = &life.end else { return living_program(life) };
        let last = end.record.as_ref()?.executable?;
        programs.into_iter().find(|program| program.id == Some(last) && program.is_older_than(life.runs_since()))
    }

    /// A program that a process with the same parent ran, by its file.
    pub fn program_of_sibling(
        &self,
        life: &ProcessRecord,
        id: FileId,
        resolver: &mut ProgramLocator<'_>,
    ) -> Option<Arc<Resolved>> {
        let parent = life.parent?;
        let siblings = self.latest_lives(MAX_SEARCH).filter(|other| other.parent == Some(parent));
        let programs = siblings.flat_map(ProcessRecord::starts).map(|start| resolver.resolve(&start.program));
        programs.filter(|program| program.id == Some(id)).min_by_key(|program| program.changed)
    }

    /// The ancestors: as they were read from `/proc`, or, where the writer was gone or has been given
    /// to another parent since, as the records tell them up to one that lives.
    pub fn parents(&self, life: &ProcessRecord, read: Vec<Process>, resolver: &mut ProgramLocator<'_>) -> Vec<Process> {
        let mut parents: Vec<Process> = Vec::new();
        let mut next = life.parent;
        while let Some(id) = next
            && let Some(parent) = self.life(id)
            && parents.len() < MAX_PARENTS
        {
            if parents.is_empty() && read.first().is_some_and(|process| process.pid == parent.pid) {
                return read;
            }
            let living = if parent.end.is_none() { living(parent) } else { None };
            if let Some(living) = living {
                parents.extend(living);
                break;
            }
            parents.push(self.gone(id, parent, resolver));
            next = parent.parent;
        }
        parents.truncate(MAX_PARENTS);
        if parents.is_empty() { read } else { parents }
    }

    /// Where the nearest living ancestor runs.
    pub fn nearest(&self, life: &ProcessRecord) -> Option<LivingAncestor> {
        let parent = |life: &ProcessRecord| self.life(life.parent?);
        let ancestors = std::iter::successors(parent(life), |life| parent(life)).take(MAX_PARENTS);
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

    fn gone(&self, id: ProcessKey, life: &ProcessRecord, resolver: &mut ProgramLocator<'_>) -> Process {
        let exit = life.exit();
        let program = self.program_at(id, u64::MAX, resolver, 0);
        let id = exit.and_then(|exit| exit.executable);
        let program =
            program.filter(|program| id.is_none() || program.id == id && program.is_older_than(life.runs_since()));
        let path = program.and_then(|program| program.path.clone());
        let is_host_file = |path: &PathBuf| id.is_some_and(|id| process::is_host_file(path, id));
        Process {
            pid: life.pid,
            comm: exit.map(|exit| exit.comm.as_bytes().to_vec()).unwrap_or_default(),
            executable: path.map(|path| Executable { is_host_file: is_host_file(&path), path, deleted: false }),
            executable_id: id,
            user: exit.map(Exit::user),
            is_gone: true,
            ..Process::default()
        }
    }
}

/// The process of a life and its ancestors, if it lives.
fn living(life: &ProcessRecord) -> Option<Vec<Process>> {
    pinned(life).map(|pinned| with_ancestors(&pinned))
}

/// What a living process runs.
fn living_program(life: &ProcessRecord) -> Option<Arc<Resolved>> {
    let (path, id) = pinned(life)?.program()?;
    Some(Arc::new(Resolved { path: Some(path), id: Some(id), device: Some(id.device), ..Resolved::default() }))
}

/// The process of a life, if it lives.
fn pinned(life: &ProcessRecord) -> Option<Pinned> {
    let pinned = Pinned::open(life.pid).ok()?;
    let (start_time, _) = pinned.origin()?;
    let is_it = match (&life.observed, life.began) {
        (Some(observed), _) => observed.start_time == Some(start_time),
        (None, Some(began)) => process::moment(start_time).abs_diff(began) < SAME_START,
        (None, None) => false,
    };
    is_it.then_some(pinned)
}
