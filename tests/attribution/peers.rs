//! Two other watchers of the same writes.

use crate::score::{Truth, Verdict};
use crate::stage::{Stage, key_of};
use crate::watcher::{Watcher, patience};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// A peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program of that name. It tells the process's own name (comm).
    Fatrace,
    /// `procreader.c`. It tells the executable's path.
    ProcReader,
}

/// A running peer.
pub struct Peer {
    /// The process.
    pub watcher: Watcher,
    kind: Kind,
    named: BTreeMap<String, String>,
}

impl Peer {
    /// Starts it on the filesystem of the stage and waits until it watches.
    pub fn start(kind: Kind, stage: &Stage) -> Self {
        let command = match kind {
            Kind::Fatrace => {
                let mut command = Command::new("fatrace");
                // Writes and creations of this filesystem only. Of a rename it tells no file name.
                command.args(["--current-mount", "--filter=W+<>"]).current_dir(stage.root());
                command
            }
            Kind::ProcReader => {
                let mut command = Command::new(stage.copy_of("procreader", "procreader"));
                command.arg(stage.root());
                command
            }
        };
        let watcher = Watcher::start(command, |line| key_of(line).is_some());
        let mut peer = Self { watcher, kind, named: BTreeMap::new() };
        peer.catch_up(stage, "start");
        peer
    }

    /// Waits until it has told of a file that is written now: it has told then of all before.
    pub fn catch_up(&mut self, stage: &Stage, word: &str) {
        let start = Instant::now();
        for number in 0.. {
            assert!(start.elapsed() < patience(), "{:?} does not tell:\n{}", self.kind, self.watcher.errors());
            let key = format!("gate_caught_{word}_{:?}_{number}", self.kind);
            // Not a hook for the daemon: in no directory of packages.
            std::fs::write(stage.root().join("noise").join(format!("{key}.pth")), "x").unwrap();
            while let Some(line) = self.watcher.next_within(Duration::from_millis(500)) {
                let told = self.take(&line);
                if told.as_deref() == Some(&key) {
                    return;
                }
            }
        }
    }

    /// The first name that it gives for a write is the one that counts.
    fn take(&mut self, line: &str) -> Option<String> {
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

    /// Judges what it said of a write. fatrace is right when it tells any name of the program.
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
