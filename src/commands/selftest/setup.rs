//! Fills the scratch tree: directories, mounts and the configuration of the watchers.

use super::cases::{DIRECTORY_RENAME, TECHNIQUES};
use super::helper::CONTENT;
use super::scratch_tree::{PACKAGES, ScratchTree};
use std::io;
use std::path::{Path, PathBuf};

/// End of every planted hook's name. It explains the file to a person who finds it.
pub const HOOK: &str = "pyhookwatch-selftest.pth";
/// The file that the technique `overlay-change` writes to.
pub const EXISTING_HOOK: &str = "overlay-change-pyhookwatch-selftest.pth";
/// The configuration of the watchers, in the scratch tree: the embedded rules alone.
const CONFIGURATION: &str = "[rules]\ndirectories = []\n";

/// The mounts in the scratch tree. An `Err` is the reason why one is not possible.
pub struct Mounts {
    /// The other filesystems of the machine.
    pub others: Vec<OtherMount>,
    /// The filesystem in memory.
    pub tmpfs: Result<(), String>,
    /// The directory, below the root, that holds the parts of the overlay.
    pub overlay: Result<PathBuf, String>,
}

/// A directory of another filesystem, mounted in the scratch tree.
pub struct OtherMount {
    /// Where the filesystem is mounted on this machine.
    pub mount_point: &'static str,
    /// Its type.
    pub fs_type: String,
    /// Its directory below the root.
    pub directory: PathBuf,
    /// Whether it is there.
    pub mounted: Result<(), String>,
}

/// Path of the watchers' configuration.
pub fn configuration(tree: &ScratchTree) -> PathBuf {
    tree.base().join("selftest.toml")
}

/// The directory with files that are renamed or linked into place.
pub fn staging(tree: &ScratchTree) -> PathBuf {
    tree.root().join("staging")
}

/// Makes directories, files and mounts.
///
/// # Errors
/// A directory or file cannot be made. A mount that is not possible is no error.
pub fn prepare(tree: &mut ScratchTree) -> io::Result<Mounts> {
    let root = tree.root();
    for directory in [staging(tree).join("packages"), tree.inotify_root().join("inotify").join(PACKAGES)] {
        tree.make_directory(&directory)?;
    }
    std::fs::write(configuration(tree), CONFIGURATION)?;
    for technique in &TECHNIQUES {
        let packages = root.join(technique.name).join(PACKAGES);
        let is_renamed_later = technique.name == DIRECTORY_RENAME;
        tree.make_directory(if is_renamed_later { packages.parent().unwrap_or(&packages) } else { &packages })?;
    }
    // Before the watcher starts: it would find the record of this creation under the later name.
    std::fs::write(staging(tree).join("packages").join(HOOK), CONTENT)?;
    let others = tree.other_filesystems().into_iter().map(|other| {
        let directory = Path::new("other").join(other.mount_point.trim_start_matches('/'));
        let target = root.join(&directory);
        let mounted = tree.mount_other(&other, &target).and_then(|()| make_packages(tree, &target));
        OtherMount { mount_point: other.mount_point, fs_type: other.fs_type, directory, mounted }
    });
    let others = others.collect();
    let tmpfs_at = root.join("tmpfs");
    let tmpfs = tree.mount_tmpfs(&tmpfs_at).and_then(|()| make_packages(tree, &tmpfs_at));
    // An upper directory cannot be on an overlay.
    let overlay_at = if tree.fs_type() == "overlay" { tmpfs_at.join("overlay") } else { root.join("overlay") };
    let overlay = tree.mount_overlay(&overlay_at).and_then(|()| {
        let existing = overlay_at.join("upper").join(PACKAGES).join(EXISTING_HOOK);
        std::fs::write(existing, CONTENT).map_err(|error| error.to_string())?;
        Ok(overlay_at.strip_prefix(&root).map(Path::to_path_buf).unwrap_or_default())
    });
    Ok(Mounts { others, tmpfs, overlay })
}

/// Makes the packages' directory below a mount point.
///
/// # Errors
/// The reason, for the report.
pub fn make_packages(tree: &ScratchTree, mount_point: &Path) -> Result<(), String> {
    tree.make_directory(&mount_point.join(PACKAGES)).map_err(|error| error.to_string())
}
