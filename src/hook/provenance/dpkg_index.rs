//! An index of the relevant paths in dpkg's database, kept while nothing changes.
//!
//! * It holds 8 bytes a path (a keyed hash, so that nobody can choose a path that collides with another, and the package),
//!   24 a configuration file, about 100 a package: at most 4 MiB with 350,000 such paths, about 300 KiB on a server.
//! * `md5sums` files are not kept: each question reads those of its candidates.
//! * dpkg writes `PACKAGE.list` when all files of the package are in place. Until then only its working copy of `md5sums`
//!   in `tmp.ci` names a new file. The hash of a new configuration file is written at the end of the run.

use super::dpkg;
use super::dpkg::{Conffiles, Diversion};
use super::list_file;
use super::list_file::{List, Stamp};
use super::ownership::Ownership;
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
/// Packages: the number fits into 16 bits of a path's entry. Debian has about 65,000 in all.
const MAX_PACKAGES: usize = 1 << 16;
/// Configuration files kept.
const MAX_CONFFILES: usize = 32_768;
/// Diversions kept; a server has about ten.
const MAX_DIVERSIONS: usize = 1024;
/// Packages of one path whose `md5sums` are read.
const MAX_CANDIDATES: usize = 16;
/// The index is not updated again for this many times as long as the last update took: dpkg changes its database with
/// every package.
const BACKOFF: u32 = 10;

/// The lower bits of a path's entry: the index into `packages`.
const PACKAGE_BITS: u64 = 0xffff;

/// See the module. Empty until the first question.
#[derive(Debug, Default)]
pub struct DpkgIndex {
    keys: RandomState,
    packages: Vec<Package>,
    /// Sorted. The upper 48 bits are the path's hash, the lower ones [`PACKAGE_BITS`].
    paths: Vec<u64>,
    /// Sorted by the path's hash.
    conffiles: Vec<(u64, [u8; 16])>,
    diversions: Vec<Diversion>,
    /// `/lib` and the others are symbolic links into `/usr`.
    is_merged: bool,
    /// A list could not be read, or a limit was reached.
    is_incomplete: bool,
    info_stamp: Option<Stamp>,
    status_stamp: Option<Stamp>,
    diversions_stamp: Option<Stamp>,
    /// When the last update ended, and how long it took.
    refreshed: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Package {
    /// As in the name of its list: `libpython3.11-minimal:amd64`. Empty for a free slot.
    name: OsString,
    stamp: Option<Stamp>,
}

/// A path under which packages can list a file, and which packages that are (see [`Diversion`]).
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

impl DpkgIndex {
    /// The owner of the file at `path` by the database below `root`; `md5` is that of its content, if known.
    pub fn of(&mut self, root: &Path, path: &Path, md5: Option<[u8; 16]>) -> Ownership {
        let Ok(database) = list_file::directory(root, Path::new("var/lib/dpkg")) else { return Ownership::NoLists };
        self.is_merged = list_file::directory(root, Path::new(""))
            .is_ok_and(|root| rustix::fs::readlinkat(root, "lib", Vec::new()).is_ok());
        let path = dpkg::merged(path.as_os_str().as_bytes(), self.is_merged);
        if !dpkg::is_relevant(&path) {
            return Ownership::Unknown;
        }
        let is_current = self.refresh(&database);
        if self.packages.is_empty() {
            return Ownership::NoLists;
        }
        // Files move from the working copy to the database: read the working copy first.
        let unpacking = self.unpacking(&database, &path);
        if let (Some((package, listed)), Some(md5)) = (&unpacking, md5)
            && *listed == md5
        {
            return Ownership::Match(package_name(package));
        }
        let ownership = self.installed(&database, &path, md5);
        // While dpkg runs, its database can be behind the files.
        let is_reliable = is_current && !self.is_incomplete && unpacking.is_none() && !is_running(&database);
        match ownership {
            Ownership::Mismatch(_) | Ownership::Unlisted if !is_reliable => Ownership::Unknown,
            ownership => ownership,
        }
    }

    /// The owner by the lists of the installed packages.
    fn installed(&self, database: &OwnedFd, path: &[u8], md5: Option<[u8; 16]>) -> Ownership {
        let mut ownership = Ownership::Unlisted;
        for claim in self.claims(path) {
            let hash = self.hash(claim.listed);
            for package in
                self.candidates(hash).filter(|package| claim.is_open_to(without_architecture(package.as_bytes())))
            {
                let listed = md5_of(database, package, claim.listed, self.is_merged).or_else(|| self.conffile(hash));
                ownership.add(package_name(package.as_bytes()), listed, md5);
                if matches!(ownership, Ownership::Match(_)) {
                    return ownership;
                }
            }
        }
        ownership
    }

    /// The paths under which packages can list the file at `path`: its own, and those that are diverted to it.
    fn claims<'a>(&'a self, path: &'a [u8]) -> Vec<Claim<'a>> {
        let diverted = self.diversions.iter().find(|diversion| diversion.from == path);
        let mut claims =
            vec![Claim { listed: path, only: diverted.map(|diversion| diversion.by.as_slice()), except: None }];
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
            self.paths.get(first..).unwrap_or_default().iter().take_while(move |entry| **entry & !PACKAGE_BITS == hash);
        let slots = same.take(MAX_CANDIDATES).filter_map(|entry| usize::try_from(entry & PACKAGE_BITS).ok());
        slots.filter_map(|slot| Some(self.packages.get(slot)?.name.as_os_str()))
    }

    fn conffile(&self, hash: u64) -> Option<[u8; 16]> {
        let index = self.conffiles.binary_search_by_key(&hash, |(path, _)| *path).ok()?;
        self.conffiles.get(index).map(|(_, md5)| *md5)
    }

    /// The package that dpkg is unpacking, if it has this file, with the MD5 of its `md5sums`.
    fn unpacking(&self, database: &OwnedFd, path: &[u8]) -> Option<(Vec<u8>, [u8; 16])> {
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
        self.keys.hash_one(path) & !PACKAGE_BITS
    }

    /// Updates the index. Returns `false` if it is outdated and the backoff is not over.
    fn refresh(&mut self, database: &OwnedFd) -> bool {
        let [info, status, diversions] = ["info", "status", "diversions"].map(|name| Stamp::at(database, name).ok());
        let is_same =
            |old: Option<Stamp>, new: Option<Stamp>| old == new && (new.is_some() || self.refreshed.is_some());
        let same_info = is_same(self.info_stamp, info);
        let same_status = is_same(self.status_stamp, status);
        let same_diversions = is_same(self.diversions_stamp, diversions);
        if same_info && same_status && same_diversions {
            return true;
        }
        let (begun, now) = (Instant::now(), SystemTime::now());
        if let Some((ended, cost)) = self.refreshed
            && begun.saturating_duration_since(ended) < cost * BACKOFF
        {
            return false;
        }
        if !same_info {
            self.is_incomplete = self.read_lists(database).is_err();
            self.info_stamp = info.and_then(|stamp| stamp.if_stable(now));
        }
        if !same_status {
            self.read_conffiles(database);
            self.status_stamp = status.and_then(|stamp| stamp.if_stable(now));
        }
        if !same_diversions {
            self.read_diversions(database);
            self.diversions_stamp = diversions.and_then(|stamp| stamp.if_stable(now));
        }
        let ended = Instant::now();
        self.refreshed = Some((ended, ended.saturating_duration_since(begun)));
        true
    }

    /// Reads the lists that are new or changed.
    ///
    /// # Errors
    /// A list could not be read, or a limit was reached; the others are indexed all the same.
    fn read_lists(&mut self, database: &OwnedFd) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let info = openat(database, "info", flags, Mode::empty())?;
        let mut names = list_names(&info)?;
        self.drop_changed(&info, &mut names);
        let slots = self.packages.iter().enumerate();
        let free: Vec<usize> = slots.filter(|(_, package)| package.name.is_empty()).map(|(slot, _)| slot).collect();
        let mut free = free.into_iter();
        let mut result = Ok(());
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let slot = free.next().unwrap_or(self.packages.len());
            let read = self.read_list(&info, &name, slot);
            let stamp = *read.as_ref().unwrap_or(&None);
            result = result.and(read.map(drop));
            match self.packages.get_mut(slot) {
                Some(package) => *package = Package { name, stamp },
                None => self.packages.push(Package { name, stamp }),
            }
        }
        self.paths.sort_unstable();
        self.paths.shrink_to_fit();
        result
    }

    /// Frees the slots of packages whose list is gone or changed. Empties the names of unchanged lists.
    fn drop_changed(&mut self, info: &OwnedFd, names: &mut [OsString]) {
        let mut dropped = vec![false; self.packages.len()];
        for (package, dropped) in self.packages.iter_mut().zip(&mut dropped) {
            let list = with_suffix(&package.name, b".list");
            let is_same = package.stamp.is_some() && Stamp::at(info, list.as_os_str()).ok() == package.stamp;
            match names.binary_search(&package.name) {
                Ok(index) if is_same => drop(names.get_mut(index).map(std::mem::take)),
                _ => (*dropped, package.name, package.stamp) = (true, OsString::new(), None),
            }
        }
        let is_kept =
            |entry: &u64| usize::try_from(entry & PACKAGE_BITS).is_ok_and(|slot| dropped.get(slot) == Some(&false));
        self.paths.retain(is_kept);
    }

    /// Adds the relevant paths of one list. Returns its stamp, `None` if it must be read again.
    fn read_list(&mut self, info: &OwnedFd, name: &OsStr, slot: usize) -> rustix::io::Result<Option<Stamp>> {
        let mut list = match List::open(info, &with_suffix(name, b".list")) {
            Err(Errno::NOENT) => return Ok(None), // removed since
            list => list?,
        };
        let slot = u64::try_from(slot).unwrap_or(u64::MAX) & PACKAGE_BITS;
        let mut has_room = true;
        let read = list.each_line(|line| {
            let path = dpkg::merged(line, self.is_merged);
            if dpkg::is_relevant(&path) {
                has_room = self.paths.len() < MAX_PATHS;
                if has_room {
                    let entry = self.hash(&path) | slot;
                    self.paths.push(entry);
                }
            }
            has_room
        });
        match read {
            Ok(()) if has_room => Ok(list.stamp.if_stable(SystemTime::now())),
            Ok(()) => Err(Errno::NOMEM),
            Err(_) => Err(Errno::IO),
        }
    }

    fn read_conffiles(&mut self, database: &OwnedFd) {
        self.conffiles = Vec::new();
        let Ok(mut status) = List::open(database, OsStr::new("status")) else { return };
        let mut conffiles = Conffiles::default();
        // After an error or at the limit, the other configuration files have no hash: unverified.
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
                if dpkg::is_relevant(from) || dpkg::is_relevant(to) {
                    let [from, to, by] = [from, to, by].map(std::mem::take);
                    self.diversions.push(Diversion { from, to, by });
                }
                lines.clear();
            }
            self.diversions.len() < MAX_DIVERSIONS
        });
    }

    /// Forgets the backoff, however busy the machine is.
    #[cfg(test)]
    pub fn skip_backoff(&mut self) {
        self.refreshed = self.refreshed.map(|(ended, _)| (ended, Duration::ZERO));
    }

    /// As if the last update had taken an hour.
    #[cfg(test)]
    pub fn set_backoff(&mut self) {
        self.refreshed = Some((Instant::now(), Duration::from_secs(3600)));
    }

    /// Approximate memory of the index in bytes.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.paths.capacity() * 8
            + self.conffiles.capacity() * 24
            + self.packages.iter().map(|package| size_of::<Package>() + package.name.capacity() + 16).sum::<usize>()
    }
}

/// Whether dpkg is running, or was killed during a run.
fn is_running(database: &OwnedFd) -> bool {
    ["tmp.ci", "updates/tmp.i", "updates/0000"].iter().any(|name| Stamp::at(database, *name).is_ok())
}

/// The names of the packages with a list, sorted.
fn list_names(info: &OwnedFd) -> rustix::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(info)? {
        if let Some(name) = entry?.file_name().to_bytes().strip_suffix(b".list") {
            if names.len() == MAX_PACKAGES {
                return Err(Errno::NOMEM);
            }
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The MD5 of the path in the `md5sums` of this package.
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

fn with_suffix(package: &OsStr, suffix: &[u8]) -> OsString {
    OsString::from_vec([package.as_bytes(), suffix].concat())
}

fn without_architecture(package: &[u8]) -> &[u8] {
    package.split(|byte| *byte == b':').next().unwrap_or(package)
}

fn package_name(package: &[u8]) -> String {
    format!("dpkg:{}", escape::reversible(without_architecture(package)))
}
