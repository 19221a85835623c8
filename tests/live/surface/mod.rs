//! The whole start-up surface: every way in which Python was seen to run something at its start, planted for real
//! while the daemon watches with all its rules, run by a real Python where one is to be had here, and reported in one
//! alert of the right type and level.

mod benign;
mod customize;
mod directory;
mod environment;
mod hostile;
mod interpreter;
mod lines;
mod module;
mod pth;
mod python;
mod start;
mod stdlib;

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture, Session};
use crate::support::{Helper, patience};
use python::SystemPython;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// A directory younger than this counts as made for its rename.
pub const YOUNG_DIRECTORY: Duration = Duration::from_millis(2200);

/// What a hook does in these tests: nothing that is remarkable.
pub const PAYLOAD: &str = "import sys; sys.ran = 1\n";

/// Path as seen from the root, detection type, level.
pub type Expected<'a> = (&'a str, &'a str, &'a str);

/// A daemon with all rules, a real Python below its root, and what went wrong so far: one daemon serves many rows, and
/// every failure names its row.
pub struct SurfaceTest {
    pub session: Session,
    /// The distribution's Python, copied to its own place below the root.
    pub python: Option<SystemPython>,
    wrong: String,
    /// Alerts that are still to come: row, path, type, level.
    pending: Vec<[String; 4]>,
}

impl SurfaceTest {
    /// Copies the Python, has `prepare` lay out what is there before, and starts the daemon.
    pub fn new(prepare: impl FnOnce(&Fixture, &str)) -> Self {
        let fixture = Fixture::new().with_all_rules();
        let python = SystemPython::copy_to(&fixture.root());
        prepare(&fixture, &version(python.as_ref()));
        Self { session: fixture.start(Backend::Fanotify), python, wrong: String::new(), pending: Vec::new() }
    }

    /// The same in the mount namespace of `helper`, on a fixture that is complete.
    pub fn within(helper: &Helper, fixture: Fixture, python: Option<SystemPython>) -> Self {
        Self { session: fixture.start_within(helper), python, wrong: String::new(), pending: Vec::new() }
    }

    /// The version of the Python below the root, as `3.11`, or of the one that would be there.
    pub fn version(&self) -> String {
        version(self.python.as_ref())
    }

    /// A path below the root, with `V` for the version. Its directory is made.
    pub fn at(&self, path: &str) -> std::path::PathBuf {
        let path = self.session.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes a file as any program does.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
    }

    /// Copies a file into the tree.
    pub fn copy(&self, from: &Path, path: &str) {
        fs::copy(from, self.at(path)).unwrap();
    }

    /// Adds to a file.
    pub fn append(&self, path: &str, content: &str) {
        fs::OpenOptions::new().append(true).open(self.at(path)).unwrap().write_all(content.as_bytes()).unwrap();
    }

    /// The alerts that come for these paths, in their order. An alert for anything else is one too many.
    pub fn expect(&mut self, row: &str, expected: &[Expected<'_>]) -> Vec<Alert> {
        let mut found: Vec<Option<Alert>> = expected.iter().map(|_| None).collect();
        let end = Instant::now() + patience() / 2;
        while found.iter().any(Option::is_none)
            && let Some(alert) = self.session.next_within(end.saturating_duration_since(Instant::now()))
        {
            let path = alert.text("/file/path");
            match expected.iter().zip(&mut found).find(|(one, found)| path == Some(one.0) && found.is_none()) {
                Some((one, found)) => {
                    self.compare(row, one, &alert);
                    *found = Some(alert);
                }
                None => self.note(&format!("{row}: one alert too many, {}", brief(&alert))),
            }
        }
        for ((path, detection, level), _) in expected.iter().zip(&found).filter(|(_, found)| found.is_none()) {
            self.note(&format!("{row}: no alert for {path} ({detection} {level})"));
        }
        found.into_iter().flatten().collect()
    }

    /// An alert that must have come at the end, in whatever order.
    pub fn later(&mut self, row: &str, expected: Expected<'_>) {
        self.pending.push([row, expected.0, expected.1, expected.2].map(str::to_owned));
    }

    /// Waits for all of [`SurfaceTest::later`].
    pub fn expect_pending(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let mut missing: Vec<&[String; 4]> = pending.iter().collect();
        while !missing.is_empty()
            && let Some(alert) = self.session.next_within(patience() / 2)
        {
            match missing.iter().position(|row| alert.text("/file/path") == Some(&row[1])) {
                Some(index) => {
                    let [row, path, detection, level] = missing.remove(index);
                    self.compare(row, &(path, detection, level), &alert);
                }
                None => self.note(&format!("one alert too many, {}", brief(&alert))),
            }
        }
        for [row, path, ..] in missing {
            self.note(&format!("{row}: no alert for {path}"));
        }
    }

    fn compare(&mut self, row: &str, expected: &Expected<'_>, alert: &Alert) {
        let is = (alert.text("/pyhookwatch/detection_type"), alert.text("/pyhookwatch/level"));
        if is != (Some(expected.1), Some(expected.2)) {
            self.note(&format!("{row}: should be {} {}, {}", expected.1, expected.2, brief(alert)));
        }
    }

    /// Does something, and expects its alerts.
    pub fn row(&mut self, row: &str, expected: &[Expected<'_>], plant: impl FnOnce(&Self)) -> Vec<Alert> {
        plant(self);
        self.expect(row, expected)
    }

    /// Puts things back as they were; the alerts that this gives for these paths are of no interest.
    pub fn back(&mut self, row: &str, paths: &[&str], undo: impl FnOnce(&Self)) {
        undo(self);
        for _ in paths {
            match self.session.next_within(patience() / 2) {
                Some(alert) if paths.iter().any(|path| alert.text("/file/path") == Some(path)) => {}
                other => self.note(&format!("{row}, undone: {:?}", other.as_ref().map(brief))),
            }
        }
    }

    /// Removes a file, which is no alert.
    pub fn remove(&self, path: &str) {
        let path = self.session.at(path);
        let removed =
            if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap();
    }

    /// The real Python runs what was planted, or does not; with these options before the program.
    pub fn runs(&mut self, row: &str, expected: bool, options: &[&str]) {
        if let Some(python) = &self.python {
            let (ran, said) = python.runs_hook(options, &[]);
            self.judge_run(row, expected, ran, &said);
        }
    }

    /// The same with settings in the environment.
    pub fn runs_with(&mut self, row: &str, expected: bool, options: &[&str], settings: &[(&str, &str)]) {
        if let Some(python) = &self.python {
            let (ran, said) = python.runs_hook(options, settings);
            self.judge_run(row, expected, ran, &said);
        }
    }

    fn judge_run(&mut self, row: &str, expected: bool, ran: bool, said: &str) {
        if ran != expected {
            let not = if ran { "" } else { "not " };
            self.note(&format!("{row}: the real Python did {not}run it: {said}"));
        }
    }

    /// Remembers a failure.
    pub fn note(&mut self, what: &str) {
        let _ = writeln!(self.wrong, "{what}");
    }

    /// Nothing else was reported, and nothing was wrong.
    pub fn finish(mut self) {
        self.expect_pending();
        for alert in self.session.alerts_before_a_sentinel() {
            self.note(&format!("one alert too many at the end, {}", brief(&alert)));
        }
        if !self.wrong.is_empty() {
            self.session.fail(&self.wrong);
        }
        self.session.stop();
    }
}

fn version(python: Option<&SystemPython>) -> String {
    python.map_or_else(|| "3.12".to_owned(), |python| python.version.clone())
}

/// An alert in one line.
pub fn brief(alert: &Alert) -> String {
    let text = |pointer| alert.text(pointer).unwrap_or("-");
    format!(
        "{} {} {} {}: class {}, signals {}, hook {}, provenance {}, rules {}",
        text("/event/action"),
        text("/file/path"),
        text("/pyhookwatch/detection_type"),
        text("/pyhookwatch/level"),
        alert.0["pyhookwatch"]["content"]["class"],
        alert.0["pyhookwatch"]["content"]["signals"],
        alert.0["pyhookwatch"]["hook"],
        alert.0["pyhookwatch"]["provenance"],
        rules(alert),
    )
}

fn rules(alert: &Alert) -> String {
    let rules = alert.0["pyhookwatch"]["rules"].as_array().cloned().unwrap_or_default();
    let names = rules.iter().map(|rule| format!("{}/{}", rule["name"].as_str().unwrap_or("?"), rule["level"]));
    names.collect::<Vec<_>>().join(", ")
}

/// Waits until the daemon has learned what was there before it started: `change` is done until it is reported, for this
/// path, and that is all that is reported.
pub fn wait_until_learned(test: &mut SurfaceTest, path: &str, change: impl Fn(&SurfaceTest)) {
    let end = Instant::now() + patience();
    let is_probe = |alert: &Alert| alert.text("/file/path") == Some(path);
    loop {
        change(test);
        if test.session.next_within(Duration::from_millis(200)).is_some_and(|alert| is_probe(&alert)) {
            break;
        }
        if Instant::now() > end {
            return test.note(&format!("{path} is still not reported"));
        }
    }
    // One that was made just before may be reported too.
    for alert in test.session.alerts_before_a_sentinel().iter().filter(|alert| !is_probe(alert)) {
        test.note(&format!("one alert too many, {}", brief(alert)));
    }
}

/// Makes the directory of a file.
pub fn make_parent(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
}
