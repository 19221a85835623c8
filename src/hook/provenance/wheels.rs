//! What the lists in a site directory say of a file: `*.dist-info/RECORD`, and `installed-files.txt` of
//! older installations.
//!
//! * Of each list it remembers what can matter at start-up, the files directly in the site directory and the
//!   `__init__` files of its packages, and which packages it has files in; the list itself is read again for
//!   a file deeper than that. One entry has 40 bytes; a site directory has at most [`MAX_ENTRIES`], at most
//!   [`MAX_SITES`] are kept: 3 MiB when all are full, some 100 KiB for 300 packages.
//! * A list is read again when its inode, size or times changed. An installer writes it after the files it
//!   names, often seconds after: until then nobody lists them.

use super::Answer;
use super::read;
use super::read::{Allowance, List, Stamp};
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

/// Site directories remembered; the one not asked for longest makes room.
const MAX_SITES: usize = 8;
/// Lists of one site directory.
const MAX_LISTS: usize = 4096;
/// Files and packages remembered of one site directory.
const MAX_ENTRIES: usize = 8192;
/// Names of one site directory that are looked at.
const MAX_NAMES: usize = 100_000;
/// Lists that are read for one file deep in a package.
const MAX_DEEP: usize = 16;
/// How many times as long as a listing takes the directory is left alone after it, unless it was quick.
const REST: u32 = 10;
const QUICK: Duration = Duration::from_millis(1);
/// How deep a file may be below its site directory.
const MAX_LEVELS: usize = 16;

/// What is remembered.
#[derive(Debug)]
pub struct Wheels {
    keys: RandomState,
    /// Last asked, last.
    sites: Vec<Site>,
    allowance: Allowance,
}

#[derive(Debug)]
struct Site {
    identity: (u64, u64),
    listed: Option<Stamp>,
    lists: Vec<Known>,
    /// There was more than is remembered, or something could not be read.
    is_incomplete: bool,
    /// It is not listed again before: whoever writes many files must not make each cost a listing of all.
    rest_until: Instant,
}

/// One list.
#[derive(Debug)]
struct Known {
    /// Of the directory, as `coverage-7.6.1.dist-info`.
    directory: Box<[u8]>,
    /// `None`: it is not there, or so new that it must be read again.
    stamp: Option<Stamp>,
    entries: Vec<Fact>,
}

/// What a list says, in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fact {
    /// Of the path, or of the name of a package directory with its `/`.
    hash: u64,
    /// The first half of the content's SHA-256.
    content: Option<[u8; 16]>,
}

impl Default for Wheels {
    fn default() -> Self {
        Self { keys: RandomState::default(), sites: Vec::new(), allowance: Allowance::new(Instant::now()) }
    }
}

impl Wheels {
    /// What the lists in the site directory of this file say of it, whose content has this SHA-256; `None`
    /// when that is not known.
    pub fn of(&mut self, file: &FileRef, sha256: Option<[u8; 32]>) -> Answer {
        self.allowance.refill(Instant::now());
        let Some(directory) = file.directory.as_deref() else { return Answer::NoLists };
        let mut answer = Answer::NoLists;
        for (levels, relative) in places(file) {
            let Ok(site) = read::above(directory, levels) else { continue };
            answer = answer.or(self.ask(&site, &relative, sha256));
            if !matches!(answer, Answer::NoLists | Answer::Nobody) {
                break;
            }
        }
        answer
    }

    fn ask(&mut self, directory: &OwnedFd, relative: &[u8], sha256: Option<[u8; 32]>) -> Answer {
        let Ok(stamp) = Stamp::of_open(directory) else { return Answer::Unknown };
        let at = self.sites.iter().position(|site| site.identity == stamp.identity());
        let mut site = match at {
            Some(at) => self.sites.remove(at),
            None => Site {
                identity: stamp.identity(),
                listed: None,
                lists: Vec::new(),
                is_incomplete: false,
                rest_until: Instant::now(),
            },
        };
        let answer = self.ask_site(&mut site, directory, stamp, relative, sha256);
        if self.sites.len() == MAX_SITES {
            self.sites.remove(0);
        }
        self.sites.push(site);
        answer
    }

    fn ask_site(
        &mut self,
        site: &mut Site,
        directory: &OwnedFd,
        stamp: Stamp,
        relative: &[u8],
        sha256: Option<[u8; 32]>,
    ) -> Answer {
        let begun = Instant::now();
        let is_due = site.listed != Some(stamp);
        let is_stale = is_due && begun < site.rest_until;
        if is_due && !is_stale {
            let now = SystemTime::now();
            site.is_incomplete = site.list(directory).is_err();
            site.listed = stamp.settled(now).filter(|_| !site.is_incomplete);
            let took = begun.elapsed();
            site.rest_until = if took < QUICK { begun } else { begun + took * REST };
        }
        if site.lists.is_empty() {
            return if site.is_incomplete || is_stale { Answer::Unknown } else { Answer::NoLists };
        }
        let is_complete = self.read_lists(site, directory) && !is_stale;
        let listed = match is_remembered(relative) {
            true => self.remembered(site, relative),
            false => self.deep(site, directory, relative),
        };
        let mut answer = if is_complete && listed.is_some() { Answer::Nobody } else { Answer::Unknown };
        for (package, content) in listed.unwrap_or_default() {
            match (content, sha256) {
                (Some(listed), Some(sha256)) if sha256.first_chunk() == Some(&listed) => return Answer::Same(package),
                (Some(_), Some(_)) => answer = Answer::Other(package),
                _ if matches!(answer, Answer::Other(_)) => {}
                _ => answer = Answer::Unverified,
            }
        }
        answer
    }

    /// Reads the lists that are new or changed. `false`: not all could be.
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
                continue; // an installer has not written it yet
            }
            let Ok(mut open) = List::open(directory, OsStr::from_bytes(&path)) else {
                is_complete = false;
                continue;
            };
            let now = SystemTime::now();
            if !self.allowance.spend(open.size()) || !list.read(&mut open, &self.keys, room) {
                is_complete = false;
                continue;
            }
            room -= list.entries.len().min(room);
            list.stamp = open.stamp.settled(now);
        }
        is_complete
    }

    /// The packages that list this file, and the content they tell.
    fn remembered(&self, site: &Site, relative: &[u8]) -> Option<Vec<(String, Option<[u8; 16]>)>> {
        let hash = self.keys.hash_one(relative);
        let facts = site.lists.iter().filter_map(|list| {
            let fact = list.entries.iter().find(|fact| fact.hash == hash)?;
            Some((shown(&list.directory), fact.content))
        });
        Some(facts.collect())
    }

    /// The same for a file whose list must be read for it. `None` when that was not possible.
    fn deep(&mut self, site: &Site, directory: &OwnedFd, relative: &[u8]) -> Option<Vec<(String, Option<[u8; 16]>)>> {
        let hash = self.keys.hash_one(top(relative)?);
        let mut found = Vec::new();
        for (number, list) in
            site.lists.iter().filter(|list| list.entries.iter().any(|fact| fact.hash == hash)).enumerate()
        {
            let mut open = List::open(directory, OsStr::from_bytes(&list.path())).ok()?;
            if number == MAX_DEEP || !self.allowance.spend(open.size()) {
                return None;
            }
            let mut content = None;
            open.each_line(|line| {
                content = list.entry(line).filter(|entry| *entry.path == *relative).map(|entry| half(entry.sha256));
                content.is_none()
            })
            .ok()?;
            found.extend(content.map(|content| (shown(&list.directory), content)));
        }
        Some(found)
    }
}

impl Site {
    /// Lists the directory anew, keeping what is known of the lists that are still there.
    fn list(&mut self, directory: impl AsFd) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let stream = Dir::new(openat(directory, c".", flags, Mode::empty())?)?;
        let mut known = std::mem::take(&mut self.lists);
        known.sort_unstable_by(|a, b| a.directory.cmp(&b.directory));
        for (number, entry) in stream.enumerate() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let is_list = name.ends_with(b".dist-info") || name.ends_with(b".egg-info");
            if number == MAX_NAMES || self.lists.len() == MAX_LISTS {
                return Err(rustix::io::Errno::NOMEM);
            }
            if is_list && matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                let at = known.binary_search_by(|list| (*list.directory).cmp(name)).ok();
                let old = at.and_then(|at| known.get_mut(at));
                let (stamp, entries) =
                    old.map(|old| (old.stamp.take(), std::mem::take(&mut old.entries))).unwrap_or_default();
                self.lists.push(Known { directory: name.into(), stamp, entries });
            }
        }
        Ok(())
    }
}

impl Known {
    fn is_legacy(&self) -> bool {
        self.directory.ends_with(b".egg-info")
    }

    /// Of the list, below the site directory.
    fn path(&self) -> Vec<u8> {
        let name: &[u8] = if self.is_legacy() { b"/installed-files.txt" } else { b"/RECORD" };
        [&self.directory, name].concat()
    }

    fn entry<'a>(&self, line: &'a [u8]) -> Option<Entry<'a>> {
        if self.is_legacy() { record::legacy_entry(line) } else { record::entry(line) }
    }

    /// Remembers what matters of the list. `false`: there was an error, or more than there is room for.
    fn read(&mut self, open: &mut List, keys: &RandomState, room: usize) -> bool {
        let mut facts: Vec<Fact> = Vec::new();
        let mut add = |fact: Fact| {
            // Files of one package stand together in most lists.
            if facts.iter().rev().take(8).all(|known| known.hash != fact.hash) {
                facts.push(fact);
            }
            facts.len() <= room
        };
        let read = open.each_line(|line| {
            let Some(entry) = self.entry(line) else { return true };
            let mut has_room = true;
            if let Some(top) = top(&entry.path) {
                has_room = add(Fact { hash: keys.hash_one(top), content: None });
            }
            if is_remembered(&entry.path) {
                has_room &= add(Fact { hash: keys.hash_one(&*entry.path), content: half(entry.sha256) });
            }
            has_room
        });
        let has_room = facts.len() <= room;
        facts.truncate(room);
        facts.shrink_to_fit();
        self.entries = facts;
        read.is_ok() && has_room
    }
}

/// Where the site directory of a file may be: levels above the file's directory, with the path below it.
/// The nearest directory of a site directory's name, else the file's own and the one above, for those that
/// are made with `pip --target`.
fn places(file: &FileRef) -> Vec<(usize, Vec<u8>)> {
    let parts: Vec<&[u8]> = file.path.as_os_str().as_bytes().split(|byte| *byte == b'/').collect();
    let is_site = |part: &&[u8]| matches!(*part, b"site-packages" | b"dist-packages");
    let below = |levels: usize| {
        let from = parts.len().saturating_sub(levels + 1);
        (levels, parts.get(from..).unwrap_or_default().join(&b'/'))
    };
    match parts.iter().rev().skip(1).take(MAX_LEVELS).position(is_site) {
        Some(levels) => vec![below(levels)],
        // Above the root is nothing of this machine.
        None => (0..2).filter(|levels| levels + 1 < parts.len()).map(below).collect(),
    }
}

/// Whether what a list says of this file is remembered.
fn is_remembered(relative: &[u8]) -> bool {
    match relative.iter().position(|byte| *byte == b'/') {
        None => true,
        Some(slash) => {
            let below = relative.get(slash + 1..).unwrap_or_default();
            below.starts_with(b"__init__.") && !below.contains(&b'/')
        }
    }
}

/// The first directory of a path, with its `/`.
fn top(relative: &[u8]) -> Option<&[u8]> {
    let slash = relative.iter().position(|byte| *byte == b'/')?;
    relative.get(..slash + 1)
}

fn half(sha256: Option<[u8; 32]>) -> Option<[u8; 16]> {
    sha256.and_then(|sha256| sha256.first_chunk().copied())
}

/// `wheel:coverage-7.6.1`, or `egg:` for an older list.
fn shown(directory: &[u8]) -> String {
    match (directory.strip_suffix(b".dist-info"), directory.strip_suffix(b".egg-info")) {
        (Some(name), _) => format!("wheel:{}", escape::reversible(name)),
        (None, name) => format!("egg:{}", escape::reversible(name.unwrap_or(directory))),
    }
}
