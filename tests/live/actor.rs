//! Processes that do as they are told and stay alive meanwhile, so that it is certain who wrote.

use crate::harness::patience;
use crate::needs;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Reads a line, runs it, answers with a line.
const PYTHON: &str = "
import json, os, sys, traceback
names = {}
print('ok', flush=True)
for line in sys.stdin:
    try:
        exec(json.loads(line), names)
        print('ok', flush=True)
    except BaseException:
        print(json.dumps(traceback.format_exc()), flush=True)
";

/// A private mount namespace, from which nothing comes back to the host.
pub const OWN_MOUNTS: [&str; 4] = ["unshare", "-m", "--propagation", "private"];

/// A process at the other end of a pipe.
pub struct Actor {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
    is_python: bool,
}

impl Actor {
    /// A Python interpreter, started through `prefix` (for example [`OWN_MOUNTS`]).
    pub fn python(prefix: &[&str]) -> Self {
        Self::python_at(needs::python().unwrap(), prefix)
    }

    /// A certain Python interpreter.
    pub fn python_at(interpreter: &Path, prefix: &[&str]) -> Self {
        let mut words: Vec<&OsStr> = prefix.iter().map(OsStr::new).collect();
        words.extend([interpreter.as_os_str(), "-I".as_ref(), "-S".as_ref(), "-c".as_ref(), PYTHON.as_ref()]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        let actor = Self::start(command, true);
        actor.wait_for_ok("starting");
        actor
    }

    /// A shell: `command` must end in one that reads its commands from standard input.
    pub fn shell(command: Command) -> Self {
        let mut actor = Self::start(command, false);
        actor.run(":");
        actor
    }

    fn start(mut command: Command, is_python: bool) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, answers) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { commands: child.stdin.take().unwrap(), child, answers, is_python }
    }

    /// Has it run these commands, in its language, and waits until they are done.
    pub fn run(&mut self, commands: &str) {
        let line = if self.is_python {
            serde_json::to_string(commands).unwrap()
        } else {
            format!("{{ {commands}\n}} && echo ok || echo failed")
        };
        writeln!(self.commands, "{line}").unwrap();
        self.wait_for_ok(commands);
    }

    fn wait_for_ok(&self, commands: &str) {
        let answer = self.answers.recv_timeout(patience()).unwrap_or_else(|error| error.to_string());
        assert_eq!(answer, "ok", "while doing: {commands}");
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file it runs, as the kernel tells this process.
    pub fn executable(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.pid())).unwrap()
    }

    /// The same path as this actor sees it, in its mount namespace, for this process to use.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let mut seen = PathBuf::from(format!("/proc/{}/root", self.pid()));
        seen.extend(path.strip_prefix("/"));
        seen
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as a Python expression, whatever its bytes.
pub fn py(path: &Path) -> String {
    let hex: String = path.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes.fromhex('{hex}')")
}

/// Runs a program to its end and gives back what it said; fails with it when the program fails.
pub fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}
