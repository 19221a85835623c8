//! What is required of each shape: how many must be named rightly. A wrong name and a lost write are never
//! allowed, in any shape or mode.

/// Set this when the daemon reads the kernel's records of starts, forks and ends: until then a writer that
/// is gone is unknown, and what is missing to [`Required::Right`] is told and not a failure.
pub const RECORDS_ARE_READ: bool = false;

/// Set this when the daemon reports a gap with this reason after its queues of records have overflowed.
pub const ATTRIBUTION_GAPS_ARE_REPORTED: bool = false;

/// The circumstances of the writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing else is done.
    Normal,
    /// Every core is busy, and other files are written.
    Loaded,
    /// The watchers stand still until every writer of a batch is dead.
    Stopped,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Normal, Mode::Loaded, Mode::Stopped];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Normal => "normal",
            Mode::Loaded => "loaded",
            Mode::Stopped => "stopped",
        }
    }
}

/// What a shape must reach in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// Every writer is named rightly.
    Right,
    /// A writer may be unknown, because of this.
    RightOrUnknown(&'static str),
}

use Required::Right;
use Required::RightOrUnknown;

const LATER_PROGRAM: Required =
    RightOrUnknown("the end record tells the later program, the start record the earlier: they disagree");
const NEVER_RAN: Required = RightOrUnknown("the start record names a file that never ran: the records disagree");
const NO_FILE: Required = RightOrUnknown("the executable has no name in any directory");
const DELETED: Required = RightOrUnknown("the executable's name is gone: its inode proves nothing any more");
const OVERLAY: Required = RightOrUnknown("an overlay's device and inode are no file of this host");
const FOREIGN: Required = RightOrUnknown("the program lies on a mount that only its own namespace has");
const OTHER_PARENT: Required = RightOrUnknown("the fork record names the parent's parent");
const TWO_OF_ONE_PID: Required = RightOrUnknown("two processes had this pid, and the write tells no time of start");
const ONE_FILE: Required = RightOrUnknown("the end record names a file that has many names");

/// Shape, and what is required in normal, loaded and stopped mode.
pub const REQUIREMENTS: [(&str, Required, Required, Required); 34] = [
    ("sh", Right, Right, Right),
    ("cp", Right, Right, Right),
    ("tiny", Right, Right, Right),
    ("subshell", Right, Right, Right),
    ("background", Right, Right, Right),
    ("mv", Right, Right, Right),
    ("rename", Right, Right, Right),
    ("script", Right, Right, Right),
    ("loader", Right, Right, Right),
    ("multiprocessing", Right, Right, Right),
    ("link", Right, Right, Right),
    ("vfork", Right, Right, Right),
    ("daemon", Right, Right, Right),
    ("thread", Right, Right, Right),
    ("aftermain", Right, Right, Right),
    ("env", Right, Right, Right),
    ("thenexec", LATER_PROGRAM, LATER_PROGRAM, LATER_PROGRAM),
    ("enoexec", NEVER_RAN, NEVER_RAN, NEVER_RAN),
    ("enoent", NEVER_RAN, NEVER_RAN, NEVER_RAN),
    ("memfd", NO_FILE, NO_FILE, NO_FILE),
    ("deleted", DELETED, DELETED, DELETED),
    ("container", OVERLAY, OVERLAY, OVERLAY),
    ("userns", FOREIGN, FOREIGN, FOREIGN),
    ("iouring", Right, Right, Right),
    ("iouringworker", Right, Right, Right),
    ("cloneparent", OTHER_PARENT, OTHER_PARENT, OTHER_PARENT),
    ("clonevm", Right, Right, Right),
    ("recycled", TWO_OF_ONE_PID, TWO_OF_ONE_PID, TWO_OF_ONE_PID),
    ("recycledfork", TWO_OF_ONE_PID, TWO_OF_ONE_PID, TWO_OF_ONE_PID),
    ("replaced", DELETED, DELETED, DELETED),
    ("execchain", Right, Right, Right),
    ("comm", Right, Right, Right),
    ("hardlinks", ONE_FILE, ONE_FILE, ONE_FILE),
    ("unmarked", FOREIGN, FOREIGN, FOREIGN),
];

/// What is required of this shape in this mode.
pub fn required(shape: &str, mode: Mode) -> Required {
    let (_, normal, loaded, stopped) =
        REQUIREMENTS.iter().find(|(word, ..)| *word == shape).unwrap_or_else(|| panic!("nothing required of {shape}"));
    match mode {
        Mode::Normal => *normal,
        Mode::Loaded => *loaded,
        Mode::Stopped => *stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::SHAPES;

    #[test]
    fn every_shape_has_its_requirement_and_every_requirement_its_shape() {
        let shapes = SHAPES.iter().map(|shape| shape.word);
        assert!(shapes.eq(REQUIREMENTS.iter().map(|(word, ..)| *word)));
    }
}
