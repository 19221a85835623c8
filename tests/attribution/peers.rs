//! Two other watchers of the same writes.

use crate::score::{Truth, Verdict};
use crate::support::{Lines, Running, patience, spawn};
use crate::tree::{GateTree, key_of};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program of that name. It reports the process's own name (comm).
    Fatrace,
    /// `procreader.c`. It reports the executable's path.
    ProcReader,
}

/// A running peer.
pub struct Peer {
    process: Running,
    stdout: Lines,
    stderr: Lines,
    kind: Kind,
    named: BTreeMap<String, String>,
}

impl Peer {
    /// Starts it on the filesystem of the tree and waits until it watches.
    pub fn start(kind: Kind, tree: &GateTree) -> Self {
        let mut command = match kind {
            Kind::Fatrace => {
                let mut command = Command::new("fatrace");
                // Writes and creations of this filesystem only. It reports no file name of a rename.
                command.args(["--current-mount", "--filter=W+<>"]).current_dir(tree.root());
                command
            }
            Kind::ProcReader => {
                let mut command = Command::new(tree.copy_of("procreader", "procreader"));
                command.arg(tree.root());
                command
            }
        };
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stdout = Lines::wanted(child.stdout.take().unwrap(), |line| key_of(line).is_some());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let mut peer = Self { process: Running(child), stdout, stderr, kind, named: BTreeMap::new() };
        peer.catch_up(tree, "start");
        peer
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    pub fn hold(&self) {
        self.process.hold();
    }

    /// Continues it.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Waits until it has reported a file that is written now, and so everything before.
    pub fn catch_up(&mut self, tree: &GateTree, word: &str) {
        let start = Instant::now();
        for number in 0.. {
            assert!(start.elapsed() < patience(), "{:?} reports nothing:\n{}", self.kind, self.stderr.so_far());
            let key = format!("gate_caught_{word}_{:?}_{number}", self.kind);
            // Not a hook for the daemon: in no directory of packages.
            std::fs::write(tree.root().join("noise").join(format!("{key}.pth")), "x").unwrap();
            while let Ok(line) = self.stdout.next_within(Duration::from_millis(500)) {
                if self.add(&line).as_deref() == Some(&key) {
                    return;
                }
            }
        }
    }

    /// The first name that it gives for a write is the one that counts.
    fn add(&mut self, line: &str) -> Option<String> {
        let (path, name) = match self.kind {
            Kind::Fatrace => {
                let (name, rest) = line.split_once('(')?;
                (rest, Some(name).filter(|name| *name != "unknown"))
            }
            Kind::ProcReader => {
                let (path, rest) = line.split_once('\t')?;
                let (_, exe) = rest.split_once('\t')?;
                (path, Some(exe).filter(|exe| !exe.is_empty()))
            }
        };
        let key = key_of(path)?.to_owned();
        if let Some(name) = name {
            self.named.entry(key.clone()).or_insert_with(|| name.to_owned());
        }
        Some(key)
    }

    /// Scores its report of a write. fatrace is right when it reports any name of the program.
    pub fn judge(&self, key: &str, truth: &Truth, names: &[&str]) -> Verdict {
        let Some(named) = self.named.get(key) else { return Verdict::Unknown };
        let is_right = match self.kind {
            Kind::Fatrace => {
                let comm =
                    |path: &str| path.rsplit('/').next().unwrap_or_default().chars().take(15).collect::<String>();
                names.contains(&named.as_str()) || truth.executables.iter().any(|path| *named == comm(path))
            }
            Kind::ProcReader => {
                let path = named.strip_suffix(" (deleted)").unwrap_or(named);
                truth.executables.iter().any(|right| right == path)
            }
        };
        if is_right { Verdict::Right } else { Verdict::Wrong(format!("{key}: named {named}")) }
    }
}
