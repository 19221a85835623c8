//! What the kernel of this machine can do, found by doing it. Older kernels than the newest are supported with what they
//! have; `tests/kernels/run` boots some of them.

use crate::actor::{Actor, OWN_MOUNTS, py};
use fanotify::low_level::{FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_MODIFY, FAN_NONBLOCK};
use pyhookwatch::source::fanotify::record::records;
use pyhookwatch::sys;
use pyhookwatch::writer::records::taskstats::Taskstats;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

/// A tmpfs has an identity by which fanotify can tell names on it (Linux 5.13).
pub fn tells_names_on_tmpfs() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let mut helper = Actor::python(&OWN_MOUNTS);
        let place = tempfile::tempdir().unwrap();
        helper.run(&format!(
            "import subprocess; subprocess.run([b'mount', b'-t', b'tmpfs', b'none', {}], check=True)",
            py(place.path())
        ));
        mark_for_changes(&helper.sees(place.path())).is_ok()
    })
}

/// What is written through an overlay to a file in its upper directory is told as a change of that file (Linux 6.5). Not
/// by truncating it first: that is told by older kernels too.
pub fn tells_writes_through_overlays() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let mut helper = Actor::python(&OWN_MOUNTS);
        let place = tempfile::tempdir().unwrap();
        for directory in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
        }
        std::fs::write(place.path().join("upper/file"), "").unwrap();
        let group = mark_for_changes(place.path()).unwrap();
        helper.run(&format!(
            "import os, subprocess; os.chdir({})
subprocess.run('mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged'.split(), check=True)
open('merged/file', 'a').write('x')",
            py(place.path())
        ));
        let mut buffer = vec![0; 64 << 10];
        // Nothing to read: nothing was told.
        let length = rustix::io::read(&group, &mut buffer).unwrap_or(0);
        records(&buffer[..length]).any(|record| record.unwrap().name.is_some_and(|name| name.name == b"file"))
    })
}

/// The record of a process's end tells its executable (Linux 5.19).
pub fn tells_executables_at_the_end() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| Taskstats::open().is_ok_and(|records| records.has_executables()))
}

fn mark_for_changes(path: &Path) -> std::io::Result<OwnedFd> {
    let group = sys::fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME, 0)?;
    sys::fanotify_mark(group.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_MODIFY, path)?;
    Ok(group)
}
