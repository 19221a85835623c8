//! What the kernel's records tell of processes, also of those that are gone: who started whom, which
//! programs, and how it ended.
//!
//! Three queues are put together here. They are not ordered among each other: the process connector
//! tells forks and execs with times but no names; fanotify's exec records tell names, in the order of
//! the writes, but no times, and also of programs that then could not be run; exit records tell the
//! last program of each process by device and inode. A name is only ever derived in
//! [`super::judge`], from what all of them say.
//!
//! Pure: no system call, bounded in memory, time comes in with the calls.

use super::records::taskstats::Exit;
use crate::event::{FileId, HandleName};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// Processes that have not ended, as far as is known; past it the oldest is forgotten.
pub const MAX_LIVING: usize = 32_768;
/// Processes that have ended. One takes some 400 bytes, so the table is bounded by 7 MiB for them, and by 13 MiB
/// more on a machine that really runs 32,768 processes.
pub const MAX_ENDED: usize = 16_384;
/// Exec records kept of one process that starts program after program.
const MAX_STARTS: usize = 16;
/// Files of programs that are kept once however many processes run them.
const MAX_PROGRAMS: usize = 4096;

/// A process: a pid alone would mean another one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey(u64);

/// The file of a program, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// By an exec record.
    Recorded(HandleName),
    /// By `/proc/PID/exe`.
    Seen {
        /// Path in the process's mount namespace.
        path: PathBuf,
        /// Which file it was.
        id: FileId,
    },
}

impl Program {
    /// The dynamic loader, which the kernel opens for nearly every program after the program itself. Alone
    /// it is that of a program which left no record, or was itself started as a program.
    pub fn is_loader(&self) -> bool {
        let Program::Recorded(HandleName { name, .. }) = self else { return false };
        [&b"ld-linux"[..], b"ld-musl", b"ld64.so", b"ld.so", b"ld-2."].iter().any(|start| name.starts_with(start))
    }
}

/// One exec record.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its place in the order of the queue that holds the writes too.
    pub sequence: u64,
    /// What was opened to be run.
    pub program: Arc<Program>,
    /// The place of the loader's record, which is made in the same exec. It tells more than that of the program,
    /// which may be that of an earlier start that failed: alike records are one while they are not read.
    pub loader: Option<u64>,
}

impl Start {
    /// Whether the exec can have been complete at this place in the queue.
    pub fn is_before(&self, sequence: u64) -> bool {
        self.sequence < sequence && self.loader.is_none_or(|loader| loader < sequence)
    }
}

/// One process from its fork to its end.
#[derive(Debug)]
pub struct ProcessRecord {
    /// Process id.
    pub pid: u32,
    /// Time of its fork; `None` when it was there before the records began.
    pub began: Option<u64>,
    /// Who forked it.
    pub parent: Option<ProcessKey>,
    /// What `/proc` showed, and when.
    pub observed: Option<Box<Observed>>,
    /// When it completed an exec, rising.
    pub execs: Vec<u64>,
    /// It has made threads since its last exec; and had, before that one.
    threads: [bool; 2],
    /// Programs that it began to start, in the order of the queue. Some may have failed.
    starts: Vec<Start>,
    /// The last record was of a program: a loader that comes next is its own.
    loader_is_due: bool,
    /// It is not certain that `starts` holds what this process started and no more.
    pub muddled: bool,
    /// How it ended; `None` as long as it lives.
    pub end: Option<End>,
    /// The process that had this pid before.
    previous: Option<ProcessKey>,
}

/// What `/proc` showed of a process.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub time: u64,
    /// What it ran.
    pub program: Option<Arc<Program>>,
    /// Start time in clock ticks since boot.
    pub start_time: Option<u64>,
    /// Its parent's pid.
    pub parent: Option<u32>,
}

/// How a process ended.
#[derive(Debug)]
pub struct End {
    /// It ended no later than this.
    pub before: u64,
    /// The exit record; `None` when only a new process of the same pid tells of the end.
    pub record: Option<Box<Exit>>,
}

impl ProcessRecord {
    /// The programs it began to start, without the loaders that belong to them.
    pub fn starts(&self) -> impl Iterator<Item = &Start> {
        self.starts.iter()
    }

    fn add(&mut self, start: Start) {
        let is_loader = start.program.is_loader();
        let belongs = is_loader && self.loader_is_due;
        self.loader_is_due = !is_loader;
        if belongs {
            if let Some(last) = self.starts.last_mut() {
                last.loader = Some(start.sequence);
            }
            return;
        }
        if self.starts.len() >= MAX_STARTS {
            self.starts.remove(0);
            self.muddled = true;
        }
        // Most processes start one program.
        self.starts.reserve_exact(usize::from(self.starts.is_empty()));
        self.starts.push(start);
    }

    /// The record of its end.
    pub fn exit(&self) -> Option<&Exit> {
        self.end.as_ref()?.record.as_deref()
    }

    /// It had threads when it started what it ran last.
    pub fn had_threads(&self) -> bool {
        let [_, before] = self.threads;
        before
    }

    /// It runs what it ran last since this time at the latest.
    pub fn runs_since(&self) -> Option<u64> {
        self.execs.last().copied().or(self.began)
    }

    /// Whether it may have run at some time from `from` to `to`.
    pub fn may_have_run(&self, from: u64, to: u64) -> bool {
        self.began.is_none_or(|began| began <= to) && self.end.as_ref().is_none_or(|end| end.before >= from)
    }
}

/// An exec record that is not put to a process yet.
#[derive(Debug)]
struct Waiting {
    pid: u32,
    /// It was made after this.
    since: u64,
    start: Start,
}

/// See the module.
#[derive(Default)]
pub struct ProcessTable {
    lives: HashMap<ProcessKey, Box<ProcessRecord>>,
    /// The latest process of each pid.
    latest: HashMap<u32, ProcessKey>,
    living: VecDeque<ProcessKey>,
    ended: VecDeque<ProcessKey>,
    next: u64,
    /// Exec records that wait until the forks of their time are known.
    waiting: Vec<Waiting>,
    /// A process that may live was forgotten: when it ends, it is not known.
    has_forgotten_living: bool,
    /// Nothing is known of before.
    cleared_at: u64,
    programs: HashSet<Arc<Program>>,
}

impl ProcessTable {
    /// A process has begun to start a program, after `since`.
    pub fn start(&mut self, pid: u32, sequence: u64, since: u64, program: HandleName) {
        let program = self.intern(Program::Recorded(program));
        self.waiting.push(Waiting { pid, since, start: Start { sequence, program, loader: None } });
    }

    /// Exec records that wait for [`ProcessTable::assign`].
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Exec records of a pid that wait, in the order of the queue.
    pub fn waiting_of(&self, pid: u32) -> impl Iterator<Item = &Start> {
        self.waiting.iter().filter(move |waiting| waiting.pid == pid).map(|waiting| &waiting.start)
    }

    /// Forgets the waiting exec records.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// A process was forked.
    pub fn fork(&mut self, parent: u32, child: u32, time: u64) {
        let parent = self.latest.get(&parent).copied();
        // Seen in /proc after its fork, before this record was read.
        let is_seen = |life: &ProcessRecord| {
            let observed = life.observed.as_ref().is_some_and(|observed| observed.time > time);
            observed && life.began.is_none() && life.end.is_none()
        };
        let seen = self.latest.get(&child).copied().filter(|id| self.life(*id).is_some_and(is_seen));
        let id = seen.unwrap_or_else(|| self.begin(child, Some(time), time));
        if let Some(life) = self.lives.get_mut(&id) {
            life.began = Some(time);
            life.parent = parent;
        }
    }

    /// A process has become another program.
    pub fn exec(&mut self, pid: u32, time: u64) {
        let id = self.latest.get(&pid).copied().unwrap_or_else(|| self.begin(pid, None, u64::MAX));
        let Some(life) = self.lives.get_mut(&id) else { return };
        if life.observed.as_ref().is_some_and(|observed| time <= observed.time) {
            return;
        }
        if life.execs.len() >= MAX_STARTS * 2 {
            // The times of the latest are what matters.
            life.execs.remove(0);
            life.muddled = true;
        }
        // Exec ends all threads but one.
        let [now, _] = life.threads;
        life.threads = [false, now];
        life.execs.reserve_exact(usize::from(life.execs.is_empty()));
        life.execs.push(time);
    }

    /// A process has made a thread.
    pub fn thread(&mut self, pid: u32) {
        if let Some(life) = self.latest.get(&pid).and_then(|id| self.lives.get_mut(id)) {
            let [_, before] = life.threads;
            life.threads = [true, before];
        }
    }

    /// A process has ended, no earlier than `after` and no later than `before`. Tells whether it was known.
    pub fn exit(&mut self, exit: Exit, after: u64, before: u64) -> bool {
        let pid = exit.pid;
        // Of several that had this pid the oldest that has not ended.
        let mut found = None;
        let mut next = self.latest.get(&pid).copied();
        while let Some(id) = next
            && let Some(life) = self.lives.get(&id)
        {
            match &life.end {
                None => found = Some(id),
                // What was told then was the end of its leader: on an old kernel the last thread has a record of the
                // whole. However long it lived on, nobody else had its pid.
                Some(end) if end.record.as_ref().is_some_and(|record| !record.is_whole_process) => {
                    found = found.or(exit.is_whole_process.then_some(id));
                }
                // Only its record was missing: it cannot have been waiting for longer than the one before.
                Some(end) if end.record.is_none() && end.before.saturating_add(LATE) >= after => found = Some(id),
                Some(_) => {}
            }
            next = life.previous;
        }
        if found.is_none() && !exit.is_whole_process {
            // A thread of one of several, on an old kernel.
            return true;
        }
        let id = found.unwrap_or_else(|| self.begin(pid, None, u64::MAX));
        let Some(life) = self.lives.get_mut(&id) else { return true };
        if !exit.is_whole_process && life.threads != [false; 2] {
            // Of its leader, perhaps. Whoever had threads ends with a record of the whole.
            return true;
        }
        // Its fork and its age tell when it ended, up to the moments between making the record of the
        // fork and counting the age.
        let age = exit.elapsed_us.map(|elapsed| elapsed.saturating_mul(1000));
        let exact = life.began.zip(age).map(|(began, age)| began.saturating_add(age));
        let before = exact.map_or(before, |exact| exact.saturating_add(SLACK).clamp(after, before));
        let is_first = life.end.is_none();
        life.end = Some(End { before, record: Some(Box::new(exit)) });
        if is_first {
            self.retire(id);
        }
        found.is_some() || self.has_forgotten_living
    }

    /// What `/proc` shows of a process.
    pub fn observe(&mut self, pid: u32, observed: Observed) {
        let known = self.latest.get(&pid).copied().filter(|id| {
            let life = self.lives.get(id);
            life.is_some_and(|life| life.end.is_none() && is_same(life, &observed))
        });
        let id = known.unwrap_or_else(|| self.begin(pid, None, observed.time));
        if let Some(life) = self.lives.get_mut(&id) {
            life.execs.retain(|&time| time > observed.time);
            life.starts.clear();
            life.muddled = false;
            life.observed = Some(Box::new(observed));
        }
    }

    /// Connects observed processes with their parents, once all were observed.
    pub fn connect(&mut self) {
        let parents: Vec<_> = self
            .lives
            .iter()
            .filter(|(_, life)| life.parent.is_none() && life.end.is_none())
            .filter_map(|(id, life)| Some((*id, *self.latest.get(&life.observed.as_ref()?.parent?)?)))
            .collect();
        for (id, parent) in parents {
            if let Some(life) = self.lives.get_mut(&id) {
                life.parent = Some(parent);
            }
        }
    }

    /// Forgets every process: records were lost. The exec records that wait were not.
    pub fn clear(&mut self, time: u64) {
        let waiting = std::mem::take(&mut self.waiting);
        let programs = std::mem::take(&mut self.programs);
        *self = Self { next: self.next, programs, waiting, cleared_at: time, ..Self::default() };
    }

    /// Puts the waiting exec records to the processes they tell of. Called when the forks and execs of
    /// their time are known. `is_script` tells whether what was opened is a script, whose interpreter
    /// has a record too.
    pub fn assign(&mut self, is_script: &mut dyn FnMut(&Arc<Program>) -> bool) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Stable: the order of the queue stays.
        waiting.sort_by_key(|waiting| waiting.pid);
        for of_one in waiting.chunk_by(|one, other| one.pid == other.pid) {
            if let Some(first) = of_one.first() {
                let starts = of_one.iter().map(|waiting| waiting.start.clone());
                self.assign_of_pid(first.pid, starts, first.since, is_script);
            }
        }
    }

    fn assign_of_pid(
        &mut self,
        pid: u32,
        starts: impl Iterator<Item = Start>,
        since: u64,
        is_script: &mut dyn FnMut(&Arc<Program>) -> bool,
    ) {
        let lives = self.lives_of(pid, since, u64::MAX);
        let [first, .., _] = lives.as_slice() else {
            let id = lives.first().copied().unwrap_or_else(|| self.begin(pid, None, u64::MAX));
            let cleared_at = self.cleared_at;
            if let Some(life) = self.lives.get_mut(&id) {
                // What it started may have been seen already, or its execs forgotten.
                let known = life.observed.as_ref().map_or(cleared_at, |observed| observed.time);
                life.muddled |= since < known;
                starts.for_each(|start| life.add(start));
            }
            return;
        };
        // Several processes had this pid in that time. Whose is which record is known when each exec
        // that was completed has its record and no other record is there.
        let starts: Vec<Start> = starts.collect();
        let is_loader = |index: usize| index > 0 && starts.get(index).is_some_and(|start| start.program.is_loader());
        let mut times: Vec<(u64, ProcessKey)> = Vec::new();
        for id in &lives {
            let execs = self.lives.get(id).map(|life| life.execs.as_slice()).unwrap_or_default();
            times.extend(execs.iter().filter(|&&time| time > since || id != first).map(|&time| (time, *id)));
        }
        times.sort_unstable();
        let counts: Vec<bool> =
            starts.iter().enumerate().map(|(index, start)| !is_loader(index) && !is_script(&start.program)).collect();
        let programs = counts.iter().filter(|counts| **counts).count();
        if programs != times.len() {
            for id in lives {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.muddled = true;
                }
            }
            return;
        }
        let mut times = times.into_iter();
        let mut owner = times.next();
        for (start, is_program) in starts.into_iter().zip(counts) {
            let Some((_, id)) = owner else { break };
            if let Some(life) = self.lives.get_mut(&id) {
                life.add(start);
            }
            if is_program {
                owner = times.next().or(owner);
            }
        }
    }

    /// A process.
    pub fn life(&self, id: ProcessKey) -> Option<&ProcessRecord> {
        self.lives.get(&id).map(Box::as_ref)
    }

    /// The latest process that had this pid at this time.
    pub fn life_at(&self, pid: u32, time: u64) -> Option<ProcessKey> {
        let mut next = self.latest.get(&pid).copied();
        while let Some(id) = next
            && let Some(life) = self.lives.get(&id)
        {
            // One that has ended holds its pid until it is waited for. If nothing tells when it began, it may be an
            // earlier one.
            let began = life.began.or(life.observed.as_ref().map(|observed| observed.time));
            if began.map_or_else(|| life.may_have_run(time, time), |began| began <= time) {
                return Some(id);
            }
            next = life.previous;
        }
        None
    }

    /// The processes that had this pid at some time from `from` to `to`, the oldest first.
    pub fn lives_of(&self, pid: u32, from: u64, to: u64) -> Vec<ProcessKey> {
        let mut found = Vec::new();
        let mut next = self.latest.get(&pid).copied();
        while let Some(id) = next
            && let Some(life) = self.lives.get(&id)
        {
            if life.may_have_run(from, to) {
                found.push(id);
            }
            next = life.previous;
        }
        found.reverse();
        found
    }

    /// The processes that began last, the latest first; some may have been forgotten.
    pub fn latest_lives(&self, count: u64) -> impl Iterator<Item = &ProcessRecord> {
        let ids = self.next.saturating_sub(count)..self.next;
        ids.rev().filter_map(|id| self.life(ProcessKey(id)))
    }

    /// One copy of what many processes run.
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

    /// Processes that are known.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// A process that was not known, which ends the one that had its pid before.
    fn begin(&mut self, pid: u32, began: Option<u64>, known_by: u64) -> ProcessKey {
        let id = ProcessKey(self.next);
        self.next += 1;
        let previous = self.latest.insert(pid, id);
        if let Some(before) = previous.and_then(|previous| self.lives.get_mut(&previous))
            && before.end.is_none()
        {
            // Its exit record may still come.
            before.end = Some(End { before: known_by, record: None });
            self.ended.extend(previous);
        }
        let life = ProcessRecord {
            pid,
            began,
            parent: None,
            observed: None,
            execs: Vec::new(),
            threads: [false; 2],
            starts: Vec::new(),
            loader_is_due: false,
            muddled: false,
            end: None,
            previous,
        };
        self.lives.insert(id, Box::new(life));
        self.living.push_back(id);
        self.make_room();
        id
    }

    fn retire(&mut self, id: ProcessKey) {
        self.ended.push_back(id);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.forget(oldest);
        }
        let living = self.lives.len() - self.ended.len().min(self.lives.len());
        if self.living.len() > 64 + 2 * living {
            // Those that ended meanwhile stand in the other list.
            self.living.retain(|id| self.lives.get(id).is_some_and(|life| life.end.is_none()));
        }
        while self.lives.len() > MAX_LIVING + self.ended.len()
            && let Some(oldest) = self.living.pop_front()
        {
            if self.lives.get(&oldest).is_some_and(|life| life.end.is_none()) {
                self.has_forgotten_living = true;
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, id: ProcessKey) {
        let Some(life) = self.lives.remove(&id) else { return };
        if self.latest.get(&life.pid) == Some(&id) {
            self.latest.remove(&life.pid);
        }
    }
}

/// What passes between a fork's record, the start of the process's age, its end record and the closing of what it
/// had open, in nanoseconds, on a busy machine.
const SLACK: u64 = 100_000_000;

/// How much later than the end of a process its end record may be read.
const LATE: u64 = 1_000_000_000;

/// Whether what was observed may be this process: the same start as far as both tell it.
fn is_same(life: &ProcessRecord, observed: &Observed) -> bool {
    match (&life.observed, life.began) {
        (Some(before), _) => before.start_time == observed.start_time,
        (None, Some(began)) => began <= observed.time,
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests;
