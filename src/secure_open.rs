//! Opens a file that an administrator wrote, and reports whether other users could have changed it.
//!
//! Opens the path one component at a time (openat, O_NOFOLLOW) and resolves symlinks itself, so the file that was
//! checked is the file that is read. A component is insecure if users other than root and the effective user can change
//! it. POSIX access lists need no check of their own: the mode shows their mask as the group's rights (acl(5)).

use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links followed: the limit of the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Rights of group and others to write.
const OTHERS_WRITE: RawMode = 0o022;
const STICKY: RawMode = 0o1000;

/// A file or directory, open for reading.
#[derive(Debug)]
pub struct Opened {
    /// Opened with O_NONBLOCK, so that a FIFO does not block. The caller checks whether it is a regular file.
    pub file: File,
    /// Why other users could have changed it, and the remedy: the first insecure component from `/`.
    pub insecure_because: Option<String>,
}

/// Opens a file or directory for reading.
///
/// # Errors
/// As `open(2)` gives them.
pub fn open(path: &Path) -> io::Result<Opened> {
    open_as(path, rustix::process::geteuid().as_raw())
}

fn open_as(path: &Path, user: u32) -> io::Result<Opened> {
    let mut walk = Walk {
        user,
        directory: open_directory(rustix::fs::CWD, Path::new("/"))?,
        path: PathBuf::from("/"),
        pending: components(&std::path::absolute(path)?),
        links: 0,
        insecure_because: None,
    };
    while let Some(component) = walk.pending.pop() {
        match component {
            Pending::Root => walk.enter(open_directory(rustix::fs::CWD, Path::new("/"))?, PathBuf::from("/")),
            Pending::Parent => {
                let parent = walk.path.parent().unwrap_or(Path::new("/")).to_path_buf();
                walk.enter(open_directory(&walk.directory, Path::new(".."))?, parent);
            }
            Pending::Name(name) => {
                if let Some(file) = walk.step(Path::new(&name))? {
                    return Ok(Opened { file, insecure_because: walk.insecure_because });
                }
            }
        }
    }
    // The path was `/`, or ended with `..`.
    let opened = rustix::fs::openat(&walk.directory, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let path = walk.path.clone();
    walk.check(&rustix::fs::fstat(&opened)?, &path);
    Ok(Opened { file: opened.into(), insecure_because: walk.insecure_because })
}

/// A component of the path that is still to be resolved.
enum Pending {
    Root,
    Parent,
    Name(OsString),
}

/// The components of a path, the first one last.
fn components(path: &Path) -> Vec<Pending> {
    let components = path.components().rev().filter_map(|component| match component {
        Component::RootDir => Some(Pending::Root),
        Component::ParentDir => Some(Pending::Parent),
        Component::Normal(name) => Some(Pending::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    });
    components.collect()
}

/// The state of the path resolution.
struct Walk {
    user: u32,
    directory: OwnedFd,
    /// Of `directory`.
    path: PathBuf,
    /// The next component is the last one.
    pending: Vec<Pending>,
    links: usize,
    insecure_because: Option<String>,
}

impl Walk {
    /// Resolves one name: enters a directory, follows a symbolic link, or opens the last component.
    fn step(&mut self, name: &Path) -> io::Result<Option<File>> {
        let here = self.path.clone();
        self.check(&rustix::fs::fstat(&self.directory)?, &here);
        let found = self.open_path(name)?;
        let stat = rustix::fs::fstat(&found)?;
        let path = here.join(name);
        if FileType::from_raw_mode(stat.st_mode).is_symlink() {
            self.check(&stat, &path);
            self.links += 1;
            if self.links > MAX_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = rustix::fs::readlinkat(&found, "", Vec::new())?;
            self.pending.extend(components(Path::new(&OsString::from_vec(target.into_bytes()))));
            return Ok(None);
        }
        if !self.pending.is_empty() {
            self.enter(found, path);
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        // Check the opened file: the name may lead to another one by now.
        self.check(&rustix::fs::fstat(&opened)?, &path);
        Ok(Some(opened.into()))
    }

    /// An `O_PATH` descriptor of the name. The first try with O_DIRECTORY makes an automounter mount it.
    fn open_path(&self, name: &Path) -> rustix::io::Result<OwnedFd> {
        match open_directory(&self.directory, name) {
            Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&self.directory, name, flags, Mode::empty())
            }
            opened => opened,
        }
    }

    fn enter(&mut self, directory: OwnedFd, path: PathBuf) {
        (self.directory, self.path) = (directory, path);
    }

    fn check(&mut self, stat: &Stat, path: &Path) {
        if self.insecure_because.is_none() {
            self.insecure_because = insecure_because(stat, path, self.user);
        }
    }
}

fn open_directory(from: impl std::os::fd::AsFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(from, name, flags, Mode::empty())
}

/// Why another user could change this component, and the remedy.
fn insecure_because(stat: &Stat, path: &Path, user: u32) -> Option<String> {
    let (kind, shown) = (FileType::from_raw_mode(stat.st_mode), path.display());
    if stat.st_uid != 0 && stat.st_uid != user {
        let chown = if kind.is_symlink() { "chown -h" } else { "chown" };
        return Some(format!("{shown} belongs to user {}, who can change it: {chown} root: {shown}", stat.st_uid));
    }
    // In a sticky directory only the owner of a file can move it; a symbolic link has no mode of its own.
    let is_exempt = kind.is_symlink() || (kind.is_dir() && stat.st_mode & STICKY != 0);
    (stat.st_mode & OTHERS_WRITE != 0 && !is_exempt).then(|| {
        let who = if stat.st_mode & 0o002 != 0 { "everybody".into() } else { format!("group {}", stat.st_gid) };
        format!("{shown} can be changed by {who} (mode {:04o}): chmod go-w {shown}", stat.st_mode & 0o7777)
    })
}

#[cfg(test)]
mod tests;
