//! What is required of each shape: how many must be named rightly. A wrong name and a lost write are never
//! allowed, in any shape or mode.

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

use crate::support::kernel;
use Required::Right;
use Required::RightOrUnknown;

const NO_FILE: Required = RightOrUnknown("the executable has no name in any directory");
const FOREIGN: Required = RightOrUnknown("the program lies on a mount that only its own namespace has");
const TWO_OF_ONE_PID: Required = RightOrUnknown("two processes had this pid, and the write reports no time of start");

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
    ("thenexec", Right, Right, Right),
    ("enoexec", Right, Right, Right),
    ("enoent", Right, Right, Right),
    ("memfd", NO_FILE, NO_FILE, NO_FILE),
    ("deleted", Right, Right, Right),
    ("container", Right, Right, Right),
    ("userns", FOREIGN, FOREIGN, FOREIGN),
    ("iouring", Right, Right, Right),
    ("iouringworker", Right, Right, Right),
    ("cloneparent", Right, Right, Right),
    ("clonevm", Right, Right, Right),
    ("recycled", TWO_OF_ONE_PID, TWO_OF_ONE_PID, TWO_OF_ONE_PID),
    ("recycledfork", TWO_OF_ONE_PID, TWO_OF_ONE_PID, TWO_OF_ONE_PID),
    ("replaced", Right, Right, Right),
    ("execchain", Right, Right, Right),
    ("comm", Right, Right, Right),
    ("hardlinks", Right, Right, Right),
    ("unmarked", FOREIGN, FOREIGN, FOREIGN),
];

const NO_ENDS: Required = RightOrUnknown("this kernel reports no executable at the end of a process");
const NO_OVERLAY: Required = RightOrUnknown("this kernel reports nothing of programs that are started from an overlay");

/// What is required of this shape in this mode on this kernel.
pub fn required(shape: &str, mode: Mode) -> Required {
    // With one kind of record less, who is gone too fast may be unknown in any shape, and still nobody else is named.
    if !kernel::reports_executables_at_the_end() {
        return NO_ENDS;
    }
    if shape == "container" && !kernel::reports_starts_from_overlays() {
        return NO_OVERLAY;
    }
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
