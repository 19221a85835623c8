//! The bytes of a fanotify queue, parsed.
//!
//! Layout from `fanotify(7)` and `<linux/fanotify.h>`, native byte order:
//!
//! ```text
//! 0 u32 event_len | 4 u8 version (3) | 5 u8 | 6 u16 metadata_len | 8 u64 mask | 16 i32 fd | 20 i32 pid
//! then info records up to event_len: u8 type | u8 pad | u16 len | payload
//! ```
//!
//! The parser trusts nothing in a record: it checks every length against what was read, and a name must be one path
//! component. Pure: no system call, no allocation.

use crate::event::{Action, HandleNameRef};
use fanotify::low_level::{
    FAN_CLOSE_WRITE, FAN_CREATE, FAN_MODIFY, FAN_MOVED_TO, FAN_ONDIR, FAN_OPEN_EXEC, FAN_Q_OVERFLOW,
};

/// Version of the structure that this parser knows (FANOTIFY_METADATA_VERSION).
const VERSION: u8 = 3;
/// Size of the fixed part of an event, in bytes.
const METADATA: usize = 24;
/// Size of the header of an info record, in bytes.
const INFO_HEADER: usize = 4;

/// One event of the queue, borrowed from the buffer it was read into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// FAN_* bits; several when the kernel merged events of one process on one file.
    pub mask: u64,
    /// Process id in the reader's pid namespace; 0 when it has none there.
    pub pid: i32,
    /// Descriptor number of the pidfd; negative when the kernel has none.
    pub pidfd: Option<i32>,
    /// Directory and name of the event.
    pub name: Option<HandleNameRef<'a>>,
    /// Directory and name before a rename (FAN_RENAME).
    pub old_name: Option<HandleNameRef<'a>>,
}

impl Record<'_> {
    /// The queue has lost events.
    pub fn is_overflow(&self) -> bool {
        self.has(FAN_Q_OVERFLOW)
    }

    /// A process begins to start the program of this name.
    pub fn is_program_start(&self) -> bool {
        self.has(FAN_OPEN_EXEC)
    }

    /// The name is that of a directory.
    pub fn is_directory(&self) -> bool {
        self.has(FAN_ONDIR)
    }

    /// The name was given by a rename.
    pub fn is_rename(&self) -> bool {
        self.has(libc::FAN_RENAME | FAN_MOVED_TO)
    }

    /// The writer has finished with the file.
    pub fn is_complete(&self) -> bool {
        self.is_rename() || self.has(FAN_CLOSE_WRITE)
    }

    /// What was done to the file; `None` when nothing was written.
    pub fn action(&self) -> Option<Action> {
        match () {
            () if self.is_rename() => Some(Action::Rename),
            () if self.has(FAN_CREATE) => Some(Action::Creation),
            () if self.has(FAN_MODIFY | FAN_CLOSE_WRITE) => Some(Action::Change),
            () => None,
        }
    }

    fn has(&self, any_of: u64) -> bool {
        self.mask & any_of != 0
    }
}

/// The buffer does not have the layout that the kernel promises; the rest of it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed fanotify record at byte {offset}: {reason}")]
pub struct Malformed {
    /// Where in the buffer.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// Iterates over the events of one `read(2)`. Ends after the first malformed one.
pub fn records(buffer: &[u8]) -> Records<'_> {
    Records { buffer, offset: 0 }
}

/// See [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    buffer: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.buffer.get(self.offset..).filter(|rest| !rest.is_empty())?;
        match event(rest) {
            Ok((record, length)) => {
                self.offset += length;
                Some(Ok(record))
            }
            Err(reason) => {
                let offset = self.offset;
                self.offset = self.buffer.len();
                Some(Err(Malformed { offset, reason }))
            }
        }
    }
}

/// Parses the event at the start of `bytes`; gives it and its length.
fn event(bytes: &[u8]) -> Result<(Record<'_>, usize), &'static str> {
    let length = u32_at(bytes, 0).ok_or("shorter than an event")? as usize;
    if length < METADATA {
        return Err("event_len is shorter than the metadata");
    }
    let event = bytes.get(..length).ok_or("event_len is longer than what was read")?;
    if event.get(4) != Some(&VERSION) {
        return Err("unknown version of the metadata");
    }
    let metadata = u16_at(event, 6).ok_or("no metadata_len")? as usize;
    let mut infos = match metadata {
        METADATA.. => event.get(metadata..).ok_or("metadata_len is longer than the event")?,
        _ => return Err("metadata_len is shorter than the metadata"),
    };
    let mut record = Record {
        mask: u64_at(event, 8).ok_or("no mask")?,
        pid: i32_at(event, 20).ok_or("no pid")?,
        pidfd: None,
        name: None,
        old_name: None,
    };
    while !infos.is_empty() {
        let length = u16_at(infos, 2).ok_or("info record without a length")? as usize;
        if length < INFO_HEADER {
            return Err("info record shorter than its header");
        }
        let payload = infos.get(INFO_HEADER..length).ok_or("info record longer than the event")?;
        let kind = infos.first().copied().unwrap_or(0);
        match kind {
            libc::FAN_EVENT_INFO_TYPE_DFID_NAME | libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => {
                record.name = Some(name(payload)?);
            }
            libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => record.old_name = Some(name(payload)?),
            libc::FAN_EVENT_INFO_TYPE_PIDFD => {
                record.pidfd = Some(i32_at(payload, 0).ok_or("pidfd record too short")?);
            }
            // Others (the file's own handle, an error count) are not needed; later kernels may add more.
            _ => {}
        }
        infos = infos.get(length..).unwrap_or_default();
    }
    Ok((record, length))
}

/// Parses the payload of a directory-and-name record: fsid, `struct file_handle`, name, NUL padding.
fn name(payload: &[u8]) -> Result<HandleNameRef<'_>, &'static str> {
    let fsid = u64_at(payload, 0).ok_or("name record without fsid")?;
    let handle_length = u32_at(payload, 8).ok_or("name record without handle length")? as usize;
    let handle_type = i32_at(payload, 12).ok_or("name record without handle type")?;
    let end = 16usize.checked_add(handle_length).ok_or("handle length overflows")?;
    let handle = payload.get(16..end).ok_or("handle longer than its record")?;
    let padded = payload.get(end..).ok_or("name record without a name")?;
    let length = padded.iter().position(|&byte| byte == 0).ok_or("name without its NUL")?;
    let name = padded.get(..length).unwrap_or_default();
    if name.is_empty() || name.contains(&b'/') {
        return Err("name is empty or contains a slash");
    }
    Ok(HandleNameRef { fsid, handle_type, handle, name })
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], offset: usize) -> Option<i32> {
    array_at(bytes, offset).map(i32::from_ne_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_ne_bytes)
}

#[cfg(test)]
mod tests;
