//! Drops the privileges of the process, and keeps some capabilities for each thread.
//!
//! A thread has capabilities of its own, and a new thread inherits those of its parent. So the order counts: the main
//! thread starts with those of the reader, without using them ([`sandbox`]). It raises them to place the marks and to
//! start the reader ([`raise`]), and drops them for good before it starts any other thread ([`drop_to`]).
//! A capability that the process never had is no error here: the sources report what they cannot do without it.
//!
//! Threads share their memory: code that runs in one can take over another. Fewer capabilities limit what crafted input
//! can make a thread do; the security boundary is the process (docs/decisions/010-privileges.md).

mod roles;
mod seccomp;

pub use roles::Role;

use crate::sys;
use nix::sys::resource::{Resource, setrlimit};
use roles::CAPABILITIES;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// Restricts the whole process. Call it once, before any other thread starts.
///
/// Sets no_new_privs, no core dumps, not dumpable (no ptrace by the same user), and a seccomp filter; empties the
/// bounding and the ambient set. The thread keeps the capabilities of `role` as permitted ones; only those of
/// [`Role::Files`] are effective until [`raise`].
///
/// Returns a message for each step that failed; the program works without them.
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

/// Makes the capabilities of a role effective in this thread, of those that it still has as permitted ones.
///
/// # Errors
/// As `capset(2)` gives them.
pub fn raise(role: Role) -> io::Result<()> {
    let permitted = rustix::thread::capabilities(None)?.permitted;
    set(permitted, permitted & role.capabilities())
}

/// Drops every capability of this thread but those of a role, for good.
pub fn drop_to(role: Role) {
    let kept = rustix::thread::capabilities(None).map_err(io::Error::from).and_then(|sets| {
        let kept = sets.permitted & role.capabilities();
        set(kept, kept)
    });
    if let Err(error) = kept {
        log::error!("a thread keeps capabilities that it does not need ({error})");
    }
}

/// Whether the program has rights that other users lack: only then its configuration must be secure.
pub fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
        || rustix::thread::capabilities(None).is_ok_and(|sets| !sets.permitted.is_empty())
}

/// Whether this thread may call `open_by_handle_at(2)`, which every fanotify record needs.
pub fn can_locate() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::DAC_READ_SEARCH))
}

/// Whether this thread can read `exe`, `cwd` and `ns` of other users' processes in `/proc`.
pub fn can_trace() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_PTRACE))
}

/// A message for each capability that the reader lacks. Call it before [`drop_to`].
pub fn missing() -> Vec<String> {
    let permitted = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.permitted);
    let needed = CAPABILITIES.iter().filter(|capability| capability.roles.contains(&Role::Reader));
    let missing = needed.filter(|capability| !permitted.contains(capability.set));
    missing.map(|capability| format!("without {}: {}", capability.name, capability.without)).collect()
}

fn set(permitted: CapabilitySet, effective: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

fn drop_unused(role: Role) -> io::Result<()> {
    let permitted = rustix::thread::capabilities(None)?.permitted;
    // Without CAP_SETPCAP the bounding set stays, which is harmless: no program is run, and no_new_privs is set.
    if permitted.contains(CapabilitySet::SETPCAP) {
        set(permitted, CapabilitySet::SETPCAP)?;
        for bit in 0..u64::BITS {
            match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
                Ok(()) => {}
                // Past the last capability of this kernel.
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
    let program = seccomp::program()
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no filter for this processor architecture"))?;
    sys::filter_system_calls(&program)
}

#[cfg(test)]
mod tests;
