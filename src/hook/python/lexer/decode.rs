//! Decoders for what a text hides. Each returns at most [`MAX_DECODED`] bytes, and `None` for other input.

/// Most bytes that a decoder returns.
pub const MAX_DECODED: usize = 64 * 1024;

/// Base64 of either alphabet. Other characters are skipped, as by Python.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().filter_map(|byte| {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        })
    });
    bits(digits, 6)
}

/// Base32.
pub fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.iter().filter_map(|byte| {
        Some(match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        })
    });
    bits(digits, 5)
}

/// Hexadecimal digits, with blanks.
pub fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()).take(MAX_DECODED * 2) {
        digits.push(u8::try_from(char::from(*byte).to_digit(16)?).ok()?);
    }
    bits(digits.into_iter(), 4)
}

fn bits(digits: impl Iterator<Item = u8>, width: u32) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let (mut value, mut filled) = (0_u32, 0);
    for digit in digits {
        value = value << width & 0xffff | u32::from(digit);
        filled += width;
        if filled >= 8 {
            filled -= 8;
            decoded.push((value >> filled & 0xff) as u8);
        }
        if decoded.len() >= MAX_DECODED {
            break;
        }
    }
    (!decoded.is_empty()).then_some(decoded)
}

const BASE85: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// Base85 as `b85decode` reads it.
pub fn base85(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| BASE85.iter().position(|digit| *digit == byte);
    groups_of_five(text.iter().map(|byte| digit(*byte)))
}

/// Ascii85 as `a85decode` reads it.
pub fn ascii85(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_prefix(b"<~").unwrap_or(text);
    let text = text.strip_suffix(b"~>").unwrap_or(text);
    let digits = text.iter().filter(|byte| !byte.is_ascii_whitespace()).flat_map(|byte| match byte {
        b'z' => vec![Some(0); 5],
        b'!'..=b'u' => vec![Some(usize::from(byte - b'!'))],
        _ => vec![None],
    });
    groups_of_five(digits)
}

fn groups_of_five(digits: impl Iterator<Item = Option<usize>>) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let (mut value, mut count) = (0_u64, 0_u32);
    let mut flush = |value: u64, count: u32| {
        let bytes = u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes();
        decoded.extend(bytes.iter().take(usize::try_from(count).unwrap_or(4).saturating_sub(1)));
        decoded.len() < MAX_DECODED
    };
    for digit in digits {
        value = value * 85 + u64::try_from(digit?).ok()?;
        count += 1;
        if count == 5 {
            if !flush(value, 5) {
                return Some(decoded);
            }
            (value, count) = (0, 0);
        }
    }
    if count > 0 {
        for _ in count..5 {
            value = value * 85 + 84;
        }
        flush(value, count);
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// Letters rotated by half the alphabet.
pub fn rot13(text: &[u8]) -> Vec<u8> {
    let rotate = |byte: &u8| match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        other => *other,
    };
    text.iter().take(MAX_DECODED).map(rotate).collect()
}

/// Deflate with any of its headers: zlib, gzip or none. Of a broken stream the readable beginning.
pub fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};
    let result = match data {
        [0x1f, 0x8b, 8, flags, ..] => decompress_to_vec_with_limit(behind_gzip_header(data, *flags)?, MAX_DECODED),
        [0x78 | 0x58 | 0x68 | 0x48 | 0x38, ..] => decompress_to_vec_zlib_with_limit(data, MAX_DECODED),
        _ => decompress_to_vec_with_limit(data, MAX_DECODED),
    };
    let inflated = result.unwrap_or_else(|error| error.output);
    (!inflated.is_empty()).then_some(inflated)
}

fn behind_gzip_header(data: &[u8], flags: u8) -> Option<&[u8]> {
    let mut rest = data.get(10..)?;
    if flags & 4 != 0 {
        let length = u16::from_le_bytes([*rest.first()?, *rest.get(1)?]);
        rest = rest.get(2 + usize::from(length)..)?;
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & 2 != 0 { rest.get(2..) } else { Some(rest) }
}

/// Decodes by the name of a codec. `None` for an ordinary text encoding; `Some(None)` if the codec hides the text
/// but is not implemented here.
pub fn by_codec(codec: &str, text: &[u8]) -> Option<Option<Vec<u8>>> {
    let name: String = codec.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    Some(match name.as_str() {
        "base64" | "base64codec" => base64(text),
        "hex" | "hexcodec" => hexadecimal(text),
        "rot13" => Some(rot13(text)),
        "zip" | "zlib" | "zlibcodec" => inflate(text),
        "bz2" | "bz2codec" | "uu" | "uucodec" | "quopri" | "quotedprintable" | "qp" | "quopricodec" | "utf7" | "u7"
        | "punycode" | "idna" => None,
        "unicodeescape" | "rawunicodeescape" | "stringescape" => Some(super::literal::unescape(text, true)),
        _ => return None,
    })
}

/// Whether this is text: almost no control characters and valid UTF-8.
pub fn is_text(data: &[u8]) -> bool {
    let odd = data.iter().filter(|byte| !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | b' '..=b'~' | 0x80..)).count();
    !data.is_empty()
        && odd * 50 <= data.len()
        && String::from_utf8_lossy(data).chars().filter(|c| *c == '\u{fffd}').count() * 20 <= data.len()
}

/// Whether the text looks like Python code or a shell command.
pub fn is_code(text: &[u8]) -> bool {
    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    is_text(text)
        && (has(b"import ")
            || has(b"exec(")
            || has(b"eval(")
            || has(b"__import__")
            || has(b"system(")
            || has(b"/bin/")
            || has(b"curl "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_encoded_by_python_is_decoded() {
        assert_eq!(base64(b"aW1wb3J0IG9z").unwrap(), b"import os");
        assert_eq!(base64(b"aW1w\nb3J0IG9zCg==").unwrap(), b"import os\n");
        assert_eq!(base32(b"NFWXA33SOQQG64Y=").unwrap(), b"import os");
        assert_eq!(hexadecimal(b"69 6d").unwrap(), b"im");
        assert_eq!(hexadecimal(b"zz"), None);
        assert_eq!(base85(b"X>D+Ca&#bXa|!").unwrap(), b"import os\n");
        assert_eq!(rot13(b"vzcbeg bf"), b"import os");
    }

    #[test]
    fn a_decompression_bomb_is_cut() {
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b'a'; 10 << 20], 9);
        assert_eq!(inflate(&bomb).unwrap().len(), MAX_DECODED);
    }
}
