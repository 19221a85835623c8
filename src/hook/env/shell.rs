//! Assignments in shell scripts: POSIX shells, bash, zsh, ksh; fish; csh. Nothing is run, and one pass reads it.
//!
//! Words, quotes, command lists and here-documents are told apart as a shell does, so that a text about a
//! variable is no setting. What only running tells is not: a name put together by expansions, `source`, a
//! nameref, commands inside `$( )`. Where a quote or a here-document is never closed, the shell would stop; as
//! shells differ in what closes one, the lines after its beginning are then read one by one.

use super::found;
use super::found::Found;
use super::found::Place;

/// Whose grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// sh, bash, zsh, ksh.
    Posix,
    /// fish.
    Fish,
    /// csh and tcsh.
    Csh,
}

/// How deep code in `eval "..."` and the like is followed.
const MAX_DEPTH: usize = 3;
/// How deep quotes and expansions are nested; deeper ones count as never closed.
const MAX_NESTING: usize = 64;
/// Bytes kept of one word.
const MAX_WORD: usize = 1 << 20;
/// Bytes before a setting that are shown with it.
const FAR_INTO_LINE: usize = 256;
/// Here-documents of one line that are waited for.
const MAX_DOCUMENTS: usize = 16;

/// Adds every setting of the script.
pub(super) fn read(script: &[u8], dialect: Dialect, found: &mut Found) {
    let start = Reader {
        script,
        at: 0,
        number: 1,
        line_start: 0,
        within: None,
        dialect,
        depth: 0,
        found,
        command: Command::default(),
        documents: Vec::new(),
    };
    start.run();
}

/// Adds every setting of code that stands in a line of another file.
pub(super) fn read_line(code: &[u8], place: Place<'_>, found: &mut Found) {
    nested(code, place, Dialect::Posix, 1, found);
}

fn nested(code: &[u8], place: Place<'_>, dialect: Dialect, depth: usize, found: &mut Found) {
    if depth <= MAX_DEPTH {
        let within = Some(place);
        let inner = Reader {
            script: code,
            at: 0,
            number: 1,
            line_start: 0,
            within,
            dialect,
            depth,
            found,
            command: Command::default(),
            documents: Vec::new(),
        };
        inner.run();
    }
}

/// A word with its quotes removed.
#[derive(Debug, Default)]
struct Word {
    value: Vec<u8>,
    /// It begins with `name=`, without quotes and expansions in the name.
    is_assignment: bool,
    /// Nothing of it was quoted, so it can be a reserved word.
    is_plain: bool,
}

/// What the next word of a command is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    /// An assignment, a reserved word or the command's name.
    #[default]
    Name,
    /// The same, or an option of the command before (`env`, `sudo`, `command`).
    NameOrOption,
    /// The argument of such an option, then the same.
    OptionArgument,
    /// The name of a function, then a command.
    FunctionName,
    /// `name=value`, an option, or a name (`export`).
    Assignments,
    /// Code, all words together (`eval`).
    Code,
    /// Code in one word (`alias`, `trap`).
    CodeWord,
    /// Options up to the one that code follows (`sh -c`).
    CodeOption,
    /// The variable of `setenv`, `for` or `printf -v`, then its values.
    Variable,
    /// `-v` of `printf`.
    PrintfOption,
    /// Options and the variable of fish's `set`.
    FishSet,
    /// Variables of `read`.
    ReadVariables,
    /// Values of the variable.
    Values,
    /// Nothing that counts.
    Rest,
}

#[derive(Debug, Default)]
struct Command {
    expect: Expect,
    variable: Option<&'static str>,
    /// Values of the variable, or code.
    text: Vec<u8>,
    /// What `<` or `<<<` give to `read`.
    input: Vec<u8>,
    /// Line number and beginning of the line of the word that decides.
    place: (usize, usize),
}

struct Document {
    delimiter: Vec<u8>,
    /// The delimiter is not quoted, so the shell expands the text.
    is_expanded: bool,
    strip_tabs: bool,
}

struct Reader<'a, 'f> {
    script: &'a [u8],
    at: usize,
    number: usize,
    line_start: usize,
    /// The line of the outer file, for code that stands in it.
    within: Option<Place<'a>>,
    dialect: Dialect,
    depth: usize,
    found: &'f mut Found,
    command: Command,
    documents: Vec<Document>,
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.script.get(self.at).copied()
    }

    fn starts_with(&self, text: &[u8]) -> bool {
        self.script.get(self.at..).is_some_and(|rest| rest.starts_with(text))
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.number += 1;
            self.line_start = self.at;
        }
        Some(byte)
    }

    fn place(&self, (number, start): (usize, usize)) -> Place<'a> {
        self.within.unwrap_or(Place { number, from: self.script.get(start..).unwrap_or_default() })
    }

    /// Line number, and where what is shown of the line begins.
    fn here(&self) -> (usize, usize) {
        let is_far = self.at - self.line_start > FAR_INTO_LINE;
        (self.number, if is_far { self.at } else { self.line_start })
    }

    fn run(mut self) {
        while let Some(byte) = self.peek() {
            let open_line = (self.number, self.line_start);
            let is_closed = match byte {
                b' ' | b'\t' | b'\r' => self.bump().is_some(),
                b'\\' if self.starts_with(b"\\\n") => self.bump().and(self.bump()).is_some(),
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                    true
                }
                b'\n' => {
                    self.bump();
                    self.end_command();
                    self.skip_documents()
                }
                b'(' if self.dialect == Dialect::Fish => self.take_word(),
                b';' | b'&' | b'|' | b'(' | b')' => {
                    self.bump();
                    self.end_command();
                    true
                }
                b'<' | b'>' => self.redirection(),
                _ => self.take_word(),
            };
            if !is_closed {
                self.end_command();
                self.read_line_by_line(open_line);
                return;
            }
        }
        self.end_command();
    }

    /// The lines after this one, each for itself.
    fn read_line_by_line(&mut self, (number, start): (usize, usize)) {
        if self.depth > 0 {
            return;
        }
        let rest = self.script.get(start..).unwrap_or_default();
        let mut from = 0;
        for (index, line) in rest.split(|&byte| byte == b'\n').enumerate() {
            let place = Place { number: number + index, from: rest.get(from..).unwrap_or_default() };
            from += line.len() + 1;
            if index > 0 {
                nested(line, place, self.dialect, 1, self.found);
            }
        }
    }

    fn take_word(&mut self) -> bool {
        let place = self.here();
        let (word, is_closed) = self.word();
        // A line read for itself may end within a word that the next lines go on with.
        if is_closed || self.depth > 0 {
            self.accept(word, place);
        }
        is_closed
    }

    /// `>file`, `<file`, `<<END`, `<<<text`.
    fn redirection(&mut self) -> bool {
        let is_string = self.starts_with(b"<<<");
        let is_document = !is_string && self.starts_with(b"<<") && self.dialect != Dialect::Fish;
        let is_input = self.peek() == Some(b'<');
        while self.peek().is_some_and(|byte| matches!(byte, b'<' | b'>' | b'&' | b'|')) {
            self.at += 1;
        }
        let strip_tabs = is_document && self.peek() == Some(b'-');
        if strip_tabs {
            self.at += 1;
        }
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.peek().is_none_or(is_operator) {
            return true;
        }
        let (word, is_closed) = self.word();
        if is_document && self.documents.len() < MAX_DOCUMENTS {
            self.documents.push(Document { delimiter: word.value, is_expanded: word.is_plain, strip_tabs });
        } else if is_string {
            self.command.input = word.value;
        } else if is_input {
            self.command.input = [b"<", word.value.as_slice()].concat();
        }
        is_closed
    }

    /// Skips the here-documents that begin at this line. Whether each has its end.
    fn skip_documents(&mut self) -> bool {
        for document in std::mem::take(&mut self.documents) {
            loop {
                let rest = self.script.get(self.at..).unwrap_or_default();
                if rest.is_empty() {
                    return false;
                }
                let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
                let (end, place) = (self.at + line.len(), (self.number, self.at));
                while document.is_expanded && self.at < end {
                    self.at += 1;
                    if self.script.get(..self.at).is_some_and(|before| before.ends_with(b"${")) {
                        self.default_value(place);
                    }
                }
                self.at = end;
                self.bump();
                let tabs = if document.strip_tabs { line.iter().take_while(|&&byte| byte == b'\t').count() } else { 0 };
                if line.get(tabs..) == Some(document.delimiter.as_slice()) {
                    break;
                }
            }
        }
        true
    }

    /// Reads a word; whether all that was opened in it is closed.
    fn word(&mut self) -> (Word, bool) {
        let mut word = Word { is_plain: true, ..Word::default() };
        let mut open: Vec<u8> = Vec::new();
        let mut name_is_literal = true;
        while let Some(byte) = self.peek() {
            let outermost = open.last().copied();
            if open.len() > MAX_NESTING {
                break;
            }
            if outermost.is_none() && is_operator(byte) {
                let is_array = byte == b'(' && word.is_assignment && word.value.ends_with(b"=");
                let is_substitution = byte == b'(' && self.dialect == Dialect::Fish;
                if !is_array && !is_substitution {
                    break;
                }
            }
            // Quotes that belong to code in an expansion stay, as the expansion itself does.
            let is_raw = open.iter().any(|&context| context != b'"');
            let place = self.here();
            let from = self.at;
            self.bump();
            if matches!(byte, b'\'' | b'"' | b'\\' | b'$' | b'`') {
                word.is_plain = false;
                name_is_literal = false;
            }
            let has_name = !word.value.is_empty();
            let mut keep = |bytes: &[u8]| {
                if word.value.len() < MAX_WORD {
                    word.value.extend_from_slice(bytes);
                }
            };
            match (outermost, byte) {
                (Some(b'`'), b'`') | (Some(b'('), b')') | (Some(b'{'), b'}') => {
                    keep(&[byte]);
                    open.pop();
                }
                (Some(b'"'), b'"') => {
                    open.pop();
                    if is_raw {
                        keep(&[byte]);
                    }
                }
                (_, b'\\') => {
                    let Some(next) = self.bump() else { break };
                    let is_kept = outermost == Some(b'"') && !matches!(next, b'$' | b'`' | b'"' | b'\\' | b'\n');
                    if is_raw || is_kept {
                        keep(b"\\");
                    }
                    if is_raw || next != b'\n' {
                        keep(&[next]);
                    }
                }
                (None | Some(b'(' | b'{'), b'\'') if !open.contains(&b'"') || outermost == Some(b'(') => {
                    let is_ansi = from.checked_sub(1).and_then(|before| self.script.get(before)) == Some(&b'$')
                        && self.dialect == Dialect::Posix;
                    let has_escapes = is_ansi || self.dialect == Dialect::Fish;
                    if is_ansi && !is_raw && word.value.ends_with(b"$") {
                        word.value.pop();
                    }
                    if !self.single_quoted(&mut word.value, is_raw, has_escapes) {
                        return (word, false);
                    }
                }
                (None | Some(b'(' | b'{'), b'"') => {
                    if is_raw {
                        keep(b"\"");
                    }
                    open.push(b'"');
                }
                (None | Some(b'"' | b'(' | b'{'), b'`') => {
                    keep(b"`");
                    open.push(b'`');
                }
                (None | Some(b'"' | b'(' | b'{'), b'$') => {
                    keep(b"$");
                    if let Some(next @ (b'(' | b'{')) = self.peek() {
                        self.bump();
                        keep(&[next]);
                        open.push(next);
                        if next == b'{' {
                            self.default_value(place);
                        }
                    }
                }
                (Some(b'('), b'(') | (None, b'(') => {
                    keep(b"(");
                    open.push(b'(');
                }
                (None, b'=') => {
                    word.is_assignment |= name_is_literal && has_name;
                    name_is_literal = false;
                    keep(b"=");
                }
                _ => keep(&[byte]),
            }
        }
        (word, open.is_empty())
    }

    /// The rest of a text in single quotes, whose first quote is read. Whether it is closed.
    fn single_quoted(&mut self, value: &mut Vec<u8>, is_raw: bool, has_escapes: bool) -> bool {
        if is_raw {
            value.push(b'\'');
        }
        while let Some(byte) = self.bump() {
            if byte == b'\'' {
                if is_raw {
                    value.push(b'\'');
                }
                return true;
            }
            let escaped = if has_escapes && byte == b'\\' { self.bump() } else { None };
            if value.len() < MAX_WORD {
                value.push(escaped.unwrap_or(byte));
            }
        }
        false
    }

    /// After `${`: `NAME:=value}` and `NAME=value}` set the variable.
    fn default_value(&mut self, place: (usize, usize)) {
        let rest = self.script.get(self.at..).unwrap_or_default();
        for name in found::VARIABLES {
            let Some(after) = rest.strip_prefix(name.as_bytes()) else { continue };
            let Some(value) = after.strip_prefix(b":=").or(after.strip_prefix(b"=")) else { continue };
            let value = value.get(..crate::event::Hook::MAX_LINE).unwrap_or(value);
            let value = value.split(|&byte| byte == b'}').next().unwrap_or_default();
            let place = self.place(place);
            self.found.set(name.as_bytes(), value, place);
        }
    }

    fn accept(&mut self, word: Word, place: (usize, usize)) {
        let option = matches!(word.value.first(), Some(b'-' | b'+'));
        match self.command.expect {
            Expect::Name => self.accept_name(&word, place),
            Expect::NameOrOption if option => {
                // Those of env, sudo and nice that take an argument.
                if matches!(
                    word.value.as_slice(),
                    b"-u" | b"-C" | b"-g" | b"-n" | b"-U" | b"-D" | b"-h" | b"-p" | b"-a" | b"--unset" | b"--chdir"
                ) {
                    self.command.expect = Expect::OptionArgument;
                } else if matches!(word.value.as_slice(), b"-S" | b"--split-string") {
                    self.command.expect = Expect::CodeWord;
                } else if let Some(code) =
                    word.value.strip_prefix(b"-S").or(word.value.strip_prefix(b"--split-string="))
                {
                    self.evaluate(code, place);
                }
            }
            Expect::NameOrOption => {
                // `env "A=b"`: quotes do not matter to a program.
                self.accept_name(
                    &Word { is_assignment: word.is_assignment || is_assignment(&word.value), ..word },
                    place,
                );
            }
            Expect::OptionArgument => {
                // An assignment is no argument of these: better one too many.
                self.command.expect = Expect::NameOrOption;
                self.set(&word.value, place);
                if word.value.contains(&b' ') {
                    self.evaluate(&word.value, place);
                }
            }
            Expect::FunctionName => self.command.expect = Expect::Name,
            Expect::Assignments => self.set(word.value.strip_prefix(b"--setenv=").unwrap_or(&word.value), place),
            Expect::Code => {
                self.command.place = if self.command.text.is_empty() { place } else { self.command.place };
                self.append(b' ', &word.value);
            }
            Expect::CodeWord => {
                let code = found::assignment(&word.value).map_or(word.value.as_slice(), |(_, code)| code);
                self.evaluate(code, place);
                self.evaluate(&word.value, place);
            }
            Expect::CodeOption if option && word.value.ends_with(b"c") => self.command.expect = Expect::CodeWord,
            Expect::PrintfOption if word.value == b"-v" => self.command.expect = Expect::Variable,
            Expect::PrintfOption => self.command.expect = Expect::Rest,
            Expect::FishSet if option => {
                let is_short = !word.value.starts_with(b"--");
                let erases = is_short && word.value.iter().any(|byte| matches!(byte, b'e' | b'q' | b'n' | b'S'));
                let erases =
                    erases || matches!(word.value.as_slice(), b"--erase" | b"--query" | b"--names" | b"--show");
                if erases {
                    self.command.expect = Expect::Rest;
                }
            }
            Expect::Variable | Expect::FishSet => {
                let name = word.value.split(|&byte| byte == b'[').next().unwrap_or_default();
                self.command.variable = found::variable(name);
                self.command.place = place;
                self.command.expect = if self.command.variable.is_some() { Expect::Values } else { Expect::Rest };
            }
            Expect::ReadVariables => {
                if let Some(variable) = found::variable(&word.value) {
                    (self.command.variable, self.command.place) = (Some(variable), place);
                }
            }
            Expect::Values => self.append(b':', &word.value),
            Expect::CodeOption | Expect::Rest => {}
        }
    }

    fn accept_name(&mut self, word: &Word, place: (usize, usize)) {
        if word.is_assignment {
            self.set(&word.value, place);
            return;
        }
        // An expansion may come to nothing, and then what follows it is the name: the rest or the next word.
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
            b"if" | b"then" | b"elif" | b"else" | b"while" | b"until" | b"do" | b"{" | b"}" | b"!" | b"time"
            | b"begin" | b"and" | b"or" | b"not" | b"fi" | b"done"
                if word.is_plain =>
            {
                Expect::Name
            }
            b"function" => Expect::FunctionName,
            b"for" | b"select" | b"foreach" | b"setenv" => Expect::Variable,
            b"export"
            | b"declare"
            | b"typeset"
            | b"readonly"
            | b"local"
            | b"integer"
            | b"float"
            | b"systemctl"
            | b"systemd-run"
            | b"dbus-update-activation-environment" => Expect::Assignments,
            b"env" | b"sudo" | b"doas" | b"command" | b"builtin" | b"exec" | b"nohup" | b"nice" | b"noglob"
            | b"setsid" | b"nocorrect" | b"busybox" => Expect::NameOrOption,
            b"eval" => Expect::Code,
            b"alias" | b"trap" => Expect::CodeWord,
            b"sh" | b"bash" | b"zsh" | b"dash" | b"ksh" | b"su" | b"runuser" | b"fish" => Expect::CodeOption,
            b"printf" | b"print" => Expect::PrintfOption,
            b"read" => Expect::ReadVariables,
            b"set" if self.dialect == Dialect::Fish => Expect::FishSet,
            _ => Expect::Rest,
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

    fn set(&mut self, text: &[u8], place: (usize, usize)) {
        let place = self.place(place);
        self.found.assignment(text, place);
    }

    fn evaluate(&mut self, code: &[u8], place: (usize, usize)) {
        let place = self.place(place);
        nested(code, place, self.dialect, self.depth + 1, self.found);
    }

    fn end_command(&mut self) {
        let command = std::mem::take(&mut self.command);
        if command.expect == Expect::Code {
            self.evaluate(&command.text, command.place);
        }
        if let Some(variable) = command.variable {
            let value = if command.expect == Expect::ReadVariables { &command.input } else { &command.text };
            // `for VAR in a b`, `printf -v VAR %s a`.
            let value = value.strip_prefix(b"in:").or(value.strip_prefix(b"%s:")).unwrap_or(value);
            let place = self.place(command.place);
            self.found.set(variable.as_bytes(), value, place);
        }
    }
}

fn is_assignment(text: &[u8]) -> bool {
    found::assignment(text).is_some_and(|(name, _)| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    })
}

fn is_operator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>')
}
