//! The decoding functions of the library, by the last component of their name.

use crate::hook::python::lexer::decode;

/// Decodes some bytes; `None` if they cannot be decoded.
pub type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

/// Sorted by name.
static DECODERS: &[(&str, Decoder)] = &[
    ("a2b_base64", decode::base64),
    ("a2b_hex", decode::hexadecimal),
    ("a85decode", decode::ascii85),
    ("b16decode", decode::hexadecimal),
    ("b32decode", decode::base32),
    ("b32hexdecode", decode::base32),
    ("b64decode", decode::base64),
    ("b85decode", decode::base85),
    ("decodebytes", decode::base64),
    ("decodestring", decode::base64),
    ("fromhex", decode::hexadecimal),
    ("standard_b64decode", decode::base64),
    ("unhexlify", decode::hexadecimal),
    ("urlsafe_b64decode", decode::base64),
    ("z85decode", decode::base85),
];

/// What the function with this canonical name does to its argument.
pub fn decoder(path: &str) -> Option<Decoder> {
    let name = path.rsplit('.').next().unwrap_or_default();
    if name == "decompress" && (path.starts_with("zlib") || path.starts_with("gzip")) {
        return Some(decode::inflate);
    }
    let at = DECODERS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    DECODERS.get(at).map(|(_, decoder)| *decoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(DECODERS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn decoders_are_found_by_their_last_component() {
        assert_eq!(decoder("base64.b64decode").unwrap()(b"aGk=").unwrap(), b"hi");
        assert!(decoder("gzip.decompress").is_some() && decoder("lzma.decompress").is_none());
        assert!(decoder("codecs.decode").is_none());
    }
}
