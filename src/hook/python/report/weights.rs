//! What each effect and each mention counts: the signal, the marks and the severity.

use super::marks;
use super::severity::Severity::{self, *};
use crate::event::Signal;
use crate::hook::python::effects::{Effect, mentions};

/// The signal, the marks and the severity of an effect wherever it is met. `None` for effects that depend on their
/// arguments only.
pub fn weight(effect: Effect) -> Option<(Signal, u32, Severity)> {
    Some(match effect {
        Effect::Execute | Effect::Compile | Effect::Import | Effect::FileChange => return None,
        Effect::RunFile => (Signal::Execute, marks::RUNS_FILE, Medium),
        Effect::Console => (Signal::Execute, 0, Medium),
        Effect::Decode => (Signal::Decode, marks::DECODES, Medium),
        Effect::Deserialise => (Signal::Deserialise, marks::DESERIALISES, Medium),
        Effect::Spawn => (Signal::Spawn, marks::SPAWNS, High),
        Effect::Fork => (Signal::Spawn, marks::FORKS, Medium),
        Effect::Duplicate => (Signal::Spawn, marks::DUPLICATES, Low),
        Effect::MemoryFile => (Signal::NativeCode, marks::MEMORY_FILE, Severe),
        Effect::Network => (Signal::Network, marks::NETWORK, Medium),
        Effect::Native => (Signal::NativeCode, marks::NATIVE, Medium),
        Effect::NativeMemory => (Signal::NativeCode, marks::NATIVE | marks::NATIVE_MEMORY, Medium),
        Effect::Thread => (Signal::Thread, marks::THREAD, Medium),
        Effect::Loader => (Signal::DynamicImport, marks::RUNS_FILE, Notice),
        Effect::ImportHook => (Signal::ImportHook, 0, Info),
    })
}

/// A row counts for a text that mentions something of each of its two sets.
pub struct MentionWeight {
    /// One of these is mentioned.
    pub any: u32,
    /// One of these is mentioned too.
    pub with: u32,
    /// The signal, if it has one of its own.
    pub signal: Option<Signal>,
    /// How remarkable it is.
    pub severity: Severity,
}

const fn of_mentions(any: u32, signal: Option<Signal>, severity: Severity) -> MentionWeight {
    MentionWeight { any, with: any, signal, severity }
}

/// What the mentions of a text count.
pub static MENTIONS: &[MentionWeight] = &[
    of_mentions(mentions::TEMPORARY, Some(Signal::TemporaryPath), Medium),
    of_mentions(mentions::DOWNLOAD | mentions::SHELL_DECODE, Some(Signal::Download), Medium),
    of_mentions(mentions::REVERSE_SHELL, Some(Signal::Download), Severe),
    MentionWeight {
        any: mentions::PIPE_TO_SHELL,
        with: mentions::DOWNLOAD | mentions::URL | mentions::SHELL_DECODE,
        signal: Some(Signal::Download),
        severity: Critical,
    },
    of_mentions(mentions::CREDENTIALS, Some(Signal::Credentials), High),
    of_mentions(mentions::PERSISTENCE, Some(Signal::Persistence), Medium),
    of_mentions(mentions::DROP, Some(Signal::Network), Severe),
    of_mentions(mentions::SHELL, Some(Signal::Spawn), Medium),
    of_mentions(mentions::URL, None, Notice),
    of_mentions(mentions::ADDRESS | mentions::LOADER_VARIABLE, None, Low),
    of_mentions(mentions::BLOB, Some(Signal::Entropy), Low),
];
