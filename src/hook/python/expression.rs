//! Expressions: read once, and their values put together as far as they are constant.

use super::names;
use super::state::{BEYOND, FOREIGN, HOSTILE, NEUTRAL, ODD, STRONG, mark};
use super::statement::{Machine, representative};
use super::token::{Kind as T, Lexer, integer};
use super::value::{self, Kind, Lambda, Value};
use crate::event::Signal;
use std::rc::Rc;

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

/// Expressions within expressions. Python itself refuses 200 brackets within each other.
const MAX_DEPTH: usize = 60;
/// Elements kept of a sequence.
pub const MAX_ITEMS: usize = 1 << 16;
/// Times that the element of a comprehension is gone through.
const MAX_ROUNDS: usize = 8192;

/// How tightly the operator of this token binds its operands; 0 for none.
fn binding(kind: T, text: &[u8]) -> u8 {
    match (kind, text) {
        (T::Name, b"or") => 1,
        (T::Name, b"and") => 2,
        (T::Name, b"in" | b"is" | b"not") => 4,
        (T::Operator, b"<" | b">" | b"<=" | b">=" | b"==" | b"!=" | b"<>") => 4,
        (T::Operator, b"|") => 5,
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
        let first = self.expression(0);
        if !self.is(b",") {
            return first;
        }
        let mut places: Vec<Place> = self.place.take().into_iter().collect();
        let mut items = vec![first];
        while self.accept(b",") {
            if matches!(self.token.kind, T::Newline | T::End) || self.is(b"=") || self.is(b")") || self.is(b":") {
                break;
            }
            self.place = None;
            let item = self.expression(0);
            if items.len() < MAX_ITEMS {
                items.push(item);
                places.extend(self.place.take());
            }
        }
        self.place = Some(Place::Many(places));
        Value::list(items)
    }

    /// One expression whose operators bind at least this tightly.
    pub fn expression(&mut self, level: u8) -> Value {
        if self.state.depth >= MAX_DEPTH {
            self.state.hit(Signal::Obfuscated, BEYOND);
            self.advance();
            return Value::unknown(0);
        }
        self.state.depth += 1;
        let value = self.at_depth(level);
        self.state.depth -= 1;
        value
    }

    fn at_depth(&mut self, level: u8) -> Value {
        let mut left = self.operand();
        loop {
            let tightness = binding(self.token.kind, self.token.text);
            if tightness == 0 || tightness < level {
                break;
            }
            let operator = self.token.text;
            self.advance();
            // `not in`, `is not`.
            if tightness == 4 {
                let _ = self.accept_word("in") || self.accept_word("not");
            }
            let right = self.expression(tightness + 1);
            left = self.combine(operator, left, right);
            self.place = None;
        }
        if level == 0 && self.accept_word("if") {
            self.expression(1);
            let other = if self.accept_word("else") { self.expression(0) } else { Value::unknown(0) };
            self.place = None;
            left = left.or(other);
        }
        if level == 0 && self.is(b":=") {
            let place = self.place.take();
            self.advance();
            left = self.expression(0);
            if let Some(place) = place {
                self.bind(place, left.clone());
            }
            self.place = None;
        }
        left
    }

    /// An operand with what stands before and behind it.
    fn operand(&mut self) -> Value {
        let (mut negative, mut inverted, mut truth) = (false, false, false);
        loop {
            if self.token.kind == T::Operator {
                match self.token.text {
                    b"-" => negative = !negative,
                    b"~" => inverted = !inverted,
                    b"+" | b"*" | b"**" => {}
                    _ => break,
                }
            } else if self.token.kind == T::Name {
                match self.token.text {
                    b"not" => truth = true,
                    b"await" | b"yield" | b"from" => {}
                    _ => break,
                }
            } else {
                break;
            }
            self.advance();
        }
        let value = if self.is_word("lambda") { self.lambda() } else { self.primary() };
        if truth {
            return Value::unknown(0);
        }
        match value.as_integer() {
            Some(number) if negative || inverted => {
                self.place = None;
                let number = if inverted { !number } else { number };
                Value::of(Kind::Integer(if negative { number.wrapping_neg() } else { number })).tainted(value.taint)
            }
            _ => value,
        }
    }

    fn lambda(&mut self) -> Value {
        self.advance();
        let parameters = self.parameters(b":");
        self.accept(b":");
        let body = self.token.start;
        self.expression(0);
        self.place = None;
        Value::of(Kind::Lambda(Rc::new(Lambda { source: self.number, body, parameters })))
    }

    /// Reads the expression that begins at this place again, with the names as they are now.
    pub fn replay(&mut self, place: usize) -> Value {
        let lexer = std::mem::replace(&mut self.lexer, Lexer::resume(self.source, place));
        let (token, before) = (self.token, self.before);
        self.state.replays += 1;
        self.token = self.lexer.next();
        let value = self.expression(0);
        self.state.replays -= 1;
        self.lexer = lexer;
        (self.token, self.before) = (token, before);
        self.place = None;
        value
    }

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
                    let (arguments, named) = self.arguments();
                    value = self.call(&value, &arguments, &named);
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

    /// Arguments up to the closing bracket, which is read too.
    pub fn arguments(&mut self) -> (Vec<Value>, Vec<(String, Value)>) {
        let mut arguments = Vec::new();
        let mut named = Vec::new();
        while self.token.kind != T::End && !self.is(b")") {
            let (start, is_spread) = (self.token.start, self.is(b"*"));
            self.place = None;
            let mut value = self.expression(0);
            if self.is_word("for") || self.is_word("async") {
                value = self.comprehension(value, start);
            } else if self.is(b"=") {
                let name = match self.place.take() {
                    Some(Place::Name(name)) => name,
                    _ => String::new(),
                };
                self.advance();
                value = self.expression(0);
                if named.len() < 32 {
                    named.push((name, value));
                }
                value = Value::unknown(0);
                if self.accept(b",") {
                    continue;
                }
                let _ = value;
                break;
            }
            if arguments.len() < 64 {
                match value.items(16) {
                    Some(items) if is_spread => arguments.extend(items),
                    _ => arguments.push(value),
                }
            }
            if !self.accept(b",") {
                break;
            }
        }
        self.accept(b")");
        (arguments, named)
    }

    /// The item of a value by what stands in the brackets, and the key.
    fn subscript(&mut self, value: &Value) -> (Value, Value) {
        let mut parts: [Option<Value>; 3] = [None, None, None];
        let mut at = 0;
        let mut is_slice = false;
        while self.token.kind != T::End && !self.is(b"]") {
            if self.accept(b":") {
                is_slice = true;
                at = (at + 1).min(2);
                continue;
            }
            let start = self.token.start;
            let part = self.expression(0);
            if let Some(slot) = parts.get_mut(at) {
                *slot = Some(part);
            }
            if !self.accept(b",") && self.token.start == start {
                break;
            }
            if !matches!((self.token.kind, self.token.text), (T::Operator, b":" | b"]" | b","))
                && self.token.kind == T::Newline
            {
                break;
            }
        }
        self.accept(b"]");
        let [first, second, third] = parts;
        if is_slice {
            let number = |part: &Option<Value>| part.as_ref().and_then(Value::as_integer);
            let known = [&first, &second, &third]
                .iter()
                .all(|part| part.as_ref().is_none_or(|part| part.as_integer().is_some()));
            let slice = if known { self.slice(value, number(&first), number(&second), number(&third)) } else { None };
            let cryptic = if third.as_ref().and_then(Value::as_integer).is_some_and(|step| step != 1) {
                value::CRYPTIC
            } else {
                0
            };
            return (slice.unwrap_or_else(|| Value::unknown(value.taint)).tainted(cryptic), Value::unknown(0));
        }
        let key = first.unwrap_or_else(|| Value::unknown(0));
        (self.item(value, &key), key)
    }

    fn atom(&mut self) -> Value {
        self.place = None;
        match self.token.kind {
            T::Name => {
                let Some(name) = self.name() else { return Value::unknown(0) };
                let value = self.named(&name);
                self.place = Some(Place::Name(name));
                value
            }
            T::Number => {
                let number = integer(self.token.text);
                self.advance();
                number.map_or_else(|| Value::unknown(0), |number| Value::of(Kind::Integer(number)))
            }
            T::Text | T::FormatStart => self.strings(),
            T::Operator => match self.token.text {
                b"(" => self.group(b")"),
                b"[" => self.group(b"]"),
                b"{" => self.braces(),
                b"`" => {
                    self.advance();
                    let value = self.expressions();
                    self.accept(b"`");
                    Value::unknown(value.taint)
                }
                _ => Value::unknown(0),
            },
            _ => Value::unknown(0),
        }
    }

    /// What stands in round or square brackets.
    fn group(&mut self, end: &[u8]) -> Value {
        self.advance();
        let mut items = Vec::new();
        let mut places = Vec::new();
        let mut is_list = end == b"]";
        let mut is_comprehension = None;
        while self.token.kind != T::End && !self.is(end) {
            let start = self.token.start;
            self.place = None;
            let value = self.expression(0);
            if self.is_word("for") || self.is_word("async") {
                is_comprehension = Some(self.comprehension(value, start));
                break;
            }
            if items.len() < MAX_ITEMS {
                items.push(value);
            }
            places.extend(self.place.take());
            if !self.accept(b",") {
                break;
            }
            is_list = true;
        }
        self.accept(end);
        self.place = None;
        if let Some(value) = is_comprehension {
            return value;
        }
        if !is_list && items.len() == 1 {
            self.place = places.pop();
            return items.pop().unwrap_or_else(|| Value::unknown(0));
        }
        if !places.is_empty() && places.len() == items.len() && places.len() <= 64 {
            self.place = Some(Place::Many(places));
        }
        Value::list(items)
    }

    /// A mapping or a set.
    fn braces(&mut self) -> Value {
        self.advance();
        let mut pairs = Vec::new();
        let mut items = Vec::new();
        while self.token.kind != T::End && !self.is(b"}") {
            let start = self.token.start;
            let key = self.expression(0);
            if self.accept(b":") {
                let value = self.expression(0);
                if self.is_word("for") || self.is_word("async") {
                    self.comprehension(Value::unknown(0), start);
                    pairs.push((Value::unknown(0), value));
                    break;
                }
                if pairs.len() < 1024 {
                    pairs.push((key, value));
                }
            } else if self.is_word("for") || self.is_word("async") {
                let value = self.comprehension(key, start);
                self.accept(b"}");
                return value;
            } else if items.len() < MAX_ITEMS {
                items.push(key);
            }
            if !self.accept(b",") {
                break;
            }
        }
        self.accept(b"}");
        self.place = None;
        if pairs.is_empty() { Value::list(items) } else { Value::dict(pairs) }
    }

    /// The clauses behind an element that began at this place; the values of all rounds when they are known.
    fn comprehension(&mut self, element: Value, start: usize) -> Value {
        let mut clauses: Vec<(Option<Place>, Value)> = Vec::new();
        loop {
            if self.accept_word("async") {
                continue;
            }
            if self.accept_word("for") {
                let clause = self.for_clause(2);
                if clauses.len() < 8 {
                    clauses.push(clause);
                }
            } else if self.accept_word("if") {
                self.expression(1);
            } else {
                break;
            }
        }
        let (token, before) = (self.token, self.before);
        let rounds = match clauses.as_slice() {
            [(Some(place), iterable)] if self.state.fuel > 0 => {
                iterable.items(MAX_ROUNDS).map(|items| (place.clone(), items))
            }
            _ => None,
        };
        let value = match rounds {
            Some((place, items)) => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    if self.state.fuel == 0 {
                        break;
                    }
                    self.bind(place.clone(), item);
                    results.push(self.replay(start));
                }
                Value::list(results)
            }
            None => {
                let value = if self.state.fuel > 0 { self.replay(start) } else { element };
                let taint = clauses.iter().fold(value.taint, |taint, (_, iterable)| taint | iterable.taint);
                let item = representative(&Value::list(vec![value]));
                Value::list(vec![Value::unknown(item.taint)]).tainted(taint)
            }
        };
        (self.token, self.before) = (token, before);
        value
    }

    /// The value of a name.
    fn named(&mut self, name: &str) -> Value {
        if let Some(value) = self.state.lookup(&self.scope, name) {
            let value = value.clone();
            if !value.is_unknown() || !names::is_builtin(name) {
                self.reached(&value);
                return value;
            }
        }
        match name {
            "__builtins__" | "__builtin__" => return Value::path("builtins"),
            "unichr" => return Value::path("chr"),
            _ => {}
        }
        if names::is_builtin(name) || names::is_core_module(name) {
            return Value::path(name);
        }
        for star in self.state.stars.clone() {
            let path = format!("{star}.{name}");
            if names::effect(&path, false).is_some() {
                let value = Value::path(&super::call::canonical(&path));
                self.reached(&value);
                return value;
            }
        }
        Value::unknown(0)
    }

    /// A name of the library is reached by whatever way: it will be used.
    pub fn reached(&mut self, value: &Value) {
        let Some(path) = value.as_path() else { return };
        if let Some(effect) = names::effect(path, self.state.is_line()) {
            self.state.effect(effect);
            if value.taint & (value::HIDDEN | value::PIECED) != 0 {
                self.state.hit(Signal::Obfuscated, HOSTILE);
            }
        }
    }

    /// An attribute of a value.
    pub fn attribute(&mut self, value: &Value, name: &str) -> Value {
        if matches!(name, "__subclasses__" | "__base__" | "__bases__" | "__mro__" | "__globals__") {
            self.state.marks |= mark::WALKS;
            if name == "__subclasses__" {
                self.state.hit(Signal::Obfuscated, [STRONG[0], STRONG[1], NEUTRAL[2]]);
            }
        }
        match &value.kind {
            Kind::Path(path) => match super::call::attribute_path(path, name) {
                Some(path) => {
                    let found = Value::path(&path).tainted(value.taint);
                    self.reached(&found);
                    if path == "os.environ" || path == "os.environb" {
                        return found.tainted(value::ENVIRON);
                    }
                    found
                }
                None => Value::unknown(value.taint),
            },
            Kind::Unknown => {
                if matches!(name, "__globals__" | "__builtins__") {
                    return Value::path(if name == "__globals__" { "globals()" } else { "builtins" });
                }
                if let Some(effect) = names::telling_method(name) {
                    let mut grade = FOREIGN;
                    grade[1] = ODD[1];
                    if self.state.is_line() {
                        self.state.effect(effect);
                    } else if names::effect(&format!("subprocess.{name}"), false).is_some() || name == "system" {
                        self.state.hit(Signal::Spawn, grade);
                    }
                }
                let field = self.state.lookup(&[], &format!(".{name}")).cloned();
                match field {
                    Some(field) => {
                        self.reached(&field);
                        field.tainted(value.taint)
                    }
                    None => Value::method(value.clone(), name),
                }
            }
            Kind::Method(_) | Kind::Function(_) | Kind::Lambda(_) => match name {
                "__globals__" => Value::path("globals()"),
                "__builtins__" => Value::path("builtins"),
                _ => Value::unknown(value.taint),
            },
            _ => Value::method(value.clone(), name),
        }
    }
}
