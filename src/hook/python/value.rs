//! What is known of a Python value without running anything.

use std::rc::Rc;

/// Where a value comes from, as far as that matters. A set of bits.
pub type Taint = u16;
/// Came out of a decoder or decompressor.
pub const DECODED: Taint = 1;
/// Came from the network.
pub const NETWORK: Taint = 2;
/// Put together from character codes, reversed, translated or the like.
pub const CRYPTIC: Taint = 4;
/// Came from a file.
pub const FILE: Taint = 8;
/// Came from an environment variable.
pub const ENVIRON: Taint = 16;
/// Put together from pieces that break words.
pub const PIECED: Taint = 32;
/// The whole environment.
pub const WHOLE_ENVIRON: Taint = 64;
/// Typed by the user, or the output of a program.
pub const OUTSIDE: Taint = 128;
/// What makes a text that is run one that was hidden.
pub const HIDDEN: Taint = DECODED | NETWORK | CRYPTIC;

/// Values within values.
const MAX_DEPTH: u8 = 16;

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
    /// A module or what is in it, by its canonical dotted name; builtins without a dot.
    Path(Rc<str>),
    /// A sequence.
    List(Rc<Vec<Value>>),
    /// A mapping.
    Dict(Rc<Vec<(Value, Value)>>),
    /// A method of a known value.
    Method(Rc<(Value, Box<str>)>),
    /// A lambda of a source, with its parameters and the place of its body.
    Lambda(Rc<Lambda>),
    /// A function defined in the source.
    Function(u32),
}

/// A lambda.
#[derive(Debug)]
pub struct Lambda {
    /// Which source.
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
    /// Of this kind, from nowhere.
    pub fn of(kind: Kind) -> Self {
        Self { kind, taint: 0, depth: 0 }
    }

    /// Of which nothing is known but where it comes from.
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

    /// A name.
    pub fn path(path: &str) -> Self {
        Self::of(Kind::Path(path.into()))
    }

    /// A sequence, with what its elements come from.
    pub fn list(items: Vec<Value>) -> Self {
        let taint = items.iter().fold(0, |taint, item| taint | item.taint);
        let depth = items.iter().map(|item| item.depth).max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Self::unknown(taint);
        }
        Self { kind: Kind::List(Rc::new(items)), taint, depth }
    }

    /// A mapping, with what its values come from.
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

    /// The same, from there too.
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

    /// The elements of a sequence; of a text its characters, of bytes their numbers.
    pub fn items(&self, limit: usize) -> Option<Vec<Value>> {
        let items: Option<Vec<Self>> = match &self.kind {
            Kind::List(items) => Some(items.iter().take(limit).cloned().collect()),
            Kind::Binary(bytes) => {
                Some(bytes.iter().take(limit).map(|byte| Self::of(Kind::Integer(i64::from(*byte)))).collect())
            }
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

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown)
    }

    /// One of two, the one of which more is known, with where both come from.
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
