//! The short-lived processes of the self-test: this program, started again with a hidden argument.
//!
//! The writers are this program, not a shell. So the self-test works where there is no shell, and it knows which
//! executable the alert must name.

use crate::commands::exit::Exit;
use crate::commands::output::{print, print_error};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use rustix::process::{Pid, Signal};
use rustix::time::ClockId;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Content of every planted hook: nothing that runs.
pub const CONTENT: &[u8] = b"# pyhookwatch self-test: this file does nothing and is removed again\n";

/// User and group that own the file of [`HelperAction::Private`].
const NOBODY: u32 = 65534;

/// What a helper process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperAction {
    /// Creates a file.
    Write,
    /// Appends to an existing file.
    Append,
    /// Creates a file that only its owner, another user, may read.
    Private,
    /// Creates a file from a mount namespace of its own.
    Namespace,
    /// Renames a file or directory.
    Rename,
    /// Makes a hard link.
    Link,
    /// Becomes the watcher, and ends with the self-test.
    Watch,
}

impl HelperAction {
    /// Every action with its word.
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
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| word)
    }
}

/// A helper process that has ended.
pub struct FinishedHelper {
    /// Its process id.
    pub pid: u32,
    /// When its last system call began, in nanoseconds of CLOCK_MONOTONIC.
    pub wrote_at: u64,
}

/// This program, to be started with this action.
pub fn command(action: HelperAction) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pyhookwatch").args(["selftest-helper", action.as_str()]);
    // A Ctrl-C at the terminal goes to the self-test alone.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a helper and waits for its end.
///
/// # Errors
/// Why it could not be started, or could not do it.
pub fn start(action: HelperAction, arguments: &[&Path]) -> Result<FinishedHelper, String> {
    let mut command = command(action);
    command.args(arguments.iter().map(|argument| OsStr::new(*argument)));
    let child = command.spawn().map_err(|error| format!("the helper cannot be started: {error}"))?;
    let pid = child.id();
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().parse() {
        Ok(wrote_at) if output.status.success() => Ok(FinishedHelper { pid, wrote_at }),
        _ => Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("pyhookwatch: error: ").to_owned()),
    }
}

/// The helper process itself. Prints the time at which its last system call began.
pub fn run(action: HelperAction, arguments: &[OsString]) -> Exit {
    match act(action, arguments) {
        Ok(wrote_at) => {
            print(&format!("{wrote_at}\n"));
            Exit::Fine
        }
        Err(error) => {
            print_error(format_args!("the self-test's helper could not {}: {error}", action.as_str()));
            Exit::Failed
        }
    }
}

fn act(action: HelperAction, arguments: &[OsString]) -> io::Result<u64> {
    let argument =
        |index: usize| arguments.get(index).map(Path::new).ok_or(io::Error::from(io::ErrorKind::InvalidInput));
    let path = argument(0)?;
    match action {
        HelperAction::Write => write_and_close(create_new().open(path)?),
        HelperAction::Append => write_and_close(OpenOptions::new().append(true).open(path)?),
        HelperAction::Private => {
            let file = create_new().mode(0o600).open(path)?;
            // A user who cannot give the file away can read it anyway, so the case cannot run.
            std::os::unix::fs::fchown(&file, Some(NOBODY), Some(NOBODY))?;
            write_and_close(file)
        }
        HelperAction::Namespace => {
            enter_mount_namespace()?;
            write_and_close(create_new().open(path)?)
        }
        HelperAction::Rename => {
            let (to, begun) = (argument(1)?, now());
            std::fs::rename(path, to).map(|()| begun)
        }
        HelperAction::Link => {
            let (to, begun) = (argument(1)?, now());
            std::fs::hard_link(path, to).map(|()| begun)
        }
        HelperAction::Watch => watch(path, arguments.get(1..).unwrap_or_default()),
    }
}

fn create_new() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

/// Returns the time before the close, which is the last system call.
fn write_and_close(mut file: File) -> io::Result<u64> {
    file.write_all(CONTENT)?;
    Ok(now())
}

/// Moves this process into a mount namespace of its own. Its mounts stay there; those of others still appear in it.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; EINVAL where `/` is no mount point (chroot).
pub fn enter_mount_namespace() -> io::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
    nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    Ok(())
}

/// Becomes `run`. The kernel ends it when the self-test has ended for any reason.
fn watch(parent: &Path, arguments: &[OsString]) -> io::Result<u64> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let is_parent_alive =
        rustix::process::getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| parent == Path::new(&pid.to_string()));
    if !is_parent_alive {
        return Err(io::Error::other("the self-test has ended"));
    }
    Err(Command::new("/proc/self/exe").arg0("pyhookwatch").arg("run").args(arguments).exec())
}

/// Now, in nanoseconds of CLOCK_MONOTONIC, which all processes share.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
