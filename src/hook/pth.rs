//! `.pth` files: which lines does some Python execute? Pure.
//!
//! The answer is the union over all interpreters, because the file does not say which one will read
//! it. Up to 3.12 `site` splits at the universal newlines; from 3.13 at every separator of
//! `str.splitlines` and after dropping a byte order mark; from 3.15 it also strips each line. A line
//! is executed when it then starts with `import` and a blank or tab (measured on ten interpreters
//! from 2.7 to 3.15; `Lib/site.py`, PEP 829).

/// The lines of a `.pth` file that an interpreter executes, without leading blanks, in order.
pub fn executed(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    lines(content).map(trim_start).filter(|line| line.starts_with(b"import ") || line.starts_with(b"import\t"))
}

/// Splits at every separator of `str.splitlines`, as bytes of UTF-8.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(content);
    std::iter::from_fn(move || {
        let text = rest?;
        let separator = (0..text.len()).find_map(|at| {
            let length = text.get(at..).map_or(0, separator);
            (length > 0).then_some((at, length))
        });
        let Some((at, length)) = separator else {
            rest = None;
            return Some(text);
        };
        rest = text.get(at + length..);
        text.get(..at)
    })
}

/// Length of the line separator at the start of `text`, 0 when there is none.
fn separator(text: &[u8]) -> usize {
    match text {
        [b'\n' | b'\r' | 0x0b | 0x0c | 0x1c..=0x1e, ..] => 1,
        [0xc2, 0x85, ..] => 2,
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
        _ => 0,
    }
}

/// Removes leading white space as `str.strip` knows it.
fn trim_start(mut line: &[u8]) -> &[u8] {
    while let Some(length) = (1..=3).find(|&length| line.get(..length).is_some_and(is_space)) {
        line = line.get(length..).unwrap_or_default();
    }
    line
}

fn is_space(character: &[u8]) -> bool {
    let is_space = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    std::str::from_utf8(character).is_ok_and(|text| !text.is_empty() && text.chars().all(is_space))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(content: &[u8]) -> Vec<&[u8]> {
        executed(content).collect()
    }

    #[test]
    fn every_shape_that_some_interpreter_executes_is_found() {
        for shape in [
            &b"import x"[..],
            b"import x\n",
            b"import\tx",
            b"import  x",
            b" import x",
            b"\timport x",
            b"\x0cimport x",
            b"\xef\xbb\xbfimport x",
            b"# c\r\nimport x\r\n",
            b"# c\rimport x",
            b"# c\x0bimport x",
            b"# c\x0cimport x",
            b"# c\x1cimport x",
            b"# c\x1dimport x",
            b"# c\x1eimport x",
            b"# c\xc2\x85import x",
            b"# c\xe2\x80\xa8import x",
            b"# c\xe2\x80\xa9import x",
            b"\xc2\xa0import x",
            b"/nowhere\n\n\nimport x",
            b"# \xff\nimport x",
        ] {
            let found = code(shape);
            assert_eq!(found.len(), 1, "{shape:?}");
            assert!(found.concat().ends_with(b"x"), "{shape:?}");
        }
    }

    #[test]
    fn what_no_interpreter_executes_is_not_shown_as_code() {
        for shape in [
            &b""[..],
            b"IMPORT x",
            b"from x import y",
            b"exec('x')",
            b"importx",
            b"# import x",
            b"/usr/lib/import x",
            b"\xe2\x80\x8bimport x",
        ] {
            assert!(code(shape).is_empty(), "{shape:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_without_loss_of_code(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            for line in executed(&content) {
                prop_assert!(line.starts_with(b"import"));
                prop_assert!(content.windows(line.len()).any(|window| window == line));
            }
        }
    }
}
