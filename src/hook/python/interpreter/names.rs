//! What the names of a source are bound to, and the functions it defines.

use crate::hook::python::effects::{effect, is_builtin};
use crate::hook::python::eval::{Kind, Value};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Names and functions kept.
const MAX_NAMES: usize = 1 << 15;
/// Modules kept of which every name is imported.
const MAX_STARS: usize = 16;

/// The number of a function; 0 is the module.
pub type Scope = u32;

/// A function of the source.
#[derive(Default)]
pub struct Function {
    /// Its parameters.
    pub parameters: Vec<Box<str>>,
    /// What it returns.
    pub result: Option<Value>,
}

/// All names and functions.
pub struct Names {
    scopes: HashMap<Scope, HashMap<Box<str>, Value>>,
    count: usize,
    /// Names that a function declares as global.
    redirected: HashSet<(Scope, Box<str>)>,
    functions: Vec<Function>,
    /// The numbers of functions by the source and place they are defined at.
    defined_at: HashMap<(u32, usize), Scope>,
    /// Modules of which every name is imported.
    stars: Vec<Rc<str>>,
}

/// There is no room for another name.
pub struct Full;

impl Names {
    /// No names.
    pub fn new() -> Self {
        Self {
            scopes: HashMap::new(),
            count: 0,
            redirected: HashSet::new(),
            functions: vec![Function::default()],
            defined_at: HashMap::new(),
            stars: Vec::new(),
        }
    }

    /// The value of a name in these scopes, the innermost last, and in the module.
    pub fn lookup(&self, scopes: &[Scope], name: &str) -> Option<&Value> {
        scopes.iter().rev().chain(&[0]).find_map(|scope| self.scopes.get(scope)?.get(name))
    }

    /// The value bound to an attribute of this name, on any object.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.lookup(&[], &format!(".{name}"))
    }

    /// Binds a name in a scope. A name with an effect keeps it when something without one is bound to it.
    pub fn bind(&mut self, scope: Scope, name: &str, value: Value) -> Result<(), Full> {
        let scope = if scope != 0 && self.redirected.contains(&(scope, Box::from(name))) { 0 } else { scope };
        if let Some(old) = self.scopes.get_mut(&scope).and_then(|names| names.get_mut(name)) {
            let has_effect = |value: &Value| value.as_path().is_some_and(|path| effect(path, false).is_some());
            if !has_effect(old) || has_effect(&value) {
                *old = value;
            }
            return Ok(());
        }
        // In the module, a name that is not known is the same as an unknown value.
        if scope == 0 && value.is_unknown() && value.taint == 0 && !is_builtin(name) {
            return Ok(());
        }
        if self.count >= MAX_NAMES {
            return Err(Full);
        }
        self.count += 1;
        self.scopes.entry(scope).or_default().insert(name.into(), value);
        Ok(())
    }

    /// Binds an attribute of this name, on any object.
    pub fn bind_attribute(&mut self, name: &str, value: Value) -> Result<(), Full> {
        self.bind(0, &format!(".{name}"), value)
    }

    /// `global name` in a function.
    pub fn redirect(&mut self, scope: Scope, name: &str) {
        if self.redirected.len() < MAX_NAMES {
            self.redirected.insert((scope, name.into()));
        }
    }

    /// `from module import *`.
    pub fn add_star(&mut self, module: &str) {
        if self.stars.len() < MAX_STARS && !self.stars.iter().any(|star| **star == *module) {
            self.stars.push(module.into());
        }
    }

    /// The canonical names that this name may have by `from module import *`.
    pub fn starred(&self, name: &str) -> impl Iterator<Item = String> {
        self.stars.iter().map(move |star| format!("{star}.{name}"))
    }

    /// The number of the function defined at this place; 0 if there are too many.
    pub fn function_at(&mut self, source: u32, place: usize) -> Scope {
        if let Some(number) = self.defined_at.get(&(source, place)) {
            return *number;
        }
        if self.functions.len() >= MAX_NAMES {
            return 0;
        }
        let number = u32::try_from(self.functions.len()).unwrap_or(0);
        self.functions.push(Function::default());
        self.defined_at.insert((source, place), number);
        number
    }

    /// The function with this number.
    pub fn function(&self, number: Scope) -> Option<&Function> {
        self.functions.get(usize::try_from(number).unwrap_or(0))
    }

    fn function_mut(&mut self, number: Scope) -> Option<&mut Function> {
        self.functions.get_mut(usize::try_from(number).unwrap_or(0))
    }

    /// Sets the parameters of a function.
    pub fn set_parameters(&mut self, number: Scope, parameters: Vec<Box<str>>) {
        if let Some(function) = self.function_mut(number) {
            function.parameters = parameters;
        }
    }

    /// Adds a value that a function may return.
    pub fn add_result(&mut self, number: Scope, value: Value) {
        if let Some(function) = self.function_mut(number) {
            let old = function.result.take().unwrap_or_else(|| Value::unknown(0));
            let is_known = !matches!(value.kind, Kind::Unknown);
            function.result = Some(if is_known { value.or(old) } else { old.tainted(value.taint) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_effect_keeps_it() {
        let mut names = Names::new();
        let bind = |names: &mut Names, value| assert!(names.bind(0, "run", value).is_ok());
        bind(&mut names, Value::integer(1));
        bind(&mut names, Value::path("os.system"));
        bind(&mut names, Value::integer(2));
        assert_eq!(names.lookup(&[], "run").and_then(Value::as_path), Some("os.system"));
        bind(&mut names, Value::path("os.popen"));
        assert_eq!(names.lookup(&[], "run").and_then(Value::as_path), Some("os.popen"));
    }

    #[test]
    fn inner_scopes_hide_outer_ones_unless_the_name_is_global() {
        let mut names = Names::new();
        let scope = names.function_at(0, 10);
        names.redirect(scope, "shared");
        for (name, value) in [("own", 1), ("shared", 2)] {
            assert!(names.bind(scope, name, Value::integer(value)).is_ok());
        }
        assert!(names.lookup(&[], "own").is_none());
        assert_eq!(names.lookup(&[scope], "own").and_then(Value::as_integer), Some(1));
        assert_eq!(names.lookup(&[], "shared").and_then(Value::as_integer), Some(2));
    }

    #[test]
    fn names_are_bounded() {
        let mut names = Names::new();
        let full = (0..=MAX_NAMES).any(|number| names.bind(0, &format!("a{number}"), Value::integer(0)).is_err());
        assert!(full);
    }
}
