//! Assignments in shell scripts: POSIX shells, bash, zsh, ksh; fish; csh. Nothing is run; time is linear.
//!
//! The reader splits words, quotes, command lists and here-documents as a shell does, so a text about a variable is no
//! setting. It does not find a name made by expansions, `source`, a nameref, or commands inside `$( )`.
//! Shells disagree about what closes a quote or a here-document. After one that is never closed, the reader takes
//! the lines one by one.

mod commands;
mod lexer;

use super::dialect::Dialect;
use super::found::{self, Found, SourceLine};
use commands::Expect;
use lexer::{Cursor, MAX_WORD, Position, Word, is_operator};

/// How deep code in `eval "..."` and the like is followed.
const MAX_DEPTH: usize = 3;
/// Here-documents of one line that are read.
const MAX_DOCUMENTS: usize = 16;

/// Adds every setting of the script.
pub(super) fn read(script: &[u8], dialect: Dialect, found: &mut Found) {
    Reader::new(script, None, dialect, 0, found).run();
}

/// Adds every setting of code in a line of another file.
pub(super) fn read_line(code: &[u8], line: SourceLine<'_>, found: &mut Found) {
    nested(code, line, Dialect::Posix, 1, found);
}

fn nested(code: &[u8], line: SourceLine<'_>, dialect: Dialect, depth: usize, found: &mut Found) {
    if depth <= MAX_DEPTH {
        Reader::new(code, Some(line), dialect, depth, found).run();
    }
}

/// The command that is being read.
#[derive(Debug, Default)]
struct Command {
    expect: Expect,
    variable: Option<&'static str>,
    /// Values of the variable, or code.
    text: Vec<u8>,
    /// The input of `read` by `<` or `<<<`.
    input: Vec<u8>,
    /// The word that names the variable or begins the code.
    position: Position,
}

/// A here-document that begins after the current line.
struct Document {
    delimiter: Vec<u8>,
    /// The delimiter is not quoted, so the shell expands the text.
    is_expanded: bool,
    strip_tabs: bool,
}

struct Reader<'a, 'f> {
    cursor: Cursor<'a>,
    /// The line of the outer file, for code in such a line.
    within: Option<SourceLine<'a>>,
    dialect: Dialect,
    depth: usize,
    found: &'f mut Found,
    command: Command,
    documents: Vec<Document>,
}

impl<'a, 'f> Reader<'a, 'f> {
    fn new(
        script: &'a [u8],
        within: Option<SourceLine<'a>>,
        dialect: Dialect,
        depth: usize,
        found: &'f mut Found,
    ) -> Self {
        let cursor = Cursor::new(script);
        Self { cursor, within, dialect, depth, found, command: Command::default(), documents: Vec::new() }
    }

    fn run(mut self) {
        while let Some(byte) = self.cursor.peek() {
            let line = self.cursor.line_start();
            let is_closed = match byte {
                b' ' | b'\t' | b'\r' => self.cursor.bump().is_some(),
                b'\\' if self.cursor.rest().starts_with(b"\\\n") => {
                    self.cursor.bump().and(self.cursor.bump()).is_some()
                }
                b'#' => {
                    self.cursor.skip_while(|_| true);
                    true
                }
                b'\n' => {
                    self.cursor.bump();
                    self.end_command();
                    self.skip_documents()
                }
                b'(' if self.dialect == Dialect::Fish => self.take_word(),
                b';' | b'&' | b'|' | b'(' | b')' => {
                    self.cursor.bump();
                    self.end_command();
                    true
                }
                b'<' | b'>' => self.redirection(),
                _ => self.take_word(),
            };
            if !is_closed {
                self.end_command();
                self.read_line_by_line(line);
                return;
            }
        }
        self.end_command();
    }

    /// Reads each line after this one for itself.
    fn read_line_by_line(&mut self, position: Position) {
        if self.depth > 0 {
            return;
        }
        let SourceLine { number, from: rest } = self.cursor.source_line(position);
        let mut from = 0;
        for (index, line) in rest.split(|&byte| byte == b'\n').enumerate() {
            let place = SourceLine { number: number + index, from: rest.get(from..).unwrap_or_default() };
            from += line.len() + 1;
            if index > 0 {
                nested(line, place, self.dialect, 1, self.found);
            }
        }
    }

    /// Reads a word, and what its expansions set.
    fn word(&mut self) -> Word<'a> {
        let word = lexer::word(&mut self.cursor, self.dialect);
        for default in &word.defaults {
            let line = self.source_line(default.position);
            self.found.set(default.variable.as_bytes(), default.value, line);
        }
        word
    }

    /// Reads a word of the command. Returns whether everything opened in it is closed.
    fn take_word(&mut self) -> bool {
        let position = self.cursor.position(0);
        let word = self.word();
        let is_closed = word.is_closed;
        // A line read for itself may end within a word that the next lines continue.
        if is_closed || self.depth > 0 {
            self.accept(word, position);
        }
        is_closed
    }

    /// `>file`, `<file`, `<<END`, `<<<text`. Returns whether the word after it is closed.
    fn redirection(&mut self) -> bool {
        let rest = self.cursor.rest();
        let is_string = rest.starts_with(b"<<<");
        let is_document = !is_string && rest.starts_with(b"<<") && self.dialect != Dialect::Fish;
        let is_input = rest.starts_with(b"<");
        self.cursor.skip_while(|byte| matches!(byte, b'<' | b'>' | b'&' | b'|'));
        let strip_tabs = is_document && self.cursor.peek() == Some(b'-');
        self.cursor.skip(usize::from(strip_tabs));
        self.cursor.skip_while(|byte| matches!(byte, b' ' | b'\t'));
        if self.cursor.peek().is_none_or(is_operator) {
            return true;
        }
        let word = self.word();
        if is_document && self.documents.len() < MAX_DOCUMENTS {
            self.documents.push(Document { delimiter: word.value, is_expanded: word.is_plain, strip_tabs });
        } else if is_string {
            self.command.input = word.value;
        } else if is_input {
            self.command.input = [b"<", word.value.as_slice()].concat();
        }
        word.is_closed
    }

    /// Skips the here-documents that begin at this line. Returns whether each has its end.
    fn skip_documents(&mut self) -> bool {
        std::mem::take(&mut self.documents).iter().all(|document| self.skip_document(document))
    }

    fn skip_document(&mut self, document: &Document) -> bool {
        loop {
            let rest = self.cursor.rest();
            if rest.is_empty() {
                return false;
            }
            let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
            if document.is_expanded {
                self.expand(line);
            }
            self.cursor.skip(line.len());
            self.cursor.bump();
            let tabs = if document.strip_tabs { line.iter().take_while(|&&byte| byte == b'\t').count() } else { 0 };
            if line.get(tabs..) == Some(document.delimiter.as_slice()) {
                return true;
            }
        }
    }

    /// Adds what expansions in a line of a here-document set.
    fn expand(&mut self, line: &[u8]) {
        let start = self.cursor.line_start();
        for dollar in (0..line.len()).filter(|&at| line.get(at..).is_some_and(|rest| rest.starts_with(b"${"))) {
            let inner = self.cursor.rest().get(dollar + 2..).unwrap_or_default();
            if let Some((variable, value)) = found::default_assignment(inner) {
                let place = self.source_line(start);
                self.found.set(variable.as_bytes(), value, place);
            }
        }
    }

    fn accept(&mut self, word: Word<'_>, position: Position) {
        let is_option = matches!(word.value.first(), Some(b'-' | b'+'));
        match self.command.expect {
            Expect::Name => self.accept_name(&word, position),
            Expect::NameOrOption if is_option => self.accept_option(&word.value, position),
            Expect::NameOrOption => {
                // `env "A=b"`: quotes do not matter to a program.
                let is_assignment = word.is_assignment || is_assignment(&word.value);
                self.accept_name(&Word { is_assignment, ..word }, position);
            }
            Expect::OptionArgument => self.accept_option_argument(&word.value, position),
            Expect::FunctionName => self.command.expect = Expect::Name,
            Expect::Assignments => self.set(word.value.strip_prefix(b"--setenv=").unwrap_or(&word.value), position),
            Expect::Code => {
                self.command.position = if self.command.text.is_empty() { position } else { self.command.position };
                self.append(b' ', &word.value);
            }
            Expect::CodeWord => {
                let code = found::assignment(&word.value).map_or(word.value.as_slice(), |(_, code)| code);
                self.evaluate(code, position);
                self.evaluate(&word.value, position);
            }
            Expect::CodeOption if is_option && word.value.ends_with(b"c") => self.command.expect = Expect::CodeWord,
            Expect::PrintfOption if word.value == b"-v" => self.command.expect = Expect::Variable,
            Expect::PrintfOption => self.command.expect = Expect::Rest,
            Expect::FishSet if is_option => {
                if commands::is_no_assignment_in_fish(&word.value) {
                    self.command.expect = Expect::Rest;
                }
            }
            Expect::Variable | Expect::FishSet => self.accept_variable(&word.value, position),
            Expect::ReadVariables => {
                if let Some(variable) = found::variable(&word.value) {
                    (self.command.variable, self.command.position) = (Some(variable), position);
                }
            }
            Expect::Values => self.append(b':', &word.value),
            Expect::CodeOption | Expect::Rest => {}
        }
    }

    /// An option of `env`, `sudo` and the like.
    fn accept_option(&mut self, option: &[u8], position: Position) {
        if commands::takes_argument(option) {
            self.command.expect = Expect::OptionArgument;
        } else if matches!(option, b"-S" | b"--split-string") {
            self.command.expect = Expect::CodeWord;
        } else if let Some(code) = option.strip_prefix(b"-S").or(option.strip_prefix(b"--split-string=")) {
            self.evaluate(code, position);
        }
    }

    /// An assignment is no argument of these options. It is reported nevertheless: better one too many.
    fn accept_option_argument(&mut self, argument: &[u8], position: Position) {
        self.command.expect = Expect::NameOrOption;
        self.set(argument, position);
        if argument.contains(&b' ') {
            self.evaluate(argument, position);
        }
    }

    fn accept_variable(&mut self, word: &[u8], position: Position) {
        let name = word.split(|&byte| byte == b'[').next().unwrap_or_default();
        self.command.variable = found::variable(name);
        self.command.position = position;
        self.command.expect = if self.command.variable.is_some() { Expect::Values } else { Expect::Rest };
    }

    fn accept_name(&mut self, word: &Word<'_>, position: Position) {
        if word.is_assignment {
            self.set(&word.value, position);
            return;
        }
        // An expansion may come to nothing. Then the name is what follows it: the rest or the next word.
        let mut text = word.value.as_slice();
        if matches!(text.first(), Some(b'$' | b'`')) {
            text = text.rsplit(|byte| matches!(byte, b'`' | b')' | b'}')).next().unwrap_or_default();
            if text.is_empty() || text.starts_with(b"$") {
                self.command.expect = Expect::NameOrOption;
                return;
            }
        }
        let name = text.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        self.command.expect = match name {
            _ if word.is_plain && commands::is_reserved(name) => Expect::Name,
            b"set" if self.dialect == Dialect::Fish => Expect::FishSet,
            _ => commands::after(name),
        };
    }

    fn append(&mut self, separator: u8, text: &[u8]) {
        let command = &mut self.command;
        if command.text.len() < MAX_WORD {
            if !command.text.is_empty() {
                command.text.push(separator);
            }
            command.text.extend_from_slice(text);
        }
    }

    fn set(&mut self, text: &[u8], position: Position) {
        let line = self.source_line(position);
        self.found.assignment(text, line);
    }

    fn evaluate(&mut self, code: &[u8], position: Position) {
        let line = self.source_line(position);
        nested(code, line, self.dialect, self.depth + 1, self.found);
    }

    fn end_command(&mut self) {
        let command = std::mem::take(&mut self.command);
        if command.expect == Expect::Code {
            self.evaluate(&command.text, command.position);
        }
        if let Some(variable) = command.variable {
            let value = if command.expect == Expect::ReadVariables { &command.input } else { &command.text };
            // `for VAR in a b`, `printf -v VAR %s a`.
            let value = value.strip_prefix(b"in:").or(value.strip_prefix(b"%s:")).unwrap_or(value);
            let line = self.source_line(command.position);
            self.found.set(variable.as_bytes(), value, line);
        }
    }

    /// The line that is reported for a setting at this position.
    fn source_line(&self, position: Position) -> SourceLine<'a> {
        self.within.unwrap_or_else(|| self.cursor.source_line(position))
    }
}

/// Whether this is `name=value` after quotes are removed.
fn is_assignment(text: &[u8]) -> bool {
    found::assignment(text).is_some_and(|(name, _)| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}
