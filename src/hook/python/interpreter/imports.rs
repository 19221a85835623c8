//! Imports: statements and calls.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::{canonical, import_effect, is_standard};
use crate::hook::python::eval::{HIDDEN, PIECED, Value};
use crate::hook::python::report::Severity;

/// Longest module name that is followed.
const MAX_MODULE: usize = 256;
/// Longest module name of an import by a call.
const MAX_CALLED: usize = 120;

impl Machine<'_, '_> {
    /// `import a.b as c, d`.
    pub fn import(&mut self) {
        self.advance();
        loop {
            let (module, _) = self.dotted();
            if module.is_empty() {
                return;
            }
            self.imported(&module);
            if self.accept_word("as") {
                if let Some(name) = self.name() {
                    self.bind_name(&name, Value::path(&canonical(&module)));
                }
            } else {
                let top = module.split('.').next().unwrap_or_default();
                self.bind_name(top, Value::path(&canonical(top)));
            }
            if !self.accept(b",") {
                return;
            }
        }
    }

    /// `from a.b import c as d, e`.
    pub fn import_from(&mut self) {
        self.advance();
        let (module, is_relative) = self.dotted();
        if !self.accept_word("import") {
            return;
        }
        if !is_relative {
            self.imported(&module);
        }
        let module = canonical(&module);
        let has_bracket = self.accept(b"(");
        if self.accept(b"*") {
            if !is_relative {
                self.names.add_star(&module);
            }
            return;
        }
        while let Some(name) = self.name() {
            let alias = if self.accept_word("as") { self.name() } else { None };
            let value = if is_relative { Value::unknown(0) } else { self.name_of_module(&module, &name) };
            self.bind_name(alias.as_ref().unwrap_or(&name), value);
            if !self.accept(b",") {
                break;
            }
        }
        if has_bracket {
            self.accept(b")");
        }
    }

    fn name_of_module(&mut self, module: &str, name: &str) -> Value {
        let value = self.attribute(&Value::path(module), name);
        if value.is_unknown() { Value::path(&format!("{module}.{name}")) } else { value }
    }

    /// Reads a dotted name, and whether dots of a relative import stand before it.
    fn dotted(&mut self) -> (String, bool) {
        let mut is_relative = false;
        while self.accept(b".") {
            is_relative = true;
        }
        let mut name = String::new();
        if self.is_word("import") {
            return (name, is_relative);
        }
        while let Some(part) = self.name() {
            if name.len() < MAX_MODULE {
                name.push_str(&part);
            }
            if !self.accept(b".") {
                break;
            }
            name.push('.');
        }
        (name, is_relative)
    }

    /// Records the import of a module.
    fn imported(&mut self, module: &str) {
        self.report.import(module);
        // Its import opens a browser.
        if module.split('.').next() == Some("antigravity") {
            self.report.record(Signal::Spawn, Severity::Severe);
        }
        if self.report.is_pth()
            && let Some(effect) = import_effect(module)
        {
            self.report.effect(effect);
        }
    }

    /// `__import__(name)`.
    pub fn import_call(&mut self, name: &Value) -> Value {
        let Some(module) = name.as_str() else {
            let is_hidden = name.taint & HIDDEN != 0;
            self.report.record(Signal::DynamicImport, if is_hidden { Severity::Severe } else { Severity::Notice });
            return Value::unknown(name.taint);
        };
        if module.len() > MAX_CALLED {
            return Value::unknown(name.taint);
        }
        self.imported(module);
        if name.taint & (PIECED | HIDDEN) != 0 {
            let top = module.split('.').next().unwrap_or_default();
            self.report.record(Signal::DynamicImport, Severity::Info);
            self.report.record(Signal::Obfuscated, if is_standard(top) { Severity::Critical } else { Severity::High });
        }
        Value::path(&canonical(module))
    }
}
