//! Statements: where each logical line begins and ends, assignments and definitions.

use super::expression::level;
use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::{effect, is_builtin};
use crate::hook::python::eval::{Kind, Value};
use crate::hook::python::lexer::{Kind as T, Lexer};
use crate::hook::python::report::Severity;

/// Functions within functions.
const MAX_SCOPES: usize = 24;
/// Longest statement that may be a lone string.
const MAX_DOCSTRING: usize = 4096;

impl<'a> Machine<'a, '_> {
    /// Reads the whole source.
    pub fn run(&mut self) {
        let is_main = self.number == 0;
        while self.token.kind != T::End {
            if self.token.kind == T::Newline {
                self.advance();
                continue;
            }
            let start = self.token.start;
            if is_main {
                self.report.begin_line(start);
            }
            let is_docstring = self.logical_line();
            self.record_overdraft();
            if is_main && !is_docstring {
                self.report.end_line(self.before.max(start));
            }
        }
        if self.lexer.broken {
            self.report.note(Signal::SyntaxError);
        }
    }

    /// Reads up to the end of the logical line. True if it has nothing but strings.
    fn logical_line(&mut self) -> bool {
        let column = self.token.column;
        if let Some(column) = column {
            while self.columns.last().is_some_and(|of_def| *of_def >= column) {
                self.columns.pop();
                self.scopes.pop();
            }
        }
        let mut is_docstring = true;
        loop {
            match self.token.kind {
                T::Newline => {
                    self.advance();
                    return is_docstring;
                }
                T::End => return is_docstring,
                _ => is_docstring &= self.simple_statement(column.unwrap_or(usize::MAX)),
            }
            self.accept(b";");
        }
    }

    /// Reads a statement up to a semicolon or the end of the line. True if it is a lone string: documentation, which
    /// neither runs nor mentions anything.
    fn simple_statement(&mut self, column: usize) -> bool {
        let start = self.token.start;
        let is_text = self.token.kind == T::Text;
        let is_pass = self.is_word("pass");
        self.mentions = 0;
        self.place = None;
        self.statement(column);
        let is_docstring = is_text && (self.is_line_end() || self.is(b";")) && self.is_lone_string(start);
        let mentions = std::mem::take(&mut self.mentions);
        if !is_docstring {
            if !is_pass {
                self.report.found_code();
            }
            self.report.record_mentions(mentions);
        }
        if self.token.start == start && self.token.kind != T::End {
            self.advance();
        }
        is_docstring
    }

    /// Whether from here to the current token there is nothing but a string.
    fn is_lone_string(&self, start: usize) -> bool {
        let text = self.source.get(start..self.token.start).unwrap_or_default();
        let mut lexer = Lexer::new(text.get(..MAX_DOCSTRING).unwrap_or(text));
        let _first = lexer.next();
        text.len() > MAX_DOCSTRING || matches!(lexer.next().kind, T::Newline | T::End | T::Text) || lexer.broken
    }

    fn statement(&mut self, column: usize) {
        if self.accept(b"@") {
            return self.decorator();
        }
        let word = if self.token.kind == T::Name { self.token.text } else { b"" };
        match word {
            b"import" => self.import(),
            b"from" => self.import_from(),
            b"def" => self.definition(column),
            b"async" => self.advance(),
            b"class" => self.class(),
            b"for" => {
                self.advance();
                self.for_clause(level::OR);
                self.accept(b":");
            }
            b"with" => self.with(),
            b"return" => self.return_value(),
            b"global" | b"nonlocal" => self.global_names(),
            b"if" | b"elif" | b"while" | b"assert" | b"raise" | b"del" | b"else" | b"try" | b"finally" | b"pass"
            | b"break" | b"continue" => {
                self.advance();
                if !self.is(b":") && !self.is(b";") && !self.is_line_end() {
                    self.expressions();
                }
                self.accept(b":");
            }
            b"except" => self.except(),
            b"exec" => self.exec(),
            // Python 2's statement; of Python 3's function the brackets are read as a tuple.
            b"print" => {
                self.advance();
                self.accept(b">>");
                self.expressions();
            }
            _ => self.assignment(),
        }
    }

    /// A function of the library used as a decorator is called with the function below it.
    fn decorator(&mut self) {
        let decorator = self.expression(level::ALL);
        if let Some(effect) = decorator.as_path().and_then(|path| effect(path, false)) {
            self.report.effect(effect);
            self.report.record(Signal::Obfuscated, Severity::Critical);
        }
    }

    fn return_value(&mut self) {
        self.advance();
        let value = self.expressions();
        let function = self.innermost();
        if function != 0 {
            self.names.add_result(function, value);
        }
    }

    fn global_names(&mut self) {
        self.advance();
        while let Some(name) = self.name() {
            if let Some(scope) = self.scopes.last().copied() {
                self.names.redirect(scope, &name);
            }
            self.accept(b",");
        }
    }

    fn except(&mut self) {
        self.advance();
        self.accept(b"*");
        if !self.is(b":") {
            self.expressions();
            if self.accept_word("as") {
                self.name();
            }
        }
        self.accept(b":");
    }

    /// `exec code` of Python 2, or the function.
    fn exec(&mut self) {
        let next = self.lexer.clone().next();
        let is_code = matches!(next.kind, T::Text | T::FormatStart | T::Name | T::Number);
        let is_operator = next.kind == T::Name && matches!(next.text, b"in" | b"if" | b"and" | b"or" | b"is");
        if !is_code || is_operator {
            return self.assignment();
        }
        self.advance();
        let code = self.expression(level::BITWISE);
        self.execute("exec", &code);
        if self.accept_word("in") {
            self.expressions();
        }
    }

    /// An assignment of any form, or an expression alone.
    fn assignment(&mut self) {
        let mut value = self.expressions();
        let mut place = self.place.take();
        if self.accept(b":") {
            // An annotation; or the colon of a word that is not a keyword everywhere (`match`, `case`).
            self.expression(level::ALL);
            if !self.is(b"=") {
                return;
            }
        }
        if let Some(operator) = self.augmented() {
            self.advance();
            let other = self.expressions();
            let result = self.combine(operator, value, other);
            if let Some(place) = place {
                self.bind(place, result);
            }
            return;
        }
        let mut places = Vec::new();
        while self.accept(b"=") {
            places.extend(place.take());
            self.place = None;
            value = self.expressions();
            place = self.place.take();
        }
        for place in places {
            self.bind(place, value.clone());
        }
    }

    /// The operator of an augmented assignment (`+=`), if the current token is one.
    fn augmented(&self) -> Option<&'a [u8]> {
        match self.token.text {
            _ if self.token.kind != T::Operator => None,
            b"=" | b"==" | b"!=" | b"<=" | b">=" | b":=" => None,
            text => text.strip_suffix(b"="),
        }
    }

    fn definition(&mut self, column: usize) {
        let place = self.token.start;
        self.advance();
        let Some(name) = self.name() else { return };
        let number = self.names.function_at(self.number, place);
        let function = Value::of(Kind::Function(number));
        if !is_builtin(&name) {
            self.bind_attribute(&name, function.clone());
            self.bind_name(&name, function);
        }
        // Type parameters (Python 3.12).
        if self.is(b"[") {
            self.expression(level::ALL);
        }
        if self.scopes.len() < MAX_SCOPES && number != 0 {
            self.columns.push(column);
            self.scopes.push(number);
        } else {
            self.report.record(Signal::Obfuscated, Severity::BEYOND_LIMIT);
        }
        if self.accept(b"(") {
            let parameters = self.parameters(b")");
            self.names.set_parameters(number, parameters);
            self.accept(b")");
        }
        if self.accept(b"->") {
            self.expression(level::ALL);
        }
        self.accept(b":");
    }

    fn class(&mut self) {
        self.advance();
        self.name();
        if self.is(b"[") {
            self.expression(level::ALL);
        }
        if self.accept(b"(") {
            self.arguments();
        }
        self.accept(b":");
    }

    fn with(&mut self) {
        self.advance();
        let has_bracket = self.accept(b"(");
        loop {
            let value = self.expression(level::ALL);
            if self.accept_word("as") {
                self.place = None;
                self.expression(level::BITWISE);
                if let Some(place) = self.place.take() {
                    self.bind(place, value);
                }
            }
            if !self.accept(b",") {
                break;
            }
        }
        if has_bracket {
            self.accept(b")");
            if self.accept_word("as") {
                self.place = None;
                self.expression(level::BITWISE);
            }
        }
        self.accept(b":");
    }
}
