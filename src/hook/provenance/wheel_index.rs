//! An index of the lists in site directories: `*.dist-info/RECORD`, and `installed-files.txt` of older installations.
//!
//! * Of each list it keeps what can matter at start-up: the files directly in the site directory, the `__init__` files of
//!   its packages, and the names of the packages. The list itself is read again for a file deeper than that.
//! * An entry has 40 bytes; a site directory has at most [`MAX_ENTRIES`], at most [`MAX_SITES`] are kept: 3 MiB when all
//!   are full, about 100 KiB for 300 packages.
//! * A list is read again when its inode, size or times have changed. An installer writes it after the files it names,
//!   often seconds after.

use super::list_file;
use super::list_file::{List, ReadBudget, Stamp};
use super::ownership::Ownership;
use super::record;
use super::record::Entry;
use crate::escape;
use crate::event::FileRef;
use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::BuildHasher;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant, SystemTime};

/// Site directories kept, the least recently used replaced first.
const MAX_SITES: usize = 8;
/// Lists of one site directory.
const MAX_LISTS: usize = 4096;
/// Files and packages kept of one site directory.
const MAX_ENTRIES: usize = 8192;
/// Names read of one site directory.
const MAX_NAMES: usize = 100_000;
/// Lists read again for one file deep in a package.
const MAX_DEEP_LISTS: usize = 16;
/// A directory whose listing took longer than [`QUICK`] is not listed again for this many times as long: an attacker who
/// writes many files must not cause a listing for each.
const BACKOFF: u32 = 10;
const QUICK: Duration = Duration::from_millis(1);
/// Levels that a file can be below its site directory.
const MAX_LEVELS: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct WheelIndex {
    keys: RandomState,
    /// In the order of their last use.
    sites: Vec<Site>,
    budget: ReadBudget,
}

#[derive(Debug)]
struct Site {
    /// Device and inode.
    identity: (u64, u64),
    listed: Option<Stamp>,
    lists: Vec<KnownList>,
    /// A limit was reached, or a read failed.
    is_incomplete: bool,
    /// Not listed again before.
    backoff_until: Instant,
}

/// The list of one installed package.
#[derive(Debug)]
struct KnownList {
    /// Its directory, as `coverage-7.6.1.dist-info`.
    directory: Box<[u8]>,
    /// `None`: missing, or so recent that it must be read again.
    stamp: Option<Stamp>,
    entries: Vec<KnownEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnownEntry {
    /// Keyed hash of the path, or of the name of a package directory with its `/`.
    path: u64,
    content: Option<HashPrefix>,
}

/// The first half of the content's SHA-256.
type HashPrefix = [u8; 16];

/// The packages that list a file, each with the hash in its list.
type Listings = Vec<(String, Option<HashPrefix>)>;

impl Default for WheelIndex {
    fn default() -> Self {
        Self { keys: RandomState::default(), sites: Vec::new(), budget: ReadBudget::new(Instant::now()) }
    }
}

impl WheelIndex {
    /// The owner by the lists in the site directory of this file; `sha256` is that of its content.
    pub fn of(&mut self, file: &FileRef, sha256: Option<[u8; 32]>) -> Ownership {
        self.budget.refill(Instant::now());
        let Some(directory) = file.directory.as_deref() else { return Ownership::NoLists };
        let mut ownership = Ownership::NoLists;
        for (levels, relative) in site_directories(file) {
            let Ok(site) = list_file::above(directory, levels) else { continue };
            ownership = ownership.max(self.of_site(&site, &relative, sha256));
            if !matches!(ownership, Ownership::NoLists | Ownership::Unlisted) {
                break;
            }
        }
        ownership
    }

    fn of_site(&mut self, directory: &OwnedFd, relative: &[u8], sha256: Option<[u8; 32]>) -> Ownership {
        let Ok(stamp) = Stamp::of_open(directory) else { return Ownership::Unknown };
        let index = self.sites.iter().position(|site| site.identity == stamp.identity());
        let mut site = match index {
            Some(index) => self.sites.remove(index),
            None => Site::new(stamp.identity()),
        };
        let is_current = site.refresh(directory, stamp);
        let ownership = match site.lists.is_empty() {
            true if site.is_incomplete || !is_current => Ownership::Unknown,
            true => Ownership::NoLists,
            false => self.compare(&mut site, directory, is_current, relative, sha256),
        };
        if self.sites.len() == MAX_SITES {
            self.sites.remove(0);
        }
        self.sites.push(site);
        ownership
    }

    fn compare(
        &mut self,
        site: &mut Site,
        directory: &OwnedFd,
        is_current: bool,
        relative: &[u8],
        sha256: Option<[u8; 32]>,
    ) -> Ownership {
        let is_complete = self.read_lists(site, directory) && is_current;
        let listings =
            if is_kept(relative) { Some(self.kept(site, relative)) } else { self.deep(site, directory, relative) };
        let mut ownership = if is_complete && listings.is_some() { Ownership::Unlisted } else { Ownership::Unknown };
        for (package, listed) in listings.unwrap_or_default() {
            ownership.add(package, listed, prefix(sha256));
        }
        ownership
    }

    /// Reads the lists that are new or changed. Returns `false` if one could not be read whole.
    fn read_lists(&mut self, site: &mut Site, directory: &OwnedFd) -> bool {
        let mut is_complete = !site.is_incomplete;
        let mut room = MAX_ENTRIES.saturating_sub(site.lists.iter().map(|list| list.entries.len()).sum());
        for list in &mut site.lists {
            let path = list.path();
            let stamp = Stamp::at(directory, path.as_slice()).ok();
            if stamp == list.stamp {
                continue;
            }
            room += list.entries.len();
            (list.stamp, list.entries) = (None, Vec::new());
            if stamp.is_none() {
                continue; // the installer has not written it yet
            }
            let Ok(mut open) = List::open(directory, OsStr::from_bytes(&path)) else {
                is_complete = false;
                continue;
            };
            let now = SystemTime::now();
            if !self.budget.spend(open.size()) || !list.read(&mut open, &self.keys, room) {
                is_complete = false;
                continue;
            }
            room -= list.entries.len().min(room);
            list.stamp = open.stamp.if_stable(now);
        }
        is_complete
    }

    /// The packages that list this file, by the entries kept.
    fn kept(&self, site: &Site, relative: &[u8]) -> Listings {
        let path = self.keys.hash_one(relative);
        let listings = site.lists.iter().filter_map(|list| {
            let entry = list.entries.iter().find(|entry| entry.path == path)?;
            Some((package_name(&list.directory), entry.content))
        });
        listings.collect()
    }

    /// The same by reading the lists of its package. `None`: one could not be read.
    fn deep(&mut self, site: &Site, directory: &OwnedFd, relative: &[u8]) -> Option<Listings> {
        let package = self.keys.hash_one(package_directory(relative)?);
        let has_package = |list: &&KnownList| list.entries.iter().any(|entry| entry.path == package);
        let mut listings = Vec::new();
        for (number, list) in site.lists.iter().filter(has_package).enumerate() {
            let mut open = List::open(directory, OsStr::from_bytes(&list.path())).ok()?;
            if number == MAX_DEEP_LISTS || !self.budget.spend(open.size()) {
                return None;
            }
            let mut content = None;
            open.each_line(|line| {
                content = list.parse(line).filter(|entry| *entry.path == *relative).map(|entry| prefix(entry.sha256));
                content.is_none()
            })
            .ok()?;
            listings.extend(content.map(|content| (package_name(&list.directory), content)));
        }
        Some(listings)
    }

    /// Forgets the backoff, however busy the machine is.
    #[cfg(test)]
    pub fn skip_backoff(&mut self) {
        self.sites.iter_mut().for_each(|site| site.backoff_until = Instant::now());
    }
}

impl Site {
    fn new(identity: (u64, u64)) -> Self {
        Self { identity, listed: None, lists: Vec::new(), is_incomplete: false, backoff_until: Instant::now() }
    }

    /// Lists the directory again if it has changed. Returns `false` if it has, and the backoff is not over.
    fn refresh(&mut self, directory: &OwnedFd, stamp: Stamp) -> bool {
        let begun = Instant::now();
        if self.listed == Some(stamp) {
            return true;
        }
        if begun < self.backoff_until {
            return false;
        }
        let now = SystemTime::now();
        self.is_incomplete = self.list(directory).is_err();
        self.listed = stamp.if_stable(now).filter(|_| !self.is_incomplete);
        let took = begun.elapsed();
        self.backoff_until = if took < QUICK { begun } else { begun + took * BACKOFF };
        true
    }

    /// Lists the directory and keeps the entries of the lists that are still there.
    fn list(&mut self, directory: impl AsFd) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let stream = Dir::new(openat(directory, c".", flags, Mode::empty())?)?;
        let mut known = std::mem::take(&mut self.lists);
        known.sort_unstable_by(|a, b| a.directory.cmp(&b.directory));
        for (number, entry) in stream.enumerate() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if number == MAX_NAMES || self.lists.len() == MAX_LISTS {
                return Err(rustix::io::Errno::NOMEM);
            }
            let has_list = name.ends_with(b".dist-info") || name.ends_with(b".egg-info");
            if has_list && matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                let index = known.binary_search_by(|list| (*list.directory).cmp(name)).ok();
                let old = index.and_then(|index| known.get_mut(index));
                let (stamp, entries) =
                    old.map(|old| (old.stamp.take(), std::mem::take(&mut old.entries))).unwrap_or_default();
                self.lists.push(KnownList { directory: name.into(), stamp, entries });
            }
        }
        Ok(())
    }
}

impl KnownList {
    fn is_legacy(&self) -> bool {
        self.directory.ends_with(b".egg-info")
    }

    /// The path of the list below the site directory.
    fn path(&self) -> Vec<u8> {
        let name: &[u8] = if self.is_legacy() { b"/installed-files.txt" } else { b"/RECORD" };
        [&self.directory, name].concat()
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Option<Entry<'a>> {
        if self.is_legacy() { record::legacy_entry(line) } else { record::entry(line) }
    }

    /// Keeps the entries that can matter. Returns `false` on an error, or if there are more than `room`.
    fn read(&mut self, open: &mut List, keys: &RandomState, room: usize) -> bool {
        let mut entries: Vec<KnownEntry> = Vec::new();
        let mut add = |entry: KnownEntry| {
            // Files of one package follow each other in most lists.
            if entries.iter().rev().take(8).all(|known| known.path != entry.path) {
                entries.push(entry);
            }
            entries.len() <= room
        };
        let read = open.each_line(|line| {
            let Some(entry) = self.parse(line) else { return true };
            let mut has_room = true;
            if let Some(package) = package_directory(&entry.path) {
                has_room = add(KnownEntry { path: keys.hash_one(package), content: None });
            }
            if is_kept(&entry.path) {
                has_room &= add(KnownEntry { path: keys.hash_one(&*entry.path), content: prefix(entry.sha256) });
            }
            has_room
        });
        let has_room = entries.len() <= room;
        entries.truncate(room);
        entries.shrink_to_fit();
        self.entries = entries;
        read.is_ok() && has_room
    }
}

/// The directories that can be the file's site directory, as levels above the file's directory, each with the path below
/// it: the nearest one of a site directory's name, else the file's own and its parent, for `pip install --target`.
fn site_directories(file: &FileRef) -> Vec<(usize, Vec<u8>)> {
    let parts: Vec<&[u8]> = file.path.as_os_str().as_bytes().split(|byte| *byte == b'/').collect();
    let is_site = |part: &&[u8]| matches!(*part, b"site-packages" | b"dist-packages");
    let below = |levels: usize| {
        let from = parts.len().saturating_sub(levels + 1);
        (levels, parts.get(from..).unwrap_or_default().join(&b'/'))
    };
    match parts.iter().rev().skip(1).take(MAX_LEVELS).position(is_site) {
        Some(levels) => vec![below(levels)],
        // None above the root.
        None => (0..2).filter(|levels| levels + 1 < parts.len()).map(below).collect(),
    }
}

/// Whether the index keeps the entry of this file.
fn is_kept(relative: &[u8]) -> bool {
    match relative.iter().position(|byte| *byte == b'/') {
        None => true,
        Some(slash) => {
            let below = relative.get(slash + 1..).unwrap_or_default();
            below.starts_with(b"__init__.") && !below.contains(&b'/')
        }
    }
}

/// The first directory of a path, with its `/`.
fn package_directory(relative: &[u8]) -> Option<&[u8]> {
    let slash = relative.iter().position(|byte| *byte == b'/')?;
    relative.get(..slash + 1)
}

fn prefix(sha256: Option<[u8; 32]>) -> Option<HashPrefix> {
    sha256.and_then(|sha256| sha256.first_chunk().copied())
}

/// `wheel:coverage-7.6.1`, or `egg:` for an older list.
fn package_name(directory: &[u8]) -> String {
    match (directory.strip_suffix(b".dist-info"), directory.strip_suffix(b".egg-info")) {
        (Some(name), _) => format!("wheel:{}", escape::reversible(name)),
        (None, name) => format!("egg:{}", escape::reversible(name.unwrap_or(directory))),
    }
}
