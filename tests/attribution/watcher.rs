//! A program that watches and tells lines on its standard output.

use crate::slowness::patient;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything that must come: generous, for a loaded machine.
pub fn patience() -> Duration {
    patient(Duration::from_secs(30))
}

/// See the module.
pub struct Watcher {
    child: Child,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Watcher {
    /// Starts it; `wanted` chooses the lines that are kept.
    pub fn start(mut command: Command, wanted: fn(&str) -> bool) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        read_lines(child.stdout.take().unwrap(), move |line| {
            if wanted(&line) {
                // Nobody listens any more when a test failed meanwhile.
                let _ = sender.send(line);
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = errors.clone();
        read_lines(child.stderr.take().unwrap(), move |line| {
            let mut errors = collected.lock().unwrap();
            errors.push_str(&line);
            errors.push('\n');
        });
        Self { child, lines, errors }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line, if one comes in this time.
    pub fn next_within(&self, time: Duration) -> Option<String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("a watcher ended:\n{}", self.errors()),
        }
    }

    /// Waits until it has said this on standard error.
    pub fn wait_for_error(&self, text: &str) {
        let start = Instant::now();
        while !self.errors().contains(text) {
            assert!(start.elapsed() < patience(), "it never said {text:?}:\n{}", self.errors());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said on standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    pub fn hold(&self) {
        self.signal(Signal::STOP);
        let (_, status) = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it with SIGTERM; gives the lines that came meanwhile.
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(Signal::TERM);
        let mut last = Vec::new();
        loop {
            match self.lines.recv_timeout(patience()) {
                Ok(line) => last.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end:\n{}", self.errors()),
            }
        }
        (self.child.wait().unwrap(), last)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(pipe: impl Read + Send + 'static, mut take: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
        lines.for_each(|line| take(String::from_utf8_lossy(&line).into_owned()));
    });
}
