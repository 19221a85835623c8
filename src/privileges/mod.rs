//! What the process gives up, and which thread keeps what.
//!
//! Capabilities belong to threads, and a new thread has those of the one that starts it. So the order counts: the main
//! thread starts with what the reader needs but uses nothing of it ([`sandbox`]), takes it up to place the marks and to
//! start the reader ([`raise`]), and puts it down for good before it starts any other thread ([`drop_to`]).
//! Whatever is not there from the beginning is not missed here: the sources say what they cannot do without it.
//!
//! Threads share their memory: who can run code of his own in one of them can take over another. Fewer capabilities
//! in a thread are a limit for what it can be talked into, not a wall; the wall is around the process
//! (docs/decisions/010-privileges.md).

mod syscalls;

use crate::sys;
use nix::sys::resource::{Resource, setrlimit};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// What a thread does, which decides what it may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads the kernel's queues and looks at the writers.
    Reader,
    /// Reads files and directories of every user: the content of hooks, package lists, watched directories.
    Files,
    /// Reads or writes what was opened for it, or what this user may open by himself.
    Nothing,
}

/// The capabilities of the reader, each with what is lost without it.
const READER: [(CapabilitySet, &str, &str); 4] = [
    // fanotify_mark(2) of a filesystem that is mounted later; a new group after records that cannot be parsed.
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN", "fanotify is refused"),
    // open_by_handle_at(2): the directory of each change. Reading mount points that others may not.
    (CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "a change cannot be located"),
    // /proc/PID/exe, cwd and ns of other users' processes.
    (
        CapabilitySet::SYS_PTRACE,
        "CAP_SYS_PTRACE",
        "executable and namespaces of other users' processes cannot be read: most writers will be unknown",
    ),
    // The process connector and taskstats. Any local process can make the connector fall silent: then it is opened
    // anew, which needs the capability again.
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN", "no records of forks and ends: writers that are gone stay unknown"),
];

impl Role {
    fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Reader => READER.iter().fold(CapabilitySet::empty(), |all, (one, ..)| all | *one),
            Self::Files => CapabilitySet::DAC_READ_SEARCH,
            Self::Nothing => CapabilitySet::empty(),
        }
    }
}

/// For the whole process, once, before any other thread: no new privileges by running programs, no memory written to
/// disk or shown to other processes of the same user, no system calls that a watcher never makes, and no capability
/// but those of `role`, of which only reading ([`Role::Files`]) is in effect until [`raise`].
///
/// Gives what could not be done, in words: none of it keeps the program from its work.
pub fn sandbox(role: Role) -> Vec<String> {
    let steps: [(&str, io::Result<()>); 5] = [
        ("new privileges cannot be ruled out", rustix::thread::set_no_new_privs(true).map_err(io::Error::from)),
        (
            "other processes of this user can read its memory",
            set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from),
        ),
        ("a crash may write its memory to disk", setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(io::Error::from)),
        ("unused capabilities stay", drop_unused(role)),
        ("system calls that are never needed stay allowed", refuse_system_calls()),
    ];
    steps
        .into_iter()
        .filter_map(|(consequence, done)| done.err().map(|error| format!("{consequence} ({error})")))
        .collect()
}

/// Puts the capabilities of a role in effect in this thread, as far as it still has them.
///
/// # Errors
/// As `capset(2)` gives them.
pub fn raise(role: Role) -> io::Result<()> {
    let permitted = rustix::thread::capabilities(None)?.permitted;
    set(permitted, permitted & role.capabilities())
}

/// Gives up every capability of this thread but those of a role, for good.
pub fn drop_to(role: Role) {
    let kept = rustix::thread::capabilities(None).map_err(io::Error::from).and_then(|sets| {
        let kept = sets.permitted & role.capabilities();
        set(kept, kept)
    });
    if let Err(error) = kept {
        log::error!("a thread keeps capabilities that it does not need ({error})");
    }
}

/// Whether the program can do more than any user: only then it matters who else decides what it does.
pub fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
        || rustix::thread::capabilities(None).is_ok_and(|sets| !sets.permitted.is_empty())
}

/// Whether this thread can find a directory by its handle, without which no record of fanotify says where.
pub fn can_locate() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::DAC_READ_SEARCH))
}

/// Whether this thread can look at the processes of other users in `/proc`.
pub fn can_trace() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE))
}

/// The capabilities that the reader lacks, each with what that means; to be asked before [`drop_to`].
pub fn missing() -> Vec<String> {
    let permitted = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted);
    let lacks = READER.iter().filter(|(capability, ..)| !permitted.contains(*capability));
    lacks.map(|(_, name, consequence)| format!("without {name}: {consequence}")).collect()
}

fn set(permitted: CapabilitySet, effective: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

fn drop_unused(role: Role) -> io::Result<()> {
    let permitted = rustix::thread::capabilities(None)?.permitted;
    // While the capability for it is there. Without it there is no way, and no need: nothing here runs a program, and
    // no program that were run could gain anything (no_new_privs).
    if permitted.contains(CapabilitySet::SETPCAP) {
        set(permitted, CapabilitySet::SETPCAP)?;
        for bit in 0..u64::BITS {
            match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
                Ok(()) => {}
                // Past the last one that this kernel knows.
                Err(rustix::io::Errno::INVAL) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let kept = permitted & role.capabilities();
    set(kept, kept & Role::Files.capabilities())
}

fn refuse_system_calls() -> io::Result<()> {
    let program = syscalls::program()
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no filter for this processor architecture"))?;
    sys::filter_system_calls(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, which the tests beside it do not share.
    fn alone(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn what_was_given_up_does_not_come_back() {
        alone(|| {
            drop_to(Role::Files);
            raise(Role::Reader).unwrap();
            let sets = rustix::thread::capabilities(None).unwrap();
            assert!((sets.permitted - CapabilitySet::DAC_READ_SEARCH).is_empty());
            assert_eq!(sets.effective, sets.permitted);
            drop_to(Role::Nothing);
            raise(Role::Files).unwrap();
            assert!(rustix::thread::capabilities(None).unwrap().permitted.is_empty());
            assert!(!can_locate());
            assert_eq!(missing().len(), READER.len());
        });
    }

    #[test]
    fn a_role_that_is_put_down_can_be_taken_up_again() {
        alone(|| {
            let before = rustix::thread::capabilities(None).unwrap().permitted;
            raise(Role::Nothing).unwrap();
            assert!(rustix::thread::capabilities(None).unwrap().effective.is_empty());
            raise(Role::Reader).unwrap();
            let sets = rustix::thread::capabilities(None).unwrap();
            assert_eq!((sets.permitted, sets.effective), (before, before & Role::Reader.capabilities()));
        });
    }
}
