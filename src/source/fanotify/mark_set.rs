//! Marks the mounted filesystems, and those that appear later.

use super::group::Group;
use crate::handles::{self, HandleTable};
use crate::source::guard::{Guard, Guarded};
use crate::source::mounts::{self, Class, Mount};
use rustix::fs::{AtFlags, StatxFlags};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The marks of one group.
pub struct MarkSet {
    /// The marked filesystems, by the fsid in their records.
    pub handles: HandleTable,
    root: PathBuf,
    /// Devices of the filesystems that were returned before.
    known: HashSet<(u32, u32)>,
    mounted: mounts::Known,
}

/// The result of an update.
#[derive(Debug)]
pub struct MountChanges {
    /// Filesystems in scope that were not there before.
    pub appeared: Vec<Guard>,
    /// Paths below the root over which something was mounted, and whether its files are on this machine.
    pub covered: Vec<(PathBuf, bool)>,
}

impl MarkSet {
    /// Nothing is marked yet.
    pub fn new(root: &Path) -> Self {
        Self {
            handles: HandleTable::default(),
            root: root.to_owned(),
            known: HashSet::new(),
            mounted: mounts::Known::default(),
        }
    }

    /// Forgets all marks.
    pub fn clear(&mut self) {
        self.handles.clear();
        self.known.clear();
    }

    /// Marks every mounted filesystem in scope. Every one is marked again each time: another filesystem may have the
    /// same device number by now, and marking twice does nothing.
    pub fn update(&mut self, group: &mut Group, mounted: &[Mount]) -> MountChanges {
        let covered = self.mounted.update(mounted).into_iter();
        let covered =
            covered.filter_map(|(path, is_local)| Some((mounts::below_root(&path, &self.root)?, is_local))).collect();
        let holder = mounts::holding(mounted, &self.root).map(|mount| mount.device);
        let (in_scope, outside): (Vec<_>, Vec<_>) = mounted
            .iter()
            .cloned()
            .partition(|mount| mount.mount_point.starts_with(&self.root) || Some(mount.device) == holder);
        // Overlays last, so that a marked upper directory is known.
        let (overlays, others): (Vec<_>, Vec<_>) =
            mounts::by_device(in_scope).into_iter().partition(|(_, mounts)| is_overlay(mounts));
        let (mut appeared, mut present, mut fsids) = (Vec::new(), HashSet::new(), HashSet::new());
        for (device, mounts) in others.into_iter().chain(overlays) {
            let Some(guard) = self.mark(group, mounted, &mounts, &mut fsids) else { continue };
            present.insert(device);
            if self.known.insert(device) {
                appeared.push(guard);
            }
        }
        self.known.retain(|device| present.contains(device));
        for (_, mounts) in mounts::by_device(outside) {
            self.mark_program_starts(group, &mounts, &mut fsids);
        }
        self.handles.retain(&fsids);
        MountChanges { appeared, covered }
    }

    /// Marks one filesystem. `None`: Python can run nothing from it, or other mounts hide it.
    fn mark(
        &mut self,
        group: &mut Group,
        mounted: &[Mount],
        mounts: &[Mount],
        fsids: &mut HashSet<u64>,
    ) -> Option<Guard> {
        let first = mounts.first()?;
        let by = match self.try_mark(group, mounted, mounts)? {
            Ok(fsid) => {
                fsids.insert(fsid);
                Guarded::Fanotify
            }
            Err(guarded) => guarded,
        };
        Some(Guard { device: first.device, mount_points: mount_points(mounts), fs_type: first.fs_type.clone(), by })
    }

    /// Returns the fsid of a filesystem that could be marked, otherwise what watches it instead.
    fn try_mark(&mut self, group: &mut Group, mounted: &[Mount], mounts: &[Mount]) -> Option<Result<u64, Guarded>> {
        let first = mounts.first()?;
        match mounts::class(&first.fs_type) {
            Class::Pseudo => return None,
            Class::Remote => return Some(Err(Guarded::Remote)),
            Class::Local => {}
        }
        match first.overlay_upper() {
            Some(upper) if self.is_marked(mounted, &upper) => return Some(Err(Guarded::ThroughUpper(upper))),
            // Without an upper directory nothing can be written.
            None if first.fs_type == "overlay" => return None,
            _ => {}
        }
        let opened = mounts.iter().map(open_exactly).find_map(Result::transpose)?;
        let marked = opened.and_then(|(mount, fsid)| {
            group.mark_filesystem(&descriptor_path(&mount))?;
            self.handles.insert(fsid, mount_points(mounts));
            Ok(fsid)
        });
        Some(marked.map_err(|error| Guarded::Refused(error.to_string())))
    }

    /// Marks a filesystem outside the root for program starts alone: it can hold the programs of writers.
    fn mark_program_starts(&mut self, group: &Group, mounts: &[Mount], fsids: &mut HashSet<u64>) {
        let is_local = mounts.first().is_some_and(|mount| mounts::class(&mount.fs_type) == Class::Local);
        if is_local
            && let Some(Ok((mount, fsid))) = mounts.iter().map(open_exactly).find_map(Result::transpose)
            // An overlay refuses: its programs are files of marked filesystems below.
            && group.mark_program_starts(&descriptor_path(&mount)).is_ok()
            && fsids.insert(fsid)
        {
            self.handles.insert(fsid, mount_points(mounts));
        }
    }

    /// Whether `path` is below the root and on a marked filesystem.
    fn is_marked(&self, mounted: &[Mount], path: &Path) -> bool {
        path.starts_with(&self.root)
            && mounts::holding(mounted, path).is_some_and(|mount| {
                handles::open_mount_point(&mount.mount_point).is_ok_and(|(_, fsid)| self.handles.contains(fsid))
            })
    }
}

/// Opens this mount; `None` if its path leads to another mount over it.
fn open_exactly(mount: &Mount) -> io::Result<Option<(OwnedFd, u64)>> {
    let (opened, fsid) = handles::open_mount_point(&mount.mount_point)?;
    let found = rustix::fs::statx(&opened, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    // A kernel without mount ids in statx (before 5.8) has no names in fanotify either.
    Ok((found.stx_mnt_id == mount.id).then_some((opened, fsid)))
}

/// A path to the file that a descriptor has open, even if its name leads to another one by now.
fn descriptor_path(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn mount_points(mounts: &[Mount]) -> Vec<PathBuf> {
    mounts.iter().map(|mount| mount.mount_point.clone()).collect()
}

fn is_overlay(mounts: &[Mount]) -> bool {
    mounts.first().is_some_and(|mount| mount.fs_type == "overlay")
}
