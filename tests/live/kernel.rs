//! What the kernel of this machine can do, found by doing it. Older kernels than the newest are supported with what they
//! have; `tests/kernels/run` boots some of them.

use crate::actor::{Actor, OWN_MOUNTS, py};
use pyhookwatch::source::fanotify::listener::Listener;
use pyhookwatch::writer::records::taskstats::Taskstats;
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
        match Listener::new(&helper.sees(place.path())) {
            Ok(_) => true,
            // Its word for a filesystem without an identity. Anything else is none about the kernel.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => false,
            Err(error) => panic!("{error}"),
        }
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
        std::fs::write(place.path().join("upper/tells-writes"), "").unwrap();
        let listener = Listener::new(place.path()).unwrap();
        helper.run(&format!(
            "import os, subprocess; os.chdir({})
subprocess.run('mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged'.split(), check=True)
open('merged/tells-writes', 'a').write('x')",
            py(place.path())
        ));
        listener.has_heard_of(b"tells-writes").unwrap()
    })
}

/// The record of a process's end tells its executable (Linux 5.19).
pub fn tells_executables_at_the_end() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| Taskstats::open().unwrap().has_executables())
}
