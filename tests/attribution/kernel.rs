//! What the kernel of this machine can do, found by doing it. Older ones tell less.

use fanotify::low_level::{FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_NONBLOCK, FAN_OPEN_EXEC};
use pyhookwatch::sys;
use pyhookwatch::writer::records::taskstats::Taskstats;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::OnceLock;

/// The record of a process's end tells its executable (Linux 5.19).
pub fn tells_executables_at_the_end() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| Taskstats::open().unwrap().has_executables())
}

/// The start of a program on an overlay is told as that of a file in its layer (Linux 6.5).
pub fn tells_starts_from_overlays() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        for directory in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
        }
        let flags = FAN_CLASS_NOTIF | FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME;
        let group = sys::fanotify_init(flags, 0).unwrap();
        sys::fanotify_mark(group.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, place.path()).unwrap();
        // Any program that starts meanwhile is told too, so it is the name that counts.
        let script = "cp /bin/true lower/tells-starts
            mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged
            exec merged/tells-starts";
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-ec", script]).current_dir(place.path());
        assert!(command.status().unwrap().success(), "{command:?}");
        let mut buffer = vec![0; 64 << 10];
        loop {
            match rustix::io::read(&group, &mut buffer) {
                Ok(length) if buffer[..length].windows(12).any(|bytes| bytes == b"tells-starts") => return true,
                Ok(_) => {}
                // Nothing more to read: it was not told.
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    })
}
