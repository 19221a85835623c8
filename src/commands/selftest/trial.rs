//! One run of the self-test: starts the watchers, plants hook after hook, and judges what is told of each.

use super::helper::{CONTENT, Step};
use super::places::{Named, OVERLAY, Outcome, Result as PlaceResult, WAYS, Way};
use super::stage::{self, PACKAGES, Stage};
use super::watcher::{Desk, News, Watcher, Without, act};
use super::{Daemon, IMPATIENCE, PATIENCE, Report};
use crate::config::Config;
use crate::daemon::placing::{Mechanism, Probe, probe};
use crate::escape;
use crate::source::fanotify::listener::Listener;
use crate::source::{Backend, Settings, mounts};
use crate::writer::Available;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The name of every planted hook ends so: a person who meets it knows what it is.
const HOOK: &str = "pyhookwatch-selftest.pth";
/// Numbers of the watchers.
const MAIN: usize = 0;
const SECOND: usize = 1;

/// See the module.
pub struct Trial {
    // Dropped in this order: the processes, then what they use.
    watchers: Vec<Watcher>,
    desk: Desk,
    stage: Stage,
    executable: PathBuf,
    records: Vec<(usize, Value, u64)>,
    results: Vec<PlaceResult>,
    is_late: bool,
}

/// Where a hook is planted.
struct Spot<'w> {
    way: &'w Way,
    /// The directory below the root.
    part: PathBuf,
    /// The path that the alert must name, below the root, if it is not that of the part.
    told_below: Option<PathBuf>,
    mechanism: Mechanism,
    /// Why the mechanism is less than one would like.
    why: Option<String>,
}

/// What became of the mounts.
struct Prepared {
    /// Other filesystems: where each is known, its type, and whether its part of the tree is there.
    others: Vec<(&'static str, String, Result<(), String>)>,
    tmpfs: Result<(), String>,
    /// The directory of the overlay's parts, below the root.
    overlay: Result<PathBuf, String>,
}

/// Ends a trial early.
struct Interrupted;

impl Trial {
    /// Makes the scratch tree.
    pub fn begin() -> Result<Self, String> {
        let executable = std::fs::read_link("/proc/self/exe").map_err(|error| format!("/proc: {error}"))?;
        // Before anything is made that a signal would leave behind.
        let desk = Desk::open().map_err(|error| format!("signals: {error}"))?;
        let stage = Stage::new().map_err(|error| format!("no directory takes the scratch tree: {error}"))?;
        Ok(Self {
            watchers: Vec::new(),
            desk,
            stage,
            executable,
            records: Vec::new(),
            results: Vec::new(),
            is_late: false,
        })
    }

    /// Tries everything. Gives the signal too that ended it, if one did. Everything is gone after it.
    pub fn run(mut self, started: Instant, overlay_only: bool) -> (Report, Option<i32>) {
        let no_permission = self.try_everything(overlay_only).unwrap_or_default();
        let signal = self.desk.signal();
        // Before anything is removed, which is no news to it. Whoever sent a signal is not made to wait for it.
        let daemon = signal.is_none().then(|| Daemon::ask(self.stage.base())).flatten();
        let results = std::mem::take(&mut self.results);
        drop(self);
        (Report { results, no_permission, daemon, took: started.elapsed() }, signal)
    }

    fn try_everything(&mut self, overlay_only: bool) -> Result<Option<String>, Interrupted> {
        let root = self.stage.root();
        let Prepared { others, tmpfs, overlay } = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                self.fail("scratch", "the scratch tree", format!("it cannot be made: {error}"));
                return Ok(None);
            }
        };
        // What `run` would have here: the same calls, taken back at once.
        let probe = match probe(&settings(&root)) {
            Ok(probe) => probe,
            Err(error) => {
                self.fail("probe", "the mechanisms", format!("cannot be found out: {error}"));
                return Ok(None);
            }
        };
        let no_permission = probe.refused.as_ref().filter(|error| error.raw_os_error() == Some(libc::EPERM));
        let no_permission = no_permission.map(|error| format!("fanotify is refused ({error}): it needs CAP_SYS_ADMIN"));
        if let Some((fs_type, reason)) = self.stage.root_left_out().filter(|_| !overlay_only) {
            self.leave_out("filesystem:/", "the filesystem of /", Some(fs_type), reason);
        }
        let config = self.stage.base().join("selftest.toml");
        let second = self.stage.second_root();
        if no_permission.is_none() {
            self.start(MAIN, &root, "auto", &config);
        }
        let inotify = if no_permission.is_none() { SECOND } else { MAIN };
        if !overlay_only {
            self.start(inotify, &second, "inotify", &config);
        }
        if !self.wait_until_ready()? {
            return Ok(no_permission);
        }
        if overlay_only {
            if no_permission.is_none() {
                self.try_overlay(overlay, &probe)?;
            }
            return Ok(no_permission);
        }
        match &no_permission {
            Some(reason) => self.leave_out_all(reason),
            None => {
                self.try_ways(&root, &probe)?;
                for (place, fs_type, mounted) in others {
                    let part = Path::new("other").join(place.trim_start_matches('/'));
                    self.try_filesystem(
                        &format!("filesystem:{place}"),
                        &format!("the filesystem of {place}"),
                        &part,
                        mounted,
                        Some(fs_type),
                        &probe,
                    )?;
                }
                self.try_filesystem("tmpfs", "a filesystem in memory", Path::new("tmpfs"), tmpfs, None, &probe)?;
                self.try_mounted_later(&root)?;
                self.try_overlay(overlay, &probe)?;
            }
        }
        let way = Way {
            place: "inotify",
            description: "a new file, seen by inotify",
            step: Step::Write,
            action: "creation",
            held_up: false,
        };
        let spot = Spot {
            way: &way,
            part: PathBuf::from("inotify"),
            told_below: None,
            mechanism: Mechanism::Inotify,
            why: None,
        };
        self.try_spot(inotify, &second, &spot, false)?;
        Ok(no_permission)
    }

    /// Makes directories and mounts. Gives what became of the mounts.
    fn prepare(&mut self) -> std::io::Result<Prepared> {
        let (root, second) = (self.stage.root(), self.stage.second_root());
        for directory in [&root.join("staging/packages"), &second.join("inotify").join(PACKAGES)] {
            self.stage.directory(directory)?;
        }
        std::fs::write(self.stage.base().join("selftest.toml"), "[rules]\ndirectories = []\n")?;
        for way in &WAYS {
            let site = root.join(way.place).join(PACKAGES);
            let is_to_come = way.place == "directory-rename";
            self.stage.directory(if is_to_come { site.parent().unwrap_or(&site) } else { &site })?;
        }
        // Before the watcher starts: a record of the file's own creation would be found under its later name.
        std::fs::write(root.join("staging/packages").join(HOOK), CONTENT)?;
        let mut others = Vec::new();
        for other in self.stage.others() {
            let at = root.join("other").join(other.place.trim_start_matches('/'));
            let mounted = self.stage.mount_other(&other, &at);
            let mounted =
                mounted.and_then(|()| self.stage.directory(&at.join(PACKAGES)).map_err(|error| error.to_string()));
            others.push((other.place, other.fs_type, mounted));
        }
        let at = root.join("tmpfs");
        let tmpfs = self.stage.mount_tmpfs(&at);
        let tmpfs = tmpfs.and_then(|()| self.stage.directory(&at.join(PACKAGES)).map_err(|error| error.to_string()));
        // Where the scratch tree itself is on an overlay, the upper directory must be elsewhere.
        let over = if self.stage.fs_type() == "overlay" { at.join("overlay") } else { root.join("overlay") };
        let overlay = self.stage.mount_overlay(&over).and_then(|()| {
            std::fs::write(over.join("upper").join(PACKAGES).join(format!("overlay-change-{HOOK}")), CONTENT)
                .map_err(|error| error.to_string())?;
            Ok(over.strip_prefix(&root).map(Path::to_path_buf).unwrap_or_default())
        });
        Ok(Prepared { others, tmpfs, overlay })
    }

    fn start(&mut self, number: usize, root: &Path, backend: &str, config: &Path) {
        match Watcher::start(number, root, backend, config, &self.desk) {
            Ok(watcher) => self.watchers.push(watcher),
            Err(error) => self.fail("watcher", "the watcher", format!("it cannot be started: {error}")),
        }
    }

    /// Whether all watchers say that they are ready.
    fn wait_until_ready(&mut self) -> Result<bool, Interrupted> {
        let until = Instant::now() + PATIENCE;
        let mut waiting = self.watchers.len();
        while waiting > 0 {
            match self.desk.next(until) {
                Ok(News::Said(number, line)) => {
                    waiting -= usize::from(line.starts_with("pyhookwatch: ready: "));
                    if let Some(watcher) = self.watchers.get_mut(number) {
                        watcher.heard(line);
                    }
                }
                Ok(News::Ended(number)) => {
                    // What it said may still be on its way: its standard error ends after its standard output.
                    while let Ok(News::Said(_, line)) = self.desk.next(Instant::now() + Duration::from_millis(200)) {
                        if let Some(watcher) = self.watchers.get_mut(number) {
                            watcher.heard(line);
                        }
                    }
                    let words = self.watchers.get(number).map(|watcher| watcher.last_words().trim().to_owned());
                    self.fail("watcher", "the watcher", format!("it ended: {}", words.unwrap_or_default()));
                    return Ok(false);
                }
                Ok(_) => {}
                Err(Without::Interrupted) => return Err(Interrupted),
                Err(Without::Late) => {
                    self.fail("watcher", "the watcher", format!("it was not ready within {} s", PATIENCE.as_secs()));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn leave_out_all(&mut self, reason: &str) {
        let ways = WAYS.iter().chain(&OVERLAY).map(|way| (way.place, way.description));
        for (place, description) in
            ways.chain([("tmpfs", "a filesystem in memory"), ("mounted-later", "a filesystem mounted after the start")])
        {
            self.leave_out(place, description, None, reason.to_owned());
        }
    }

    fn try_ways(&mut self, root: &Path, probe: &Probe) -> Result<(), Interrupted> {
        let names_all = names_writers(probe);
        let (mechanism, why) = guarding(probe, root);
        for way in &WAYS {
            let spot = Spot { way, part: PathBuf::from(way.place), told_below: None, mechanism, why: why.clone() };
            match (way.held_up, names_all && mechanism == Mechanism::Fanotify) {
                (true, false) => self.leave_out(
                    way.place,
                    way.description,
                    None,
                    "no records about processes are to be had here, or not all".into(),
                ),
                _ => self.try_spot(MAIN, root, &spot, names_all)?,
            }
        }
        Ok(())
    }

    fn try_filesystem(
        &mut self,
        place: &str,
        description: &str,
        part: &Path,
        mounted: Result<(), String>,
        fs_type: Option<String>,
        probe: &Probe,
    ) -> Result<(), Interrupted> {
        if let Err(reason) = mounted {
            self.leave_out(place, description, fs_type, reason);
            return Ok(());
        }
        let root = self.stage.root();
        let (mechanism, why) = guarding(probe, &root.join(part));
        let way = Way { place: "", description: "", step: Step::Write, action: "creation", held_up: false };
        let spot = Spot { way: &way, part: part.to_path_buf(), told_below: None, mechanism, why };
        self.try_spot(MAIN, &root, &spot, names_writers(probe))?;
        if let Some(result) = self.results.last_mut() {
            (result.place, result.description) = (place.to_owned(), description.to_owned());
        }
        Ok(())
    }

    /// Nothing tells when a new mount is marked: hooks are planted until one is told.
    fn try_mounted_later(&mut self, root: &Path) -> Result<(), Interrupted> {
        let (place, description) = ("mounted-later", "a filesystem mounted after the start");
        let at = root.join("later");
        let mounted = self.stage.mount_tmpfs(&at);
        let mounted =
            mounted.and_then(|()| self.stage.directory(&at.join(PACKAGES)).map_err(|error| error.to_string()));
        if let Err(reason) = mounted {
            self.leave_out(place, description, Some("tmpfs".into()), reason);
            return Ok(());
        }
        let now_probed = match probe(&settings(root)) {
            Ok(probe) => probe,
            Err(error) => {
                self.fail(place, description, error.to_string());
                return Ok(());
            }
        };
        let (mechanism, why) = guarding(&now_probed, &at);
        let until = Instant::now() + self.patience();
        let mut number = 0;
        while mechanism != Mechanism::Nothing && Instant::now() < until {
            let sentinel = at.join(PACKAGES).join(format!("{number}-{HOOK}"));
            std::fs::write(&sentinel, CONTENT).unwrap_or_default();
            let seen = below(root, &sentinel);
            if self.wait_for(MAIN, &seen, Instant::now() + Duration::from_millis(100))?.is_some() {
                break;
            }
            number += 1;
        }
        let way = Way { place, description, step: Step::Write, action: "creation", held_up: false };
        let spot = Spot { way: &way, part: PathBuf::from("later"), told_below: None, mechanism, why };
        self.try_spot(MAIN, root, &spot, names_writers(&now_probed))
    }

    fn try_overlay(&mut self, overlay: Result<PathBuf, String>, probe: &Probe) -> Result<(), Interrupted> {
        let root = self.stage.root();
        let over = match overlay {
            Ok(over) => over,
            Err(reason) => {
                OVERLAY
                    .iter()
                    .for_each(|way| self.leave_out(way.place, way.description, Some("overlay".into()), reason.clone()));
                return Ok(());
            }
        };
        let (mechanism, why) = guarding(probe, &root.join(&over).join("merged"));
        for way in &OVERLAY {
            let told_below = Some(over.join("upper")).filter(|_| mechanism == Mechanism::Fanotify);
            let spot = Spot { way, part: over.join("merged"), told_below, mechanism, why: why.clone() };
            self.try_spot(MAIN, &root, &spot, names_writers(probe))?;
        }
        Ok(())
    }

    /// Plants one hook and judges what is told of it. `names_all`: everything is there to name any writer.
    fn try_spot(&mut self, watcher: usize, root: &Path, spot: &Spot<'_>, names_all: bool) -> Result<(), Interrupted> {
        let Spot { way, part, told_below, mechanism, why } = spot;
        let site = root.join(part).join(PACKAGES);
        let mut result = PlaceResult {
            place: way.place.into(),
            description: way.description.into(),
            fs_type: Some(stage::fs_type(&site)),
            mechanism: *mechanism,
            outcome: Outcome::Passed,
            latency_us: None,
            writer: None,
            reason: None,
        };
        if *mechanism == Mechanism::Nothing {
            result.outcome = Outcome::NotTried;
            result.reason = why.clone();
            self.results.push(result);
            return Ok(());
        }
        let hook = match way.step {
            Step::Append => site.join(format!("overlay-change-{HOOK}")),
            _ => site.join(HOOK),
        };
        let told = match told_below {
            Some(holder) => root.join(holder).join(PACKAGES).join(hook.file_name().unwrap_or_default()),
            None => hook.clone(),
        };
        // Of a write to a file that is there some kernels tell nothing through an overlay. Whether this is one is for
        // the kernel to say, not for the watcher under test.
        let listener = match (way.step, told_below) {
            (Step::Append, Some(_)) => told.parent().map(Listener::new),
            _ => None,
        };
        let done = match self.plant(watcher, root, way, &hook) {
            Ok(done) => done,
            Err(reason) => {
                result.outcome = Outcome::NotTried;
                result.reason = Some(reason);
                self.results.push(result);
                return Ok(());
            }
        };
        let name = hook.file_name().unwrap_or_default().as_encoded_bytes();
        let heard = listener.map(|listener| listener.and_then(|listener| listener.has_heard_of(name)));
        if let Some(Ok(false)) = heard {
            result.outcome = Outcome::Degraded;
            result.reason =
                Some("this kernel tells nothing of it: only new names and renames (before Linux 6.5)".into());
            self.results.push(result);
            return Ok(());
        }
        match self.wait_for(watcher, &below(root, &told), Instant::now() + self.patience())? {
            Some((record, read)) => {
                result.latency_us = Some(read.saturating_sub(done.at) / 1000);
                judge(&mut result, &record, way, done.pid, &self.executable, names_all, why.as_deref());
            }
            None => {
                result.outcome = Outcome::Failed;
                result.reason = Some("no alert came".into());
                self.is_late = true;
            }
        }
        self.results.push(result);
        Ok(())
    }

    fn plant(&self, watcher: usize, root: &Path, way: &Way, hook: &Path) -> Result<super::watcher::Done, String> {
        let text = |error: std::io::Error| error.to_string();
        let staging = root.join("staging");
        let held = self.watchers.get(watcher).filter(|_| way.held_up);
        if let Some(watcher) = held {
            watcher.hold().map_err(text)?;
        }
        let done = match way.step {
            Step::Rename if way.place == "directory-rename" => {
                act(way.step, &[&staging.join("packages"), hook.parent().unwrap_or(hook)])
            }
            Step::Rename => {
                // On the filesystem of the hook, under a name that is none of a hook.
                let from = hook.with_file_name("pyhookwatch-selftest.staged");
                if hook.exists() {
                    std::fs::remove_file(hook).map_err(text)?;
                }
                std::fs::write(&from, CONTENT).map_err(text)?;
                act(way.step, &[&from, hook])
            }
            Step::Link => {
                let from = staging.join("linked");
                std::fs::write(&from, CONTENT).map_err(text)?;
                act(way.step, &[&from, hook])
            }
            step => act(step, &[hook]),
        };
        if let Some(watcher) = held {
            watcher.go_on().map_err(text)?;
        }
        done
    }

    /// The record about a path, as soon as it is there.
    fn wait_for(&mut self, watcher: usize, path: &str, until: Instant) -> Result<Option<(Value, u64)>, Interrupted> {
        loop {
            let is_it = |(number, record, _): &(usize, Value, u64)| {
                *number == watcher && record.pointer("/file/path").and_then(Value::as_str) == Some(path)
            };
            if let Some(at) = self.records.iter().position(is_it) {
                let (_, record, read) = self.records.swap_remove(at);
                return Ok(Some((record, read)));
            }
            match self.desk.next(until) {
                Ok(News::Record(number, record, read)) => self.records.push((number, record, read)),
                Ok(News::Ended(number)) if number == watcher => return Ok(None),
                Ok(_) => {}
                Err(Without::Interrupted) => return Err(Interrupted),
                Err(Without::Late) => return Ok(None),
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.is_late { IMPATIENCE } else { PATIENCE }
    }

    fn fail(&mut self, place: &str, description: &str, reason: String) {
        self.push(place, description, None, Outcome::Failed, reason);
    }

    fn leave_out(&mut self, place: &str, description: &str, fs_type: Option<String>, reason: String) {
        self.push(place, description, fs_type, Outcome::NotTried, reason);
    }

    fn push(&mut self, place: &str, description: &str, fs_type: Option<String>, outcome: Outcome, reason: String) {
        self.results.push(PlaceResult {
            place: place.into(),
            description: description.into(),
            fs_type,
            mechanism: Mechanism::Nothing,
            outcome,
            latency_us: None,
            writer: None,
            reason: Some(reason),
        });
    }
}

/// What the watcher under test is told, as `run` reads it from its arguments.
fn settings(root: &Path) -> Settings {
    Settings { backend: Backend::Auto, root: root.to_path_buf(), ..Config::default().source }
}

/// The path as the watcher tells it.
fn below(root: &Path, path: &Path) -> String {
    let path = mounts::below_root(path, root).unwrap_or_else(|| path.to_path_buf());
    escape::reversible(path.as_os_str().as_encoded_bytes())
}

/// Whether everything is there to name a writer that is gone.
fn names_writers(probe: &Probe) -> bool {
    let mut records = probe.evidence.iter().filter(|source| !["processes", "host-programs"].contains(&source.name));
    !probe.evidence.is_empty() && records.all(|source| matches!(source.available, Available::Full(_)))
}

/// By what a directory of the scratch tree is guarded, and what is to be said of it.
fn guarding(probe: &Probe, directory: &Path) -> (Mechanism, Option<String>) {
    probe.guarding(&mounts::read().unwrap_or_default(), directory)
}

/// What the alert says against what is known.
fn judge(
    result: &mut PlaceResult,
    record: &Value,
    way: &Way,
    pid: u32,
    executable: &Path,
    names_all: bool,
    why: Option<&str>,
) {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let evidence = text("/pyhookwatch/writer/evidence").unwrap_or("unknown").to_owned();
    let named = text("/process/executable").map(str::to_owned);
    let own = escape::reversible(executable.as_os_str().as_encoded_bytes());
    let told_pid = record.pointer("/process/pid").and_then(Value::as_u64);
    let is_right = named.as_ref().map(|named| *named == own && told_pid == Some(u64::from(pid)));
    let problem = match (text("/event/action").unwrap_or("nothing"), text("/pyhookwatch/content/class")) {
        (action, _) if action != way.action => Some(format!("told as {action}, not {}", way.action)),
        (_, Some(class)) if class != "inert" => Some(format!("its content was judged {class}, not inert")),
        (_, None) => Some("its content was not judged".into()),
        _ if is_right == Some(false) => Some("another writer was named".into()),
        _ if is_right.is_none() && names_all && result.mechanism == Mechanism::Fanotify => {
            Some("no writer was named, although everything is there to name it".into())
        }
        _ => None,
    };
    result.writer = Some(Named { executable: named, evidence, is_right });
    if let Some(problem) = problem {
        (result.outcome, result.reason) = (Outcome::Failed, Some(escape::one_line(&problem)));
    } else if let Some(why) = why {
        (result.outcome, result.reason) = (Outcome::Degraded, Some(why.to_owned()));
    } else if is_right.is_none() && result.mechanism == Mechanism::Fanotify {
        let note = text("/pyhookwatch/writer/note").unwrap_or("the records that name writers are not all to be had");
        (result.outcome, result.reason) = (Outcome::Degraded, Some(format!("no writer was named: {note}")));
    }
}

#[cfg(test)]
mod tests;
