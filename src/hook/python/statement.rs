//! Statements: imports, assignments, definitions, and where each logical line begins and ends.

use super::expression::Place;
use super::names;
use super::state::{BEYOND, HOSTILE, MILD, STRONG, State};
use super::text;
use super::token::{Kind as T, Lexer, Token};
use super::value::{Kind, Value};
use crate::event::Signal;

/// The reader of one source.
pub struct Machine<'a, 's> {
    /// What is gathered.
    pub state: &'s mut State,
    /// The source.
    pub source: &'a [u8],
    /// Its number: 0 is the file itself.
    pub number: u32,
    /// Its tokens.
    pub lexer: Lexer<'a>,
    /// The next token.
    pub token: Token<'a>,
    /// Where it stops: the end of the token before.
    pub before: usize,
    /// The functions the reader is in, each with the column of its `def`.
    scopes: Vec<(usize, u32)>,
    /// The numbers of the functions, the innermost last.
    pub scope: Vec<u32>,
    /// What the strings of this statement say.
    pub says: u32,
    /// Where the value of the expression just read could be bound.
    pub place: Option<Place>,
}

/// Functions within functions.
const MAX_SCOPES: usize = 24;

impl<'a, 's> Machine<'a, 's> {
    /// A reader at the beginning.
    pub fn new(state: &'s mut State, source: &'a [u8], number: u32) -> Self {
        let mut lexer = Lexer::new(source);
        let token = lexer.next();
        let (scopes, scope) = (Vec::new(), Vec::new());
        Self { state, source, number, lexer, token, before: 0, scopes, scope, says: 0, place: None }
    }

    /// Reads all of it.
    pub fn run(&mut self) {
        while self.token.kind != T::End {
            if self.token.kind == T::Newline {
                self.advance();
                continue;
            }
            let start = self.token.start;
            if self.number == 0 {
                self.state.begin_line(start);
            }
            let is_docstring = self.logical_line();
            if self.number == 0 && !is_docstring {
                self.state.end_line(self.before.max(start));
            }
        }
        if self.lexer.broken {
            self.state.signals.insert(Signal::SyntaxError);
        }
    }

    /// The next token becomes the present one.
    pub fn advance(&mut self) {
        self.before = self.token.start + self.token.text.len();
        if self.state.replays > 0 && !self.state.spend(24) {
            let start = self.token.start;
            self.token = Token { kind: T::End, text: b"", start, raw: false, bytes: false, column: None };
            return;
        }
        self.token = self.lexer.next();
        if self.state.level == 0 {
            self.state.at = self.token.start;
        }
    }

    /// Whether the present token is this operator.
    pub fn is(&self, operator: &[u8]) -> bool {
        self.token.kind == T::Operator && self.token.text == operator
    }

    /// Whether the present token is this word.
    pub fn is_word(&self, word: &str) -> bool {
        self.token.kind == T::Name && self.token.text == word.as_bytes()
    }

    /// Goes on if the present token is this operator.
    pub fn accept(&mut self, operator: &[u8]) -> bool {
        let is = self.is(operator);
        if is {
            self.advance();
        }
        is
    }

    /// Goes on if the present token is this word.
    pub fn accept_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.advance();
        }
        is
    }

    /// The present name, as Python reads it.
    pub fn name(&mut self) -> Option<String> {
        if self.token.kind != T::Name {
            return None;
        }
        let text = self.token.text;
        let name = String::from_utf8_lossy(text.get(..256).unwrap_or(text)).into_owned();
        let folded = super::unicode::fold(&name);
        if let Some(folded) = &folded {
            let grade = if names::is_builtin(folded) || names::is_core_module(folded) { HOSTILE } else { STRONG };
            self.state.hit(Signal::Obfuscated, grade);
        }
        self.advance();
        Some(folded.unwrap_or(name))
    }

    /// Up to the end of the logical line. True when it is only a string.
    fn logical_line(&mut self) -> bool {
        if let Some(column) = self.token.column {
            while self.scopes.last().is_some_and(|(of_def, _)| *of_def >= column) {
                self.scopes.pop();
                self.scope.pop();
            }
        }
        let column = self.token.column.unwrap_or(usize::MAX);
        let mut only_text = true;
        loop {
            match self.token.kind {
                T::Newline => {
                    self.advance();
                    return only_text;
                }
                T::End => return only_text,
                _ => {}
            }
            let start = self.token.start;
            let is_text = self.token.kind == T::Text;
            let is_pass = self.is_word("pass");
            self.says = 0;
            self.place = None;
            self.statement(column);
            let ended = matches!(self.token.kind, T::Newline | T::End) || self.is(b";");
            // A string alone is documentation: what it says is not what the code does.
            if is_text && ended && self.only_strings(start) {
                self.says = 0;
            } else {
                only_text = false;
                self.state.runs |= !is_pass;
                let says = std::mem::take(&mut self.says);
                self.state.mention(says);
            }
            if self.token.start == start && self.token.kind != T::End {
                self.advance();
            }
            self.accept(b";");
        }
    }

    /// Whether from here to the present token there is nothing but a string.
    fn only_strings(&self, start: usize) -> bool {
        let text = self.source.get(start..self.token.start).unwrap_or_default();
        let mut lexer = Lexer::new(text.get(..4096).unwrap_or(text));
        let _first = lexer.next();
        text.len() > 4096 || matches!(lexer.next().kind, T::Newline | T::End | T::Text) || lexer.broken
    }

    fn statement(&mut self, column: usize) {
        if self.token.kind == T::Operator && self.accept(b"@") {
            let decorator = self.expression(0);
            if let Some(effect) = decorator.as_path().and_then(|path| names::effect(path, false)) {
                self.state.effect(effect);
                self.state.hit(Signal::Obfuscated, HOSTILE);
            }
            return;
        }
        let word = if self.token.kind == T::Name { self.token.text } else { b"" };
        match word {
            b"import" => self.import(),
            b"from" => self.import_from(),
            b"def" => self.definition(column),
            b"async" => self.advance(),
            b"class" => self.class(),
            b"for" => {
                self.advance();
                self.for_clause(1);
                self.accept(b":");
            }
            b"with" => self.with(),
            b"return" => {
                self.advance();
                let value = self.expressions();
                let function = self.scope.last().copied().unwrap_or(0);
                if function != 0 {
                    self.state.remember(function, value);
                }
            }
            b"global" | b"nonlocal" => {
                self.advance();
                while let Some(name) = self.name() {
                    if let Some(scope) = self.scope.last().copied() {
                        self.state.redirect(scope, &name);
                    }
                    self.accept(b",");
                }
            }
            b"if" | b"elif" | b"while" | b"assert" | b"raise" | b"del" | b"else" | b"try" | b"finally" | b"pass"
            | b"break" | b"continue" => {
                self.advance();
                if !self.is(b":") && !matches!(self.token.kind, T::Newline | T::End) && !self.is(b";") {
                    self.expressions();
                }
                self.accept(b":");
            }
            b"except" => {
                self.advance();
                self.accept(b"*");
                if !self.is(b":") {
                    self.expressions();
                    if self.accept_word("as") {
                        self.name();
                    }
                }
                self.accept(b":");
            }
            b"exec" => self.python2_exec(),
            b"print" => {
                self.advance();
                self.accept(b">>");
                self.expressions();
            }
            _ => self.assignment(),
        }
    }

    /// `exec code` of Python 2, or the function.
    fn python2_exec(&mut self) {
        let mut ahead = self.lexer.clone();
        let next = ahead.next();
        let is_code = matches!(next.kind, T::Text | T::FormatStart | T::Name | T::Number);
        let is_word = next.kind == T::Name && matches!(next.text, b"in" | b"if" | b"and" | b"or" | b"is");
        if !is_code || is_word {
            return self.assignment();
        }
        self.advance();
        let code = self.expression(5);
        self.execute("exec", &code);
        if self.accept_word("in") {
            self.expressions();
        }
    }

    fn assignment(&mut self) {
        let mut value = self.expressions();
        let mut places = Vec::new();
        let mut place = self.place.take();
        if self.accept(b":") {
            // An annotation; or the colon of a word that is no keyword everywhere (`match`, `case`).
            self.expression(0);
            if !self.is(b"=") {
                return;
            }
        }
        if self.token.kind == T::Operator
            && let [operator @ .., b'='] = self.token.text
            && !operator.is_empty()
            && !matches!(self.token.text, b"==" | b"!=" | b"<=" | b">=" | b":=")
        {
            self.advance();
            let other = self.expressions();
            let sum = self.combine(operator, value, other);
            if let Some(place) = place {
                self.bind(place, sum);
            }
            return;
        }
        while self.accept(b"=") {
            places.extend(place.take());
            self.place = None;
            value = self.expressions();
            place = self.place.take();
        }
        for place in places {
            self.bind(place, value.clone());
        }
    }

    /// Binds a place to a value.
    pub fn bind(&mut self, place: Place, value: Value) {
        match place {
            Place::Name(name) => {
                let scope = self.scope.last().copied().unwrap_or(0);
                self.state.bind(scope, &name, value);
            }
            Place::Attribute(base, name) => {
                if matches!(base.as_path(), Some("sys" | "builtins" | "os")) {
                    self.state.hit(Signal::ImportHook, super::state::NEUTRAL);
                }
                self.state.bind(0, &format!(".{name}"), value);
            }
            Place::Item(base, key) => {
                let Some(key) = key.as_str() else { return };
                match base.as_path() {
                    Some("globals()" | "builtins") => self.state.bind(0, key, value),
                    Some("sys.modules") => self.state.hit(Signal::ImportHook, super::state::NEUTRAL),
                    Some("os.environ") if text::scan(key.as_bytes()) & text::LOADER_VARIABLE != 0 => {
                        self.state.hit(Signal::Persistence, MILD);
                    }
                    Some(_) => {}
                    None => self.state.bind(0, &format!(".{key}"), value),
                }
            }
            Place::Many(places) => {
                let items = value.items(places.len());
                for (at, place) in places.into_iter().enumerate() {
                    let item = items.as_ref().and_then(|items| items.get(at).cloned());
                    self.bind(place, item.unwrap_or_else(|| Value::unknown(value.taint)));
                }
            }
        }
    }

    fn bind_name(&mut self, name: &str, value: Value) {
        self.bind(Place::Name(name.to_owned()), value);
    }

    /// A dotted name, with the dots of a relative import before it.
    fn dotted(&mut self) -> (String, bool) {
        let mut relative = false;
        while self.is(b".") {
            relative = true;
            self.advance();
        }
        let mut name = String::new();
        if self.is_word("import") {
            return (name, relative);
        }
        while let Some(part) = self.name() {
            if name.len() < 256 {
                name.push_str(&part);
            }
            if !self.accept(b".") {
                break;
            }
            name.push('.');
        }
        (name, relative)
    }

    fn import(&mut self) {
        self.advance();
        loop {
            let (module, _) = self.dotted();
            if module.is_empty() {
                return;
            }
            self.imported(&module);
            if self.accept_word("as") {
                if let Some(name) = self.name() {
                    self.bind_name(&name, Value::path(&super::call::canonical(&module)));
                }
            } else {
                let top = module.split('.').next().unwrap_or_default();
                self.bind_name(top, Value::path(&super::call::canonical(top)));
            }
            if !self.accept(b",") {
                return;
            }
        }
    }

    /// What the import of a module alone says.
    pub fn imported(&mut self, module: &str) {
        self.state.import(module);
        if module.split('.').next() == Some("antigravity") {
            self.state.hit(Signal::Spawn, STRONG);
        }
        if self.state.is_line()
            && let Some(effect) = names::import_says(module)
        {
            self.state.effect(effect);
        }
    }

    fn import_from(&mut self) {
        self.advance();
        let (module, relative) = self.dotted();
        if !self.accept_word("import") {
            return;
        }
        if !relative {
            self.imported(&module);
        }
        let module = super::call::canonical(&module);
        let bracket = self.accept(b"(");
        if self.accept(b"*") {
            if !relative && self.state.stars.len() < 16 && !self.state.stars.iter().any(|star| **star == *module) {
                self.state.stars.push(module.as_str().into());
            }
            return;
        }
        while let Some(name) = self.name() {
            let alias = if self.accept_word("as") { self.name() } else { None };
            let value = if relative {
                Value::unknown(0)
            } else {
                let value = self.attribute(&Value::path(&module), &name);
                if value.is_unknown() { Value::path(&format!("{module}.{name}")) } else { value }
            };
            self.bind_name(alias.as_ref().unwrap_or(&name), value);
            if !self.accept(b",") {
                break;
            }
        }
        if bracket {
            self.accept(b")");
        }
    }

    fn definition(&mut self, column: usize) {
        let place = self.token.start;
        self.advance();
        let Some(name) = self.name() else { return };
        let number = self.state.function_at(self.number, place);
        let function = Value::of(Kind::Function(number));
        if !names::is_builtin(&name) {
            self.state.bind(0, &format!(".{name}"), function.clone());
            self.bind_name(&name, function);
        }
        // Parameters of types (3.12).
        if self.is(b"[") {
            self.expression(0);
        }
        let entered = self.scopes.len() < MAX_SCOPES && number != 0;
        if !entered {
            self.state.hit(Signal::Obfuscated, BEYOND);
        }
        if entered {
            self.scopes.push((column, number));
            self.scope.push(number);
        }
        if self.accept(b"(") {
            let parameters = self.parameters(b")");
            if let Some(function) = self.state.functions.get_mut(usize::try_from(number).unwrap_or(0)) {
                function.parameters = parameters;
            }
            self.accept(b")");
        }
        if self.accept(b"->") {
            self.expression(0);
        }
        self.accept(b":");
    }

    /// Parameters with their defaults, up to this operator.
    pub fn parameters(&mut self, end: &[u8]) -> Vec<Box<str>> {
        let mut parameters = Vec::new();
        while !self.is(end) && !matches!(self.token.kind, T::Newline | T::End) {
            if self.accept(b"*") || self.accept(b"**") || self.accept(b"/") || self.accept(b",") {
                continue;
            }
            let Some(name) = self.name() else {
                if self.accept(b"(") || self.accept(b")") {
                    continue;
                }
                break;
            };
            if end != b":" && self.accept(b":") {
                self.expression(0);
            }
            if self.accept(b"=") {
                let value = self.expression(0);
                self.bind_name(&name, value);
            } else if self.state.lookup(&self.scope, &name).is_none() || end != b":" && self.hides_outer(&name) {
                self.bind_name(&name, Value::unknown(0));
            }
            if parameters.len() < 64 {
                parameters.push(name.into());
            }
        }
        parameters
    }

    /// Whether a name is known, but not in this scope.
    fn hides_outer(&self, name: &str) -> bool {
        let innermost = self.scope.last().map_or(&[][..], std::slice::from_ref);
        let outer = self.state.lookup(&[], name);
        match (self.state.lookup(innermost, name), outer) {
            (Some(inner), Some(outer)) => std::ptr::eq(inner, outer),
            _ => false,
        }
    }

    fn class(&mut self) {
        self.advance();
        self.name();
        if self.is(b"[") {
            self.expression(0);
        }
        if self.accept(b"(") {
            self.arguments();
        }
        self.accept(b":");
    }

    /// `for` and what follows up to the end of the iterable, behind the word; binds the targets and gives
    /// them with the iterable.
    pub fn for_clause(&mut self, level: u8) -> (Option<Place>, Value) {
        let targets = self.targets();
        if !self.accept_word("in") {
            return (None, Value::unknown(0));
        }
        let mut iterable = self.expression(level);
        if level == 1 && self.is(b",") {
            let mut items = vec![iterable];
            while self.accept(b",") {
                items.push(self.expression(level));
            }
            iterable = Value::list(items);
        }
        let first = representative(&iterable);
        if let Some(place) = targets.clone() {
            self.bind(place, first);
        }
        (targets, iterable)
    }

    fn targets(&mut self) -> Option<Place> {
        let mut places = Vec::new();
        let mut many = false;
        loop {
            self.place = None;
            self.expression(5);
            places.extend(self.place.take());
            if !self.accept(b",") || self.is_word("in") {
                break;
            }
            many = true;
        }
        if many { Some(Place::Many(places)) } else { places.pop() }
    }

    fn with(&mut self) {
        self.advance();
        let bracket = self.accept(b"(");
        loop {
            let value = self.expression(0);
            if self.accept_word("as") {
                self.place = None;
                self.expression(5);
                if let Some(place) = self.place.take() {
                    self.bind(place, value);
                }
            }
            if !self.accept(b",") {
                break;
            }
        }
        if bracket {
            self.accept(b")");
            if self.accept_word("as") {
                self.place = None;
                self.expression(5);
            }
        }
        self.accept(b":");
    }
}

/// One element that stands for all, and where all come from.
pub fn representative(iterable: &Value) -> Value {
    let items = iterable.items(32).unwrap_or_default();
    let telling = items.iter().find(|item| matches!(item.kind, Kind::Path(_) | Kind::Lambda(_) | Kind::Function(_)));
    let first = telling.or(items.first()).cloned();
    first.unwrap_or_else(|| Value::unknown(0)).tainted(iterable.taint)
}
