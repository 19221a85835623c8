//! The process that made a change, and the evidence for it.

use super::words::words;
use std::fmt;
use std::path::PathBuf;

words! {
    /// How the writer's executable is known (`WriterEvidence`, `pyhookwatch.writer.evidence`), the strongest first.
    Evidence {
        /// Read from `/proc/PID` while the process lived, checked against the event's pidfd.
        Proc = "proc",
        /// The kernel's accounting record of its end has the device and inode of its executable (taskstats, Linux
        /// 5.19).
        ExitRecord = "exit-record",
        /// The last program that the process started before it wrote, by the kernel's record (FAN_OPEN_EXEC).
        ExecRecord = "exec-record",
        /// It had started no program: it was a copy of its parent, whose program is known.
        ForkLineage = "fork-lineage",
        /// No evidence establishes the executable; the alert has only the other facts.
        Unknown = "unknown",
        /// The source has no process at all (inotify).
        Unavailable = "unavailable",
    }
}

/// The process that made a change, as far as the evidence shows it.
#[derive(Clone, Debug)]
pub struct Writer {
    /// How the executable is known.
    pub evidence: Evidence,
    /// Other kinds of evidence that name the same executable.
    pub corroborated_by: Vec<Evidence>,
    /// Whether the evidence establishes the executable well enough for an exclusion.
    pub confidence: Confidence,
    /// The known facts of the process. With [`Evidence::Unknown`] they may be the pid alone, or comm and parent of a
    /// zombie.
    pub process: Option<Process>,
    /// Parent, its parent and so on, as far as each link could be checked.
    pub parents: Vec<Process>,
    /// Executables named by contradicting evidence; at most [`Writer::MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
    /// The script that an interpreter runs.
    pub script: Option<Script>,
    /// The installer with the process's name: `pip`, `uv`, `dpkg` and so on.
    pub installer: Option<&'static str>,
    /// The installer with the name of the nearest verified ancestor that has such a name.
    pub ancestor_installer: Option<&'static str>,
    /// Container the process runs in, from its cgroup: 64 hexadecimal digits or a name.
    pub container_id: Option<String>,
    /// systemd unit the process runs in, from its cgroup.
    pub unit: Option<String>,
    /// Where the nearest living ancestor of an ended writer runs. The writer most likely ran there too, but this is
    /// not proven, so rules do not see it.
    pub living_ancestor: Option<LivingAncestor>,
}

impl Writer {
    /// Most candidates.
    pub const MAX_CANDIDATES: usize = 4;

    /// A writer about which nothing is known.
    pub fn unknown(why: Doubt) -> Self {
        Self {
            evidence: Evidence::Unknown,
            corroborated_by: Vec::new(),
            confidence: Confidence::Doubted(why),
            process: None,
            parents: Vec::new(),
            candidates: Vec::new(),
            script: None,
            installer: None,
            ancestor_installer: None,
            container_id: None,
            unit: None,
            living_ancestor: None,
        }
    }

    /// The writer of an event without a process.
    pub fn unavailable() -> Self {
        Self { evidence: Evidence::Unavailable, ..Self::unknown(Doubt::NoProcessFromInotify) }
    }

    /// The executable, if one is established.
    pub fn executable(&self) -> Option<&Executable> {
        self.process.as_ref().and_then(|process| process.executable.as_ref())
    }
}

/// Whether the evidence establishes a writer's executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// It does: a rule's exclusion may count.
    Confirmed,
    /// It does not: no exclusion counts.
    Doubted(Doubt),
}

impl Confidence {
    /// The first doubt, if there is one.
    pub fn doubt(self) -> Option<Doubt> {
        match self {
            Confidence::Confirmed => None,
            Confidence::Doubted(doubt) => Some(doubt),
        }
    }

    /// Adds a doubt. An earlier doubt stays.
    #[must_use]
    pub fn with_doubt(self, doubt: Doubt) -> Self {
        Confidence::Doubted(self.doubt().unwrap_or(doubt))
    }
}

/// Why a writer is not established well enough for an exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The writer of this change has not been determined.
    NotDetermined,
    /// inotify has no process in its events.
    NoProcessFromInotify,
    /// A mount event has no process.
    NoProcessOfMount,
    /// The event has pid 0.
    OtherPidNamespace,
    /// The event has no pidfd.
    NoPidfd,
    /// `/proc/PID` was gone or had another process.
    EndedUnread,
    /// A zombie: `/proc/PID/exe` was gone.
    EndedHalfRead,
    /// No record names a program.
    NoRecord,
    /// The exit record has device and inode, and no known path leads there.
    PathUnknown,
    /// Nothing else supports the one record.
    OneRecord,
    /// The fork record alone names a parent, which may be wrong with CLONE_PARENT.
    LineageOnly,
    /// The write may have come before the exec was complete.
    JustStarted,
    /// Another thread may have written while the exec was under way.
    OtherThreads,
    /// An exec came after the write.
    RanSince,
    /// More exec records than completed execs.
    ExecFailed,
    /// More completed execs than exec records.
    NoExecRecord,
    /// The records contradict each other.
    Disagreement,
    /// There are no fork and exec events to compare with.
    ExecsUncounted,
    /// In a user namespace of its own a process can choose the executable that `/proc` and its exit record show
    /// (PR_SET_MM_MAP of `prctl(2)`).
    OwnUserNamespace,
    /// Records were lost at the time of the write.
    LostRecords,
    /// Exec records of one pid could not be assigned to its processes.
    Ambiguous,
    /// The pid was used by several processes at the time of the write.
    SharedPid,
    /// No process is known.
    ProcessUnknown,
    /// No executable is known.
    ExecutableUnknown,
    /// The executable's file has no name any more.
    ExecutableDeleted,
    /// The host has another file, or none, at the executable's path.
    NotHostFile,
    /// The same, or deleted, for the parent's executable.
    ParentNotHostFile,
    /// The change has more writers than are kept.
    MoreWriters,
}

impl Doubt {
    /// The sentence in alerts and answers; nothing may branch on it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Doubt::NotDetermined => "the writer has not been determined",
            Doubt::NoProcessFromInotify => "inotify does not report the process",
            Doubt::NoProcessOfMount => "the kernel does not report the process that mounts",
            Doubt::OtherPidNamespace => "the process is not in this pid namespace",
            Doubt::NoPidfd => "the kernel supplied no pidfd: the process was gone, or the kernel is too old",
            Doubt::EndedUnread => "the process had ended before it could be read",
            Doubt::EndedHalfRead => "the process had ended; only its name and parent were left to read",
            Doubt::NoRecord => "the process had ended, and no record names its program",
            Doubt::PathUnknown => "the exit record identifies the writer's file, but no record holds its path",
            Doubt::OneRecord => "only one kind of record names the writer",
            Doubt::LineageOnly => "only the fork record leads to a program, and it may name another process's parent",
            Doubt::JustStarted => {
                "the process had only just started this program; its previous program may have written"
            }
            Doubt::OtherThreads => "other threads of the process may have written while it started this program",
            Doubt::RanSince => "the process has run another program since it wrote",
            Doubt::ExecFailed => "the process failed to start a program before or while it wrote",
            Doubt::NoExecRecord => {
                "the process has run a program that left no record (in memory, or on an unwatched filesystem)"
            }
            Doubt::Disagreement => "the records about the process disagree",
            Doubt::ExecsUncounted => "the kernel does not report how many programs the process started",
            Doubt::OwnUserNamespace => {
                "the writer has, or may have had, its own user namespace, where it can choose which executable is shown"
            }
            Doubt::LostRecords => "records about processes were lost at the time",
            Doubt::Ambiguous => "it is not certain which of the programs that the process started wrote",
            Doubt::SharedPid => "several processes had this pid at the time, and they ran different programs",
            Doubt::ProcessUnknown => "the writer is not known",
            Doubt::ExecutableUnknown => "the writer's executable is not known",
            Doubt::ExecutableDeleted => "the writer's executable has been deleted or replaced",
            Doubt::NotHostFile => {
                "the writer's executable was not found to be the host's file at that path (container or private mount)"
            }
            Doubt::ParentNotHostFile => "the parent's executable is deleted or not the host's file at that path",
            Doubt::MoreWriters => "more processes took part in the change than are kept",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a living process runs, and who logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivingAncestor {
    /// Its process id.
    pub pid: u32,
    /// Its container.
    pub container_id: Option<String>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// Its users.
    pub user: Option<Credentials>,
    /// Its terminal.
    pub terminal: Option<String>,
    /// Its working directory.
    pub working_directory: Option<PathBuf>,
}

/// An executable that one kind of evidence names and another contradicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What names it.
    pub evidence: Evidence,
    /// The executable, where its path is known.
    pub path: Option<PathBuf>,
    /// Its device and inode, where they are known.
    pub id: Option<FileId>,
}

/// The script or module that an interpreter runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its path, absolute where the working directory is known; for `-m` the module's name.
    pub name: PathBuf,
    /// The name is that of a module (`python -m NAME`).
    pub is_module: bool,
    /// The kernel recorded its start. Otherwise the process's arguments name it.
    pub is_recorded: bool,
}

/// Device and inode. They identify a file of this machine as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device, `major:minor`.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// A process as `/proc` shows it, or as records describe it after its end. Text is raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id in this host's namespace; 0 when it is in another pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat` field 22). Pid and start time together identify a
    /// process.
    pub start_time: Option<u64>,
    /// The kernel's name of the process, at most 15 bytes, any bytes.
    pub comm: Vec<u8>,
    /// The executable file.
    pub executable: Option<Executable>,
    /// Device and inode of the executable, even where its path is not established.
    pub executable_id: Option<FileId>,
    /// Arguments, in order; together at most 4,096 bytes.
    pub arguments: Vec<Vec<u8>>,
    /// The command line is longer than `arguments`.
    pub arguments_truncated: bool,
    /// Working directory.
    pub working_directory: Option<PathBuf>,
    /// Controlling terminal, as `pts/3` or `tty1`.
    pub terminal: Option<String>,
    /// It is in the mount namespace of this host's first process.
    pub in_host_mounts: Option<bool>,
    /// It is in the user namespace of this host's first process. In its own user namespace it can make any executable
    /// appear as its own (PR_SET_MM_MAP of `prctl(2)`).
    pub in_host_users: Option<bool>,
    /// Its users.
    pub user: Option<Credentials>,
    /// It has ended, and records supply the fields.
    pub is_gone: bool,
}

/// The file behind `/proc/PID/exe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// Path from the kernel, without the `" (deleted)"` mark.
    pub path: PathBuf,
    /// The file has no name any more (replaced by an upgrade, or hidden).
    pub deleted: bool,
    /// This host has the same file (device and inode) at this path.
    pub is_host_file: bool,
}

/// User ids of a process, in this host's user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real user id.
    pub real: u32,
    /// Effective user id; exit records lack it.
    pub effective: Option<u32>,
    /// Login user id (`/proc/PID/loginuid`), which `su` and `sudo` do not change. `None` for services.
    pub login: Option<u32>,
    /// Login session (`/proc/PID/sessionid`), a number of the audit subsystem.
    pub session: Option<u32>,
}
