//! Files of the project, and Rust code cut into tokens.

use std::path::{Path, PathBuf};

/// A text file of the project.
pub struct TextFile {
    /// The path below the project's directory.
    pub path: String,
    pub text: String,
}

/// The project's directory. Cargo sets the variable at run time too.
pub fn project() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo"))
}

/// Reads a file of the project.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text files below these directories or at these paths, in order. Others are left out.
pub fn text_files(roots: &[&str]) -> Vec<TextFile> {
    let project = project();
    let mut pending: Vec<PathBuf> = roots.iter().map(|root| project.join(root)).collect();
    let mut files = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let below = path.strip_prefix(&project).unwrap().to_str().unwrap().to_owned();
            files.push(TextFile { path: below, text });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The Rust files below `src`.
pub fn rust_sources() -> Vec<TextFile> {
    let files: Vec<_> = text_files(&["src"]).into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(files.len() > 20, "only {} files in src", files.len());
    files
}

/// Whether a file holds unit tests only.
pub fn is_test_code(path: &str) -> bool {
    Path::new(path).components().any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests")))
}

/// A token of Rust code. Comments and white space give none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// A literal string, without its quotes and with its escapes as they stand.
    Text(String),
    /// `::`
    Path,
    Sign(char),
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(this) if this == word)
    }

    pub fn is_sign(&self, sign: char) -> bool {
        *self == Token::Sign(sign)
    }
}

/// Cuts code into tokens.
pub fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => {
                let length = text_length(rest);
                tokens.push(Token::Text(rest[1..length.max(2) - 1].to_owned()));
                length
            }
            '\'' => quote_length(rest),
            _ if raw_hashes(rest).is_some() => {
                let hashes = "#".repeat(raw_hashes(rest).unwrap());
                let start = rest.find('"').unwrap() + 1;
                let end = start + rest[start..].find(&format!("\"{hashes}")).unwrap_or(rest.len() - start);
                tokens.push(Token::Text(rest[start..end].to_owned()));
                (end + 1 + hashes.len()).min(rest.len())
            }
            _ if is_word(first) => {
                let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..length].to_owned()));
                length
            }
            _ if rest.starts_with("::") => {
                tokens.push(Token::Path);
                2
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(Token::Sign(first));
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The number of `#` of a raw string that begins here.
fn raw_hashes(code: &str) -> Option<usize> {
    let rest = code.strip_prefix("br").or_else(|| code.strip_prefix('r'))?;
    let quote = rest.trim_start_matches('#');
    quote.starts_with('"').then(|| rest.len() - quote.len())
}

/// The length of the string literal that begins here, with its quotes.
fn text_length(code: &str) -> usize {
    let mut is_escaped = false;
    for (index, character) in code.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    code.len()
}

/// The length of the character literal that begins here, or of a lifetime's quote.
fn quote_length(code: &str) -> usize {
    let mut characters = code.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => code[3..].find('\'').map_or(1, |end| end + 4),
        Some(_) => match characters.next() {
            Some((index, '\'')) => index + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The code of the product: without the items that are compiled for tests only.
pub fn product_tokens(code: &str) -> Vec<Token> {
    let tokens = tokens(code);
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is_marker = |at: usize| {
        let window = tokens.iter().skip(at).take(marker.len());
        tokens.len() >= at + marker.len()
            && window.zip(marker).all(|(token, wanted)| match token {
                Token::Word(word) => word == wanted,
                Token::Sign(sign) => wanted.starts_with(*sign),
                _ => false,
            })
    };
    let mut product = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_marker(at) {
            at = item_end(&tokens, at + marker.len());
        } else {
            product.push(tokens[at].clone());
            at += 1;
        }
    }
    product
}

/// The index after the item that begins at `start`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let is_use = tokens.iter().skip(start).take(4).any(|token| token.is_word("use"));
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Sign('{' | '(' | '[') => depth += 1,
            Token::Sign(close @ ('}' | ')' | ']')) => {
                depth -= 1;
                if depth == 0 && *close == '}' && !is_use {
                    return index + 1;
                }
            }
            Token::Sign(';') if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn code_is_cut_into_tokens_without_comments_and_test_items() {
    let code = "// a /* b\nuse x::y; #[cfg(test)]\nmod tests { fn f() { let c = '\\''; } }\n\
                fn g<'a>(_: &'a str) { r#\"in \"quotes\"\"#; '}'; \"\\\"{\" }";
    let words: Vec<_> = product_tokens(code)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(text) | Token::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(words, ["use", "x", "y", "fn", "g", "a", "_", "a", "str", "in \"quotes\"", "\\\"{"]);
}
