//! Decides which program wrote, from the records and `/proc`. Pure.
//!
//! No kind of evidence is complete. An exec record also appears for a program that could not be run, and is missing
//! for one in memory (memfd) or on an unmarked filesystem. The current program may not be the one that wrote. The
//! number of completed execs (process connector) decides. If every completed exec has a record and every record
//! an exec, the program at the time of the write is known. Otherwise a program is named only if no other is possible.

use super::agreement::{Agreement, Decision};
use super::program::LocatedProgram;
use crate::event::{Candidate, Confidence, Doubt, Evidence, FileId, Writer};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// What is known about the programs of one process around one write.
#[derive(Clone, Debug, Default)]
pub struct History<'a> {
    /// What it ran when `/proc` was read, or at its end.
    pub current: Option<CurrentProgram<'a>>,
    /// What it ran after its fork, or when the records began.
    pub inherited: Option<&'a LocatedProgram>,
    /// Its name at the end was that of its parent, as a copy of the parent has.
    pub may_have_inherited: bool,
    /// Programs that it began to start before the write, without scripts and loaders.
    pub before: Vec<&'a LocatedProgram>,
    /// Programs that it began to start after the write.
    pub after: Vec<&'a LocatedProgram>,
    /// Completed execs; `None` when the kernel does not report them all.
    pub execs: Option<usize>,
    /// No exec was begun or completed from before the write until `current` was read.
    pub is_quiet: bool,
    /// It had more than one thread before it started its current program.
    pub had_threads: bool,
    /// A sibling's program that is the file of `current`. With CLONE_PARENT a child appears as a sibling.
    pub of_sibling: Option<&'a LocatedProgram>,
}

/// The last known program of a process.
#[derive(Clone, Copy, Debug)]
pub struct CurrentProgram<'a> {
    /// [`Evidence::Proc`] or [`Evidence::ExitRecord`].
    pub evidence: Evidence,
    /// Path; exit records have none.
    pub path: Option<&'a Path>,
    /// The file.
    pub id: Option<FileId>,
    /// Its start may have left no record.
    pub may_be_unrecorded: bool,
    /// Its last exec, otherwise its fork: it has run the program at least since then (CLOCK_MONOTONIC).
    pub since: Option<u64>,
}

/// The program that wrote, as far as the evidence establishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// The evidence that names it.
    pub evidence: Evidence,
    /// Path; `None` with [`Evidence::Unknown`], and where only the file is known.
    pub path: Option<PathBuf>,
    /// The file, where it is known.
    pub id: Option<FileId>,
    /// Other kinds of evidence that name the same file.
    pub corroborated_by: Vec<Evidence>,
    /// Whether an exclusion may count.
    pub confidence: Confidence,
    /// The file has lost its name since it was started.
    pub is_replaced: bool,
    /// Programs that contradicting evidence names.
    pub candidates: Vec<Candidate>,
}

impl Attribution {
    /// No program is established.
    pub fn unknown(doubt: Doubt, candidates: Vec<Candidate>) -> Self {
        Self {
            evidence: Evidence::Unknown,
            path: None,
            id: None,
            corroborated_by: Vec::new(),
            confidence: Confidence::Doubted(doubt),
            is_replaced: false,
            candidates,
        }
    }

    /// The named program, otherwise the candidates.
    pub fn into_candidates(self) -> Vec<Candidate> {
        if self.path.is_some() || self.id.is_some() {
            vec![Candidate { evidence: self.evidence, path: self.path, id: self.id }]
        } else {
            self.candidates
        }
    }

    /// The same with a doubt. An earlier doubt stays.
    #[must_use]
    pub fn with_doubt(self, doubt: Doubt) -> Self {
        Self { confidence: self.confidence.with_doubt(doubt), ..self }
    }
}

impl History<'_> {
    /// Compares the evidence and applies the decision table.
    pub fn decide(&self) -> Attribution {
        if self.has_only_failed_starts() {
            let history = Self { before: Vec::new(), after: Vec::new(), ..self.clone() };
            return history.attribution(history.agreement());
        }
        self.attribution(self.agreement())
    }

    /// Execs are counted and none was completed, so every recorded start failed. If the current program is among
    /// them, an exec is under way or died before it was complete.
    fn has_only_failed_starts(&self) -> bool {
        let current_is_unchanged = self.is_quiet && self.current.is_some();
        let started_current = |current| self.before.iter().chain(&self.after).any(|program| is_file(program, current));
        !current_is_unchanged
            && self.execs == Some(0)
            && self.starts() > 0
            && !self.current.as_ref().is_some_and(started_current)
    }

    fn agreement(&self) -> Agreement {
        let execs_and_records = self.execs.map(|execs| execs.cmp(&self.starts()));
        let Some(current) = &self.current else { return self.without_current(execs_and_records) };
        if self.is_quiet || (self.execs == Some(0) && self.starts() == 0) {
            return self.current_wrote(current);
        }
        match execs_and_records {
            Some(Ordering::Equal) => self.every_start_counted(current),
            Some(Ordering::Less) => self.some_starts_failed(current),
            Some(Ordering::Greater) => Agreement::UnrecordedProgram,
            None => self.execs_not_counted(current),
        }
    }

    /// Neither `/proc` nor an exit record shows what the process ran.
    fn without_current(&self, execs_and_records: Option<Ordering>) -> Agreement {
        match execs_and_records {
            Some(Ordering::Equal) if self.before.is_empty() && !self.may_have_inherited => {
                Agreement::UnconfirmedLineage
            }
            Some(Ordering::Equal) => self.if_recorded(Agreement::RecordedOnly),
            Some(Ordering::Less) => Agreement::UnclearFailedStart,
            Some(Ordering::Greater) => Agreement::UnrecordedProgram,
            None if self.starts() == 0 && self.inherited.is_none() => Agreement::NoRecord,
            None => Agreement::EndedUncounted,
        }
    }

    /// Nothing else ran between the write and the reading of the current program.
    fn current_wrote(&self, current: &CurrentProgram<'_>) -> Agreement {
        if is_proc(current) { self.compare_with_proc(current) } else { self.compare_with_exit_record(current) }
    }

    /// A process in its own user namespace can choose the executable that `/proc` shows (PR_SET_MM_MAP), so a record
    /// must not contradict it. It cannot choose which of its starts fail.
    fn compare_with_proc(&self, current: &CurrentProgram<'_>) -> Agreement {
        let Some(expected) = self.expected() else { return Agreement::NothingRecorded };
        let may_be_unrecorded = current.may_be_unrecorded;
        if is_file(expected, current) && (may_be_unrecorded || self.execs.is_none_or(|execs| execs == self.starts())) {
            return Agreement::Agrees;
        }
        let is_counted = self.every_exec_has_a_record();
        if is_counted && expected.is_unseen() && may_be_unrecorded {
            Agreement::Unmarked
        } else if is_counted && is_name(expected, current) && was_replaced(expected, current) {
            Agreement::Replaced
        } else if is_counted && is_below(expected, current) {
            Agreement::BehindOverlay
        } else if !may_be_unrecorded {
            Agreement::Contradicts
        } else if !is_counted && self.began_with(current) {
            Agreement::FailedStart
        } else if self.execs > Some(self.starts()) {
            Agreement::ExtraExec
        } else if self.before.is_empty() {
            Agreement::ReparentedClone
        } else {
            Agreement::Contradicts
        }
    }

    fn compare_with_exit_record(&self, current: &CurrentProgram<'_>) -> Agreement {
        let expected = self.expected();
        if self.path_of_exit_record(current).is_some() {
            return match expected.filter(|program| is_file(program, current)) {
                Some(program) if program.is_older_than(current.since) => Agreement::Agrees,
                Some(_) => Agreement::YoungFile,
                None => Agreement::EarlierProgram,
            };
        }
        let is_counted = self.every_exec_has_a_record();
        match expected {
            None => Agreement::PathUnknown,
            Some(program) if is_counted && may_have_been(program, current) => {
                self.if_recorded(Agreement::ReplacedAfterEnd)
            }
            Some(program) if is_counted && program.is_unseen() => Agreement::Unmarked,
            Some(_) => Agreement::Contradicts,
        }
    }

    /// Every completed exec has a record and every record an exec. The writer is still in doubt. The kernel makes the
    /// record when it opens the file, so a thread or io_uring of the previous program may have written during the exec.
    fn every_start_counted(&self, current: &CurrentProgram<'_>) -> Agreement {
        if self.had_threads {
            return Agreement::OtherThreads;
        }
        let Some(last_start) = self.after.last() else { return self.current_wrote(current).near_an_exec() };
        // `/proc` was read before the next start.
        if is_proc(current) && self.expects(current) && !self.ran_after(current) {
            return self.current_wrote(current).near_an_exec();
        }
        if is_file(last_start, current) || may_have_been(last_start, current) {
            self.if_recorded(Agreement::RanSince)
        } else {
            Agreement::Contradicts
        }
    }

    /// More records than completed execs. The current program shows which start succeeded, unless it is the last
    /// start. An exec that dies under way leaves its file as the executable without counting as completed.
    fn some_starts_failed(&self, current: &CurrentProgram<'_>) -> Agreement {
        let is_last_start = self.after.is_empty() && self.before.last().is_some_and(|last| is_file(last, current));
        // The process must not be able to choose which start seems to have failed.
        let is_reliable = !is_proc(current) || current.may_be_unrecorded;
        let ran_before = self.before.iter().any(|program| is_file(program, current));
        if ran_before && !is_last_start && !self.ran_after(current) && is_reliable {
            Agreement::LaterStartFailed
        } else {
            Agreement::UnclearFailedStart
        }
    }

    /// Without the process connector the current program counts where no record contradicts it.
    fn execs_not_counted(&self, current: &CurrentProgram<'_>) -> Agreement {
        let (is_first, is_expected) = (self.starts() == 0, self.expects(current));
        if is_first && is_proc(current) {
            self.current_wrote(current)
        } else if is_expected && self.after.is_empty() && is_proc(current) {
            self.current_wrote(current).near_an_exec()
        } else if is_first || is_expected && !self.ran_after(current) {
            self.current_wrote(current).without_counted_execs()
        } else if self.after.is_empty() {
            Agreement::Contradicts
        } else {
            Agreement::RanSinceUncounted
        }
    }

    /// The agreement, if a record can name the program that wrote.
    fn if_recorded(&self, agreement: Agreement) -> Agreement {
        match self.expected() {
            None => Agreement::NoRecord,
            Some(program) if program.is_unseen() => Agreement::UnrecordedProgram,
            Some(_) => agreement,
        }
    }

    fn attribution(&self, agreement: Agreement) -> Attribution {
        match (agreement.decision(), &self.current) {
            (Decision::Current(confidence), Some(current)) => {
                self.current_program(agreement, current, Vec::new(), confidence)
            }
            (Decision::Corroborated(confidence), Some(current)) => {
                self.current_program(agreement, current, vec![self.expected_evidence()], confidence)
            }
            (Decision::Recorded(doubt), _) => self.recorded_program(doubt),
            (Decision::Nobody(doubt), _) => Attribution::unknown(doubt, self.candidates()),
            (_, None) => Attribution::unknown(Doubt::NoRecord, self.candidates()),
        }
    }

    fn current_program(
        &self,
        agreement: Agreement,
        current: &CurrentProgram<'_>,
        corroborated_by: Vec<Evidence>,
        confidence: Confidence,
    ) -> Attribution {
        let path = match agreement {
            _ if current.path.is_some() => current.path,
            Agreement::LaterStartFailed => self.started_before(current),
            _ => self.path_of_exit_record(current),
        };
        Attribution {
            evidence: current.evidence,
            path: path.map(Path::to_path_buf),
            id: current.id,
            corroborated_by,
            confidence,
            is_replaced: false,
            candidates: Vec::new(),
        }
    }

    fn recorded_program(&self, doubt: Doubt) -> Attribution {
        let Some(program) = self.expected() else { return Attribution::unknown(doubt, self.candidates()) };
        // The current program is this one only if no other was started after it.
        let current = self.current.filter(|_| self.after.is_empty());
        Attribution {
            evidence: self.expected_evidence(),
            path: program.path.clone(),
            id: current.map_or(program.id, |current| current.id),
            corroborated_by: Vec::new(),
            confidence: Confidence::Doubted(doubt),
            is_replaced: match current {
                Some(current) => program.device == current.id.map(|id| id.device) && program.id != current.id,
                None => program.id.is_none(),
            },
            candidates: Vec::new(),
        }
    }

    /// The programs that the evidence names, each once, the likeliest first.
    fn candidates(&self) -> Vec<Candidate> {
        let of =
            |evidence, program: &LocatedProgram| Candidate { evidence, path: program.path.clone(), id: program.id };
        let expected = self.expected().map(|program| of(self.expected_evidence(), program));
        let current = self.current.map(|current| Candidate {
            evidence: current.evidence,
            path: current.path.map(Path::to_path_buf),
            id: current.id,
        });
        let starts = self.after.iter().chain(self.before.iter().rev());
        let starts = starts.map(|program| of(Evidence::ExecRecord, program));
        let inherited = self.inherited.map(|program| of(Evidence::ForkLineage, program));
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in expected.into_iter().chain(current).chain(starts).chain(inherited) {
            let is_empty = candidate.path.is_none() && candidate.id.is_none();
            let is_known = candidates.iter().any(|known| {
                candidate.path.is_some() && known.path == candidate.path
                    || candidate.id.is_some() && known.id == candidate.id
            });
            if !is_empty && !is_known && candidates.len() < Writer::MAX_CANDIDATES {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Recorded starts before and after the write.
    fn starts(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn every_exec_has_a_record(&self) -> bool {
        self.execs == Some(self.starts())
    }

    /// The program at the time of the write, if every start succeeded.
    fn expected(&self) -> Option<&LocatedProgram> {
        self.before.last().copied().or(self.inherited)
    }

    /// The kind of record that names [`History::expected`].
    fn expected_evidence(&self) -> Evidence {
        if self.before.is_empty() { Evidence::ForkLineage } else { Evidence::ExecRecord }
    }

    fn expects(&self, current: &CurrentProgram<'_>) -> bool {
        self.expected().is_some_and(|program| is_file(program, current))
    }

    /// Whether it inherited the current program or began to start it before the write.
    fn began_with(&self, current: &CurrentProgram<'_>) -> bool {
        self.inherited.into_iter().chain(self.before.iter().copied()).any(|program| is_file(program, current))
    }

    /// Whether the current program is one of those started after the write.
    fn ran_after(&self, current: &CurrentProgram<'_>) -> bool {
        self.after.iter().any(|program| is_file(program, current) || is_name(program, current))
    }

    fn started_before(&self, current: &CurrentProgram<'_>) -> Option<&Path> {
        self.before.iter().find(|program| is_file(program, current))?.path.as_deref()
    }

    /// A path of the file in the exit record. When every start has its record, only the last program before the write
    /// can have it. A process in its own user namespace can put an earlier program into its exit record.
    fn path_of_exit_record(&self, current: &CurrentProgram<'_>) -> Option<&Path> {
        let is_settled = self.every_exec_has_a_record() && self.before.last().is_some_and(|last| !last.is_unseen());
        let earlier = || self.inherited.into_iter().chain(self.before.iter().copied()).filter(|_| !is_settled);
        let sibling = || {
            let sibling = self.of_sibling.filter(|_| self.before.is_empty());
            sibling.filter(|program| is_file(program, current) && program.is_older_than(current.since))
        };
        let expected = self.expected().filter(|program| is_file(program, current));
        let found = expected.or_else(|| earlier().find(|program| is_file(program, current))).or_else(sibling);
        found?.path.as_deref()
    }
}

/// Whether this is the very file of the current program.
fn is_file(program: &LocatedProgram, current: &CurrentProgram<'_>) -> bool {
    program.id.is_some() && program.id == current.id
}

fn is_proc(current: &CurrentProgram<'_>) -> bool {
    current.evidence == Evidence::Proc
}

fn is_name(program: &LocatedProgram, current: &CurrentProgram<'_>) -> bool {
    program.path.is_some() && program.path.as_deref() == current.path
}

/// Whether the current program's file may have had this path when it was started.
fn may_have_been(program: &LocatedProgram, current: &CurrentProgram<'_>) -> bool {
    was_replaced(program, current) || is_below(program, current)
}

/// Whether the path is gone, or got its file later, on the same filesystem.
fn was_replaced(program: &LocatedProgram, current: &CurrentProgram<'_>) -> bool {
    let is_same_device = current.id.is_some_and(|id| program.device == Some(id.device));
    is_same_device && (program.id.is_none() || !program.is_older_than(current.since))
}

/// Whether a filesystem above shows the file with its own device number (overlay, btrfs).
fn is_below(program: &LocatedProgram, current: &CurrentProgram<'_>) -> bool {
    let (Some(below), Some(above)) = (program.id, current.id) else { return false };
    above.device.0 == 0 && below.device != above.device && below.inode == above.inode
}

#[cfg(test)]
mod tests;
