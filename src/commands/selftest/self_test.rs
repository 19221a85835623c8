//! One run of the self-test: starts the watchers, then runs step after step.

use super::cases::{INOTIFY, MOUNTED_LATER, OTHER_FILESYSTEM, OVERLAY, TECHNIQUES, TMPFS, Technique, TestCase};
use super::helper::{CONTENT, HelperAction};
use super::plant::plant;
use super::report::{CaseResult, DaemonAlerts, Outcome, SelfTestReport, summary};
use super::scratch_tree::{PACKAGES, ScratchTree, fs_type};
use super::setup::{self, EXISTING_HOOK, HOOK, Mounts};
use super::verdict::{self, Expected};
use super::watchers::{MAX_WAIT, NotReady, Watchers};
use crate::commands::status;
use crate::config::Config;
use crate::daemon::watch_plan::{Probe, probe};
use crate::escape;
use crate::event::DocumentHeader;
use crate::source::Mechanism;
use crate::source::fanotify::listener::Listener;
use crate::source::{Backend, Settings, mounts};
use crate::writer::Available;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Number of the watcher with fanotify, on [`ScratchTree::root`].
const MAIN: usize = 0;
/// Number of the watcher with inotify, on [`ScratchTree::inotify_root`].
const SECOND: usize = 1;
/// Longest wait for an alert after one was missing.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// Wait for the alert of one file on a new mount, before the next file is written.
const MOUNT_RETRY: Duration = Duration::from_millis(100);

/// The run ends here: a signal came, or a failed case gives the reason.
struct Stop;

/// What every step needs.
struct Setup {
    mounts: Mounts,
    probe: Probe,
}

/// A part of the run.
struct Step {
    /// Cases that are reported as not tried without fanotify. Empty: the step runs without it.
    needs_fanotify: &'static [Technique],
    /// The step belongs to `--overlay-only`.
    is_overlay: bool,
    run: fn(&mut SelfTest, &Setup) -> Result<(), Stop>,
}

/// The run, in this order.
const STEPS: &[Step] = &[
    Step { needs_fanotify: &TECHNIQUES, is_overlay: false, run: SelfTest::try_techniques },
    Step { needs_fanotify: &[TMPFS], is_overlay: false, run: SelfTest::try_filesystems },
    Step { needs_fanotify: &[MOUNTED_LATER], is_overlay: false, run: SelfTest::try_mounted_later },
    Step { needs_fanotify: &OVERLAY, is_overlay: true, run: SelfTest::try_overlay },
    Step { needs_fanotify: &[], is_overlay: false, run: SelfTest::try_inotify },
];

/// See the module.
pub struct SelfTest {
    // Dropped in this order: the processes, then their directories.
    watchers: Watchers,
    tree: ScratchTree,
    /// This executable, as an alert names it.
    executable: String,
    /// Why fanotify is refused, if a privilege is missing.
    no_permission: Option<String>,
    results: Vec<CaseResult>,
    /// An alert was missing, so the next waits are shorter.
    was_late: bool,
}

impl SelfTest {
    /// Makes the scratch tree. Signals are handled first, because one would leave the tree behind.
    pub fn open() -> Result<Self, String> {
        let executable = std::fs::read_link("/proc/self/exe").map_err(|error| format!("/proc: {error}"))?;
        let watchers = Watchers::new().map_err(|error| format!("signals: {error}"))?;
        let tree = ScratchTree::new().map_err(|error| format!("no directory accepts the scratch tree: {error}"))?;
        Ok(Self {
            watchers,
            tree,
            executable: path_text(&executable),
            no_permission: None,
            results: Vec::new(),
            was_late: false,
        })
    }

    /// Runs every step and removes everything. Returns the report, and the signal that ended the run, if one did.
    pub fn run(mut self, started: Instant, overlay_only: bool) -> (SelfTestReport, Option<i32>) {
        // A run that was stopped reports the results so far.
        let _ = self.run_steps(overlay_only);
        let signal = self.watchers.signal();
        // The daemon is queried before the files are removed, because it reports the removal too.
        let daemon = if signal.is_none() { daemon_alerts(self.tree.base()) } else { None };
        let no_permission = self.no_permission.take();
        let cases = std::mem::take(&mut self.results);
        drop(self);
        let report = SelfTestReport {
            pyhookwatch: DocumentHeader::default(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: summary(&cases),
            no_permission,
            daemon,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            cases,
        };
        (report, signal)
    }

    fn run_steps(&mut self, overlay_only: bool) -> Result<(), Stop> {
        let setup = self.set_up(overlay_only)?;
        for step in STEPS.iter().filter(|step| step.is_overlay || !overlay_only) {
            match self.no_permission.clone() {
                Some(reason) if !step.needs_fanotify.is_empty() => self.skip_all(step.needs_fanotify, None, &reason),
                _ => (step.run)(self, &setup)?,
            }
        }
        Ok(())
    }

    /// Fills the scratch tree, finds out what `run` can watch there, and starts the watchers.
    fn set_up(&mut self, overlay_only: bool) -> Result<Setup, Stop> {
        let root = self.tree.root();
        let mounts = setup::prepare(&mut self.tree)
            .map_err(|error| self.fail("scratch", "the scratch tree", &format!("it cannot be made: {error}")))?;
        let probe = probe(&settings(&root))
            .map_err(|error| self.fail("probe", "the mechanisms", &format!("they cannot be probed: {error}")))?;
        let refused = probe.refused.as_ref().filter(|error| error.raw_os_error() == Some(libc::EPERM));
        self.no_permission = refused.map(|error| format!("fanotify is refused ({error}): it needs CAP_SYS_ADMIN"));
        if let Some((fs_type, reason)) = self.tree.root_left_out().filter(|_| !overlay_only) {
            self.skip("filesystem:/", "the filesystem of /", Some(fs_type), &reason);
        }
        if self.no_permission.is_none() {
            self.start_watcher(MAIN, &root, "auto");
        }
        if !overlay_only {
            self.start_watcher(SECOND, &self.tree.inotify_root(), "inotify");
        }
        match self.watchers.wait_until_ready() {
            Ok(()) => Ok(Setup { mounts, probe }),
            Err(NotReady::Interrupted) => Err(Stop),
            Err(NotReady::Failed(reason)) => Err(self.fail("watcher", "the watcher", &reason)),
        }
    }

    fn start_watcher(&mut self, number: usize, root: &Path, backend: &str) {
        let config = setup::configuration(&self.tree);
        if let Err(error) = self.watchers.start(number, root, backend, &config) {
            self.fail("watcher", "the watcher", &format!("it cannot be started: {error}"));
        }
    }

    fn try_techniques(&mut self, setup: &Setup) -> Result<(), Stop> {
        let root = self.tree.root();
        let watched = mechanism_of(&setup.probe, &root);
        let names_all = watched.0 == Mechanism::Fanotify && names_every_writer(&setup.probe);
        for technique in TECHNIQUES {
            if technique.pauses_watcher && !names_all {
                let reason = "not every source of records about processes works here";
                self.skip(technique.name, technique.description, None, reason);
                continue;
            }
            let case = TestCase::new(technique, PathBuf::from(technique.name), watched.clone());
            self.try_case(MAIN, &root, &case, &setup.probe)?;
        }
        Ok(())
    }

    fn try_filesystems(&mut self, setup: &Setup) -> Result<(), Stop> {
        let root = self.tree.root();
        for other in &setup.mounts.others {
            let name = format!("filesystem:{}", other.mount_point);
            let description = format!("the filesystem of {}", other.mount_point);
            if let Err(reason) = &other.mounted {
                self.skip(&name, &description, Some(other.fs_type.clone()), reason);
                continue;
            }
            let watched = mechanism_of(&setup.probe, &root.join(&other.directory));
            let case = TestCase::new(OTHER_FILESYSTEM, other.directory.clone(), watched);
            self.try_case(MAIN, &root, &TestCase { name, description, ..case }, &setup.probe)?;
        }
        if let Err(reason) = &setup.mounts.tmpfs {
            self.skip_all(&[TMPFS], None, reason);
            return Ok(());
        }
        let watched = mechanism_of(&setup.probe, &root.join("tmpfs"));
        self.try_case(MAIN, &root, &TestCase::new(TMPFS, PathBuf::from("tmpfs"), watched), &setup.probe)
    }

    /// The watcher does not report when it has marked a new mount, so files are written until an alert comes.
    fn try_mounted_later(&mut self, _: &Setup) -> Result<(), Stop> {
        let root = self.tree.root();
        let mount_point = root.join("later");
        let mounted = self.tree.mount_tmpfs(&mount_point);
        if let Err(reason) = mounted.and_then(|()| setup::make_packages(&self.tree, &mount_point)) {
            self.skip_all(&[MOUNTED_LATER], Some("tmpfs"), &reason);
            return Ok(());
        }
        let probe = match probe(&settings(&root)) {
            Ok(probe) => probe,
            Err(error) => {
                self.fail(MOUNTED_LATER.name, MOUNTED_LATER.description, &error.to_string());
                return Ok(());
            }
        };
        let watched = mechanism_of(&probe, &mount_point);
        let until = Instant::now() + self.max_wait();
        let mut number = 0;
        while watched.0 != Mechanism::Nothing && Instant::now() < until {
            let file = mount_point.join(PACKAGES).join(format!("{number}-{HOOK}"));
            // A write that fails brings no alert, which the case itself reports.
            std::fs::write(&file, CONTENT).unwrap_or_default();
            let reported = reported_path(&root, &file);
            let alert = self.watchers.wait_for_alert(MAIN, &reported, Instant::now() + MOUNT_RETRY);
            if alert.map_err(|_| Stop)?.is_some() {
                break;
            }
            number += 1;
        }
        self.try_case(MAIN, &root, &TestCase::new(MOUNTED_LATER, PathBuf::from("later"), watched), &probe)
    }

    fn try_overlay(&mut self, setup: &Setup) -> Result<(), Stop> {
        let root = self.tree.root();
        let directory = match &setup.mounts.overlay {
            Ok(directory) => directory,
            Err(reason) => {
                self.skip_all(&OVERLAY, Some("overlay"), reason);
                return Ok(());
            }
        };
        let merged = directory.join("merged");
        let watched = mechanism_of(&setup.probe, &root.join(&merged));
        for technique in OVERLAY {
            let mut case = TestCase::new(technique, merged.clone(), watched.clone());
            // fanotify marks the filesystem of the upper directory, and reports paths there.
            case.reported_directory = Some(directory.join("upper")).filter(|_| case.mechanism == Mechanism::Fanotify);
            self.try_case(MAIN, &root, &case, &setup.probe)?;
        }
        Ok(())
    }

    fn try_inotify(&mut self, setup: &Setup) -> Result<(), Stop> {
        let root = self.tree.inotify_root();
        let case = TestCase::new(INOTIFY, PathBuf::from("inotify"), (Mechanism::Inotify, None));
        self.try_case(SECOND, &root, &case, &setup.probe)
    }

    /// Plants one hook and judges its alert.
    fn try_case(&mut self, watcher: usize, root: &Path, case: &TestCase, probe: &Probe) -> Result<(), Stop> {
        let packages = root.join(&case.directory).join(PACKAGES);
        let mut result = CaseResult {
            fs_type: Some(fs_type(&packages)),
            mechanism: case.mechanism,
            reason: case.limitation.clone(),
            ..CaseResult::without_alert(&case.name, &case.description, Outcome::NotTried, "")
        };
        if case.mechanism == Mechanism::Nothing {
            self.push(result);
            return Ok(());
        }
        let is_append = case.technique.action == HelperAction::Append;
        let hook = packages.join(if is_append { EXISTING_HOOK } else { HOOK });
        let reported = match &case.reported_directory {
            Some(directory) => root.join(directory).join(PACKAGES).join(hook.file_name().unwrap_or_default()),
            None => hook.clone(),
        };
        // Some kernels do not report a write to an existing file through an overlay. A fanotify group of the self-test
        // shows whether this kernel does.
        let listens = is_append && case.reported_directory.is_some();
        let listener = reported.parent().filter(|_| listens).map(Listener::new);
        let Some(running) = self.watchers.get(watcher) else {
            self.skip(&case.name, &case.description, None, "the watcher is not running");
            return Ok(());
        };
        let helper = match plant(&case.technique, &hook, &setup::staging(&self.tree), running) {
            Ok(helper) => helper,
            Err(reason) => {
                self.push(CaseResult { reason: Some(reason), ..result });
                return Ok(());
            }
        };
        let name = hook.file_name().unwrap_or_default().as_encoded_bytes();
        if let Some(Ok(false)) = listener.map(|listener| listener.and_then(|listener| listener.has_reported(name))) {
            let reason = "this kernel does not report it: only new names and renames (before Linux 6.5)";
            self.push(CaseResult { outcome: Outcome::Degraded, reason: Some(reason.into()), ..result });
            return Ok(());
        }
        let until = Instant::now() + self.max_wait();
        match self.watchers.wait_for_alert(watcher, &reported_path(root, &reported), until).map_err(|_| Stop)? {
            Some(alert) => {
                result.latency_ms = Some((alert.read_at.saturating_sub(helper.wrote_at) / 1000) as f64 / 1000.0);
                let expected = Expected {
                    action: case.technique.reported_as,
                    pid: helper.pid,
                    executable: &self.executable,
                    must_name_writer: names_every_writer(probe),
                    limitation: case.limitation.as_deref(),
                };
                verdict::judge(&mut result, &alert.document, expected);
            }
            None => {
                (result.outcome, result.reason) = (Outcome::Failed, Some("no alert came".into()));
                self.was_late = true;
            }
        }
        self.push(result);
        Ok(())
    }

    fn max_wait(&self) -> Duration {
        if self.was_late { SHORT_WAIT } else { MAX_WAIT }
    }

    fn fail(&mut self, name: &str, description: &str, reason: &str) -> Stop {
        self.push(CaseResult::without_alert(name, description, Outcome::Failed, reason));
        Stop
    }

    fn skip(&mut self, name: &str, description: &str, fs_type: Option<String>, reason: &str) {
        let result = CaseResult::without_alert(name, description, Outcome::NotTried, reason);
        self.push(CaseResult { fs_type, ..result });
    }

    fn skip_all(&mut self, techniques: &[Technique], fs_type: Option<&str>, reason: &str) {
        for technique in techniques {
            self.skip(technique.name, technique.description, fs_type.map(str::to_owned), reason);
        }
    }

    fn push(&mut self, mut result: CaseResult) {
        result.reason = result.reason.map(|reason| escape::one_line(&reason));
        result.fs_type = result.fs_type.map(|fs_type| escape::one_line(&fs_type));
        self.results.push(result);
    }
}

/// What the daemon of this machine reported about files below this directory, if one answers.
fn daemon_alerts(base: &Path) -> Option<DaemonAlerts> {
    let status = status::query(&status::configured_socket().ok()?).ok()?;
    let base = path_text(base);
    let alerts: Vec<_> = status.recent_alerts.iter().filter(|alert| alert.path.starts_with(&base)).collect();
    let highest_level = alerts.iter().filter_map(|alert| alert.level).max();
    Some(DaemonAlerts { pid: status.pid, alerts: alerts.len(), highest_level })
}

/// The settings that the watcher under test reads from its arguments.
fn settings(root: &Path) -> Settings {
    Settings { backend: Backend::Auto, root: root.to_path_buf(), ..Config::default().source }
}

/// The path in the watcher's alert.
fn reported_path(root: &Path, path: &Path) -> String {
    path_text(&mounts::below_root(path, root).unwrap_or_else(|| path.to_path_buf()))
}

/// Whether a writer that has ended is named too: every source of records works.
fn names_every_writer(probe: &Probe) -> bool {
    let mut records = probe.evidence.iter().filter(|source| !["processes", "host-programs"].contains(&source.name));
    !probe.evidence.is_empty() && records.all(|source| matches!(source.available, Available::Full(_)))
}

/// How a directory of the scratch tree is watched, and why not in the best way.
fn mechanism_of(probe: &Probe, directory: &Path) -> (Mechanism, Option<String>) {
    let status = probe.status_of(&mounts::read().unwrap_or_default(), directory);
    (status.mechanism, status.reason)
}

fn path_text(path: &Path) -> String {
    escape::reversible(path.as_os_str().as_encoded_bytes())
}
