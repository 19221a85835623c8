//! A bounded walk through a directory tree, for trees that an attacker may rearrange meanwhile.
//!
//! * It goes down by descriptors (`openat` from the directory above), never by path, and never
//!   through a symbolic link.
//! * It stays on the filesystem it started on unless told otherwise, and looks at the device before
//!   it opens, without asking a server: a dead NFS mount or an automount point below cannot hang it.
//! * It holds one descriptor for each level it is deep, at most [`MAX_DEPTH`]; one more for each of
//!   these levels where the visitor asked for [`Entry::directory`].
//! * It reads directories as a stream: memory depends on the depth (about 30 KiB a level), not on
//!   the number of entries.
//!
//! What it did not see is counted in the [`WalkReport`], never skipped silently.

use std::cell::OnceCell;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, DirEntry, FileType, Mode, OFlags, Statx, StatxFlags, openat, statx};
use rustix::io::Errno;

/// Directories below the top that a walk goes down.
pub const MAX_DEPTH: usize = 128;
/// Entries one walk looks at.
pub const MAX_ENTRIES: u64 = 1_000_000;
/// Longest path that is reported: the kernel's `PATH_MAX` is 4,096 with its NUL, and nothing can
/// open or watch a longer one by path.
pub const MAX_PATH: usize = 4095;

/// How far a walk may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Go on into other filesystems mounted below the top.
    pub cross_filesystems: bool,
    /// Levels below the top; the top itself is level 0.
    pub depth: usize,
    /// Entries looked at, of any kind.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cross_filesystems: false, depth: MAX_DEPTH, entries: MAX_ENTRIES }
    }
}

/// What an entry is, without following it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory; the walk lists it after the visitor returns (unless it cannot be read, or a
    /// limit is reached: the report counts that).
    Directory,
    /// A directory of another filesystem, which the walk does not enter.
    OtherFilesystem,
    /// A regular file.
    File,
    /// A symbolic link, to anything.
    SymbolicLink,
    /// FIFO, socket or device.
    Special,
}

/// One entry of a directory.
pub struct Entry<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its name: any bytes but NUL and `/`.
    pub name: &'a [u8],
    level: &'a Level,
}

impl Entry<'_> {
    /// The full path: the top's path as given to [`walk`] with the names below it.
    pub fn path(&self) -> PathBuf {
        self.level.path.join(OsStr::from_bytes(self.name))
    }

    /// An `O_PATH` descriptor of the directory that holds the entry, opened when first asked for and
    /// shared by the entries of that directory.
    pub fn directory(&self) -> io::Result<Arc<OwnedFd>> {
        if let Some(known) = self.level.handle.get() {
            return Ok(Arc::clone(known));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = Arc::new(openat(self.level.stream.fd()?, c".", flags, Mode::empty())?);
        Ok(Arc::clone(self.level.handle.get_or_init(|| handle)))
    }
}

/// What a walk saw, and what it did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Directories that were listed, the top included.
    pub directories: u64,
    /// Entries that were looked at.
    pub entries: u64,
    /// Directories that could not be opened or read to their end.
    pub unreadable: u64,
    /// The first of them.
    pub first_unreadable: Option<PathBuf>,
    /// A limit (depth, entries, path length) ended the walk or kept it out of a directory.
    pub truncated: bool,
}

impl WalkReport {
    fn note_unreadable(&mut self, path: impl FnOnce() -> PathBuf) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert_with(path);
    }
}

/// Names one directory of this machine for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Device, `major:minor`.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// The directory that has this path now. An error if there is none or it is a symbolic link; links
/// in the path before the last name are followed.
pub fn identify_directory(path: &Path) -> io::Result<Identity> {
    let found = look(CWD, path)?;
    if file_type(&found) != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    Ok(Identity { device: device(&found), inode: found.stx_ino })
}

/// Walks the tree at `top` (not through a symbolic link) and shows every entry below it to `visit`,
/// a directory before its content. An error only if the top itself cannot be opened.
pub fn walk(top: &Path, limits: Limits, visit: impl FnMut(&Entry<'_>)) -> io::Result<WalkReport> {
    walk_at(CWD, top, top, limits, visit)
}

/// As [`walk`], for a top that is `name` in the directory `parent`; `path` is what entries are
/// reported below.
pub fn walk_at(
    parent: impl AsFd,
    name: &Path,
    path: &Path,
    limits: Limits,
    visit: impl FnMut(&Entry<'_>),
) -> io::Result<WalkReport> {
    let stream = open(parent, name)?;
    let device = device(&look(stream.fd()?, c"")?);
    let top = Level { stream, path: path.to_path_buf(), handle: OnceCell::new() };
    let mut walk = Walk { limits, device, visit, report: WalkReport::default() };
    walk.run(top);
    Ok(walk.report)
}

/// A directory that is being read.
struct Level {
    stream: Dir,
    path: PathBuf,
    handle: OnceCell<Arc<OwnedFd>>,
}

struct Walk<V> {
    limits: Limits,
    device: (u32, u32),
    visit: V,
    report: WalkReport,
}

impl<V: FnMut(&Entry<'_>)> Walk<V> {
    fn run(&mut self, top: Level) {
        self.report.directories = 1;
        // Levels from the top down to the directory being read. Not recursion: the depth is the
        // attacker's choice, the stack is not.
        let mut above = Vec::new();
        let mut level = top;
        loop {
            let below = match level.stream.read() {
                Some(Ok(entry)) if is_dot(entry.file_name()) => continue,
                Some(Ok(_)) if self.report.entries >= self.limits.entries => {
                    self.report.truncated = true;
                    return;
                }
                Some(Ok(entry)) => self.enter(&level, &entry, above.len()),
                Some(Err(_)) => {
                    self.report.note_unreadable(|| level.path.clone());
                    continue; // the stream gives None from now on
                }
                None => match above.pop() {
                    Some(parent) => {
                        level = parent;
                        continue;
                    }
                    None => return,
                },
            };
            if let Some(below) = below {
                above.push(std::mem::replace(&mut level, below));
            }
        }
    }

    /// Shows one entry to the visitor; gives the level below if it is a directory to go into.
    fn enter(&mut self, level: &Level, entry: &DirEntry, depth: usize) -> Option<Level> {
        self.report.entries += 1;
        let name = entry.file_name();
        if level.path.as_os_str().len() + 1 + name.count_bytes() > MAX_PATH {
            self.report.truncated = true;
            return None;
        }
        let kind = self.kind(level, entry)?;
        let entry = Entry { kind, name: name.to_bytes(), level };
        if kind != Kind::Directory {
            (self.visit)(&entry);
            return None;
        }
        // Opened before it is shown and read afterwards: a visitor that sets a watch has set it
        // before the listing.
        let stream = if depth < self.limits.depth {
            self.open_below(level, name)
        } else {
            self.report.truncated = true;
            None
        };
        (self.visit)(&entry);
        let stream = stream?;
        self.report.directories += 1;
        Some(Level { stream, path: entry.path(), handle: OnceCell::new() })
    }

    /// What the entry is; `None` if it is gone.
    fn kind(&self, level: &Level, entry: &DirEntry) -> Option<Kind> {
        let told = entry.file_type();
        if told != FileType::Directory && told != FileType::Unknown {
            return Some(kind_of(told)); // no system call for a file
        }
        match level.stream.fd().and_then(|fd| look(fd, entry.file_name())) {
            Ok(found) if file_type(&found) == FileType::Directory => {
                let here = self.limits.cross_filesystems || device(&found) == self.device;
                Some(if here { Kind::Directory } else { Kind::OtherFilesystem })
            }
            Ok(found) => Some(kind_of(file_type(&found))),
            Err(Errno::NOENT) => None,
            // Opening it will tell the error and count it.
            Err(_) => Some(Kind::Directory),
        }
    }

    fn open_below(&mut self, level: &Level, name: &CStr) -> Option<Dir> {
        match level.stream.fd().and_then(|fd| open(fd, name)) {
            Ok(stream) => Some(stream),
            // Removed or replaced since it was listed: nothing of this name is left to read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            Err(_) => {
                self.report.note_unreadable(|| level.path.join(OsStr::from_bytes(name.to_bytes())));
                None
            }
        }
    }
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<Dir, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(parent, name, flags, Mode::empty())?)
}

/// Type, device and inode of a name (of the descriptor itself if the name is empty), without
/// following a link, mounting an automount point or asking a network server.
fn look(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<Statx, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(parent, name, flags, StatxFlags::TYPE | StatxFlags::INO)
}

fn device(found: &Statx) -> (u32, u32) {
    (found.stx_dev_major, found.stx_dev_minor)
}

fn file_type(found: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(found.stx_mode))
}

fn kind_of(file_type: FileType) -> Kind {
    match file_type {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::SymbolicLink,
        _ => Kind::Special,
    }
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn seen(top: &Path, limits: Limits) -> (Vec<(PathBuf, Kind)>, WalkReport) {
        let mut entries = Vec::new();
        let report = walk(top, limits, |entry| {
            entries.push((entry.path().strip_prefix(top).unwrap().to_path_buf(), entry.kind));
        })
        .unwrap();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        (entries, report)
    }

    #[test]
    fn every_entry_is_shown_with_its_kind_and_a_directory_before_its_content() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir_all(tmp.path().join("a/b")).unwrap();
        fs::write(tmp.path().join("a/b/x.pth"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(tmp.path().join("s")).unwrap();
        let mut order = Vec::new();
        walk(tmp.path(), Limits::default(), |entry| order.push(entry.path())).unwrap();
        let at = |name: &str| order.iter().position(|path| *path == tmp.path().join(name)).unwrap();
        assert!(at("a") < at("a/b") && at("a/b") < at("a/b/x.pth"));
        let (entries, report) = seen(tmp.path(), Limits::default());
        let expected =
            [("a", Kind::Directory), ("a/b", Kind::Directory), ("a/b/x.pth", Kind::File), ("s", Kind::Special)];
        assert_eq!(entries, expected.map(|(path, kind)| (PathBuf::from(path), kind)));
        assert_eq!(report, WalkReport { directories: 3, entries: 4, ..WalkReport::default() });
    }

    #[test]
    fn symbolic_links_are_shown_but_never_followed_whether_they_loop_or_lead_to_the_root() {
        let tmp = tempfile::tempdir().unwrap();
        symlink(tmp.path(), tmp.path().join("loop")).unwrap();
        symlink("/", tmp.path().join("root")).unwrap();
        symlink("nowhere", tmp.path().join("dangling")).unwrap();
        let (entries, report) = seen(tmp.path(), Limits::default());
        assert!(entries.iter().all(|(_, kind)| *kind == Kind::SymbolicLink));
        assert_eq!(report, WalkReport { directories: 1, entries: 3, ..WalkReport::default() });
        assert!(walk(&tmp.path().join("root"), Limits::default(), |_| {}).is_err());
    }

    #[test]
    fn the_depth_cap_keeps_the_walk_out_and_says_so() {
        let tmp = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 2).collect();
        fs::create_dir_all(tmp.path().join(&deep)).unwrap();
        let (entries, report) = seen(tmp.path(), Limits::default());
        assert_eq!(entries.len(), MAX_DEPTH + 1);
        assert_eq!(report.directories, MAX_DEPTH as u64 + 1);
        assert!(report.truncated);
        let (entries, report) = seen(tmp.path(), Limits { depth: 0, ..Limits::default() });
        assert_eq!((entries.len(), report.truncated), (1, true));
    }

    #[test]
    fn the_entry_cap_ends_the_walk_and_says_so() {
        let tmp = tempfile::tempdir().unwrap();
        for number in 0..10 {
            fs::write(tmp.path().join(number.to_string()), "").unwrap();
        }
        let (entries, report) = seen(tmp.path(), Limits { entries: 9, ..Limits::default() });
        assert_eq!((entries.len(), report.truncated), (9, true));
        let (entries, report) = seen(tmp.path(), Limits { entries: 10, ..Limits::default() });
        assert_eq!((entries.len(), report.truncated), (10, false));
    }

    #[test]
    fn a_path_too_long_for_the_kernel_is_left_out_and_said() {
        let tmp = tempfile::tempdir().unwrap();
        let mut parent = openat(CWD, tmp.path(), OFlags::PATH, Mode::empty()).unwrap();
        let name = "n".repeat(250);
        for _ in 0..20 {
            rustix::fs::mkdirat(&parent, name.as_str(), Mode::RWXU).unwrap();
            parent = openat(&parent, name.as_str(), OFlags::PATH, Mode::empty()).unwrap();
        }
        let (entries, report) = seen(tmp.path(), Limits::default());
        assert!(entries.len() < 20 && report.truncated);
        assert!(entries.iter().all(|(path, _)| tmp.path().join(path).as_os_str().len() <= MAX_PATH));
    }

    #[test]
    fn names_that_are_not_utf_8_stay_as_they_are() {
        let tmp = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"\xff\n\x1b[2J.pth");
        fs::write(tmp.path().join(name), "").unwrap();
        let mut names = Vec::new();
        walk(tmp.path(), Limits::default(), |entry| names.push(entry.name.to_vec())).unwrap();
        assert_eq!(names, [name.as_bytes()]);
    }

    #[test]
    fn the_directory_of_an_entry_opens_it_wherever_its_path_leads_by_now() {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("d")).unwrap();
        fs::write(tmp.path().join("d/x.pth"), "content").unwrap();
        let mut kept = None;
        walk(tmp.path(), Limits::default(), |entry| {
            if entry.kind == Kind::File {
                assert!(Arc::ptr_eq(&entry.directory().unwrap(), &entry.directory().unwrap()));
                kept = entry.directory().ok();
            }
        })
        .unwrap();
        fs::rename(tmp.path().join("d"), tmp.path().join("elsewhere")).unwrap();
        let file = openat(kept.unwrap(), "x.pth", OFlags::RDONLY, Mode::empty()).unwrap();
        assert_eq!(io::read_to_string(fs::File::from(file)).unwrap(), "content");
    }

    #[test]
    fn another_filesystem_is_shown_but_not_entered_unless_told() {
        let proc = fs::metadata("/proc/self").is_ok();
        let mut kinds = Vec::new();
        let limits = Limits { depth: 0, ..Limits::default() };
        walk(Path::new("/"), limits, |entry| {
            if entry.name == b"proc" {
                kinds.push(entry.kind);
            }
        })
        .unwrap();
        walk(Path::new("/"), Limits { cross_filesystems: true, ..limits }, |entry| {
            if entry.name == b"proc" {
                kinds.push(entry.kind);
            }
        })
        .unwrap();
        assert!(!proc || kinds == [Kind::OtherFilesystem, Kind::Directory], "{kinds:?}");
    }

    #[test]
    fn an_identity_is_that_of_the_directory_and_not_of_a_link_or_file() {
        let tmp = tempfile::tempdir().unwrap();
        let (one, two) = (tmp.path().join("one"), tmp.path().join("two"));
        fs::create_dir(&one).unwrap();
        let identity = identify_directory(&one).unwrap();
        fs::rename(&one, &two).unwrap();
        assert_eq!(identify_directory(&two).unwrap(), identity);
        symlink(&two, &one).unwrap();
        assert!(identify_directory(&one).is_err());
        assert!(identify_directory(Path::new("/proc/self/stat")).is_err());
    }

    /// Root reads every directory, so the walk is done by this test program again, as `nobody`.
    #[test]
    fn an_unreadable_directory_is_counted_and_named() {
        let tmp = tempfile::tempdir().unwrap();
        fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["closed", "open"] {
            fs::create_dir(tmp.path().join(name)).unwrap();
        }
        fs::write(tmp.path().join("open/x.pth"), "").unwrap();
        fs::set_permissions(tmp.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        if !rustix::process::geteuid().is_root() {
            return check_unreadable(tmp.path());
        }
        let program = tmp.path().join("tests");
        assert!(
            Command::new("/bin/cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success()
        );
        let output = Command::new(&program)
            .args(["--ignored", "--exact", "walk::tests::walks_the_given_tree_with_a_closed_directory"])
            .env("PYHOOKWATCH_TEST_TREE", tmp.path())
            .current_dir("/")
            .uid(65534)
            .gid(65534)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&output.stdout);
        assert!(output.contains("1 passed"), "{output}");
    }

    #[test]
    #[ignore = "the second half of the test above"]
    fn walks_the_given_tree_with_a_closed_directory() {
        if let Some(tree) = std::env::var_os("PYHOOKWATCH_TEST_TREE") {
            check_unreadable(Path::new(&tree));
        }
    }

    fn check_unreadable(top: &Path) {
        let (entries, report) = seen(top, Limits::default());
        assert!(entries.contains(&(PathBuf::from("open/x.pth"), Kind::File)));
        assert!(entries.contains(&(PathBuf::from("closed"), Kind::Directory)));
        assert_eq!((report.unreadable, report.first_unreadable), (1, Some(top.join("closed"))));
        assert!(!report.truncated);
    }
}
