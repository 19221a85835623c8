//! What a name, an attribute or an item leads to.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::{
    attribute_path, canonical, effect, is_builtin, is_core_module, method_effect, starts_program,
};
use crate::hook::python::eval::{self, ENVIRON, HIDDEN, Kind, PIECED, Taint, Value};
use crate::hook::python::report::{Severity, marks};

/// Longest dotted name that is looked up in a text given to `eval`.
const MAX_EVALUATED: usize = 64;

impl Machine<'_, '_> {
    /// The value of a name.
    pub fn named(&mut self, name: &str) -> Value {
        if let Some(value) = self.lookup(name)
            && (!value.is_unknown() || !is_builtin(name))
        {
            let value = value.clone();
            self.reached(&value);
            return value;
        }
        match name {
            "__builtins__" | "__builtin__" => return Value::path("builtins"),
            "unichr" => return Value::path("chr"),
            _ => {}
        }
        if is_builtin(name) || is_core_module(name) {
            return Value::path(name);
        }
        let starred = self.names.starred(name).find(|path| effect(path, false).is_some());
        match starred {
            Some(path) => {
                let value = Value::path(&canonical(&path));
                self.reached(&value);
                value
            }
            None => Value::unknown(0),
        }
    }

    /// A name of the module.
    fn global(&self, name: &str) -> Value {
        match self.names.lookup(&[], name) {
            Some(value) => value.clone(),
            None if name == "__builtins__" => Value::path("builtins"),
            None if is_builtin(name) || is_core_module(name) => Value::path(name),
            None => Value::unknown(0),
        }
    }

    /// Records that a name of the library is reached. However that was done, it will be used.
    pub fn reached(&mut self, value: &Value) {
        let Some(path) = value.as_path() else { return };
        if let Some(effect) = effect(path, self.report.is_pth()) {
            self.report.effect(effect);
            if value.taint & (HIDDEN | PIECED) != 0 {
                self.report.record(Signal::Obfuscated, Severity::Critical);
            }
        }
    }

    /// An attribute of a value.
    pub fn attribute(&mut self, value: &Value, name: &str) -> Value {
        if matches!(name, "__subclasses__" | "__base__" | "__bases__" | "__mro__" | "__globals__") {
            self.report.mark(marks::WALKS);
            if name == "__subclasses__" {
                self.report.record(Signal::Obfuscated, Severity::High);
            }
        }
        match &value.kind {
            Kind::Path(path) => self.attribute_of_path(path, name, value.taint),
            Kind::Unknown => self.attribute_of_unknown(value, name),
            Kind::Method(_) | Kind::Function(_) | Kind::Lambda(_) => {
                namespace(name).unwrap_or_else(|| Value::unknown(value.taint))
            }
            _ => Value::method(value.clone(), name),
        }
    }

    fn attribute_of_path(&mut self, path: &str, name: &str, taint: Taint) -> Value {
        let Some(path) = attribute_path(path, name) else { return Value::unknown(taint) };
        let found = Value::path(&path).tainted(taint);
        self.reached(&found);
        if path == "os.environ" || path == "os.environb" { found.tainted(ENVIRON) } else { found }
    }

    fn attribute_of_unknown(&mut self, value: &Value, name: &str) -> Value {
        if let Some(namespace) = namespace(name) {
            return namespace;
        }
        if let Some(effect) = method_effect(name) {
            if self.report.is_pth() {
                self.report.effect(effect);
            } else if starts_program(name) {
                self.report.record(Signal::Spawn, Severity::Medium);
            }
        }
        match self.names.attribute(name).cloned() {
            Some(bound) => {
                self.reached(&bound);
                bound.tainted(value.taint)
            }
            None => Value::method(value.clone(), name),
        }
    }

    /// `getattr(of, name, default)`.
    pub fn getattr(&mut self, of: &Value, name: Option<&Value>, default: Option<&Value>) -> Value {
        let Some(name) = name else { return Value::unknown(of.taint) };
        let Some(text) = name.as_str() else {
            if of.as_path().is_some_and(is_core_module) {
                let is_hidden = name.taint & HIDDEN != 0;
                self.report.record(Signal::Obfuscated, if is_hidden { Severity::Severe } else { Severity::Medium });
            }
            return Value::unknown(of.taint | name.taint);
        };
        let disguise = name.taint & (PIECED | HIDDEN);
        let found = self.attribute(of, text).tainted(disguise);
        if found.as_path().is_some_and(|path| effect(path, false).is_some()) {
            if disguise != 0 {
                self.report.record(Signal::Obfuscated, Severity::Critical);
            } else if text != "open" {
                // The name could have been written with a dot.
                self.report.record(Signal::Obfuscated, Severity::Medium);
            }
        }
        match default {
            Some(default) => found.or(default.clone()),
            None => found,
        }
    }

    /// `value[key]`.
    pub fn item(&mut self, value: &Value, key: &Value) -> Value {
        let disguise = key.taint & (PIECED | HIDDEN);
        let taint = value.taint | disguise;
        match &value.kind {
            Kind::Path(path) => {
                let Some(name) = key.as_str() else { return Value::unknown(taint) };
                let found = match &**path {
                    "sys.modules" => Value::path(&canonical(name)),
                    "globals()" => self.global(name),
                    "os.environ" => Value::unknown(ENVIRON),
                    _ => self.attribute(value, name),
                };
                let found = found.tainted(disguise);
                self.reached(&found);
                found
            }
            Kind::Unknown => {
                let bound = key.as_str().and_then(|key| self.names.attribute(key)).cloned();
                bound.unwrap_or_else(|| Value::unknown(0)).tainted(taint)
            }
            _ => eval::item(self.budget, value, key),
        }
    }

    /// The value of a text that is evaluated, if it is a dotted name.
    pub fn evaluated(&mut self, text: &[u8], taint: Taint) -> Value {
        let name = std::str::from_utf8(text).unwrap_or_default().trim();
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        if name.len() >= MAX_EVALUATED || !name.bytes().all(is_name_byte) || name.split('.').any(str::is_empty) {
            return Value::unknown(taint);
        }
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let mut value = match self.lookup(first) {
            _ if is_builtin(first) || is_core_module(first) => Value::path(&canonical(first)),
            Some(value) => value.clone(),
            None => Value::unknown(0),
        };
        for part in parts {
            value = self.attribute(&value, part);
        }
        value.tainted(taint)
    }
}

/// The namespace behind an attribute of any function or object.
fn namespace(name: &str) -> Option<Value> {
    match name {
        "__globals__" => Some(Value::path("globals()")),
        "__builtins__" => Some(Value::path("builtins")),
        _ => None,
    }
}
