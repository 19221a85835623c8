//! Methods of values: of texts what they give back, of others what calling them says.

use super::decode;
use super::names::Effect;
use super::state::{HOSTILE, mark};
use super::statement::Machine;
use super::value::{self, Kind, Value};
use crate::event::Signal;

impl Machine<'_, '_> {
    /// A method of a value.
    pub fn method(
        &mut self,
        of: &Value,
        name: &str,
        arguments: &[Value],
        named: &[(String, Value)],
        taint: value::Taint,
    ) -> Value {
        let all = of.taint | taint;
        let one = arguments.first();
        match name {
            "write" | "write_bytes" | "write_text" | "writelines" => {
                if taint & (value::NETWORK | value::DECODED) != 0 {
                    self.state.marks |= mark::WRITES_FETCHED;
                }
                if name != "write" && of.bytes().is_some() {
                    self.written(std::slice::from_ref(of));
                }
                return Value::unknown(0);
            }
            "open" if of.bytes().is_some() => return self.opened(of, one, named),
            "read_text" | "read_bytes" => return Value::unknown(all | value::FILE),
            "expanduser" | "resolve" | "absolute" => return of.clone(),
            "load_module" | "import_module" if one.is_some() && of.as_path().is_none() => {
                let name = one.cloned().unwrap_or_else(|| Value::unknown(0));
                if name.bytes().is_some() {
                    return self.import_call(&name);
                }
            }
            "exec_module" if of.taint & value::HIDDEN != 0 => self.state.hit(Signal::ExecuteDecoded, HOSTILE),
            "to_bytes" => {
                let length = one
                    .and_then(Value::as_integer)
                    .and_then(|length| usize::try_from(length).ok())
                    .filter(|length| *length <= 8);
                let little = arguments.get(1).and_then(Value::as_str) == Some("little");
                if let (Some(number), Some(length)) = (of.as_integer(), length) {
                    let mut bytes = number.to_be_bytes().get(8 - length..).unwrap_or_default().to_vec();
                    if little {
                        bytes.reverse();
                    }
                    return Value::binary(bytes).tainted(all | value::CRYPTIC);
                }
                return Value::unknown(all | value::CRYPTIC);
            }
            "append" | "extend" | "update" | "add" | "insert" => return Value::unknown(0),
            "values" | "get" | "pop" | "items" | "keys" if matches!(of.kind, Kind::Dict(_)) => {
                return match (name, one) {
                    ("get" | "pop", Some(key)) => self.item(of, key),
                    _ => self.values(of),
                };
            }
            "__getitem__" => return one.map_or_else(|| Value::unknown(all), |key| self.item(of, key)),
            "__getattribute__" => return self.getattr(of, one, None),
            _ => {}
        }
        if of.bytes().is_none() {
            if name == "decode"
                && let Some(codec) = one.and_then(Value::as_str)
                && decode::by_codec(codec, b"").is_some()
            {
                self.state.effect(Effect::Decode);
                return Value::unknown(all | value::DECODED);
            }
            let cryptic = if matches!(name, "translate" | "to_bytes") { value::CRYPTIC } else { 0 };
            return Value::unknown(all | cryptic);
        }
        self.text_method(of, name, arguments, named, all)
    }

    /// A method of a text.
    fn text_method(
        &mut self,
        of: &Value,
        name: &str,
        arguments: &[Value],
        named: &[(String, Value)],
        all: value::Taint,
    ) -> Value {
        let Some(text) = of.bytes().cloned() else { return Value::unknown(all) };
        if !self.state.spend(text.len()) {
            return Value::unknown(all);
        }
        let one = arguments.first();
        let same = |bytes: Vec<u8>| match of.kind {
            Kind::Binary(_) => Value::binary(bytes).tainted(all),
            _ => Value::text(bytes).tainted(all),
        };
        match name {
            "join" => one.map_or_else(|| Value::unknown(all), |pieces| self.join(of, pieces)),
            "format" => self.format(of, arguments, named),
            "decode" | "encode" => {
                let codec =
                    one.or_else(|| named.first().map(|(_, value)| value)).and_then(Value::as_str).unwrap_or("utf-8");
                match decode::by_codec(codec, &text) {
                    Some(out) => {
                        self.state.effect(Effect::Decode);
                        self.hidden(out, all)
                    }
                    None if name == "decode" => Value::text(text).tainted(all),
                    None => Value::binary(text).tainted(all),
                }
            }
            "replace" => match (one.and_then(Value::bytes), arguments.get(1).and_then(Value::bytes)) {
                (Some(from), Some(to)) if !from.is_empty() && text.len() * (to.len() + 1) < 1 << 20 => {
                    let mut out = Vec::with_capacity(text.len());
                    let mut rest: &[u8] = &text;
                    while let Some((byte, tail)) = rest.split_first() {
                        if rest.starts_with(from) {
                            out.extend_from_slice(to);
                            rest = rest.get(from.len()..).unwrap_or_default();
                        } else {
                            out.push(*byte);
                            rest = tail;
                        }
                    }
                    if !self.state.spend(out.len()) {
                        return Value::unknown(all);
                    }
                    same(out).tainted(value::PIECED)
                }
                _ => Value::unknown(all),
            },
            "lower" | "casefold" => same(text.to_ascii_lowercase()),
            "upper" => same(text.to_ascii_uppercase()),
            "swapcase" => {
                let swapped = |byte: &u8| {
                    if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() }
                };
                same(text.iter().map(swapped).collect()).tainted(value::PIECED)
            }
            "strip" | "lstrip" | "rstrip" | "removeprefix" | "removesuffix" if arguments.is_empty() => {
                same(text.trim_ascii().to_vec())
            }
            "split" => match one.and_then(Value::bytes) {
                Some(by) if by.len() == 1 => {
                    let by = by.first().copied().unwrap_or(b' ');
                    Value::list(text.split(|byte| *byte == by).map(|part| same(part.to_vec())).take(4096).collect())
                }
                None if arguments.is_empty() => Value::list(
                    text.split(u8::is_ascii_whitespace)
                        .filter(|part| !part.is_empty())
                        .map(|part| same(part.to_vec()))
                        .take(4096)
                        .collect(),
                ),
                _ => Value::unknown(all),
            },
            "splitlines" => {
                Value::list(text.split(|byte| *byte == b'\n').map(|part| same(part.to_vec())).take(4096).collect())
            }
            "translate" => Value::unknown(all | value::CRYPTIC),
            "hex" => Value::text(text.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect::<Vec<_>>())
                .tainted(all),
            _ => Value::unknown(all),
        }
    }
}
