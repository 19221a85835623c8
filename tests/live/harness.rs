//! Starts the daemon, hands it a tree, and reads its alerts.

use crate::actor::Actor;
use crate::expect::{Alert, Expected};
use crate::slowness::patient;
use pyhookwatch::hook::kind::names;
use pyhookwatch::rules::RuleSet;
use pyhookwatch::rules::Settings;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest wait for anything that must come: generous, for a loaded machine.
pub fn patience() -> Duration {
    patient(Duration::from_secs(20))
}

/// The source under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Knows the writer.
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

/// A tree of its own for one test.
pub struct Scene {
    directory: tempfile::TempDir,
    /// The configuration of the rules.
    rules: String,
}

impl Scene {
    /// An empty tree with the directories that most tests write to.
    pub fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().unwrap(), rules: two_seeds_alone() };
        make_directories(&scene.root());
        std::fs::create_dir(scene.outside()).unwrap();
        scene
    }

    /// With the project's own rules too. Without them a test shows what the sources see, by two rules that go by
    /// names alone.
    pub fn with_all_rules(mut self) -> Self {
        self.rules = "directories = []".into();
        self
    }

    /// The directory that the daemon takes for `/`.
    pub fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("root")
    }

    /// A directory beside it, on the same filesystem.
    pub fn outside(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("outside")
    }

    /// A path as seen from the root, as the test must use it. Its directory is made.
    pub fn at(&self, path: &str) -> PathBuf {
        let path = self.root().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Starts the daemon on this tree.
    pub fn watch(self, backend: Backend) -> Watch {
        Watch::start(self, backend.word(), backend, None)
    }

    /// Starts it through a program that prepares something and runs what it is given, with fanotify.
    pub fn watch_through(self, prefix: &[&str]) -> Watch {
        let root = self.root();
        Watch::start_through(self, "fanotify", Backend::Fanotify, prefix, root)
    }

    /// Starts it in the mount namespace of `actor`, with fanotify.
    pub fn watch_within(self, actor: &Actor) -> Watch {
        Watch::start(self, "fanotify", Backend::Fanotify, Some(actor))
    }
}

fn two_seeds_alone() -> String {
    let (rules, _) = RuleSet::load(&Settings::default(), names).unwrap();
    let own = rules.infos().filter(|rule| rule.ruleset == "pyhookwatch").map(|rule| format!("{:?}", rule.id));
    format!("directories = []\ndisabled = [{}]", own.collect::<Vec<_>>().join(", "))
}

/// The directories of an empty tree.
pub fn make_directories(root: &Path) {
    for directory in ["usr/lib/python3.12", "usr/lib/python3/dist-packages", "etc", "tmp", "sentinel"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
}

/// A running daemon.
pub struct Watch {
    /// The tree it watches.
    pub scene: Scene,
    child: Child,
    backend: Backend,
    lines: Receiver<Vec<u8>>,
    errors: Arc<Mutex<String>>,
    last_sequence: u64,
    /// Where the test finds the root: the same place, or through `/proc` in another namespace.
    root: PathBuf,
    /// Kept open: an unfinished file is reported last of all that was begun before it.
    sentinels: Vec<File>,
}

impl Watch {
    /// Starts `run --root ROOT --backend WORD`, in the mount namespace of `actor` if there is one,
    /// and waits until it is ready. The alerts are judged as those of `backend`.
    pub fn start(scene: Scene, word: &str, backend: Backend, actor: Option<&Actor>) -> Self {
        let Some(actor) = actor else {
            let root = scene.root();
            return Self::start_through(scene, word, backend, &[], root);
        };
        let root = actor.sees(&scene.root());
        Self::start_through(scene, word, backend, &["nsenter", "-m", "-t", &actor.pid().to_string()], root)
    }

    /// Starts it through the program `prefix`, which must become the daemon. The test finds the tree at `root`.
    fn start_through(scene: Scene, word: &str, backend: Backend, prefix: &[&str], root: PathBuf) -> Self {
        let configuration = scene.outside().join("pyhookwatch.toml");
        // The machine's own rules and configuration are kept out.
        std::fs::write(&configuration, format!("[rules]\n{}\n", scene.rules)).unwrap();
        let mut words = prefix.iter().copied().chain([env!("CARGO_BIN_EXE_pyhookwatch")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.args(["run", "--backend", word, "--output", "stdout", "--format", "ecs", "--config"]);
        command.arg(&configuration).arg("--root").arg(scene.root()).env_remove("JOURNAL_STREAM");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        read_lines(child.stdout.take().unwrap(), move |line| drop(sender.send(line)));
        let errors = Arc::new(Mutex::new(String::new()));
        let (sender, ready) = channel();
        collect(child.stderr.take().unwrap(), errors.clone(), sender);
        let watch = Self { scene, child, backend, lines, errors, last_sequence: 0, root, sentinels: Vec::new() };
        if ready.recv_timeout(patience()).is_err() {
            watch.fail("the daemon did not get ready");
        }
        watch
    }

    /// A path as seen from the root, for the test to use.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Waits for the next alert.
    pub fn next(&mut self) -> Alert {
        match self.lines.recv_timeout(patience()) {
            Ok(line) => self.parse(&line),
            Err(error) => self.fail(&format!("no alert came ({error})")),
        }
    }

    /// The next alert if one comes in this time.
    pub fn next_within(&mut self, time: Duration) -> Option<Alert> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(self.parse(&line)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => self.fail("the daemon ended"),
        }
    }

    /// Every line is one JSON document, printable, and numbered without a hole.
    fn parse(&mut self, line: &[u8]) -> Alert {
        let text = std::str::from_utf8(line).unwrap();
        assert!(!text.chars().any(char::is_control), "a control character in {text:?}");
        let alert = Alert(serde_json::from_str(text).unwrap());
        let sequence = alert.0.pointer("/event/sequence").and_then(serde_json::Value::as_u64).unwrap();
        assert_eq!(sequence, self.last_sequence + 1, "a record is missing before {text}");
        self.last_sequence = sequence;
        alert
    }

    /// Waits for these alerts and proves that no other came. Those about one path must come in this
    /// order; the order among paths is the daemon's. Gives them in the order expected.
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

    /// Whatever else was reported until now. The sentinel is a file that is begun and not finished,
    /// so its alert comes after those of all other changes that were begun before it.
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

    /// What it said on standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Ends it with SIGTERM: it must end well, in time, and with nothing left to tell.
    pub fn stop(self) {
        self.terminate();
        self.expect_the_end();
    }

    /// Ends it with SIGTERM, whatever alerts come until then.
    pub fn stop_with_alerts(self) {
        self.terminate();
        while self.lines.recv_timeout(patience()).is_ok() {}
        self.expect_the_end();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Holds the daemon up while something is done, so that all of it is in one read of its queue.
    pub fn while_held_up(&self, act: impl FnOnce()) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
        act();
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, which must be a good one, without another alert.
    pub fn expect_the_end(mut self) {
        // Its standard output ends when it does.
        match self.lines.recv_timeout(patience()) {
            Err(RecvTimeoutError::Disconnected) => {}
            Ok(line) => self.fail(&format!("one alert too many at the end: {}", String::from_utf8_lossy(&line))),
            Err(RecvTimeoutError::Timeout) => self.fail("it did not end"),
        }
        let status: ExitStatus = self.child.wait().unwrap();
        if status.code() != Some(0) {
            self.fail(&format!("it ended with {status}"));
        }
    }

    /// Fails the test, with what the daemon said.
    pub fn fail(&self, why: &str) -> ! {
        panic!("{why}\nthe daemon ({}) said:\n{}", self.backend.word(), self.errors());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, mut take: impl FnMut(Vec<u8>) + Send + 'static) {
    std::thread::spawn(move || {
        let lines = BufReader::new(pipe).split(b'\n');
        lines.map_while(Result::ok).for_each(&mut take);
    });
}

fn collect(pipe: impl Read + Send + 'static, errors: Arc<Mutex<String>>, ready: Sender<()>) {
    read_lines(pipe, move |line| {
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut errors = errors.lock().unwrap();
        errors.push_str(&line);
        errors.push('\n');
        if line.contains("pyhookwatch: ready:") {
            // Nobody waits any more when a test failed meanwhile.
            let _ = ready.send(());
        }
    });
}
