//! Functions of the library whose arguments reveal something, or lead to other names.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::method_effect;
use crate::hook::python::eval::{Args, ENVIRON, Kind, Value};
use crate::hook::python::report::Severity;

/// Elements that a function is mapped over.
const MAX_MAPPED: usize = 8192;
/// Cost of one call by `map`.
const MAPPED_CALL: usize = 48;

type Function = fn(&mut Machine<'_, '_>, &Args<'_>) -> Value;

/// Functions by their canonical name. Sorted.
static FUNCTIONS: &[(&str, Function)] = &[
    ("__getitem__", builtins_item),
    ("builtins.get", builtins_item),
    ("builtins.getattr", getattr),
    ("file", open),
    ("filter", filter),
    ("functools.partial", partial),
    ("functools.reduce", reduce),
    ("get", builtins_item),
    ("getattr", getattr),
    ("globals().__getitem__", globals_item),
    ("globals().get", globals_item),
    ("globals().pop", globals_item),
    ("itertools.starmap", map),
    ("map", map),
    ("open", open),
    ("operator.attrgetter", attribute_getter),
    ("operator.getitem", getattr),
    ("operator.methodcaller", attribute_getter),
    ("os.environ.get", environment),
    ("os.environ.pop", environment),
    ("os.environ.setdefault", set_environment),
    ("os.getenv", environment),
    ("os.getenvb", environment),
    ("os.path.join", join_path),
    ("partial", partial),
    ("pathlib.Path", join_path),
    ("pathlib.Path.open", open),
    ("pathlib.PosixPath", join_path),
    ("pathlib.PurePath", join_path),
    ("posixpath.join", join_path),
    ("reduce", reduce),
    ("sys.modules.__getitem__", modules_item),
    ("sys.modules.get", modules_item),
    ("sys.modules.pop", modules_item),
    ("sys.modules.setdefault", set_module),
];

/// The value of a call of the function with this canonical name.
pub fn call(machine: &mut Machine<'_, '_>, path: &str, args: &Args<'_>) -> Value {
    let at = FUNCTIONS.binary_search_by_key(&path, |(known, _)| known).ok();
    if let Some((_, function)) = at.and_then(|at| FUNCTIONS.get(at)) {
        return function(machine, args);
    }
    if let Some(base) = path.strip_suffix(".__getattribute__") {
        return machine.getattr(&Value::path(base), Some(args.first()), None);
    }
    match path.rsplit_once('.') {
        Some((base, "get" | "__getitem__")) => machine.item(&Value::path(base), args.first()),
        _ => Value::unknown(args.taint),
    }
}

fn getattr(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    machine.getattr(args.first(), args.get(1), args.get(2))
}

fn attribute_getter(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    let name = args.first().as_str().map(|name| name.rsplit('.').next().unwrap_or(name));
    if let Some(effect) = name.and_then(method_effect) {
        machine.report.effect(effect);
        machine.report.record(Signal::Obfuscated, Severity::Severe);
    }
    Value::unknown(args.taint)
}

fn modules_item(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    machine.item(&Value::path("sys.modules"), args.first())
}

fn set_module(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    modules_item(machine, args).or(args.get(1).unwrap_or(&Value::UNKNOWN).clone())
}

fn globals_item(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    machine.item(&Value::path("globals()"), args.first())
}

fn builtins_item(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    machine.item(&Value::path("builtins"), args.first())
}

fn environment(_: &mut Machine<'_, '_>, _: &Args<'_>) -> Value {
    Value::unknown(ENVIRON)
}

fn set_environment(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    if let Some(variable) = args.first().bytes() {
        machine.environment_set(variable);
    }
    Value::unknown(ENVIRON)
}

fn open(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    machine.open(args.first(), args.get(1).or_else(|| args.by_name("mode")))
}

fn join_path(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    let mut joined = args.first().clone();
    for part in args.skip(1) {
        joined = machine.combine(b"/", joined, part.clone());
    }
    if let Some(text) = joined.bytes() {
        machine.record_mentions(text);
    }
    joined
}

fn partial(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    if args.first().as_path().is_some() { args.first().clone() } else { reduce(machine, args) }
}

/// Calls a function of the source with one element of each of its arguments.
fn reduce(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    let function = args.first();
    if !matches!(function.kind, Kind::Lambda(_) | Kind::Function(_)) {
        return Value::unknown(args.taint);
    }
    let rest: Vec<Value> = args.skip(1).iter().map(Value::representative_or_self).collect();
    machine.call(function, &rest, args.named)
}

fn map(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    let (Some(function), Some(over)) = (args.get(0), args.get(1)) else { return Value::unknown(args.taint) };
    let Some(items) = over.items(MAX_MAPPED) else {
        let result = machine.call(function, &[over.representative()], &[]);
        return Value::unknown(args.taint | result.taint);
    };
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        if !machine.budget.spend(MAPPED_CALL) {
            break;
        }
        results.push(machine.call(function, &[item], &[]));
    }
    Value::list(results)
}

fn filter(machine: &mut Machine<'_, '_>, args: &Args<'_>) -> Value {
    match args.get(1).and_then(|over| over.items(MAX_MAPPED)) {
        Some(items) => Value::list(items),
        None => map(machine, args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
