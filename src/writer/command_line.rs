//! Reading command lines of processes that may never let them be read.
//!
//! `/proc/PID/cmdline` is in the memory of the process, and the kernel reads it under a lock of that
//! memory. A process can keep this lock for as long as it likes: one thread reads, through
//! `/proc/self/mem`, a page that is mapped from a FUSE filesystem which does not answer, another waits to
//! map something. Any user can do so. Whoever reads then waits with them and cannot be interrupted, so
//! a thread does it that can be left behind.
//!
//! Asking another thread costs far more than the reading, so what was read is known for a second: a
//! process can show other arguments at any time anyway.

use crate::privileges;
use crate::privileges::Role;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long a command line is waited for: the thread that reads it may have to wait for a busy processor.
const PATIENCE: Duration = Duration::from_millis(200);
/// Threads left behind; while there are as many, no command line is read.
const MAX_STUCK: usize = 16;
/// How long a command line is taken for that of the same program in the same process.
const FRESH: Duration = Duration::from_secs(1);
/// Command lines that are known at a time.
const MAX_KNOWN: usize = 64;
/// Stack of such a thread, which needs little.
const STACK: usize = 64 << 10;

/// A thread that reads one file at a time.
pub struct Reader {
    requests: Sender<(OwnedFd, u64)>,
    answers: Receiver<Vec<u8>>,
}

/// A program in a process: each start of a program puts its arguments somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The process.
    pub pid: u32,
    /// When it started.
    pub start_time: u64,
    /// Where its arguments begin and end.
    pub arguments: (u64, u64),
}

struct Known {
    program: Program,
    since: Instant,
    bytes: Vec<u8>,
}

/// Command lines for one thread that wants them.
#[derive(Default)]
pub struct Readers {
    idle: Option<Reader>,
    stuck: Vec<(u32, Reader)>,
    known: VecDeque<Known>,
}

/// A command line that was asked for.
pub enum Asked {
    /// There it is; empty when it cannot be had.
    Known(Vec<u8>),
    /// A thread reads it.
    Wanted(Program, Reader),
}

impl Readers {
    /// Begins to read the file of this program; [`Readers::finish`] gives what it held. Other things can be
    /// done meanwhile.
    pub fn begin(&mut self, program: Program, open: impl FnOnce() -> Option<OwnedFd>, limit: u64) -> Asked {
        while self.known.front().is_some_and(|known| known.since.elapsed() > FRESH) {
            self.known.pop_front();
        }
        if let Some(known) = self.known.iter().find(|known| known.program == program) {
            return Asked::Known(known.bytes.clone());
        }
        // A thread whose answer came at last ends when nobody can ask it any more.
        self.stuck.retain(|(_, reader)| reader.answers.try_recv().is_err());
        if self.stuck.len() < MAX_STUCK
            && self.stuck.iter().all(|(pid, _)| *pid != program.pid)
            && let Some(file) = open()
            && let Some(reader) = self.idle.take().or_else(Reader::start)
            && reader.requests.send((file, limit)).is_ok()
        {
            return Asked::Wanted(program, reader);
        }
        Asked::Known(Vec::new())
    }

    /// What the file held; empty when that could not be read in time.
    pub fn finish(&mut self, asked: Asked) -> Vec<u8> {
        let (program, reader) = match asked {
            Asked::Known(bytes) => return bytes,
            Asked::Wanted(program, reader) => (program, reader),
        };
        match reader.answers.recv_timeout(PATIENCE) {
            Ok(bytes) => {
                self.idle = Some(reader);
                if self.known.len() >= MAX_KNOWN {
                    self.known.pop_front();
                }
                self.known.push_back(Known { program, since: Instant::now(), bytes: bytes.clone() });
                bytes
            }
            Err(_) => {
                self.stuck.push((program.pid, reader));
                Vec::new()
            }
        }
    }
}

impl Reader {
    fn start() -> Option<Self> {
        let (requests, wanted) = channel::<(OwnedFd, u64)>();
        let (sender, answers) = channel();
        let read = move || {
            // The reader has opened the file.
            privileges::drop_to(Role::Nothing);
            for (file, limit) in wanted {
                if sender.send(all_of(file, limit)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("pyhookwatch-arg".into()).stack_size(STACK);
        thread.spawn(read).ok()?;
        Some(Self { requests, answers })
    }
}

/// At most `limit` bytes of a file; what was read so far when reading fails.
pub fn all_of(file: OwnedFd, limit: u64) -> Vec<u8> {
    // Room for all of it at once: growing step by step took more than twice as many reads.
    let mut bytes = Vec::with_capacity(limit as usize + 1);
    let _ = File::from(file).take(limit).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A pipe that nobody writes to stands for a process that does not let itself be read.
    fn pipe() -> (OwnedFd, OwnedFd) {
        let (end, writer) = std::io::pipe().unwrap();
        (end.into(), writer.into())
    }

    fn program(pid: u32) -> Program {
        Program { pid, start_time: 1, arguments: (2, 3) }
    }

    fn read(readers: &mut Readers, pid: u32, file: OwnedFd) -> Vec<u8> {
        let asked = readers.begin(program(pid), || Some(file), 100);
        readers.finish(asked)
    }

    #[test]
    fn programs_are_read_by_one_thread_and_the_same_one_not_again_at_once() {
        let mut readers = Readers::default();
        let file = || std::fs::File::open("/proc/self/comm").unwrap().into();
        for pid in 0..200 {
            assert!(!read(&mut readers, pid, file()).is_empty());
        }
        assert!(readers.stuck.is_empty());
        assert_eq!(readers.known.len(), MAX_KNOWN);
        let asked = readers.begin(program(199), || panic!("it was read already"), 100);
        assert!(!readers.finish(asked).is_empty());
        let other = Program { arguments: (2, 4), ..program(199) };
        assert!(matches!(readers.begin(other, || Some(file()), 100), Asked::Wanted(..)));
    }

    #[test]
    fn one_process_that_never_answers_costs_one_wait_and_one_thread() {
        let mut readers = Readers::default();
        let (end, _writer) = pipe();
        assert!(read(&mut readers, 1, end.try_clone().unwrap()).is_empty());
        let begin = Instant::now();
        for _ in 0..100 {
            assert!(read(&mut readers, 1, end.try_clone().unwrap()).is_empty());
        }
        assert!(begin.elapsed() < PATIENCE);
        assert_eq!(readers.stuck.len(), 1);
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        assert!(!read(&mut readers, 2, file.into()).is_empty(), "another process must still be read");
    }

    #[test]
    fn many_that_never_answer_are_given_up_and_come_back_when_they_answer() {
        let mut readers = Readers::default();
        let (end, writer) = pipe();
        for pid in 0..MAX_STUCK as u32 + 5 {
            assert!(read(&mut readers, pid, end.try_clone().unwrap()).is_empty());
        }
        assert_eq!(readers.stuck.len(), MAX_STUCK);
        drop(writer);
        let file = || std::fs::File::open("/proc/self/comm").unwrap();
        while read(&mut readers, 100, file().into()).is_empty() {
            std::thread::yield_now();
        }
    }
}
