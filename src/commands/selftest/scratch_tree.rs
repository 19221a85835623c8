//! The scratch tree of the self-test and its mounts.
//!
//! Everything is mounted in a mount namespace of the self-test, which ends with the last process in it. Directories
//! have random names and mode 0700, and making one fails if the name exists. Dropping [`ScratchTree`] removes them.

use super::helper;
use crate::source::mounts;
use crate::source::mounts::{Class, Mount};
use nix::mount::{MntFlags, MsFlags};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where the scratch tree may be: the first that accepts it. `/tmp` is last, because it is often a filesystem in
/// memory.
const BASES: [&str; 8] = ["/var/tmp", "/var/lib", "/root", "/usr/local", "/opt", "/srv", "/home", "/tmp"];
/// Mount points of other filesystems that often hold Python's directories.
const OTHERS: [&str; 10] =
    ["/home", "/var", "/var/lib", "/tmp", "/var/tmp", "/opt", "/srv", "/usr", "/usr/local", "/root"];

/// The directory of packages in each part of the scratch tree.
pub const PACKAGES: &str = "usr/lib/python3.12/site-packages";

/// See the module.
pub struct ScratchTree {
    base: PathBuf,
    /// Scratch directories on other filesystems.
    on_others: Vec<PathBuf>,
    mounted: Vec<PathBuf>,
    /// Why nothing can be mounted, if nothing can.
    no_mounts: Option<String>,
}

/// Another filesystem of this machine.
pub struct OtherFilesystem {
    /// Where it is mounted, or a directory on it.
    pub mount_point: &'static str,
    /// Its type.
    pub fs_type: String,
}

impl ScratchTree {
    /// Makes the scratch tree, on the filesystem of `/` if one of [`BASES`] is on it.
    ///
    /// # Errors
    /// No directory accepts it: the error of the last.
    pub fn new() -> io::Result<Self> {
        let no_mounts = helper::enter_mount_namespace().err().map(|error| match error.raw_os_error() {
            Some(libc::EPERM) => "needs CAP_SYS_ADMIN".to_owned(),
            Some(libc::EINVAL) => "`/` is no mount point here (a chroot), and a mount would be seen outside".to_owned(),
            _ => error.to_string(),
        });
        let all = mounts::read()?;
        let device = |path: &Path| mounts::holding(&all, path).map(|mount| mount.device);
        let root = device(Path::new("/"));
        let temporary = std::env::temp_dir();
        let bases = BASES.into_iter().map(Path::new).chain([temporary.as_path()]);
        let (first, then): (Vec<PathBuf>, Vec<PathBuf>) =
            bases.filter_map(|base| real(base, &all)).partition(|base| device(base) == root);
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for base in first.into_iter().chain(then) {
            match scratch(&base) {
                Ok(base) => return Ok(Self { base, on_others: Vec::new(), mounted: Vec::new(), no_mounts }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The type of the filesystem of `/` and the reason, if the scratch tree had to be made on another one.
    pub fn root_left_out(&self) -> Option<(String, String)> {
        let all = mounts::read().unwrap_or_default();
        let root = mounts::holding(&all, Path::new("/"))?;
        let is_on_it = mounts::holding(&all, &self.base).is_some_and(|mount| mount.device == root.device);
        (!is_on_it).then(|| (root.fs_type.clone(), "no directory on it accepts the scratch tree".to_owned()))
    }

    /// The directory of the scratch tree, without its parts on other filesystems.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Root of the watcher with fanotify.
    pub fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// Root of the watcher with inotify.
    pub fn inotify_root(&self) -> PathBuf {
        self.base.join("inotify")
    }

    /// The type of its filesystem.
    pub fn fs_type(&self) -> String {
        fs_type(&self.base)
    }

    /// Makes a directory in the scratch tree, with its parents.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub fn make_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// Mounts a filesystem in memory.
    ///
    /// # Errors
    /// The reason, for the report.
    pub fn mount_tmpfs(&mut self, at: &Path) -> Result<(), String> {
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        self.mount(Some("pyhookwatch-selftest"), at, Some("tmpfs"), flags, Some("size=1m,mode=0700"))
    }

    /// Mounts an overlay at `at`/merged. Writes through it go to `at`/upper.
    ///
    /// # Errors
    /// The reason, for the report.
    pub fn mount_overlay(&mut self, at: &Path) -> Result<(), String> {
        let at = at.to_path_buf();
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| at.join(name));
        for directory in [&lower.join(PACKAGES), &upper.join(PACKAGES), &work, &merged] {
            self.make_directory(directory).map_err(|error| error.to_string())?;
        }
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        self.mount(Some("pyhookwatch-selftest"), &merged, Some("overlay"), MsFlags::empty(), Some(&options))
    }

    /// Makes a scratch directory on another filesystem, and binds it to `at`.
    ///
    /// # Errors
    /// The reason, for the report.
    pub fn mount_other(&mut self, other: &OtherFilesystem, at: &Path) -> Result<(), String> {
        if let Some(reason) = &self.no_mounts {
            return Err(reason.clone());
        }
        let directory =
            real(Path::new(other.mount_point), &mounts::read().unwrap_or_default()).ok_or("it is not accessible")?;
        let made = scratch(&directory).map_err(|error| error.to_string())?;
        self.on_others.push(made.clone());
        let source = made.to_str().map(str::to_owned).ok_or("its name is no text")?;
        self.mount(Some(&source), at, None, MsFlags::MS_BIND, None)
    }

    fn mount(
        &mut self,
        source: Option<&str>,
        at: &Path,
        fs_type: Option<&str>,
        flags: MsFlags,
        options: Option<&str>,
    ) -> Result<(), String> {
        if let Some(reason) = &self.no_mounts {
            return Err(reason.clone());
        }
        self.make_directory(at).map_err(|error| error.to_string())?;
        nix::mount::mount(source, at, fs_type, flags, options).map_err(|errno| {
            let mount = fs_type.unwrap_or("a bind mount");
            format!("{mount} cannot be mounted: {}", io::Error::from(errno))
        })?;
        self.mounted.push(at.to_path_buf());
        Ok(())
    }

    /// The other filesystems of this machine that often hold Python's directories.
    pub fn other_filesystems(&self) -> Vec<OtherFilesystem> {
        let all = mounts::read().unwrap_or_default();
        let mut known: Vec<(u32, u32)> =
            mounts::holding(&all, &self.base).map(|mount| mount.device).into_iter().collect();
        let mut others = Vec::new();
        for mount_point in OTHERS {
            let Some(mount) = real(Path::new(mount_point), &all).and_then(|real| mounts::holding(&all, &real)) else {
                continue;
            };
            let Mount { device, fs_type, .. } = mount;
            // The steps of the overlay cover overlays.
            if mounts::class(fs_type) == Class::Local && fs_type != "overlay" && !known.contains(device) {
                known.push(*device);
                others.push(OtherFilesystem { mount_point, fs_type: fs_type.clone() });
            }
        }
        others
    }
}

impl Drop for ScratchTree {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            // In a namespace of our own. A process that still uses the mount keeps it until it ends.
            let _ = nix::mount::umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
        for directory in self.on_others.iter().chain([&self.base]) {
            if let Err(error) = std::fs::remove_dir_all(directory) {
                log::error!("{} could not be removed: {error}; remove it by hand", directory.display());
            }
        }
    }
}

/// A new directory with a random name.
fn scratch(below: &Path) -> io::Result<PathBuf> {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    let directory = below.join(format!(".pyhookwatch-selftest-{}", random.trim()));
    DirBuilder::new().mode(0o700).create(&directory)?;
    Ok(directory)
}

/// The directory without symbolic links. None on a remote filesystem, where a system call can hang.
fn real(directory: &Path, all: &[Mount]) -> Option<PathBuf> {
    let can_hang =
        |path: &Path| mounts::holding(all, path).is_some_and(|mount| mounts::class(&mount.fs_type) == Class::Remote);
    let real = Some(directory).filter(|directory| !can_hang(directory))?.canonicalize().ok()?;
    (!can_hang(&real) && real.is_dir()).then_some(real)
}

/// The type of the filesystem that a path is on.
pub fn fs_type(path: &Path) -> String {
    let all = mounts::read().unwrap_or_default();
    mounts::holding(&all, path).map_or_else(|| "unknown".into(), |mount| mount.fs_type.clone())
}
