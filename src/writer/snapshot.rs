//! Reads the process of an event from `/proc` at once, because a one-shot writer is gone a millisecond later.
//!
//! `/proc/PID` is pinned by a descriptor first, then the event's pidfd shows whether its process still holds the pid.
//! If it does, the pinned directory is that process's: later reads return its data or fail.

use super::clock::now;
use super::container;
use super::process::Pinned;
use crate::event::{Confidence, Doubt, Evidence, Process, Writer};
use crate::sys;
use std::os::fd::{AsFd, OwnedFd};

/// Most ancestors that are named.
pub const MAX_PARENTS: usize = 16;

/// What `/proc` showed of the process of an event.
#[derive(Debug)]
pub struct ProcSnapshot {
    /// What was read; its evidence is `proc` or `unknown`.
    pub writer: Writer,
    /// The process of the event still held its pid, so the data is its own.
    pub held_pid: bool,
    /// A moment before the reading at which it held its pid, otherwise when it was found to be gone. Nanoseconds of
    /// CLOCK_MONOTONIC.
    pub time: u64,
}

impl ProcSnapshot {
    /// Reads the process of an event. What cannot be read is left out, and the writer's doubt is the cause.
    pub fn take(pid: u32, pidfd: Option<&OwnedFd>) -> Self {
        let ended = |doubt, process| Self {
            writer: Writer { process, ..Writer::unknown(doubt) },
            held_pid: false,
            time: now(),
        };
        let only_pid = || Some(Process { pid, ..Process::default() });
        if pid == 0 {
            return ended(Doubt::OtherPidNamespace, None);
        }
        let Some(pidfd) = pidfd else { return ended(Doubt::NoPidfd, only_pid()) };
        let Ok(pinned) = Pinned::open(pid) else { return ended(Doubt::EndedUnread, only_pid()) };
        // Only this order proves that the pinned process is that of the event.
        let time = now();
        if !sys::pidfd_holds_pid(pidfd.as_fd()) {
            return ended(Doubt::EndedUnread, only_pid());
        }
        Self { writer: read(&pinned), held_pid: true, time }
    }
}

fn read(pinned: &Pinned) -> Writer {
    let (process, parent) = pinned.read();
    let (parents, cgroup) = (ancestors(pinned, parent), pinned.cgroup());
    let (evidence, confidence) = match process.executable {
        Some(_) => (Evidence::Proc, Confidence::Confirmed),
        None => (Evidence::Unknown, Confidence::Doubted(Doubt::EndedHalfRead)),
    };
    Writer {
        evidence,
        confidence,
        process: Some(process),
        parents,
        container_id: container::id(&cgroup),
        unit: container::unit(&cgroup),
        ..Writer::unknown(Doubt::EndedHalfRead)
    }
}

/// A living process and its ancestors.
pub fn with_ancestors(pinned: &Pinned) -> Vec<Process> {
    let (process, parent) = pinned.read_ancestor();
    let mut all = vec![process];
    all.extend(ancestors(pinned, parent));
    all
}

/// The parent, its parent and so on; `parent` is the pid that was read last. A parent counts only if the child still
/// has it after it was read: until then it held its pid.
fn ancestors(child: &Pinned, parent: Option<u32>) -> Vec<Process> {
    let mut parents: Vec<Process> = Vec::new();
    let mut current: Option<Pinned> = None;
    let mut next = parent;
    while parents.len() < MAX_PARENTS
        && let Some(parent_pid) = next
    {
        let child = current.as_ref().unwrap_or(child);
        let Ok(parent) = Pinned::open(parent_pid) else { break };
        let (facts, grandparent) = parent.read_ancestor();
        if child.parent() != Some(parent_pid) {
            break;
        }
        parents.push(facts);
        current = Some(parent);
        next = grandparent;
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    fn identify(pid: u32, pidfd: Option<&OwnedFd>) -> Writer {
        ProcSnapshot::take(pid, pidfd).writer
    }

    fn pidfd_of(pid: u32) -> OwnedFd {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
    }

    /// Copies a program in another process. A child of a parallel test could inherit a writable descriptor, and the
    /// copy could not be run (ETXTBSY).
    fn copy_of_cat(to: &std::path::Path) {
        assert!(Command::new("/bin/cp").arg("/bin/cat").arg(to).status().unwrap().success());
    }

    #[test]
    fn a_living_process_is_named_with_its_command_line_and_parents() {
        let mut child =
            Command::new("/bin/sh").args(["-c", "read line", "a\nb"]).stdin(Stdio::piped()).spawn().unwrap();
        // The child has run exec once its executable is not this test program any more.
        let me = std::env::current_exe().unwrap();
        let writer = loop {
            let writer = identify(child.id(), Some(&pidfd_of(child.id())));
            let has_run_exec = writer.executable().is_some_and(|exe| exe.path != me);
            if has_run_exec && writer.process.as_ref().is_some_and(|process| process.arguments.len() == 4) {
                break writer;
            }
        };
        assert_eq!(writer.evidence, Evidence::Proc);
        assert_eq!(writer.executable().unwrap().path, std::path::Path::new("/bin/sh").canonicalize().unwrap());
        assert!(writer.executable().unwrap().is_host_file);
        assert_eq!(writer.process.as_ref().unwrap().arguments.last().unwrap(), b"a\nb");
        assert_eq!(writer.parents[0].pid, std::process::id());
        assert_eq!(crate::rules::Exclusion::of(&writer), crate::rules::Exclusion::Allowed);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_zombie_has_its_name_and_parent_and_is_never_excluded() {
        let mut child = Command::new("/bin/true").arg0("zombie").spawn().unwrap();
        let pidfd = pidfd_of(child.id());
        let mut fds = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE).unwrap();
        let writer = identify(child.id(), Some(&pidfd));
        child.wait().unwrap();
        assert_eq!(writer.evidence, Evidence::Unknown);
        let process = writer.process.as_ref().unwrap();
        assert_eq!(process.comm, b"true");
        assert_eq!(process.executable, None);
        assert_eq!(writer.parents[0].pid, std::process::id());
        assert_ne!(crate::rules::Exclusion::of(&writer), crate::rules::Exclusion::Allowed);
    }

    #[test]
    fn a_reaped_process_leaves_only_its_pid_even_if_the_pid_lives_again() {
        let mut child = Command::new("/bin/true").spawn().unwrap();
        let pidfd = pidfd_of(child.id());
        child.wait().unwrap();
        // The pid of this test stands for the pid that was given to another process since.
        let writer = identify(std::process::id(), Some(&pidfd));
        assert_eq!(writer.evidence, Evidence::Unknown);
        assert_eq!(writer.executable(), None);
        assert!(writer.process.unwrap().comm.is_empty());
    }

    #[test]
    fn a_pid_without_a_pidfd_is_never_looked_up() {
        let writer = identify(std::process::id(), None);
        assert_eq!(writer.evidence, Evidence::Unknown);
        assert_eq!(writer.executable(), None);
    }

    #[test]
    fn a_deleted_executable_is_named_without_the_kernels_mark_and_never_excluded() {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("tool");
        copy_of_cat(&copy);
        let mut child = Command::new(&copy).stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_of(child.id());
        let live = |path: &std::path::Path| {
            loop {
                let writer = identify(child.id(), Some(&pidfd));
                if writer.executable().is_some_and(|exe| exe.path == path) {
                    break writer;
                }
            }
        };
        assert!(!live(&copy).executable().unwrap().deleted);
        std::fs::remove_file(&copy).unwrap();
        let writer = live(&copy);
        assert!(writer.executable().unwrap().deleted);
        assert_ne!(crate::rules::Exclusion::of(&writer), crate::rules::Exclusion::Allowed);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_name_that_really_ends_in_deleted_is_not_mistaken() {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("tool (deleted)");
        copy_of_cat(&copy);
        let mut child = Command::new(&copy).stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_of(child.id());
        let writer = loop {
            let writer = identify(child.id(), Some(&pidfd));
            if writer.executable().is_some_and(|exe| exe.path == copy) {
                break writer;
            }
        };
        assert!(!writer.executable().unwrap().deleted);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
