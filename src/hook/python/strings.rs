//! Strings: what they mean, what they say, and whether they are code in disguise.

use super::decode;
use super::literal;
use super::state::{HOSTILE, MILD, NEUTRAL, STRONG};
use super::statement::Machine;
use super::text;
use super::token::Kind as T;
use super::value::{self, Kind, Value};
use crate::event::Signal;
use std::rc::Rc;

impl Machine<'_, '_> {
    /// Strings that stand side by side.
    pub fn strings(&mut self) -> Value {
        let mut pieces: Option<Value> = None;
        loop {
            let piece = match self.token.kind {
                T::Text => self.string(),
                T::FormatStart => self.formatted(),
                _ => break,
            };
            pieces = Some(match pieces {
                None => piece,
                Some(before) => self.concatenate(before, piece),
            });
        }
        pieces.unwrap_or_else(|| Value::unknown(0))
    }

    fn string(&mut self) -> Value {
        let token = self.token;
        let body = token.text;
        let hides = !token.raw && literal::hides_letters(body);
        let meaning: Rc<[u8]> = if token.raw || !body.contains(&b'\\') {
            body.into()
        } else {
            literal::unescape(body, !token.bytes).into()
        };
        self.advance();
        self.says |= text::scan(&meaning);
        let mut taint = 0;
        if hides {
            self.state.hit(Signal::Obfuscated, if token.bytes { MILD } else { [STRONG[0], STRONG[1], NEUTRAL[2]] });
            self.says |= text::scan(&meaning);
            taint = value::PIECED;
        }
        if self.state.level < 2 && meaning.len() >= 24 {
            self.look_inside(&meaning);
        }
        Value::of(if token.bytes { Kind::Binary(meaning) } else { Kind::Text(meaning) }).tainted(taint)
    }

    /// Whether the text is code in disguise, whoever may decode it.
    fn look_inside(&mut self, hidden: &Rc<[u8]>) {
        if hidden.iter().take(64).any(|byte| *byte == b' ' || *byte == b'(') && !hidden.starts_with(b"<~") {
            // Code as such; backwards or turned by half the alphabet it keeps its blanks.
            if hidden.len() <= 16384 && !decode::is_code(hidden) && self.state.spend(hidden.len() * 8) {
                let backwards: Vec<u8> = hidden.iter().rev().copied().collect();
                let turned = decode::rot13(hidden);
                for text in [backwards, turned] {
                    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
                    if has(b"import ") && (has(b"(") || has(b"os") || has(b"sys"))
                        || has(b"exec(")
                        || has(b"__import__(")
                    {
                        self.state.hit(Signal::Obfuscated, HOSTILE);
                        self.state.read_later(&text.into(), true);
                    }
                }
            }
            return;
        }
        let head = hidden.get(..64).unwrap_or(hidden);
        let is_encoded = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-\n\r".contains(byte);
        if !head.iter().all(is_encoded) || !self.state.spend(hidden.len()) {
            return;
        }
        for decoded in
            [decode::hexadecimal(hidden), decode::base64(hidden), decode::base32(hidden)].into_iter().flatten()
        {
            let inner = decode::inflate(&decoded).filter(|inner| decode::is_code(inner)).unwrap_or(decoded);
            if decode::is_code(&inner) {
                self.state.hit(Signal::Obfuscated, HOSTILE);
                self.state.read_later(&inner.into(), true);
                return;
            }
        }
    }

    fn formatted(&mut self) -> Value {
        let bytes = self.token.bytes;
        self.advance();
        let mut out: Option<Vec<u8>> = Some(Vec::new());
        let mut taint = 0;
        loop {
            match self.token.kind {
                T::FormatText => {
                    let token = self.token;
                    self.advance();
                    let text = token.text;
                    if !token.raw && literal::hides_letters(text) {
                        self.state.hit(Signal::Obfuscated, STRONG);
                    }
                    let meaning = if token.raw { text.to_vec() } else { literal::unescape(text, !bytes) };
                    if let Some(out) = &mut out {
                        let mut last = 0;
                        for byte in meaning {
                            // `{{` is one brace.
                            let doubled = matches!(byte, b'{' | b'}') && last == byte;
                            last = if doubled { 0 } else { byte };
                            if !doubled {
                                out.push(byte);
                            }
                        }
                    }
                }
                T::FieldStart => {
                    self.advance();
                    let value = self.expressions();
                    // `!r`, `=` and a format up to the brace that ends the field.
                    let mut is_plain = true;
                    while !matches!(self.token.kind, T::FieldEnd | T::FormatEnd | T::End) {
                        is_plain = false;
                        if self.token.kind == T::FieldStart {
                            self.advance();
                            self.expressions();
                        }
                        let start = self.token.start;
                        if self.token.kind != T::FieldEnd || self.token.start == start {
                            if matches!(self.token.kind, T::FormatEnd | T::End) {
                                break;
                            }
                            let ends = self.token.kind == T::FieldEnd;
                            self.advance();
                            if ends && self.token.kind != T::FieldEnd {
                                break;
                            }
                        }
                    }
                    if self.token.kind == T::FieldEnd {
                        self.advance();
                    }
                    taint |= value.taint;
                    let shown = if is_plain || value.bytes().is_some() { super::fold::shown(&value) } else { None };
                    match (&mut out, shown) {
                        (Some(out), Some(shown)) if self.state.spend(shown.len()) => {
                            let breaks = super::fold::breaks_word(out, &shown);
                            if breaks {
                                taint |= value::PIECED;
                            }
                            out.extend_from_slice(&shown);
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
        match out {
            Some(out) => {
                self.says |= text::scan(&out);
                Value::text(out).tainted(taint)
            }
            None => Value::unknown(taint),
        }
    }
}
