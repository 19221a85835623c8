//! What dpkg's database says of a file: an index of the paths that matter, kept while nothing changes.
//!
//! * It holds 8 bytes a path (a keyed hash, so that nobody can choose a path that meets another's, and the
//!   package), 24 a configuration file, about 100 a package: at most 4 MiB with 350,000 such paths, and
//!   some 300 KiB on a server.
//! * What is written in `md5sums` is read again at each question.
//! * dpkg writes `PACKAGE.list` when all files of the package are in place. Until then its own working copy
//!   of `md5sums` in `tmp.ci` tells whose a file is. A configuration file's hash comes at the end of the
//!   run; before that nothing is known of a new one.

use super::Answer;
use super::dpkg;
use super::dpkg::{Conffiles, Diversion};
use super::read;
use super::read::{List, Stamp};
use crate::escape;
use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::hash::BuildHasher;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Paths indexed; a large desktop with everything written in Python has some 100,000.
const MAX_PATHS: usize = 350_000;
/// Packages: what fits into a path's entry. Debian has some 65,000 in all.
const MAX_PACKAGES: usize = 1 << 16;
/// Configuration files remembered.
const MAX_CONFFILES: usize = 32_768;
/// Diversions remembered; a server has some ten.
const MAX_DIVERSIONS: usize = 1024;
/// Packages of one path that are asked.
const MAX_CANDIDATES: usize = 16;
/// The index is built again after this many times what it cost, at the earliest: dpkg changes its
/// database with every package.
const REST: u32 = 10;

/// The index. Empty until the first question.
#[derive(Debug, Default)]
pub struct Packages {
    keys: RandomState,
    packages: Vec<Package>,
    /// Sorted. The upper 48 bits are the path's hash, the lower ones the place in `packages`.
    paths: Vec<u64>,
    /// Sorted by the path's hash.
    conffiles: Vec<(u64, [u8; 16])>,
    diversions: Vec<Diversion>,
    /// `/lib` and its like are links into `/usr`.
    is_merged: bool,
    /// A list could not be read, or there was no room for it.
    is_incomplete: bool,
    info: Option<Stamp>,
    status: Option<Stamp>,
    diverted: Option<Stamp>,
    /// When the index was last brought up to date, and how long that took.
    refreshed: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Package {
    /// As in the name of its list: `libpython3.11-minimal:amd64`. Empty: nobody's place any more.
    name: OsString,
    stamp: Option<Stamp>,
}

/// A path as some packages would list a file.
struct Claim<'a> {
    listed: &'a [u8],
    only: Option<&'a [u8]>,
    except: Option<&'a [u8]>,
}

impl Claim<'_> {
    fn is_open_to(&self, package: &[u8]) -> bool {
        self.only.is_none_or(|only| only == package) && self.except.is_none_or(|except| except != package)
    }
}

impl Packages {
    /// What the database below `root` says of the file at `path` whose content has this MD5; `None` when
    /// that is not known.
    pub fn of(&mut self, root: &Path, path: &Path, md5: Option<[u8; 16]>) -> Answer {
        let Ok(database) = read::directory(root, Path::new("var/lib/dpkg")) else { return Answer::NoLists };
        self.is_merged = read::directory(root, Path::new(""))
            .is_ok_and(|root| rustix::fs::readlinkat(root, "lib", Vec::new()).is_ok());
        let path = dpkg::merged(path.as_os_str().as_bytes(), self.is_merged);
        if !dpkg::matters(&path) {
            return Answer::Unknown;
        }
        let is_fresh = self.refresh(&database);
        if self.packages.is_empty() {
            return Answer::NoLists;
        }
        // Its working copy comes first: it moves from there to the database, not back.
        let unpacked = self.unpacked(&database, &path);
        if let (Some((package, listed)), Some(md5)) = (&unpacked, md5)
            && *listed == md5
        {
            return Answer::Same(shown(package));
        }
        let answer = self.installed(&database, &path, md5);
        // What is not confirmed while dpkg works may be what it has not written down yet.
        let is_settled = is_fresh && !self.is_incomplete && unpacked.is_none() && !is_running(&database);
        match answer {
            Answer::Other(_) | Answer::Nobody if !is_settled => Answer::Unknown,
            answer => answer,
        }
    }

    /// What the lists of the installed packages say.
    fn installed(&self, database: &OwnedFd, path: &[u8], md5: Option<[u8; 16]>) -> Answer {
        let mut answer = Answer::Nobody;
        for claim in self.claims(path) {
            let hash = self.hash(claim.listed);
            for package in self.candidates(hash) {
                if !claim.is_open_to(bare(package.as_bytes())) {
                    continue;
                }
                let listed = md5_of(database, package, claim.listed, self.is_merged).or_else(|| self.conffile(hash));
                match (listed, md5) {
                    (Some(listed), Some(md5)) if listed == md5 => return Answer::Same(shown(package.as_bytes())),
                    (Some(_), Some(_)) => answer = Answer::Other(shown(package.as_bytes())),
                    _ if matches!(answer, Answer::Other(_)) => {}
                    _ => answer = Answer::Unverified,
                }
            }
        }
        answer
    }

    /// Under which paths the file at `path` can be listed, and by whom.
    fn claims<'a>(&'a self, path: &'a [u8]) -> Vec<Claim<'a>> {
        let stays = self.diversions.iter().find(|diversion| diversion.from == path);
        let mut claims =
            vec![Claim { listed: path, only: stays.map(|diversion| diversion.by.as_slice()), except: None }];
        claims.extend(self.diversions.iter().filter(|diversion| diversion.to == path).map(|diversion| Claim {
            listed: &diversion.from,
            only: None,
            except: Some(&diversion.by),
        }));
        claims
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &OsStr> {
        let first = self.paths.partition_point(|entry| *entry < hash);
        let same =
            self.paths.get(first..).unwrap_or_default().iter().take_while(move |entry| **entry & !0xffff == hash);
        let places = same.take(MAX_CANDIDATES).filter_map(|entry| usize::try_from(entry & 0xffff).ok());
        places.filter_map(|place| Some(self.packages.get(place)?.name.as_os_str()))
    }

    fn conffile(&self, hash: u64) -> Option<[u8; 16]> {
        let at = self.conffiles.binary_search_by_key(&hash, |(path, _)| *path).ok()?;
        self.conffiles.get(at).map(|(_, md5)| *md5)
    }

    /// The package that is being unpacked, if it brings this file, and the MD5 it says.
    fn unpacked(&self, database: &OwnedFd, path: &[u8]) -> Option<(Vec<u8>, [u8; 16])> {
        let mut sums = List::open(database, OsStr::new("tmp.ci/md5sums")).ok()?;
        let mut control = List::open(database, OsStr::new("tmp.ci/control")).ok()?;
        let mut name = None;
        let read = control.each_line(|line| {
            name = line.strip_prefix(b"Package: ").map(|name| name.trim_ascii().to_vec());
            name.is_none()
        });
        let name = read.ok().and(name)?;
        let claims = self.claims(path).into_iter().filter(|claim| claim.is_open_to(&name)).map(|claim| claim.listed);
        let md5 = find_md5(&mut sums, &claims.collect::<Vec<_>>(), self.is_merged)?;
        Some((name, md5))
    }

    fn hash(&self, path: &[u8]) -> u64 {
        self.keys.hash_one(path) & !0xffff
    }

    /// Brings the index up to date. `false`: it is old, because making it new again so soon would cost too
    /// much.
    fn refresh(&mut self, database: &OwnedFd) -> bool {
        let [info, status, diverted] = ["info", "status", "diversions"].map(|name| Stamp::at(database, name).ok());
        let is_same =
            |old: Option<Stamp>, new: Option<Stamp>| old == new && (new.is_some() || self.refreshed.is_some());
        let (same_info, same_status) = (is_same(self.info, info), is_same(self.status, status));
        let same_diverted = is_same(self.diverted, diverted);
        if same_info && same_status && same_diverted {
            return true;
        }
        let (begun, now) = (Instant::now(), SystemTime::now());
        if let Some((ended, cost)) = self.refreshed
            && begun.saturating_duration_since(ended) < cost * REST
        {
            return false;
        }
        if !same_info {
            self.is_incomplete = self.read_lists(database).is_err();
            self.info = info.and_then(|stamp| stamp.settled(now));
        }
        if !same_status {
            self.read_conffiles(database);
            self.status = status.and_then(|stamp| stamp.settled(now));
        }
        if !same_diverted {
            self.read_diversions(database);
            self.diverted = diverted.and_then(|stamp| stamp.settled(now));
        }
        let ended = Instant::now();
        self.refreshed = Some((ended, ended.saturating_duration_since(begun)));
        true
    }

    /// Reads the lists that are new or changed. An error when not all there is could be read.
    fn read_lists(&mut self, database: &OwnedFd) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let info = openat(database, "info", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&info)? {
            if let Some(name) = entry?.file_name().to_bytes().strip_suffix(b".list") {
                if names.len() == MAX_PACKAGES {
                    return Err(Errno::NOMEM);
                }
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        names.sort_unstable();
        let mut dropped = vec![false; self.packages.len()];
        for (package, dropped) in self.packages.iter_mut().zip(&mut dropped) {
            let list = file_of(&package.name, b".list");
            let known = names.binary_search(&package.name).ok();
            let is_same = package.stamp.is_some() && Stamp::at(&info, list.as_os_str()).ok() == package.stamp;
            match known {
                Some(at) if is_same => drop(names.get_mut(at).map(std::mem::take)),
                _ => (*dropped, package.name, package.stamp) = (true, OsString::new(), None),
            }
        }
        let is_kept = |entry: &u64| usize::try_from(entry & 0xffff).is_ok_and(|at| dropped.get(at) == Some(&false));
        self.paths.retain(is_kept);
        let free: Vec<usize> = self
            .packages
            .iter()
            .enumerate()
            .filter_map(|(at, package)| package.name.is_empty().then_some(at))
            .collect();
        let mut free = free.into_iter();
        // Those whose names were taken out above are known and unchanged.
        let mut result = Ok(());
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let at = free.next().unwrap_or(self.packages.len());
            let read = self.read_list(&info, &name, at);
            let stamp = *read.as_ref().unwrap_or(&None);
            result = result.and(read.map(drop));
            match self.packages.get_mut(at) {
                Some(place) => *place = Package { name, stamp },
                None => self.packages.push(Package { name, stamp }),
            }
        }
        self.paths.sort_unstable();
        self.paths.shrink_to_fit();
        result
    }

    /// Adds the paths of one list that matter; gives the stamp by which it is known to be unchanged.
    fn read_list(&mut self, info: &OwnedFd, name: &OsStr, at: usize) -> rustix::io::Result<Option<Stamp>> {
        let mut list = match List::open(info, &file_of(name, b".list")) {
            Err(Errno::NOENT) => return Ok(None), // removed meanwhile
            list => list?,
        };
        let at = u64::try_from(at).unwrap_or(u64::MAX) & 0xffff;
        let mut has_room = true;
        let read = list.each_line(|line| {
            let path = dpkg::merged(line, self.is_merged);
            if dpkg::matters(&path) {
                has_room = self.paths.len() < MAX_PATHS;
                if has_room {
                    let entry = self.hash(&path) | at;
                    self.paths.push(entry);
                }
            }
            has_room
        });
        match read {
            Ok(()) if has_room => Ok(list.stamp.settled(SystemTime::now())),
            Ok(()) => Err(Errno::NOMEM),
            Err(_) => Err(Errno::IO),
        }
    }

    fn read_conffiles(&mut self, database: &OwnedFd) {
        self.conffiles = Vec::new();
        let Ok(mut status) = List::open(database, OsStr::new("status")) else { return };
        let mut conffiles = Conffiles::default();
        // A file that is not read to its end, or has too many, leaves others without a hash: unverified.
        let _ = status.each_line(|line| {
            if let Some((path, md5)) = conffiles.line(line) {
                self.conffiles.push((self.hash(&dpkg::merged(path, self.is_merged)), md5));
            }
            self.conffiles.len() < MAX_CONFFILES
        });
        self.conffiles.sort_unstable();
        self.conffiles.shrink_to_fit();
    }

    fn read_diversions(&mut self, database: &OwnedFd) {
        self.diversions = Vec::new();
        let Ok(mut list) = List::open(database, OsStr::new("diversions")) else { return };
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let _ = list.each_line(|line| {
            lines.push(dpkg::merged(line, self.is_merged).into_owned());
            if let [from, to, by] = lines.as_mut_slice() {
                if dpkg::matters(from) || dpkg::matters(to) {
                    let [from, to, by] = [from, to, by].map(std::mem::take);
                    self.diversions.push(Diversion { from, to, by });
                }
                lines.clear();
            }
            self.diversions.len() < MAX_DIVERSIONS
        });
    }

    /// The next change is looked at without a rest, however busy the machine is.
    #[cfg(test)]
    pub fn skip_rest(&mut self) {
        self.refreshed = self.refreshed.map(|(ended, _)| (ended, Duration::ZERO));
    }

    /// The last look cost an hour.
    #[cfg(test)]
    pub fn tire(&mut self) {
        self.refreshed = Some((Instant::now(), Duration::from_secs(3600)));
    }

    /// Bytes of memory that the index holds, nearly.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.paths.capacity() * 8
            + self.conffiles.capacity() * 24
            + self.packages.iter().map(|package| size_of::<Package>() + package.name.capacity() + 16).sum::<usize>()
    }
}

/// Whether dpkg is at work, or was ended in the middle of it.
fn is_running(database: &OwnedFd) -> bool {
    ["tmp.ci", "updates/tmp.i", "updates/0000"].iter().any(|name| Stamp::at(database, *name).is_ok())
}

/// What `md5sums` of this package says of the path.
fn md5_of(database: impl AsFd, package: &OsStr, path: &[u8], is_merged: bool) -> Option<[u8; 16]> {
    let name = [b"info/", package.as_bytes(), b".md5sums"].concat();
    find_md5(&mut List::open(database, OsStr::from_bytes(&name)).ok()?, &[path], is_merged)
}

fn find_md5(sums: &mut List, paths: &[&[u8]], is_merged: bool) -> Option<[u8; 16]> {
    let mut found = None;
    let read = sums.each_line(|line| {
        if paths.iter().any(|path| dpkg::may_be_of(line, path))
            && let Some((path, md5)) = dpkg::md5sum(line)
            && paths.contains(&&*dpkg::merged(&path, is_merged))
        {
            found = Some(md5);
        }
        found.is_none()
    });
    read.ok().and(found)
}

fn file_of(package: &OsStr, ending: &[u8]) -> OsString {
    OsString::from_vec([package.as_bytes(), ending].concat())
}

/// The package's name without its architecture.
fn bare(package: &[u8]) -> &[u8] {
    package.split(|byte| *byte == b':').next().unwrap_or(package)
}

fn shown(package: &[u8]) -> String {
    format!("dpkg:{}", escape::reversible(bare(package)))
}
