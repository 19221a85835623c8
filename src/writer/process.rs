//! Reads one process through a descriptor of its `/proc` directory, which never leads to another process.
//!
//! `procfs` parses `stat`. What a process may choose freely (`cmdline`, `comm`, `exe`) is read here, as bytes and with
//! a cap, because the crate requires UTF-8.

use super::command_line::{self, CommandLines, ProgramImage, Request};
use crate::event::{Credentials, Executable, FileId, Process};
use procfs::FromRead;
use procfs::process::Stat;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, StatxFlags};
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Most bytes read of a command line.
const MAX_COMMAND_LINE: u64 = 4096;
/// Most bytes read of `status`, `cgroup` and the like.
const MAX_SMALL: u64 = 4096;
/// Threads searched for an executable where the main thread has ended.
const MAX_THREADS: usize = 16;

thread_local! {
    static COMMAND_LINES: RefCell<CommandLines> = RefCell::default();
}

/// A process by the descriptor of its `/proc` directory. Reads fail once it has been reaped.
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

    /// Reads everything, and the parent's pid. The executable is read first because it disappears first. What cannot be
    /// read stays empty.
    pub fn read(&self) -> (Process, Option<u32>) {
        let found = executable(&self.directory).map(|found| (None, found));
        let found = found.or_else(|| self.living_thread().map(|(thread, found)| (Some(thread), found)));
        let (thread, found) = found.unzip();
        let task = thread.as_ref().and_then(Option::as_ref).unwrap_or(&self.directory);
        // Right after the executable, whose path has its meaning in these namespaces.
        let namespaces = NAMESPACES.map(|name| {
            let hosts = host_namespace(name)?;
            Some(link(task, name)? == *hosts)
        });
        let (mut process, parent) = self.read_through(task, found);
        process.working_directory = link(task, "cwd").map(PathBuf::from);
        [process.in_host_mounts, process.in_host_users] = namespaces;
        if let Some(user) = &mut process.user {
            user.session = self.audit_id("sessionid");
        }
        (process, parent)
    }

    /// The same without what only writers need: each written hook has many ancestors.
    pub fn read_ancestor(&self) -> (Process, Option<u32>) {
        self.read_through(&self.directory, executable(&self.directory))
    }

    /// Reads through the directory of the process or of one of its threads.
    fn read_through(&self, task: &OwnedFd, found: Option<(Executable, Option<FileId>)>) -> (Process, Option<u32>) {
        let (executable, executable_id) = found.unzip();
        let stat = self.stat();
        let request = stat.as_ref().map(|stat| self.request_arguments(task, stat));
        let comm = self.name();
        let user = self.user();
        let (arguments, arguments_truncated) = request.map(arguments).unwrap_or_default();
        let process = Process {
            pid: self.pid,
            start_time: stat.as_ref().map(|stat| stat.starttime),
            comm,
            executable,
            executable_id: executable_id.flatten(),
            arguments,
            arguments_truncated,
            terminal: stat.as_ref().and_then(|stat| terminal(stat.tty_nr)),
            user,
            ..Process::default()
        };
        (process, stat.as_ref().and_then(parent))
    }

    /// The parent's pid at this moment; `None` for the first process and one that is gone.
    pub fn parent(&self) -> Option<u32> {
        self.stat().as_ref().and_then(parent)
    }

    /// When it started, in clock ticks since boot, and its parent's pid.
    pub fn origin(&self) -> Option<(u64, Option<u32>)> {
        let stat = self.stat()?;
        Some((stat.starttime, parent(&stat)))
    }

    /// The kernel's name of the process, which it can choose itself. Empty when it is gone.
    pub fn name(&self) -> Vec<u8> {
        self.small("comm").strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Path and file of its executable.
    pub fn program(&self) -> Option<(PathBuf, FileId)> {
        let (executable, id) = executable(&self.directory)?;
        Some((executable.path, id?))
    }

    /// The lines of its cgroups.
    pub fn cgroup(&self) -> Vec<u8> {
        self.small("cgroup")
    }

    fn stat(&self) -> Option<Stat> {
        Stat::from_read(self.small("stat").as_slice()).ok()
    }

    /// A thread and the executable, for a process whose main thread has ended: only the name of that thread is left.
    fn living_thread(&self) -> Option<(OwnedFd, (Executable, Option<FileId>))> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tasks = rustix::fs::openat(&self.directory, "task", flags, Mode::empty()).ok()?;
        let entries = rustix::fs::Dir::read_from(&tasks).ok()?;
        let numbered = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_bytes() != b".." && entry.file_name().to_bytes() != b".");
        numbered.take(MAX_THREADS).find_map(|entry| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let thread = rustix::fs::openat(&tasks, entry.file_name(), flags, Mode::empty()).ok()?;
            let found = executable(&thread)?;
            Some((thread, found))
        })
    }

    /// Begins to read the arguments, which [`arguments`] returns. Other things can be read meanwhile.
    fn request_arguments(&self, task: &OwnedFd, stat: &Stat) -> Request {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(task, "cmdline", flags, Mode::empty()).ok();
        let arguments = (stat.arg_start.unwrap_or_default(), stat.arg_end.unwrap_or_default());
        let program = ProgramImage { pid: self.pid, start_time: stat.starttime, arguments };
        COMMAND_LINES.with_borrow_mut(|lines| lines.begin(program, open, MAX_COMMAND_LINE + 1))
    }

    fn user(&self) -> Option<Credentials> {
        let status = self.small("status");
        let (real, effective) = status.split(|&byte| byte == b'\n').find_map(|line| {
            let mut ids = std::str::from_utf8(line.strip_prefix(b"Uid:")?).ok()?.split_whitespace();
            Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
        })?;
        Some(Credentials { real, effective: Some(effective), login: self.audit_id("loginuid"), session: None })
    }

    /// An id that the audit subsystem assigned; services have none.
    fn audit_id(&self, name: &str) -> Option<u32> {
        let id = std::str::from_utf8(&self.small(name)).ok().and_then(|text| text.trim().parse().ok());
        id.filter(|&id| id != u32::MAX)
    }

    fn small(&self, name: &str) -> Vec<u8> {
        // A process that ends while being read leaves what was read so far.
        rustix::fs::openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_or_else(|_| Vec::new(), |file| command_line::all_of(file, MAX_SMALL))
    }
}

fn executable(task: &OwnedFd) -> Option<(Executable, Option<FileId>)> {
    let shown = PathBuf::from(link(task, "exe")?);
    // The link itself leads to the running file, whatever its name is by now.
    let running = file_id(task, "exe");
    let is_host_file = running.is_some() && look_up(&shown) == running;
    // "(deleted)" is the kernel's mark, unless the running file has that very name.
    let executable = match shown.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) if !is_host_file => {
            Executable { path: PathBuf::from(OsStr::from_bytes(path)), deleted: true, is_host_file: false }
        }
        _ => Executable { path: shown, deleted: false, is_host_file },
    };
    Some((executable, running))
}

/// The requested arguments, and whether there are more.
fn arguments(request: Request) -> (Vec<Vec<u8>>, bool) {
    let mut line = COMMAND_LINES.with_borrow_mut(|lines| lines.finish(request));
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

/// The namespaces compared with the host's, by their paths below `/proc/PID`.
const NAMESPACES: [&str; 2] = ["ns/mnt", "ns/user"];

/// A namespace of pid 1, or of this process where that one cannot be read.
fn host_namespace(name: &str) -> Option<&'static OsString> {
    static HOST: OnceLock<[Option<OsString>; 2]> = OnceLock::new();
    let read = |pid: &str, name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).ok();
    let all = HOST.get_or_init(|| {
        NAMESPACES.map(|name| read("1", name).or_else(|| read("self", name)).map(PathBuf::into_os_string))
    });
    NAMESPACES.iter().zip(all).find(|(known, _)| **known == name)?.1.as_ref()
}

fn link(directory: &OwnedFd, name: &str) -> Option<OsString> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new()).ok()?;
    Some(OsString::from_vec(target.into_bytes()))
}

/// The name of a terminal's device: `pts/3`, `tty1`, `ttyS0`; otherwise its number.
fn terminal(number: i32) -> Option<String> {
    let number = number as u32;
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
    match (major, minor) {
        (0, 0) => None,
        (136..=143, _) => Some(format!("pts/{}", minor + (major - 136) * 256)),
        (4, 0..=63) => Some(format!("tty{minor}")),
        (4, _) => Some(format!("ttyS{}", minor - 64)),
        _ => Some(format!("{major}:{minor}")),
    }
}

/// Every process id at this moment.
pub fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().map_while(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether this host has this file at the path.
pub fn is_host_file(path: &Path, id: FileId) -> bool {
    look_up(path) == Some(id)
}

/// Device and inode. Asks no server: a process may run from a filesystem that never answers.
fn file_id(directory: impl AsFd, path: &str) -> Option<FileId> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(directory, path, flags, StatxFlags::INO).ok()?;
    Some(FileId { device: (found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino })
}

/// This host's file at a path that the process chose: its mount namespace may be private. Only paths that the kernel
/// has cached are followed (RESOLVE_CACHED, Linux 5.12), because others may lead to a mount that never answers. The
/// path of a running program is cached.
fn look_up(path: &Path) -> Option<FileId> {
    file_id(open_cached(path).ok()?, "")
}

fn open_cached(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat2(rustix::fs::CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED)
}

/// Checks that [`is_host_file`] can be true on this machine.
///
/// # Errors
/// EINVAL before Linux 5.12; ENOSYS or EPERM where a filter of system calls denies `openat2(2)`.
pub fn can_look_up() -> std::io::Result<()> {
    open_cached(Path::new("/"))?;
    Ok(())
}

fn parent(stat: &Stat) -> Option<u32> {
    u32::try_from(stat.ppid).ok().filter(|&pid| pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_the_name_of_its_device() {
        for (number, name) in [
            (0, None),
            (34816, Some("pts/0")),
            (34816 + 255, Some("pts/255")),
            // The minor number is in two parts.
            (34816 + (1 << 20) + 44, Some("pts/300")),
            (1025, Some("tty1")),
            (1024 + 64, Some("ttyS0")),
            (1024 + 65, Some("ttyS1")),
            (5 * 256 + 1, Some("5:1")),
            (-1, Some("4095:1048575")),
        ] {
            assert_eq!(terminal(number).as_deref(), name, "{number}");
        }
    }

    #[test]
    fn this_process_is_read_with_its_directory_and_executable() {
        let (process, _) = Pinned::open(std::process::id()).unwrap().read();
        assert_eq!(process.working_directory, std::env::current_dir().ok());
        let metadata = std::fs::metadata(std::env::current_exe().unwrap()).unwrap();
        let id = process.executable_id.unwrap();
        assert_eq!(id.inode, std::os::unix::fs::MetadataExt::ino(&metadata));
        assert!(process.in_host_mounts.is_some());
        assert!(!process.is_gone);
        assert_eq!(process.arguments.len(), std::env::args_os().count());
    }
}
