//! The process connector: forks and execs.
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

use super::netlink::{self, Drained, Malformed, RECEIVE_BUFFER, Socket, u16_at, u32_at, u64_at};
use rustix::net::netlink::CONNECTOR;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A record of the process connector. Pids are thread group ids; times are nanoseconds of CLOCK_MONOTONIC.
///
/// The kernel queues the record of a fork before the child runs, and that of an exec before the new program runs. It
/// takes the time before it queues, so records of two processors may be slightly out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// A new process.
    Fork {
        /// Its parent in the process tree. With CLONE_PARENT the child is a copy of a sibling, which no record names.
        parent: u32,
        /// The new process.
        child: u32,
        /// Time.
        time: u64,
    },
    /// A new thread.
    Thread {
        /// Its process.
        process: u32,
        /// Time.
        time: u64,
    },
    /// A completed exec.
    Exec {
        /// The process.
        pid: u32,
        /// Time.
        time: u64,
    },
}

/// Index and value of the process connector in messages.
const INDEX: u32 = 1;
const VALUE: u32 = 1;
/// Bit of its multicast group.
const GROUP: u32 = 1 << (INDEX - 1);
/// Offset of the event in a message.
const EVENT: usize = 20;
/// Length of an event's common fields.
const EVENT_HEADER: usize = 16;

const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

const ACKNOWLEDGEMENT: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
/// Every kind of event. The kernel ignores unknown bits.
const EVERYTHING: u32 = u32::MAX;

/// A parsed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    Event(ProcessEvent),
    Acknowledged { number: u32, error: u32 },
    Other,
}

/// The forks, threads and execs in a datagram. Ends after the first malformed message.
pub fn events(datagram: &[u8]) -> impl Iterator<Item = Result<ProcessEvent, Malformed>> {
    parsed(datagram).filter_map(|parsed| match parsed {
        Ok(Parsed::Event(event)) => Some(Ok(event)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn parsed(datagram: &[u8]) -> impl Iterator<Item = Result<Parsed, Malformed>> {
    netlink::up_to_malformed(netlink::messages(datagram).map(|message| parse(message?.payload)))
}

fn parse(payload: &[u8]) -> Result<Parsed, Malformed> {
    let word = |offset| u32_at(payload, offset).ok_or(Malformed("shorter than a connector message"));
    if (word(0)?, word(4)?) != (INDEX, VALUE) {
        return Ok(Parsed::Other);
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
            Parsed::Event(if task == process {
                ProcessEvent::Fork { parent, child: process, time }
            } else {
                ProcessEvent::Thread { process, time }
            })
        }
        EXEC => Parsed::Event(ProcessEvent::Exec { pid: number(1)?, time }),
        ACKNOWLEDGEMENT => Parsed::Acknowledged { number: word(12)?, error: number(0)? },
        _ => Parsed::Other,
    })
}

/// A subscription to forks and execs.
///
/// The receive buffer of [`RECEIVE_BUFFER`] holds 20,000 records (measured on Linux 6.18: 832 bytes of kernel memory
/// each): 10,000 programs started by fork and exec.
#[derive(Debug)]
pub struct Connector {
    socket: Socket,
    /// The kernel counts this socket as a listener.
    is_counted: bool,
    is_filtered: bool,
}

impl Connector {
    /// Subscribes to forks and execs. Before Linux 6.6 the kernel sends every kind of event (exits, changes of
    /// credentials), and the parser skips the others.
    ///
    /// # Errors
    /// PermissionDenied without CAP_NET_ADMIN, ConnectionRefused outside of the initial network namespace. Unsupported
    /// outside of the initial pid or user namespace, or when another process silenced the connector. Others are those
    /// of the system calls.
    pub fn open() -> io::Result<Self> {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }

    fn with_receive_buffer(receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::open(CONNECTOR, GROUP, receive_buffer)?;
        let mut this = Self { socket, is_counted: false, is_filtered: false };
        // A kernel without filters ignores the longer form and does not acknowledge it. A filter would drop the
        // acknowledgement, so the first one passes everything.
        let [operation, everything, narrow] = [LISTEN, EVERYTHING, FORK | EXEC].map(u32::to_ne_bytes);
        let is_filtered = this.ask(&[operation, everything].concat())?;
        this.is_counted = is_filtered || this.ask(&operation)?;
        if !this.is_counted {
            // Not undone on drop: another process may have lowered the kernel's count of listeners, and this raises
            // it for the next attempt.
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

    /// Sends an operation and returns whether it was acknowledged. The kernel queues the answer within the send.
    fn ask(&mut self, operation: &[u8]) -> io::Result<bool> {
        let number = self.socket.port();
        let sent = self.socket.send(&request(number, operation));
        sent.map_err(|error| netlink::because(error, "no process connector in this network namespace"))?;
        while let Some(datagram) = self.socket.receive()? {
            for parsed in parsed(datagram) {
                // Every listener gets every acknowledgement. The number is this socket's unique address.
                let Ok(Parsed::Acknowledged { number: answered, error }) = parsed else { continue };
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

    /// Closes a socket that the kernel no longer counts as a listener, without lowering the count.
    pub fn leave_uncounted(mut self) {
        self.is_counted = false;
    }

    /// Whether the kernel sends only forks and execs (Linux 6.6).
    pub fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Passes on every queued event, without waiting.
    ///
    /// # Errors
    /// Those of `recvfrom(2)`. An overflow is not an error; see [`Drained::lost`].
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
        // The kernel does not notice the close and would continue to make records.
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
