//! Events that wait until their writers can be judged: when the queue has been emptied.
//!
//! A process that writes a hook and then runs another program (exec) is seen as that program, if the
//! reader was late. The kernel queues both in their order, so whatever was run before the look is in
//! the queue by then.

use crate::event::{Doubt, FileEvent, Writer};
use std::sync::Arc;

/// Events that may wait. Past it their writers are judged by what is known so far.
const MAX_HELD: usize = 1024;

/// See the module.
pub struct PendingBatch {
    /// In the order of the queue, each with the place of its writer among those to be judged.
    events: Vec<(usize, FileEvent)>,
    /// Writers to be judged, of events that could be located or not.
    waiting: usize,
    /// Records of interest since the start, located or not.
    pub found: usize,
    /// Programs that were started meanwhile.
    pub starts: usize,
    /// Stands in for a writer until it is judged.
    pub nobody: Arc<Writer>,
}

impl Default for PendingBatch {
    fn default() -> Self {
        let nobody = Arc::new(Writer::unknown(Doubt::NotDetermined));
        Self { events: Vec::new(), waiting: 0, found: 0, starts: 0, nobody }
    }
}

impl PendingBatch {
    /// A record of interest, whose writer is to be judged. Gives its place.
    pub fn expect(&mut self) -> usize {
        self.found += 1;
        self.waiting += 1;
        self.waiting - 1
    }

    /// Keeps an event; `place` is that of its writer.
    pub fn hold(&mut self, place: usize, event: FileEvent) {
        self.events.push((place, event));
    }

    /// Whether no more may wait.
    pub fn is_full(&self) -> bool {
        self.waiting >= MAX_HELD
    }

    /// Hands every event on with its writer.
    pub fn hand_on(&mut self, writers: &[Arc<Writer>], emit: &mut dyn FnMut(FileEvent)) {
        self.waiting = 0;
        for (place, mut event) in self.events.drain(..) {
            if let Some(writer) = writers.get(place) {
                event.writer = writer.clone();
            }
            emit(event);
        }
    }
}
