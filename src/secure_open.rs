//! Files that an administrator wrote, opened so that it is known who else could have written them.
//!
//! The way to the file is gone step by step, each directory held by a descriptor, links followed by hand: what was
//! looked at is what is read, whatever is renamed meanwhile. A step is weak when somebody other than root and the user
//! that the program runs as could change it. An access list needs no look of its own: its mask stands where the
//! group's rights stand, so whoever it lets write shows as a group that may.

use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Links that are followed on one way, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Rights of group and others to write.
const OTHERS_WRITE: RawMode = 0o022;
const STICKY: RawMode = 0o1000;

/// A file or directory, open for reading.
#[derive(Debug)]
pub struct Opened {
    /// Never a FIFO that blocks; whether it is a regular file is for the caller to ask.
    pub file: File,
    /// Who else could have written it, and the way out; the first weak step from `/`.
    pub insecure_because: Option<String>,
}

/// Opens a file or directory for reading.
///
/// # Errors
/// As `open(2)` gives them.
pub fn open(path: &Path) -> io::Result<Opened> {
    open_as(path, rustix::process::geteuid().as_raw())
}

/// A part of the way that is still to be gone.
enum Step {
    Root,
    Up,
    Name(OsString),
}

fn open_as(path: &Path, user: u32) -> io::Result<Opened> {
    let mut ahead = steps(&std::path::absolute(path)?);
    let (mut directory, mut place) = (directory_at(rustix::fs::CWD, Path::new("/"))?, PathBuf::from("/"));
    let mut insecure_because = None;
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        let name = match step {
            Step::Root => {
                (directory, place) = (directory_at(rustix::fs::CWD, Path::new("/"))?, PathBuf::from("/"));
                continue;
            }
            Step::Up => {
                directory = directory_at(&directory, Path::new(".."))?;
                place.pop();
                continue;
            }
            Step::Name(name) => name,
        };
        let mut note = |stat: &Stat, at: &Path| {
            if insecure_because.is_none() {
                insecure_because = weakness_of(stat, at, user);
            }
        };
        note(&rustix::fs::fstat(&directory)?, &place);
        let here = place.join(&name);
        // As a directory first: that is what makes an automounter mount it.
        let found = directory_at(&directory, Path::new(&name)).or_else(|error| match error {
            rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&directory, Path::new(&name), flags, Mode::empty())
            }
            other => Err(other),
        })?;
        let stat = rustix::fs::fstat(&found)?;
        if FileType::from_raw_mode(stat.st_mode).is_symlink() {
            note(&stat, &here);
            links += 1;
            if links > MAX_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
            ahead.extend(steps(Path::new(&OsString::from_vec(target.into_bytes()))));
        } else if ahead.is_empty() {
            // A FIFO without a writer must not block.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&directory, Path::new(&name), flags, Mode::empty())?;
            // Of what is read, not of what had the name a moment ago.
            note(&rustix::fs::fstat(&opened)?, &here);
            return Ok(Opened { file: opened.into(), insecure_because });
        } else {
            (directory, place) = (found, here);
        }
    }
    // It was `/`, or led back to a directory by `..`.
    let opened = rustix::fs::openat(&directory, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    insecure_because = insecure_because.or(weakness_of(&rustix::fs::fstat(&opened)?, &place, user));
    Ok(Opened { file: opened.into(), insecure_because })
}

/// What is to be gone, the first step last.
fn steps(path: &Path) -> Vec<Step> {
    let steps = path.components().rev().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    });
    steps.collect()
}

fn directory_at(from: impl std::os::fd::AsFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(from, name, flags, Mode::empty())
}

/// Why somebody else could change this, and what to do.
fn weakness_of(stat: &Stat, at: &Path, user: u32) -> Option<String> {
    let (kind, shown) = (FileType::from_raw_mode(stat.st_mode), at.display());
    if stat.st_uid != 0 && stat.st_uid != user {
        let chown = if kind.is_symlink() { "chown -h" } else { "chown" };
        return Some(format!("{shown} belongs to user {}, who can change it: {chown} root: {shown}", stat.st_uid));
    }
    // In a sticky directory nobody moves what belongs to another; a link has no rights of its own.
    let is_guarded = kind.is_symlink() || (kind.is_dir() && stat.st_mode & STICKY != 0);
    (stat.st_mode & OTHERS_WRITE != 0 && !is_guarded).then(|| {
        let who = if stat.st_mode & 0o002 != 0 { "everybody".into() } else { format!("group {}", stat.st_gid) };
        format!("{shown} can be changed by {who} (mode {:04o}): chmod go-w {shown}", stat.st_mode & 0o7777)
    })
}

#[cfg(test)]
mod tests;
