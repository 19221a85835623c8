//! A tree and the daemon that watches it, with the alerts that a test expects.

use crate::expect::{Alert, Expected};
use crate::support::{DaemonUnderTest, Helper, PROGRAM, ScratchTree, patience, schema, tree, wait_until};
use pyhookwatch::hook::kind::names;
use pyhookwatch::rules::RuleSet;
use pyhookwatch::rules::Settings;
use rustix::process::Signal;
use std::fmt::Write as _;
use std::fs;
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// The source under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Reports the writer.
    Fanotify,
    /// Does not.
    Inotify,
}

impl Backend {
    /// The word for `--backend`.
    pub fn word(self) -> &'static str {
        match self {
            Backend::Fanotify => "fanotify",
            Backend::Inotify => "inotify",
        }
    }
}

/// A tree of its own for one test, and the rules that the daemon will load.
pub struct Fixture {
    tree: ScratchTree,
    /// The configuration of the rules.
    rules: String,
}

impl Deref for Fixture {
    type Target = ScratchTree;

    fn deref(&self) -> &ScratchTree {
        &self.tree
    }
}

impl Fixture {
    /// An empty tree, and the two seed rules. They match names alone, so a test sees every change that a source reports.
    pub fn new() -> Self {
        let tree = ScratchTree::new();
        make_directories(&tree.root());
        Self { tree, rules: seed_rules_alone() }
    }

    /// With the project's own rules too.
    pub fn with_all_rules(mut self) -> Self {
        self.rules = "directories = []".into();
        self
    }

    /// Starts the daemon on this tree.
    pub fn start(self, backend: Backend) -> Session {
        Session::start(self, backend.word(), backend, None)
    }

    /// Starts it through a program that prepares something and runs its arguments, with fanotify.
    pub fn start_through(self, prefix: &[&str]) -> Session {
        let root = self.root();
        Session::start_through(self, "fanotify", Backend::Fanotify, prefix, root)
    }

    /// Starts it in the mount namespace of `helper`, with fanotify.
    pub fn start_within(self, helper: &Helper) -> Session {
        Session::start(self, "fanotify", Backend::Fanotify, Some(helper))
    }
}

fn seed_rules_alone() -> String {
    let (rules, _) = RuleSet::load(&Settings::default(), names).unwrap();
    let own = rules.infos().filter(|rule| rule.ruleset == "pyhookwatch").map(|rule| format!("{:?}", rule.id));
    format!("directories = []\ndisabled = [{}]", own.collect::<Vec<_>>().join(", "))
}

/// Makes the directories of an empty tree.
pub fn make_directories(root: &Path) {
    tree::make_directories(root);
    std::fs::create_dir_all(root.join("usr/lib/python3/dist-packages")).unwrap();
}

/// A running daemon, its tree, and the alerts so far.
pub struct Session {
    /// The tree it watches.
    pub fixture: Fixture,
    daemon: DaemonUnderTest,
    backend: Backend,
    last_sequence: u64,
    /// The root as the test reaches it: the same path, or one through `/proc` in another namespace.
    root: PathBuf,
    /// Open files: the daemon alerts on an unfinished file after everything that began before it.
    sentinels: Vec<File>,
}

impl Session {
    /// Starts `run --root ROOT --backend WORD`, in the mount namespace of `helper` if there is one, and waits until it
    /// is ready. The alerts are expected to be those of `backend`.
    pub fn start(fixture: Fixture, word: &str, backend: Backend, helper: Option<&Helper>) -> Self {
        let Some(helper) = helper else {
            let root = fixture.root();
            return Self::start_through(fixture, word, backend, &[], root);
        };
        let root = helper.sees(&fixture.root());
        Self::start_through(fixture, word, backend, &["nsenter", "-m", "-t", &helper.pid().to_string()], root)
    }

    /// Starts it through the program `prefix`, which must become the daemon. The test reaches the tree at `root`.
    fn start_through(fixture: Fixture, word: &str, backend: Backend, prefix: &[&str], root: PathBuf) -> Self {
        // The machine's own rules and configuration are not used.
        let configuration = fixture.file("outside/pyhookwatch.toml", &format!("[rules]\n{}\n", fixture.rules));
        let mut words = prefix.iter().copied().chain([PROGRAM]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.args(["run", "--backend", word, "--output", "stdout", "--format", "ecs", "--config"]);
        command.arg(&configuration).arg("--root").arg(fixture.root());
        let daemon = DaemonUnderTest::start(command);
        Self { fixture, daemon, backend, last_sequence: 0, root, sentinels: Vec::new() }
    }

    /// A path as seen from the root, for the test to use.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Waits for the next alert.
    pub fn next(&mut self) -> Alert {
        self.next_within(patience()).unwrap_or_else(|| self.fail("no alert came"))
    }

    /// The next alert if one comes in this time.
    pub fn next_within(&mut self, time: Duration) -> Option<Alert> {
        match self.daemon.output().next_within(time) {
            Ok(line) => Some(self.parse(&line)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => self.fail("the daemon ended"),
        }
    }

    /// Every line is one valid document, and they are numbered without a gap.
    fn parse(&mut self, line: &str) -> Alert {
        let alert = Alert(schema::valid(line));
        let sequence = alert.0.pointer("/event/sequence").and_then(serde_json::Value::as_u64).unwrap();
        assert_eq!(sequence, self.last_sequence + 1, "a record is missing before {line}");
        self.last_sequence = sequence;
        alert
    }

    /// Waits for these alerts and proves that no other came. Those about one path must come in this
    /// order; the order among paths is the daemon's. Returns them in the order expected.
    pub fn expect_alerts(&mut self, expected: &[Expected]) -> Vec<Alert> {
        let mut alerts: Vec<_> = expected.iter().map(|_| self.next()).collect();
        alerts.extend(self.alerts_before_a_sentinel());
        let mut wrong = String::new();
        let mut found = Vec::new();
        for expected in expected {
            match alerts.iter().position(|alert| alert.text("/file/path") == Some(expected.path())) {
                None => drop(writeln!(wrong, "no alert for {}", expected.path())),
                Some(index) => {
                    let alert = alerts.remove(index);
                    for difference in expected.differences(&alert, self.backend) {
                        let _ = writeln!(wrong, "{}: {difference}\n  in {}", expected.path(), alert.0);
                    }
                    found.push(alert);
                }
            }
        }
        for alert in alerts {
            let _ = writeln!(wrong, "one alert too many: {}", alert.0);
        }
        if !wrong.is_empty() {
            self.fail(&wrong);
        }
        found
    }

    /// Waits until the daemon has recorded the files that were there before it: until its thread for that has ended.
    pub fn wait_for_the_baseline(&self) {
        let pid = self.daemon.pid();
        let name_of = |path: PathBuf| fs::read_to_string(path.join("comm")).unwrap_or_default();
        // A thread that has not run yet still has the name of the main thread.
        let unnamed = name_of(format!("/proc/{pid}").into());
        wait_until("the baseline is recorded", || {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
            let others = threads.filter(|thread| thread.file_name().to_str() != Some(&pid.to_string()));
            let mut names = others.map(|thread| name_of(thread.path()));
            !names.any(|name| name.trim_end() == "phw-baseline" || name == unnamed)
        });
    }

    /// All other alerts until now. The sentinel is a file that is begun and not finished, so its alert
    /// comes after those of all changes that began before it.
    pub fn alerts_before_a_sentinel(&mut self) -> Vec<Alert> {
        let path = format!("/sentinel/{}-usercustomize.py", self.sentinels.len());
        self.sentinels.push(File::create(self.at(&path)).unwrap());
        let mut before = Vec::new();
        loop {
            let alert = self.next();
            if alert.text("/file/path") == Some(&path) {
                return before;
            }
            before.push(alert);
        }
    }

    /// What it has written to standard error so far.
    pub fn errors(&mut self) -> String {
        self.daemon.stderr.so_far()
    }

    /// Ends it with SIGTERM: it must end well, in time, and without another alert.
    pub fn stop(self) {
        self.terminate();
        self.expect_the_end();
    }

    /// Ends it with SIGTERM, whatever alerts come until then.
    pub fn stop_with_alerts(mut self) {
        self.terminate();
        self.daemon.output().rest();
        self.expect_the_end();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.daemon.process.signal(Signal::TERM);
    }

    /// Stops the daemon during `act`, so that one read of its queue has all of it.
    pub fn while_held(&self, act: impl FnOnce()) {
        self.daemon.process.hold();
        act();
        self.daemon.process.resume();
    }

    /// Waits for its end, which must be a good one, without another alert.
    pub fn expect_the_end(mut self) {
        // Its standard output ends with it.
        if let Some(line) = self.daemon.output().next() {
            self.fail(&format!("one alert too many at the end: {line}"));
        }
        let status = self.daemon.process.wait();
        if status.code() != Some(0) {
            self.fail(&format!("it ended with {status}"));
        }
    }

    /// Fails the test, with the daemon's messages.
    pub fn fail(&mut self, why: &str) -> ! {
        panic!("{why}\nmessages of the daemon ({}):\n{}", self.backend.word(), self.errors());
    }
}
