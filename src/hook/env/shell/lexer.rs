//! Splits a shell script into words and removes their quotes, as sh, fish and csh do. Expansions are kept as written.
//!
//! The grammar is that of POSIX.1-2024, Shell Command Language 2.2 and 2.6, with `$'...'`, and quotes of fish.

use super::super::dialect::Dialect;
use super::super::found::{SourceLine, default_assignment};

/// How deep quotes and expansions are nested; a deeper word counts as never closed.
const MAX_NESTING: usize = 64;
/// Bytes kept of one word.
pub(super) const MAX_WORD: usize = 1 << 20;
/// A setting further into its line than this is shown without the beginning of the line.
const FAR_INTO_LINE: usize = 256;

/// A place in a script.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// Line number, from 1.
    pub(super) line: usize,
    /// Offset from which the line is shown.
    pub(super) from: usize,
}

/// A script and how far it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    script: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(script: &'a [u8]) -> Self {
        Self { script, at: 0, line: 1, line_start: 0 }
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.script.get(self.at).copied()
    }

    /// Takes the next byte.
    pub(super) fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        Some(byte)
    }

    /// Everything that is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.script.get(self.at..).unwrap_or_default()
    }

    /// Passes over bytes that are no line ends.
    pub(super) fn skip_while(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(|byte| byte != b'\n' && is_skipped(byte)) {
            self.at += 1;
        }
    }

    /// Passes over this many bytes of a line.
    pub(super) fn skip(&mut self, length: usize) {
        self.at += length;
    }

    /// The beginning of the current line.
    pub(super) fn line_start(&self) -> Position {
        Position { line: self.line, from: self.line_start }
    }

    /// Where a setting that begins `back` bytes before here is shown from.
    pub(super) fn position(&self, back: usize) -> Position {
        let at = self.at.saturating_sub(back);
        let is_far = at.saturating_sub(self.line_start) > FAR_INTO_LINE;
        Position { line: self.line, from: if is_far { at } else { self.line_start } }
    }

    /// The script from this position on.
    pub(super) fn source_line(&self, position: Position) -> SourceLine<'a> {
        SourceLine { number: position.line, from: self.script.get(position.from..).unwrap_or_default() }
    }
}

/// A word with its quotes removed.
#[derive(Debug)]
pub(super) struct Word<'a> {
    /// At most [`MAX_WORD`] bytes.
    pub(super) value: Vec<u8>,
    /// It begins with `name=`, without quotes and expansions in the name.
    pub(super) is_assignment: bool,
    /// No part was quoted or expanded, so it can be a reserved word.
    pub(super) is_plain: bool,
    /// Every quote and expansion in it is closed.
    pub(super) is_closed: bool,
    /// What its expansions `${NAME:=value}` set.
    pub(super) defaults: Vec<DefaultAssignment<'a>>,
}

/// A variable that an expansion sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct DefaultAssignment<'a> {
    pub(super) variable: &'static str,
    pub(super) value: &'a [u8],
    pub(super) position: Position,
}

/// Whether this byte ends a word outside quotes.
pub(super) fn is_operator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}

/// Whether this byte quotes or expands something, in some context.
fn is_quoting(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'\\' | b'$' | b'`')
}

/// Reads the word at the cursor.
pub(super) fn word<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Word<'a> {
    let word = Word { value: Vec::new(), is_assignment: false, is_plain: true, is_closed: true, defaults: Vec::new() };
    Lexer { cursor, dialect, open: Vec::new(), name_is_literal: true, word }.run()
}

/// The quote or expansion around the bytes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// Outside quotes.
    Plain,
    /// `"..."`
    Double,
    /// `'...'`
    Single,
    /// `$'...'`, and `'...'` of fish: a backslash escapes.
    Ansi,
    /// `` `...` ``
    Backtick,
    /// `$(...)`, an array, a command substitution of fish, and parentheses in them.
    Subst,
    /// `${...}`
    Param,
}

struct Lexer<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    dialect: Dialect,
    /// The contexts within [`Context::Plain`], innermost last.
    open: Vec<Context>,
    /// The word can still become an assignment.
    name_is_literal: bool,
    word: Word<'a>,
}

impl<'a> Lexer<'_, 'a> {
    fn run(mut self) -> Word<'a> {
        while let Some(byte) = self.cursor.peek() {
            let context = self.context();
            if self.open.len() > MAX_NESTING || (context == Context::Plain && self.ends_word(byte)) {
                break;
            }
            self.cursor.bump();
            if is_quoting(byte) {
                self.word.is_plain = false;
                self.name_is_literal = false;
            }
            match context {
                Context::Plain => self.plain(byte),
                Context::Double => self.double(byte),
                Context::Single => self.single(byte),
                Context::Ansi => self.ansi(byte),
                Context::Backtick => self.backtick(byte),
                Context::Subst => self.substitution(byte),
                Context::Param => self.parameter(byte),
            }
        }
        self.word.is_closed = self.open.is_empty();
        self.word
    }

    /// An operator ends a word, except the parenthesis of an array or of a substitution of fish.
    fn ends_word(&self, byte: u8) -> bool {
        let is_array = || self.word.is_assignment && self.word.value.ends_with(b"=");
        is_operator(byte) && !(byte == b'(' && (self.dialect == Dialect::Fish || is_array()))
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            b'\\' => self.escape(),
            b'\'' => self.open_single(),
            b'"' => self.open.push(Context::Double),
            b'`' => self.open_kept(byte, Context::Backtick),
            b'$' => self.expansion(),
            b'(' => self.open_kept(byte, Context::Subst),
            b'=' => {
                self.word.is_assignment |= self.name_is_literal && !self.word.value.is_empty();
                self.name_is_literal = false;
                self.keep(byte);
            }
            _ => self.keep_run(byte, |byte| is_operator(byte) || is_quoting(byte) || byte == b'='),
        }
    }

    fn double(&mut self, byte: u8) {
        match byte {
            b'"' => self.close_quote(byte),
            b'\\' => self.escape(),
            b'`' => self.open_kept(byte, Context::Backtick),
            b'$' => self.expansion(),
            _ => self.keep_run(byte, is_quoting),
        }
    }

    fn single(&mut self, byte: u8) {
        match byte {
            b'\'' => self.close_quote(byte),
            _ => self.keep_run(byte, is_quoting),
        }
    }

    fn ansi(&mut self, byte: u8) {
        match byte {
            b'\'' => self.close_quote(byte),
            b'\\' => {
                let escaped = self.cursor.bump().unwrap_or(byte);
                self.keep(escaped);
            }
            _ => self.keep(byte),
        }
    }

    fn backtick(&mut self, byte: u8) {
        match byte {
            b'`' => self.close_kept(byte),
            b'\\' => self.escape(),
            _ => self.keep(byte),
        }
    }

    fn substitution(&mut self, byte: u8) {
        match byte {
            b')' => self.close_kept(byte),
            b'(' => self.open_kept(byte, Context::Subst),
            _ => self.code(byte),
        }
    }

    fn parameter(&mut self, byte: u8) {
        match byte {
            b'}' => self.close_kept(byte),
            _ => self.code(byte),
        }
    }

    /// A byte of a substitution or a parameter.
    fn code(&mut self, byte: u8) {
        match byte {
            b'\\' => self.escape(),
            b'\'' if self.has_single_quotes() => self.open_single(),
            b'"' => self.open_kept(byte, Context::Double),
            b'`' => self.open_kept(byte, Context::Backtick),
            b'$' => self.expansion(),
            _ => self.keep(byte),
        }
    }

    /// After a `$`.
    fn expansion(&mut self) {
        self.keep(b'$');
        match self.cursor.peek() {
            Some(b'(') => {
                self.cursor.bump();
                self.open_kept(b'(', Context::Subst);
            }
            Some(b'{') => {
                let position = self.cursor.position(1);
                self.cursor.bump();
                self.open_kept(b'{', Context::Param);
                if let Some((variable, value)) = default_assignment(self.cursor.rest()) {
                    self.word.defaults.push(DefaultAssignment { variable, value, position });
                }
            }
            Some(b'\'') if self.dialect == Dialect::Posix && self.has_single_quotes() => {
                self.cursor.bump();
                if self.is_in_code() {
                    self.keep(b'\'');
                } else {
                    self.word.value.pop();
                }
                self.open.push(Context::Ansi);
            }
            _ => {}
        }
    }

    /// After a backslash, except in [`Context::Ansi`].
    fn escape(&mut self) {
        let Some(next) = self.cursor.bump() else { return };
        let in_code = self.is_in_code();
        let is_literal = self.context() == Context::Double && !matches!(next, b'$' | b'`' | b'"' | b'\\' | b'\n');
        if in_code || is_literal {
            self.keep(b'\\');
        }
        if in_code || next != b'\n' {
            self.keep(next);
        }
    }

    fn open_single(&mut self) {
        if self.is_in_code() {
            self.keep(b'\'');
        }
        self.open.push(if self.dialect == Dialect::Fish { Context::Ansi } else { Context::Single });
    }

    fn close_quote(&mut self, quote: u8) {
        self.open.pop();
        if self.is_in_code() {
            self.keep(quote);
        }
    }

    fn open_kept(&mut self, byte: u8, context: Context) {
        self.keep(byte);
        self.open.push(context);
    }

    fn close_kept(&mut self, byte: u8) {
        self.keep(byte);
        self.open.pop();
    }

    fn context(&self) -> Context {
        self.open.last().copied().unwrap_or(Context::Plain)
    }

    /// Whether an expansion is open. Its code is kept as written, with its quotes.
    fn is_in_code(&self) -> bool {
        self.open.iter().any(|context| !matches!(context, Context::Double))
    }

    /// Whether `'` is a quote here. In double quotes it is not, except in `$(...)`.
    fn has_single_quotes(&self) -> bool {
        match self.context() {
            Context::Plain | Context::Subst => true,
            Context::Param => !self.open.contains(&Context::Double),
            Context::Double | Context::Single | Context::Ansi | Context::Backtick => false,
        }
    }

    /// Keeps this byte and what follows it in the line up to a special one.
    fn keep_run(&mut self, byte: u8, is_special: impl Fn(u8) -> bool) {
        self.keep(byte);
        let rest = self.cursor.rest();
        let length = rest.iter().position(|&byte| byte == b'\n' || is_special(byte)).unwrap_or(rest.len());
        self.cursor.skip(length);
        let room = MAX_WORD.saturating_sub(self.word.value.len());
        self.word.value.extend_from_slice(rest.get(..length.min(room)).unwrap_or_default());
    }

    fn keep(&mut self, byte: u8) {
        if self.word.value.len() < MAX_WORD {
            self.word.value.push(byte);
        }
    }
}
