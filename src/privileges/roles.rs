//! Which capabilities a thread keeps, by its role. docs/decisions/010-privileges.md has the same table; a test compares
//! them.

use rustix::thread::CapabilitySet;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads the kernel's queues and the processes that wrote.
    Reader,
    /// Reads files and directories of every user: start-up files, package lists, watched directories.
    Files,
    /// Reads and writes what was opened for it, or what the user may open.
    Nothing,
}

impl Role {
    /// The capabilities that a thread of this role keeps.
    pub fn capabilities(self) -> CapabilitySet {
        let own = CAPABILITIES.iter().filter(|capability| capability.roles.contains(&self));
        own.fold(CapabilitySet::empty(), |set, capability| set | capability.set)
    }
}

/// A capability that some thread keeps (capabilities(7)).
pub struct Capability {
    pub set: CapabilitySet,
    pub name: &'static str,
    pub roles: &'static [Role],
    /// What the daemon cannot do without it, for the log.
    pub without: &'static str,
}

/// The capabilities in use, of about 40 that root has. Decision 010 has the reason for each.
pub static CAPABILITIES: [Capability; 4] = [
    Capability {
        set: CapabilitySet::SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        roles: &[Role::Reader],
        without: "fanotify is refused",
    },
    Capability {
        set: CapabilitySet::DAC_READ_SEARCH,
        name: "CAP_DAC_READ_SEARCH",
        roles: &[Role::Reader, Role::Files],
        without: "a change cannot be located",
    },
    Capability {
        set: CapabilitySet::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        roles: &[Role::Reader],
        without: "executable and namespaces of other users' processes cannot be read: most writers will be unknown",
    },
    Capability {
        set: CapabilitySet::NET_ADMIN,
        name: "CAP_NET_ADMIN",
        roles: &[Role::Reader],
        without: "no records of forks and exits: writers that have ended stay unknown",
    },
];
