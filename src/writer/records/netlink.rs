//! Netlink for both sources: a socket that accepts messages of the kernel only, and the framing.
//!
//! Layout from `<linux/netlink.h>`, native byte order:
//!
//! ```text
//! message:   0 u32 length | 4 u16 kind | 6 u16 flags | 8 u32 sequence | 12 u32 port | 16 payload
//! attribute: 0 u16 length | 2 u16 kind | 4 value
//! ```
//!
//! Lengths include the header; each message and attribute starts at a multiple of four bytes. The parsers are pure and
//! check every length.

use crate::sys;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most kernel memory queued in one socket, in bytes. SO_RCVBUFFORCE gets half, because the kernel doubles the value.
/// A full socket drops and counts records until it has been read empty.
pub const RECEIVE_BUFFER: usize = 16 << 20;

/// Longest datagram, in bytes. Records have at most about 1,000; the connector's limit is 16 KiB.
const MAX_DATAGRAM: usize = 16 << 10;

/// More datagrams than fit into [`RECEIVE_BUFFER`], each taking more than 512 bytes there. A drain ends after so many
/// even under a flood, with everything read that was queued when it began.
const MAX_DATAGRAMS: usize = RECEIVE_BUFFER / 512;

/// Length of a message's header.
const HEADER: usize = 16;
/// Length of an attribute's header.
const ATTRIBUTE_HEADER: usize = 4;

/// The result of one drain of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records passed on.
    pub records: usize,
    /// At least so many records were dropped since the last drain, because the receive buffer was full, or were
    /// malformed. 0: none were dropped so far.
    pub lost: u64,
}

/// A datagram without the layout that the kernel promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed netlink record: {0}")]
pub struct Malformed(pub &'static str);

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_seq`; an answer has that of its request.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of a datagram. Ends after the first malformed one.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (bytes, after) = match split(rest, u32_at(rest, 0).map(|length| length as usize), HEADER) {
            Ok(parts) => parts,
            Err(malformed) => {
                rest = &[];
                return Some(Err(malformed));
            }
        };
        rest = after;
        let message =
            || Some(Message { kind: u16_at(bytes, 4)?, sequence: u32_at(bytes, 8)?, payload: bytes.get(HEADER..)? });
        message().map(Ok)
    })
}

/// The attributes in `bytes`, kind and value each. Ends after the first malformed one.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (bytes, after) = match split(rest, u16_at(rest, 0).map(usize::from), ATTRIBUTE_HEADER) {
            Ok(parts) => parts,
            Err(malformed) => {
                rest = &[];
                return Some(Err(malformed));
            }
        };
        rest = after;
        // The two highest bits of the kind are flags (nested, byte order).
        let attribute = || Some((u16_at(bytes, 2)? & 0x3fff, bytes.get(ATTRIBUTE_HEADER..)?));
        attribute().map(Ok)
    })
}

/// The value of the first attribute of a kind.
pub fn attribute(bytes: &[u8], kind: u16) -> Result<Option<&[u8]>, Malformed> {
    for found in attributes(bytes) {
        let (found, value) = found?;
        if found == kind {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The items up to and including the first malformed one. Nothing after it is trusted.
pub(super) fn up_to_malformed<T>(
    all: impl Iterator<Item = Result<T, Malformed>>,
) -> impl Iterator<Item = Result<T, Malformed>> {
    let mut is_over = false;
    all.take_while(move |item| !std::mem::replace(&mut is_over, item.is_err()))
}

/// Splits off the first `length` bytes and the padding after them.
fn split(bytes: &[u8], length: Option<usize>, header: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let length = length.ok_or(Malformed("shorter than a length"))?;
    if length < header {
        return Err(Malformed("length is shorter than the header"));
    }
    let part = bytes.get(..length).ok_or(Malformed("length is longer than what was read"))?;
    // The padding of the last one may be missing.
    Ok((part, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// A message for the kernel.
pub(super) fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

/// A netlink socket connected to the kernel. Reading never waits.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    buffer: Box<[u8]>,
    port: u32,
    /// The kernel's count of dropped datagrams at the last drain.
    drops: u32,
}

impl Socket {
    /// Opens a socket of a protocol and joins its groups (a bit mask). `receive_buffer` differs from
    /// [`RECEIVE_BUFFER`] only in tests.
    pub fn open(protocol: Protocol, groups: u32, receive_buffer: usize) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(protocol))
            .map_err(|error| because(error, "no such netlink protocol in this kernel"))?;
        sockopt::set_socket_recv_buffer_size_force(&descriptor, receive_buffer / 2)
            .map_err(|error| because(error, "needs CAP_NET_ADMIN in the initial user namespace"))?;
        rustix::net::bind(&descriptor, &SocketAddrNetlink::new(0, groups))
            .map_err(|error| because(error, "cannot join the group of records"))?;
        // From now on the kernel refuses messages of others to this port.
        rustix::net::connect(&descriptor, &SocketAddrNetlink::new(0, 0))?;
        let port = SocketAddrNetlink::try_from(rustix::net::getsockname(&descriptor)?)?.pid();
        let drops = sys::socket_drops(descriptor.as_fd())?;
        Ok(Self { descriptor, port, buffer: vec![0; MAX_DATAGRAM].into_boxed_slice(), drops })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The address of this socket, unique within its protocol.
    pub fn port(&self) -> u32 {
        self.port
    }

    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.descriptor, message, SendFlags::empty())?;
        Ok(())
    }

    /// The next datagram of the kernel; `None` when the queue is empty.
    pub fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        let length = loop {
            match rustix::net::recvfrom(&self.descriptor, &mut *self.buffer, RecvFlags::DONTWAIT) {
                Ok((length, _, Some(sender))) => {
                    // Others may send to the group. The kernel has port 0.
                    if SocketAddrNetlink::try_from(sender).is_ok_and(|sender| sender.pid() == 0) {
                        break length;
                    }
                }
                Ok((_, _, None)) => {}
                Err(Errno::AGAIN) => return Ok(None),
                // Reported once for each overflow. Datagrams queued before it are still readable, and `drain`
                // counts the lost ones.
                Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        Ok(self.buffer.get(..length))
    }

    /// Passes on every queued datagram. `take` returns the number of records in it.
    pub fn drain(&mut self, take: &mut dyn FnMut(&[u8]) -> Result<usize, Malformed>) -> io::Result<Drained> {
        let mut drained = Drained::default();
        for _ in 0..MAX_DATAGRAMS {
            let Some(datagram) = self.receive()? else { break };
            match take(datagram) {
                Ok(records) => drained.records += records,
                Err(_) => drained.lost += 1,
            }
        }
        // Read after the datagrams: a difference of 0 means that none before this moment was dropped.
        let drops = sys::socket_drops(self.descriptor.as_fd())?;
        drained.lost += u64::from(drops.wrapping_sub(self.drops));
        self.drops = drops;
        Ok(drained)
    }
}

/// An error of the kernel with its meaning here.
pub(super) fn because(error: impl Into<io::Error>, meaning: &str) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{meaning}: {error}"))
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_ne_bytes)
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_ne_bytes)
}
