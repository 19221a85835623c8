//! Calls: of functions of the source, of lambdas, and of the library by their effect.

use super::library;
use super::machine::{Machine, Place};
use super::names::Scope;
use crate::event::Signal;
use crate::hook::python::effects::{Effect, effect};
use crate::hook::python::eval::{Args, HIDDEN, Kind, NETWORK, PIECED, Value, WHOLE_ENVIRON, builtin};
use crate::hook::python::report::{Severity, marks};

/// Expressions within each other up to which a lambda is read again.
const MAX_REPLAY_DEPTH: usize = 40;

impl Machine<'_, '_> {
    /// The value of a call.
    pub fn call(&mut self, callee: &Value, positional: &[Value], named: &[(String, Value)]) -> Value {
        let args = Args::new(positional, named);
        if !callee.as_path().is_some_and(only_looks) {
            self.call_passed_on(&args);
        }
        match &callee.kind {
            Kind::Path(path) => self.call_library(path, callee, &args),
            Kind::Method(method) => self.call_method(&method.0, &method.1, &args),
            Kind::Lambda(lambda) if lambda.source == self.number && !self.budget.is_empty() => {
                for (name, value) in lambda.parameters.iter().zip(positional) {
                    self.bind(Place::Name(name.to_string()), value.clone());
                }
                if self.depth > MAX_REPLAY_DEPTH { Value::unknown(args.taint) } else { self.replay(lambda.body) }
            }
            Kind::Function(number) => self.call_own(*number, &args),
            _ => Value::unknown(callee.taint | args.taint),
        }
    }

    /// A function that the source defines: binds its parameters and returns what is known of its result.
    fn call_own(&mut self, number: Scope, args: &Args<'_>) -> Value {
        let Some(function) = self.names.function(number) else { return Value::unknown(args.taint) };
        let parameters = function.parameters.clone();
        let result = function.result.clone();
        // A method is called without its first parameter.
        let skipped = usize::from(parameters.first().is_some_and(|first| matches!(&**first, "self" | "cls")));
        let by_position = parameters.iter().skip(skipped).zip(args.positional);
        let by_name = args.named.iter().filter_map(|(name, value)| {
            parameters.iter().find(|parameter| ***parameter == **name).map(|parameter| (parameter, value))
        });
        for (name, value) in by_position.chain(by_name) {
            let old = self.names.lookup(&[number], name).map_or(0, |old| old.taint);
            self.bind_in(number, name, value.clone().tainted(old));
        }
        match result {
            Some(result) => result.tainted(args.taint & !PIECED),
            None => Value::unknown(args.taint),
        }
    }

    /// A function that is passed on will be called with what is passed on beside it: `map(exec, texts)`,
    /// `Thread(target=system, args=...)`, `partial(exec, text)`.
    fn call_passed_on(&mut self, args: &Args<'_>) {
        let with_effect = |value: &Value| value.as_path().and_then(|path| effect(path, false));
        let Some((function, effect)) = args.all().find_map(|value| Some((value, with_effect(value)?))) else { return };
        if !matches!(effect, Effect::Execute | Effect::Spawn | Effect::Compile | Effect::Import) {
            return;
        }
        let Some(path) = function.as_path() else { return };
        let rest: Vec<Value> =
            args.all().filter(|value| value.as_path() != Some(path)).map(Value::representative_or_self).collect();
        if path == "exec" || path == "eval" {
            self.report.record(Signal::Execute, Severity::Medium);
        }
        self.call_library(path, &Value::path(path), &Args { taint: 0, ..Args::new(&rest, &[]) });
    }

    /// A function of the library, by its effect.
    fn call_library(&mut self, path: &str, callee: &Value, args: &Args<'_>) -> Value {
        let effect = effect(path, self.report.is_pth());
        if matches!(effect, Some(Effect::Execute | Effect::Spawn)) && callee.taint & (PIECED | HIDDEN) != 0 {
            self.report.record(Signal::Obfuscated, Severity::Critical);
        }
        match effect {
            Some(Effect::Execute) => {
                let code = args.first();
                self.execute(path, code);
                match code.bytes() {
                    Some(text) if path == "eval" => self.evaluated(text, code.taint),
                    _ => Value::unknown(args.taint),
                }
            }
            Some(Effect::Compile) => self.compile(path, args),
            Some(Effect::RunFile) => self.run_file(path, args),
            Some(Effect::Console) => {
                self.report.effect(Effect::Console);
                // What a user types is no payload.
                Value::unknown(0)
            }
            Some(Effect::Import) => self.import_call(args.first()),
            Some(Effect::Loader) => self.load_file(args),
            Some(Effect::Spawn) => self.spawn(args),
            Some(Effect::Decode) => self.decode(path, args),
            Some(Effect::Deserialise) => self.deserialise(args),
            Some(Effect::Network) => {
                if args.taint & WHOLE_ENVIRON != 0 {
                    self.report.record(Signal::Credentials, Severity::Critical);
                }
                if path.ends_with("urlretrieve") {
                    self.report.mark(marks::WRITES_FETCHED);
                }
                Value::unknown(args.taint | NETWORK)
            }
            Some(Effect::FileChange) => {
                self.write(args.positional);
                Value::unknown(args.taint)
            }
            Some(_) => Value::unknown(args.taint),
            None => self.call_without_effect(path, args),
        }
    }

    /// A function of the library that makes a value.
    fn call_without_effect(&mut self, path: &str, args: &Args<'_>) -> Value {
        let value = match builtin(path) {
            Some(builtin) => builtin(self.budget, args),
            None => library::call(self, path, args),
        };
        if value.taint & WHOLE_ENVIRON != 0 {
            self.report.mark(marks::HARVEST);
        }
        value
    }
}

/// Functions that do not call what they are given.
fn only_looks(path: &str) -> bool {
    matches!(path, "getattr" | "callable" | "isinstance" | "hasattr" | "print" | "str" | "repr")
}
