//! Whose is a file? What the package databases of this machine, and the lists that installers of wheels
//! leave in a site directory, say of it.
//!
//! All of it can be forged by whoever can write there, and a wheel's list by whoever made the wheel. So it
//! lowers what a rule says of harmless content and never cancels what is said of hostile content.
//!
//! Not read: the databases of rpm, apk and pacman, and conda's. Below a root without dpkg, a file that no
//! wheel lists is of unknown provenance.

pub mod dpkg;
mod packages;
mod read;
pub mod record;
#[cfg(test)]
mod tests;
mod wheels;

use crate::event::{FileFacts, FileRef, FileState, Provenance};
use packages::Packages;
use std::path::{Path, PathBuf};
use wheels::Wheels;

/// What is remembered between questions: at most some 7 MiB (`packages` 4, `wheels` 3), some 500 KiB
/// on a server. Nothing is read before the first question.
#[derive(Debug)]
pub struct PackageDb {
    root: PathBuf,
    packages: Packages,
    wheels: Wheels,
}

/// What one kind of list says of a file, the weightiest last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// There are no such lists here.
    NoLists,
    /// No list names it.
    Nobody,
    /// Not all could be read, or is written yet.
    Unknown,
    /// A list names it and tells no hash, or there is none of the content.
    Unverified,
    /// A package's list names it with another content.
    Other(String),
    /// A package's list names it with this content.
    Same(String),
}

impl Answer {
    /// Both together: what says more counts.
    fn or(self, other: Self) -> Self {
        self.max(other)
    }
}

impl PackageDb {
    /// For what is below this root.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), packages: Packages::default(), wheels: Wheels::default() }
    }

    /// Whose the file is that was found so, with the MD5 of its whole content if it was read to its end.
    ///
    /// Blocks for reading: under 1 ms when nothing has changed since the last question; up to 100 ms for the
    /// first one with 3,000 packages installed.
    ///
    /// * Only a regular file can be owned: lists tell no content of a symbolic link, so a listed one is unknown.
    /// * A list that tells no hash of the file (bytecode, `installed-files.txt`, a package without
    ///   `md5sums`) says whose the name is and not whose the content: unknown.
    /// * An installer writes a wheel's list after its files: at the time of the event a fresh file is nobody's.
    pub fn of(&mut self, file: &FileRef, facts: &FileFacts, md5: Option<[u8; 16]>) -> Provenance {
        let (sha256, md5) = match facts.state {
            FileState::Regular => (facts.sha256, md5),
            FileState::SymbolicLink(_) => (None, None),
            _ => return Provenance::Unknown,
        };
        let mut answer = self.packages.of(&self.root, &file.path, md5);
        let has_database = answer != Answer::NoLists;
        if !matches!(answer, Answer::Same(_)) {
            answer = answer.or(self.wheels.of(file, sha256));
        }
        match answer {
            Answer::Same(package) => Provenance::Owned(package),
            Answer::Other(package) => Provenance::Changed(package),
            Answer::Nobody if has_database => Provenance::Unowned,
            Answer::Unverified | Answer::Unknown | Answer::Nobody | Answer::NoLists => Provenance::Unknown,
        }
    }
}
