//! Compiled Python files: the header, and the names and texts among the constants. The code itself is not analysed, so
//! the content is opaque unless its names prove an attack.
//!
//! Sources: `Lib/importlib/_bootstrap_external.py` (magic numbers), PEP 552 (flags), `Python/marshal.c`
//! (types of objects).

use crate::event::{ContentClass, ContentReport, Signal, Signals};
use crate::hook::python;

/// Most bytes read.
pub const MAX_BYTECODE: usize = 1 << 20;
/// Longest name in [`NAMES`].
const MAX_NAME: usize = 40;

/// The first bytes of a compiled file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of Python that made the file, if its magic number is known.
    pub version: Option<(u8, u8)>,
    /// The flags of PEP 552; `None` before Python 3.7.
    pub flags: Option<u32>,
    /// Modification time of the source in seconds, if the file is tied to it.
    pub source_time: Option<u32>,
    /// Size of the source in bytes, if the file is tied to it.
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

/// The Python that writes this magic number.
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
    let header = header(kept);
    // Bit 0: checked by a hash of the source; bit 1: Python checks it. With bit 0 alone Python never looks at the source.
    if header.and_then(|header| header.flags).is_some_and(|flags| flags & 3 == 1) {
        signals.insert(Signal::UncheckedBytecode);
    }
    if kept.len() < content.len() {
        signals.insert(Signal::Truncated);
    }
    let code = kept.get(header.map_or(0, |header| header.length)..).unwrap_or_default();
    let (mut abilities, mut mentions) = (0, 0);
    let mut text_start = None;
    for (at, byte) in code.iter().copied().enumerate() {
        if let Some(name) = name_at(code, at, byte) {
            abilities |= abilities_of(name);
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
    let class = if judge(abilities, mentions, &mut signals) { ContentClass::Hostile } else { ContentClass::Opaque };
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

// What a name makes code able to do: a set of bits.
const EXECUTES: u16 = 1 << 0;
const DECODES: u16 = 1 << 1;
const LOADS: u16 = 1 << 2;
const SPAWNS: u16 = 1 << 3;
const NETWORK: u16 = 1 << 4;
const NATIVE: u16 = 1 << 5;
const THREADS: u16 = 1 << 6;
const DUPLICATES: u16 = 1 << 7;
const MEMORY: u16 = 1 << 8;

/// Suspicious names. Sorted by length, then by name.
static NAMES: [(&[u8], u16); 53] = [
    (b"pty", SPAWNS),
    (b"CDLL", NATIVE),
    (b"cffi", NATIVE),
    (b"dill", LOADS),
    (b"dup2", DUPLICATES),
    (b"eval", EXECUTES),
    (b"exec", EXECUTES),
    (b"mmap", NATIVE),
    (b"Popen", SPAWNS),
    (b"execl", SPAWNS),
    (b"execv", SPAWNS),
    (b"popen", SPAWNS),
    (b"rot13", DECODES),
    (b"ctypes", NATIVE),
    (b"execve", SPAWNS),
    (b"execvp", SPAWNS),
    (b"pickle", LOADS),
    (b"rot_13", DECODES),
    (b"socket", NETWORK),
    (b"spawnl", SPAWNS),
    (b"spawnv", SPAWNS),
    (b"system", SPAWNS),
    (b"fromhex", DECODES),
    (b"marshal", LOADS),
    (b"urlopen", NETWORK),
    (b"execfile", EXECUTES),
    (b"requests", NETWORK),
    (b"CFUNCTYPE", NATIVE),
    (b"a85decode", DECODES),
    (b"b32decode", DECODES),
    (b"b64decode", DECODES),
    (b"b85decode", DECODES),
    (b"fork_exec", SPAWNS),
    (b"threading", THREADS),
    (b"unhexlify", DECODES),
    (b"a2b_base64", DECODES),
    (b"check_call", SPAWNS),
    (b"decompress", DECODES),
    (b"subprocess", SPAWNS),
    (b"getaddrinfo", NETWORK),
    (b"posix_spawn", SPAWNS),
    (b"urlretrieve", NETWORK),
    (b"check_output", SPAWNS),
    (b"memfd_create", MEMORY),
    (b"gethostbyname", NETWORK),
    (b"HTTPConnection", NETWORK),
    (b"HTTPSConnection", NETWORK),
    (b"start_new_thread", THREADS),
    (b"create_connection", NETWORK),
    (b"urlsafe_b64decode", DECODES),
    (b"standard_b64decode", DECODES),
    (b"create_subprocess_exec", SPAWNS),
    (b"create_subprocess_shell", SPAWNS),
];

/// The signal of each ability.
const ABILITY_SIGNALS: [(u16, Signal); 7] = [
    (EXECUTES, Signal::Execute),
    (DECODES, Signal::Decode),
    (LOADS, Signal::Deserialise),
    (SPAWNS, Signal::Spawn),
    (NETWORK, Signal::Network),
    (NATIVE | MEMORY, Signal::NativeCode),
    (THREADS, Signal::Thread),
];

/// The signal of what the texts mention.
const MENTION_SIGNALS: [(u32, Signal); 5] = [
    (python::TEMPORARY, Signal::TemporaryPath),
    (python::DOWNLOAD, Signal::Download),
    (python::CREDENTIALS, Signal::Credentials),
    (python::PERSISTENCE, Signal::Persistence),
    (python::BLOB, Signal::Entropy),
];

/// The abilities that this name shows.
fn abilities_of(name: &[u8]) -> u16 {
    let found = NAMES.binary_search_by(|(known, _)| (known.len(), *known).cmp(&(name.len(), name))).ok();
    found.and_then(|index| NAMES.get(index)).map_or(0, |(_, abilities)| *abilities)
}

/// Adds the signals of these abilities and mentions. Returns whether their combination proves an attack.
fn judge(abilities: u16, mentions: u32, signals: &mut Signals) -> bool {
    let can = |needed: u16| abilities & needed == needed;
    let of_names = ABILITY_SIGNALS.iter().filter(|(any, _)| abilities & any != 0).map(|(_, signal)| *signal);
    let of_texts = MENTION_SIGNALS.iter().filter(|(any, _)| mentions & any != 0).map(|(_, signal)| *signal);
    of_names.chain(of_texts).for_each(|signal| signals.insert(signal));
    let runs_hidden = can(EXECUTES | DECODES);
    if runs_hidden {
        signals.insert(Signal::ExecuteDecoded);
    }
    let shell = mentions & python::REVERSE_SHELL != 0 && can(SPAWNS) || can(DUPLICATES | NETWORK);
    let steals = mentions & python::CREDENTIALS != 0 && can(NETWORK);
    runs_hidden || shell || steals || can(EXECUTES | NETWORK) || can(MEMORY | SPAWNS) || can(LOADS | DECODES)
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
    fn the_names_are_sorted_and_can_be_found() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| (name.len(), *name)));
        assert!(NAMES.iter().all(|(name, abilities)| abilities_of(name) == *abilities && name.len() <= MAX_NAME));
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
