//! Reads command lines of processes that may block every reader.
//!
//! The kernel reads `/proc/PID/cmdline` from the memory of the process, under a lock of that memory. A process can hold
//! the lock for any time. One thread reads a page of a FUSE filesystem that does not answer, through `/proc/self/mem`.
//! Another thread waits to map something. Any user can do this. A reader then blocks and cannot be interrupted, so
//! a thread reads that can be abandoned.
//!
//! The switch to that thread costs far more than the read, so a command line is cached for a second. A process can show
//! other arguments at any time anyway.

use crate::privileges::{self, Role};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Longest wait for a command line. The thread that reads it may have to wait for a busy processor.
const TIMEOUT: Duration = Duration::from_millis(200);
/// Most abandoned threads. While there are as many, no command line is read.
const MAX_BLOCKED: usize = 16;
/// How long a command line is cached.
const CACHE_TIME: Duration = Duration::from_secs(1);
/// Most cached command lines.
const MAX_CACHED: usize = 64;
/// Stack of a reading thread, in bytes.
const STACK: usize = 64 << 10;

/// A thread that reads one file at a time.
pub struct Reader {
    files: Sender<(OwnedFd, u64)>,
    contents: Receiver<Vec<u8>>,
}

/// A program in a process. Each exec puts the arguments at another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramImage {
    /// Process id.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot.
    pub start_time: u64,
    /// Addresses at which its arguments begin and end.
    pub arguments: (u64, u64),
}

struct Cached {
    program: ProgramImage,
    read_at: Instant,
    bytes: Vec<u8>,
}

/// Reads and caches command lines for one thread.
#[derive(Default)]
pub struct CommandLines {
    idle: Option<Reader>,
    /// Abandoned threads, each with the pid of the process that blocks it.
    blocked: Vec<(u32, Reader)>,
    cached: VecDeque<Cached>,
}

/// A requested command line.
pub enum Request {
    /// It is cached; empty when it cannot be read.
    Done(Vec<u8>),
    /// A thread reads it.
    Reading(ProgramImage, Reader),
}

impl CommandLines {
    /// Begins to read the file of this program, at most `limit` bytes. [`CommandLines::finish`] returns its content.
    pub fn begin(&mut self, program: ProgramImage, open: impl FnOnce() -> Option<OwnedFd>, limit: u64) -> Request {
        while self.cached.front().is_some_and(|cached| cached.read_at.elapsed() > CACHE_TIME) {
            self.cached.pop_front();
        }
        if let Some(cached) = self.cached.iter().find(|cached| cached.program == program) {
            return Request::Done(cached.bytes.clone());
        }
        // A thread whose read has completed ends when its channel is dropped.
        self.blocked.retain(|(_, reader)| reader.contents.try_recv().is_err());
        if self.blocked.len() < MAX_BLOCKED
            && self.blocked.iter().all(|(pid, _)| *pid != program.pid)
            && let Some(file) = open()
            && let Some(reader) = self.idle.take().or_else(Reader::start)
            && reader.files.send((file, limit)).is_ok()
        {
            return Request::Reading(program, reader);
        }
        Request::Done(Vec::new())
    }

    /// The content of the file; empty when it could not be read in time.
    pub fn finish(&mut self, request: Request) -> Vec<u8> {
        let (program, reader) = match request {
            Request::Done(bytes) => return bytes,
            Request::Reading(program, reader) => (program, reader),
        };
        match reader.contents.recv_timeout(TIMEOUT) {
            Ok(bytes) => {
                self.idle = Some(reader);
                if self.cached.len() >= MAX_CACHED {
                    self.cached.pop_front();
                }
                self.cached.push_back(Cached { program, read_at: Instant::now(), bytes: bytes.clone() });
                bytes
            }
            Err(_) => {
                self.blocked.push((program.pid, reader));
                Vec::new()
            }
        }
    }
}

impl Reader {
    fn start() -> Option<Self> {
        let (files, requested) = channel::<(OwnedFd, u64)>();
        let (sender, contents) = channel();
        let read = move || {
            // The files are already open.
            privileges::drop_to(Role::Nothing);
            for (file, limit) in requested {
                if sender.send(all_of(file, limit)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("phw-cmdline".into()).stack_size(STACK);
        thread.spawn(read).ok()?;
        Some(Self { files, contents })
    }
}

/// At most `limit` bytes of a file, or those before a read error.
pub fn all_of(file: OwnedFd, limit: u64) -> Vec<u8> {
    // With a growing buffer, reading took more than twice as many system calls.
    let mut bytes = Vec::with_capacity(limit as usize + 1);
    let _ = File::from(file).take(limit).read_to_end(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A pipe without data stands for a process that blocks its lines.
    fn pipe() -> (OwnedFd, OwnedFd) {
        let (end, writer) = std::io::pipe().unwrap();
        (end.into(), writer.into())
    }

    fn program(pid: u32) -> ProgramImage {
        ProgramImage { pid, start_time: 1, arguments: (2, 3) }
    }

    fn read(lines: &mut CommandLines, pid: u32, file: OwnedFd) -> Vec<u8> {
        let request = lines.begin(program(pid), || Some(file), 100);
        lines.finish(request)
    }

    #[test]
    fn one_thread_reads_all_programs_and_the_same_program_comes_from_the_cache() {
        let mut lines = CommandLines::default();
        let file = || std::fs::File::open("/proc/self/comm").unwrap().into();
        for pid in 0..200 {
            assert!(!read(&mut lines, pid, file()).is_empty());
        }
        assert!(lines.blocked.is_empty());
        assert_eq!(lines.cached.len(), MAX_CACHED);
        let request = lines.begin(program(199), || panic!("read a second time"), 100);
        assert!(!lines.finish(request).is_empty());
        let other = ProgramImage { arguments: (2, 4), ..program(199) };
        assert!(matches!(lines.begin(other, || Some(file()), 100), Request::Reading(..)));
    }

    #[test]
    fn a_process_that_blocks_its_readers_costs_one_timeout_and_one_thread() {
        let mut lines = CommandLines::default();
        let (end, _writer) = pipe();
        assert!(read(&mut lines, 1, end.try_clone().unwrap()).is_empty());
        let begin = Instant::now();
        for _ in 0..100 {
            assert!(read(&mut lines, 1, end.try_clone().unwrap()).is_empty());
        }
        assert!(begin.elapsed() < TIMEOUT);
        assert_eq!(lines.blocked.len(), 1);
        let file = std::fs::File::open("/proc/self/comm").unwrap();
        assert!(!read(&mut lines, 2, file.into()).is_empty(), "another process must still be read");
    }

    #[test]
    fn reading_stops_while_too_many_threads_are_blocked_and_then_resumes() {
        let mut lines = CommandLines::default();
        let (end, writer) = pipe();
        for pid in 0..MAX_BLOCKED as u32 + 5 {
            assert!(read(&mut lines, pid, end.try_clone().unwrap()).is_empty());
        }
        assert_eq!(lines.blocked.len(), MAX_BLOCKED);
        drop(writer);
        let file = || std::fs::File::open("/proc/self/comm").unwrap();
        while read(&mut lines, 100, file().into()).is_empty() {
            std::thread::yield_now();
        }
    }
}
