//! The recorded facts of one process, from its fork to its end. Pure.

use super::records::taskstats::Exit;
use crate::event::{FileId, HandleName};
use std::path::PathBuf;
use std::sync::Arc;

/// Exec records kept of one process that starts program after program.
pub const MAX_STARTS: usize = 16;

/// Identifies a process. A pid alone may mean another process later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey(pub u64);

/// The file of a program, as the evidence identifies it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// By an exec record.
    Recorded(HandleName),
    /// By `/proc/PID/exe`.
    Seen {
        /// Path in the process's mount namespace.
        path: PathBuf,
        /// The file.
        id: FileId,
    },
}

impl Program {
    /// Whether this is a dynamic loader. The kernel opens one for nearly every program, after the program itself.
    /// A loader without a program before it was started itself, or its program left no record.
    pub fn is_loader(&self) -> bool {
        let Program::Recorded(HandleName { name, .. }) = self else { return false };
        [&b"ld-linux"[..], b"ld-musl", b"ld64.so", b"ld.so", b"ld-2."].iter().any(|start| name.starts_with(start))
    }
}

/// One exec record: a file was opened to be run. The exec may have failed.
#[derive(Clone, Debug)]
pub struct Start {
    /// Position in the queue that holds the writes too.
    pub sequence: u64,
    /// The opened file.
    pub program: Arc<Program>,
    /// Position of the loader's record in the same exec. The program's own record may be that of an earlier failed
    /// start, because the kernel merges equal unread records.
    pub loader: Option<u64>,
}

impl Start {
    /// Whether the exec can have been complete at this position in the queue.
    pub fn is_before(&self, sequence: u64) -> bool {
        self.sequence < sequence && self.loader.is_none_or(|loader| loader < sequence)
    }
}

/// What `/proc` showed of a process.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When it was read, in nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// Its program.
    pub program: Option<Arc<Program>>,
    /// Start time in clock ticks since boot.
    pub start_time: Option<u64>,
    /// Its parent's pid.
    pub parent: Option<u32>,
}

/// The end of a process.
#[derive(Debug)]
pub struct End {
    /// It ended no later than this.
    pub before: u64,
    /// The exit record; `None` when the end is known only because its pid was used again.
    pub record: Option<Box<Exit>>,
}

/// One process. Times are nanoseconds of CLOCK_MONOTONIC.
#[derive(Debug)]
pub struct ProcessRecord {
    /// Process id.
    pub pid: u32,
    /// Time of its fork; `None` when it is older than the records.
    pub forked_at: Option<u64>,
    /// Its parent.
    pub parent: Option<ProcessKey>,
    /// What `/proc` showed.
    pub observed: Option<Box<Observed>>,
    /// Times of its completed execs, ascending.
    pub execs: Vec<u64>,
    /// `starts` or `execs` may be incomplete or hold those of another process.
    pub ambiguous: bool,
    /// Its end; `None` as long as it lives.
    pub end: Option<End>,
    /// The process that had this pid before.
    pub previous: Option<ProcessKey>,
    /// Exec records in the order of the queue, without loaders.
    starts: Vec<Start>,
    /// The last exec record was of a program: a loader that comes next belongs to it.
    loader_is_due: bool,
    /// It has made threads since its last exec.
    has_threads: bool,
    /// It had made threads before its last exec.
    had_threads: bool,
}

impl ProcessRecord {
    /// A process about which nothing more is known.
    pub fn new(pid: u32, forked_at: Option<u64>, previous: Option<ProcessKey>) -> Self {
        Self {
            pid,
            forked_at,
            parent: None,
            observed: None,
            execs: Vec::new(),
            ambiguous: false,
            end: None,
            previous,
            starts: Vec::new(),
            loader_is_due: false,
            has_threads: false,
            had_threads: false,
        }
    }

    /// The exec records, without the loaders that belong to a program.
    pub fn starts(&self) -> impl Iterator<Item = &Start> {
        self.starts.iter()
    }

    /// Adds an exec record. The oldest gives way to it.
    pub fn add_start(&mut self, start: Start) {
        let is_loader = start.program.is_loader();
        let belongs_to_last = is_loader && self.loader_is_due;
        self.loader_is_due = !is_loader;
        if belongs_to_last {
            if let Some(last) = self.starts.last_mut() {
                last.loader = Some(start.sequence);
            }
            return;
        }
        if self.starts.len() >= MAX_STARTS {
            self.starts.remove(0);
            self.ambiguous = true;
        }
        // Most processes start one program.
        self.starts.reserve_exact(usize::from(self.starts.is_empty()));
        self.starts.push(start);
    }

    /// Adds a completed exec.
    pub fn add_exec(&mut self, time: u64) {
        if self.observed.as_ref().is_some_and(|observed| time <= observed.time) {
            return;
        }
        if self.execs.len() >= MAX_STARTS * 2 {
            self.execs.remove(0);
            self.ambiguous = true;
        }
        // Exec ends all threads but one.
        self.had_threads = std::mem::take(&mut self.has_threads);
        self.execs.reserve_exact(usize::from(self.execs.is_empty()));
        self.execs.push(time);
    }

    /// Records that it has made a thread.
    pub fn add_thread(&mut self) {
        self.has_threads = true;
    }

    /// Replaces what was recorded before by what `/proc` shows.
    pub fn observe(&mut self, observed: Observed) {
        self.execs.retain(|&time| time > observed.time);
        self.starts.clear();
        self.ambiguous = false;
        self.observed = Some(Box::new(observed));
    }

    /// The record of its end.
    pub fn exit(&self) -> Option<&Exit> {
        self.end.as_ref()?.record.as_deref()
    }

    /// It had threads when it started its current program.
    pub fn had_threads(&self) -> bool {
        self.had_threads
    }

    /// It has made threads at some time.
    pub fn ever_had_threads(&self) -> bool {
        self.has_threads || self.had_threads
    }

    /// It has run its current program at least since this time.
    pub fn current_since(&self) -> Option<u64> {
        self.execs.last().copied().or(self.forked_at)
    }

    /// Whether it may have run at some time from `from` to `to`.
    pub fn may_have_run(&self, from: u64, to: u64) -> bool {
        self.forked_at.is_none_or(|forked_at| forked_at <= to) && self.end.as_ref().is_none_or(|end| end.before >= from)
    }

    /// Whether what `/proc` shows may be this process: the same start, as far as both have one.
    pub fn may_be(&self, observed: &Observed) -> bool {
        match (&self.observed, self.forked_at) {
            (Some(before), _) => before.start_time == observed.start_time,
            (None, Some(forked_at)) => forked_at <= observed.time,
            (None, None) => true,
        }
    }
}
