//! The short-lived processes of the self-test: this very program, started again with a hidden argument.
//!
//! It is its own executable that writes, not a shell: a self-test must work where there is no shell, and the program
//! knows for certain which file its own executable is, so that a wrong name is seen to be wrong.

use crate::commands::exit::Exit;
use crate::commands::output::{print, print_error};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use rustix::process::{Pid, Signal};
use rustix::time::ClockId;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What a hook of the self-test says: nothing that runs.
pub const CONTENT: &[u8] = b"# pyhookwatch self-test: this file does nothing and is removed again\n";

/// The user who gets the file of [`Step::Private`]: nobody.
const NOBODY: u32 = 65534;

/// What a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creates a file.
    Write,
    /// Adds to one that is there.
    Append,
    /// Creates one that only its owner, another user, may read.
    Private,
    /// Creates one from a mount namespace of its own.
    Namespace,
    /// Renames a file or directory.
    Rename,
    /// Makes a hard link.
    Link,
    /// Becomes the watcher, and ends with the self-test whatever happens to it.
    Watch,
}

impl Step {
    /// Every step with its word.
    pub const ALL: [(&'static str, Self); 7] = [
        ("write", Self::Write),
        ("append", Self::Append),
        ("private", Self::Private),
        ("namespace", Self::Namespace),
        ("rename", Self::Rename),
        ("link", Self::Link),
        ("watch", Self::Watch),
    ];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, step)| *step == self).map_or("", |(word, _)| word)
    }
}

/// Does one step, and tells the moment at which its last system call began.
pub fn help(step: Step, arguments: &[OsString]) -> Exit {
    match act(step, arguments) {
        Ok(moment) => {
            print(&format!("{moment}\n"));
            Exit::Fine
        }
        Err(error) => {
            print_error(format_args!("the self-test's helper could not {}: {error}", step.word()));
            Exit::Failed
        }
    }
}

fn act(step: Step, arguments: &[OsString]) -> io::Result<u64> {
    let argument =
        |index: usize| arguments.get(index).map(Path::new).ok_or(io::Error::from(io::ErrorKind::InvalidInput));
    let path = argument(0)?;
    match step {
        Step::Write => write(OpenOptions::new().write(true).create_new(true), path),
        Step::Append => write(OpenOptions::new().append(true), path),
        Step::Private => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            // Without the right to give it away there is nothing to try: its owner may read it anyway.
            std::os::unix::fs::fchown(&file, Some(NOBODY), Some(NOBODY))?;
            finish(file)
        }
        Step::Namespace => {
            own_mounts()?;
            write(OpenOptions::new().write(true).create_new(true), path)
        }
        Step::Rename => {
            let (to, begun) = (argument(1)?, now());
            std::fs::rename(path, to).map(|()| begun)
        }
        Step::Link => {
            let (to, begun) = (argument(1)?, now());
            std::fs::hard_link(path, to).map(|()| begun)
        }
        Step::Watch => watch(path, arguments.get(1..).unwrap_or_default()),
    }
}

fn write(options: &OpenOptions, path: &Path) -> io::Result<u64> {
    finish(options.open(path)?)
}

/// Writes and closes.
fn finish(mut file: File) -> io::Result<u64> {
    file.write_all(CONTENT)?;
    Ok(now())
}

/// A mount namespace of this process's own: what it mounts goes nowhere else, what others mount comes in.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; EINVAL where `/` is no mount point (chroot).
pub fn own_mounts() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    Ok(())
}

/// Becomes `run`; ended by the kernel when the self-test is gone, however it went.
fn watch(parent: &Path, arguments: &[OsString]) -> io::Result<u64> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let is_there =
        rustix::process::getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| parent == Path::new(&pid.to_string()));
    if !is_there {
        return Err(io::Error::other("the self-test has ended"));
    }
    Err(Command::new("/proc/self/exe").arg0("pyhookwatch").arg("run").args(arguments).exec())
}

/// This moment in nanoseconds of CLOCK_MONOTONIC, which all processes share.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
