//! Expressions: read once, with their values computed as far as they are constant.

use super::machine::{Machine, Place};
use crate::event::Signal;
use crate::hook::python::eval::{self, Kind, Lambda, MAX_ITEMS, Next, Template, Value};
use crate::hook::python::lexer::{Kind as T, Lexer, integer};
use crate::hook::python::report::Severity;
use std::rc::Rc;

/// Expressions within expressions. Python itself refuses 200 brackets within each other.
const MAX_DEPTH: usize = 60;
/// Arguments kept of a call.
const MAX_ARGUMENTS: usize = 64;
/// Named arguments kept of a call.
const MAX_NAMED: usize = 32;
/// Elements kept of an argument with a star.
const MAX_SPREAD: usize = 16;
/// Parameters kept of a function.
const MAX_PARAMETERS: usize = 64;

/// How tightly operators bind their operands.
pub mod level {
    /// Everything, including conditions and `:=`.
    pub const ALL: u8 = 0;
    /// `or` and tighter.
    pub const OR: u8 = 1;
    /// `and` and tighter.
    pub const AND: u8 = 2;
    /// Comparisons and tighter.
    pub const COMPARISON: u8 = 4;
    /// `|` and tighter: what may stand where a target stands.
    pub const BITWISE: u8 = 5;
}

/// How tightly the operator of this token binds; 0 if it is none.
fn binding(kind: T, text: &[u8]) -> u8 {
    match (kind, text) {
        (T::Name, b"or") => level::OR,
        (T::Name, b"and") => level::AND,
        (T::Name, b"in" | b"is" | b"not") => level::COMPARISON,
        (T::Operator, b"<" | b">" | b"<=" | b">=" | b"==" | b"!=" | b"<>") => level::COMPARISON,
        (T::Operator, b"|") => level::BITWISE,
        (T::Operator, b"^") => 6,
        (T::Operator, b"&") => 7,
        (T::Operator, b"<<" | b">>") => 8,
        (T::Operator, b"+" | b"-") => 9,
        (T::Operator, b"*" | b"/" | b"//" | b"%" | b"@") => 10,
        (T::Operator, b"**") => 12,
        _ => 0,
    }
}

impl Machine<'_, '_> {
    /// Expressions with commas between them.
    pub fn expressions(&mut self) -> Value {
        let first = self.expression(level::ALL);
        if !self.is(b",") {
            return first;
        }
        let mut places: Vec<Place> = self.place.take().into_iter().collect();
        let mut items = vec![first];
        while self.accept(b",") {
            if self.is_line_end() || self.is(b"=") || self.is(b")") || self.is(b":") {
                break;
            }
            self.place = None;
            let item = self.expression(level::ALL);
            if items.len() < MAX_ITEMS {
                items.push(item);
                places.extend(self.place.take());
            }
        }
        self.place = Some(Place::Many(places));
        Value::list(items)
    }

    /// One expression whose operators bind at least this tightly, see [`level`].
    pub fn expression(&mut self, least: u8) -> Value {
        if self.depth >= MAX_DEPTH {
            self.report.record(Signal::Obfuscated, Severity::BEYOND_LIMIT);
            self.advance();
            return Value::unknown(0);
        }
        self.depth += 1;
        let value = self.operators(least);
        self.depth -= 1;
        value
    }

    fn operators(&mut self, least: u8) -> Value {
        let mut left = self.operand();
        loop {
            let tightness = binding(self.token.kind, self.token.text);
            if tightness == 0 || tightness < least {
                break;
            }
            let operator = self.token.text;
            self.advance();
            // `not in`, `is not`.
            if tightness == level::COMPARISON {
                let _ = self.accept_word("in") || self.accept_word("not");
            }
            let right = self.expression(tightness + 1);
            left = self.combine(operator, left, right);
            self.place = None;
        }
        if least == level::ALL && self.accept_word("if") {
            self.expression(level::OR);
            let other = if self.accept_word("else") { self.expression(level::ALL) } else { Value::unknown(0) };
            self.place = None;
            left = left.or(other);
        }
        if least == level::ALL && self.is(b":=") {
            let place = self.place.take();
            self.advance();
            left = self.expression(level::ALL);
            if let Some(place) = place {
                self.bind(place, left.clone());
            }
            self.place = None;
        }
        left
    }

    /// `left operator right`. A text that is put together may mention something that its parts do not.
    pub fn combine(&mut self, operator: &[u8], left: Value, right: Value) -> Value {
        if operator == b"%" && left.bytes().is_some() {
            return self.percent(&left, &right);
        }
        let value = eval::combine(self.budget, operator, left, right);
        if matches!(operator, b"+" | b"/") {
            self.record_joined_mentions(&value);
        }
        value
    }

    /// `template % values`, where the values may be those of a namespace.
    fn percent(&mut self, template: &Value, values: &Value) -> Value {
        let taint = template.taint | values.taint;
        let mut unnamed = match &values.kind {
            Kind::List(items) => items.iter(),
            _ => std::slice::from_ref(values).iter(),
        };
        let mut text = Template::new(template.bytes().map_or(&[][..], |bytes| bytes));
        loop {
            let field = match text.next_percent() {
                Next::Field(field) => field,
                Next::Broken => return Value::unknown(taint),
                Next::End => return text.finish(taint),
            };
            let value = match (field.key, field.constant()) {
                (Some(key), _) => self.item(values, &Value::text(key)),
                (None, Some(constant)) => constant,
                (None, None) => unnamed.next().unwrap_or(&Value::UNKNOWN).clone(),
            };
            if !text.fill_percent(self.budget, &field, &value) {
                return Value::unknown(taint);
            }
        }
    }

    /// An operand with the unary operators before it.
    fn operand(&mut self) -> Value {
        let (mut is_negative, mut is_inverted, mut is_truth) = (false, false, false);
        loop {
            match (self.token.kind, self.token.text) {
                (T::Operator, b"-") => is_negative = !is_negative,
                (T::Operator, b"~") => is_inverted = !is_inverted,
                (T::Name, b"not") => is_truth = true,
                (T::Operator, b"+" | b"*" | b"**") | (T::Name, b"await" | b"yield" | b"from") => {}
                _ => break,
            }
            self.advance();
        }
        let value = if self.is_word("lambda") { self.lambda() } else { self.primary() };
        if is_truth {
            return Value::unknown(0);
        }
        match value.as_integer() {
            Some(number) if is_negative || is_inverted => {
                self.place = None;
                let number = if is_inverted { !number } else { number };
                Value::integer(if is_negative { number.wrapping_neg() } else { number }).tainted(value.taint)
            }
            _ => value,
        }
    }

    fn lambda(&mut self) -> Value {
        self.advance();
        let parameters = self.parameters(b":");
        self.accept(b":");
        let body = self.token.start;
        self.expression(level::ALL);
        self.place = None;
        Value::of(Kind::Lambda(Rc::new(Lambda { source: self.number, body, parameters })))
    }

    /// Reads parameters with their defaults up to this operator.
    pub fn parameters(&mut self, end: &[u8]) -> Vec<Box<str>> {
        let is_lambda = end == b":";
        let mut parameters = Vec::new();
        while !self.is(end) && !self.is_line_end() {
            if self.accept(b"*") || self.accept(b"**") || self.accept(b"/") || self.accept(b",") {
                continue;
            }
            let Some(name) = self.name() else {
                if self.accept(b"(") || self.accept(b")") {
                    continue;
                }
                break;
            };
            if !is_lambda && self.accept(b":") {
                self.expression(level::ALL);
            }
            if self.accept(b"=") {
                let value = self.expression(level::ALL);
                self.bind_name(&name, value);
            } else if self.lookup(&name).is_none() || !is_lambda && self.hides_outer(&name) {
                self.bind_name(&name, Value::unknown(0));
            }
            if parameters.len() < MAX_PARAMETERS {
                parameters.push(name.into());
            }
        }
        parameters
    }

    /// Whether a name is known in the module, but not in this scope.
    fn hides_outer(&self, name: &str) -> bool {
        let innermost = self.scopes.last().map_or(&[][..], std::slice::from_ref);
        match (self.names.lookup(innermost, name), self.names.lookup(&[], name)) {
            (Some(inner), Some(outer)) => std::ptr::eq(inner, outer),
            _ => false,
        }
    }

    /// Reads the expression at this place again, with the names as they are now.
    pub fn replay(&mut self, place: usize) -> Value {
        let lexer = std::mem::replace(&mut self.lexer, Lexer::resume(self.source, place));
        let (token, before) = (self.token, self.before);
        self.replays += 1;
        self.token = self.lexer.next();
        let value = self.expression(level::ALL);
        self.replays -= 1;
        self.lexer = lexer;
        (self.token, self.before) = (token, before);
        self.place = None;
        value
    }

    /// An operand with the attributes, calls and items behind it.
    fn primary(&mut self) -> Value {
        let mut value = self.atom();
        loop {
            match (self.token.kind, self.token.text) {
                (T::Operator, b".") => {
                    self.advance();
                    let Some(name) = self.name() else { return value };
                    let found = self.attribute(&value, &name);
                    self.place = Some(Place::Attribute(value, name));
                    value = found;
                }
                (T::Operator, b"(") => {
                    self.advance();
                    let (positional, named) = self.arguments();
                    value = self.call(&value, &positional, &named);
                    self.place = None;
                }
                (T::Operator, b"[") => {
                    self.advance();
                    let (found, key) = self.subscript(&value);
                    self.place = Some(Place::Item(value, key));
                    value = found;
                }
                _ => return value,
            }
        }
    }

    /// Reads arguments up to the closing bracket, and that too.
    pub fn arguments(&mut self) -> (Vec<Value>, Vec<(String, Value)>) {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        while self.token.kind != T::End && !self.is(b")") {
            let (start, is_spread) = (self.token.start, self.is(b"*"));
            self.place = None;
            let mut value = self.expression(level::ALL);
            if self.accept(b"=") {
                let name = match self.place.take() {
                    Some(Place::Name(name)) => name,
                    _ => String::new(),
                };
                value = self.expression(level::ALL);
                if named.len() < MAX_NAMED {
                    named.push((name, value));
                }
            } else {
                if self.is_comprehension() {
                    value = self.comprehension(value, start);
                }
                let spread = if is_spread { value.items(MAX_SPREAD) } else { None };
                match spread {
                    _ if positional.len() >= MAX_ARGUMENTS => {}
                    Some(items) => positional.extend(items),
                    None => positional.push(value),
                }
            }
            if !self.accept(b",") {
                break;
            }
        }
        self.accept(b")");
        (positional, named)
    }

    fn atom(&mut self) -> Value {
        self.place = None;
        match (self.token.kind, self.token.text) {
            (T::Name, _) => {
                let Some(name) = self.name() else { return Value::unknown(0) };
                let value = self.named(&name);
                self.place = Some(Place::Name(name));
                value
            }
            (T::Number, text) => {
                self.advance();
                integer(text).map_or_else(|| Value::unknown(0), Value::integer)
            }
            (T::Text | T::FormatStart, _) => self.strings(),
            (T::Operator, b"(") => self.group(b")"),
            (T::Operator, b"[") => self.group(b"]"),
            (T::Operator, b"{") => self.braces(),
            // Python 2's `repr`.
            (T::Operator, b"`") => {
                self.advance();
                let value = self.expressions();
                self.accept(b"`");
                Value::unknown(value.taint)
            }
            _ => Value::unknown(0),
        }
    }
}
