//! The methods of `str` and `bytes`.

use super::args::Args;
use super::budget::Budget;
use super::template::format;
use super::text::join;
use super::value::{CRYPTIC, Kind, PIECED, Taint, Value};

/// Longest result of `replace`.
const MAX_REPLACED: usize = 1 << 20;
/// Parts kept of a split text.
const MAX_PARTS: usize = 4096;

/// A call of a method of a text.
pub struct TextCall<'a> {
    /// The text as a value.
    pub of: &'a Value,
    /// Its bytes.
    pub text: &'a [u8],
    /// The arguments.
    pub args: &'a Args<'a>,
    /// Where the text and the arguments come from.
    pub taint: Taint,
}

impl TextCall<'_> {
    /// A text of the same type.
    fn same(&self, bytes: Vec<u8>) -> Value {
        let text = if matches!(self.of.kind, Kind::Binary(_)) { Value::binary(bytes) } else { Value::text(bytes) };
        text.tainted(self.taint)
    }

    fn unknown(&self) -> Value {
        Value::unknown(self.taint)
    }

    fn parts<'p>(&self, parts: impl Iterator<Item = &'p [u8]>) -> Value {
        Value::list(parts.map(|part| self.same(part.to_vec())).take(MAX_PARTS).collect())
    }
}

/// Computes the value of a call.
pub type TextMethod = fn(&mut Budget, &TextCall<'_>) -> Value;

/// Sorted by name. `decode` and `encode` reveal more than a value and are not here.
static TEXT_METHODS: &[(&str, TextMethod)] = &[
    ("casefold", |_, call| call.same(call.text.to_ascii_lowercase())),
    ("format", |budget, call| format(budget, call.of, call.args.positional, call.args)),
    ("hex", hex),
    ("join", join_pieces),
    ("lower", |_, call| call.same(call.text.to_ascii_lowercase())),
    ("lstrip", strip),
    ("removeprefix", strip),
    ("removesuffix", strip),
    ("replace", replace),
    ("rstrip", strip),
    ("split", split),
    ("splitlines", |_, call| call.parts(call.text.split(|byte| *byte == b'\n'))),
    ("strip", strip),
    ("swapcase", swapcase),
    ("translate", |_, call| Value::unknown(call.taint | CRYPTIC)),
    ("upper", |_, call| call.same(call.text.to_ascii_uppercase())),
];

/// The value of a call of this method.
pub fn text_method(budget: &mut Budget, name: &str, call: &TextCall<'_>) -> Value {
    let at = TEXT_METHODS.binary_search_by_key(&name, |(known, _)| known).ok();
    match at.and_then(|at| TEXT_METHODS.get(at)) {
        Some((_, method)) => method(budget, call),
        None => call.unknown(),
    }
}

fn join_pieces(budget: &mut Budget, call: &TextCall<'_>) -> Value {
    call.args.get(0).map_or_else(|| call.unknown(), |pieces| join(budget, call.of, pieces))
}

fn replace(budget: &mut Budget, call: &TextCall<'_>) -> Value {
    let (from, to) = (call.args.get(0).and_then(Value::bytes), call.args.get(1).and_then(Value::bytes));
    let (Some(from), Some(to)) = (from, to) else { return call.unknown() };
    if from.is_empty() || call.text.len() * (to.len() + 1) >= MAX_REPLACED {
        return call.unknown();
    }
    let mut out = Vec::with_capacity(call.text.len());
    let mut rest = call.text;
    while let Some((byte, tail)) = rest.split_first() {
        if rest.starts_with(from) {
            out.extend_from_slice(to);
            rest = rest.get(from.len()..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = tail;
        }
    }
    if budget.spend(out.len()) { call.same(out).tainted(PIECED) } else { call.unknown() }
}

fn swapcase(_: &mut Budget, call: &TextCall<'_>) -> Value {
    let swap =
        |byte: &u8| if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
    call.same(call.text.iter().map(swap).collect()).tainted(PIECED)
}

fn strip(_: &mut Budget, call: &TextCall<'_>) -> Value {
    if call.args.positional.is_empty() { call.same(call.text.trim_ascii().to_vec()) } else { call.unknown() }
}

fn split(_: &mut Budget, call: &TextCall<'_>) -> Value {
    match call.args.get(0).and_then(Value::bytes).map(|separator| &**separator) {
        Some([separator]) => call.parts(call.text.split(|byte| byte == separator)),
        None if call.args.positional.is_empty() => {
            call.parts(call.text.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()))
        }
        _ => call.unknown(),
    }
}

fn hex(_: &mut Budget, call: &TextCall<'_>) -> Value {
    let digits = call.text.iter().flat_map(|byte| format!("{byte:02x}").into_bytes());
    Value::text(digits.collect::<Vec<_>>()).tainted(call.taint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str, name: &str, positional: &[&str]) -> Value {
        let positional: Vec<Value> = positional.iter().map(|text| Value::text(text.as_bytes())).collect();
        let (of, args) = (Value::text(text.as_bytes()), Args::new(&positional, &[]));
        let call = TextCall { of: &of, text: text.as_bytes(), args: &args, taint: 0 };
        text_method(&mut Budget::for_source(0), name, &call)
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TEXT_METHODS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn methods_return_what_python_returns() {
        for (text, name, args, expected) in [
            ("sXsXtem", "replace", &["X", "y"][..], "sysytem"),
            ("ExEc", "swapcase", &[], "eXeC"),
            ("EXEC", "lower", &[], "exec"),
            (" a ", "strip", &[], "a"),
            ("A", "hex", &[], "41"),
        ] {
            assert_eq!(call(text, name, args).as_str(), Some(expected), "{name}");
        }
        assert!(call("a", "strip", &["x"]).is_unknown());
        assert!(call("a", "rjust", &[]).is_unknown());
    }

    #[test]
    fn a_text_is_split_at_a_separator_or_at_blanks() {
        let parts = |value: Value| {
            let items = value.items(9).unwrap_or_default();
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(parts(call("a,b", "split", &[","])), ["a", "b"]);
        assert_eq!(parts(call(" a  b ", "split", &[])), ["a", "b"]);
        assert_eq!(parts(call("a\nb", "splitlines", &[])), ["a", "b"]);
    }
}
