//! What is gathered while a source is read: names, findings, lines, and the budgets that bound it all.

use super::decode;
use super::names::Effect;
use super::text;
use super::value::Kind;
use super::value::Value;
use super::{Strictness, names};
use crate::event::{ContentClass, Hook, Signal, Signals};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How bad a finding is, by [`Strictness`]: in a `.pth` line, in a customisation file, in a module.
pub type Grade = [ContentClass; 3];

const N: ContentClass = ContentClass::Neutral;
const S: ContentClass = ContentClass::Suspicious;
const H: ContentClass = ContentClass::Hostile;

/// Not remarkable anywhere.
pub const NEUTRAL: Grade = [N, N, N];
/// Never seen in a benign `.pth`, seldom in a customisation file, common in modules.
pub const MILD: Grade = [H, S, N];
/// A second look is due.
pub const ODD: Grade = [S, S, N];
/// Only in a `.pth` line.
pub const ODD_LINE: Grade = [S, N, N];
/// No business of a start-up file, possible in a module.
pub const STRONG: Grade = [H, H, S];
/// No business of a start-up file, common in a module.
pub const FOREIGN: Grade = [H, H, N];
/// More of it than is followed: no benign hook has so much, and what is not seen may be anything.
pub const BEYOND: Grade = STRONG;
/// Nothing benign does this.
pub const HOSTILE: Grade = [H, H, H];

/// Names kept, with what they are bound to.
const MAX_NAMES: usize = 1 << 15;
/// Texts looked into after the source they were found in.
const MAX_PENDING: usize = 48;
/// Bytes of them in all.
const MAX_PENDING_BYTES: usize = 256 * 1024;
/// Lines remembered as candidates for the alert.
const MAX_LINES: usize = 160;

/// What was found that matters only together with something else.
pub mod mark {
    /// Runs a text that is not written there.
    pub const EXECUTES: u32 = 1;
    /// Decodes.
    pub const DECODES: u32 = 1 << 1;
    /// Talks to the network.
    pub const NETWORK: u32 = 1 << 2;
    /// Starts a process.
    pub const SPAWNS: u32 = 1 << 3;
    /// Forks.
    pub const FORKS: u32 = 1 << 4;
    /// Puts a descriptor in the place of another.
    pub const DUPLICATES: u32 = 1 << 5;
    /// Starts a thread.
    pub const THREAD: u32 = 1 << 6;
    /// Calls native code.
    pub const NATIVE: u32 = 1 << 7;
    /// Makes memory for native code.
    pub const NATIVE_MEMORY: u32 = 1 << 8;
    /// Makes a file in memory.
    pub const MEMORY_FILE: u32 = 1 << 9;
    /// Writes to a place from where it runs later.
    pub const WRITES_PERSISTENCE: u32 = 1 << 10;
    /// Takes the whole environment.
    pub const HARVEST: u32 = 1 << 11;
    /// Loads objects.
    pub const DESERIALISES: u32 = 1 << 12;
    /// Writes what came from elsewhere.
    pub const WRITES_FETCHED: u32 = 1 << 13;
    /// Walks the classes of Python.
    pub const WALKS: u32 = 1 << 14;
    /// Makes a file runnable, moves or links it.
    pub const CHANGES_FILES: u32 = 1 << 15;
    /// Runs a file as code or loads a module from one.
    pub const RUNS_FILE: u32 = 1 << 16;
    /// Writes a file.
    pub const WRITES: u32 = 1 << 17;
}

/// A text to be read as code of its own.
pub struct Pending {
    /// The text.
    pub text: Rc<[u8]>,
    /// It had been hidden.
    pub decoded: bool,
    /// The line of the main source it is in.
    pub line: usize,
    /// How many texts it is within.
    pub level: u8,
}

/// A logical line that may be shown.
struct Line {
    start: usize,
    end: usize,
    hit: usize,
    class: ContentClass,
}

/// A function of the source.
#[derive(Default)]
pub struct Function {
    /// Its parameters.
    pub parameters: Vec<Box<str>>,
    /// What it gives back.
    pub result: Option<Value>,
}

/// All of it.
pub struct State {
    strictness: Strictness,
    /// Names by the function they belong to, 0 for none.
    names: HashMap<u32, HashMap<Box<str>, Value>>,
    name_count: usize,
    redirected: HashSet<(u32, Box<str>)>,
    /// Functions by the source and place they are defined at.
    places: HashMap<(u32, usize), u32>,
    /// Functions by number.
    pub functions: Vec<Function>,
    /// Modules of which every name was imported.
    pub stars: Vec<Rc<str>>,
    /// Bytes that may still be put together.
    pub fuel: usize,
    /// How deep the expression is.
    pub depth: usize,
    /// Expressions are being gone through again.
    pub replays: usize,
    /// Found signals.
    pub signals: Signals,
    /// The worst grade.
    pub class: ContentClass,
    /// See [`mark`].
    pub marks: u32,
    /// See [`text`].
    pub says: u32,
    /// Texts still to be read.
    pub pending: Vec<Pending>,
    seen: HashSet<Rc<[u8]>>,
    pending_bytes: usize,
    /// Code that was hidden.
    pub decoded: Vec<Vec<u8>>,
    /// Imported modules.
    pub imports: Vec<String>,
    lines: Vec<Line>,
    line_count: usize,
    /// The logical line that is being read: where it begins, in the main source.
    pub line: usize,
    line_class: ContentClass,
    line_hit: usize,
    line_waits: bool,
    /// How many texts the present one is within.
    pub level: u8,
    /// Where in the main source the reader is.
    pub at: usize,
    /// Something runs.
    pub runs: bool,
}

impl State {
    /// Nothing found yet, of a source of this size.
    pub fn new(strictness: Strictness, size: usize) -> Self {
        Self {
            strictness,
            names: HashMap::new(),
            name_count: 0,
            redirected: HashSet::new(),
            places: HashMap::new(),
            functions: vec![Function::default()],
            stars: Vec::new(),
            fuel: (1 << 20) + size.saturating_mul(3),
            depth: 0,
            replays: 0,
            signals: Signals::default(),
            class: ContentClass::Inert,
            marks: 0,
            says: 0,
            pending: Vec::new(),
            seen: HashSet::new(),
            pending_bytes: 0,
            decoded: Vec::new(),
            imports: Vec::new(),
            lines: Vec::new(),
            line_count: 0,
            line: 0,
            line_class: ContentClass::Inert,
            line_hit: 0,
            line_waits: false,
            level: 0,
            at: 0,
            runs: false,
        }
    }

    /// For what the source is.
    pub fn is_line(&self) -> bool {
        self.strictness == Strictness::Line
    }

    /// A finding at the place that is being read.
    pub fn hit(&mut self, signal: Signal, grade: Grade) {
        self.signals.insert(signal);
        self.grade(grade);
    }

    /// The same without a signal of its own.
    pub fn grade(&mut self, grade: Grade) {
        let class = grade.get(self.strictness as usize).copied().unwrap_or(N);
        self.class = self.class.max(class);
        if class >= S && class > self.line_class {
            self.line_class = class;
            self.line_hit = self.at;
        }
    }

    /// Takes from the budget for putting things together; false when there is none left.
    pub fn spend(&mut self, bytes: usize) -> bool {
        match self.fuel.checked_sub(bytes + 1) {
            Some(left) => {
                self.fuel = left;
                true
            }
            None => {
                self.fuel = 0;
                self.hit(Signal::Obfuscated, BEYOND);
                false
            }
        }
    }

    /// The value of a name in these scopes, the innermost last.
    pub fn lookup(&self, scopes: &[u32], name: &str) -> Option<&Value> {
        scopes.iter().rev().chain(&[0]).find_map(|scope| self.names.get(scope)?.get(name))
    }

    /// Binds a name in a scope. What is dangerous is not forgotten for something that is not known.
    pub fn bind(&mut self, scope: u32, name: &str, value: Value) {
        let scope = if scope != 0 && self.redirected.contains(&(scope, Box::from(name))) { 0 } else { scope };
        if let Some(old) = self.names.get_mut(&scope).and_then(|names| names.get_mut(name)) {
            let is_dangerous = old.as_path().is_some_and(|path| names::effect(path, false).is_some());
            let is_better = value.as_path().is_some_and(|path| names::effect(path, false).is_some());
            if !is_dangerous || is_better {
                *old = value;
            }
            return;
        }
        if value.is_unknown() && value.taint == 0 && !names::is_builtin(name) {
            // Nothing is known: kept only where it hides a name of an outer scope.
            if scope == 0 {
                return;
            }
        }
        if self.name_count < MAX_NAMES {
            self.name_count += 1;
            self.names.entry(scope).or_default().insert(name.into(), value);
        } else {
            self.hit(Signal::Truncated, BEYOND);
        }
    }

    /// `global name` in a function.
    pub fn redirect(&mut self, scope: u32, name: &str) {
        if self.redirected.len() < MAX_NAMES {
            self.redirected.insert((scope, name.into()));
        }
    }

    /// The number of the function defined here.
    pub fn function_at(&mut self, source: u32, place: usize) -> u32 {
        if let Some(number) = self.places.get(&(source, place)) {
            return *number;
        }
        if self.functions.len() >= MAX_NAMES {
            return 0;
        }
        let number = u32::try_from(self.functions.len()).unwrap_or(0);
        self.functions.push(Function::default());
        self.places.insert((source, place), number);
        number
    }

    /// What an effect is, wherever it is met: the signal, the mark, the grade.
    pub fn effect(&mut self, effect: Effect) {
        use Effect::*;
        let (signal, mark, grade) = match effect {
            Execute | Compile | Import => return,
            RunFile => (Signal::Execute, mark::RUNS_FILE, MILD),
            Console => (Signal::Execute, 0, MILD),
            Decode => (Signal::Decode, mark::DECODES, MILD),
            Deserialise => (Signal::Deserialise, mark::DESERIALISES, MILD),
            Spawn => (Signal::Spawn, mark::SPAWNS, FOREIGN),
            Fork => (Signal::Spawn, mark::FORKS, MILD),
            Duplicate => (Signal::Spawn, mark::DUPLICATES, ODD),
            MemoryFile => (Signal::NativeCode, mark::MEMORY_FILE, STRONG),
            Network => (Signal::Network, mark::NETWORK, MILD),
            Native => (Signal::NativeCode, mark::NATIVE, MILD),
            NativeMemory => (Signal::NativeCode, mark::NATIVE | mark::NATIVE_MEMORY, MILD),
            Thread => (Signal::Thread, mark::THREAD, MILD),
            Loader => (Signal::DynamicImport, mark::RUNS_FILE, ODD_LINE),
            ImportHook => (Signal::ImportHook, 0, NEUTRAL),
            FileChange => {
                self.marks |= mark::CHANGES_FILES;
                return;
            }
        };
        self.marks |= mark;
        self.hit(signal, grade);
    }

    /// What a string of the source says.
    pub fn mention(&mut self, says: u32) {
        if says == 0 {
            return;
        }
        self.says |= says;
        let has = |bit: u32| says & bit != 0;
        if has(text::TEMPORARY) {
            self.hit(Signal::TemporaryPath, MILD);
        }
        if has(text::DOWNLOAD | text::SHELL_DECODE) {
            self.hit(Signal::Download, MILD);
        }
        if has(text::REVERSE_SHELL) {
            self.hit(Signal::Download, STRONG);
        }
        if has(text::PIPE_TO_SHELL) && has(text::DOWNLOAD | text::URL | text::SHELL_DECODE) {
            self.hit(Signal::Download, HOSTILE);
        }
        if has(text::CREDENTIALS) {
            self.hit(Signal::Credentials, FOREIGN);
        }
        if has(text::PERSISTENCE) {
            self.hit(Signal::Persistence, MILD);
        }
        if has(text::DROP) {
            self.hit(Signal::Network, STRONG);
        }
        if has(text::SHELL) {
            self.hit(Signal::Spawn, MILD);
        }
        if has(text::URL) {
            self.grade(ODD_LINE);
        }
        if has(text::ADDRESS | text::LOADER_VARIABLE) {
            self.grade(ODD);
        }
        if has(text::BLOB) {
            self.hit(Signal::Entropy, ODD);
        }
    }

    /// A text that runs, or that had been hidden, is read after this source.
    pub fn read_later(&mut self, text: &Rc<[u8]>, decoded: bool) {
        if text.is_empty() || self.level >= 3 {
            return;
        }
        if decoded {
            self.keep_decoded(text);
        }
        let fits = self.pending_bytes + text.len() <= MAX_PENDING_BYTES && self.seen.len() < MAX_PENDING;
        if !fits {
            self.hit(Signal::Truncated, BEYOND);
            return;
        }
        if self.seen.contains(text) {
            return;
        }
        self.pending_bytes += text.len();
        self.seen.insert(Rc::clone(text));
        self.line_waits = true;
        self.pending.push(Pending { text: Rc::clone(text), decoded, line: self.line, level: self.level + 1 });
    }

    fn keep_decoded(&mut self, text: &[u8]) {
        if self.level > 0 || !decode::is_text(text) {
            return;
        }
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.trim_ascii().is_empty()) {
            let line = line.get(..Hook::MAX_LINE).unwrap_or(line);
            if self.decoded.len() >= Hook::MAX_LINES {
                break;
            }
            if !self.decoded.iter().any(|known| known == line) {
                self.decoded.push(line.to_vec());
            }
        }
    }

    /// A module is imported.
    pub fn import(&mut self, module: &str) {
        let top = module.split('.').next().unwrap_or_default();
        let is_known = top.is_empty() || names::is_standard(top) || self.imports.len() >= Hook::MAX_IMPORTS;
        if !is_known && module.len() <= 128 && !self.imports.iter().any(|import| import == module) {
            self.imports.push(module.to_owned());
        }
    }

    /// A logical line begins.
    pub fn begin_line(&mut self, start: usize) {
        if self.level == 0 {
            self.line = start;
        }
        self.line_class = ContentClass::Inert;
        self.line_waits = false;
    }

    /// A logical line of the main source ends; `shown`: it is to be counted, being code and in the last pass.
    pub fn end_line(&mut self, end: usize) {
        let (start, class, hit) = (self.line, self.line_class, self.line_hit);
        let is_telling = class >= S || self.line_waits;
        let is_among_first = self.line_count <= Hook::MAX_LINES;
        self.line_count += 1;
        if let Some(line) = self.lines.iter_mut().rev().find(|line| line.start == start) {
            if class > line.class {
                (line.class, line.hit) = (class, hit);
            }
        } else if is_among_first || is_telling && self.lines.len() < MAX_LINES {
            self.lines.push(Line { start, end, hit, class });
        } else if class == H
            && let Some(line) = self.lines.iter_mut().skip(Hook::MAX_LINES).find(|line| line.class < class)
        {
            *line = Line { start, end, hit, class };
        }
    }

    /// A second pass over the same lines begins.
    pub fn again(&mut self) {
        self.line_count = 0;
    }

    /// What was found in a text that was read later belongs to the line it stands in.
    pub fn blame(&mut self, start: usize) {
        let class = self.line_class;
        if let Some(line) = self.lines.iter_mut().find(|line| line.start == start && line.class < class) {
            line.class = class;
            line.hit = start;
        }
    }

    /// The lines for the alert: the worst first chosen, then the first; in their order. And whether that
    /// is not all.
    pub fn lines(&self, source: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut order: Vec<&Line> = self.lines.iter().collect();
        order.sort_by_key(|line| (std::cmp::Reverse(line.class.max(N)), line.start));
        order.truncate(Hook::MAX_LINES);
        order.sort_by_key(|line| line.start);
        let mut cut = self.line_count > order.len();
        let lines = order.iter().map(|line| {
            // A line that hides its code far to the right is shown from there.
            let from = if line.hit > line.start + Hook::MAX_LINE && line.hit <= line.end {
                line.hit - 256
            } else {
                line.start
            };
            let text = source.get(from..line.end).unwrap_or_default();
            let text = if from == line.start { text.trim_ascii_end() } else { text };
            cut |= text.len() > Hook::MAX_LINE || from > line.start;
            text.get(..Hook::MAX_LINE).unwrap_or(text).to_vec()
        });
        let lines = lines.collect();
        (lines, cut)
    }

    /// Remembers that a value of this kind reaches a name that later runs.
    pub fn remember(&mut self, function: u32, value: Value) {
        if let Some(function) = self.functions.get_mut(usize::try_from(function).unwrap_or(0)) {
            let old = function.result.take().unwrap_or_else(|| Value::unknown(0));
            function.result =
                Some(if matches!(value.kind, Kind::Unknown) { old.tainted(value.taint) } else { value.or(old) });
        }
    }
}
