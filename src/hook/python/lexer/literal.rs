//! String literals: escape sequences.

/// The body of a literal with its escapes replaced: the bytes of a `bytes`, or a `str` as UTF-8.
pub fn unescape(body: &[u8], is_text: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escape, tail)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = tail;
        match escape {
            b'\r' if tail.starts_with(b"\n") => rest = tail.get(1..).unwrap_or_default(),
            b'\n' | b'\r' => {}
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' | b'\'' | b'"' => out.push(*escape),
            b'0'..=b'7' => {
                let length = tail.iter().take(2).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
                let digits = tail.get(..length).unwrap_or_default();
                let code =
                    digits.iter().fold(u32::from(escape - b'0'), |code, digit| code * 8 + u32::from(digit - b'0'));
                push(&mut out, code, is_text);
                rest = tail.get(length..).unwrap_or_default();
            }
            b'x' => rest = numbered(&mut out, tail, 2, is_text, *escape),
            b'u' if is_text => rest = numbered(&mut out, tail, 4, true, *escape),
            b'U' if is_text => rest = numbered(&mut out, tail, 8, true, *escape),
            b'N' if is_text && tail.starts_with(b"{") => {
                let end = tail.iter().take(96).position(|byte| *byte == b'}').unwrap_or(0);
                match tail.get(1..end.max(1)).and_then(named) {
                    Some(character) => out.push(character),
                    None => out.push(b'?'),
                }
                rest = tail.get(end + 1..).unwrap_or_default();
            }
            other => out.extend([b'\\', *other]),
        }
    }
    out
}

fn numbered<'a>(out: &mut Vec<u8>, tail: &'a [u8], length: usize, is_text: bool, letter: u8) -> &'a [u8] {
    let code = tail
        .get(..length)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match code {
        Some(code) => {
            push(out, code, is_text);
            tail.get(length..).unwrap_or_default()
        }
        None => {
            out.extend([b'\\', letter]);
            tail
        }
    }
}

/// Adds the character with this code as UTF-8, or in a `bytes` the byte.
pub fn push(out: &mut Vec<u8>, code: u32, is_text: bool) {
    match u8::try_from(code) {
        Ok(byte) if !is_text || byte < 0x80 => out.push(byte),
        _ => {
            let mut buffer = [0; 4];
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

/// The ASCII character with this Unicode name.
fn named(name: &[u8]) -> Option<u8> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_uppercase();
    let letter =
        |prefix: &str| name.strip_prefix(prefix).and_then(|rest| (rest.len() == 1).then(|| rest.bytes().next())?);
    if let Some(letter) = letter("LATIN SMALL LETTER ") {
        return Some(letter.to_ascii_lowercase());
    }
    if let Some(letter) = letter("LATIN CAPITAL LETTER ") {
        return Some(letter);
    }
    Some(match name.as_str() {
        "SPACE" => b' ',
        "FULL STOP" | "PERIOD" => b'.',
        "LOW LINE" | "UNDERSCORE" => b'_',
        "SOLIDUS" | "SLASH" => b'/',
        "LEFT PARENTHESIS" => b'(',
        "RIGHT PARENTHESIS" => b')',
        "APOSTROPHE" => b'\'',
        "QUOTATION MARK" => b'"',
        "HYPHEN-MINUS" => b'-',
        "COLON" => b':',
        "SEMICOLON" => b';',
        "COMMA" => b',',
        "LINE FEED" => b'\n',
        _ => {
            let digit = name.strip_prefix("DIGIT ")?;
            let digits = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"];
            b'0' + u8::try_from(digits.iter().position(|name| *name == digit)?).ok()?
        }
    })
}

/// Whether four or more letters in a row are written as numeric escapes, which serves only to hide them.
pub fn hides_letters(body: &[u8]) -> bool {
    let mut row = 0;
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let (code, length) = match rest {
            [b'\\', b'x', a, b, ..] => (digits(&[*a, *b], 16), 4),
            [b'\\', b'u', a, b, c, d, ..] => (digits(&[*a, *b, *c, *d], 16), 6),
            [b'\\', b'U', a, b, c, d, e, f, g, h, ..] => (digits(&[*a, *b, *c, *d, *e, *f, *g, *h], 16), 10),
            [b'\\', b'N', b'{', ..] => {
                (Some(u32::from(b'a')), rest.iter().take(96).position(|b| *b == b'}').unwrap_or(2) + 1)
            }
            [b'\\', a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => (digits(&[*a, *b, *c], 8), 4),
            [b'\\', _, ..] => (None, 2),
            _ => (None, 1),
        };
        let is_letter = code.and_then(char::from_u32).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        row = if is_letter { row + 1 } else { 0 };
        if row == 4 {
            return true;
        }
        at += length;
    }
    false
}

fn digits(digits: &[u8], radix: u32) -> Option<u32> {
    std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, radix).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_they_mean_in_python() {
        for (body, meaning) in [
            (r"\x65\145\u0065\U00000065", "eeee"),
            (r"\N{LATIN SMALL LETTER E}\N{FULL STOP}\N{DIGIT TWO}", "e.2"),
            (r"a\'\\b\q", r"a'\b\q"),
            ("a\\\nb", "ab"),
            (r"\xe9", "é"),
        ] {
            assert_eq!(unescape(body.as_bytes(), true), meaning.as_bytes(), "{body}");
        }
        assert_eq!(unescape(br"\xe9\u0041", false), b"\xe9\\u0041");
    }

    #[test]
    fn escaped_letters_are_noticed_and_escaped_control_characters_are_not() {
        assert!(hides_letters(br"\x65\x78\x65\x63"));
        assert!(hides_letters(br"\145\170\145\143"));
        assert!(!hides_letters(br"\x1b[0m\x1b[1m\x00\x01\x89PNG"));
    }
}
