//! Strings: what they mean and mention, and whether they are code in disguise.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::eval::{Kind, PIECED, Value, breaks_word, concatenate, shown};
use crate::hook::python::lexer::{Kind as T, Token, decode, hides_letters, unescape};
use crate::hook::python::report::Severity;
use std::rc::Rc;

/// Shortest string that may be code in disguise.
const MIN_DISGUISED: usize = 24;
/// Longest string that is read backwards and with its letters rotated.
const MAX_ROTATED: usize = 16 * 1024;
/// Bytes by which an encoded string is recognised.
const HEAD: usize = 64;

/// What a string literal means, with its escapes undone.
fn meaning(token: &Token<'_>, is_bytes: bool) -> Rc<[u8]> {
    if token.raw || !token.text.contains(&b'\\') { token.text.into() } else { unescape(token.text, !is_bytes).into() }
}

impl Machine<'_, '_> {
    /// Adjacent strings.
    pub fn strings(&mut self) -> Value {
        let mut joined: Option<Value> = None;
        loop {
            let piece = match self.token.kind {
                T::Text => self.string(),
                T::FormatStart => self.formatted(),
                _ => return joined.unwrap_or_else(|| Value::unknown(0)),
            };
            joined = Some(match joined {
                None => piece,
                Some(before) => concatenate(self.budget, &before, &piece),
            });
        }
    }

    fn string(&mut self) -> Value {
        let token = self.token;
        let text = meaning(&token, token.bytes);
        self.advance();
        self.record_mentions(&text);
        let mut taint = 0;
        if !token.raw && hides_letters(token.text) {
            self.report.record(Signal::Obfuscated, if token.bytes { Severity::Medium } else { Severity::High });
            taint = PIECED;
        }
        if self.report.level() < 2 && text.len() >= MIN_DISGUISED {
            self.look_inside(&text);
        }
        Value::of(if token.bytes { Kind::Binary(text) } else { Kind::Text(text) }).tainted(taint)
    }

    /// Records whether a string is code in disguise, even if nothing decodes it here.
    fn look_inside(&mut self, text: &Rc<[u8]>) {
        let has_blanks = text.iter().take(HEAD).any(|byte| *byte == b' ' || *byte == b'(');
        if has_blanks && !text.starts_with(b"<~") {
            self.look_for_rotated(text);
        } else {
            self.look_for_encoded(text);
        }
    }

    /// Code that is reversed or has its letters rotated keeps its blanks.
    fn look_for_rotated(&mut self, text: &[u8]) {
        if text.len() > MAX_ROTATED || decode::is_code(text) || !self.budget.spend(text.len() * 8) {
            return;
        }
        let reversed: Vec<u8> = text.iter().rev().copied().collect();
        for text in [reversed, decode::rot13(text)] {
            let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
            let imports = has(b"import ") && (has(b"(") || has(b"os") || has(b"sys"));
            if imports || has(b"exec(") || has(b"__import__(") {
                self.found_disguised(text);
            }
        }
    }

    fn look_for_encoded(&mut self, text: &[u8]) {
        let is_encoded = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-\n\r".contains(byte);
        if !text.iter().take(HEAD).all(is_encoded) || !self.budget.spend(text.len()) {
            return;
        }
        for decoded in [decode::hexadecimal(text), decode::base64(text), decode::base32(text)].into_iter().flatten() {
            let inner = decode::inflate(&decoded).filter(|inner| decode::is_code(inner)).unwrap_or(decoded);
            if decode::is_code(&inner) {
                return self.found_disguised(inner);
            }
        }
    }

    fn found_disguised(&mut self, code: Vec<u8>) {
        self.report.record(Signal::Obfuscated, Severity::Critical);
        self.report.read_later(&code.into(), true);
    }

    /// A formatted string.
    fn formatted(&mut self) -> Value {
        let is_bytes = self.token.bytes;
        self.advance();
        // `None` once a part of it is not known.
        let mut out: Option<Vec<u8>> = Some(Vec::new());
        let mut taint = 0;
        loop {
            match self.token.kind {
                T::FormatText => {
                    let token = self.token;
                    self.advance();
                    if !token.raw && hides_letters(token.text) {
                        self.report.record(Signal::Obfuscated, Severity::Severe);
                    }
                    if let Some(out) = &mut out {
                        push_single_braces(out, &meaning(&token, is_bytes));
                    }
                }
                T::FieldStart => {
                    let (value, is_plain) = self.field();
                    taint |= value.taint;
                    let piece = if is_plain || value.bytes().is_some() { shown(&value) } else { None };
                    match (&mut out, piece) {
                        (Some(out), Some(piece)) if self.budget.spend(piece.len()) => {
                            if breaks_word(out, &piece) {
                                taint |= PIECED;
                            }
                            out.extend_from_slice(&piece);
                        }
                        _ => out = None,
                    }
                }
                T::FormatEnd => {
                    self.advance();
                    break;
                }
                T::End => break,
                _ => self.advance(),
            }
        }
        let Some(out) = out else { return Value::unknown(taint) };
        self.record_mentions(&out);
        Value::text(out).tainted(taint)
    }

    /// A field of a formatted string: its value, and whether there is no conversion or format behind it.
    fn field(&mut self) -> (Value, bool) {
        self.advance();
        let value = self.expressions();
        let mut is_plain = true;
        while !matches!(self.token.kind, T::FieldEnd | T::FormatEnd | T::End) {
            is_plain = false;
            if self.token.kind == T::FieldStart {
                self.advance();
                self.expressions();
            }
            if matches!(self.token.kind, T::FormatEnd | T::End) {
                break;
            }
            let ends = self.token.kind == T::FieldEnd;
            self.advance();
            if ends && self.token.kind != T::FieldEnd {
                break;
            }
        }
        if self.token.kind == T::FieldEnd {
            self.advance();
        }
        (value, is_plain)
    }
}

/// Adds literal text of a formatted string, in which `{{` is one brace.
fn push_single_braces(out: &mut Vec<u8>, text: &[u8]) {
    let mut last = 0;
    for byte in text.iter().copied() {
        let is_doubled = matches!(byte, b'{' | b'}') && last == byte;
        last = if is_doubled { 0 } else { byte };
        if !is_doubled {
            out.push(byte);
        }
    }
}
