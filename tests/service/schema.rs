//! The published schema is the contract: every record that any test sees is held against it.

use serde_json::Value;
use std::sync::LazyLock;

const SCHEMA: &str = include_str!("../../config/alert.schema.json");

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("the schema is a valid schema");
    jsonschema::validator_for(&schema).expect("the schema can be used")
});

fn errors(record: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(record).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The record in a line, which must be one.
pub fn valid(line: &str) -> Value {
    let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
    let errors = errors(&record);
    assert!(errors.is_empty(), "{errors:#?}\n{record:#}");
    assert!(!line.chars().any(char::is_control), "a control character in {line:?}");
    record
}

/// Every subschema with its place.
fn walk<'s>(schema: &'s Value, place: String, visit: &mut dyn FnMut(&str, &'s Value)) {
    visit(&place, schema);
    for keyword in ["properties", "$defs"] {
        for (name, inner) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            walk(inner, format!("{place}/{name}"), visit);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, format!("{place}/items"), visit);
    }
}

#[test]
fn every_field_in_the_schema_is_typed_and_described_and_no_object_is_open() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut fields = 0;
    walk(&schema["$defs"], String::new(), &mut |_, _| {});
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(definition, name.clone(), &mut |place, field| {
            fields += 1;
            let typed = ["type", "enum", "const", "$ref"].iter().any(|keyword| field.get(keyword).is_some());
            assert!(typed, "{place} has no type");
            let described = field.get("description").is_some() || field.get("$ref").is_some();
            assert!(described, "{place} has no description");
            if field["type"] == "object" {
                assert_eq!(field["additionalProperties"], false, "{place} is open");
            }
        });
    }
    assert!(fields > 100, "only {fields} fields seen");
}

#[test]
fn the_schema_refuses_what_is_not_an_alert() {
    let site = crate::harness::Site::new();
    let mut daemon = crate::harness::Daemon::start(site.run(&["--backend", "inotify", "--output", "stdout"]));
    site.plant("/usr/lib/python3.12/sitecustomize.py", "import os\n");
    let alert = daemon.record();
    let changed = |pointer: &str, value: Value| {
        let mut changed = alert.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        changed
    };
    for (pointer, value) in [
        ("/@timestamp", "yesterday".into()),
        ("/event/action", "touched".into()),
        ("/event/severity", 6.into()),
        ("/event/sequence", "1".into()),
        ("/event/kind", "event".into()),
        ("/file/hash/sha256", "ABC".into()),
        ("/file/mode", "rw-r--r--".into()),
        ("/file/device", "8,1".into()),
        ("/file/inode", 7.into()),
        ("/pyhookwatch/writer/evidence", "guessed".into()),
        ("/pyhookwatch/level", "severe".into()),
        ("/pyhookwatch/hook/kind", "hook".into()),
        ("/pyhookwatch/rules", Value::Array(Vec::new())),
    ] {
        assert!(!errors(&changed(pointer, value.clone())).is_empty(), "{pointer} = {value} was accepted");
    }
    for (parent, field) in [("", "file"), ("/file", "path"), ("/pyhookwatch", "writer"), ("", "threat")] {
        let mut without = alert.clone();
        without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
        assert!(!errors(&without).is_empty(), "an alert without {parent}/{field} was accepted");
        let mut more = alert.clone();
        more.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert("surprise".into(), 1.into());
        assert!(!errors(&more).is_empty(), "an unknown field in `{parent}` was accepted");
    }
}
