//! taskstats: the ends of processes.
//!
//! A message of the generic netlink family `TASKSTATS` holds (`<linux/genetlink.h>`,
//! `<linux/taskstats.h>`, native byte order):
//!
//! ```text
//! 0 u8 command | 1 u8 version | 2 u16
//! 4 attribute 4 (one task):        attribute 1 u32 pid  | attribute 3 struct taskstats
//!   attribute 5 (a thread group):  attribute 2 u32 tgid | attribute 3 struct taskstats (sums only)
//! ```
//!
//! The second attribute comes with the last task of a process that ever had threads. `struct taskstats` only grows at
//! its end: each field has one offset, and a shorter struct lacks the last fields.
//!
//! **When has a whole process ended?** Every task makes a record at its end, a thread too, and the main thread may end
//! before the others. From Linux 5.19 (struct version 12) a flag marks the last task of a process, and only its record
//! is passed on. Before, a record with the second attribute is the last. One without it is of a process that never had
//! threads, or of a thread that is not the last; the record does not show which. It is passed on with
//! [`Exit::is_whole_process`] false. Its `pid` may be that of a thread, which is never the pid of a process.

use super::netlink::{self, Drained, Malformed, RECEIVE_BUFFER, Socket, attribute, u32_at, u64_at};
use crate::event::{Credentials, FileId};
use rustix::net::netlink::GENERIC;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The end of a process (thread group). Ids are those of the initial namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Thread group id.
    pub pid: u32,
    /// Pid of its parent at the end; 0 for none.
    pub parent: u32,
    /// Real user id at the end.
    pub uid: u32,
    /// Real group id at the end.
    pub gid: u32,
    /// The kernel's name of the last task, which is the main thread unless that ended first.
    pub comm: Comm,
    /// Device and inode of the executable at the end. `None` before Linux 5.19 and for kernel threads. The device is
    /// that of the filesystem (superblock); on btrfs `stat(2)` has another.
    pub executable: Option<FileId>,
    /// It never completed an exec. `None` if the last task was not the main thread, which alone has this flag.
    pub never_ran_exec: Option<bool>,
    /// Age of the process at its end, in microseconds. `None` before Linux 5.19 when the last task was not the main
    /// thread, because the record has the age of the task.
    pub elapsed_us: Option<u64>,
    /// Status of the last task, as in `wait(2)`.
    pub exit_code: u32,
    /// The whole process has ended. False only before Linux 5.19, where the record may be that of one thread of
    /// several.
    pub is_whole_process: bool,
}

impl Exit {
    /// Its users; the record has only the real one.
    pub fn user(&self) -> Credentials {
        Credentials { real: self.uid, effective: None, login: None, session: None }
    }
}

/// The kernel's name of a task: any bytes but NUL, at most 15 of them in kernels so far.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Comm {
    bytes: [u8; COMM],
    length: usize,
}

impl Comm {
    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

const COMMAND_GET: u8 = 1;
const COMMAND_NEW: u8 = 2;
const REGISTER_CPU_MASK: u16 = 3;
const TYPE_STATS: u16 = 3;
const TYPE_TASK: u16 = 4;
const TYPE_GROUP: u16 = 5;
const TYPE_GROUP_ID: u16 = 2;
/// Length of the header of a generic netlink message.
const GENERIC_HEADER: usize = 4;

/// Flag: the task was a main thread and never completed an exec.
const AFORK: u8 = 0x01;
/// Flag: the last task of its process (version 12).
const AGROUP: u8 = 0x20;
/// First version with the thread group and the executable.
const VERSION_WITH_GROUP: u16 = 12;
/// Length of the name in the struct.
const COMM: usize = 32;

// Offsets in `struct taskstats`. They are the same on 32-bit and 64-bit architectures, because the struct aligns its
// 64-bit fields explicitly.
const AT_VERSION: usize = 0;
const AT_EXIT_CODE: usize = 4;
const AT_FLAG: usize = 8;
const AT_COMM: usize = 80;
const AT_UID: usize = 120;
const AT_GID: usize = 124;
const AT_PID: usize = 128;
const AT_PARENT: usize = 132;
const AT_ELAPSED: usize = 144;
const AT_GROUP: usize = 368;
const AT_GROUP_ELAPSED: usize = 376;
const AT_EXECUTABLE_DEVICE: usize = 384;
const AT_EXECUTABLE_INODE: usize = 392;

/// The ends of processes in a datagram; `family` is the kernel's number for `TASKSTATS`. Ends of single threads and
/// other messages are skipped. Ends after the first malformed message.
pub fn exits(datagram: &[u8], family: u16) -> impl Iterator<Item = Result<Exit, Malformed>> {
    tasks(datagram, family).filter_map(|task| match task {
        Ok(task) => task.exit().map(Ok),
        Err(malformed) => Some(Err(malformed)),
    })
}

/// The record of one task.
#[derive(Clone, Copy, Debug)]
struct Task<'a> {
    stats: &'a [u8],
    fields: Exit,
    flag: u8,
    /// The process whose last task this was, by the second attribute.
    group: Option<u32>,
}

fn tasks(datagram: &[u8], family: u16) -> impl Iterator<Item = Result<Task<'_>, Malformed>> {
    let tasks = netlink::messages(datagram).filter_map(move |message| match message {
        Ok(message) if message.kind == family => task(message.payload).transpose(),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    });
    netlink::up_to_malformed(tasks)
}

/// Parses the payload of a message of the family.
fn task(payload: &[u8]) -> Result<Option<Task<'_>>, Malformed> {
    if payload.first() != Some(&COMMAND_NEW) {
        return Ok(None);
    }
    let attributes = payload.get(GENERIC_HEADER..).ok_or(Malformed("message without its header"))?;
    let Some(of_task) = attribute(attributes, TYPE_TASK)? else { return Ok(None) };
    let stats = attribute(of_task, TYPE_STATS)?.ok_or(Malformed("task without its record"))?;
    let group = match attribute(attributes, TYPE_GROUP)? {
        Some(of_group) => attribute(of_group, TYPE_GROUP_ID)?.and_then(|value| u32_at(value, 0)),
        None => None,
    };
    Ok(Some(Task {
        stats,
        fields: fields(stats).ok_or(Malformed("task's record is too short"))?,
        flag: stats.get(AT_FLAG).copied().unwrap_or(0),
        group,
    }))
}

/// The fields that every version has.
fn fields(stats: &[u8]) -> Option<Exit> {
    let bytes: [u8; COMM] = stats.get(AT_COMM..)?.first_chunk().copied()?;
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(COMM);
    Some(Exit {
        pid: u32_at(stats, AT_PID)?,
        parent: u32_at(stats, AT_PARENT)?,
        uid: u32_at(stats, AT_UID)?,
        gid: u32_at(stats, AT_GID)?,
        comm: Comm { bytes, length },
        executable: None,
        never_ran_exec: None,
        elapsed_us: Some(u64_at(stats, AT_ELAPSED)?),
        exit_code: u32_at(stats, AT_EXIT_CODE)?,
        is_whole_process: false,
    })
}

impl Task<'_> {
    /// The struct has the thread group and the executable.
    fn has_group(&self) -> bool {
        netlink::u16_at(self.stats, AT_VERSION).is_some_and(|version| version >= VERSION_WITH_GROUP)
            && self.stats.len() >= AT_EXECUTABLE_INODE + size_of::<u64>()
    }

    /// The end of a process, if this can be one.
    fn exit(&self) -> Option<Exit> {
        let task = self.fields.pid;
        let exit = if self.has_group() {
            if self.flag & AGROUP == 0 {
                return None;
            }
            let device = u64_at(self.stats, AT_EXECUTABLE_DEVICE)?;
            let inode = u64_at(self.stats, AT_EXECUTABLE_INODE)?;
            Exit {
                pid: u32_at(self.stats, AT_GROUP)?,
                elapsed_us: Some(u64_at(self.stats, AT_GROUP_ELAPSED)?),
                executable: (inode != 0).then(|| FileId { device: major_and_minor(device), inode }),
                is_whole_process: true,
                ..self.fields
            }
        } else {
            let pid = self.group.unwrap_or(task);
            let elapsed_us = self.fields.elapsed_us.filter(|_| pid == task);
            Exit { pid, elapsed_us, is_whole_process: self.group.is_some(), ..self.fields }
        };
        let is_leader = exit.pid == task;
        // Without a thread group id only a set flag proves a main thread.
        let ran_none = self.flag & AFORK != 0;
        let never_ran_exec = (is_leader && (exit.is_whole_process || ran_none)).then_some(ran_none);
        Some(Exit { never_ran_exec, ..exit })
    }
}

/// Decodes the kernel's device number: 12 bits of major between the low 8 and the high 12 bits of minor.
fn major_and_minor(device: u64) -> (u32, u32) {
    let device = device as u32;
    ((device & 0xf_ff00) >> 8, device & 0xff | (device >> 12) & 0xf_ff00)
}

/// A subscription to the ends of all processes.
///
/// The receive buffer of [`RECEIVE_BUFFER`] holds 13,000 records (measured on Linux 6.18: 1,280 bytes of kernel memory
/// each). The records of threads, which are not passed on, take room too.
#[derive(Debug)]
pub struct Taskstats {
    socket: Socket,
    family: u16,
    has_executables: bool,
}

impl Taskstats {
    /// Subscribes. Closing the socket ends the subscription. A thread is started and ended, to check that its record
    /// arrives and which fields it has.
    ///
    /// # Errors
    /// PermissionDenied without CAP_NET_ADMIN, NotFound in a kernel without taskstats, InvalidInput
    /// outside of the initial pid or user namespace, Unsupported outside of the initial network namespace. Others are
    /// those of the system calls.
    pub fn open() -> io::Result<Self> {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }

    fn with_receive_buffer(receive_buffer: usize) -> io::Result<Self> {
        let mut this = Self { socket: Socket::open(GENERIC, 0, receive_buffer)?, family: 0, has_executables: false };
        let name = request(libc::CTRL_CMD_GETFAMILY as u8, libc::CTRL_ATTR_FAMILY_NAME as u16, b"TASKSTATS\0");
        let answer = this
            .ask(1, libc::GENL_ID_CTRL as u16, &name)
            .map_err(|error| netlink::because(error, "this kernel has no taskstats"))?;
        let family = answer.get(GENERIC_HEADER..).map(|rest| attribute(rest, libc::CTRL_ATTR_FAMILY_ID as u16));
        let family = family.and_then(|found| found.ok().flatten()).and_then(|value| netlink::u16_at(value, 0));
        this.family = family.ok_or_else(|| io::Error::other("the kernel does not report the family of taskstats"))?;

        let processors = possible_processors()?;
        this.ask(2, this.family, &request(COMMAND_GET, REGISTER_CPU_MASK, &processors)).map_err(|error| {
            let meaning = match error.kind() {
                io::ErrorKind::InvalidInput => "taskstats works only in the initial pid and user namespaces",
                _ => "taskstats refuses",
            };
            netlink::because(error, meaning)
        })?;
        this.has_executables = this.probe()?;
        Ok(this)
    }

    /// Sends a request and returns the payload of its answer, which is empty for a mere acknowledgement. The kernel
    /// queues the answer within the send.
    fn ask(&mut self, sequence: u32, kind: u16, payload: &[u8]) -> io::Result<Vec<u8>> {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        self.socket.send(&netlink::message(kind, flags, sequence, payload))?;
        let mut answer = Vec::new();
        while let Some(datagram) = self.socket.receive()? {
            for message in netlink::messages(datagram).map_while(Result::ok) {
                if message.kind == libc::NLMSG_ERROR as u16 && message.sequence == sequence {
                    return match u32_at(message.payload, 0).map(u32::cast_signed) {
                        Some(0) => Ok(answer),
                        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
                        None => Err(io::ErrorKind::InvalidData.into()),
                    };
                }
                if message.kind == kind && message.sequence == sequence {
                    answer = message.payload.to_vec();
                }
            }
        }
        Err(io::Error::other("no answer"))
    }

    /// Ends a thread and waits for its record, because the kernel sends records only into the initial network
    /// namespace. Returns whether records hold executables.
    fn probe(&mut self) -> io::Result<bool> {
        // The record is queued before the memory of the thread is freed, which join waits for.
        let thread = std::thread::Builder::new().spawn(|| ())?;
        thread.join().map_err(|_| io::Error::other("cannot end a thread"))?;
        while let Some(datagram) = self.socket.receive()? {
            if let Some(task) = tasks(datagram, self.family).find_map(Result::ok) {
                return Ok(task.has_group());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "taskstats sends nothing: it works only in the initial network namespace",
        ))
    }

    /// Whether records hold the executable and mark the last task of a process (Linux 5.19).
    pub fn has_executables(&self) -> bool {
        self.has_executables
    }

    /// Passes on every queued end of a process, without waiting.
    ///
    /// # Errors
    /// Those of `recvfrom(2)`. An overflow is not an error; see [`Drained::lost`].
    pub fn drain(&mut self, take: &mut dyn FnMut(Exit)) -> io::Result<Drained> {
        let family = self.family;
        self.socket.drain(&mut |datagram| {
            let mut records = 0;
            for exit in exits(datagram, family) {
                take(exit?);
                records += 1;
            }
            Ok(records)
        })
    }
}

impl AsFd for Taskstats {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The processors that this machine may ever have, as a NUL-terminated list.
fn possible_processors() -> io::Result<Vec<u8>> {
    const FILE: &str = "/sys/devices/system/cpu/possible";
    let mut list = std::fs::read(FILE).map_err(|error| netlink::because(error, FILE))?;
    list.truncate(list.trim_ascii_end().len());
    list.push(0);
    Ok(list)
}

/// The payload of a generic netlink request with one attribute.
fn request(command: u8, kind: u16, value: &[u8]) -> Vec<u8> {
    const ATTRIBUTE_HEADER: usize = 4;
    let mut payload = vec![command, 1, 0, 0];
    payload.extend(((ATTRIBUTE_HEADER + value.len()) as u16).to_ne_bytes());
    payload.extend(kind.to_ne_bytes());
    payload.extend(value);
    payload.resize(payload.len().next_multiple_of(4), 0);
    payload
}

#[cfg(test)]
mod tests;
