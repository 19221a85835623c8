//! Reads package lists, which an attacker may have written: through directory descriptors, regular files only, with a cap
//! on everything, and with a stamp that shows later whether a list has changed.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};
use std::time::{Duration, Instant, SystemTime};

/// Largest list that is read, in bytes. A larger one is an error.
pub const MAX_LIST: u64 = 16 << 20;
/// Longest line read, in bytes: a path has at most 4,095, twice that in quotes.
const MAX_LINE: u64 = 8704;
/// Coarseness of a filesystem's timestamps: a file that changed less than this ago can change again with the same time.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_millis(20);

/// Identity and times of a file or directory: an equal stamp means the same, unchanged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Of an open file.
    pub fn of_open(open: impl AsFd) -> rustix::io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(open)?))
    }

    /// Of the file with this name; a symbolic link is not followed.
    pub fn at(directory: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<Self> {
        Ok(Self::of(&rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// The stamp, unless the last change is so recent that another one could leave the same stamp.
    pub fn if_stable(self, now: SystemTime) -> Option<Self> {
        let (seconds, nanoseconds) = self.changed;
        let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        let age = now.duration_since(SystemTime::UNIX_EPOCH.checked_add(since)?).ok()?;
        (age > TIMESTAMP_GRANULARITY).then_some(self)
    }
}

/// Opens the directory at `below` in `root` component by component; a symbolic link below the root is an error.
pub fn directory(root: &Path, below: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
    for component in below.components() {
        if let Component::Normal(name) = component {
            found = rustix::fs::openat(&found, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
    }
    Ok(found)
}

/// Opens the directory so many levels above, by `..` of the real directories.
pub fn above(directory: impl AsFd, levels: usize) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    for _ in 0..levels {
        found = rustix::fs::openat(&found, c"..", flags, Mode::empty())?;
    }
    Ok(found)
}

/// A list that is open for reading by lines.
pub struct List {
    reader: io::Take<BufReader<File>>,
    line: Vec<u8>,
    /// Of the open list.
    pub stamp: Stamp,
}

impl List {
    /// Opens a regular file of at most [`MAX_LIST`] bytes.
    pub fn open(directory: impl AsFd, name: &OsStr) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        if size > MAX_LIST {
            return Err(Errno::FBIG);
        }
        let room = usize::try_from(size).unwrap_or(usize::MAX).clamp(512, 64 << 10);
        let reader = BufReader::with_capacity(room, File::from(file)).take(MAX_LIST);
        Ok(Self { reader, line: Vec::new(), stamp: Stamp::of(&stat) })
    }

    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        u64::try_from(self.stamp.size).unwrap_or(u64::MAX)
    }

    /// Calls `visit` with each line, without its end, until it returns `false`. Longer lines than [`MAX_LINE`] are skipped.
    pub fn each_line(&mut self, visit: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        each_line(&mut self.reader, &mut self.line, visit)
    }
}

/// As [`List::each_line`], for any reader.
fn each_line(reader: &mut impl BufRead, line: &mut Vec<u8>, mut visit: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    loop {
        line.clear();
        let read = reader.take(MAX_LINE).read_until(b'\n', line)?;
        if read == 0 {
            return Ok(());
        }
        match line.strip_suffix(b"\n") {
            None if read as u64 == MAX_LINE => drop(reader.skip_until(b'\n')?),
            whole => {
                if !visit(whole.unwrap_or(line)) {
                    return Ok(());
                }
            }
        }
    }
}

/// A token bucket of bytes: an attacker can write many large lists.
#[derive(Debug)]
pub struct ReadBudget {
    left: u64,
    since: Instant,
}

impl ReadBudget {
    /// Refill in bytes per second.
    const PER_SECOND: u64 = 16 << 20;
    /// Capacity in bytes.
    const BURST: u64 = 64 << 20;

    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self { left: Self::BURST, since: now }
    }

    /// Adds the bytes since the last refill.
    pub fn refill(&mut self, now: Instant) {
        let milliseconds = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        if milliseconds > 0 {
            let gained = milliseconds.saturating_mul(Self::PER_SECOND / 1000);
            self.left = self.left.saturating_add(gained).min(Self::BURST);
            self.since = now;
        }
    }

    /// Takes so many bytes; `false` if fewer are left.
    pub fn spend(&mut self, bytes: u64) -> bool {
        let rest = self.left.checked_sub(bytes);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each_line(&mut &*text, &mut Vec::new(), |line| {
            found.push(line.to_vec());
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn lines_end_at_a_newline_or_at_the_end_and_longer_ones_are_skipped() {
        assert_eq!(lines(b"a\n\nb"), [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        let long = [b"a\n".to_vec(), b"x".repeat(100_000), b"\nb\n".to_vec()].concat();
        assert_eq!(lines(&long), [b"a", b"b"]);
    }

    #[test]
    fn only_a_regular_file_of_bounded_size_is_opened() {
        let tmp = tempfile::tempdir().unwrap();
        let directory = directory(tmp.path(), Path::new("")).unwrap();
        std::fs::write(tmp.path().join("list"), "a\n").unwrap();
        std::os::unix::fs::symlink("list", tmp.path().join("link")).unwrap();
        rustix::fs::mknodat(&directory, "fifo", FileType::Fifo, Mode::RUSR, 0).unwrap();
        File::create(tmp.path().join("large")).unwrap().set_len(MAX_LIST + 1).unwrap();
        assert!(List::open(&directory, OsStr::new("list")).is_ok());
        for name in ["link", "fifo", "large", "missing"] {
            assert!(List::open(&directory, OsStr::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn no_symbolic_link_below_the_root_is_followed() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tmp.path().join("real/lib")).unwrap();
        std::os::unix::fs::symlink("real", tmp.path().join("var")).unwrap();
        assert!(directory(tmp.path(), Path::new("real/lib")).is_ok());
        assert!(directory(tmp.path(), Path::new("var/lib")).is_err());
    }

    #[test]
    fn a_stamp_is_stable_a_second_after_the_change_and_not_at_once() {
        let tmp = tempfile::tempdir().unwrap();
        let stamp = Stamp::of_open(directory(tmp.path(), Path::new("")).unwrap()).unwrap();
        let now = SystemTime::now();
        assert_eq!(stamp.if_stable(now), None);
        assert_eq!(stamp.if_stable(now + Duration::from_secs(1)), Some(stamp));
    }

    #[test]
    fn a_spent_budget_is_refilled_with_time() {
        let start = Instant::now();
        let mut budget = ReadBudget::new(start);
        assert!(budget.spend(ReadBudget::BURST));
        assert!(!budget.spend(1));
        budget.refill(start + Duration::from_millis(10));
        assert!(budget.spend(100_000));
        assert!(!budget.spend(100_000));
    }
}
