//! Operators between two values.

use super::budget::Budget;
use super::text::{concatenate, repeat};
use super::value::{CRYPTIC, Kind, MAX_ITEMS, Value};

/// `left operator right`, except `text % values`, see [`super::Template`].
pub fn combine(budget: &mut Budget, operator: &[u8], left: Value, right: Value) -> Value {
    let taint = left.taint | right.taint;
    match (operator, &left.kind, &right.kind) {
        (b"+", Kind::Text(_) | Kind::Binary(_), Kind::Text(_) | Kind::Binary(_)) => concatenate(budget, &left, &right),
        (b"+", Kind::List(a), Kind::List(b)) if a.len() + b.len() <= MAX_ITEMS && budget.spend(a.len() + b.len()) => {
            Value::list(a.iter().chain(b.iter()).cloned().collect())
        }
        (b"*", Kind::Text(_) | Kind::Binary(_), Kind::Integer(times)) => repeat(budget, &left, *times),
        (b"*", Kind::Integer(times), Kind::Text(_) | Kind::Binary(_)) => repeat(budget, &right, *times),
        (b"/", _, Kind::Text(_)) => path(budget, left, &right),
        (_, Kind::Integer(a), Kind::Integer(b)) => match arithmetic(operator, *a, *b) {
            Some(number) => Value::integer(number).tainted(taint),
            None => Value::unknown(taint),
        },
        (b"or" | b"and", _, _) | (b"|", Kind::Dict(_), _) => left.or(right),
        (b"^", _, _) => Value::unknown(taint | CRYPTIC),
        (b"in" | b"is" | b"not" | b"<" | b">" | b"<=" | b">=" | b"==" | b"!=" | b"<>", _, _) => Value::unknown(0),
        _ => Value::unknown(taint),
    }
}

/// `pathlib`'s operator. The end of a path matters even if its beginning is not known.
fn path(budget: &mut Budget, left: Value, right: &Value) -> Value {
    let base = if left.bytes().is_some() { left } else { Value::text(&b"~"[..]).tainted(left.taint) };
    let base = concatenate(budget, &base, &Value::text(&b"/"[..]));
    concatenate(budget, &base, right)
}

fn arithmetic(operator: &[u8], a: i64, b: i64) -> Option<i64> {
    match operator {
        b"+" => a.checked_add(b),
        b"-" => a.checked_sub(b),
        b"*" => a.checked_mul(b),
        b"//" | b"/" => a.checked_div_euclid(b),
        b"%" => a.checked_rem_euclid(b),
        b"^" => Some(a ^ b),
        b"&" => Some(a & b),
        b"|" => Some(a | b),
        b"<<" => u32::try_from(b).ok().filter(|b| *b < 62).and_then(|b| a.checked_mul(1 << b)),
        b">>" => u32::try_from(b).ok().and_then(|b| a.checked_shr(b)),
        b"**" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(operator: &str, a: i64, b: i64) -> Option<i64> {
        combine(&mut Budget::for_source(0), operator.as_bytes(), Value::integer(a), Value::integer(b)).as_integer()
    }

    #[test]
    fn integers_are_computed_and_overflow_is_unknown() {
        assert_eq!(number("**", 2, 10), Some(1024));
        assert_eq!(number("^", 0x41, 0x20), Some(0x61));
        assert_eq!(number("//", 1, 0), None);
        assert_eq!(number("<<", 1, 63), None);
        assert_eq!(number("+", i64::MAX, 1), None);
    }

    #[test]
    fn the_end_of_an_unknown_path_is_kept() {
        let path = combine(&mut Budget::for_source(0), b"/", Value::unknown(0), Value::text(&b".ssh"[..]));
        assert_eq!(path.as_str(), Some("~/.ssh"));
    }
}
