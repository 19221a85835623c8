//! Calls of methods.

use super::machine::Machine;
use crate::event::Signal;
use crate::hook::python::effects::Effect;
use crate::hook::python::eval::{
    Args, CRYPTIC, DECODED, FILE, HIDDEN, Kind, NETWORK, TextCall, Value, text_method, values,
};
use crate::hook::python::lexer::decode;
use crate::hook::python::report::{Severity, marks};

/// Bytes of an integer.
const INTEGER: usize = 8;

impl Machine<'_, '_> {
    /// The value of a method call.
    pub fn call_method(&mut self, of: &Value, name: &str, args: &Args<'_>) -> Value {
        let taint = of.taint | args.taint;
        let first = args.get(0);
        match name {
            "write" | "write_bytes" | "write_text" | "writelines" => {
                if args.taint & (NETWORK | DECODED) != 0 {
                    self.report.mark(marks::WRITES_FETCHED);
                }
                if name != "write" && of.bytes().is_some() {
                    self.write(std::slice::from_ref(of));
                }
                Value::unknown(0)
            }
            "open" if of.bytes().is_some() => self.open(of, first.or_else(|| args.by_name("mode"))),
            "read_text" | "read_bytes" => Value::unknown(taint | FILE),
            "expanduser" | "resolve" | "absolute" => of.clone(),
            "load_module" | "import_module"
                if of.as_path().is_none() && first.is_some_and(|name| name.bytes().is_some()) =>
            {
                self.import_call(args.first())
            }
            "exec_module" => {
                if of.taint & HIDDEN != 0 {
                    self.report.record(Signal::ExecuteDecoded, Severity::Critical);
                }
                self.call_text_method(of, name, args)
            }
            "to_bytes" => to_bytes(of, args),
            "append" | "extend" | "update" | "add" | "insert" => Value::unknown(0),
            "get" | "pop" | "values" | "items" | "keys" if matches!(of.kind, Kind::Dict(_)) => match (name, first) {
                ("get" | "pop", Some(key)) => self.item(of, key),
                _ => values(of),
            },
            "__getitem__" => first.map_or_else(|| Value::unknown(taint), |key| self.item(of, key)),
            "__getattribute__" => self.getattr(of, first, None),
            _ => self.call_text_method(of, name, args),
        }
    }

    /// A method of a text, or of something that may be one.
    fn call_text_method(&mut self, of: &Value, name: &str, args: &Args<'_>) -> Value {
        let taint = of.taint | args.taint;
        let Some(text) = of.bytes() else {
            let codec = args.get(0).and_then(Value::as_str).filter(|_| name == "decode");
            if codec.is_some_and(|codec| decode::by_codec(codec, b"").is_some()) {
                self.report.effect(Effect::Decode);
                return Value::unknown(taint | DECODED);
            }
            return Value::unknown(taint | if name == "translate" { CRYPTIC } else { 0 });
        };
        if !self.budget.spend(text.len()) {
            return Value::unknown(taint);
        }
        if name != "decode" && name != "encode" {
            return text_method(self.budget, name, &TextCall { of, text, args, taint });
        }
        let codec = args.get(0).or_else(|| args.named.first().map(|(_, value)| value)).and_then(Value::as_str);
        match decode::by_codec(codec.unwrap_or("utf-8"), text) {
            Some(decoded) => {
                self.report.effect(Effect::Decode);
                self.decoded(decoded, taint)
            }
            None if name == "decode" => Value::text(text.clone()).tainted(taint),
            None => Value::binary(text.clone()).tainted(taint),
        }
    }
}

/// `number.to_bytes(length, order)`.
fn to_bytes(of: &Value, args: &Args<'_>) -> Value {
    let taint = of.taint | args.taint | CRYPTIC;
    let length = args.get(0).and_then(Value::as_integer).and_then(|length| usize::try_from(length).ok());
    let (Some(number), Some(length)) = (of.as_integer(), length.filter(|length| *length <= INTEGER)) else {
        return Value::unknown(taint);
    };
    let mut bytes = number.to_be_bytes().get(INTEGER - length..).unwrap_or_default().to_vec();
    if args.get(1).and_then(Value::as_str) == Some("little") {
        bytes.reverse();
    }
    Value::binary(bytes).tainted(taint)
}
