//! Compiled Python files: the header, and the names and texts among the constants. The code itself is not analysed, so
//! the content is opaque unless its names prove an attack.
//!
//! Sources: `Lib/importlib/_bootstrap_external.py` (magic numbers), PEP 552 (flags), `Python/marshal.c`
//! (types of objects).

use crate::event::{ContentClass, ContentReport, Signal, Signals};
use crate::hook::python;

/// Most bytes read.
pub const MAX_BYTECODE: usize = 1 << 20;
/// Longest name that is looked for.
const MAX_NAME: usize = 40;

/// The first bytes of a compiled file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of Python that made it, if its number is known.
    pub version: Option<(u8, u8)>,
    /// The flags of PEP 552; `None` before Python 3.7.
    pub flags: Option<u32>,
    /// Modification time of the source in seconds, if it is tied to that.
    pub source_time: Option<u32>,
    /// Size of the source in bytes, if it is tied to that.
    pub source_size: Option<u32>,
    /// Where the code begins.
    pub length: usize,
}

/// The header of a compiled file; `None` for anything else.
pub fn header(content: &[u8]) -> Option<Header> {
    let [low, high, b'\r', b'\n', ..] = content else { return None };
    let magic = u16::from_le_bytes([*low, *high]);
    let version = version(magic);
    let word = |at: usize| content.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    Some(match version {
        Some((2, _) | (3, 0..=2)) => {
            Header { version, flags: None, source_time: word(4), source_size: None, length: 8 }
        }
        Some((3, 3..=6)) => Header { version, flags: None, source_time: word(4), source_size: word(8), length: 12 },
        _ => {
            let flags = word(4);
            let by_time = flags == Some(0);
            let (source_time, source_size) = if by_time { (word(8), word(12)) } else { (None, None) };
            Header { version, flags, source_time, source_size, length: 16 }
        }
    })
}

/// Which Python writes this number.
fn version(magic: u16) -> Option<(u8, u8)> {
    Some(match magic {
        62161..=62211 => (2, if magic >= 62171 { 7 } else { 6 }),
        3000..=3131 => (3, if magic >= 3141 { 1 } else { 0 }),
        3141..=3151 => (3, 1),
        3160..=3180 => (3, 2),
        3190..=3230 => (3, 3),
        3250..=3310 => (3, 4),
        3320..=3351 => (3, 5),
        3360..=3379 => (3, 6),
        3390..=3394 => (3, 7),
        3400..=3413 => (3, 8),
        3420..=3425 => (3, 9),
        3430..=3439 => (3, 10),
        3450..=3495 => (3, 11),
        3500..=3531 => (3, 12),
        3550..=3571 => (3, 13),
        3600..=3627 => (3, 14),
        3650..=3699 => (3, 15),
        _ => return None,
    })
}

/// Header, names and texts of a compiled file. Linear in its size, of which at most [`MAX_BYTECODE`] bytes are read.
pub fn analyse_bytecode(content: &[u8]) -> ContentReport {
    let kept = content.get(..MAX_BYTECODE).unwrap_or(content);
    let mut signals = Signals::default();
    let mut class = ContentClass::Opaque;
    let header = header(kept);
    // Bit 0: tied to a hash of the source; bit 1: and that is looked at. 1 alone is run whatever the source is.
    if header.and_then(|header| header.flags).is_some_and(|flags| flags & 3 == 1) {
        signals.insert(Signal::UncheckedBytecode);
    }
    if kept.len() < content.len() {
        signals.insert(Signal::Truncated);
    }
    let code = kept.get(header.map_or(0, |header| header.length)..).unwrap_or_default();
    let mut names = Names::default();
    let mut mentions = 0;
    let mut text_start = None;
    for (at, byte) in code.iter().copied().enumerate() {
        if let Some(name) = name_at(code, at, byte) {
            names.record(name);
        }
        match (matches!(byte, b' '..=b'~' | b'\n' | b'\t'), text_start) {
            (true, None) => text_start = Some(at),
            (false, Some(start)) => {
                mentions |= python::mentions(code.get(start..at).unwrap_or_default());
                text_start = None;
            }
            _ => {}
        }
    }
    if let Some(start) = text_start {
        mentions |= python::mentions(code.get(start..).unwrap_or_default());
    }
    names.classify(mentions, &mut signals, &mut class);
    ContentReport { signals, truncated: kept.len() < content.len(), ..ContentReport::of(class) }
}

/// A name with its type and length before it.
fn name_at(code: &[u8], at: usize, kind: u8) -> Option<&[u8]> {
    let rest = code.get(at + 1..)?;
    // The highest bit marks an object that is referred to again.
    let (length, text) = match kind & 0x7f {
        b'z' | b'Z' => (usize::from(*rest.first()?), rest.get(1..)?),
        b'a' | b'A' | b'u' | b't' => {
            (usize::try_from(u32::from_le_bytes(rest.get(..4)?.try_into().ok()?)).ok()?, rest.get(4..)?)
        }
        _ => return None,
    };
    if (3..=MAX_NAME).contains(&length) { text.get(..length) } else { None }
}

/// The suspicious names that were found.
#[derive(Default)]
struct Names {
    executes: bool,
    decodes: bool,
    loads: bool,
    spawns: bool,
    network: bool,
    native: bool,
    threads: bool,
    duplicates: bool,
    memory: bool,
}

impl Names {
    fn record(&mut self, name: &[u8]) {
        match name {
            b"exec" | b"eval" | b"execfile" => self.executes = true,
            b"b64decode"
            | b"b32decode"
            | b"b85decode"
            | b"a85decode"
            | b"unhexlify"
            | b"fromhex"
            | b"decompress"
            | b"a2b_base64"
            | b"urlsafe_b64decode"
            | b"standard_b64decode"
            | b"rot13"
            | b"rot_13" => self.decodes = true,
            b"marshal" | b"pickle" | b"dill" => self.loads = true,
            b"system"
            | b"popen"
            | b"Popen"
            | b"check_output"
            | b"check_call"
            | b"execv"
            | b"execve"
            | b"execvp"
            | b"execl"
            | b"spawnl"
            | b"spawnv"
            | b"posix_spawn"
            | b"create_subprocess_exec"
            | b"create_subprocess_shell"
            | b"fork_exec"
            | b"subprocess"
            | b"pty" => self.spawns = true,
            b"urlopen" | b"urlretrieve" | b"create_connection" | b"requests" | b"socket" | b"HTTPSConnection"
            | b"HTTPConnection" | b"getaddrinfo" | b"gethostbyname" => self.network = true,
            b"ctypes" | b"cffi" | b"CFUNCTYPE" | b"mmap" | b"CDLL" => self.native = true,
            b"threading" | b"start_new_thread" => self.threads = true,
            b"dup2" => self.duplicates = true,
            b"memfd_create" => self.memory = true,
            _ => {}
        }
    }

    fn classify(&self, mentions: u32, signals: &mut Signals, class: &mut ContentClass) {
        let found = [
            (self.executes, Signal::Execute),
            (self.decodes, Signal::Decode),
            (self.loads, Signal::Deserialise),
            (self.spawns, Signal::Spawn),
            (self.network, Signal::Network),
            (self.native || self.memory, Signal::NativeCode),
            (self.threads, Signal::Thread),
            (mentions & python::TEMPORARY != 0, Signal::TemporaryPath),
            (mentions & python::DOWNLOAD != 0, Signal::Download),
            (mentions & python::CREDENTIALS != 0, Signal::Credentials),
            (mentions & python::PERSISTENCE != 0, Signal::Persistence),
            (mentions & python::BLOB != 0, Signal::Entropy),
        ];
        found.into_iter().filter(|(is, _)| *is).for_each(|(_, signal)| signals.insert(signal));
        let runs_hidden = self.executes && self.decodes;
        let shell = mentions & python::REVERSE_SHELL != 0 && self.spawns || self.duplicates && self.network;
        let fetches = self.executes && self.network;
        let steals = mentions & python::CREDENTIALS != 0 && self.network;
        if runs_hidden {
            signals.insert(Signal::ExecuteDecoded);
        }
        if runs_hidden || shell || fetches || steals || self.memory && self.spawns || self.loads && self.decodes {
            *class = ContentClass::Hostile;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compiled(flags: u32, names: &[&str]) -> Vec<u8> {
        let mut file = vec![0xa7, 0x0d, b'\r', b'\n'];
        file.extend(flags.to_le_bytes());
        file.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        for name in names {
            file.extend([b'z' | 0x80, u8::try_from(name.len()).unwrap()]);
            file.extend(name.as_bytes());
        }
        file
    }

    #[test]
    fn the_header_has_the_version_and_the_source() {
        let header = header(&compiled(0, &[])).unwrap();
        assert_eq!((header.version, header.flags, header.source_time), (Some((3, 11)), Some(0), Some(0x0403_0201)));
        assert_eq!(super::header(b"\x03\xf3\r\n\x01\0\0\0code").unwrap().version, Some((2, 7)));
        assert_eq!(super::header(b"import os"), None);
    }

    #[test]
    fn bytecode_that_is_run_without_its_source_has_a_signal() {
        assert!(analyse_bytecode(&compiled(1, &[])).signals.contains(Signal::UncheckedBytecode));
        assert!(!analyse_bytecode(&compiled(3, &[])).signals.contains(Signal::UncheckedBytecode));
        assert!(!analyse_bytecode(&compiled(0, &[])).signals.contains(Signal::UncheckedBytecode));
    }

    #[test]
    fn names_that_prove_an_attack_make_it_hostile() {
        let class = |names: &[&str]| analyse_bytecode(&compiled(0, names)).class;
        assert_eq!(class(&["os", "path", "join"]), ContentClass::Opaque);
        assert_eq!(class(&["subprocess", "run"]), ContentClass::Opaque);
        assert_eq!(class(&["base64", "b64decode", "exec"]), ContentClass::Hostile);
        assert_eq!(class(&["socket", "dup2"]), ContentClass::Hostile);
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified(content in proptest::collection::vec(any::<u8>(), 0..600)) {
            let report = analyse_bytecode(&content);
            prop_assert!(matches!(report.class, ContentClass::Opaque | ContentClass::Hostile));
            prop_assert!(report.runs.is_empty());
        }
    }
}
