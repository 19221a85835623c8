//! Builtins and library functions that only make values.

use super::args::Args;
use super::budget::Budget;
use super::template::format;
use super::text::{join, shown};
use super::value::{CRYPTIC, FILE, Kind, MAX_ITEMS, Value, WHOLE_ENVIRON};
use crate::hook::python::lexer::push_character;

/// Computes the value of a call.
pub type Builtin = fn(&mut Budget, &Args<'_>) -> Value;

/// Numbers kept of a `range`.
const MAX_RANGE: usize = 4096;

/// Functions by their canonical name. Sorted.
static BUILTINS: &[(&str, Builtin)] = &[
    ("ascii", str),
    ("bytearray", bytes),
    ("bytes", bytes),
    ("bytes.join", str_join),
    ("chr", chr),
    ("copy.copy", list),
    ("copy.deepcopy", list),
    ("dict", list),
    ("enumerate", list),
    ("format", str),
    ("frozenset", list),
    ("globals", globals),
    ("inspect.cleandoc", same),
    ("inspect.getsource", file),
    ("int", int),
    ("int.from_bytes", cryptic),
    ("int.to_bytes", cryptic),
    ("iter", list),
    ("json.dumps", list),
    ("len", len),
    ("linecache.getline", file),
    ("linecache.getlines", file),
    ("list", list),
    ("locals", globals),
    ("marshal.dumps", list),
    ("memoryview", bytes),
    ("next", next),
    ("ord", ord),
    ("os.environ.copy", environment),
    ("os.environ.items", environment),
    ("os.environ.values", environment),
    ("os.fsdecode", same),
    ("os.fsencode", same),
    ("os.path.abspath", same),
    ("os.path.expanduser", same),
    ("os.path.expandvars", same),
    ("os.path.realpath", same),
    ("pathlib.Path.expanduser", same),
    ("pathlib.Path.read_text", file),
    ("pickle.dumps", list),
    ("pkgutil.get_data", file),
    ("range", range),
    ("repr", str),
    ("reversed", reversed),
    ("set", list),
    ("shlex.split", same),
    ("sorted", list),
    ("str", str),
    ("str.encode", same),
    ("str.format", str_format),
    ("str.join", str_join),
    ("sys._getframe", unknown),
    ("tempfile.mkstemp", file),
    ("textwrap.dedent", same),
    ("tokenize.open", file),
    ("tuple", list),
    ("type", unknown),
    ("unicode", str),
    ("urllib.parse.urlencode", list),
    ("urllib.urlencode", list),
    ("vars", vars),
    ("xrange", range),
];

/// The function with this canonical name.
pub fn builtin(path: &str) -> Option<Builtin> {
    let at = BUILTINS.binary_search_by_key(&path, |(known, _)| known).ok()?;
    BUILTINS.get(at).map(|(_, function)| *function)
}

fn unknown(_: &mut Budget, _: &Args<'_>) -> Value {
    Value::unknown(0)
}

/// Functions that return their argument, as far as it matters here.
fn same(_: &mut Budget, args: &Args<'_>) -> Value {
    args.first().clone()
}

fn file(_: &mut Budget, _: &Args<'_>) -> Value {
    Value::unknown(FILE)
}

fn environment(_: &mut Budget, _: &Args<'_>) -> Value {
    Value::unknown(WHOLE_ENVIRON)
}

fn cryptic(_: &mut Budget, args: &Args<'_>) -> Value {
    Value::unknown(args.taint | CRYPTIC)
}

fn globals(_: &mut Budget, _: &Args<'_>) -> Value {
    Value::path("globals()")
}

fn vars(budget: &mut Budget, args: &Args<'_>) -> Value {
    if args.positional.is_empty() { globals(budget, args) } else { args.first().clone() }
}

fn chr(_: &mut Budget, args: &Args<'_>) -> Value {
    let taint = args.taint | CRYPTIC;
    let Some(code) = args.first().as_integer().and_then(|code| u32::try_from(code).ok()) else {
        return Value::unknown(taint);
    };
    let mut text = Vec::new();
    push_character(&mut text, code, true);
    Value::text(text).tainted(taint)
}

fn ord(_: &mut Budget, args: &Args<'_>) -> Value {
    match args.first().as_str().and_then(|text| text.chars().next()) {
        Some(character) => Value::integer(i64::from(u32::from(character))).tainted(args.taint),
        None => Value::unknown(args.taint),
    }
}

fn int(_: &mut Budget, args: &Args<'_>) -> Value {
    let radix = args.get(1).and_then(Value::as_integer).and_then(|radix| u32::try_from(radix).ok());
    let radix = radix.filter(|radix| (2..=36).contains(radix)).unwrap_or(10);
    let number = match (&args.first().kind, args.first().as_str()) {
        (Kind::Integer(number), _) => Some(*number),
        (_, Some(text)) => i64::from_str_radix(text.trim().trim_start_matches("0x"), radix).ok(),
        _ => None,
    };
    number.map_or_else(|| Value::unknown(args.taint), |number| Value::integer(number).tainted(args.taint))
}

fn len(_: &mut Budget, args: &Args<'_>) -> Value {
    match args.first().bytes() {
        Some(bytes) => Value::integer(i64::try_from(bytes.len()).unwrap_or(0)),
        None => Value::unknown(0),
    }
}

fn bytes(_: &mut Budget, args: &Args<'_>) -> Value {
    match &args.first().kind {
        Kind::List(items) => {
            let byte = |item: &Value| item.as_integer().and_then(|number| u8::try_from(number).ok());
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            bytes.map_or_else(|| Value::unknown(0), Value::binary).tainted(args.taint | CRYPTIC)
        }
        Kind::Text(bytes) | Kind::Binary(bytes) => Value::binary(bytes.clone()).tainted(args.taint),
        _ => Value::unknown(args.taint),
    }
}

fn str(budget: &mut Budget, args: &Args<'_>) -> Value {
    match shown(args.first()) {
        Some(text) if budget.spend(text.len()) => Value::text(text).tainted(args.taint),
        _ if args.first().as_path() == Some("os.environ") => Value::unknown(WHOLE_ENVIRON),
        _ => Value::unknown(args.taint),
    }
}

fn str_join(budget: &mut Budget, args: &Args<'_>) -> Value {
    match args.get(1) {
        Some(pieces) => join(budget, args.first(), pieces),
        None => Value::unknown(args.taint),
    }
}

fn str_format(budget: &mut Budget, args: &Args<'_>) -> Value {
    format(budget, args.first(), args.skip(1), args)
}

/// The elements of the first argument, or what the call returns if they are not known.
fn elements(budget: &mut Budget, args: &Args<'_>) -> Result<Vec<Value>, Value> {
    if args.first().as_path() == Some("os.environ") {
        return Err(Value::unknown(WHOLE_ENVIRON));
    }
    match args.first().items(MAX_ITEMS) {
        Some(items) if budget.spend(items.len()) => Ok(items),
        _ => Err(Value::unknown(args.taint)),
    }
}

/// Sequences, and functions whose result holds the elements of their argument.
fn list(budget: &mut Budget, args: &Args<'_>) -> Value {
    elements(budget, args).map_or_else(|unknown| unknown, Value::list)
}

/// A reversed text is cryptic; a reversed list is an ordinary list.
fn reversed(budget: &mut Budget, args: &Args<'_>) -> Value {
    let cryptic = if args.first().bytes().is_some() { CRYPTIC } else { 0 };
    match elements(budget, args) {
        Ok(items) => Value::list(items.into_iter().rev().collect()).tainted(cryptic),
        Err(unknown) => unknown,
    }
}

fn next(_: &mut Budget, args: &Args<'_>) -> Value {
    if args.first().as_path() == Some("os.environ") {
        return Value::unknown(WHOLE_ENVIRON);
    }
    args.first().representative()
}

fn range(budget: &mut Budget, args: &Args<'_>) -> Value {
    let numbers: Option<Vec<i64>> = args.positional.iter().map(Value::as_integer).collect();
    let (from, to, step) = match numbers.as_deref() {
        Some([to]) => (0, *to, 1),
        Some([from, to]) => (*from, *to, 1),
        Some([from, to, step]) if *step != 0 => (*from, *to, *step),
        _ => return Value::unknown(0),
    };
    if budget.left() < 4 * MAX_RANGE {
        return Value::unknown(0);
    }
    let mut items = Vec::new();
    let mut at = from;
    while items.len() < MAX_RANGE && (step > 0 && at < to || step < 0 && at > to) {
        items.push(Value::integer(at));
        at = at.saturating_add(step);
    }
    if budget.spend(items.len() * 4) { Value::list(items) } else { Value::unknown(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, positional: &[Value]) -> Value {
        builtin(name).unwrap()(&mut Budget::for_source(0), &Args::new(positional, &[]))
    }

    fn text(text: &str) -> Value {
        Value::text(text.as_bytes())
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(BUILTINS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn characters_are_made_of_codes_and_codes_of_characters() {
        let character = call("chr", &[Value::integer(0x65)]);
        assert_eq!((character.as_str(), character.taint), (Some("e"), CRYPTIC));
        assert_eq!(call("ord", &[text("e")]).as_integer(), Some(0x65));
        let bytes = call("bytes", &[Value::list(vec![Value::integer(0x65), Value::integer(0x78)])]);
        assert_eq!((bytes.as_str(), bytes.taint), (Some("ex"), CRYPTIC));
        assert!(call("bytes", &[Value::list(vec![Value::integer(256)])]).is_unknown());
    }

    #[test]
    fn numbers_are_read_in_their_radix() {
        assert_eq!(call("int", &[text("0x65"), Value::integer(16)]).as_integer(), Some(0x65));
        assert_eq!(call("int", &[text(" 65 ")]).as_integer(), Some(65));
        assert!(call("int", &[text("x")]).is_unknown());
        assert_eq!(call("len", &[text("abc")]).as_integer(), Some(3));
    }

    #[test]
    fn a_range_counts_in_both_directions() {
        let numbers = |args: &[i64]| {
            let args: Vec<Value> = args.iter().copied().map(Value::integer).collect();
            let items = call("range", &args).items(MAX_ITEMS).unwrap_or_default();
            items.iter().filter_map(Value::as_integer).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[3]), [0, 1, 2]);
        assert_eq!(numbers(&[5, 1, -2]), [5, 3]);
        assert!(numbers(&[1, 2, 0]).is_empty());
        assert_eq!(numbers(&[i64::MAX]).len(), MAX_RANGE);
    }

    #[test]
    fn only_a_reversed_text_is_cryptic() {
        assert_eq!(call("reversed", &[text("ab")]).taint, CRYPTIC);
        assert_eq!(call("reversed", &[Value::list(vec![Value::integer(1)])]).taint, 0);
    }

    #[test]
    fn the_whole_environment_is_marked() {
        for name in ["str", "dict", "list", "json.dumps", "next", "reversed", "os.environ.copy"] {
            assert_eq!(call(name, &[Value::path("os.environ")]).taint, WHOLE_ENVIRON, "{name}");
        }
    }
}
