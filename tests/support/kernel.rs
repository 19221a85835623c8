//! What the kernel of this machine reports, found by trying. `tests/kernels/run` boots older kernels, which report less.

use super::helper::{Helper, OWN_MOUNTS, py};
use fanotify::low_level::{FAN_CLASS_NOTIF, FAN_MARK_ADD, FAN_MARK_FILESYSTEM, FAN_NONBLOCK, FAN_OPEN_EXEC};
use pyhookwatch::source::fanotify::listener::Listener;
use pyhookwatch::sys;
use pyhookwatch::writer::records::taskstats::Taskstats;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::OnceLock;

/// A tmpfs has an identity by which fanotify can report names on it (Linux 5.13).
pub fn reports_names_on_tmpfs() -> bool {
    static REPORTS: OnceLock<bool> = OnceLock::new();
    *REPORTS.get_or_init(|| {
        let mut helper = Helper::python(&OWN_MOUNTS);
        let directory = tempfile::tempdir().unwrap();
        helper.run(&format!(
            "import subprocess; subprocess.run([b'mount', b'-t', b'tmpfs', b'none', {}], check=True)",
            py(directory.path())
        ));
        match Listener::new(&helper.sees(directory.path())) {
            Ok(_) => true,
            // Its word for a filesystem without an identity. Anything else is none about the kernel.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => false,
            Err(error) => panic!("{error}"),
        }
    })
}

/// The kernel reports a write through an overlay as a change of the file in the upper directory (Linux 6.5). The file is
/// not truncated first, because older kernels report that too.
pub fn reports_writes_through_overlays() -> bool {
    static REPORTS: OnceLock<bool> = OnceLock::new();
    *REPORTS.get_or_init(|| {
        let mut helper = Helper::python(&OWN_MOUNTS);
        let directory = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        std::fs::write(directory.path().join("upper/reports-writes"), "").unwrap();
        let listener = Listener::new(directory.path()).unwrap();
        helper.run(&format!(
            "import os, subprocess; os.chdir({})
subprocess.run('mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged'.split(), check=True)
open('merged/reports-writes', 'a').write('x')",
            py(directory.path())
        ));
        listener.has_reported(b"reports-writes").unwrap()
    })
}

/// The record of a process's end names its executable (Linux 5.19).
pub fn reports_executables_at_the_end() -> bool {
    static REPORTS: OnceLock<bool> = OnceLock::new();
    *REPORTS.get_or_init(|| Taskstats::open().unwrap().has_executables())
}

/// The kernel reports the start of a program on an overlay as that of the file in its layer (Linux 6.5).
pub fn reports_starts_from_overlays() -> bool {
    static REPORTS: OnceLock<bool> = OnceLock::new();
    *REPORTS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let flags = FAN_CLASS_NOTIF | FAN_NONBLOCK | libc::FAN_REPORT_DFID_NAME;
        let group = sys::fanotify_init(flags, 0).unwrap();
        sys::fanotify_mark(group.as_fd(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, directory.path()).unwrap();
        // Any program that starts meanwhile is reported too, so the name counts.
        let script = "cp /bin/true lower/reports-starts
            mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged
            exec merged/reports-starts";
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-ec", script]).current_dir(directory.path());
        assert!(command.status().unwrap().success(), "{command:?}");
        let mut buffer = vec![0; 64 << 10];
        loop {
            match rustix::io::read(&group, &mut buffer) {
                Ok(length)
                    if buffer[..length].windows(b"reports-starts".len()).any(|bytes| bytes == b"reports-starts") =>
                {
                    return true;
                }
                Ok(_) => {}
                // The queue is empty: it was not reported.
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    })
}
