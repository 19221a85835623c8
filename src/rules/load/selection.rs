//! One selection of a rule, as YAML and as `sigma-rust` evaluates it.

use crate::rules::fields;
use serde_norway::{Mapping, Value};

/// A selection as a rule of its own, so that it can be evaluated alone.
pub(super) fn compile(selection: &Value) -> Result<sigma_rust::Rule, serde_norway::Error> {
    let mut detection = Mapping::new();
    detection.insert("selection".into(), selection.clone());
    detection.insert("condition".into(), "selection".into());
    let mut rule = Mapping::new();
    rule.insert("title".into(), "one selection".into());
    rule.insert("logsource".into(), Value::Mapping(Mapping::new()));
    rule.insert("detection".into(), Value::Mapping(detection));
    serde_norway::from_value(Value::Mapping(rule))
}

/// The `field|modifier` keys of a selection with their values.
fn keys(selection: &Value) -> Vec<(&str, &Value)> {
    match selection {
        Value::Mapping(map) => map.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect(),
        Value::Sequence(maps) => maps.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

/// `Image` of `Image|endswith|cased`.
pub(super) fn field_of(key: &str) -> &str {
    key.split('|').next().unwrap_or(key)
}

/// Whether a key has this modifier, in any case.
pub(super) fn has_modifier(key: &str, wanted: &str) -> bool {
    key.split('|').skip(1).any(|modifier| modifier.eq_ignore_ascii_case(wanted))
}

/// The value, or those of the list.
fn values_of(value: &Value) -> &[Value] {
    value.as_sequence().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// Whether a selection depends on a field of the writer. A selection of bare keywords does: it matches any field. With
/// `fieldref` the values are fields too.
pub(super) fn uses_writer(selection: &Value) -> bool {
    let of_writer = |name: &str| fields::find(name).is_some_and(|field| field.of_writer);
    let keys = keys(selection);
    keys.is_empty()
        || keys.iter().any(|(key, value)| {
            of_writer(field_of(key))
                || (has_modifier(key, "fieldref") && values_of(value).iter().filter_map(Value::as_str).any(of_writer))
        })
}

/// Why this is no field, if it is none.
fn unknown_field(name: &str) -> Option<String> {
    fields::find(name).is_none().then(|| fields::no_such_field(name))
}

/// What `sigma-rust` accepts although it can never match, or matches otherwise than written.
pub(super) fn errors_of(selection: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (key, values) in keys(selection) {
        let field = field_of(key);
        found.extend(unknown_field(field));
        if values_of(values).iter().any(Value::is_null) {
            found.push(format!(
                "`{key}`: a `null` or empty value never matches; for a field that is absent write `{field}|exists: false`"
            ));
        }
        if has_modifier(key, "fieldref") {
            found.extend(values_of(values).iter().filter_map(|value| match value.as_str() {
                Some(name) => unknown_field(name),
                None => Some(format!("`{key}` needs the name of a field")),
            }));
            continue;
        }
        // With these the text is no pattern.
        let is_pattern = !["re", "base64", "base64offset"].iter().any(|modifier| has_modifier(key, modifier));
        let implied = if has_modifier(key, "endswith") || has_modifier(key, "contains") { "*" } else { "" };
        let texts = values_of(values).iter().filter_map(Value::as_str);
        for text in texts.filter(|text| is_pattern && has_question_mark_after_star(&format!("{implied}{text}"))) {
            found.push(format!(
                "`{text}`: a `?` after a `*` (`endswith` and `contains` begin with one) is not matched reliably; \
                 write it with the `re` modifier"
            ));
        }
    }
    found
}

/// `sigma-rust` takes the first match of the text between `*` and `?` without backtracking: its `*ab?c` does not match
/// `abxabyc`.
fn has_question_mark_after_star(pattern: &str) -> bool {
    let (mut is_escaped, mut has_star) = (false, false);
    for character in pattern.chars() {
        match character {
            '*' if !is_escaped => has_star = true,
            '?' if !is_escaped && has_star => return true,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    false
}
