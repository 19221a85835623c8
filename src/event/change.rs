//! What was done to a file: the kernel's events, and the changes that they are merged into.

use super::hook::HookPath;
use super::words::words;
use super::writer::Writer;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

words! {
    /// What was done to a file (`--action`, `EventAction`, `event.action`).
    #[derive(Default)]
    Action {
        /// The name is new: a created file, a hard link, a symbolic link.
        #[default]
        Creation = "creation",
        /// An existing file was written, truncated, or opened for writing and closed.
        Change = "change",
        /// The name was given by a rename, of the file or of a directory above it.
        Rename = "rename",
        /// The name was removed.
        Deletion = "deletion",
        /// Owner, mode or times were changed.
        Attribute = "attribute",
        /// A mount now covers the path.
        Mount = "mount",
    }
}

/// Whether a name is of interest to any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// No rule.
    None,
    /// Only in certain directories: it may be the name of a hook.
    InPlace,
    /// In every directory: a rule names it.
    Always,
}

/// One event about one name, as a source sends it. Several of them make one [`Change`].
#[derive(Clone, Debug)]
pub struct FileEvent {
    /// What was done.
    pub action: Action,
    /// The writer has finished: the file was closed after writing, or renamed into place.
    pub complete: bool,
    /// The event is about a directory. Only a renamed one is sent: the files in it must be listed.
    pub is_directory: bool,
    /// Found by listing a renamed directory; `seen` is then that of the directory's event.
    pub listed: bool,
    /// Where the file is.
    pub file: FileRef,
    /// The classification of the path, if the source determined it and no later hook can change it.
    pub classification: Option<HookPath>,
    /// The name before a rename, when the kernel reported both.
    pub previous_path: Option<PathBuf>,
    /// The process that did it.
    pub writer: Arc<Writer>,
    /// When the event was read.
    pub seen: Seen,
}

/// A file by path, and by the directory that held it at the time of the event.
#[derive(Clone, Debug)]
pub struct FileRef {
    /// Absolute path, below `--root` when one is set. Any bytes but NUL; at most 4,096 of them.
    pub path: PathBuf,
    /// `O_PATH` descriptor of the directory, so that the content is read from the directory of the event even if the
    /// path leads elsewhere by then. `None`: open by path.
    pub directory: Option<Arc<OwnedFd>>,
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Wall clock, for `@timestamp`.
    pub wall: SystemTime,
    /// Monotonic clock, for deadlines.
    pub monotonic: Instant,
}

impl Seen {
    /// Reads both clocks.
    pub fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }
}

/// One logical change of one hook file, merged from the events of create, write and close, or of a rename or a link.
#[derive(Debug)]
pub struct Change {
    /// The strongest action: a new name is a creation or a rename even if the file was also written.
    pub action: Action,
    /// Where the file is.
    pub file: FileRef,
    /// See [`FileEvent::classification`].
    pub classification: Option<HookPath>,
    /// The name before a rename.
    pub previous_path: Option<PathBuf>,
    /// Every distinct process that took part, the first one first; never empty, at most [`Change::MAX_WRITERS`].
    pub writers: Vec<Arc<Writer>>,
    /// More processes than that took part.
    pub more_writers: bool,
    /// The writer has finished (close, rename, link). Otherwise the file may still be open.
    pub complete: bool,
    /// Number of events merged into this change.
    pub records: u32,
    /// First event.
    pub first: Seen,
    /// Last event.
    pub last: Seen,
}

impl Change {
    /// How many distinct writers of one change are kept.
    pub const MAX_WRITERS: usize = 4;
}

impl From<FileEvent> for Change {
    fn from(event: FileEvent) -> Self {
        Self {
            action: event.action,
            file: event.file,
            classification: event.classification,
            previous_path: event.previous_path,
            writers: vec![event.writer],
            more_writers: false,
            complete: event.complete,
            records: 1,
            first: event.seen,
            last: event.seen,
        }
    }
}
