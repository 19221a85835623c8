//! Combinations: what is remarkable only together.

use super::marks::*;
use super::severity::Severity::{self, *};
use super::severity::Strictness;
use crate::event::{Signal, Signals};
use crate::hook::python::effects::mentions;

/// One condition of a combination.
enum Need {
    /// All of these marks.
    All(u32),
    /// One of these marks.
    Any(u32),
    /// One of these mentions.
    Mentions(u32),
    /// This signal.
    Signal(Signal),
    /// At least as many different signals of [`UNUSUAL`].
    Unusual(usize),
}
use Need::{All, Any, Mentions, Unusual};

/// All conditions of a row must hold.
type Combination = (&'static [Need], Severity);

/// Remarkable in every file.
#[rustfmt::skip]
static EVERYWHERE: &[Combination] = &[
    // A shell on a connection.
    (&[Any(DUPLICATES), Any(NETWORK), Any(SPAWNS | FORKS)], Critical),
    (&[Mentions(mentions::REVERSE_SHELL), Any(SPAWNS)], Critical),
    // Persistence beyond this file.
    (&[All(WRITES_PERSISTENCE), Any(SPAWNS | DECODES | NETWORK)], Critical),
    // Code in memory.
    (&[All(MEMORY_FILE), Any(SPAWNS | DECODES | NETWORK | EXECUTES)], Critical),
    (&[All(NATIVE_MEMORY), Any(DECODES), Mentions(mentions::BLOB)], Critical),
    // A downloaded or unpacked program.
    (&[All(WRITES_FETCHED), Any(SPAWNS | RUNS_FILE | EXECUTES), Mentions(mentions::TEMPORARY)], Critical),
    (&[All(WRITES_FETCHED), Any(SPAWNS | RUNS_FILE | EXECUTES), All(CHANGES_FILES)], Critical),
    // Theft.
    (&[Mentions(mentions::MORE_CREDENTIALS), Any(NETWORK)], Critical),
    (&[Mentions(mentions::DROP), Any(NETWORK | SPAWNS), Mentions(mentions::CREDENTIALS)], Critical),
    (&[Mentions(mentions::DROP), Any(NETWORK | SPAWNS), Any(HARVEST)], Critical),
    (&[All(HARVEST | NETWORK)], Severe),
];

/// Remarkable in files that only set something up.
#[rustfmt::skip]
static IN_CUSTOMIZE: &[Combination] = &[
    (&[Any(DECODES), Any(RUNS_TEXT)], Severe),
    (&[Any(NETWORK), Any(RUNS_TEXT | THREAD | FORKS)], Severe),
    (&[Mentions(mentions::TEMPORARY | mentions::HIDDEN), Any(RUNS_TEXT)], Severe),
    (&[All(WRITES_PERSISTENCE)], Severe),
    (&[Any(NATIVE), Any(DECODES | NETWORK | NATIVE_MEMORY)], Severe),
    (&[Any(NATIVE), Mentions(mentions::TEMPORARY)], Severe),
    (&[Any(NATIVE), Need::Signal(Signal::Spawn)], Severe),
    (&[Mentions(mentions::BLOB), Any(DECODES | RUNS_TEXT)], Severe),
    (&[Any(NETWORK), Mentions(mentions::TEMPORARY | mentions::ADDRESS)], Severe),
    (&[Any(FORKS), Any(NETWORK | EXECUTES | DUPLICATES)], Severe),
    (&[Any(WALKS)], Severe),
    (&[Unusual(3)], Severe),
];

/// Remarkable in a `.pth` line.
static IN_LINE: &[Combination] = &[(&[Any(WALKS | WRITES_PERSISTENCE)], Medium)];

/// Runs code that is not in the source as such.
const RUNS_TEXT: u32 = EXECUTES | RUNS_FILE | DESERIALISES;

/// Signals that are unusual in a customisation file.
static UNUSUAL: &[Signal] = &[
    Signal::Decode,
    Signal::Execute,
    Signal::Deserialise,
    Signal::Network,
    Signal::Download,
    Signal::TemporaryPath,
    Signal::NativeCode,
    Signal::Thread,
    Signal::Persistence,
    Signal::Entropy,
];

/// Largest benign code of a `.pth` file known has 2297 bytes.
const LARGE_LINE: usize = 4096;
/// Customisation files are small, too.
const LARGE_CUSTOMIZE: usize = 128 * 1024;

/// The severity of the worst combination found in a file of this kind.
pub fn of_combinations(marks: u32, mentioned: u32, signals: Signals, strictness: Strictness) -> Option<Severity> {
    let holds = |need: &Need| match *need {
        Need::All(wanted) => marks & wanted == wanted,
        Need::Any(wanted) => marks & wanted != 0,
        Need::Mentions(wanted) => mentioned & wanted != 0,
        Need::Signal(signal) => signals.contains(signal),
        Need::Unusual(count) => UNUSUAL.iter().filter(|signal| signals.contains(**signal)).count() >= count,
    };
    let of_kind = match strictness {
        Strictness::Line => IN_LINE,
        Strictness::Customize => IN_CUSTOMIZE,
        Strictness::Module => &[],
    };
    let found = EVERYWHERE.iter().chain(of_kind).filter(|(needs, _)| needs.iter().all(holds));
    found.map(|(_, severity)| *severity).max()
}

/// Whether a source of this size is unusually large for its kind.
pub fn is_large(size: usize, strictness: Strictness) -> bool {
    match strictness {
        Strictness::Line => size > LARGE_LINE,
        Strictness::Customize => size > LARGE_CUSTOMIZE,
        Strictness::Module => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combination_needs_all_its_conditions() {
        let of = |marks, mentioned| of_combinations(marks, mentioned, Signals::default(), Strictness::Module);
        assert_eq!(of(DUPLICATES | NETWORK | SPAWNS, 0), Some(Critical));
        assert_eq!(of(DUPLICATES | NETWORK, 0), None);
        assert_eq!(of(HARVEST | NETWORK, 0), Some(Severe));
        assert_eq!(of(HARVEST | NETWORK, mentions::DROP), Some(Critical));
        assert_eq!(of(WRITES_FETCHED | SPAWNS, 0), None);
        assert_eq!(of(WRITES_FETCHED | SPAWNS, mentions::TEMPORARY), Some(Critical));
    }

    #[test]
    fn three_unusual_signals_are_remarkable_in_a_customisation_file() {
        let of = |signals: &[Signal]| {
            let mut found = Signals::default();
            signals.iter().for_each(|signal| found.insert(*signal));
            of_combinations(0, 0, found, Strictness::Customize)
        };
        assert_eq!(of(&[Signal::Decode, Signal::Network]), None);
        assert_eq!(of(&[Signal::Decode, Signal::Network, Signal::Thread]), Some(Severe));
    }
}
