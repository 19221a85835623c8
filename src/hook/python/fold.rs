//! Constants put together as Python would, within the budget.

use super::expression::MAX_ITEMS;
use super::statement::Machine;
use super::value::{self, Kind, Value};
use std::rc::Rc;

/// Longest text that is put together.
const MAX_TEXT: usize = 256 * 1024;

/// A value as `str` shows it.
pub fn shown(value: &Value) -> Option<Vec<u8>> {
    match &value.kind {
        Kind::Text(text) | Kind::Binary(text) => Some(text.to_vec()),
        Kind::Integer(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Whether a word goes on from one piece to the next.
pub fn breaks_word(left: &[u8], right: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    is_word(left.last()) && is_word(right.first())
}

impl Machine<'_, '_> {
    /// Two texts one after the other.
    pub fn concatenate(&mut self, left: Value, right: Value) -> Value {
        let mut taint = left.taint | right.taint;
        let (Some(a), Some(b)) = (left.bytes(), right.bytes()) else { return Value::unknown(taint) };
        if a.len() + b.len() > MAX_TEXT || !self.state.spend((a.len() + b.len()) / 4) {
            return Value::unknown(taint);
        }
        // What nobody breaks in two for the length of a line.
        if breaks_word(a, b) && a.len().min(b.len()) < 12 {
            taint |= value::PIECED;
        }
        let joined: Rc<[u8]> = [&**a, &**b].concat().into();
        Value::of(if matches!(left.kind, Kind::Binary(_)) { Kind::Binary(joined) } else { Kind::Text(joined) })
            .tainted(taint)
    }

    /// Two values with an operator between them.
    pub fn combine(&mut self, operator: &[u8], left: Value, right: Value) -> Value {
        let taint = left.taint | right.taint;
        match (operator, &left.kind, &right.kind) {
            (b"+", Kind::Text(_) | Kind::Binary(_), Kind::Text(_) | Kind::Binary(_)) => {
                let sum = self.concatenate(left, right);
                self.listen(sum)
            }
            (b"+", Kind::List(a), Kind::List(b))
                if a.len() + b.len() <= MAX_ITEMS && self.state.spend(a.len() + b.len()) =>
            {
                Value::list(a.iter().chain(b.iter()).cloned().collect())
            }
            (b"*", Kind::Text(_) | Kind::Binary(_), Kind::Integer(times)) => self.repeat(&left, *times),
            (b"*", Kind::Integer(times), Kind::Text(_) | Kind::Binary(_)) => self.repeat(&right, *times),
            (b"%", Kind::Text(_) | Kind::Binary(_), _) => self.percent(&left, &right),
            (b"/", _, Kind::Text(_)) => {
                let slash = Value::text(&b"/"[..]);
                // The end of a path whose beginning is not known is telling, too.
                let base = if left.bytes().is_some() { left } else { Value::text(&b"~"[..]).tainted(left.taint) };
                let base = self.concatenate(base, slash);
                let path = self.concatenate(base, right);
                self.listen(path)
            }
            (_, Kind::Integer(a), Kind::Integer(b)) => arithmetic(operator, *a, *b)
                .map_or_else(|| Value::unknown(taint), |number| Value::of(Kind::Integer(number)).tainted(taint)),
            (b"or" | b"and", _, _) => left.or(right),
            (b"|", Kind::Dict(_), _) => left.or(right),
            (b"^", _, _) => Value::unknown(taint | value::CRYPTIC),
            (b"in" | b"is" | b"not" | b"<" | b">" | b"<=" | b">=" | b"==" | b"!=" | b"<>", _, _) => Value::unknown(0),
            _ => Value::unknown(taint),
        }
    }

    /// What a text says that was put together.
    fn listen(&mut self, text: Value) -> Value {
        if let Some(bytes) = text.bytes()
            && bytes.len() <= 4096
            && self.state.spend(bytes.len() / 4)
        {
            self.says |= super::text::scan(bytes);
        }
        text
    }

    fn repeat(&mut self, text: &Value, times: i64) -> Value {
        let bytes = text.bytes().map_or(&[][..], |bytes| bytes);
        let times = usize::try_from(times).unwrap_or(0);
        let length = bytes.len().saturating_mul(times);
        if length > MAX_TEXT || !self.state.spend(length) {
            return Value::unknown(text.taint);
        }
        Value::text(bytes.repeat(times)).tainted(text.taint)
    }

    /// `template % values`.
    fn percent(&mut self, template: &Value, values: &Value) -> Value {
        let taint = template.taint | values.taint;
        let mut values_left = match &values.kind {
            Kind::List(items) => items.iter().cloned().collect(),
            _ => vec![values.clone()],
        }
        .into_iter();
        let text = template.bytes().map_or(&[][..], |bytes| bytes);
        let mut out = Vec::new();
        let mut pieced = 0;
        let mut rest = text;
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            if *byte != b'%' {
                out.push(*byte);
                continue;
            }
            let mut key = None;
            if let [b'(', named @ ..] = rest {
                let Some(end) = named.iter().position(|byte| *byte == b')') else { return Value::unknown(taint) };
                key = named.get(..end);
                rest = named.get(end + 1..).unwrap_or_default();
            }
            let flags = rest.iter().take_while(|byte| b"-+ #0123456789.".contains(byte)).count();
            let conversion = rest.get(flags).copied().unwrap_or(b'%');
            rest = rest.get(flags + 1..).unwrap_or_default();
            let value = match key {
                Some(key) => self.item(values, &Value::text(key)),
                None if conversion == b'%' => Value::text(&b"%"[..]),
                None => values_left.next().unwrap_or_else(|| Value::unknown(0)),
            };
            let piece = match (conversion, value.as_integer()) {
                (b'c', Some(code)) => {
                    pieced |= value::CRYPTIC;
                    let mut piece = Vec::new();
                    super::literal::push(&mut piece, u32::try_from(code).unwrap_or(0), true);
                    Some(piece)
                }
                (b'x', Some(number)) => Some(format!("{number:x}").into_bytes()),
                _ => shown(&value),
            };
            let Some(piece) = piece else { return Value::unknown(taint) };
            if !self.state.spend(piece.len()) || out.len() + piece.len() > MAX_TEXT {
                return Value::unknown(taint);
            }
            let at_joint = breaks_word(&out, &piece) || breaks_word(&piece, rest);
            if at_joint && conversion != b'%' {
                pieced |= value::PIECED;
            }
            out.extend(piece);
        }
        Value::text(out).tainted(taint | pieced)
    }

    /// `template.format(...)`.
    pub fn format(&mut self, template: &Value, arguments: &[Value], named: &[(String, Value)]) -> Value {
        let taint =
            arguments.iter().chain(named.iter().map(|(_, value)| value)).fold(template.taint, |t, v| t | v.taint);
        let mut out: Vec<u8> = Vec::new();
        let (mut pieced, mut next) = (0, 0);
        let mut rest: &[u8] = template.bytes().map_or(&[][..], |bytes| bytes);
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            match (byte, tail.first()) {
                (b'{', Some(b'{')) | (b'}', Some(b'}')) => {
                    rest = tail.get(1..).unwrap_or_default();
                    out.push(*byte);
                }
                (b'{', _) => {
                    let Some(end) = tail.iter().take(256).position(|byte| *byte == b'}') else {
                        return Value::unknown(taint);
                    };
                    let field = tail.get(..end).unwrap_or_default();
                    let field = field.split(|byte| matches!(byte, b'!' | b':')).next().unwrap_or_default();
                    let field = String::from_utf8_lossy(field);
                    rest = tail.get(end + 1..).unwrap_or_default();
                    let value = if field.is_empty() {
                        next += 1;
                        arguments.get(next - 1)
                    } else if let Ok(at) = field.parse::<usize>() {
                        arguments.get(at)
                    } else {
                        named.iter().find(|(name, _)| **name == *field).map(|(_, value)| value)
                    };
                    let Some(piece) = value.and_then(shown) else { return Value::unknown(taint) };
                    if !self.state.spend(piece.len()) || out.len() + piece.len() > MAX_TEXT {
                        return Value::unknown(taint);
                    }
                    if breaks_word(&out, &piece) || breaks_word(&piece, rest) {
                        pieced |= value::PIECED;
                    }
                    out.extend(piece);
                }
                _ => out.push(*byte),
            }
        }
        Value::text(out).tainted(taint | pieced)
    }

    /// `separator.join(pieces)`.
    pub fn join(&mut self, separator: &Value, pieces: &Value) -> Value {
        let taint = separator.taint | pieces.taint;
        let Some(items) = pieces.items(MAX_ITEMS) else { return Value::unknown(taint) };
        let (mut out, mut pieced) = (Vec::new(), 0);
        let between = separator.bytes().cloned().unwrap_or_default();
        for (at, item) in items.iter().enumerate() {
            let Some(piece) = item.bytes() else { return Value::unknown(taint) };
            if !self.state.spend(piece.len() + between.len()) || out.len() + piece.len() > MAX_TEXT {
                return Value::unknown(taint);
            }
            if at > 0 {
                out.extend_from_slice(&between);
                if breaks_word(&out, piece) {
                    pieced |= value::PIECED;
                }
            }
            out.extend_from_slice(piece);
        }
        let kind =
            if matches!(separator.kind, Kind::Binary(_)) { Kind::Binary(out.into()) } else { Kind::Text(out.into()) };
        Value::of(kind).tainted(taint | pieced)
    }

    /// `value[from:to:step]`.
    pub fn slice(&mut self, value: &Value, from: Option<i64>, to: Option<i64>, step: Option<i64>) -> Option<Value> {
        let step = step.unwrap_or(1);
        if step == 0 {
            return None;
        }
        let length = match &value.kind {
            Kind::List(items) => items.len(),
            // Characters and bytes are the same thing here as long as all are ASCII.
            Kind::Text(text) if text.is_ascii() => text.len(),
            Kind::Binary(bytes) => bytes.len(),
            _ => return None,
        };
        if !self.state.spend(length) {
            return None;
        }
        let end = i64::try_from(length).ok()?;
        let clamp = |at: Option<i64>, default: i64, low: i64, high: i64| match at {
            None => default,
            Some(at) if at < 0 => (at.saturating_add(end)).clamp(low, high),
            Some(at) => at.clamp(low, high),
        };
        let (mut at, stop) = if step > 0 {
            (clamp(from, 0, 0, end), clamp(to, end, 0, end))
        } else {
            (clamp(from, end - 1, -1, end - 1), clamp(to, -1, -1, end - 1))
        };
        let mut chosen = Vec::new();
        while (step > 0 && at < stop) || (step < 0 && at > stop) {
            chosen.push(usize::try_from(at).ok()?);
            at = at.saturating_add(step);
        }
        let pick = |bytes: &[u8]| chosen.iter().filter_map(|at| bytes.get(*at).copied()).collect::<Rc<[u8]>>();
        let kind = match &value.kind {
            Kind::List(items) => {
                return Some(
                    Value::list(chosen.iter().filter_map(|at| items.get(*at).cloned()).collect()).tainted(value.taint),
                );
            }
            Kind::Text(text) => Kind::Text(pick(text)),
            Kind::Binary(bytes) => Kind::Binary(pick(bytes)),
            _ => return None,
        };
        Some(Value::of(kind).tainted(value.taint))
    }

    /// `value[key]`.
    pub fn item(&mut self, value: &Value, key: &Value) -> Value {
        let taint = value.taint | key.taint & (value::PIECED | value::HIDDEN);
        match (&value.kind, &key.kind) {
            (Kind::List(items), Kind::Integer(at)) => {
                let at = if *at < 0 { at + i64::try_from(items.len()).unwrap_or(0) } else { *at };
                let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                item.cloned().unwrap_or_else(|| Value::unknown(taint)).tainted(key.taint)
            }
            (Kind::Text(_) | Kind::Binary(_), Kind::Integer(at)) => {
                let one = self.slice(value, Some(*at), if *at == -1 { None } else { Some(at.saturating_add(1)) }, None);
                let one = one.unwrap_or_else(|| Value::unknown(taint));
                match &one.kind {
                    Kind::Binary(bytes) => bytes.first().map_or_else(
                        || Value::unknown(taint),
                        |byte| Value::of(Kind::Integer(i64::from(*byte))).tainted(taint),
                    ),
                    _ => one.tainted(value::PIECED),
                }
            }
            (Kind::Dict(pairs), _) => {
                let Some(name) = key.bytes() else {
                    return super::statement::representative(&self.values(value)).tainted(taint);
                };
                if !self.state.spend(pairs.len()) {
                    return Value::unknown(taint);
                }
                let found = pairs.iter().find(|(known, _)| known.bytes().is_some_and(|known| known == name));
                found.map_or_else(|| Value::unknown(taint), |(_, value)| value.clone()).tainted(key.taint)
            }
            (Kind::Path(path), _) => {
                let Some(name) = key.as_str() else { return Value::unknown(taint) };
                let name = name.to_owned();
                let found = match &**path {
                    "sys.modules" => Value::path(&super::call::canonical(&name)),
                    "globals()" => self.global(&name),
                    "os.environ" => Value::unknown(value::ENVIRON),
                    _ => self.attribute(value, &name),
                };
                let found = found.tainted(key.taint & (value::PIECED | value::HIDDEN));
                self.reached(&found);
                found
            }
            (Kind::Unknown, _) => {
                let field = key.as_str().and_then(|key| self.state.lookup(&[], &format!(".{key}")).cloned());
                field.unwrap_or_else(|| Value::unknown(0)).tainted(taint)
            }
            _ => Value::unknown(taint),
        }
    }

    /// The numbers of `range`.
    pub fn range(&mut self, arguments: &[Value]) -> Value {
        let numbers: Option<Vec<i64>> = arguments.iter().map(Value::as_integer).collect();
        let (from, to, step) = match numbers.as_deref() {
            Some([to]) => (0, *to, 1),
            Some([from, to]) => (*from, *to, 1),
            Some([from, to, step]) if *step != 0 => (*from, *to, *step),
            _ => return Value::unknown(0),
        };
        if self.state.fuel < 4 * 4096 {
            return Value::unknown(0);
        }
        let mut items = Vec::new();
        let mut at = from;
        while items.len() < 4096 && (step > 0 && at < to || step < 0 && at > to) {
            items.push(Value::of(Kind::Integer(at)));
            at = at.saturating_add(step);
        }
        if self.state.spend(items.len() * 4) { Value::list(items) } else { Value::unknown(0) }
    }

    /// The values of a mapping as a sequence.
    pub fn values(&self, mapping: &Value) -> Value {
        match &mapping.kind {
            Kind::Dict(pairs) => Value::list(pairs.iter().take(256).map(|(_, value)| value.clone()).collect()),
            _ => mapping.clone(),
        }
    }

    fn global(&mut self, name: &str) -> Value {
        let known = self.state.lookup(&[], name).cloned();
        known.unwrap_or_else(|| {
            if name == "__builtins__" {
                Value::path("builtins")
            } else if super::names::is_builtin(name) || super::names::is_core_module(name) {
                Value::path(name)
            } else {
                Value::unknown(0)
            }
        })
    }
}

fn arithmetic(operator: &[u8], a: i64, b: i64) -> Option<i64> {
    match operator {
        b"+" => a.checked_add(b),
        b"-" => a.checked_sub(b),
        b"*" => a.checked_mul(b),
        b"//" | b"/" => a.checked_div_euclid(b),
        b"%" => a.checked_rem_euclid(b),
        b"^" => Some(a ^ b),
        b"&" => Some(a & b),
        b"|" => Some(a | b),
        b"<<" => u32::try_from(b).ok().filter(|b| *b < 62).and_then(|b| a.checked_mul(1 << b)),
        b">>" => u32::try_from(b).ok().and_then(|b| a.checked_shr(b)),
        b"**" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        _ => None,
    }
}
