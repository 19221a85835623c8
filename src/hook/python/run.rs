//! What it means that a text runs or a program is started.

use super::state::{FOREIGN, HOSTILE, MILD, NEUTRAL, ODD, ODD_LINE, STRONG, mark};
use super::statement::Machine;
use super::text;
use super::value::{self, Kind, Value};
use crate::event::Signal;

impl Machine<'_, '_> {
    /// A text reaches the function that runs texts.
    pub fn execute(&mut self, function: &str, code: &Value) {
        let code = match &code.kind {
            Kind::List(items) => items.first().cloned().unwrap_or_else(|| Value::unknown(0)).tainted(code.taint),
            _ => code.clone(),
        };
        let from = |taint: value::Taint| code.taint & taint != 0;
        let is_known = code.bytes().is_some();
        if from(value::HIDDEN) {
            self.state.marks |= mark::EXECUTES;
            self.state.hit(Signal::Execute, NEUTRAL);
            // Modules unpack code of their own files.
            let is_cache = from(value::FILE) && !from(value::NETWORK | value::CRYPTIC);
            self.state.hit(Signal::ExecuteDecoded, if is_cache { STRONG } else { HOSTILE });
        } else if is_known && from(value::PIECED) {
            self.state.hit(Signal::Execute, NEUTRAL);
            self.state.hit(Signal::Obfuscated, STRONG);
        } else if is_known {
            self.state.hit(Signal::Execute, NEUTRAL);
        } else if from(value::OUTSIDE) {
            self.state.marks |= mark::EXECUTES;
            self.state.hit(Signal::Execute, STRONG);
        } else if from(value::FILE) {
            self.state.marks |= mark::EXECUTES | mark::RUNS_FILE;
            self.state.hit(Signal::Execute, MILD);
        } else if from(value::ENVIRON) {
            let grade = if function == "exec" { ODD } else { NEUTRAL };
            self.state.hit(Signal::Execute, grade);
        } else {
            self.state.marks |= mark::EXECUTES;
            self.state.hit(Signal::Execute, if function == "exec" { ODD } else { ODD_LINE });
        }
        if let Some(text) = code.bytes() {
            self.state.read_later(&text.clone(), from(value::HIDDEN | value::PIECED));
        }
    }

    /// A program with these arguments is started.
    pub fn spawned(&mut self, arguments: &[&Value]) {
        let taint = arguments.iter().fold(0, |taint, argument| taint | argument.taint);
        if taint & value::HIDDEN != 0 {
            self.state.hit(Signal::Spawn, HOSTILE);
        }
        if taint & value::PIECED != 0 {
            self.state.hit(Signal::Obfuscated, FOREIGN);
        }
        for argument in arguments {
            let words =
                argument.items(64).filter(|_| argument.bytes().is_none()).unwrap_or_else(|| vec![(*argument).clone()]);
            for word in &words {
                let Some(text) = word.bytes() else { continue };
                let says = text::scan(text);
                self.state.mention(says);
                if says & text::PERSISTENCE != 0 {
                    self.state.marks |= mark::WRITES_PERSISTENCE;
                    self.state.hit(Signal::Persistence, STRONG);
                }
                if super::decode::is_code(text) {
                    self.state.read_later(&text.clone(), word.taint & value::HIDDEN != 0);
                }
            }
        }
    }
}
