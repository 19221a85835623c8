//! What Python code would do, told from its tokens alone: nothing is run, nothing is imported, nothing is
//! looked up.
//!
//! `token` reads the source, `statement` and `expression` follow names and put constants together as
//! Python would (bounded), `call` knows what the functions do, `text` what strings say. Dead code counts
//! as live, and all branches count: the question is what a file has in it.
//!
//! Sources: the language references of Python 2.7 to 3.15 (lexical analysis, expressions), PEP 263, 498, 701
//! and 3131.

mod call;
mod decode;
mod expression;
mod fold;
mod literal;
mod method;
mod names;
mod run;
mod state;
mod statement;
mod strings;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod unicode;
mod value;

use crate::event::ContentReport;
use crate::event::{ContentClass, Signal, Signals};
use state::{HOSTILE, MILD, ODD, STRONG, State, mark};
use statement::Machine;

pub(crate) use text::scan as says;
pub(crate) use text::{BLOB, CREDENTIALS, DOWNLOAD, PERSISTENCE, REVERSE_SHELL, TEMPORARY};

/// Most bytes read; what is behind them is reported as cut off.
pub const MAX_SOURCE: usize = 1 << 20;

/// How much of what is found is remarkable in this kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A line of a `.pth` file: one strong signal is hostile.
    Line,
    /// `sitecustomize`, `usercustomize`, a PYTHONSTARTUP script.
    Customize,
    /// A whole module of a library: only strong combinations are hostile.
    Module,
}

/// Largest benign code of a `.pth` known has 2297 bytes.
const LARGE_LINE: usize = 4096;
/// Customisation files are small, too.
const LARGE_CUSTOMIZE: usize = 128 * 1024;

/// What this source would do. Linear in the size of the source, of which at most [`MAX_SOURCE`] bytes are
/// read; a few MiB of memory at most.
pub fn analyse(source: &[u8], kind: Strictness) -> ContentReport {
    let kept = source.get(..MAX_SOURCE).unwrap_or(source);
    let mut state = State::new(kind, kept.len());
    coding(kept, &mut state);
    // Names first: a function may be used before what it uses is defined.
    for _ in 0..2 {
        state.again();
        Machine::new(&mut state, kept, 0).run();
        read_pending(&mut state);
    }
    judge(&mut state, kind, kept.len());
    let (runs, cut) = state.lines(kept);
    let truncated = cut || kept.len() < source.len();
    if kept.len() < source.len() {
        state.hit(Signal::Truncated, state::BEYOND);
    }
    ContentReport {
        class: state.class.max(if state.runs { ContentClass::Neutral } else { ContentClass::Inert }),
        signals: state.signals,
        runs,
        truncated,
        decoded: state.decoded,
        imports: state.imports,
        paths: Vec::new(),
        interpreters: None,
        settings: Vec::new(),
    }
}

/// Reads the texts that were found to be code, and those found in them.
fn read_pending(state: &mut State) {
    let mut number = 1;
    while let Some(pending) = state.pending.pop() {
        let (level, line, at) = (state.level, state.line, state.at);
        state.level = pending.level;
        state.line = pending.line;
        state.begin_line(pending.line);
        let before = state.class;
        Machine::new(state, &pending.text, number).run();
        let says = text::scan(&pending.text);
        if pending.decoded {
            state.mention(says);
        }
        if pending.decoded && state.class > before {
            state.grade(ODD);
        }
        state.blame(pending.line);
        (state.level, state.line, state.at) = (level, line, at);
        number += 1;
    }
}

/// A coding comment in the first two lines (PEP 263) that makes other text of the source.
fn coding(source: &[u8], state: &mut State) {
    for line in source.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()).take(2) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_start();
        if line.first() != Some(&b'#') {
            return;
        }
        let Some(at) = line.windows(6).position(|word| word == b"coding").map(|at| at + 6) else { continue };
        let Some([b':' | b'=', rest @ ..]) = line.get(at..) else { continue };
        let rest = rest.trim_ascii_start();
        let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let name: String = rest.iter().take_while(is_name).take(64).map(|byte| char::from(*byte)).collect();
        if name.is_empty() {
            continue;
        }
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        if is_plain_codec(&plain) {
            return;
        }
        state.hit(
            Signal::Obfuscated,
            if plain.starts_with("futurefstrings") || plain == "pyxl" { ODD } else { HOSTILE },
        );
        if plain == "rot13" {
            let turned = decode::rot13(source);
            state.read_later(&turned.into(), true);
        } else if plain.contains("unicodeescape") {
            state.read_later(&literal::unescape(source, true).into(), true);
        }
        return;
    }
}

/// Codecs that only say which letters the bytes are.
fn is_plain_codec(name: &str) -> bool {
    let numbered =
        ["iso8859", "latin", "cp", "windows", "koi8", "mac", "euc", "iso2022", "big5", "gb", "shiftjis", "sjis", "ibm"];
    matches!(
        name,
        "utf8"
            | "utf8sig"
            | "utf8unix"
            | "utf8dos"
            | "utf8mac"
            | "ascii"
            | "usascii"
            | "l1"
            | "tis620"
            | "ptcp154"
            | "hz"
            | "johab"
            | "u8"
            | "utf"
    ) || numbered.iter().any(|prefix| name.starts_with(prefix))
}

/// What matters only together.
fn judge(state: &mut State, kind: Strictness, size: usize) {
    let (marks, says) = (state.marks, state.says);
    let all = |bits: u32| marks & bits == bits;
    let any = |bits: u32| marks & bits != 0;
    let has = |bits: u32| says & bits != 0;
    use mark::*;
    let runs_text = EXECUTES | RUNS_FILE | DESERIALISES;
    let everywhere = [
        (any(DUPLICATES) && all(NETWORK) && any(SPAWNS | FORKS), HOSTILE),
        (all(WRITES_PERSISTENCE) && any(SPAWNS | DECODES | NETWORK), HOSTILE),
        (all(MEMORY_FILE) && any(SPAWNS | DECODES | NETWORK | EXECUTES), HOSTILE),
        (
            all(WRITES_FETCHED) && any(SPAWNS | RUNS_FILE | EXECUTES) && (has(text::TEMPORARY) || all(CHANGES_FILES)),
            HOSTILE,
        ),
        (all(NATIVE_MEMORY) && any(DECODES) && has(text::BLOB), HOSTILE),
        (has(text::MORE_CREDENTIALS) && any(NETWORK), HOSTILE),
        (has(text::REVERSE_SHELL) && any(SPAWNS), HOSTILE),
        (has(text::DROP) && any(NETWORK | SPAWNS) && (has(text::CREDENTIALS) || any(HARVEST)), HOSTILE),
        (all(HARVEST | NETWORK), STRONG),
    ];
    // In files that only set something up, meeting is enough.
    let in_customize = [
        (any(DECODES) && any(runs_text), STRONG),
        (any(NETWORK) && any(runs_text | THREAD | FORKS), STRONG),
        (has(text::TEMPORARY | text::HIDDEN) && any(RUNS_FILE | DESERIALISES | EXECUTES), STRONG),
        (all(WRITES_PERSISTENCE), STRONG),
        (any(NATIVE) && (any(DECODES | NETWORK | NATIVE_MEMORY) || has(text::TEMPORARY)), STRONG),
        (any(NATIVE) && state.signals.contains(Signal::Spawn), STRONG),
        (has(text::BLOB) && any(DECODES | runs_text), STRONG),
        (any(NETWORK) && has(text::TEMPORARY | text::ADDRESS), STRONG),
        (any(FORKS) && any(NETWORK | EXECUTES | DUPLICATES), STRONG),
        (any(WALKS), STRONG),
        (mild_signals(state.signals) >= 3, STRONG),
    ];
    let in_line = [(any(WALKS | WRITES_PERSISTENCE), MILD)];
    let of_kind = match kind {
        Strictness::Line => &in_line[..],
        Strictness::Customize => &in_customize[..],
        Strictness::Module => &[],
    };
    for (found, grade) in everywhere.iter().chain(of_kind) {
        if *found {
            state.grade(*grade);
        }
    }
    let limit = match kind {
        Strictness::Line => LARGE_LINE,
        Strictness::Customize => LARGE_CUSTOMIZE,
        Strictness::Module => usize::MAX,
    };
    if size > limit {
        state.hit(Signal::Large, ODD);
    }
}

/// How many different things were found that are remarkable in a customisation file.
fn mild_signals(signals: Signals) -> usize {
    use Signal::*;
    let mild =
        [Decode, Execute, Deserialise, Network, Download, TemporaryPath, NativeCode, Thread, Persistence, Entropy];
    mild.into_iter().filter(|signal| signals.contains(*signal)).count()
}
