//! Which package a file belongs to, by the package databases of this machine and the lists that installers of wheels
//! leave in a site directory.
//!
//! An attacker who can write to a site directory can forge these lists, and the author of a wheel writes its list. So
//! provenance lowers the level of harmless content, never that of hostile content.
//!
//! Not read: the databases of rpm, apk, pacman and conda. Below a root without dpkg, a file that no wheel lists has
//! unknown provenance.

pub mod dpkg;
mod dpkg_index;
mod list_file;
mod ownership;
pub mod record;
#[cfg(test)]
mod tests;
mod wheel_index;

use crate::event::{FileFacts, FileRef, FileState, Provenance};
use dpkg_index::DpkgIndex;
use ownership::Ownership;
use std::path::{Path, PathBuf};
use wheel_index::WheelIndex;

/// The indexes of the package lists: at most 7 MiB (dpkg 4, wheels 3), about 500 KiB on a server. The first question reads
/// the lists.
#[derive(Debug)]
pub struct PackageDb {
    root: PathBuf,
    dpkg: DpkgIndex,
    wheels: WheelIndex,
}

impl PackageDb {
    /// For the files below this root.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), dpkg: DpkgIndex::default(), wheels: WheelIndex::default() }
    }

    /// The owner of a file with these facts; `md5` is that of its whole content, if it was read to its end.
    ///
    /// Blocks for reading: under 1 ms when nothing has changed since the last question; up to 100 ms for the first one
    /// with 3,000 packages installed.
    ///
    /// * Lists have no hash of a symbolic link: a listed one is unknown.
    /// * A list without a hash of the file (bytecode, `installed-files.txt`, a package without `md5sums`) names the owner
    ///   of the name and not of the content: unknown.
    /// * An installer writes a wheel's list after its files: at the time of the event no list names a new file.
    pub fn of(&mut self, file: &FileRef, facts: &FileFacts, md5: Option<[u8; 16]>) -> Provenance {
        let (sha256, md5) = match facts.state {
            FileState::Regular => (facts.sha256, md5),
            FileState::SymbolicLink(_) => (None, None),
            _ => return Provenance::Unknown,
        };
        let mut ownership = self.dpkg.of(&self.root, &file.path, md5);
        let has_dpkg = ownership != Ownership::NoLists;
        if !matches!(ownership, Ownership::Match(_)) {
            ownership = ownership.max(self.wheels.of(file, sha256));
        }
        match ownership {
            Ownership::Match(package) => Provenance::Owned(package),
            Ownership::Mismatch(package) => Provenance::Changed(package),
            Ownership::Unlisted if has_dpkg => Provenance::Unowned,
            _ => Provenance::Unknown,
        }
    }
}
