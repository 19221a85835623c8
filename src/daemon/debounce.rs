//! One change, one alert: merges the events about one path until the content is complete. If the writer never closes
//! the file, it waits for [`MAX_WAIT`] after the first event.
//!
//! Pure: time comes in with the events.

use crate::event::{Action, Change, Confidence, FileEvent, Hook, Process, Writer};
use crate::rules::Exclusion;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for a writer to finish. Python runs an unfinished file too.
pub const MAX_WAIT: Duration = Duration::from_millis(500);

/// Paths that may wait at once; past it the oldest is emitted unfinished.
const MAX_PENDING: usize = 2048;

/// Remembered emitted changes, to recognise a late close.
const MAX_REMEMBERED: usize = 2048;

/// The state of the file after a change. An equal state later is not a new change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Inode and device.
    pub inode: Option<(u64, (u32, u32))>,
    /// Size.
    pub size: Option<u64>,
    /// Last content change; without a hash the last change of any kind, which no program can set back.
    pub modified: Option<std::time::SystemTime>,
    /// Hash of the content.
    pub sha256: Option<[u8; 32]>,
    /// Pids of the writers. Not their start times: a writer may be gone at its late close.
    pub writers: Vec<u32>,
}

impl Fingerprint {
    /// The fingerprint of a change and the file after it.
    pub fn of(change: &Change, hook: &Hook) -> Self {
        let facts = &hook.file;
        Self {
            inode: facts.inode.zip(facts.device),
            size: facts.size,
            modified: if facts.sha256.is_some() { facts.modified } else { facts.changed },
            sha256: facts.sha256,
            writers: change.writers.iter().filter_map(|writer| Some(writer.process.as_ref()?.pid)).collect(),
        }
    }

    /// The same file by some of the same writers: each child that inherited the descriptor closes it
    /// once more.
    fn is_part_of(&self, known: &Self) -> bool {
        let same_writers = Self { writers: known.writers.clone(), ..self.clone() };
        same_writers == *known && self.writers.iter().all(|pid| known.writers.contains(pid))
    }
}

/// The memory of an emitted change.
#[derive(Debug)]
struct Reported {
    fingerprint: Fingerprint,
    /// When the name appeared, by an event of its own.
    appeared: Option<Instant>,
}

/// The changes that wait, and those that were emitted last.
#[derive(Debug, Default)]
pub struct Debouncer {
    pending: HashMap<PathBuf, Change>,
    /// Paths by deadline. Entries may be stale: the path was emitted and queued again with a later deadline.
    deadlines: VecDeque<(Instant, PathBuf)>,
    /// Paths whose change is complete since the last end of a read.
    finished: Vec<PathBuf>,
    reported: HashMap<PathBuf, Reported>,
    reported_order: VecDeque<PathBuf>,
}

impl Debouncer {
    /// Adds an event. Returns changes that must make room; [`Debouncer::end_of_read`] returns the complete ones.
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

    /// The complete changes, once all events that were queued together are here. Not earlier, because the kernel adds a
    /// close to a queued event of the same process. So the close may come before writes of its children through the
    /// same descriptor.
    pub fn end_of_read(&mut self) -> Vec<Change> {
        let mut done = Vec::new();
        for path in self.finished.drain(..) {
            // If it was emitted, a younger change of the same path may be incomplete.
            if self.pending.get(&path).is_some_and(|change| change.complete) {
                done.extend(self.pending.remove(&path));
            }
        }
        done
    }

    /// The changes whose deadline has passed.
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

    /// When [`Debouncer::due`] may next return something.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// All changes that wait, complete or not.
    pub fn flush(&mut self) -> Vec<Change> {
        self.deadlines.clear();
        self.finished.clear();
        let mut rest: Vec<_> = self.pending.drain().map(|(_, change)| change).collect();
        rest.sort_by_key(|change| change.first.monotonic);
        rest
    }

    /// Whether the name was made after this moment, by an event of its own. Then the file did not come with the renamed
    /// directory, and must not get the directory's writer and former name.
    fn has_appeared_since(&self, path: &Path, moment: Instant) -> bool {
        let pending = self.pending.get(path).and_then(appeared);
        let reported = self.reported.get(path).and_then(|reported| reported.appeared);
        pending.max(reported) > Some(moment)
    }

    /// Remembers the fingerprint of a change. `false`: it was reported for this path by the same writers already, so
    /// this is a late close or the second event of a rename.
    pub fn is_news(&mut self, change: &Change, fingerprint: Fingerprint) -> bool {
        let path = &change.file.path;
        let appeared = appeared(change);
        if let Some(known) = self.reported.get_mut(path) {
            known.appeared = known.appeared.max(appeared);
            if fingerprint.is_part_of(&known.fingerprint) {
                return false;
            }
            known.fingerprint = fingerprint;
            return true;
        }
        self.reported.insert(path.clone(), Reported { fingerprint, appeared });
        self.reported_order.push_back(path.clone());
        if self.reported_order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.reported_order.pop_front()
        {
            self.reported.remove(&oldest);
        }
        true
    }
}

/// When the change's name appeared.
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
        // Two snapshots of one process: keep the better evidence, with the doubts of both.
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

/// Whether two snapshots show one process with one program. A process that has run exec in between counts as two
/// writers: an exclusion must hold for both.
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

    fn fingerprint(size: u64) -> Fingerprint {
        Fingerprint { inode: Some((1, (8, 1))), size: Some(size), modified: None, sha256: None, writers: vec![7] }
    }

    #[test]
    fn create_write_close_is_one_creation_emitted_at_the_close() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        assert!(debouncer.observe(event("/a.pth", Action::Creation, false, clock.at(0))).is_empty());
        assert!(debouncer.observe(event("/a.pth", Action::Change, false, clock.at(1))).is_empty());
        assert!(debouncer.observe(event("/a.pth", Action::Change, true, clock.at(2))).is_empty());
        let done = debouncer.end_of_read();
        assert_eq!(done.len(), 1);
        assert_eq!((done[0].action, done[0].complete, done[0].records), (Action::Creation, true, 3));
        assert_eq!(done[0].writers.len(), 1);
        assert!(debouncer.due(clock.at(10_000).monotonic).is_empty());
    }

    #[test]
    fn a_close_that_stands_before_the_writes_of_others_in_one_read_is_still_one_change() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        let mut child = event("/a.pth", Action::Change, false, clock.at(5));
        child.writer = writer(8, "/bin/echo");
        debouncer.observe(event("/a.pth", Action::Creation, true, clock.at(5)));
        debouncer.observe(child);
        let done = debouncer.end_of_read();
        assert_eq!((done.len(), done[0].writers.len(), done[0].records), (1, 2, 2));
        assert!(debouncer.flush().is_empty());
    }

    #[test]
    fn a_finished_change_does_not_end_a_younger_one_of_the_same_path() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        debouncer.observe(event("/a.pth", Action::Change, true, clock.at(0)));
        assert_eq!(debouncer.end_of_read().len(), 1);
        debouncer.observe(event("/a.pth", Action::Change, false, clock.at(1)));
        assert!(debouncer.end_of_read().is_empty());
        assert!(debouncer.due(clock.at(500).monotonic).is_empty());
        assert_eq!(debouncer.due(clock.at(501).monotonic).len(), 1);
    }

    #[test]
    fn a_complete_change_is_emitted_even_if_its_end_of_read_was_lost() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        debouncer.observe(event("/a.pth", Action::Change, true, clock.at(0)));
        assert_eq!(debouncer.due(clock.at(500).monotonic).len(), 1);
        assert!(debouncer.end_of_read().is_empty());
    }

    #[test]
    fn a_writer_that_never_closes_is_reported_after_the_longest_wait_and_not_before() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        debouncer.observe(event("/a.pth", Action::Creation, false, clock.at(0)));
        debouncer.observe(event("/a.pth", Action::Change, false, clock.at(400)));
        assert_eq!(debouncer.next_deadline(), Some(clock.at(500).monotonic));
        assert!(debouncer.due(clock.at(499).monotonic).is_empty());
        let done = debouncer.due(clock.at(500).monotonic);
        assert_eq!(done.len(), 1);
        assert!(!done[0].complete);
        assert_eq!(debouncer.next_deadline(), None);
    }

    #[test]
    fn the_deadline_of_a_finished_change_does_not_cut_the_next_one_short() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        debouncer.observe(event("/a.pth", Action::Creation, false, clock.at(0)));
        debouncer.observe(event("/a.pth", Action::Change, true, clock.at(10)));
        assert_eq!(debouncer.end_of_read().len(), 1);
        debouncer.observe(event("/a.pth", Action::Change, false, clock.at(300)));
        assert!(debouncer.due(clock.at(500).monotonic).is_empty());
        assert_eq!(debouncer.due(clock.at(800).monotonic).len(), 1);
    }

    #[test]
    fn a_late_close_is_a_new_change_only_with_new_content() {
        let mut debouncer = Debouncer::default();
        assert!(debouncer.is_news(&change("/a.pth"), fingerprint(1)));
        assert!(!debouncer.is_news(&change("/a.pth"), fingerprint(1)));
        assert!(debouncer.is_news(&change("/b.pth"), fingerprint(1)));
        assert!(debouncer.is_news(&change("/a.pth"), fingerprint(2)));
        assert!(debouncer.is_news(&change("/a.pth"), fingerprint(1)));
    }

    #[test]
    fn a_file_made_after_the_rename_of_its_directory_did_not_come_with_it() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        let listed = |path| FileEvent { listed: true, ..event(path, Action::Rename, true, clock.at(10)) };
        // Still being written, and reported already.
        debouncer.observe(event("/d/a.pth", Action::Creation, false, clock.at(11)));
        debouncer.observe(event("/d/b.pth", Action::Creation, true, clock.at(11)));
        let done = debouncer.end_of_read();
        debouncer.is_news(&done[0], fingerprint(1));
        assert!(debouncer.observe(listed("/d/a.pth")).is_empty());
        assert!(debouncer.observe(listed("/d/b.pth")).is_empty());
        assert_eq!(debouncer.flush()[0].action, Action::Creation);
    }

    #[test]
    fn a_file_in_a_renamed_directory_is_reported_even_if_it_was_written_since() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        let listed = |path| FileEvent { listed: true, ..event(path, Action::Rename, true, clock.at(10)) };
        debouncer.observe(event("/d/a.pth", Action::Change, false, clock.at(11)));
        // Its own record may be from before the rename, or of the same batch: no proof.
        debouncer.observe(event("/d/b.pth", Action::Creation, false, clock.at(10)));
        for path in ["/d/a.pth", "/d/b.pth", "/d/c.pth"] {
            debouncer.observe(listed(path));
            assert_eq!(debouncer.end_of_read()[0].action, Action::Rename);
        }
    }

    #[test]
    fn every_participating_process_is_a_writer_and_an_exec_makes_two() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        for (at, (pid, executable)) in
            [(7, "/bin/sh"), (7, ""), (7, "/usr/bin/pip"), (8, "/bin/x"), (9, ""), (10, "")].into_iter().enumerate()
        {
            let mut event = event("/a.pth", Action::Change, false, clock.at(at as u64));
            event.writer = writer(pid, executable);
            debouncer.observe(event);
        }
        let change = debouncer.flush().remove(0);
        let executables: Vec<_> =
            change.writers.iter().map(|writer| writer.executable().map(|exe| exe.path.clone())).collect();
        assert_eq!(executables, [Some("/bin/sh".into()), Some("/usr/bin/pip".into()), Some("/bin/x".into()), None]);
        assert!(change.more_writers);
    }

    #[test]
    fn a_process_with_two_snapshots_has_the_lower_confidence() {
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
            let mut debouncer = Debouncer::default();
            for (at, writer) in [sure(7, "/usr/bin/pip"), second].into_iter().enumerate() {
                let event = event("/a.pth", Action::Change, false, clock.at(at as u64));
                debouncer.observe(FileEvent { writer, ..event });
            }
            let change = debouncer.flush().remove(0);
            assert_eq!((change.writers.len(), Exclusion::of(&change.writers[0]) == Exclusion::Allowed), (1, may));
        }
    }

    #[test]
    fn past_its_bound_the_oldest_change_is_emitted_unfinished() {
        let clock = Clock(Instant::now());
        let mut debouncer = Debouncer::default();
        let mut given = 0;
        for index in 0..MAX_PENDING + 10 {
            given += debouncer.observe(event(&format!("/{index}.pth"), Action::Creation, false, clock.at(0))).len();
        }
        assert_eq!(given, 10);
        assert_eq!(debouncer.pending.len(), MAX_PENDING);
    }

    #[test]
    fn the_memory_of_reported_changes_is_bounded() {
        let mut debouncer = Debouncer::default();
        for index in 0..MAX_REMEMBERED + 100 {
            debouncer.is_news(&change(&format!("/{index}.pth")), fingerprint(1));
        }
        assert_eq!(debouncer.reported.len(), MAX_REMEMBERED);
        assert_eq!(debouncer.reported_order.len(), MAX_REMEMBERED);
    }
}
