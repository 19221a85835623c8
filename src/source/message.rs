//! What a source sends.

use super::guard::Guard;
use crate::event::{FileEvent, LossReport};
use std::path::PathBuf;

/// One message of a source.
#[derive(Debug)]
pub enum Message {
    /// Something was done to a file that a rule may want.
    Event(FileEvent),
    /// All events that were queued together with the last one have been sent.
    EndOfRead,
    /// Changes may have gone unseen.
    Loss(LossReport),
    /// A filesystem was mounted for the first time.
    FilesystemAppeared(Guard),
    /// Something was mounted over a path.
    PathCovered {
        /// The path as seen from the root.
        path: PathBuf,
        /// The mounted files are on this machine, so reading them cannot hang.
        is_local: bool,
    },
}
