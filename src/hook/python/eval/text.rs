//! Texts: shown, repeated and put together.

use super::budget::Budget;
use super::value::{Kind, MAX_ITEMS, PIECED, Value};
use std::rc::Rc;

/// Longest text that is put together.
pub const MAX_TEXT: usize = 256 * 1024;
/// A joint between pieces of at least this size may be there for the length of the line.
const MIN_LONG_PIECE: usize = 12;

/// A value as `str` shows it.
pub fn shown(value: &Value) -> Option<Vec<u8>> {
    match &value.kind {
        Kind::Text(text) | Kind::Binary(text) => Some(text.to_vec()),
        Kind::Integer(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Whether one word goes on from the left piece to the right one.
pub fn breaks_word(left: &[u8], right: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    is_word(left.last()) && is_word(right.first())
}

/// Two texts, one after the other.
pub fn concatenate(budget: &mut Budget, left: &Value, right: &Value) -> Value {
    let mut taint = left.taint | right.taint;
    let (Some(a), Some(b)) = (left.bytes(), right.bytes()) else { return Value::unknown(taint) };
    if a.len() + b.len() > MAX_TEXT || !budget.spend((a.len() + b.len()) / 4) {
        return Value::unknown(taint);
    }
    if breaks_word(a, b) && a.len().min(b.len()) < MIN_LONG_PIECE {
        taint |= PIECED;
    }
    of_kind(left, [&**a, &**b].concat().into()).tainted(taint)
}

/// `text * times`.
pub fn repeat(budget: &mut Budget, text: &Value, times: i64) -> Value {
    let bytes = text.bytes().map_or(&[][..], |bytes| bytes);
    let times = usize::try_from(times).unwrap_or(0);
    let length = bytes.len().saturating_mul(times);
    if length > MAX_TEXT || !budget.spend(length) {
        return Value::unknown(text.taint);
    }
    Value::text(bytes.repeat(times)).tainted(text.taint)
}

/// `separator.join(pieces)`.
pub fn join(budget: &mut Budget, separator: &Value, pieces: &Value) -> Value {
    let mut taint = separator.taint | pieces.taint;
    let Some(items) = pieces.items(MAX_ITEMS) else { return Value::unknown(taint) };
    let between = separator.bytes().cloned().unwrap_or_default();
    let (mut out, unjoined) = (Vec::new(), Value::unknown(taint));
    for (at, item) in items.iter().enumerate() {
        let Some(piece) = item.bytes() else { return unjoined };
        if !budget.spend(piece.len() + between.len()) || out.len() + piece.len() > MAX_TEXT {
            return unjoined;
        }
        if at > 0 {
            out.extend_from_slice(&between);
            if breaks_word(&out, piece) {
                taint |= PIECED;
            }
        }
        out.extend_from_slice(piece);
    }
    of_kind(separator, out.into()).tainted(taint)
}

/// A `bytes` if the model is one, else a `str`.
fn of_kind(model: &Value, bytes: Rc<[u8]>) -> Value {
    if matches!(model.kind, Kind::Binary(_)) { Value::binary(bytes) } else { Value::text(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::text(text.as_bytes())
    }

    #[test]
    fn a_word_put_together_from_pieces_is_marked() {
        let mut budget = Budget::for_source(0);
        let pieced = concatenate(&mut budget, &text("sys"), &text("tem"));
        assert_eq!((pieced.as_str(), pieced.taint), (Some("system"), PIECED));
        let whole = concatenate(&mut budget, &text("a "), &text("b"));
        assert_eq!((whole.as_str(), whole.taint), (Some("a b"), 0));
        let joined = join(&mut budget, &text(""), &Value::list(vec![text("sys"), text("tem")]));
        assert_eq!((joined.as_str(), joined.taint), (Some("system"), PIECED));
    }

    #[test]
    fn a_text_that_grows_too_long_is_unknown() {
        let mut budget = Budget::for_source(0);
        assert!(repeat(&mut budget, &text("a"), i64::MAX).is_unknown());
        assert_eq!(repeat(&mut budget, &text("ab"), 2).as_str(), Some("abab"));
        assert_eq!(repeat(&mut budget, &text("ab"), -1).as_str(), Some(""));
    }
}
