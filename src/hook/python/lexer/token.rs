//! The tokens of Python 2.7 to 3.15, read in one pass. Nothing is refused: where no interpreter would accept the
//! source, it is marked as broken and reading continues.
//!
//! Formatted strings are split as in Python 3.12: a start, literal parts, the tokens of the expressions, an end.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or a keyword.
    Name,
    /// A number of any form.
    Number,
    /// A string without expressions; `text` is its body.
    Text,
    /// A formatted string begins.
    FormatStart,
    /// Literal characters of a formatted string, raw.
    FormatText,
    /// `{` of a formatted string.
    FieldStart,
    /// `}` of a formatted string.
    FieldEnd,
    /// A formatted string ends.
    FormatEnd,
    /// An operator or a bracket.
    Operator,
    /// End of a logical line.
    Newline,
    /// End of the source.
    End,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its characters; of a string, its body.
    pub text: &'a [u8],
    /// Where it begins.
    pub start: usize,
    /// Of a string: no escapes.
    pub raw: bool,
    /// Of a string: bytes.
    pub bytes: bool,
    /// The column, when it is the first of its logical line.
    pub column: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// Inside the literal part of a formatted string; `spec`: behind the colon of a field.
    Literal { quote: u8, triple: bool, raw: bool, spec: bool },
    /// Inside the expression of a field that began at this depth of brackets.
    Field { depth: usize },
}

/// Nested formatted strings and fields. Python 3.12 allows 150 of each.
const MAX_MODES: usize = 320;

/// The reader.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    depth: usize,
    modes: Vec<Mode>,
    fresh: bool,
    /// No interpreter accepts this source.
    pub broken: bool,
}

impl<'a> Lexer<'a> {
    /// A reader of this source.
    pub fn new(source: &'a [u8]) -> Self {
        let at = if source.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { source, at, depth: 0, modes: Vec::new(), fresh: true, broken: false }
    }

    /// A reader that starts within an expression, which may span several lines.
    pub fn resume(source: &'a [u8], at: usize) -> Self {
        Self { source, at, depth: usize::from(u16::MAX), modes: Vec::new(), fresh: false, broken: false }
    }

    /// The next token; after the last one always [`Kind::End`].
    pub fn next(&mut self) -> Token<'a> {
        if let Some(Mode::Literal { quote, triple, raw, spec }) = self.modes.last().copied() {
            return self.literal_part(quote, triple, raw, spec);
        }
        let column = match self.skip_blanks() {
            Ok(column) => column,
            Err(newline) => return newline,
        };
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let mut token = match rest {
            [] if !self.fresh && self.depth == 0 => {
                self.fresh = true;
                self.token(Kind::Newline, start, 0)
            }
            [] => self.token(Kind::End, start, 0),
            [b'"' | b'\'', ..] => self.string(start, 0),
            [first, ..] if is_name_start(*first) => {
                let length = rest.iter().take_while(|byte| is_name_byte(**byte)).count();
                let is_prefix = length <= 3 && matches!(rest.get(length), Some(b'"' | b'\''));
                let prefix = rest.get(..length).unwrap_or_default();
                if is_prefix && prefix.iter().all(|byte| b"rbuftRBUFT".contains(byte)) {
                    self.string(start, length)
                } else {
                    self.token(Kind::Name, start, length)
                }
            }
            [first, ..] if first.is_ascii_digit() => self.token(Kind::Number, start, number_length(rest)),
            [b'.', digit, ..] if digit.is_ascii_digit() => self.token(Kind::Number, start, number_length(rest)),
            _ => self.operator(start, rest),
        };
        token.column = column;
        if token.kind != Kind::End && token.kind != Kind::Newline {
            self.fresh = false;
        }
        token
    }

    fn token(&mut self, kind: Kind, start: usize, length: usize) -> Token<'a> {
        self.at = start + length;
        let text = self.source.get(start..self.at).unwrap_or_default();
        Token { kind, text, start, raw: false, bytes: false, column: None }
    }

    /// Skips blanks and comments. Returns the column of a token that is the first of its logical line, or the end of
    /// the line as an error.
    fn skip_blanks(&mut self) -> Result<Option<usize>, Token<'a>> {
        let mut column = 0;
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            match rest {
                [b' ', ..] => column += 1,
                [b'\t', ..] => column = (column / 8 + 1) * 8,
                [0x0c, ..] => column = 0,
                // Some interpreters end the line here, others refuse the file.
                [0, ..] => self.broken = true,
                [b'#', ..] => {
                    let length = rest.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count();
                    self.at += length;
                    continue;
                }
                [b'\\', b'\r', b'\n', ..] => self.at += 2,
                [b'\\', b'\n' | b'\r', ..] => self.at += 1,
                [b'\n' | b'\r', ..] if self.fresh || self.depth > 0 || !self.modes.is_empty() => column = 0,
                [b'\n' | b'\r', ..] => {
                    let newline = self.token(Kind::Newline, self.at, 1);
                    self.fresh = true;
                    return Err(newline);
                }
                _ => return Ok((self.fresh && self.depth == 0).then_some(column)),
            }
            self.at += 1;
        }
    }

    /// A string whose prefix has this length.
    fn string(&mut self, start: usize, prefix: usize) -> Token<'a> {
        let letters = self.source.get(start..start + prefix).unwrap_or_default();
        let has = |letter: u8| letters.iter().any(|byte| byte.eq_ignore_ascii_case(&letter));
        let (raw, bytes, formatted) = (has(b'r'), has(b'b'), has(b'f') || has(b't'));
        let open = start + prefix;
        let quote = self.source.get(open).copied().unwrap_or(b'"');
        let triple = self.source.get(open..open + 3).is_some_and(|quotes| quotes == [quote; 3]);
        let body = open + if triple { 3 } else { 1 };
        if formatted && self.modes.len() < MAX_MODES {
            self.modes.push(Mode::Literal { quote, triple, raw, spec: false });
            let token = self.token(Kind::FormatStart, start, body - start);
            return Token { raw, bytes, ..token };
        }
        self.broken |= formatted;
        let rest = self.source.get(body..).unwrap_or_default();
        let mut length = 0;
        let mut ends = 0;
        loop {
            match rest.get(length..).unwrap_or_default() {
                [b'\\', b'\r', b'\n', ..] => length += 3,
                [b'\\', _, ..] => length += 2,
                [] => break,
                [b'\n' | b'\r', ..] if !triple => break,
                [a, b, c, ..] if triple && [*a, *b, *c] == [quote; 3] => {
                    ends = 3;
                    break;
                }
                [byte, ..] if !triple && *byte == quote => {
                    ends = 1;
                    break;
                }
                _ => length += 1,
            }
        }
        let length = length.min(rest.len());
        self.broken |= ends == 0;
        self.at = body + length + ends;
        let text = rest.get(..length).unwrap_or_default();
        Token { kind: Kind::Text, text, start, raw, bytes, column: None }
    }

    /// The next piece of a formatted string's literal part.
    fn literal_part(&mut self, quote: u8, triple: bool, raw: bool, spec: bool) -> Token<'a> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let mut length = 0;
        loop {
            let here = rest.get(length..).unwrap_or_default();
            match here {
                [b'\\', b'{' | b'}', ..] => length += 1,
                [b'\\', b'N', b'{', ..] if !raw => {
                    let name = here.iter().take(80).position(|byte| *byte == b'}').unwrap_or(2);
                    length += name + 1;
                }
                [b'\\', b'\r', b'\n', ..] => length += 3,
                [b'\\', _, ..] => length += 2,
                [b'{', b'{', ..] | [b'}', b'}', ..] if !spec => length += 2,
                [] | [b'{' | b'}', ..] => break,
                [b'\n' | b'\r', ..] if !triple => break,
                [a, b, c, ..] if triple && [*a, *b, *c] == [quote; 3] => break,
                [byte, ..] if !triple && *byte == quote => break,
                _ => length += 1,
            }
        }
        let length = length.min(rest.len());
        if length > 0 {
            return Token { raw, ..self.token(Kind::FormatText, start, length) };
        }
        match rest.first() {
            Some(b'{') if self.modes.len() < MAX_MODES => {
                self.modes.push(Mode::Field { depth: self.depth });
                self.token(Kind::FieldStart, start, 1)
            }
            Some(b'}') if spec => {
                // The end of a format is the end of its field.
                self.modes.pop();
                self.modes.pop();
                self.token(Kind::FieldEnd, start, 1)
            }
            Some(b'{' | b'}') => {
                self.broken = true;
                self.token(Kind::FormatText, start, 1)
            }
            other => {
                let ended = other.is_some_and(|byte| *byte == quote) && !spec;
                self.broken |= !ended;
                // Leave the fields that the string did not close.
                while let Some(mode) = self.modes.pop() {
                    if matches!(mode, Mode::Literal { spec: false, .. }) {
                        break;
                    }
                }
                let quotes = if triple { 3 } else { 1 };
                self.token(Kind::FormatEnd, start, if ended { quotes } else { 0 })
            }
        }
    }

    fn operator(&mut self, start: usize, rest: &[u8]) -> Token<'a> {
        let field = match self.modes.last() {
            Some(Mode::Field { depth }) => self.depth <= *depth,
            _ => false,
        };
        if field {
            match rest {
                [b'}', ..] => {
                    self.modes.pop();
                    return self.token(Kind::FieldEnd, start, 1);
                }
                [b':', ..] => {
                    let outer = self.modes.iter().rev().find_map(|mode| match *mode {
                        Mode::Literal { quote, triple, raw, .. } => Some((quote, triple, raw)),
                        Mode::Field { .. } => None,
                    });
                    let (quote, triple, raw) = outer.unwrap_or((b'"', false, false));
                    if self.modes.len() < MAX_MODES {
                        self.modes.push(Mode::Literal { quote, triple, raw, spec: true });
                    }
                    return self.token(Kind::Operator, start, 1);
                }
                _ => {}
            }
        }
        match rest {
            [b'(' | b'[' | b'{', ..] => self.depth += 1,
            [b')' | b']' | b'}', ..] => {
                self.broken |= self.depth == 0;
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
        let length = match rest {
            [b'*', b'*', b'=', ..] | [b'/', b'/', b'=', ..] | [b'<', b'<', b'=', ..] | [b'>', b'>', b'=', ..] => 3,
            [b'*', b'*', ..] | [b'/', b'/', ..] | [b'<', b'<', ..] | [b'>', b'>', ..] | [b'-', b'>', ..] => 2,
            [b'<', b'>', ..] => 2,
            [
                b'=' | b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^' | b'@' | b':',
                b'=',
                ..,
            ] => 2,
            [byte, ..] => {
                self.broken |= !b"()[]{}<>+-*/%&|^~@=.,:;!`".contains(byte);
                1
            }
            [] => 0,
        };
        self.token(Kind::Operator, start, length)
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn number_length(rest: &[u8]) -> usize {
    let hexadecimal = matches!(rest, [b'0', b'x' | b'X', ..]);
    let mut length = 0;
    while let Some(byte) = rest.get(length) {
        let exponent = length > 0 && !hexadecimal && matches!(rest.get(length - 1), Some(b'e' | b'E'));
        match byte {
            b'+' | b'-' if exponent => {}
            b'.' | b'_' => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
        // `1if x` and `2else y`: the number ends before a word.
        let after = rest.get(length + 1).copied().unwrap_or(b' ');
        let belongs = match byte {
            b'e' | b'E' => after.is_ascii_digit() || matches!(after, b'+' | b'-'),
            b'x' | b'X' | b'o' | b'O' | b'b' | b'B' => length == 1,
            b'j' | b'J' | b'l' | b'L' => !after.is_ascii_alphanumeric(),
            byte => !byte.is_ascii_alphabetic(),
        };
        if !hexadecimal && !belongs {
            break;
        }
        length += 1;
    }
    length.max(1)
}

/// The value of an integer; `None` if it does not fit or is none.
pub fn integer(text: &[u8]) -> Option<i64> {
    let digits: String = text.iter().filter(|byte| **byte != b'_').map(|byte| char::from(*byte)).collect();
    let digits = digits.trim_end_matches(['l', 'L']).to_ascii_lowercase();
    match digits.get(..2) {
        Some("0x") => i64::from_str_radix(digits.get(2..)?, 16).ok(),
        Some("0o") => i64::from_str_radix(digits.get(2..)?, 8).ok(),
        Some("0b") => i64::from_str_radix(digits.get(2..)?, 2).ok(),
        // Python 2's octal numbers.
        Some(prefix) if prefix.starts_with('0') => i64::from_str_radix(&digits, 8).ok(),
        _ => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(Kind, String)> {
        let mut lexer = Lexer::new(source.as_bytes());
        let mut found = Vec::new();
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                return found;
            }
            found.push((token.kind, String::from_utf8_lossy(token.text).into_owned()));
        }
    }

    fn texts(source: &str) -> Vec<String> {
        kinds(source).into_iter().filter(|(kind, _)| *kind != Kind::Newline).map(|(_, text)| text).collect()
    }

    #[test]
    fn strings_of_every_prefix_are_one_token() {
        for source in ["'a'", "b'a'", "Rb'a'", "ur\"a\"", "'''a'''", "\"\"\"a\"\"\"", "br'''a'''"] {
            assert_eq!(texts(source), ["a"], "{source}");
        }
        assert_eq!(texts(r"'a\'b' r'\'"), [r"a\'b", r"\'"]);
        assert_eq!(texts("'a\\\nb'"), ["a\\\nb"]);
    }

    #[test]
    fn expressions_in_formatted_strings_are_tokens() {
        assert_eq!(texts("f'a{b}c'"), ["f'", "a", "{", "b", "}", "c", "'"]);
        assert_eq!(texts("f'{a!r:>{w}}'"), ["f'", "{", "a", "!", "r", ":", ">", "{", "w", "}", "}", "'"]);
        assert_eq!(texts("f\"{f\"{x}\"}\" y").last().map(String::as_str), Some("y"));
        assert_eq!(texts("f'{{}}'"), ["f'", "{{}}", "'"]);
        assert_eq!(texts("f'{d[\"k\"]:x}' z").last().map(String::as_str), Some("z"));
    }

    #[test]
    fn lines_are_joined_inside_brackets_and_after_a_backslash() {
        let lines = |source| kinds(source).iter().filter(|(kind, _)| *kind == Kind::Newline).count();
        assert_eq!(lines("a(\n1,\n2)\n"), 1);
        assert_eq!(lines("a + \\\n b\n"), 1);
        assert_eq!(lines("a\n# b\n\nc"), 2);
        assert_eq!(lines("a\r\nb\rc\n"), 3);
    }

    #[test]
    fn numbers_of_every_form_are_read() {
        for (text, value) in
            [("0x41", 65), ("1_000", 1000), ("0o17", 15), ("017", 15), ("0b11", 3), ("12L", 12), ("0", 0)]
        {
            assert_eq!(integer(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(integer(b"1.5"), None);
        assert_eq!(texts("1if 2else 3"), ["1", "if", "2", "else", "3"]);
    }

    #[test]
    fn a_broken_source_is_marked_and_read_to_its_end() {
        for source in ["'abc\nx", "f'{a\nx", ") x", "$ x", "'''abc x"] {
            let mut lexer = Lexer::new(source.as_bytes());
            for _ in 0..40 {
                lexer.next();
            }
            assert!(lexer.broken || source.starts_with("f'"), "{source}");
        }
    }
}
