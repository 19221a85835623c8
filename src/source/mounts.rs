//! Which filesystems are mounted, and which of them can hold a Python tree.
//!
//! This module parses `/proc/self/mountinfo` as bytes, because an unprivileged FUSE mount can have any path. The
//! `procfs` crate rejects the whole list for one name that is not UTF-8, and leaves `\040` undecoded.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Most bytes read of mountinfo: some 100,000 mounts.
const MAX_MOUNTINFO: u64 = 32 << 20;

/// One line of mountinfo (`proc_pid_mountinfo(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Id of this mount; another one over the same directory has its own.
    pub id: u64,
    /// `major:minor` of the superblock; one number is one filesystem.
    pub device: (u32, u32),
    /// The directory of the filesystem that is mounted; `/` unless it is a bind mount.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Type, such as `ext4`.
    pub fs_type: String,
    /// Options of the superblock, raw: overlayfs has its upper directory here.
    pub super_options: Vec<u8>,
}

impl Mount {
    /// The upper directory of an overlay mount.
    pub fn overlay_upper(&self) -> Option<PathBuf> {
        if self.fs_type != "overlay" {
            return None;
        }
        let option =
            self.super_options.split(|&byte| byte == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
        Some(path(option))
    }
}

/// What a filesystem type means for watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Files on this machine.
    Local,
    /// The kernel's own: Python runs no file there.
    Pseudo,
    /// Files elsewhere, or served by a process: other machines change them unseen, and reading can hang. Not marked.
    Remote,
}

/// Classifies a filesystem type. Unknown types count as local: the kernel refuses a mark where it must.
pub fn class(fs_type: &str) -> Class {
    match fs_type {
        "autofs" | "binfmt_misc" | "bpf" | "cgroup" | "cgroup2" | "configfs" | "debugfs" | "devpts" | "efivarfs"
        | "fusectl" | "hugetlbfs" | "mqueue" | "nsfs" | "proc" | "pstore" | "rpc_pipefs" | "securityfs"
        | "selinuxfs" | "smackfs" | "sysfs" | "tracefs" | "resctrl" | "pidfs" => Class::Pseudo,
        "9p" | "afs" | "beegfs" | "ceph" | "cifs" | "coda" | "gfs2" | "glusterfs" | "gpfs" | "lustre" | "ncpfs"
        | "nfs" | "nfs4" | "ocfs2" | "orangefs" | "smb3" | "smbfs" | "virtiofs" => Class::Remote,
        other if other == "fuse" || other == "fuseblk" || other.starts_with("fuse.") => Class::Remote,
        _ => Class::Local,
    }
}

/// Reads and parses the mounts of this process's mount namespace. Lines that cannot be parsed are
/// skipped.
///
/// # Errors
/// Those of `open(2)` and `read(2)`.
pub fn read() -> io::Result<Vec<Mount>> {
    read_from(Path::new("/proc/self/mountinfo"))
}

/// Reads and parses a file like `/proc/self/mountinfo`: of a process in another mount namespace.
///
/// # Errors
/// Those of `open(2)` and `read(2)`.
pub fn read_from(mountinfo: &Path) -> io::Result<Vec<Mount>> {
    let mut bytes = Vec::new();
    std::fs::File::open(mountinfo)?.take(MAX_MOUNTINFO).read_to_end(&mut bytes)?;
    Ok(bytes.split(|&byte| byte == b'\n').filter_map(line).collect())
}

/// The mounts of the same filesystem together, in the order of mountinfo.
pub fn by_device(mounts: Vec<Mount>) -> BTreeMap<(u32, u32), Vec<Mount>> {
    let mut devices: BTreeMap<_, Vec<Mount>> = BTreeMap::new();
    for mount in mounts {
        devices.entry(mount.device).or_default().push(mount);
    }
    for mounts in devices.values_mut() {
        // A mount of the whole filesystem first: only through it does every directory have a path.
        mounts.sort_by_key(|mount| mount.root.as_os_str().len());
    }
    devices
}

/// The mount that holds `path`: the one with the longest mount point above it, the later one of two.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.as_os_str().len())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?;
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let fs_type = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let super_options = unescape(fields.nth(1).unwrap_or_default());
    let (major, minor) = std::str::from_utf8(device).ok()?.split_once(':')?;
    Some(Mount { id, device: (major.parse().ok()?, minor.parse().ok()?), root, mount_point, fs_type, super_options })
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(bytes)))
}

/// Decodes the kernel's `\ooo` for blank, tab, newline, backslash and `#`.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if first == b'\\' => {
                Some((((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), after))
            }
            _ => None,
        };
        let (byte, after) = octal.unwrap_or((first, tail));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The path with `root` as `/`; `None` outside the root.
pub fn below_root(path: &Path, root: &Path) -> Option<PathBuf> {
    if root == Path::new("/") {
        return Some(path.to_path_buf());
    }
    let inside = path.strip_prefix(root).ok()?;
    let mut seen = OsString::from("/");
    seen.push(inside);
    debug_assert!(seen.as_bytes().starts_with(b"/"));
    Some(PathBuf::from(seen))
}

/// The path that this process uses for a path below the root.
pub fn above_root(path: &Path, root: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The mounts at the last update.
#[derive(Debug, Default)]
pub struct Known(HashSet<(u64, PathBuf, PathBuf, (u32, u32))>);

impl Known {
    /// Replaces them. Returns where something was mounted since, and whether its files are on this machine.
    pub fn update(&mut self, all: &[Mount]) -> Vec<(PathBuf, bool)> {
        // The kernel reuses an id once its mount is gone.
        let key = |mount: &Mount| (mount.id, mount.mount_point.clone(), mount.root.clone(), mount.device);
        let new = all.iter().filter(|mount| !self.0.contains(&key(mount)));
        let new = new.map(|mount| (mount.mount_point.clone(), class(&mount.fs_type) == Class::Local)).collect();
        self.0 = all.iter().map(key).collect();
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_manual_page_is_parsed() {
        let mount = line(b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue").unwrap();
        assert_eq!((mount.id, mount.device), (36, (98, 0)));
        assert_eq!(mount.root, Path::new("/mnt1"));
        assert_eq!(mount.mount_point, Path::new("/mnt2"));
        assert_eq!(mount.fs_type, "ext3");
    }

    #[test]
    fn blanks_newlines_and_invalid_utf8_in_a_mount_point_survive() {
        let mount = line(b"1 2 0:5 / /mnt/a\\040b\\012c\\134\xff rw - tmpfs none rw").unwrap();
        assert_eq!(mount.mount_point.as_os_str().as_bytes(), b"/mnt/a b\nc\\\xff");
    }

    #[test]
    fn the_upper_directory_of_an_overlay_is_found() {
        let mount =
            line(b"1 2 0:50 / /merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u\\040x,workdir=/w").unwrap();
        assert_eq!(mount.overlay_upper(), Some(PathBuf::from("/u x")));
    }

    #[test]
    fn broken_lines_are_skipped() {
        for broken in [&b""[..], b"1", b"1 2 x /a /b rw - ext4 d o", b"1 2 8:1 /a /b rw ext4", b"1 2 8:1"] {
            assert_eq!(line(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_mount_with_the_longest_mount_point_holds_a_path() {
        let mounts: Vec<_> = [&b"1 0 8:1 / / rw - ext4 a rw"[..], b"2 1 8:2 / /home rw - ext4 b rw"]
            .into_iter()
            .filter_map(line)
            .collect();
        assert_eq!(holding(&mounts, Path::new("/home/u/x")).unwrap().device, (8, 2));
        assert_eq!(holding(&mounts, Path::new("/homeless")).unwrap().device, (8, 1));
    }

    #[test]
    fn this_machines_mounts_are_read() {
        assert!(read().unwrap().iter().any(|mount| mount.mount_point == Path::new("/")));
    }

    #[test]
    fn a_path_is_seen_from_the_given_root() {
        assert_eq!(below_root(Path::new("/srv/t/usr/x"), Path::new("/srv/t")), Some(PathBuf::from("/usr/x")));
        assert_eq!(below_root(Path::new("/srv/tt/usr/x"), Path::new("/srv/t")), None);
        assert_eq!(below_root(Path::new("/srv/t/x"), Path::new("/")), Some(PathBuf::from("/srv/t/x")));
    }
}
