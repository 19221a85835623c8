//! Reads a file that an attacker may control: through the directory of the event, without following a link, and only
//! a regular file. The size is limited, and the hash covers the same bytes that are parsed.

use crate::event::{FileFacts, FileRef, FileState, SpecialFile};
use md5::Md5;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Most bytes parsed, from the start of the file.
pub const MAX_PARSED: usize = 1 << 20;
/// Most bytes hashed; a larger file has no hash in the alert.
pub const MAX_HASHED: u64 = 16 << 20;

/// How much of a file is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes hashed; a larger file has no hash.
    pub hash: u64,
    /// Most bytes parsed.
    pub parse: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { hash: MAX_HASHED, parse: MAX_PARSED }
    }
}

/// A file that was read.
pub struct Content {
    /// The file's metadata, and its hash.
    pub facts: FileFacts,
    /// The first bytes of a regular file, at most [`Limits::parse`].
    pub head: Vec<u8>,
    /// `head` is the whole file.
    pub whole: bool,
    /// MD5 of the whole content, which dpkg lists; `None` when there is no SHA-256 either.
    pub md5: Option<[u8; 16]>,
}

/// Reads the metadata only. An error becomes the state of the file.
pub fn metadata(file: &FileRef) -> FileFacts {
    match find(file) {
        Ok((stat, state)) => facts(&stat, state),
        Err(errno) => FileFacts { state: failed(errno), ..FileFacts::default() },
    }
}

/// Reads the file within these limits. An error becomes the state of the file.
pub fn read(file: &FileRef, limits: Limits) -> Content {
    try_read(file, limits).unwrap_or_else(|errno| without_content(failed(errno)))
}

/// Reads an open file, if it is regular.
pub fn read_opened(opened: OwnedFd, limits: Limits) -> Content {
    let stat = match rustix::fs::fstat(&opened) {
        Ok(stat) => stat,
        Err(errno) => return without_content(failed(errno)),
    };
    match special(&stat) {
        None if is_regular(&stat) => hashed(opened, &stat, limits),
        special => without_content(FileState::Special(special.unwrap_or(SpecialFile::Unknown))),
    }
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Opens a file below this root for reading, without entering another filesystem.
pub fn open_below(root: &Path, path: &Path) -> rustix::io::Result<OwnedFd> {
    let top = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(&top, path, flags, Mode::empty(), how)
}

/// The type of a file that is neither regular nor a link.
fn special(stat: &Stat) -> Option<SpecialFile> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Symlink => return None,
        FileType::Directory => SpecialFile::Directory,
        FileType::Fifo => SpecialFile::Fifo,
        FileType::Socket => SpecialFile::Socket,
        FileType::CharacterDevice if stat.st_rdev == 0 => SpecialFile::Whiteout,
        FileType::CharacterDevice => SpecialFile::CharacterDevice,
        FileType::BlockDevice => SpecialFile::BlockDevice,
        FileType::Unknown => SpecialFile::Unknown,
    })
}

/// The state of a file that could not be opened.
pub fn failed(errno: Errno) -> FileState {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::STALE => FileState::Gone,
        errno => FileState::Unreadable(std::io::Error::from(errno).to_string()),
    }
}

/// A file of which only the state is known.
pub fn without_content(state: FileState) -> Content {
    Content { facts: FileFacts { state, ..FileFacts::default() }, head: Vec::new(), whole: true, md5: None }
}

/// Metadata and state of a name; a link is not followed.
fn find(file: &FileRef) -> rustix::io::Result<(Stat, FileState)> {
    let directory = file.directory.as_deref().ok_or(Errno::NOENT)?;
    let name = file.path.file_name().ok_or(Errno::NOENT)?;
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let state = match special(&stat) {
        Some(special) => FileState::Special(special),
        None if is_regular(&stat) => FileState::Regular,
        None => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            FileState::SymbolicLink(PathBuf::from(OsString::from_vec(target.into_bytes())))
        }
    };
    Ok((stat, state))
}

fn try_read(file: &FileRef, limits: Limits) -> rustix::io::Result<Content> {
    let (stat, state) = find(file)?;
    if state != FileState::Regular {
        return Ok(Content { facts: facts(&stat, state), head: Vec::new(), whole: true, md5: None });
    }
    let directory = file.directory.as_deref().ok_or(Errno::NOENT)?;
    let name = file.path.file_name().ok_or(Errno::NOENT)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    // The file can have been replaced since `find`.
    let stat = rustix::fs::fstat(&opened)?;
    if !is_regular(&stat) {
        return Ok(without_content(FileState::Unreadable("it was replaced during the inspection".into())));
    }
    Ok(hashed(opened, &stat, limits))
}

fn hashed(opened: OwnedFd, stat: &Stat, limits: Limits) -> Content {
    let mut facts = facts(stat, FileState::Regular);
    let is_hashed = facts.size.is_some_and(|size| size <= limits.hash);
    // The file can grow meanwhile: read one byte more than allowed to notice it.
    let limit = if is_hashed { limits.hash.max(limits.parse as u64) + 1 } else { limits.parse as u64 + 1 };
    let mut file = std::fs::File::from(opened).take(limit);
    let (mut hash, mut md5, mut head, mut total) = (Sha256::new(), Md5::new(), Vec::new(), 0u64);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                if is_hashed {
                    hash.update(bytes);
                    md5.update(bytes);
                }
                total += length as u64;
                let room = limits.parse.saturating_sub(head.len()).min(length);
                head.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                facts.state = FileState::Unreadable(error.to_string());
                return Content { facts, head, whole: false, md5: None };
            }
        }
    }
    let is_whole = is_hashed && total <= limits.hash;
    if is_whole {
        facts.sha256 = Some(hash.finalize().into());
    }
    let md5 = is_whole.then(|| md5.finalize().into());
    let whole = head.len() as u64 == total;
    Content { facts, head, whole, md5 }
}

fn facts(stat: &Stat, state: FileState) -> FileFacts {
    FileFacts {
        state,
        inode: Some(stat.st_ino),
        device: Some((rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev))),
        owner: Some(stat.st_uid),
        group: Some(stat.st_gid),
        mode: Some(stat.st_mode & 0o7777),
        size: u64::try_from(stat.st_size).ok(),
        // 32 bits on some architectures.
        #[allow(clippy::useless_conversion)]
        links: Some(stat.st_nlink.into()),
        modified: moment(stat.st_mtime, stat.st_mtime_nsec),
        changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        sha256: None,
    }
}

fn moment(seconds: i64, nanoseconds: u64) -> Option<SystemTime> {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0).min(999_999_999);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds))
}

/// Whether no write can follow: the name is a hard link to a file that was complete before (uv installs so and never
/// closes a file), or not a regular file.
pub fn is_complete_at_once(file: &FileRef) -> bool {
    let (Some(directory), Some(name)) = (file.directory.as_deref(), file.path.file_name()) else { return false };
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::Arc;

    fn file_ref(directory: &Path, name: &str) -> FileRef {
        let fd = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        FileRef { path: directory.join(name), directory: Some(Arc::new(fd)) }
    }

    #[test]
    fn a_regular_file_is_read_and_hashed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.pth"), "abc").unwrap();
        let content = read(&file_ref(directory.path(), "a.pth"), Limits::default());
        assert_eq!(content.facts.state, FileState::Regular);
        assert_eq!(content.head, b"abc");
        assert!(content.whole);
        assert_eq!(content.facts.sha256.unwrap()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_symbolic_link_is_reported_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("a.pth")).unwrap();
        let content = read(&file_ref(directory.path(), "a.pth"), Limits::default());
        assert_eq!(content.facts.state, FileState::SymbolicLink(PathBuf::from("/etc/passwd")));
        assert!(content.head.is_empty());
    }

    #[test]
    fn a_fifo_does_not_block_the_reader() {
        let directory = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, directory.path().join("a.pth"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(
            read(&file_ref(directory.path(), "a.pth"), Limits::default()).facts.state,
            FileState::Special(SpecialFile::Fifo)
        );
    }

    #[test]
    fn a_sparse_terabyte_is_cut_and_has_no_hash() {
        let directory = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(directory.path().join("a.pth")).unwrap();
        file.set_len(1 << 40).unwrap();
        let content = read(&file_ref(directory.path(), "a.pth"), Limits::default());
        assert_eq!(content.facts.size, Some(1 << 40));
        assert_eq!(content.head.len(), MAX_PARSED);
        assert!(!content.whole);
        assert_eq!(content.facts.sha256, None);
    }

    #[test]
    fn a_missing_file_has_the_state_gone() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(&file_ref(directory.path(), "a.pth"), Limits::default()).facts.state, FileState::Gone);
    }
}
