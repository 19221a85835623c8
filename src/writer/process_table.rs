//! Joins the kernel's records about processes, including ended ones: the forks, the started programs
//! and the ends.
//!
//! The records come from three queues, which have no common order. The process connector reports forks and execs with
//! times but without names. fanotify's exec records hold names in the order of the writes but no times, and include
//! failed starts. Exit records hold device and inode of the last program. [`super::decision`] derives a name from all
//! of them together.
//!
//! Pure: no system calls, bounded memory, times are arguments in nanoseconds of CLOCK_MONOTONIC.

use super::process_record::{End, Observed, ProcessKey, ProcessRecord, Program, Start};
use super::records::taskstats::Exit;
use crate::event::HandleName;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Processes that have not ended, as far as is known; past it the oldest is forgotten.
pub const MAX_LIVING: usize = 32_768;
/// Processes that have ended. One takes some 400 bytes: at most 7 MiB for them, and 13 MiB more on a machine that
/// really runs 32,768 processes.
pub const MAX_ENDED: usize = 16_384;
/// Programs kept once for all processes that run them.
const MAX_PROGRAMS: usize = 4096;

/// Longest time between a fork record, the start of the process's age, its exit record and the closing of its files,
/// in nanoseconds, on a busy machine.
const SLACK: u64 = 100_000_000;
/// How much later than the end of a process its exit record may be read, in nanoseconds.
const LATE: u64 = 1_000_000_000;

/// An exec record that is not assigned to a process yet.
#[derive(Debug)]
struct UnassignedStart {
    pid: u32,
    /// It was made after this.
    since: u64,
    start: Start,
}

/// The process that an exit record belongs to.
enum ExitOwner {
    /// One without a known end (every kernel).
    Running(ProcessKey),
    /// One with a known end: its pid was used again before the record was read (every kernel), or the record of its
    /// main thread came first (before Linux 5.19).
    Ended(ProcessKey),
    /// None: one thread of several has ended, not its process (before Linux 5.19).
    OneThread,
    /// One that is not in the table.
    Unknown,
}

/// Every known process. See the module.
#[derive(Default)]
pub struct ProcessTable {
    processes: HashMap<ProcessKey, Box<ProcessRecord>>,
    /// The latest process of each pid.
    latest: HashMap<u32, ProcessKey>,
    living: VecDeque<ProcessKey>,
    ended: VecDeque<ProcessKey>,
    next: u64,
    /// Exec records that wait until the forks of their time are known.
    unassigned: Vec<UnassignedStart>,
    /// A process that may live was forgotten, so the end of an unknown process proves no loss.
    has_forgotten_living: bool,
    /// Nothing is known from before this.
    reset_at: u64,
    programs: HashSet<Arc<Program>>,
}

impl ProcessTable {
    /// Adds an exec record, made after `since`.
    pub fn add_start(&mut self, pid: u32, sequence: u64, since: u64, program: HandleName) {
        let program = self.intern(Program::Recorded(program));
        self.unassigned.push(UnassignedStart { pid, since, start: Start { sequence, program, loader: None } });
    }

    /// Number of exec records that wait for [`ProcessTable::assign`].
    pub fn unassigned(&self) -> usize {
        self.unassigned.len()
    }

    /// Exec records of a pid that wait, in the order of the queue.
    pub fn unassigned_of(&self, pid: u32) -> impl Iterator<Item = &Start> {
        self.unassigned.iter().filter(move |unassigned| unassigned.pid == pid).map(|unassigned| &unassigned.start)
    }

    /// Forgets the exec records that wait.
    pub fn discard_unassigned(&mut self) {
        self.unassigned.clear();
    }

    /// Adds a fork.
    pub fn fork(&mut self, parent: u32, child: u32, time: u64) {
        let parent = self.latest.get(&parent).copied();
        // Seen in /proc after its fork, before this record was read.
        let is_observed_child = |process: &ProcessRecord| {
            let was_observed = process.observed.as_ref().is_some_and(|observed| observed.time > time);
            was_observed && process.forked_at.is_none() && process.end.is_none()
        };
        let observed = self.latest.get(&child).copied().filter(|key| self.get(*key).is_some_and(is_observed_child));
        let key = observed.unwrap_or_else(|| self.insert(child, Some(time), time));
        if let Some(process) = self.processes.get_mut(&key) {
            process.forked_at = Some(time);
            process.parent = parent;
        }
    }

    /// Adds a completed exec.
    pub fn exec(&mut self, pid: u32, time: u64) {
        let key = self.latest.get(&pid).copied().unwrap_or_else(|| self.insert(pid, None, u64::MAX));
        if let Some(process) = self.processes.get_mut(&key) {
            process.add_exec(time);
        }
    }

    /// Adds a new thread.
    pub fn thread(&mut self, pid: u32) {
        if let Some(process) = self.latest.get(&pid).and_then(|key| self.processes.get_mut(key)) {
            process.add_thread();
        }
    }

    /// Adds the end of a process, no earlier than `after` and no later than `before`. Returns whether the process was
    /// in the table, or may have been.
    pub fn exit(&mut self, exit: Exit, after: u64, before: u64) -> bool {
        match self.owner_of(&exit, after) {
            ExitOwner::OneThread => true,
            ExitOwner::Running(key) => {
                self.set_end(key, exit, after, before);
                self.retire(key);
                true
            }
            ExitOwner::Ended(key) => {
                self.set_end(key, exit, after, before);
                true
            }
            ExitOwner::Unknown => {
                let key = self.insert(exit.pid, None, u64::MAX);
                self.set_end(key, exit, after, before);
                self.retire(key);
                self.has_forgotten_living
            }
        }
    }

    /// Of several processes with the pid, the oldest that still lacks its record.
    fn owner_of(&self, exit: &Exit, after: u64) -> ExitOwner {
        let mut owner = ExitOwner::Unknown;
        for (key, process) in self.of_pid(exit.pid) {
            match process.end.as_ref().map(|end| (end.before, end.record.as_ref())) {
                None => owner = ExitOwner::Running(key),
                // The last thread's record of the whole process follows, however long that thread lived on.
                Some((_, Some(first))) if !first.is_whole_process => {
                    if exit.is_whole_process && matches!(owner, ExitOwner::Unknown) {
                        owner = ExitOwner::Ended(key);
                    }
                }
                Some((end, None)) if end.saturating_add(LATE) >= after => owner = ExitOwner::Ended(key),
                Some(_) => {}
            }
        }
        let known = match &owner {
            ExitOwner::Running(key) | ExitOwner::Ended(key) => self.get(*key),
            ExitOwner::OneThread | ExitOwner::Unknown => None,
        };
        // A process that had threads ends with a record of the whole. A thread's number is no process's.
        if exit.is_whole_process || known.is_some_and(|process| !process.ever_had_threads()) {
            owner
        } else {
            ExitOwner::OneThread
        }
    }

    fn set_end(&mut self, key: ProcessKey, exit: Exit, after: u64, before: u64) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let age = exit.elapsed_us.map(|elapsed| elapsed.saturating_mul(1000));
        let exact = process.forked_at.zip(age).map(|(forked_at, age)| forked_at.saturating_add(age));
        let before = exact.map_or(before, |exact| exact.saturating_add(SLACK).clamp(after, before));
        process.end = Some(End { before, record: Some(Box::new(exit)) });
    }

    /// Adds what `/proc` shows of a process.
    pub fn observe(&mut self, pid: u32, observed: Observed) {
        let known = self
            .latest
            .get(&pid)
            .copied()
            .filter(|key| self.get(*key).is_some_and(|process| process.end.is_none() && process.may_be(&observed)));
        let key = known.unwrap_or_else(|| self.insert(pid, None, observed.time));
        if let Some(process) = self.processes.get_mut(&key) {
            process.observe(observed);
        }
    }

    /// Links observed processes to their parents, once all have been observed.
    pub fn link_parents(&mut self) {
        let parents: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| process.parent.is_none() && process.end.is_none())
            .filter_map(|(key, process)| Some((*key, *self.latest.get(&process.observed.as_ref()?.parent?)?)))
            .collect();
        for (key, parent) in parents {
            if let Some(process) = self.processes.get_mut(&key) {
                process.parent = Some(parent);
            }
        }
    }

    /// Forgets every process after a loss of records. The exec records that wait are complete and stay.
    pub fn reset(&mut self, time: u64) {
        let unassigned = std::mem::take(&mut self.unassigned);
        let programs = std::mem::take(&mut self.programs);
        *self = Self { next: self.next, programs, unassigned, reset_at: time, ..Self::default() };
    }

    /// Assigns the waiting exec records to their processes. The forks and execs of their time must be known.
    /// `is_script` returns whether the opened file is a script, whose interpreter has its own record.
    pub fn assign(&mut self, is_script: &mut dyn FnMut(&Arc<Program>) -> bool) {
        let mut unassigned = std::mem::take(&mut self.unassigned);
        // Stable: the order of the queue stays.
        unassigned.sort_by_key(|unassigned| unassigned.pid);
        for of_pid in unassigned.chunk_by(|one, other| one.pid == other.pid) {
            let Some(first) = of_pid.first() else { continue };
            let starts = || of_pid.iter().map(|unassigned| &unassigned.start);
            match self.candidates_for_pid(first.pid, first.since, u64::MAX).as_slice() {
                [] => {
                    let key = self.insert(first.pid, None, u64::MAX);
                    self.assign_to_one(key, starts(), first.since);
                }
                [only] => self.assign_to_one(*only, starts(), first.since),
                several => self.assign_to_several(several, &starts().collect::<Vec<_>>(), first.since, is_script),
            }
        }
    }

    fn assign_to_one<'a>(&mut self, key: ProcessKey, starts: impl Iterator<Item = &'a Start>, since: u64) {
        let reset_at = self.reset_at;
        let Some(process) = self.processes.get_mut(&key) else { return };
        // An older exec record may be of a start that /proc showed already, or whose exec was forgotten.
        let known_since = process.observed.as_ref().map_or(reset_at, |observed| observed.time);
        process.ambiguous |= since < known_since;
        starts.for_each(|start| process.add_start(start.clone()));
    }

    fn assign_to_several(
        &mut self,
        candidates: &[ProcessKey],
        starts: &[&Start],
        since: u64,
        is_script: &mut dyn FnMut(&Arc<Program>) -> bool,
    ) {
        let Some(owners) = self.owners_by_count(candidates, starts, since, is_script) else {
            for key in candidates {
                if let Some(process) = self.processes.get_mut(key) {
                    process.ambiguous = true;
                }
            }
            return;
        };
        for (start, key) in starts.iter().zip(owners) {
            if let Some(process) = self.processes.get_mut(&key) {
                process.add_start((*start).clone());
            }
        }
    }

    /// The process of each exec record, for a pid that several processes had. They are known only if every completed
    /// exec has its record and every record its exec: then both have the same order.
    fn owners_by_count(
        &self,
        candidates: &[ProcessKey],
        starts: &[&Start],
        since: u64,
        is_script: &mut dyn FnMut(&Arc<Program>) -> bool,
    ) -> Option<Vec<ProcessKey>> {
        let mut execs: Vec<(u64, ProcessKey)> = Vec::new();
        for key in candidates {
            let is_oldest = candidates.first() == Some(key);
            let of_process = self.get(*key).map(|process| process.execs.as_slice()).unwrap_or_default();
            execs.extend(of_process.iter().filter(|&&time| time > since || !is_oldest).map(|&time| (time, *key)));
        }
        execs.sort_unstable();
        let is_exec = |(index, start): (usize, &&Start)| {
            let is_loader_of_another = index > 0 && start.program.is_loader();
            !is_loader_of_another && !is_script(&start.program)
        };
        let completes_exec: Vec<bool> = starts.iter().enumerate().map(is_exec).collect();
        if completes_exec.iter().filter(|completes| **completes).count() != execs.len() {
            return None;
        }
        let mut execs = execs.into_iter().map(|(_, key)| key);
        let mut owner = execs.next();
        let owners = completes_exec.into_iter().map_while(|completes| {
            let of_this = owner?;
            if completes {
                owner = execs.next().or(owner);
            }
            Some(of_this)
        });
        Some(owners.collect())
    }

    /// A process.
    pub fn get(&self, key: ProcessKey) -> Option<&ProcessRecord> {
        self.processes.get(&key).map(Box::as_ref)
    }

    /// The processes of a pid, the latest first.
    fn of_pid(&self, pid: u32) -> impl Iterator<Item = (ProcessKey, &ProcessRecord)> {
        let entry = |key: ProcessKey| Some((key, self.get(key)?));
        let latest = self.latest.get(&pid).copied().and_then(entry);
        std::iter::successors(latest, move |(_, process)| process.previous.and_then(entry))
    }

    /// The latest process that had this pid at this time.
    pub fn process_at(&self, pid: u32, time: u64) -> Option<ProcessKey> {
        // An ended process holds its pid until its parent waits for it. If its start is unknown, it may be too old.
        let had_pid = |process: &ProcessRecord| {
            let since = process.forked_at.or(process.observed.as_ref().map(|observed| observed.time));
            since.map_or_else(|| process.may_have_run(time, time), |since| since <= time)
        };
        self.of_pid(pid).find(|(_, process)| had_pid(process)).map(|(key, _)| key)
    }

    /// The processes that had this pid at some time from `from` to `to`, the oldest first.
    pub fn candidates_for_pid(&self, pid: u32, from: u64, to: u64) -> Vec<ProcessKey> {
        let found = self.of_pid(pid).filter(|(_, process)| process.may_have_run(from, to));
        let mut found: Vec<_> = found.map(|(key, _)| key).collect();
        found.reverse();
        found
    }

    /// The processes added last, the latest first, without forgotten ones.
    pub fn latest(&self, count: u64) -> impl Iterator<Item = &ProcessRecord> {
        let keys = self.next.saturating_sub(count)..self.next;
        keys.rev().filter_map(|key| self.get(ProcessKey(key)))
    }

    /// One copy of a program for all processes that run it.
    pub fn intern(&mut self, program: Program) -> Arc<Program> {
        if let Some(known) = self.programs.get(&program) {
            return known.clone();
        }
        let program = Arc::new(program);
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.retain(|known| Arc::strong_count(known) > 1);
        }
        if self.programs.len() < MAX_PROGRAMS {
            self.programs.insert(program.clone());
        }
        program
    }

    /// Number of processes.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Adds a process. The one that had its pid before has ended by `known_by`; its exit record may still come.
    fn insert(&mut self, pid: u32, forked_at: Option<u64>, known_by: u64) -> ProcessKey {
        let key = ProcessKey(self.next);
        self.next += 1;
        let previous = self.latest.insert(pid, key);
        if let Some(before) = previous.and_then(|previous| self.processes.get_mut(&previous))
            && before.end.is_none()
        {
            before.end = Some(End { before: known_by, record: None });
            self.ended.extend(previous);
        }
        self.processes.insert(key, Box::new(ProcessRecord::new(pid, forked_at, previous)));
        self.living.push_back(key);
        self.make_room();
        key
    }

    fn retire(&mut self, key: ProcessKey) {
        self.ended.push_back(key);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.forget(oldest);
        }
        let living = self.processes.len() - self.ended.len().min(self.processes.len());
        if self.living.len() > 64 + 2 * living {
            self.living.retain(|key| self.processes.get(key).is_some_and(|process| process.end.is_none()));
        }
        while self.processes.len() > MAX_LIVING + self.ended.len()
            && let Some(oldest) = self.living.pop_front()
        {
            if self.get(oldest).is_some_and(|process| process.end.is_none()) {
                self.has_forgotten_living = true;
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.remove(&key) else { return };
        if self.latest.get(&process.pid) == Some(&key) {
            self.latest.remove(&process.pid);
        }
    }
}

#[cfg(test)]
mod tests;
