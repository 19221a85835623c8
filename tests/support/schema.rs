//! The published schema is the contract: every record that any test reads is checked against it.

use serde_json::Value;
use std::sync::LazyLock;

pub const SCHEMA: &str = include_str!("../../config/alert.schema.json");

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("the schema is a valid schema");
    jsonschema::validator_for(&schema).expect("the schema can be used")
});

/// What the schema does not allow in a record.
pub fn errors(record: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The record in a line of output: one printable JSON document that the schema allows.
pub fn valid(line: &str) -> Value {
    assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
    assert!(!line.contains(char::REPLACEMENT_CHARACTER), "not UTF-8: {line:?}");
    let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
    let errors = errors(&record);
    assert!(errors.is_empty(), "{errors:#?}\n{record:#}");
    record
}
