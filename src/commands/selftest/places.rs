//! What the self-test tries, and what can become of it.

use super::helper::Step;
use crate::daemon::placing::Mechanism;

/// What became of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Told, and the writer named as far as the mechanism can.
    Passed,
    /// Less than one would like, but no more was claimed: the reason tells.
    Degraded,
    /// It was claimed to be guarded, and was not told, or told wrongly.
    Failed,
    /// Not to be had on this machine.
    NotTried,
}

impl Outcome {
    /// Every outcome, the worst first.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Degraded, Self::NotTried, Self::Passed];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::NotTried => "not-tried",
        }
    }
}

/// The writer that an alert named.
#[derive(Clone, Debug)]
pub struct Named {
    /// Path of its executable, if the alert names one.
    pub executable: Option<String>,
    /// How the alert says that it is known.
    pub evidence: String,
    /// It is the helper that wrote. `None`: nobody was named.
    pub is_right: Option<bool>,
}

/// One place, and what became of it.
#[derive(Clone, Debug)]
pub struct Result {
    /// Its word in reports.
    pub place: String,
    /// In words for a person.
    pub description: String,
    /// The filesystem's type.
    pub fs_type: Option<String>,
    /// By what it is guarded.
    pub mechanism: Mechanism,
    /// See [`Outcome`].
    pub outcome: Outcome,
    /// From the writer's last system call to the line of the alert, in microseconds.
    pub latency_us: Option<u64>,
    /// Who was named.
    pub writer: Option<Named>,
    /// Why it is not simply passed.
    pub reason: Option<String>,
}

/// One way to plant a hook.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Its word in reports.
    pub place: &'static str,
    /// In words for a person.
    pub description: &'static str,
    /// What the helper does.
    pub step: Step,
    /// What the alert must say was done.
    pub action: &'static str,
    /// The watcher stands still until the writer is gone.
    pub held_up: bool,
}

/// Ways to write, all on the filesystem of the scratch tree.
pub const WAYS: [Way; 7] = [
    Way { place: "root", description: "a new file", step: Step::Write, action: "creation", held_up: false },
    Way {
        place: "late",
        description: "a writer that is gone before anybody looks",
        step: Step::Write,
        action: "creation",
        held_up: true,
    },
    Way {
        place: "mount-namespace",
        description: "a writer in a mount namespace of its own",
        step: Step::Namespace,
        action: "creation",
        held_up: false,
    },
    Way {
        place: "private-file",
        description: "another user's file with mode 0600",
        step: Step::Private,
        action: "creation",
        held_up: false,
    },
    Way { place: "rename", description: "a rename into place", step: Step::Rename, action: "rename", held_up: false },
    Way { place: "hard-link", description: "a hard link", step: Step::Link, action: "creation", held_up: false },
    Way {
        place: "directory-rename",
        description: "a directory renamed into place",
        step: Step::Rename,
        action: "rename",
        held_up: false,
    },
];

/// What is written through an overlay. Before Linux 6.5 the kernel tells of the last nothing.
pub const OVERLAY: [Way; 3] = [
    Way {
        place: "overlay-creation",
        description: "a new file through an overlay",
        step: Step::Write,
        action: "creation",
        held_up: false,
    },
    Way {
        place: "overlay-rename",
        description: "a rename through an overlay",
        step: Step::Rename,
        action: "rename",
        held_up: false,
    },
    Way {
        place: "overlay-change",
        description: "a write to an existing file through an overlay",
        step: Step::Append,
        action: "change",
        held_up: false,
    },
];
