//! What follows from the arguments of a call: code that runs, programs that start, files that are written,
//! data that is decoded.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::mentions::{self, mentions};
use crate::hook::python::eval::{
    Args, CRYPTIC, DECODED, ENVIRON, FILE, HIDDEN, Kind, NETWORK, OUTSIDE, PIECED, Taint, Value, decoder,
};
use crate::hook::python::lexer::decode;
use crate::hook::python::report::{Severity, marks};

/// Arguments of a program that are looked at.
const MAX_WORDS: usize = 64;
/// Shortest serialised object that does something.
const MIN_SERIALISED: usize = 4;

/// Whether a file with this name is likely to be a payload.
fn is_odd_path(path: &[u8]) -> bool {
    mentions(path) & (mentions::TEMPORARY | mentions::HIDDEN) != 0
}

impl Machine<'_, '_> {
    /// A text is given to the function that runs code.
    pub fn execute(&mut self, function: &str, code: &Value) {
        let code = match &code.kind {
            Kind::List(items) => items.first().unwrap_or(&Value::UNKNOWN).clone().tainted(code.taint),
            _ => code.clone(),
        };
        let is_from = |taint: Taint| code.taint & taint != 0;
        let is_exec = function == "exec";
        let severity = if is_from(HIDDEN) {
            self.report.mark(marks::EXECUTES);
            // Modules unpack code from their own files.
            let is_cache = is_from(FILE) && !is_from(NETWORK | CRYPTIC);
            let severity = if is_cache { Severity::Severe } else { Severity::Critical };
            self.report.record(Signal::ExecuteDecoded, severity);
            Severity::Info
        } else if code.bytes().is_some() {
            if is_from(PIECED) {
                self.report.record(Signal::Obfuscated, Severity::Severe);
            }
            Severity::Info
        } else if is_from(OUTSIDE) {
            self.report.mark(marks::EXECUTES);
            Severity::Severe
        } else if is_from(FILE) {
            self.report.mark(marks::EXECUTES | marks::RUNS_FILE);
            Severity::Medium
        } else if is_from(ENVIRON) {
            if is_exec { Severity::Low } else { Severity::Info }
        } else {
            self.report.mark(marks::EXECUTES);
            if is_exec { Severity::Low } else { Severity::Notice }
        };
        self.report.record(Signal::Execute, severity);
        if let Some(text) = code.bytes() {
            self.report.read_later(text, is_from(HIDDEN | PIECED));
        }
    }

    /// Code is compiled, or a function is made of a code object.
    pub fn compile(&mut self, path: &str, args: &Args<'_>) -> Value {
        if path != "compile" && path != "codeop.compile_command" {
            if args.taint & HIDDEN != 0 {
                self.report.record(Signal::ExecuteDecoded, Severity::Critical);
            }
            self.report.record(Signal::Execute, Severity::Medium);
            return Value::unknown(args.taint);
        }
        let code = args.first();
        if let Some(text) = code.bytes() {
            self.report.read_later(text, code.taint & HIDDEN != 0);
        }
        code.clone()
    }

    /// A file is run as code.
    pub fn run_file(&mut self, path: &str, args: &Args<'_>) -> Value {
        if args.first().bytes().is_some_and(|file| is_odd_path(file)) {
            self.report.record(Signal::Execute, Severity::Severe);
        }
        if path == "execfile" || path.starts_with("runpy") {
            self.report.record(Signal::Execute, Severity::Medium);
        }
        Value::unknown(args.taint | FILE)
    }

    /// A module is loaded from a file.
    pub fn load_file(&mut self, args: &Args<'_>) -> Value {
        for argument in args.positional {
            if argument.bytes().is_some_and(|file| is_odd_path(file)) {
                self.report.record(Signal::DynamicImport, Severity::Severe);
            }
            if argument.taint & HIDDEN != 0 {
                self.report.record(Signal::DynamicImport, Severity::High);
            }
        }
        Value::unknown(args.taint)
    }

    /// A program is started. Its output comes from outside.
    pub fn spawn(&mut self, args: &Args<'_>) -> Value {
        let taint = args.all().fold(0, |taint, argument| taint | argument.taint);
        if taint & HIDDEN != 0 {
            self.report.record(Signal::Spawn, Severity::Critical);
        }
        if taint & PIECED != 0 {
            self.report.record(Signal::Obfuscated, Severity::High);
        }
        for argument in args.all() {
            match argument.items(MAX_WORDS).filter(|_| argument.bytes().is_none()) {
                Some(words) => words.iter().for_each(|word| self.spawned_with(word)),
                None => self.spawned_with(argument),
            }
        }
        Value::unknown(OUTSIDE | taint & HIDDEN)
    }

    fn spawned_with(&mut self, word: &Value) {
        let Some(text) = word.bytes() else { return };
        let found = mentions(text);
        self.report.record_mentions(found);
        if found & mentions::PERSISTENCE != 0 {
            self.report.mark(marks::WRITES_PERSISTENCE);
            self.report.record(Signal::Persistence, Severity::Severe);
        }
        if decode::is_code(text) {
            self.report.read_later(text, word.taint & HIDDEN != 0);
        }
    }

    /// Objects are loaded, which runs code of their makers.
    pub fn deserialise(&mut self, args: &Args<'_>) -> Value {
        let is_hidden = args.taint & HIDDEN != 0;
        let is_written_here = args.first().bytes().is_some_and(|bytes| bytes.len() >= MIN_SERIALISED);
        if is_written_here || is_hidden && args.taint & FILE == 0 {
            let severity = if is_written_here { Severity::Critical } else { Severity::Severe };
            self.report.mark(marks::EXECUTES);
            self.report.record(Signal::Deserialise, severity);
        }
        Value::unknown(args.taint | if is_hidden { DECODED } else { 0 })
    }

    /// Data is decoded by a function of the library.
    pub fn decode(&mut self, path: &str, args: &Args<'_>) -> Value {
        let undecoded = Value::unknown(args.taint | DECODED);
        let Some(data) = args.first().bytes() else { return undecoded };
        if !self.budget.spend(data.len() * 2) {
            return undecoded;
        }
        if path.rsplit('.').next() == Some("decode") {
            let codec = args.get(1).or_else(|| args.by_name("encoding")).and_then(Value::as_str);
            return match codec.and_then(|codec| decode::by_codec(codec, data)) {
                Some(decoded) => self.decoded(decoded, args.taint),
                None => Value::text(data.clone()).tainted(args.taint),
            };
        }
        let decoded = decoder(path).and_then(|decoder| decoder(data));
        self.decoded(decoded, args.taint)
    }

    /// The value of decoded data, which is read as code if it is text. `None` if it could not be decoded.
    pub fn decoded(&mut self, data: Option<Vec<u8>>, taint: Taint) -> Value {
        let Some(data) = data else { return Value::unknown(taint | DECODED) };
        let value = Value::binary(data).tainted(taint | DECODED);
        if let Some(text) = value.bytes().filter(|text| decode::is_text(text)) {
            self.record_mentions(text);
            self.report.read_later(text, true);
        }
        value
    }

    /// A file is opened.
    pub fn open(&mut self, path: &Value, mode: Option<&Value>) -> Value {
        if mode.and_then(Value::as_str).is_some_and(|mode| mode.contains(['w', 'a', 'x', '+'])) {
            self.write(std::slice::from_ref(path));
            return Value::unknown(FILE);
        }
        Value::unknown(FILE | path.taint)
    }

    /// Something is written to these paths.
    pub fn write(&mut self, paths: &[Value]) {
        for path in paths {
            let Some(text) = path.bytes() else { continue };
            let is_hook = text.ends_with(b".pth") || text.ends_with(b"customize.py") || text.ends_with(b".start");
            if is_hook || mentions(text) & mentions::PERSISTENCE != 0 {
                self.report.mark(marks::WRITES_PERSISTENCE);
                self.report.record(Signal::Persistence, Severity::Severe);
            }
        }
    }
}
