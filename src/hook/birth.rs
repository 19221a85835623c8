//! Birth times of directories. They show an installation, and directories that are older than the watch.
//!
//! Programs cannot set a birth time, but a filesystem image can contain any.

use super::content;
use super::location;
use super::tracked_paths::TrackedPaths;
use crate::event::{FileRef, HookLocation};
use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A Python tree younger than this is being installed.
const NEW: Duration = Duration::from_secs(15 * 60);
/// A directory younger than this at its rename was made for it.
const JUST: Duration = Duration::from_secs(2);
/// Directories between a file of the standard library and its top: `encodings/__pycache__`.
const MAX_DEPTH: usize = 4;

/// Whether the standard library's directory itself was created minutes ago. A directory that existed when the watch
/// began is not new, even if it was replaced. Nor is a copy that an overlay made.
pub(super) fn is_in_new_tree(tracked: &TrackedPaths, file: &FileRef) -> bool {
    let directories = file.path.ancestors().skip(1).take(MAX_DEPTH).enumerate();
    let mut stdlib = directories.filter(|(_, directory)| location::of(directory).location == HookLocation::Stdlib);
    let (Some((levels, top)), Some(directory)) = (stdlib.next(), file.directory.as_deref()) else { return false };
    if tracked.is_baseline_directory(top) {
        return false;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let up = if levels == 0 { ".".into() } else { "../".repeat(levels) };
    let Ok(top) = rustix::fs::openat(directory, up, flags, Mode::empty()) else { return false };
    let is_copied_up = ["trusted.overlay.origin", "user.overlay.origin"]
        .iter()
        .any(|name| rustix::fs::fgetxattr(&top, *name, &mut [0_u8; 256]).is_ok());
    let found = rustix::fs::statx(&top, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
    !is_copied_up && found.is_ok_and(|found| was_born_within(&found, NEW, SystemTime::now()))
}

/// Whether a directory was created just before this moment: an installer filled and renamed it, or an overlay copied
/// it. Each file in it then has an event of its own.
pub fn was_just_made(file: &FileRef, moment: SystemTime) -> bool {
    let (Some(directory), Some(name)) = (file.directory.as_deref(), file.path.file_name()) else { return false };
    let found = rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME | StatxFlags::TYPE);
    found.is_ok_and(|found| was_born_within(&found, JUST, moment))
}

/// Whether a directory existed before this moment, by its birth time. Without a birth time it counts as old.
pub fn was_there_before(root: &Path, directory: &Path, moment: SystemTime) -> bool {
    let Ok(opened) = content::open_below(root, directory) else { return false };
    let found = rustix::fs::statx(&opened, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
    let age = SystemTime::now().duration_since(moment).unwrap_or_default();
    !found.is_ok_and(|found| was_born_within(&found, age, SystemTime::now()))
}

/// Whether an inode was created at most this long before the moment; `false` without a birth time. Filesystems that
/// keep whole seconds make an inode older than it is, which reports more.
fn was_born_within(found: &Statx, time: Duration, moment: SystemTime) -> bool {
    let Ok(seconds) = u64::try_from(found.stx_btime.tv_sec) else { return false };
    let is_kept = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    let birth = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, found.stx_btime.tv_nsec.min(999_999_999)));
    // After a clock was set back, a birth can be after the moment: it counts as old.
    is_kept && birth.is_some_and(|birth| moment.duration_since(birth).is_ok_and(|age| age <= time))
}
