//! Events that wait until it is proved that their writer was looked at as what it was.
//!
//! A process that writes a hook and then runs another program (exec) is read as that program, if the
//! reader was late. The kernel queues both in their order: whatever was run before the look is in the
//! queue by then. So the events of a read wait until the queue has been emptied; a record that the
//! very program that was read was started by this process after its write takes the name away.

use super::Callbacks;
use crate::event::{Evidence, FileEvent, Process, Writer};
use crate::source::Message;
use std::sync::Arc;

/// Events that may wait. Past it they are handed on without a name: the queue is not empty, so nothing
/// is proved.
const MAX_HELD: usize = 1024;

/// See the module.
#[derive(Default)]
pub struct Held {
    /// In the order of the queue.
    pub events: Vec<FileEvent>,
    /// Records of interest since the start, located or not.
    pub found: usize,
}

impl Held {
    /// This process has started a program of this name. What it wrote before is not that program's
    /// work.
    pub fn has_run(&mut self, pid: u32, program: &[u8]) {
        for event in &mut self.events {
            let wrong = event.writer.process.as_ref().is_some_and(|process| {
                let executable = process.executable.as_ref().and_then(|executable| executable.path.file_name());
                process.pid == pid && executable.is_some_and(|name| name.as_encoded_bytes() == program)
            });
            if wrong {
                event.writer = without_name(&event.writer, "the process has run another program since it wrote");
            }
        }
    }

    /// Whether no more may wait.
    pub fn is_full(&self) -> bool {
        self.events.len() >= MAX_HELD
    }

    /// Hands everything on: the queue has been emptied.
    pub fn hand_on(&mut self, callbacks: &mut Callbacks<'_>) {
        self.events.drain(..).for_each(|event| (callbacks.emit)(Message::Event(event)));
    }

    /// Hands everything on although the queue has not been emptied.
    pub fn hand_on_unproved(&mut self, callbacks: &mut Callbacks<'_>) {
        let note = "too many changes at once to prove that the process had not run another program since it wrote";
        for mut event in self.events.drain(..) {
            if event.writer.evidence == Evidence::Proc {
                event.writer = without_name(&event.writer, note);
            }
            (callbacks.emit)(Message::Event(event));
        }
    }
}

/// The writer with what exec leaves as it was: pid, user, parents, container.
fn without_name(writer: &Writer, note: &'static str) -> Arc<Writer> {
    let process = writer.process.as_ref().map(|process| Process {
        pid: process.pid,
        start_time: process.start_time,
        user: process.user,
        ..Process::default()
    });
    Arc::new(Writer {
        evidence: Evidence::Unknown,
        process,
        parents: writer.parents.clone(),
        container_id: writer.container_id.clone(),
        unit: writer.unit.clone(),
        ..Writer::unknown(note)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Executable, FileRef, Seen};

    fn event(pid: u32, program: &str) -> FileEvent {
        let executable = Some(Executable { path: program.into(), deleted: false, is_host_file: true });
        let process = Some(Process { pid, executable, comm: b"x".to_vec(), ..Process::default() });
        let writer = Writer { evidence: Evidence::Proc, sure: Ok(()), process, ..Writer::unknown("") };
        FileEvent {
            action: Action::Creation,
            complete: true,
            is_directory: false,
            listed: false,
            file: FileRef { path: "/x.pth".into(), directory: None },
            previous_path: None,
            writer: Arc::new(writer),
            seen: Seen::now(),
        }
    }

    /// The executables that are still named after these programs were run.
    fn named_after(runs: &[(u32, &str)]) -> Vec<bool> {
        let mut held = Held { events: vec![event(7, "/usr/bin/pip"), event(8, "/usr/bin/pip")], found: 2 };
        runs.iter().for_each(|(pid, program)| held.has_run(*pid, program.as_bytes()));
        held.events.iter().map(|event| event.writer.executable().is_some()).collect()
    }

    #[test]
    fn who_started_the_very_program_it_was_read_as_only_after_its_write_is_not_named() {
        assert_eq!(named_after(&[(7, "pip")]), [false, true]);
        assert_eq!(named_after(&[(7, "pip"), (8, "pip")]), [false, false]);
    }

    #[test]
    fn who_was_read_before_it_ran_something_else_stays_named() {
        assert_eq!(named_after(&[(7, "sleep"), (7, "ld-linux-x86-64.so.2"), (9, "pip")]), [true, true]);
    }

    #[test]
    fn a_name_that_is_taken_away_leaves_the_pid_and_nothing_of_the_other_program() {
        let mut held = Held { events: vec![event(7, "/usr/bin/pip")], found: 1 };
        held.has_run(7, b"pip");
        let writer = &held.events[0].writer;
        let process = writer.process.as_ref().unwrap();
        assert_eq!((writer.evidence, process.pid, process.comm.is_empty()), (Evidence::Unknown, 7, true));
        assert!(writer.may_be_excluded().is_err());
    }

    #[test]
    fn what_is_handed_on_before_the_queue_was_empty_has_no_name() {
        let mut held = Held { events: vec![event(7, "/usr/bin/pip")], found: 1 };
        let mut handed = Vec::new();
        held.hand_on_unproved(&mut Callbacks {
            interesting: &|_| true,
            identify: &|_, _| Writer::unavailable(),
            has_room: &|| true,
            emit: &mut |message| handed.push(message),
        });
        let [Message::Event(event)] = &handed[..] else { panic!("{handed:?}") };
        assert_eq!(event.writer.executable(), None);
    }
}
