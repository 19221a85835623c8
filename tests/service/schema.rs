//! The published schema: complete, and strict.

use crate::support::schema::{SCHEMA, errors};
use crate::support::{DaemonUnderTest, ScratchTree};
use serde_json::Value;

/// Calls `visit` for every subschema, with its path.
fn walk<'s>(schema: &'s Value, path: String, visit: &mut dyn FnMut(&str, &'s Value)) {
    visit(&path, schema);
    for keyword in ["properties", "$defs"] {
        for (name, inner) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            walk(inner, format!("{path}/{name}"), visit);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, format!("{path}/items"), visit);
    }
}

#[test]
fn every_field_in_the_schema_is_typed_and_described_and_no_object_is_open() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut fields = 0;
    walk(&schema["$defs"], String::new(), &mut |_, _| {});
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        walk(definition, name.clone(), &mut |path, field| {
            fields += 1;
            let typed = ["type", "enum", "const", "$ref"].iter().any(|keyword| field.get(keyword).is_some());
            assert!(typed, "{path} has no type");
            let described = field.get("description").is_some() || field.get("$ref").is_some();
            assert!(described, "{path} has no description");
            if field["type"] == "object" {
                assert_eq!(field["additionalProperties"], false, "{path} is open");
            }
        });
    }
    assert!(fields > 100, "only {fields} fields seen");
}

#[test]
fn the_schema_refuses_what_is_not_an_alert() {
    let tree = ScratchTree::new();
    let mut daemon = DaemonUnderTest::start(tree.run(&["--backend", "inotify", "--output", "stdout"]));
    tree.plant("/usr/lib/python3.12/sitecustomize.py", "import os\n");
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
