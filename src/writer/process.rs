//! One process, pinned: a descriptor of `/proc/PID` that can never come to mean another process.
//!
//! `procfs` parses `stat`; what a process may choose freely (`cmdline`, `comm`, `exe`) is read as
//! bytes here, because the crate wants UTF-8 there, and with a cap.

use super::container;
use crate::event::{Credentials, Executable, FileId, Process};
use procfs::FromRead;
use procfs::process::Stat;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Most bytes read of a command line.
const MAX_COMMAND_LINE: u64 = 4096;
/// Most bytes read of `status`, `cgroup` and the like.
const MAX_SMALL: u64 = 4096;

/// A process by the descriptor of its `/proc` directory. Reads fail once it has been reaped; they
/// never give another process's data.
pub struct Pinned {
    pid: u32,
    directory: OwnedFd,
}

impl Pinned {
    /// Pins the process that has this pid now.
    ///
    /// # Errors
    /// NotFound when no process has it.
    pub fn open(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
        Ok(Self { pid, directory })
    }

    /// Reads what there is to know, the executable first because it goes first, and the parent's pid
    /// as [`Pinned::parent`] gives it. What cannot be read stays empty.
    pub fn read(&self) -> (Process, Option<u32>) {
        let executable = self.executable();
        let comm = self.small("comm").strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or_default();
        let (arguments, arguments_truncated) = self.arguments();
        let stat = self.stat();
        let process = Process {
            pid: self.pid,
            start_time: stat.as_ref().map(|stat| stat.starttime),
            comm,
            executable,
            arguments,
            arguments_truncated,
            user: self.user(),
            ..Process::default()
        };
        (process, stat.as_ref().and_then(parent))
    }

    /// The parent's pid at this moment; `None` for the first process and one that is gone.
    pub fn parent(&self) -> Option<u32> {
        self.stat().as_ref().and_then(parent)
    }

    /// The container of its cgroup.
    pub fn container_id(&self) -> Option<String> {
        container::id(&self.small("cgroup"))
    }

    fn stat(&self) -> Option<Stat> {
        Stat::from_read(self.small("stat").as_slice()).ok()
    }

    fn executable(&self) -> Option<Executable> {
        let told = rustix::fs::readlinkat(&self.directory, "exe", Vec::new()).ok()?;
        let told = PathBuf::from(OsString::from_vec(told.into_bytes()));
        // Through the link itself, which leads to the running file whatever its name is by now.
        let running = file_id(&self.directory, "exe");
        let is_at = |path: &Path| running.is_some() && look_up(path) == running;
        let is_host_file = is_at(&told);
        // "(deleted)" is the kernel's mark, unless a file of that very name is the one that runs.
        match told.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
            Some(path) if !is_host_file => {
                Some(Executable { path: PathBuf::from(OsStr::from_bytes(path)), deleted: true, is_host_file: false })
            }
            _ => Some(Executable { path: told, deleted: false, is_host_file }),
        }
    }

    fn arguments(&self) -> (Vec<Vec<u8>>, bool) {
        let mut line = self.capped("cmdline", MAX_COMMAND_LINE + 1);
        let truncated = line.len() as u64 > MAX_COMMAND_LINE;
        line.truncate(MAX_COMMAND_LINE as usize);
        if line.last() == Some(&0) {
            line.pop();
        }
        if line.is_empty() {
            return (Vec::new(), truncated);
        }
        (line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect(), truncated)
    }

    fn user(&self) -> Option<Credentials> {
        let status = self.small("status");
        let (real, effective) = status.split(|&byte| byte == b'\n').find_map(|line| {
            let mut ids = std::str::from_utf8(line.strip_prefix(b"Uid:")?).ok()?.split_whitespace();
            Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
        })?;
        let login = std::str::from_utf8(&self.small("loginuid")).ok().and_then(|text| text.trim().parse().ok());
        Some(Credentials {
            real,
            effective: Some(effective),
            login: login.filter(|&uid| uid != u32::MAX),
            session: None,
        })
    }

    fn small(&self, name: &str) -> Vec<u8> {
        self.capped(name, MAX_SMALL)
    }

    fn capped(&self, name: &str, limit: u64) -> Vec<u8> {
        // Room for all of it at once: growing step by step took more than twice as many reads.
        let mut bytes = Vec::with_capacity(limit as usize + 1);
        if let Ok(file) = rustix::fs::openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            // A process that ends while being read leaves what was read so far.
            let _ = File::from(file).take(limit).read_to_end(&mut bytes);
        }
        bytes
    }
}

/// For the table of processes that records are put to.
impl Pinned {
    /// When it started, in clock ticks since boot, and its parent's pid.
    pub fn origin(&self) -> Option<(u64, Option<u32>)> {
        let stat = self.stat()?;
        Some((stat.starttime, parent(&stat)))
    }

    /// The path of what it runs, as the kernel tells it, and the file.
    pub fn program(&self) -> Option<(PathBuf, FileId)> {
        let executable = self.executable()?;
        let (major, minor, inode) = file_id(&self.directory, "exe")?;
        Some((executable.path, FileId { device: (major, minor), inode }))
    }
}

/// Every process id of this moment.
pub fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether this host has the file at this path.
pub fn is_host_file(path: &Path, id: FileId) -> bool {
    look_up(path) == Some((id.device.0, id.device.1, id.inode))
}

/// A start time in clock ticks since boot as nanoseconds of CLOCK_MONOTONIC, which stands still while
/// the machine sleeps.
pub fn moment(start_time: u64) -> u64 {
    let seconds = |clock| {
        let time = rustix::time::clock_gettime(clock);
        u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
    };
    let asleep = seconds(rustix::time::ClockId::Boottime).saturating_sub(seconds(rustix::time::ClockId::Monotonic));
    let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
    start_time.saturating_mul(tick).saturating_sub(asleep)
}

/// Device and inode, without asking a server for it: a process may run from a filesystem that never
/// answers.
fn file_id(directory: impl AsFd, path: &str) -> Option<(u32, u32, u64)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(directory, path, flags, StatxFlags::INO).ok()?;
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

/// What this host has at a path that the process chose (its mount namespace may be a private one): only
/// if the kernel knows it already (RESOLVE_CACHED, Linux 5.12), because a path can lead to a mount that
/// never answers. A program that really runs from there is known.
fn look_up(path: &Path) -> Option<(u32, u32, u64)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?;
    file_id(found, "")
}

fn parent(stat: &Stat) -> Option<u32> {
    u32::try_from(stat.ppid).ok().filter(|&pid| pid != 0)
}
