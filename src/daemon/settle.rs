//! One change, one alert: the records of the kernel about one path are merged until the content is
//! complete, or for [`MAX_WAIT`] after the first one when the writer never closes the file.
//!
//! Pure: time comes in with the events.

use crate::event::{Action, Change, Confidence, FileEvent, Process, Writer};
use crate::rules::Exclusion;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for a writer to finish. Python runs an unfinished file all the same.
pub const MAX_WAIT: Duration = Duration::from_millis(500);

/// Paths waited for at once; past it the oldest is given out unfinished.
const MAX_PENDING: usize = 2048;

/// Finished changes that are remembered, to know a late close for what it is.
const MAX_REMEMBERED: usize = 2048;

/// What identifies the outcome of a change: the same again is not another change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Inode and device.
    pub inode: Option<(u64, (u32, u32))>,
    /// Size, modification time.
    pub size: Option<u64>,
    /// Last content change.
    pub modified: Option<std::time::SystemTime>,
    /// Hash of the content.
    pub sha256: Option<[u8; 32]>,
    /// Pids of the writers. Not their start times: a writer may be gone at its late close.
    pub writers: Vec<u32>,
}

impl Outcome {
    /// The same file by some of the same writers: each child that inherited the descriptor closes it
    /// once more.
    fn is_part_of(&self, known: &Self) -> bool {
        let same_writers = Self { writers: known.writers.clone(), ..self.clone() };
        same_writers == *known && self.writers.iter().all(|pid| known.writers.contains(pid))
    }
}

/// What is remembered of a finished change.
#[derive(Debug)]
struct Reported {
    outcome: Outcome,
    /// When the kernel told that this name appeared, if it did.
    appeared: Option<Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Settle {
    pending: HashMap<PathBuf, Change>,
    /// Paths by deadline. A path may stand here after it was given out: then its change is younger.
    deadlines: VecDeque<(Instant, PathBuf)>,
    /// Paths whose change is complete since the last end of a read.
    finished: Vec<PathBuf>,
    reported: HashMap<PathBuf, Reported>,
    reported_order: VecDeque<PathBuf>,
}

impl Settle {
    /// Takes a record. Gives changes that must make room; a complete one comes from
    /// [`Settle::end_of_read`].
    pub fn observe(&mut self, event: FileEvent) -> Vec<Change> {
        let path = event.file.path.clone();
        if event.listed && self.has_appeared_since(&path, event.seen.monotonic) {
            return Vec::new();
        }
        if event.complete {
            self.finished.push(path.clone());
        }
        match self.pending.get_mut(&path) {
            Some(change) => merge(change, event),
            None => {
                self.deadlines.push_back((event.seen.monotonic + MAX_WAIT, path.clone()));
                self.pending.insert(path, Change::from(event));
            }
        }
        let mut done = Vec::new();
        while self.pending.len() > MAX_PENDING
            && let Some((_, oldest)) = self.deadlines.pop_front()
        {
            done.extend(self.pending.remove(&oldest));
        }
        done
    }

    /// The changes that are complete, now that all records that were queued together are here. Not
    /// before: the kernel adds a close to a record of the same process that is still queued, and so
    /// possibly before the writes of its children through the same descriptor.
    pub fn end_of_read(&mut self) -> Vec<Change> {
        let mut done = Vec::new();
        for path in self.finished.drain(..) {
            // Given out already, it may have a younger change that is not complete.
            if self.pending.get(&path).is_some_and(|change| change.complete) {
                done.extend(self.pending.remove(&path));
            }
        }
        done
    }

    /// The changes whose time is up.
    pub fn due(&mut self, now: Instant) -> Vec<Change> {
        let mut done = Vec::new();
        while let Some((deadline, path)) = self.deadlines.front()
            && *deadline <= now
        {
            // A younger change of the same path has its own deadline further back.
            if self.pending.get(path).is_some_and(|change| change.first.monotonic + MAX_WAIT <= now) {
                done.extend(self.pending.remove(path));
            }
            self.deadlines.pop_front();
        }
        done
    }

    /// When [`Settle::due`] may next give something.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// Everything that is waited for, finished or not.
    pub fn flush(&mut self) -> Vec<Change> {
        self.deadlines.clear();
        self.finished.clear();
        let mut rest: Vec<_> = self.pending.drain().map(|(_, change)| change).collect();
        rest.sort_by_key(|change| change.first.monotonic);
        rest
    }

    /// Whether the name was made after this moment, by the kernel's own record. What a listing finds
    /// under it did not come with the directory, whose writer and former name must not be put to it.
    fn has_appeared_since(&self, path: &Path, moment: Instant) -> bool {
        let pending = self.pending.get(path).and_then(appeared);
        let reported = self.reported.get(path).and_then(|reported| reported.appeared);
        pending.max(reported) > Some(moment)
    }

    /// Remembers the outcome of a change. `false`: it is the one already reported for this path, by
    /// the same writers: a late close, or the second record of a rename.
    pub fn is_news(&mut self, change: &Change, outcome: Outcome) -> bool {
        let path = &change.file.path;
        let appeared = appeared(change);
        if let Some(known) = self.reported.get_mut(path) {
            known.appeared = known.appeared.max(appeared);
            if outcome.is_part_of(&known.outcome) {
                return false;
            }
            known.outcome = outcome;
            return true;
        }
        self.reported.insert(path.clone(), Reported { outcome, appeared });
        self.reported_order.push_back(path.clone());
        if self.reported_order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.reported_order.pop_front()
        {
            self.reported.remove(&oldest);
        }
        true
    }
}

/// When the kernel told that the change's name appeared.
fn appeared(change: &Change) -> Option<Instant> {
    (change.action != Action::Change).then_some(change.first.monotonic)
}

fn merge(change: &mut Change, event: FileEvent) {
    // A name that appeared stays a creation; whatever else happened, a rename brought the content.
    if event.action == Action::Rename || change.action == Action::Change {
        change.action = event.action;
    }
    // The name may now be in another directory of the same path, or be another file.
    change.file = event.file;
    change.classification = event.classification;
    change.previous_path = event.previous_path.or(change.previous_path.take());
    change.complete |= event.complete;
    change.records = change.records.saturating_add(1);
    change.last = event.seen;
    add_writer(change, event.writer);
}

fn add_writer(change: &mut Change, writer: Arc<Writer>) {
    if let Some(known) = change.writers.iter_mut().find(|known| same(known.process.as_ref(), writer.process.as_ref())) {
        // Of one process seen twice the better evidence is kept, with the doubts of both.
        let doubts = [known, &writer].map(|writer| Exclusion::of(writer).doubt());
        if known.executable().is_none() && writer.executable().is_some() {
            *known = writer;
        }
        if let Some(doubt) = doubts.into_iter().flatten().next()
            && known.confidence == Confidence::Confirmed
        {
            Arc::make_mut(known).confidence = Confidence::Doubted(doubt);
        }
    } else if change.writers.len() < Change::MAX_WRITERS {
        change.writers.push(writer);
    } else {
        change.more_writers = true;
    }
}

/// Whether two looks saw one process running one program. A process that has run exec in between
/// counts as two writers: whatever excludes must hold for both.
fn same(one: Option<&Process>, other: Option<&Process>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let path = |process: &Process| process.executable.as_ref().map(|executable| executable.path.clone());
            let (one_path, other_path) = (path(one), path(other));
            one.pid == other.pid
                && !(one.start_time.is_some() && other.start_time.is_some() && one.start_time != other.start_time)
                && !(one_path.is_some() && other_path.is_some() && one_path != other_path)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Doubt, Evidence, Executable, FileRef, Seen};
    use std::time::SystemTime;

    struct Clock(Instant);

    impl Clock {
        fn at(&self, milliseconds: u64) -> Seen {
            Seen { wall: SystemTime::UNIX_EPOCH, monotonic: self.0 + Duration::from_millis(milliseconds) }
        }
    }

    fn writer(pid: u32, executable: &str) -> Arc<Writer> {
        let executable = (!executable.is_empty()).then(|| Executable {
            path: executable.into(),
            deleted: false,
            is_host_file: true,
        });
        let evidence = if executable.is_some() { Evidence::Proc } else { Evidence::Unknown };
        let process = Some(Process { pid, start_time: Some(1), executable, ..Process::default() });
        Arc::new(Writer { evidence, process, ..Writer::unknown(Doubt::NoRecord) })
    }

    fn event(path: &str, action: Action, complete: bool, seen: Seen) -> FileEvent {
        FileEvent {
            action,
            complete,
            is_directory: false,
            listed: false,
            classification: None,
            file: FileRef { path: path.into(), directory: None },
            previous_path: None,
            writer: writer(7, "/bin/cp"),
            seen,
        }
    }

    fn change(path: &str) -> Change {
        Change::from(event(path, Action::Creation, true, Seen::now()))
    }

    fn outcome(size: u64) -> Outcome {
        Outcome { inode: Some((1, (8, 1))), size: Some(size), modified: None, sha256: None, writers: vec![7] }
    }

    #[test]
    fn create_write_close_is_one_creation_given_at_the_close() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        assert!(settle.observe(event("/a.pth", Action::Creation, false, clock.at(0))).is_empty());
        assert!(settle.observe(event("/a.pth", Action::Change, false, clock.at(1))).is_empty());
        assert!(settle.observe(event("/a.pth", Action::Change, true, clock.at(2))).is_empty());
        let done = settle.end_of_read();
        assert_eq!(done.len(), 1);
        assert_eq!((done[0].action, done[0].complete, done[0].records), (Action::Creation, true, 3));
        assert_eq!(done[0].writers.len(), 1);
        assert!(settle.due(clock.at(10_000).monotonic).is_empty());
    }

    #[test]
    fn a_close_that_stands_before_the_writes_of_others_in_one_read_is_still_one_change() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        let mut child = event("/a.pth", Action::Change, false, clock.at(5));
        child.writer = writer(8, "/bin/echo");
        settle.observe(event("/a.pth", Action::Creation, true, clock.at(5)));
        settle.observe(child);
        let done = settle.end_of_read();
        assert_eq!((done.len(), done[0].writers.len(), done[0].records), (1, 2, 2));
        assert!(settle.flush().is_empty());
    }

    #[test]
    fn a_finished_change_does_not_end_a_younger_one_of_the_same_path() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        settle.observe(event("/a.pth", Action::Change, true, clock.at(0)));
        assert_eq!(settle.end_of_read().len(), 1);
        settle.observe(event("/a.pth", Action::Change, false, clock.at(1)));
        assert!(settle.end_of_read().is_empty());
        assert!(settle.due(clock.at(500).monotonic).is_empty());
        assert_eq!(settle.due(clock.at(501).monotonic).len(), 1);
    }

    #[test]
    fn a_complete_change_whose_end_of_read_was_lost_is_given_out_all_the_same() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        settle.observe(event("/a.pth", Action::Change, true, clock.at(0)));
        assert_eq!(settle.due(clock.at(500).monotonic).len(), 1);
        assert!(settle.end_of_read().is_empty());
    }

    #[test]
    fn a_writer_that_never_closes_is_reported_after_the_longest_wait_and_not_before() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        settle.observe(event("/a.pth", Action::Creation, false, clock.at(0)));
        settle.observe(event("/a.pth", Action::Change, false, clock.at(400)));
        assert_eq!(settle.next_deadline(), Some(clock.at(500).monotonic));
        assert!(settle.due(clock.at(499).monotonic).is_empty());
        let done = settle.due(clock.at(500).monotonic);
        assert_eq!(done.len(), 1);
        assert!(!done[0].complete);
        assert_eq!(settle.next_deadline(), None);
    }

    #[test]
    fn the_deadline_of_a_finished_change_does_not_cut_the_next_one_short() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        settle.observe(event("/a.pth", Action::Creation, false, clock.at(0)));
        settle.observe(event("/a.pth", Action::Change, true, clock.at(10)));
        assert_eq!(settle.end_of_read().len(), 1);
        settle.observe(event("/a.pth", Action::Change, false, clock.at(300)));
        assert!(settle.due(clock.at(500).monotonic).is_empty());
        assert_eq!(settle.due(clock.at(800).monotonic).len(), 1);
    }

    #[test]
    fn a_late_close_that_changed_nothing_is_no_news_and_new_content_is() {
        let mut settle = Settle::default();
        assert!(settle.is_news(&change("/a.pth"), outcome(1)));
        assert!(!settle.is_news(&change("/a.pth"), outcome(1)));
        assert!(settle.is_news(&change("/b.pth"), outcome(1)));
        assert!(settle.is_news(&change("/a.pth"), outcome(2)));
        assert!(settle.is_news(&change("/a.pth"), outcome(1)));
    }

    #[test]
    fn what_was_made_in_a_directory_after_its_rename_did_not_come_with_it() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        let listed = |path| FileEvent { listed: true, ..event(path, Action::Rename, true, clock.at(10)) };
        // Still being written, and reported already.
        settle.observe(event("/d/a.pth", Action::Creation, false, clock.at(11)));
        settle.observe(event("/d/b.pth", Action::Creation, true, clock.at(11)));
        let done = settle.end_of_read();
        settle.is_news(&done[0], outcome(1));
        assert!(settle.observe(listed("/d/a.pth")).is_empty());
        assert!(settle.observe(listed("/d/b.pth")).is_empty());
        assert_eq!(settle.flush()[0].action, Action::Creation);
    }

    #[test]
    fn what_came_with_a_renamed_directory_is_reported_even_if_it_was_written_since() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        let listed = |path| FileEvent { listed: true, ..event(path, Action::Rename, true, clock.at(10)) };
        settle.observe(event("/d/a.pth", Action::Change, false, clock.at(11)));
        // Its own record may be from before the rename, or of the same batch: no proof.
        settle.observe(event("/d/b.pth", Action::Creation, false, clock.at(10)));
        for path in ["/d/a.pth", "/d/b.pth", "/d/c.pth"] {
            settle.observe(listed(path));
            assert_eq!(settle.end_of_read()[0].action, Action::Rename);
        }
    }

    #[test]
    fn every_process_that_took_part_is_a_writer_and_exec_in_between_makes_two() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        for (at, (pid, executable)) in
            [(7, "/bin/sh"), (7, ""), (7, "/usr/bin/pip"), (8, "/bin/x"), (9, ""), (10, "")].into_iter().enumerate()
        {
            let mut event = event("/a.pth", Action::Change, false, clock.at(at as u64));
            event.writer = writer(pid, executable);
            settle.observe(event);
        }
        let change = settle.flush().remove(0);
        let executables: Vec<_> =
            change.writers.iter().map(|writer| writer.executable().map(|exe| exe.path.clone())).collect();
        assert_eq!(executables, [Some("/bin/sh".into()), Some("/usr/bin/pip".into()), Some("/bin/x".into()), None]);
        assert!(change.more_writers);
    }

    #[test]
    fn a_process_that_was_seen_twice_is_only_as_sure_as_the_worse_look() {
        let clock = Clock(Instant::now());
        let sure = |pid, executable: &str| {
            let mut writer = Writer::clone(&writer(pid, executable));
            writer.confidence = Confidence::Confirmed;
            if let Some(executable) = writer.process.as_mut().and_then(|process| process.executable.as_mut()) {
                executable.is_host_file = true;
            }
            Arc::new(writer)
        };
        for (second, may) in
            [(sure(7, "/usr/bin/pip"), true), (writer(7, ""), false), (writer(7, "/usr/bin/pip"), false)]
        {
            let mut settle = Settle::default();
            for (at, writer) in [sure(7, "/usr/bin/pip"), second].into_iter().enumerate() {
                let event = event("/a.pth", Action::Change, false, clock.at(at as u64));
                settle.observe(FileEvent { writer, ..event });
            }
            let change = settle.flush().remove(0);
            assert_eq!((change.writers.len(), Exclusion::of(&change.writers[0]) == Exclusion::Allowed), (1, may));
        }
    }

    #[test]
    fn past_its_bound_the_oldest_change_is_given_out_unfinished() {
        let clock = Clock(Instant::now());
        let mut settle = Settle::default();
        let mut given = 0;
        for index in 0..MAX_PENDING + 10 {
            given += settle.observe(event(&format!("/{index}.pth"), Action::Creation, false, clock.at(0))).len();
        }
        assert_eq!(given, 10);
        assert_eq!(settle.pending.len(), MAX_PENDING);
    }

    #[test]
    fn the_memory_of_reported_changes_is_bounded() {
        let mut settle = Settle::default();
        for index in 0..MAX_REMEMBERED + 100 {
            settle.is_news(&change(&format!("/{index}.pth")), outcome(1));
        }
        assert_eq!(settle.reported.len(), MAX_REMEMBERED);
        assert_eq!(settle.reported_order.len(), MAX_REMEMBERED);
    }
}
