//! Templates: `text % values` and `text.format(values)`.

use super::args::Args;
use super::budget::Budget;
use super::text::{MAX_TEXT, breaks_word, shown};
use super::value::{CRYPTIC, PIECED, Taint, Value};
use crate::hook::python::lexer::push_character;

/// Longest field of `format`.
const MAX_FIELD: usize = 256;

/// A template that is filled in from left to right.
pub struct Template<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    taint: Taint,
}

/// A field of a `%` template.
pub struct Field<'a> {
    /// `name` of `%(name)s`.
    pub key: Option<&'a [u8]>,
    conversion: u8,
}

impl Field<'_> {
    /// The value of `%%`, which takes none.
    pub fn constant(&self) -> Option<Value> {
        (self.key.is_none() && self.conversion == b'%').then(|| Value::text(&b"%"[..]))
    }
}

/// What comes next in a template.
pub enum Next<'a> {
    /// A field without its value.
    Field(Field<'a>),
    /// A field without an end.
    Broken,
    /// The end.
    End,
}

impl<'a> Template<'a> {
    /// A template with this text.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text, out: Vec::new(), taint: 0 }
    }

    /// Goes to the next field of a `%` template.
    pub fn next_percent(&mut self) -> Next<'a> {
        while let Some((byte, tail)) = self.rest.split_first() {
            self.rest = tail;
            if *byte != b'%' {
                self.out.push(*byte);
                continue;
            }
            let mut key = None;
            if let [b'(', named @ ..] = self.rest {
                let Some(end) = named.iter().position(|byte| *byte == b')') else { return Next::Broken };
                key = named.get(..end);
                self.rest = named.get(end + 1..).unwrap_or_default();
            }
            let flags = self.rest.iter().take_while(|byte| b"-+ #0123456789.".contains(byte)).count();
            let conversion = self.rest.get(flags).copied().unwrap_or(b'%');
            self.rest = self.rest.get(flags + 1..).unwrap_or_default();
            return Next::Field(Field { key, conversion });
        }
        Next::End
    }

    /// Fills in a field of a `%` template. False if the value is not known, or the text becomes too long.
    pub fn fill_percent(&mut self, budget: &mut Budget, field: &Field<'_>, value: &Value) -> bool {
        let piece = match (field.conversion, value.as_integer()) {
            (b'c', Some(code)) => {
                self.taint |= CRYPTIC;
                let mut piece = Vec::new();
                push_character(&mut piece, u32::try_from(code).unwrap_or(0), true);
                Some(piece)
            }
            (b'x', Some(number)) => Some(format!("{number:x}").into_bytes()),
            _ => shown(value),
        };
        piece.is_some_and(|piece| self.fill(budget, &piece, field.conversion != b'%'))
    }

    /// Adds a piece, and notes whether it continues a word.
    fn fill(&mut self, budget: &mut Budget, piece: &[u8], marks_joints: bool) -> bool {
        if !budget.spend(piece.len()) || self.out.len() + piece.len() > MAX_TEXT {
            return false;
        }
        if marks_joints && (breaks_word(&self.out, piece) || breaks_word(piece, self.rest)) {
            self.taint |= PIECED;
        }
        self.out.extend_from_slice(piece);
        true
    }

    /// The finished text, with this taint and that of the joints.
    pub fn finish(self, taint: Taint) -> Value {
        Value::text(self.out).tainted(taint | self.taint)
    }

    /// Fills in a `format` template. False if a value is not known, or the text becomes too long.
    fn fill_format(&mut self, budget: &mut Budget, positional: &[Value], args: &Args<'_>) -> bool {
        let mut unnumbered = positional.iter();
        while let Some((byte, tail)) = self.rest.split_first() {
            self.rest = tail;
            match (byte, tail.first()) {
                (b'{', Some(b'{')) | (b'}', Some(b'}')) => {
                    self.rest = tail.get(1..).unwrap_or_default();
                    self.out.push(*byte);
                }
                (b'{', _) => {
                    let Some(end) = tail.iter().take(MAX_FIELD).position(|byte| *byte == b'}') else { return false };
                    self.rest = tail.get(end + 1..).unwrap_or_default();
                    let field = tail.get(..end).unwrap_or_default();
                    let field = field.split(|byte| matches!(byte, b'!' | b':')).next().unwrap_or_default();
                    let field = String::from_utf8_lossy(field);
                    let value = if field.is_empty() {
                        unnumbered.next()
                    } else if let Ok(index) = field.parse::<usize>() {
                        positional.get(index)
                    } else {
                        args.by_name(&field)
                    };
                    let Some(piece) = value.and_then(shown) else { return false };
                    if !self.fill(budget, &piece, true) {
                        return false;
                    }
                }
                _ => self.out.push(*byte),
            }
        }
        true
    }
}

/// `template.format(...)`, with the positional arguments given apart.
pub fn format(budget: &mut Budget, template: &Value, positional: &[Value], args: &Args<'_>) -> Value {
    let named = args.named.iter().map(|(_, value)| value);
    let taint = positional.iter().chain(named).fold(template.taint, |taint, value| taint | value.taint);
    let mut text = Template::new(template.bytes().map_or(&[][..], |bytes| bytes));
    if text.fill_format(budget, positional, args) { text.finish(taint) } else { Value::unknown(taint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_by_order_index_and_name() {
        let positional = [Value::text(&b"sys"[..]), Value::integer(7)];
        let named = [("end".to_owned(), Value::text(&b"tem"[..]))];
        let args = Args::new(&positional, &named);
        let template = Value::text(&b"{}{end} {1} {{}}"[..]);
        let text = format(&mut Budget::for_source(0), &template, args.positional, &args);
        assert_eq!((text.as_str(), text.taint), (Some("system 7 {}"), PIECED));
    }

    #[test]
    fn conversions_are_applied() {
        let mut template = Template::new(b"%c%%%x");
        for value in [Value::integer(65), Value::unknown(0), Value::integer(255)] {
            let Next::Field(field) = template.next_percent() else { panic!("a field") };
            let value = field.constant().unwrap_or(value);
            assert!(template.fill_percent(&mut Budget::for_source(0), &field, &value));
        }
        assert!(matches!(template.next_percent(), Next::End));
        assert_eq!(template.finish(0).as_str(), Some("A%ff"));
    }
}
