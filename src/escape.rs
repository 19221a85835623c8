//! Turns untrusted bytes into printable text; no other module does.
//!
//! A file name, a command line or a line of a file can hold a newline (log injection), an escape sequence of the
//! terminal, a bidirectional control (CVE-2021-42574), or invalid UTF-8. None of these reaches an output.

use std::fmt::Write;

/// Escapes so that the original can be restored: `\\` for a backslash, `\n`, `\r`, `\t`, `\xNN` for another control
/// byte or a byte that is not UTF-8, `\u{NNNN}` for an invisible or bidirectional character. Everything else stays.
pub fn reversible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                character => push(&mut text, character),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// As [`reversible`], for at most `limit` bytes of the original; returns whether it was cut.
pub fn capped(bytes: &[u8], limit: usize) -> (String, bool) {
    match bytes.get(..limit) {
        Some(start) if bytes.len() > limit => (reversible(start), true),
        _ => (reversible(bytes), false),
    }
}

/// Escapes a message that can quote untrusted text. A backslash stays, so that escaping twice changes nothing.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|character| push(&mut line, character));
    line
}

fn push(text: &mut String, character: char) {
    let result = match character {
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        character if character.is_ascii_control() => write!(text, "\\x{:02x}", u32::from(character)),
        character if is_deceptive(character) => write!(text, "\\u{{{:x}}}", u32::from(character)),
        character => {
            text.push(character);
            Ok(())
        }
    };
    // Writing to a String cannot fail.
    let _ = result;
}

/// Characters that move, hide or reorder text: controls, white space other than U+0020, zero-width and filler
/// characters, bidirectional controls, variation selectors, tags, non-characters.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The inverse of [`reversible`].
    fn restore(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if character != '\\' {
                bytes.extend(character.to_string().bytes());
                continue;
            }
            match rest.next().unwrap() {
                '\\' => bytes.push(b'\\'),
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                'x' => {
                    let hex: String = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&hex, 16).unwrap());
                }
                'u' => {
                    let hex: String = rest.by_ref().skip(1).take_while(|next| *next != '}').collect();
                    let character = char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap();
                    bytes.extend(character.to_string().bytes());
                }
                _ => panic!("{text}"),
            }
        }
        bytes
    }

    #[test]
    fn control_and_deceptive_characters_are_escaped() {
        assert_eq!(reversible(b"a\nb\x1b[31m\x7f\\n"), "a\\nb\\x1b[31m\\x7f\\\\n");
        assert_eq!(reversible(b"\xff\xc3"), "\\xff\\xc3");
        assert_eq!(reversible("x\u{202e}htp.y\u{200b}".as_bytes()), "x\\u{202e}htp.y\\u{200b}");
        assert_eq!(reversible("Müller 漢字.pth".as_bytes()), "Müller 漢字.pth");
        assert_eq!(reversible("\u{85}\u{2028}\u{a0}".as_bytes()), "\\u{85}\\u{2028}\\u{a0}");
    }

    #[test]
    fn a_long_text_is_cut_and_reported_as_cut() {
        assert_eq!(capped(b"abc", 2), ("ab".into(), true));
        assert_eq!(capped(b"abc", 3), ("abc".into(), false));
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_printable_line_and_can_be_restored(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = reversible(&bytes);
            prop_assert!(!text.chars().any(|c| c.is_control() || is_deceptive(c)));
            prop_assert_eq!(restore(&text), bytes);
        }

        #[test]
        fn escaping_a_message_twice_changes_nothing(message in "(?s).*") {
            let line = one_line(&message);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert_eq!(one_line(&line), line);
        }
    }
}
