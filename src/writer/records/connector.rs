//! The process connector: which process was made by which, and when one ran another program.
//!
//! A message holds (`<linux/connector.h>`, `<linux/cn_proc.h>`, native byte order):
//!
//! ```text
//! 0 u32 index | 4 u32 value | 8 u32 sequence | 12 u32 ack | 16 u16 length | 18 u16 flags
//! 20 u32 what | 24 u32 cpu | 28 u64 time
//! 36 fork: u32 parent_pid | u32 parent_tgid | u32 child_pid | u32 child_tgid
//! 36 exec: u32 pid | u32 tgid
//! 36 acknowledgement: u32 error
//! ```

use super::Drained;
use super::Malformed;
use super::netlink;
use super::netlink::{RECEIVE_BUFFER, Socket};
use super::netlink::{u16_at, u32_at, u64_at};
use rustix::net::netlink::CONNECTOR;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What the process connector tells. A process is named by its thread group id; times are
/// CLOCK_MONOTONIC nanoseconds.
///
/// The record of a fork is queued before the child runs, that of an exec before the new program does.
/// Times are taken before queueing, so records of two processors may stand a little out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// A process was made.
    Fork {
        /// Its parent by the process tree. Not always the process that it is a copy of: with
        /// CLONE_PARENT that is a sibling, which is not told.
        parent: u32,
        /// The new process.
        child: u32,
        /// When.
        time: u64,
    },
    /// A thread was made.
    Thread {
        /// The process that it belongs to.
        process: u32,
        /// When.
        time: u64,
    },
    /// A process runs another program from now on.
    Exec {
        /// The process.
        pid: u32,
        /// When.
        time: u64,
    },
}

/// Index and value of the process connector, as they stand in messages.
const INDEX: u32 = 1;
const VALUE: u32 = 1;
/// Bit of its multicast group.
const GROUP: u32 = 1 << (INDEX - 1);
/// Where the event begins in a message.
const EVENT: usize = 20;
/// Length of an event without what is particular to its kind.
const EVENT_HEADER: usize = 16;

const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

const ACKNOWLEDGEMENT: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
/// The kernel takes the bits that it knows.
const EVERYTHING: u32 = u32::MAX;

/// An event as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Event(ProcessEvent),
    Acknowledged { number: u32, error: u32 },
    Other,
}

/// The events in a datagram, those of other kinds left out. Ends after the first malformed one.
pub fn events(datagram: &[u8]) -> impl Iterator<Item = Result<ProcessEvent, Malformed>> {
    told(datagram).filter_map(|told| match told {
        Ok(Told::Event(event)) => Some(Ok(event)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn told(datagram: &[u8]) -> impl Iterator<Item = Result<Told, Malformed>> {
    netlink::up_to_malformed(netlink::messages(datagram).map(|message| parse(message?.payload)))
}

fn parse(payload: &[u8]) -> Result<Told, Malformed> {
    let word = |offset| u32_at(payload, offset).ok_or(Malformed("shorter than a connector message"));
    if (word(0)?, word(4)?) != (INDEX, VALUE) {
        return Ok(Told::Other);
    }
    let length = u16_at(payload, 16).ok_or(Malformed("connector message without a length"))?;
    let event = payload.get(EVENT..).and_then(|rest| rest.get(..usize::from(length)));
    let event = event.ok_or(Malformed("event longer than its message"))?;
    let what = u32_at(event, 0).ok_or(Malformed("event without a kind"))?;
    let time = u64_at(event, 8).ok_or(Malformed("event without a time"))?;
    let number = |index: usize| u32_at(event, EVENT_HEADER + 4 * index).ok_or(Malformed("event too short"));
    Ok(match what {
        FORK => {
            let (parent, task, process) = (number(1)?, number(2)?, number(3)?);
            Told::Event(if task == process {
                ProcessEvent::Fork { parent, child: process, time }
            } else {
                ProcessEvent::Thread { process, time }
            })
        }
        EXEC => Told::Event(ProcessEvent::Exec { pid: number(1)?, time }),
        ACKNOWLEDGEMENT => Told::Acknowledged { number: word(12)?, error: number(0)? },
        _ => Told::Other,
    })
}

/// A subscription to forks and execs.
///
/// Into its receive buffer of [`RECEIVE_BUFFER`] fit 20,000 records (measured on Linux 6.18: 832 bytes of
/// kernel memory each), which are 10,000 programs started by fork and exec.
#[derive(Debug)]
pub struct Connector {
    socket: Socket,
    /// The kernel counts this socket as a listener.
    is_counted: bool,
    is_filtered: bool,
}

impl Connector {
    /// Subscribes to forks and execs. Before Linux 6.6 the kernel tells everything (exits, changes of
    /// credentials), and the parser leaves the rest out.
    ///
    /// # Errors
    /// PermissionDenied without CAP_NET_ADMIN, ConnectionRefused in another network namespace than the
    /// initial one, Unsupported in another pid or user namespace or when another process silenced the
    /// connector, others as the system calls give them.
    pub fn open() -> io::Result<Self> {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }

    fn with_receive_buffer(receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::open(CONNECTOR, GROUP, receive_buffer)?;
        let mut this = Self { socket, is_counted: false, is_filtered: false };
        // A kernel that knows no filter ignores the longer form and acknowledges nothing. With a
        // filter in place no acknowledgement passes it: so first everything, then the narrow one.
        let [operation, everything, narrow] = [LISTEN, EVERYTHING, FORK | EXEC].map(u32::to_ne_bytes);
        let is_filtered = this.ask(&[operation, everything].concat())?;
        this.is_counted = is_filtered || this.ask(&operation)?;
        if !this.is_counted {
            // Not taken back (see Drop): if the kernel's count of listeners is too low, because
            // another process lowered it, this raises it for the next attempt.
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the process connector does not answer: it works only in the initial pid and user namespaces, \
                 and another process may have silenced it",
            ));
        }
        this.is_filtered = is_filtered;
        if is_filtered {
            this.socket.send(&request(0, &[operation, narrow].concat()))?;
        }
        Ok(this)
    }

    /// Sends an operation; whether it was acknowledged. The kernel queues the answer
    /// within the send.
    fn ask(&mut self, operation: &[u8]) -> io::Result<bool> {
        let number = self.socket.port();
        let sent = self.socket.send(&request(number, operation));
        sent.map_err(|error| netlink::because(error, "no process connector in this network namespace"))?;
        while let Some(datagram) = self.socket.receive()? {
            for told in told(datagram) {
                // All listeners get all acknowledgements: the number, an address that no other has, makes it
                // ours.
                let Ok(Told::Acknowledged { number: answered, error }) = told else { continue };
                if answered != number.wrapping_add(1) {
                    continue;
                }
                if error == 0 {
                    return Ok(true);
                }
                let error = io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(libc::EIO));
                return Err(netlink::because(error, "the process connector refuses"));
            }
        }
        Ok(false)
    }

    /// Closes it without taking it back from the kernel's count of listeners, for a socket that the kernel
    /// does not count any more.
    pub fn leave_uncounted(mut self) {
        self.is_counted = false;
    }

    /// Whether the kernel tells only what was asked for (Linux 6.6).
    pub fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Hands on every event that is queued, without waiting.
    ///
    /// # Errors
    /// As `recvfrom(2)` gives them. An overflow is none; see [`Drained::lost`].
    pub fn drain(&mut self, take: &mut dyn FnMut(ProcessEvent)) -> io::Result<Drained> {
        self.socket.drain(&mut |datagram| {
            let mut records = 0;
            for event in events(datagram) {
                take(event?);
                records += 1;
            }
            Ok(records)
        })
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // The kernel does not notice by the close, and would go on making records for nobody.
        if self.is_counted
            && let Err(error) = self.socket.send(&request(0, &IGNORE.to_ne_bytes()))
        {
            log::debug!("cannot leave the process connector: {error}");
        }
    }
}

/// A message to the process connector; its acknowledgement has the next number.
fn request(number: u32, operation: &[u8]) -> Vec<u8> {
    let mut payload: Vec<u8> = [INDEX, VALUE, 0, number].into_iter().flat_map(u32::to_ne_bytes).collect();
    payload.extend((operation.len() as u16).to_ne_bytes());
    payload.extend(0u16.to_ne_bytes());
    payload.extend(operation);
    netlink::message(libc::NLMSG_DONE as u16, 0, 0, &payload)
}

#[cfg(test)]
mod tests;
