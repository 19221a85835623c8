//! Opens the evidence about writers: for the daemon, and for the coverage report.

use crate::source::Guard;
use crate::source::fanotify::FanotifyReader;
use crate::writer::{self, RecordSource, RecordSources, WriterResolver};
use std::sync::Arc;

/// Opens the kernel's queues of records about processes, and finds out what else can name writers. The marks must be
/// placed before, because program starts come with the writes. The order of the sources is that of the reports.
pub fn open(fanotify: &FanotifyReader, guards: &[Guard]) -> (WriterResolver, Arc<RecordSources>) {
    let (resolver, sources) = WriterResolver::open();
    let is_marked = guards.iter().any(Guard::is_marked);
    sources.begin_with([RecordSource::pidfds(fanotify.has_pidfd()), RecordSource::starts(is_marked)]);
    sources.add(writer::processes_of_others());
    sources.add(writer::programs_of_the_host());
    (resolver, sources)
}
