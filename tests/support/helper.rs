//! Processes that run the test's commands and stay alive, so that the true writer is certain.

use super::needs;
use super::process::{Lines, Running, spawn};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

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
pub struct Helper {
    process: Running,
    commands: ChildStdin,
    answers: Lines,
    is_python: bool,
}

impl Helper {
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
        let mut helper = Self::start(command, true);
        helper.wait_for_ok("starting");
        helper
    }

    /// A shell: `command` must end in one that reads its commands from standard input.
    pub fn shell(command: Command) -> Self {
        let mut helper = Self::start(command, false);
        helper.run(":");
        helper
    }

    fn start(mut command: Command, is_python: bool) -> Self {
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let answers = Lines::of(child.stdout.take().unwrap());
        Self { commands: child.stdin.take().unwrap(), process: Running(child), answers, is_python }
    }

    /// Runs these commands in its language and waits until they are done.
    pub fn run(&mut self, commands: &str) {
        let line = if self.is_python {
            serde_json::to_string(commands).unwrap()
        } else {
            format!("{{ {commands}\n}} && echo ok || echo failed")
        };
        writeln!(self.commands, "{line}").unwrap();
        self.wait_for_ok(commands);
    }

    fn wait_for_ok(&mut self, commands: &str) {
        assert_eq!(self.answers.next().as_deref(), Some("ok"), "while running: {commands}");
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The file it runs, as the kernel names it to this process.
    pub fn executable(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/{}/exe", self.pid())).unwrap()
    }

    /// The same path as this helper sees it, in its mount namespace, for this process to use.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let mut seen = PathBuf::from(format!("/proc/{}/root", self.pid()));
        seen.extend(path.strip_prefix("/"));
        seen
    }
}

/// A path as a Python expression, whatever its bytes.
pub fn py(path: &Path) -> String {
    let hex: String = path.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes.fromhex('{hex}')")
}
