//! What is known of a Python value, and where it comes from, without running anything.

use std::rc::Rc;

/// Where a value comes from: a set of the constants below.
pub type Taint = u16;
/// Output of a decoder or decompressor.
pub const DECODED: Taint = 1;
/// Read from the network.
pub const NETWORK: Taint = 2;
/// Made from character codes, or by reversal or translation.
pub const CRYPTIC: Taint = 4;
/// Read from a file.
pub const FILE: Taint = 8;
/// Read from an environment variable.
pub const ENVIRON: Taint = 16;
/// Joined from pieces of words.
pub const PIECED: Taint = 32;
/// The whole environment.
pub const WHOLE_ENVIRON: Taint = 64;
/// User input, or the output of a program.
pub const OUTSIDE: Taint = 128;
/// Origins that hide code which then runs.
pub const HIDDEN: Taint = DECODED | NETWORK | CRYPTIC;

/// Values within values.
const MAX_DEPTH: u8 = 16;
/// Elements kept of a sequence.
pub const MAX_ITEMS: usize = 1 << 16;
/// Elements searched for the representative one.
const REPRESENTATIVE_OF: usize = 32;

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Not known.
    Unknown,
    /// A `str`, as UTF-8.
    Text(Rc<[u8]>),
    /// A `bytes`.
    Binary(Rc<[u8]>),
    /// An `int`.
    Integer(i64),
    /// A module or a name in it, canonical and dotted; builtins without a dot.
    Path(Rc<str>),
    /// A sequence.
    List(Rc<Vec<Value>>),
    /// A mapping.
    Dict(Rc<Vec<(Value, Value)>>),
    /// A method of a known value.
    Method(Rc<(Value, Box<str>)>),
    /// A lambda of one of the sources.
    Lambda(Rc<Lambda>),
    /// A function defined in the source.
    Function(u32),
}

/// A lambda.
#[derive(Debug)]
pub struct Lambda {
    /// The number of the source.
    pub source: u32,
    /// Where its body begins.
    pub body: usize,
    /// Its parameters.
    pub parameters: Vec<Box<str>>,
}

/// A value.
#[derive(Clone, Debug)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it comes from.
    pub taint: Taint,
    depth: u8,
}

impl Value {
    /// A value of which nothing is known.
    pub const UNKNOWN: Self = Self { kind: Kind::Unknown, taint: 0, depth: 0 };

    /// A value of this kind with no taint.
    pub fn of(kind: Kind) -> Self {
        Self { kind, taint: 0, depth: 0 }
    }

    /// A value of which only the origin is known.
    pub fn unknown(taint: Taint) -> Self {
        Self { kind: Kind::Unknown, taint, depth: 0 }
    }

    /// A `str`.
    pub fn text(text: impl Into<Rc<[u8]>>) -> Self {
        Self::of(Kind::Text(text.into()))
    }

    /// A `bytes`.
    pub fn binary(bytes: impl Into<Rc<[u8]>>) -> Self {
        Self::of(Kind::Binary(bytes.into()))
    }

    /// An `int`.
    pub fn integer(number: i64) -> Self {
        Self::of(Kind::Integer(number))
    }

    /// A name of the library.
    pub fn path(path: &str) -> Self {
        Self::of(Kind::Path(path.into()))
    }

    /// A sequence with the taint of its elements.
    pub fn list(items: Vec<Value>) -> Self {
        let taint = items.iter().fold(0, |taint, item| taint | item.taint);
        let depth = items.iter().map(|item| item.depth).max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Self::unknown(taint);
        }
        Self { kind: Kind::List(Rc::new(items)), taint, depth }
    }

    /// A mapping with the taint of its values.
    pub fn dict(items: Vec<(Value, Value)>) -> Self {
        let taint = items.iter().fold(0, |taint, (_, item)| taint | item.taint);
        let depth = items.iter().map(|(key, item)| key.depth.max(item.depth)).max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Self::unknown(taint);
        }
        Self { kind: Kind::Dict(Rc::new(items)), taint, depth }
    }

    /// A method of a value.
    pub fn method(of: Value, name: &str) -> Self {
        let (taint, depth) = (of.taint, of.depth + 1);
        if depth > MAX_DEPTH {
            return Self::unknown(taint);
        }
        Self { kind: Kind::Method(Rc::new((of, name.into()))), taint, depth }
    }

    /// The same value with more taint.
    #[must_use]
    pub fn tainted(mut self, taint: Taint) -> Self {
        self.taint |= taint;
        self
    }

    /// The characters of a `str` or the bytes of a `bytes`.
    pub fn bytes(&self) -> Option<&Rc<[u8]>> {
        match &self.kind {
            Kind::Text(text) | Kind::Binary(text) => Some(text),
            _ => None,
        }
    }

    /// The text, when it is one and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The dotted name.
    pub fn as_path(&self) -> Option<&str> {
        match &self.kind {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The number.
    pub fn as_integer(&self) -> Option<i64> {
        match self.kind {
            Kind::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// The first elements: of a text its characters, of bytes their numbers, of a mapping its keys.
    pub fn items(&self, limit: usize) -> Option<Vec<Value>> {
        let items: Option<Vec<Self>> = match &self.kind {
            Kind::List(items) => Some(items.iter().take(limit).cloned().collect()),
            Kind::Binary(bytes) => Some(bytes.iter().take(limit).map(|byte| Self::integer(i64::from(*byte))).collect()),
            Kind::Text(text) => {
                let text = std::str::from_utf8(text).ok()?;
                let mut buffer = [0; 4];
                Some(text.chars().take(limit).map(|c| Self::text(c.encode_utf8(&mut buffer).as_bytes())).collect())
            }
            Kind::Dict(items) => Some(items.iter().take(limit).map(|(key, _)| key.clone()).collect()),
            _ => None,
        };
        items.map(|items| items.into_iter().map(|item| item.tainted(self.taint)).collect())
    }

    /// A representative element: a function or module if there is one, else the first.
    pub fn representative(&self) -> Value {
        let items = self.items(REPRESENTATIVE_OF).unwrap_or_default();
        let callable = |item: &&Self| matches!(item.kind, Kind::Path(_) | Kind::Lambda(_) | Kind::Function(_));
        let chosen = items.iter().find(callable).or(items.first()).cloned();
        chosen.unwrap_or_else(|| Self::unknown(0)).tainted(self.taint)
    }

    /// The representative of a sequence, and any other value itself.
    pub fn representative_or_self(&self) -> Value {
        if matches!(self.kind, Kind::List(_)) { self.representative() } else { self.clone() }
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown)
    }

    /// The one of two values that is known better, with the taint of both.
    #[must_use]
    pub fn or(self, other: Value) -> Value {
        let taint = self.taint | other.taint;
        let better = match (&self.kind, &other.kind) {
            (Kind::Unknown, _) => other,
            (Kind::Text(_) | Kind::Integer(_), Kind::Path(_) | Kind::Lambda(_) | Kind::Function(_)) => other,
            _ => self,
        };
        better.tainted(taint)
    }
}
