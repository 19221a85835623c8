//! Sequences and mappings: slices and items.

use super::budget::Budget;
use super::value::{HIDDEN, Kind, PIECED, Value};
use std::rc::Rc;

/// Values kept of a mapping's values.
const MAX_VALUES: usize = 256;

/// `value[from:to:step]`; `None` if it is not known.
pub fn slice(budget: &mut Budget, value: &Value, [from, to, step]: [Option<i64>; 3]) -> Option<Value> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return None;
    }
    let length = match &value.kind {
        Kind::List(items) => items.len(),
        // Characters and bytes are the same as long as all are ASCII.
        Kind::Text(text) if text.is_ascii() => text.len(),
        Kind::Binary(bytes) => bytes.len(),
        _ => return None,
    };
    if !budget.spend(length) {
        return None;
    }
    let chosen = indices(i64::try_from(length).ok()?, from, to, step)?;
    let pick = |bytes: &[u8]| chosen.iter().filter_map(|at| bytes.get(*at).copied()).collect::<Rc<[u8]>>();
    let sliced = match &value.kind {
        Kind::List(items) => Value::list(chosen.iter().filter_map(|at| items.get(*at).cloned()).collect()),
        Kind::Text(text) => Value::text(pick(text)),
        Kind::Binary(bytes) => Value::binary(pick(bytes)),
        _ => return None,
    };
    Some(sliced.tainted(value.taint))
}

/// The indices of a slice of a sequence of this length.
fn indices(length: i64, from: Option<i64>, to: Option<i64>, step: i64) -> Option<Vec<usize>> {
    let clamp = |at: Option<i64>, default: i64, low: i64, high: i64| match at {
        None => default,
        Some(at) if at < 0 => at.saturating_add(length).clamp(low, high),
        Some(at) => at.clamp(low, high),
    };
    let (mut at, stop) = if step > 0 {
        (clamp(from, 0, 0, length), clamp(to, length, 0, length))
    } else {
        (clamp(from, length - 1, -1, length - 1), clamp(to, -1, -1, length - 1))
    };
    let mut chosen = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        chosen.push(usize::try_from(at).ok()?);
        at = at.saturating_add(step);
    }
    Some(chosen)
}

/// `value[key]` of a sequence or a mapping; unknown for any other value.
pub fn item(budget: &mut Budget, value: &Value, key: &Value) -> Value {
    let taint = value.taint | key.taint & (PIECED | HIDDEN);
    match (&value.kind, &key.kind) {
        (Kind::List(items), Kind::Integer(at)) => {
            let at = if *at < 0 { at + i64::try_from(items.len()).unwrap_or(0) } else { *at };
            let item = usize::try_from(at).ok().and_then(|at| items.get(at));
            item.cloned().unwrap_or_else(|| Value::unknown(taint)).tainted(key.taint)
        }
        (Kind::Text(_) | Kind::Binary(_), Kind::Integer(at)) => {
            let end = if *at == -1 { None } else { Some(at.saturating_add(1)) };
            let one = slice(budget, value, [Some(*at), end, None]).unwrap_or_else(|| Value::unknown(taint));
            match &one.kind {
                Kind::Binary(bytes) => match bytes.first() {
                    Some(byte) => Value::integer(i64::from(*byte)).tainted(taint),
                    None => Value::unknown(taint),
                },
                _ => one.tainted(PIECED),
            }
        }
        (Kind::Dict(pairs), _) => {
            let Some(name) = key.bytes() else { return values(value).representative().tainted(taint) };
            if !budget.spend(pairs.len()) {
                return Value::unknown(taint);
            }
            let found = pairs.iter().find(|(known, _)| known.bytes().is_some_and(|known| known == name));
            found.map_or_else(|| Value::unknown(taint), |(_, value)| value.clone()).tainted(key.taint)
        }
        _ => Value::unknown(taint),
    }
}

/// The values of a mapping as a sequence; any other value itself.
pub fn values(mapping: &Value) -> Value {
    match &mapping.kind {
        Kind::Dict(pairs) => Value::list(pairs.iter().take(MAX_VALUES).map(|(_, value)| value.clone()).collect()),
        _ => mapping.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_those_of_python() {
        let text = Value::text(&b"abcdef"[..]);
        for (slice_of, expected) in [
            ([None, None, Some(-1)], "fedcba"),
            ([Some(1), Some(4), None], "bcd"),
            ([Some(-2), None, None], "ef"),
            ([Some(4), Some(1), Some(-2)], "ec"),
            ([Some(9), None, None], ""),
        ] {
            let sliced = slice(&mut Budget::for_source(0), &text, slice_of).unwrap();
            assert_eq!(sliced.as_str(), Some(expected), "{slice_of:?}");
        }
        assert!(slice(&mut Budget::for_source(0), &text, [None, None, Some(0)]).is_none());
    }

    #[test]
    fn items_are_found_by_index_and_by_key() {
        let budget = &mut Budget::for_source(0);
        let list = Value::list(vec![Value::integer(1), Value::integer(2)]);
        assert_eq!(item(budget, &list, &Value::integer(-1)).as_integer(), Some(2));
        let mapping = Value::dict(vec![(Value::text(&b"a"[..]), Value::integer(3))]);
        assert_eq!(item(budget, &mapping, &Value::text(&b"a"[..])).as_integer(), Some(3));
        assert_eq!(item(budget, &Value::binary(&b"A"[..]), &Value::integer(0)).as_integer(), Some(65));
        assert!(item(budget, &mapping, &Value::text(&b"b"[..])).is_unknown());
    }
}
