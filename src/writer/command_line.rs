//! Reading command lines of processes that may never let them be read.
//!
//! `/proc/PID/cmdline` is in the memory of the process, and the kernel reads it under a lock of that
//! memory. A process can keep this lock for as long as it likes: one thread reads, through
//! `/proc/self/mem`, a page that is mapped from a FUSE filesystem which does not answer, another waits to
//! map something. Any user can do so. Whoever reads then waits with them and cannot be interrupted, so
//! a thread does it that can be left behind.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a command line is waited for: on a machine at rest it comes in 0.02 ms.
const PATIENCE: Duration = Duration::from_millis(50);
/// Threads left behind; while there are as many, no command line is read.
const MAX_STUCK: usize = 16;
/// Stack of such a thread, which needs little.
const STACK: usize = 64 << 10;

/// A thread that reads one file at a time.
struct Reader {
    requests: Sender<(OwnedFd, u64)>,
    answers: Receiver<Vec<u8>>,
}

/// The reading threads of one thread that wants command lines.
#[derive(Default)]
pub struct Readers {
    idle: Option<Reader>,
    busy: Option<(u32, Reader)>,
    stuck: Vec<(u32, Reader)>,
}

impl Readers {
    /// Begins to read the file of this process. What it holds is asked for with [`Readers::finish`].
    pub fn begin(&mut self, pid: u32, file: OwnedFd, limit: u64) {
        // One that was not asked for any more.
        self.stuck.extend(self.busy.take());
        // A thread whose answer came at last ends when nobody can ask it any more.
        self.stuck.retain(|(_, reader)| reader.answers.try_recv().is_err());
        if self.stuck.len() >= MAX_STUCK || self.stuck.iter().any(|(stuck, _)| *stuck == pid) {
            return;
        }
        if let Some(reader) = self.idle.take().or_else(Reader::start)
            && reader.requests.send((file, limit)).is_ok()
        {
            self.busy = Some((pid, reader));
        }
    }

    /// What the file held; empty when that could not be read in time.
    pub fn finish(&mut self) -> Vec<u8> {
        let Some((pid, reader)) = self.busy.take() else { return Vec::new() };
        match reader.answers.recv_timeout(PATIENCE) {
            Ok(bytes) => {
                self.idle = Some(reader);
                bytes
            }
            Err(_) => {
                self.stuck.push((pid, reader));
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

    fn read(readers: &mut Readers, pid: u32, file: OwnedFd) -> Vec<u8> {
        readers.begin(pid, file, 100);
        readers.finish()
    }

    #[test]
    fn what_can_be_read_is_read_again_and_again_by_the_same_thread() {
        let mut readers = Readers::default();
        for _ in 0..100 {
            let file = std::fs::File::open("/proc/self/comm").unwrap();
            assert!(!read(&mut readers, 1, file.into()).is_empty());
        }
        assert!(readers.stuck.is_empty());
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
