//! Brackets: sequences, mappings, subscripts and comprehensions, and the targets of loops.

use super::expression::level;
use super::machine::{Machine, Place};
use crate::hook::python::eval::{self, CRYPTIC, MAX_ITEMS, Value};
use crate::hook::python::lexer::Kind as T;

/// Times that the element of a comprehension is read again.
const MAX_ROUNDS: usize = 8192;
/// Clauses kept of a comprehension.
const MAX_CLAUSES: usize = 8;
/// Pairs kept of a mapping.
const MAX_PAIRS: usize = 1024;
/// Targets kept of a tuple.
const MAX_PLACES: usize = 64;

impl Machine<'_, '_> {
    /// The content of round or square brackets.
    pub fn group(&mut self, end: &[u8]) -> Value {
        self.advance();
        let (mut items, mut places) = (Vec::new(), Vec::new());
        let mut is_list = end == b"]";
        let mut comprehension = None;
        while self.token.kind != T::End && !self.is(end) {
            let start = self.token.start;
            self.place = None;
            let value = self.expression(level::ALL);
            if self.is_comprehension() {
                comprehension = Some(self.comprehension(value, start));
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
        if let Some(value) = comprehension {
            return value;
        }
        if !is_list && items.len() == 1 {
            self.place = places.pop();
            return items.pop().unwrap_or_else(|| Value::unknown(0));
        }
        if !places.is_empty() && places.len() == items.len() && places.len() <= MAX_PLACES {
            self.place = Some(Place::Many(places));
        }
        Value::list(items)
    }

    /// A mapping or a set.
    pub fn braces(&mut self) -> Value {
        self.advance();
        let (mut pairs, mut items) = (Vec::new(), Vec::new());
        while self.token.kind != T::End && !self.is(b"}") {
            let start = self.token.start;
            let key = self.expression(level::ALL);
            if self.accept(b":") {
                let value = self.expression(level::ALL);
                if self.is_comprehension() {
                    self.comprehension(Value::unknown(0), start);
                    pairs.push((Value::unknown(0), value));
                    break;
                }
                if pairs.len() < MAX_PAIRS {
                    pairs.push((key, value));
                }
            } else if self.is_comprehension() {
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

    /// The item or slice of a value, up to the closing bracket, and the key.
    pub fn subscript(&mut self, value: &Value) -> (Value, Value) {
        let mut parts: [Option<Value>; 3] = [None, None, None];
        let (mut at, mut is_slice) = (0, false);
        while self.token.kind != T::End && !self.is(b"]") {
            if self.accept(b":") {
                is_slice = true;
                at = (at + 1).min(2);
                continue;
            }
            let start = self.token.start;
            let part = self.expression(level::ALL);
            if let Some(slot) = parts.get_mut(at) {
                *slot = Some(part);
            }
            if !self.accept(b",") && self.token.start == start || self.token.kind == T::Newline {
                break;
            }
        }
        self.accept(b"]");
        if is_slice {
            return (self.sliced(value, &parts), Value::unknown(0));
        }
        let [first, ..] = parts;
        let key = first.unwrap_or_else(|| Value::unknown(0));
        (self.item(value, &key), key)
    }

    fn sliced(&mut self, value: &Value, parts: &[Option<Value>; 3]) -> Value {
        let numbers = parts.each_ref().map(|part| part.as_ref().and_then(Value::as_integer));
        let is_known = parts.iter().zip(numbers).all(|(part, number)| part.is_some() == number.is_some());
        let slice = if is_known { eval::slice(self.budget, value, numbers) } else { None };
        let [_, _, step] = numbers;
        let cryptic = if step.is_some_and(|step| step != 1) { CRYPTIC } else { 0 };
        slice.unwrap_or_else(|| Value::unknown(value.taint)).tainted(cryptic)
    }

    /// The clauses behind an element that began at this place. The values of all rounds if they are known.
    pub fn comprehension(&mut self, element: Value, start: usize) -> Value {
        let clauses = self.clauses();
        let (token, before) = (self.token, self.before);
        let rounds = match clauses.as_slice() {
            [(Some(place), iterable)] if !self.budget.is_empty() => {
                iterable.items(MAX_ROUNDS).map(|items| (place, items))
            }
            _ => None,
        };
        let value = match rounds {
            Some((place, items)) => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    if self.budget.is_empty() {
                        break;
                    }
                    self.bind(place.clone(), item);
                    results.push(self.replay(start));
                }
                Value::list(results)
            }
            None => {
                let value = if self.budget.is_empty() { element } else { self.replay(start) };
                let taint = clauses.iter().fold(value.taint, |taint, (_, iterable)| taint | iterable.taint);
                Value::list(vec![Value::unknown(value.taint)]).tainted(taint)
            }
        };
        (self.token, self.before) = (token, before);
        value
    }

    /// The clauses of a comprehension: its targets and what they go over.
    fn clauses(&mut self) -> Vec<(Option<Place>, Value)> {
        let mut clauses = Vec::new();
        loop {
            if self.accept_word("async") {
                continue;
            }
            if self.accept_word("for") {
                let clause = self.for_clause(level::AND);
                if clauses.len() < MAX_CLAUSES {
                    clauses.push(clause);
                }
            } else if self.accept_word("if") {
                self.expression(level::OR);
            } else {
                return clauses;
            }
        }
    }

    /// What follows `for`, up to the end of the iterable. Binds the targets and returns them with the iterable.
    pub fn for_clause(&mut self, least: u8) -> (Option<Place>, Value) {
        let targets = self.targets();
        if !self.accept_word("in") {
            return (None, Value::unknown(0));
        }
        let mut iterable = self.expression(least);
        if least == level::OR && self.is(b",") {
            let mut items = vec![iterable];
            while self.accept(b",") {
                items.push(self.expression(least));
            }
            iterable = Value::list(items);
        }
        let first = iterable.representative();
        if let Some(place) = targets.clone() {
            self.bind(place, first);
        }
        (targets, iterable)
    }

    fn targets(&mut self) -> Option<Place> {
        let (mut places, mut is_tuple) = (Vec::new(), false);
        loop {
            self.place = None;
            self.expression(level::BITWISE);
            places.extend(self.place.take());
            if !self.accept(b",") || self.is_word("in") {
                break;
            }
            is_tuple = true;
        }
        if is_tuple { Some(Place::Many(places)) } else { places.pop() }
    }
}
