//! The local filesystems of this machine, where `scan` and `coverage` search.

use crate::source::mounts;
use std::path::{Path, PathBuf};

/// The root, and one mount point below it of each other local filesystem.
pub fn below(root: &Path) -> Vec<PathBuf> {
    let mut tops = vec![root.to_path_buf()];
    let mounts = mounts::read().unwrap_or_default();
    let own = mounts::holding(&mounts, root).map(|mount| mount.device);
    for (device, mounts) in mounts::by_device(mounts) {
        let mount = mounts.iter().find(|mount| {
            // The files of a container's overlay are found in its upper and lower directories.
            let is_local = mounts::class(&mount.fs_type) == mounts::Class::Local && mount.fs_type != "overlay";
            is_local && mount.mount_point.starts_with(root) && mount.mount_point.is_dir()
        });
        tops.extend(mount.filter(|_| Some(device) != own).map(|mount| mount.mount_point.clone()));
    }
    tops
}
