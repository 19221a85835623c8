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
        note,
        process,
        parents: writer.parents.clone(),
        container_id: writer.container_id.clone(),
    })
}
