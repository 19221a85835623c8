//! Which program wrote? Decided from what the records and `/proc` say together.
//!
//! Each kind of evidence lies somewhere: an exec record also tells of a program that could not be run
//! and none of one that lies in memory (memfd) or on a filesystem without a mark; what a process runs
//! last is not what it ran when it wrote. The number of completed execs (process connector) settles
//! it: when every completed exec has its record and every record its exec, the program at the time of
//! the write is known. Otherwise only what cannot be otherwise is named, and the rest are candidates.
//!
//! Pure.

use super::program::Resolved;
use crate::event::{Candidate, Confidence, Doubt, Evidence, FileId, Writer};
use std::path::{Path, PathBuf};

/// What is known about the programs of one process around one write.
#[derive(Clone, Debug, Default)]
pub struct Case<'a> {
    /// What it ran when it was looked at, or when it ended.
    pub last: Option<Last<'a>>,
    /// What it ran when it was forked, or when the records began.
    pub inherited: Option<&'a Resolved>,
    /// It ended with the name that goes with that.
    pub may_have_inherited: bool,
    /// Programs that it began to start before the write, scripts and loaders left out.
    pub before: Vec<&'a Resolved>,
    /// Programs that it began to start after the write.
    pub after: Vec<&'a Resolved>,
    /// Execs that it completed; `None` when that is not told.
    pub execs: Option<usize>,
    /// It is told that it completed no exec from before the write until `last`.
    pub is_quiet: bool,
    /// It had more than one thread before it started the program that it ran last.
    pub had_threads: bool,
    /// What a sibling ran, if it is the file seen last: a process can make a child that is told as its sibling
    /// (CLONE_PARENT).
    pub of_sibling: Option<&'a Resolved>,
}

/// What a process ran at the end of what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Last<'a> {
    /// How that is known: [`Evidence::Proc`] or [`Evidence::ExitRecord`].
    pub by: Evidence,
    /// Path, which exit records do not tell.
    pub path: Option<&'a Path>,
    /// The file.
    pub id: Option<FileId>,
    /// It can be a program whose start left no record.
    pub may_be_unrecorded: bool,
    /// It ran since this time at the latest (CLOCK_MONOTONIC): its last exec, else its fork.
    pub since: Option<u64>,
}

/// What was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// How.
    pub evidence: Evidence,
    /// The path; `None` with [`Evidence::Unknown`], and where only the file is known.
    pub path: Option<PathBuf>,
    /// The file, where it is known.
    pub id: Option<FileId>,
    /// Other kinds of evidence that say the same.
    pub corroborated_by: Vec<Evidence>,
    /// Whether it is established well enough for an exclusion.
    pub confidence: Confidence,
    /// The file has lost its name since it was started.
    pub is_replaced: bool,
    /// What contradicts each other.
    pub candidates: Vec<Candidate>,
}

impl Named {
    /// Nobody, why not, and who it may be.
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

    /// The same with a doubt. An earlier one stays.
    pub fn with_doubt(self, doubt: Doubt) -> Self {
        Self { confidence: self.confidence.with_doubt(doubt), ..self }
    }
}

impl Case<'_> {
    /// Decides.
    pub fn judge(&self) -> Named {
        match (&self.last, self.execs) {
            // Nothing else ran between the write and what was seen last.
            (Some(last), _) if self.is_quiet => self.is_last(last),
            // Whatever it tried to start, it is what it was from the first.
            (_, Some(0)) if self.total() > 0 && !self.began_to_start_last() => {
                Self { before: Vec::new(), after: Vec::new(), ..self.clone() }.judge()
            }
            (Some(last), Some(0)) if self.total() == 0 => self.is_last(last),
            (_, Some(execs)) if execs == self.total() => self.accounted(),
            (Some(last), Some(execs)) if execs < self.total() => self.some_failed(last),
            (_, Some(execs)) if execs < self.total() => self.unknown(Doubt::ExecFailed),
            (_, Some(_)) => self.unknown(Doubt::NoExecRecord),
            (Some(last), None) => self.uncounted(last),
            (None, None) if self.total() == 0 && self.inherited.is_none() => self.unknown(Doubt::NoRecord),
            (None, None) => self.unknown(Doubt::ExecsUncounted),
        }
    }

    fn total(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Whether what was seen last is among the programs it began to start: then an exec is under way, or died so.
    fn began_to_start_last(&self) -> bool {
        let starts = || self.before.iter().chain(&self.after);
        self.last.as_ref().is_some_and(|last| starts().any(|program| is_file(program, last)))
    }

    fn is_accounted(&self) -> bool {
        self.execs == Some(self.total())
    }

    /// The program at the time of the write, if every start succeeded.
    fn expected(&self) -> Option<&Resolved> {
        self.before.last().copied().or(self.inherited)
    }

    /// The kind of record that tells [`Case::expected`].
    fn expected_by(&self) -> Evidence {
        if self.before.is_empty() { Evidence::ForkLineage } else { Evidence::ExecRecord }
    }

    /// What was seen last is what wrote.
    fn is_last(&self, last: &Last<'_>) -> Named {
        let same = self.expected().filter(|expected| is_file(expected, last));
        let agreeing: Vec<Evidence> = same.map(|_| self.expected_by()).into_iter().collect();
        if is_proc(last) {
            // A process in a user namespace of its own can have any executable shown as its own
            // (PR_SET_MM_MAP): what was recorded must not say otherwise.
            // Nor can it choose which of its starts failed.
            let is_told = last.may_be_unrecorded || self.execs.is_none_or(|execs| execs == self.total());
            return match self.expected() {
                Some(_) if same.is_some() && is_told => named(last, last.path, agreeing, Confidence::Confirmed),
                None => named(last, last.path, agreeing, Confidence::Confirmed),
                Some(program) if program.is_unseen() && self.is_accounted() && last.may_be_unrecorded => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::NoExecRecord))
                }
                Some(program) if self.is_accounted() && is_name(program, last) && was_replaced(program, last) => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::OneRecord))
                }
                Some(program) if self.is_accounted() && is_below(program, last) => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::OneRecord))
                }
                Some(_) if !self.is_accounted() && self.began_with(last) && last.may_be_unrecorded => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::ExecFailed))
                }
                Some(_) if self.execs > Some(self.total()) && last.may_be_unrecorded => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::NoExecRecord))
                }
                // With CLONE_PARENT the lineage is that of another process.
                Some(_) if self.before.is_empty() && last.may_be_unrecorded => {
                    named(last, last.path, agreeing, Confidence::Doubted(Doubt::Disagreement))
                }
                Some(_) => self.unknown(Doubt::Disagreement),
            };
        }
        // Where every start is accounted for, no earlier program than the last one can have been it; but a process
        // in a user namespace of its own can have an earlier one told at its end.
        let is_told = self.is_accounted() && self.before.last().is_some_and(|program| !program.is_unseen());
        let known = [self.inherited].into_iter().flatten().chain(self.before.iter().copied()).filter(|_| !is_told);
        let path = same.or_else(|| known.into_iter().find(|program| is_file(program, last)));
        let of_sibling = self.of_sibling.filter(|program| is_file(program, last) && program.is_older_than(last.since));
        let path = path.or(of_sibling.filter(|_| self.before.is_empty()));
        let path = path.and_then(|program| program.path.as_deref());
        match (path, self.expected()) {
            (Some(path), _) => {
                // Of a file that is younger than the process nobody knows whether it is another one with the same
                // inode number.
                let agrees = same.is_some_and(|program| program.is_older_than(last.since));
                named(
                    last,
                    Some(path),
                    agreeing,
                    if agrees { Confidence::Confirmed } else { Confidence::Doubted(Doubt::OneRecord) },
                )
            }
            // Its name is gone or another file's by now.
            (None, Some(expected)) if self.is_accounted() && may_have_been(expected, last) => {
                self.by_records(Doubt::OneRecord)
            }
            (None, Some(expected)) if expected.is_unseen() && self.is_accounted() => {
                named(last, None, agreeing, Confidence::Doubted(Doubt::NoExecRecord))
            }
            (None, Some(_)) => self.unknown(Doubt::Disagreement),
            (None, None) => named(last, None, agreeing, Confidence::Doubted(Doubt::PathUnknown)),
        }
    }

    /// Whether it had begun to start what was seen last before the write, or had inherited it.
    fn began_with(&self, last: &Last<'_>) -> bool {
        self.inherited.into_iter().chain(self.before.iter().copied()).any(|program| is_file(program, last))
    }

    /// Every completed exec has its record, and the other way round. Named, but not sure: the record is made
    /// when the file is opened, so a thread or an io_uring of the program before may have written while the exec
    /// was under way.
    fn accounted(&self) -> Named {
        let Some(last) = &self.last else {
            let is_doubtful = self.before.is_empty() && !self.may_have_inherited;
            return if is_doubtful { self.unknown(Doubt::LineageOnly) } else { self.by_records(Doubt::OneRecord) };
        };
        if self.had_threads {
            return self.unknown(Doubt::OtherThreads);
        }
        let ends_as_recorded = |program: Option<&Resolved>| program.is_some_and(|program| is_file(program, last));
        if self.after.is_empty() {
            return match self.expected() {
                Some(program) if !is_file(program, last) && may_have_been(program, last) && !is_proc(last) => {
                    self.by_records(Doubt::OneRecord)
                }
                _ => self.is_last(last).with_doubt(Doubt::JustStarted),
            };
        }
        // Looked at before it started the next one.
        if is_proc(last) && ends_as_recorded(self.expected()) && !self.ran_after(last) {
            return self.is_last(last).with_doubt(Doubt::JustStarted);
        }
        match self.after.last() {
            Some(program) if is_file(program, last) || may_have_been(program, last) => self.by_records(Doubt::RanSince),
            _ => self.unknown(Doubt::Disagreement),
        }
    }

    /// More records than completed execs: what it ran last tells which of them succeeded. Not if that is the
    /// last of them: an exec that dies under way leaves its file as the executable, and is not told as completed.
    fn some_failed(&self, last: &Last<'_>) -> Named {
        let ran_before = self.before.iter().find(|program| is_file(program, last));
        let is_last_start = self.after.is_empty() && self.before.last().is_some_and(|program| is_file(program, last));
        // What it is shown as decides which start failed, so it must not be what it can choose.
        let can_choose = is_proc(last) && !last.may_be_unrecorded;
        match ran_before {
            Some(program) if !is_last_start && !self.ran_after(last) && !can_choose => {
                let path = last.path.or(program.path.as_deref());
                named(last, path, vec![Evidence::ExecRecord], Confidence::Doubted(Doubt::ExecFailed))
            }
            _ => self.unknown(Doubt::ExecFailed),
        }
    }

    /// Without the process connector: what was seen last counts where no record contradicts it.
    fn uncounted(&self, last: &Last<'_>) -> Named {
        let expected = self.expected().is_some_and(|expected| is_file(expected, last));
        let unsure = || self.is_last(last).with_doubt(Doubt::ExecsUncounted);
        match (self.total(), last.by) {
            (0, Evidence::Proc) => self.is_last(last),
            (0, _) => unsure(),
            _ if expected && self.after.is_empty() && is_proc(last) => {
                self.is_last(last).with_doubt(Doubt::JustStarted)
            }
            _ if expected && !self.ran_after(last) => unsure(),
            _ if self.after.is_empty() => self.unknown(Doubt::Disagreement),
            _ => self.unknown(Doubt::RanSince),
        }
    }

    /// Whether what was seen last is one of the programs started after the write.
    fn ran_after(&self, last: &Last<'_>) -> bool {
        self.after.iter().any(|program| is_file(program, last) || is_name(program, last))
    }

    /// Names what exec records or the lineage tell.
    fn by_records(&self, doubt: Doubt) -> Named {
        let Some(program) = self.expected() else { return self.unknown(Doubt::NoRecord) };
        if program.is_unseen() {
            return self.unknown(Doubt::NoExecRecord);
        }
        // What was seen last tells of this program only if no other came after it.
        let last = self.last.filter(|_| self.after.is_empty());
        Named {
            evidence: self.expected_by(),
            path: program.path.clone(),
            id: last.map_or(program.id, |last| last.id),
            is_replaced: match last {
                Some(last) => program.device == last.id.map(|id| id.device) && program.id != last.id,
                None => program.id.is_none(),
            },
            corroborated_by: Vec::new(),
            confidence: Confidence::Doubted(doubt),
            candidates: Vec::new(),
        }
    }

    /// Names nobody, and tells what contradicts each other.
    fn unknown(&self, doubt: Doubt) -> Named {
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut add = |candidate: Candidate| {
            let is_empty = candidate.path.is_none() && candidate.id.is_none();
            let is_known = candidates.iter().any(|known| {
                candidate.path.is_some() && known.path == candidate.path
                    || candidate.id.is_some() && known.id == candidate.id
            });
            if !is_empty && !is_known && candidates.len() < Writer::MAX_CANDIDATES {
                candidates.push(candidate);
            }
        };
        if let Some(program) = self.expected() {
            add(Candidate { evidence: self.expected_by(), path: program.path.clone(), id: program.id });
        }
        if let Some(last) = &self.last {
            add(Candidate { evidence: last.by, path: last.path.map(Path::to_path_buf), id: last.id });
        }
        for program in self.after.iter().chain(self.before.iter().rev()) {
            add(Candidate { evidence: Evidence::ExecRecord, path: program.path.clone(), id: program.id });
        }
        if let Some(program) = self.inherited {
            add(Candidate { evidence: Evidence::ForkLineage, path: program.path.clone(), id: program.id });
        }
        Named::unknown(doubt, candidates)
    }
}

fn named(last: &Last<'_>, path: Option<&Path>, agreeing: Vec<Evidence>, confidence: Confidence) -> Named {
    Named {
        evidence: last.by,
        path: path.map(Path::to_path_buf),
        id: last.id,
        corroborated_by: agreeing,
        confidence,
        is_replaced: false,
        candidates: Vec::new(),
    }
}

/// Whether this is the very file that was seen last.
fn is_file(program: &Resolved, last: &Last<'_>) -> bool {
    program.id.is_some() && program.id == last.id
}

fn is_proc(last: &Last<'_>) -> bool {
    last.by == Evidence::Proc
}

fn is_name(program: &Resolved, last: &Last<'_>) -> bool {
    program.path.is_some() && program.path.as_deref() == last.path
}

/// Whether the file seen last can have had this name when it was started.
fn may_have_been(program: &Resolved, last: &Last<'_>) -> bool {
    was_replaced(program, last) || is_below(program, last)
}

/// Whether the name is gone, or has got its file since, on the same filesystem.
fn was_replaced(program: &Resolved, last: &Last<'_>) -> bool {
    let is_near = last.id.is_some_and(|id| program.device == Some(id.device));
    is_near && (program.id.is_none() || !program.is_older_than(last.since))
}

/// Whether a filesystem above shows the file under a device number of its own (overlay, btrfs).
fn is_below(program: &Resolved, last: &Last<'_>) -> bool {
    let (Some(below), Some(above)) = (program.id, last.id) else { return false };
    above.device.0 == 0 && below.device != above.device && below.inode == above.inode
}

#[cfg(test)]
mod tests;
