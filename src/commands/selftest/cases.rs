//! The test cases: data.

use super::helper::HelperAction;
use crate::source::Mechanism;
use std::path::PathBuf;

/// A way to write a file.
#[derive(Clone, Copy, Debug)]
pub struct Technique {
    /// Its word in reports.
    pub name: &'static str,
    /// The same for a person.
    pub description: &'static str,
    /// What the helper process does.
    pub action: HelperAction,
    /// `event.action` of the alert.
    pub reported_as: &'static str,
    /// The watcher is stopped until the helper has ended.
    pub pauses_watcher: bool,
}

/// A file that is created.
const fn new_file(name: &'static str, description: &'static str) -> Technique {
    Technique { name, description, action: HelperAction::Write, reported_as: "creation", pauses_watcher: false }
}

/// The technique that renames a directory with a hook in it.
pub const DIRECTORY_RENAME: &str = "directory-rename";

/// Techniques on the filesystem of the scratch tree.
pub const TECHNIQUES: [Technique; 7] = [
    new_file("root", "a new file"),
    Technique { pauses_watcher: true, ..new_file("late", "a writer that has ended before the watcher looks") },
    Technique {
        action: HelperAction::Namespace,
        ..new_file("mount-namespace", "a writer in a mount namespace of its own")
    },
    Technique { action: HelperAction::Private, ..new_file("private-file", "another user's file with mode 0600") },
    Technique { action: HelperAction::Rename, reported_as: "rename", ..new_file("rename", "a rename into place") },
    Technique { action: HelperAction::Link, ..new_file("hard-link", "a hard link") },
    Technique {
        action: HelperAction::Rename,
        reported_as: "rename",
        ..new_file(DIRECTORY_RENAME, "a directory renamed into place")
    },
];

/// Techniques through an overlay. Before Linux 6.5 the kernel does not report the last.
pub const OVERLAY: [Technique; 3] = [
    new_file("overlay-creation", "a new file through an overlay"),
    Technique {
        action: HelperAction::Rename,
        reported_as: "rename",
        ..new_file("overlay-rename", "a rename through an overlay")
    },
    Technique {
        action: HelperAction::Append,
        reported_as: "change",
        ..new_file("overlay-change", "a write to an existing file through an overlay")
    },
];

/// A new file on a filesystem in memory.
pub const TMPFS: Technique = new_file("tmpfs", "a filesystem in memory");
/// A new file on a filesystem that is mounted while the watcher runs.
pub const MOUNTED_LATER: Technique = new_file("mounted-later", "a filesystem mounted after the start");
/// A new file in the tree of the second watcher.
pub const INOTIFY: Technique = new_file("inotify", "a new file, seen by inotify");
/// A new file on another filesystem; its case has a name of its own.
pub const OTHER_FILESYSTEM: Technique = new_file("filesystem", "another filesystem");

/// A technique at one place.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// Its word in reports.
    pub name: String,
    /// The same for a person.
    pub description: String,
    /// How the file is written.
    pub technique: Technique,
    /// The case's directory below the root of its watcher.
    pub directory: PathBuf,
    /// The directory below the root under which the alert reports the file, if it is another one.
    pub reported_directory: Option<PathBuf>,
    /// How the directory is watched.
    pub mechanism: Mechanism,
    /// Why it is not watched in the best way.
    pub limitation: Option<String>,
}

impl TestCase {
    /// The technique in this directory, with the technique's name.
    pub fn new(technique: Technique, directory: PathBuf, watched: (Mechanism, Option<String>)) -> Self {
        Self {
            name: technique.name.to_owned(),
            description: technique.description.to_owned(),
            technique,
            directory,
            reported_directory: None,
            mechanism: watched.0,
            limitation: watched.1,
        }
    }
}
