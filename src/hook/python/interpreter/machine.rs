//! The state of the reader, its cursor over the tokens, and the binding of names.

use super::names::{Names, Scope};
use crate::event::Signal;
use crate::hook::python::effects::mentions::{self, mentions};
use crate::hook::python::effects::{is_builtin, is_core_module};
use crate::hook::python::eval::{Budget, Value};
use crate::hook::python::lexer::{Kind as T, Lexer, Token, fold};
use crate::hook::python::report::{Report, Severity, Strictness};

/// Cost of a token that is read again.
const REPLAYED_TOKEN: usize = 24;
/// Longest name that is followed.
const MAX_NAME: usize = 256;
/// Longest text put together that is searched for mentions.
const MAX_JOINED: usize = 4096;

/// What all texts of one analysis share.
pub struct Analysis {
    /// What was found.
    pub report: Report,
    /// What the names are bound to.
    pub names: Names,
    /// What may still be computed.
    pub budget: Budget,
}

impl Analysis {
    /// An analysis of a source of this size.
    pub fn new(strictness: Strictness, size: usize) -> Self {
        Self { report: Report::new(strictness), names: Names::new(), budget: Budget::for_source(size) }
    }
}

/// Where a value can be bound.
#[derive(Clone, Debug)]
pub enum Place {
    /// A name.
    Name(String),
    /// An attribute of a value.
    Attribute(Value, String),
    /// An item of a value.
    Item(Value, Value),
    /// Several.
    Many(Vec<Place>),
}

/// The reader of one source.
pub struct Machine<'a, 's> {
    /// What was found.
    pub report: &'s mut Report,
    /// What the names are bound to.
    pub names: &'s mut Names,
    /// What may still be computed.
    pub budget: &'s mut Budget,
    /// The source.
    pub source: &'a [u8],
    /// Its number: 0 is the file itself.
    pub number: u32,
    /// Its tokens.
    pub lexer: Lexer<'a>,
    /// The current token.
    pub token: Token<'a>,
    /// Where the token before ends.
    pub before: usize,
    /// The columns of the `def`s that the reader is in.
    pub columns: Vec<usize>,
    /// The numbers of their functions, the innermost last.
    pub scopes: Vec<Scope>,
    /// Expressions that the reader is in.
    pub depth: usize,
    /// Expressions that are being read again.
    pub replays: usize,
    /// What the strings of this statement mention.
    pub mentions: u32,
    /// Where the value of the expression just read could be bound.
    pub place: Option<Place>,
}

impl<'a, 's> Machine<'a, 's> {
    /// A reader at the beginning of a source.
    pub fn new(analysis: &'s mut Analysis, source: &'a [u8], number: u32) -> Self {
        let mut lexer = Lexer::new(source);
        let token = lexer.next();
        Self {
            report: &mut analysis.report,
            names: &mut analysis.names,
            budget: &mut analysis.budget,
            source,
            number,
            lexer,
            token,
            before: 0,
            columns: Vec::new(),
            scopes: Vec::new(),
            depth: 0,
            replays: 0,
            mentions: 0,
            place: None,
        }
    }

    /// Goes to the next token.
    pub fn advance(&mut self) {
        self.record_overdraft();
        self.before = self.token.start + self.token.text.len();
        if self.replays > 0 && !self.budget.spend(REPLAYED_TOKEN) {
            let start = self.token.start;
            self.token = Token { kind: T::End, text: b"", start, raw: false, bytes: false, column: None };
            return;
        }
        self.token = self.lexer.next();
        self.report.set_place(self.token.start);
    }

    /// Records that the budget was not enough, at the place where that was so.
    pub fn record_overdraft(&mut self) {
        if self.budget.take_overdraft() {
            self.report.record(Signal::Obfuscated, Severity::BEYOND_LIMIT);
        }
    }

    /// Whether the current token is this operator.
    pub fn is(&self, operator: &[u8]) -> bool {
        self.token.kind == T::Operator && self.token.text == operator
    }

    /// Whether the current token is this word.
    pub fn is_word(&self, word: &str) -> bool {
        self.token.kind == T::Name && self.token.text == word.as_bytes()
    }

    /// Whether a comprehension begins here.
    pub fn is_comprehension(&self) -> bool {
        self.is_word("for") || self.is_word("async")
    }

    /// Whether the logical line ends here.
    pub fn is_line_end(&self) -> bool {
        matches!(self.token.kind, T::Newline | T::End)
    }

    /// Skips this operator if it is the current token.
    pub fn accept(&mut self, operator: &[u8]) -> bool {
        let is = self.is(operator);
        if is {
            self.advance();
        }
        is
    }

    /// Skips this word if it is the current token.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.advance();
        }
        is
    }

    /// Reads a name as Python does: compatibility letters are folded.
    pub fn name(&mut self) -> Option<String> {
        if self.token.kind != T::Name {
            return None;
        }
        let text = self.token.text;
        let name = String::from_utf8_lossy(text.get(..MAX_NAME).unwrap_or(text)).into_owned();
        let folded = fold(&name);
        if let Some(folded) = &folded {
            let is_known = is_builtin(folded) || is_core_module(folded);
            self.report.record(Signal::Obfuscated, if is_known { Severity::Critical } else { Severity::Severe });
        }
        self.advance();
        Some(folded.unwrap_or(name))
    }

    /// The innermost function; 0 for the module.
    pub fn innermost(&self) -> Scope {
        self.scopes.last().copied().unwrap_or(0)
    }

    /// The value of a name here.
    pub fn lookup(&self, name: &str) -> Option<&Value> {
        self.names.lookup(&self.scopes, name)
    }

    /// Binds a name in a scope.
    pub fn bind_in(&mut self, scope: Scope, name: &str, value: Value) {
        if self.names.bind(scope, name, value).is_err() {
            self.report.record(Signal::Truncated, Severity::BEYOND_LIMIT);
        }
    }

    /// Binds a name in the innermost scope.
    pub fn bind_name(&mut self, name: &str, value: Value) {
        self.bind_in(self.innermost(), name, value);
    }

    /// Binds an attribute of this name, on any object.
    pub fn bind_attribute(&mut self, name: &str, value: Value) {
        if self.names.bind_attribute(name, value).is_err() {
            self.report.record(Signal::Truncated, Severity::BEYOND_LIMIT);
        }
    }

    /// Binds a place to a value.
    pub fn bind(&mut self, place: Place, value: Value) {
        match place {
            Place::Name(name) => self.bind_name(&name, value),
            Place::Attribute(base, name) => {
                if matches!(base.as_path(), Some("sys" | "builtins" | "os")) {
                    self.report.record(Signal::ImportHook, Severity::Info);
                }
                self.bind_attribute(&name, value);
            }
            Place::Item(base, key) => {
                let Some(key) = key.as_str() else { return };
                match base.as_path() {
                    Some("globals()" | "builtins") => self.bind_in(0, key, value),
                    Some("sys.modules") => self.report.record(Signal::ImportHook, Severity::Info),
                    Some("os.environ") => self.environment_set(key.as_bytes()),
                    Some(_) => {}
                    None => self.bind_attribute(key, value),
                }
            }
            Place::Many(places) => {
                let items = value.items(places.len());
                for (at, place) in places.into_iter().enumerate() {
                    let item = items.as_ref().and_then(|items| items.get(at).cloned());
                    self.bind(place, item.unwrap_or_else(|| Value::unknown(value.taint)));
                }
            }
        }
    }

    /// Records that an environment variable is set.
    pub fn environment_set(&mut self, variable: &[u8]) {
        if mentions(variable) & mentions::LOADER_VARIABLE != 0 {
            self.report.record(Signal::Persistence, Severity::Medium);
        }
    }

    /// Adds what a text of this statement mentions.
    pub fn record_mentions(&mut self, text: &[u8]) {
        self.mentions |= mentions(text);
    }

    /// Adds what a text mentions that was put together, if the budget allows it.
    pub fn record_joined_mentions(&mut self, value: &Value) {
        if let Some(text) = value.bytes()
            && text.len() <= MAX_JOINED
            && self.budget.spend(text.len() / 4)
        {
            self.record_mentions(text);
        }
    }
}
