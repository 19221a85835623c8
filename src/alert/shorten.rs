//! Shortens a document to what an output takes: a receiver can parse neither half of a message that was cut in two.

use serde_json::{Map, Value, json};

/// The steps of shortening, the least important content first.
const STEPS: [fn(&mut Value); 6] = [
    |document| {
        remove(document, &["rule", "description"]);
        remove(document, &["pyhookwatch", "next_step"]);
        cut_strings(document, 2000);
    },
    |document| {
        cut_list(document, "/pyhookwatch/content/lines", 5);
        cut_list(document, "/pyhookwatch/content/decoded", 5);
        cut_list(document, "/pyhookwatch/content/paths", 5);
        cut_list(document, "/pyhookwatch/content/imports", 10);
        cut_list(document, "/pyhookwatch/writer/ancestors", 3);
        cut_strings(document, 500);
    },
    |document| {
        remove(document, &["pyhookwatch", "excluded"]);
        remove(document, &["pyhookwatch", "writer", "other_writers"]);
        cut_list(document, "/pyhookwatch/environment", 3);
        remove(document, &["pyhookwatch", "content", "imports"]);
        cut_list(document, "/pyhookwatch/content/decoded", 2);
        cut_list(document, "/pyhookwatch/content/paths", 2);
        cut_list(document, "/pyhookwatch/content/lines", 2);
    },
    |document| {
        for list in ["lines", "decoded", "paths"] {
            remove(document, &["pyhookwatch", "content", list]);
        }
        remove(document, &["pyhookwatch", "writer", "ancestors"]);
        remove(document, &["pyhookwatch", "writer", "candidates"]);
        remove(document, &["pyhookwatch", "environment"]);
        cut_strings(document, 250);
    },
    |document| {
        remove(document, &["process", "parent"]);
        remove(document, &["threat"]);
        remove(document, &["agent"]);
        cut_list(document, "/pyhookwatch/rules", 2);
        cut_strings(document, 150);
    },
    |document| *document = essence(document),
];

/// The document in one line of at most `max` bytes. It loses the least important content, gets
/// `pyhookwatch.shortened`, and stays valid JSON. Below 880 bytes the last step is the result, whatever its length.
pub(super) fn shortened(mut document: Value, max: usize) -> String {
    for step in STEPS {
        step(&mut document);
        if let Some(own) = document.get_mut("pyhookwatch").and_then(Value::as_object_mut) {
            own.insert("shortened".into(), true.into());
        }
        let line = document.to_string();
        if line.len() <= max {
            return line;
        }
    }
    document.to_string()
}

/// The indispensable keys, in at most 880 bytes: the shortest message that can be configured (1,024) less its syslog
/// header with the longest hostname that Linux has (64).
fn essence(document: &Value) -> Value {
    let text = |pointer: &str, room: usize| {
        document.pointer(pointer).and_then(Value::as_str).map(|text| Value::from(cut(text, room)))
    };
    let keep = |pointer: &str| document.pointer(pointer).cloned();
    let object = |fields: Vec<(&str, Option<Value>)>| {
        let fields = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let event = ["kind", "action", "reason", "severity", "sequence"];
    let event = object(event.iter().map(|key| (*key, keep(&format!("/event/{key}")))).collect());
    let host = object(vec![("hostname", text("/host/hostname", 40))]);
    let schema_version = keep("/pyhookwatch/schema_version");
    if let Some(loss) = keep("/pyhookwatch/loss") {
        return json!({
            "@timestamp": keep("/@timestamp"),
            "message": text("/message", 120),
            "ecs": keep("/ecs"),
            "event": event,
            "host": host,
            "pyhookwatch": object(vec![("schema_version", schema_version), ("loss", Some(loss))]),
        });
    }
    json!({
        "@timestamp": keep("/@timestamp"),
        "message": text("/message", 120),
        "ecs": keep("/ecs"),
        "event": event,
        "host": host,
        "file": object(vec![("path", text("/file/path", 150))]),
        "process": object(vec![("pid", keep("/process/pid")), ("executable", text("/process/executable", 100))]),
        "rule": object(vec![("id", text("/rule/id", 50)), ("ruleset", text("/rule/ruleset", 20))]),
        "pyhookwatch": object(vec![
            ("schema_version", schema_version),
            ("detection_type", text("/pyhookwatch/detection_type", 50)),
        ]),
    })
}

fn remove(document: &mut Value, path: &[&str]) {
    if let Some((last, parents)) = path.split_last() {
        let parent = parents.iter().try_fold(document, |value, key| value.get_mut(*key));
        if let Some(parent) = parent.and_then(Value::as_object_mut) {
            parent.shift_remove(*last);
        }
    }
}

fn cut_list(document: &mut Value, pointer: &str, length: usize) {
    if let Some(list) = document.pointer_mut(pointer).and_then(Value::as_array_mut) {
        list.truncate(length);
    }
}

fn cut_strings(value: &mut Value, room: usize) {
    match value {
        Value::String(text) => *text = cut(text, room),
        Value::Array(list) => list.iter_mut().for_each(|value| cut_strings(value, room)),
        Value::Object(map) => map.values_mut().for_each(|value| cut_strings(value, room)),
        _ => {}
    }
}

/// The text if its JSON form has at most `room` bytes, else its start and its end with `...` between. The end is the
/// most useful part of a path, the start that of a command line.
fn cut(text: &str, room: usize) -> String {
    let cost = |character: char| if matches!(character, '"' | '\\') { 2 } else { character.len_utf8() };
    if text.chars().map(cost).sum::<usize>() <= room {
        return text.to_owned();
    }
    let half = room.saturating_sub(3) / 2;
    let within = |spent: &mut usize, character: char| {
        *spent += cost(character);
        (*spent <= half).then_some(character)
    };
    let start: String = text.chars().scan(0, within).collect();
    let end: Vec<char> = text.chars().rev().scan(0, within).collect();
    format!("{start}...{}", end.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See [`essence`].
    const MIN_LINE: usize = 880;

    fn monster() -> Value {
        let long = "\\x1b\"".repeat(3000);
        json!({
            "@timestamp": "2026-11-22T10:00:00.000000Z",
            "message": long,
            "ecs": { "version": "8.17.0" },
            "event": { "kind": "alert", "action": "creation", "severity": 4, "sequence": 18446744073709551615u64 },
            "host": { "hostname": long },
            "file": { "path": long },
            "process": { "pid": 4194304, "executable": long, "command_line": long, "parent": { "command_line": long } },
            "rule": { "id": long, "ruleset": long, "description": long },
            "pyhookwatch": { "schema_version": 1, "detection_type": long, "rules": vec![long.clone(); 30], "content": { "lines": vec![long.clone(); 20] } },
        })
    }

    #[test]
    fn every_limit_is_kept_with_valid_json_that_is_marked_as_shortened() {
        for max in (MIN_LINE..1100).step_by(20).chain([2000, 8000, 50_000, 500_000]) {
            let line = shortened(monster(), max);
            assert!(line.len() <= max, "{} > {max}", line.len());
            let parsed: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(parsed["pyhookwatch"]["shortened"], true);
            assert_eq!(parsed["pyhookwatch"]["schema_version"], 1);
            assert!(parsed["pyhookwatch"]["detection_type"].is_string());
            assert!(parsed["file"]["path"].is_string());
        }
    }

    #[test]
    fn a_limit_below_the_usual_ones_is_kept_by_a_document_that_is_a_little_too_long() {
        for count in 0..150 {
            let document = json!({ "message": "m", "more": vec!["a few bytes"; count], "pyhookwatch": {} });
            let line = shortened(document.clone(), MIN_LINE);
            assert!(line.len() <= MIN_LINE, "{} > {MIN_LINE}", line.len());
        }
    }

    #[test]
    fn the_report_of_a_loss_keeps_its_cause_and_count() {
        let long = "x".repeat(5000);
        let loss = json!({
            "@timestamp": "2026-11-22T10:00:00.000000Z",
            "message": long,
            "event": { "kind": "pipeline_error", "reason": "output-dropped", "created": long },
            "host": { "hostname": long },
            "pyhookwatch": { "schema_version": 1, "loss": { "cause": "output-dropped", "count": 7 } },
            "surprise": vec![long.clone(); 20],
        });
        let line = shortened(loss, MIN_LINE);
        assert!(line.len() <= MIN_LINE, "{line}");
        let short: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(short["event"]["reason"], "output-dropped");
        let own = json!({ "schema_version": 1, "loss": { "cause": "output-dropped", "count": 7 }, "shortened": true });
        assert_eq!(short["pyhookwatch"], own);
        assert_eq!(short.get("file"), None);
    }

    #[test]
    fn a_document_that_fits_is_left_alone() {
        let document = json!({ "a": "x".repeat(2000), "pyhookwatch": {} });
        let alert = crate::alert::Alert::new(crate::event::Level::Low, std::time::UNIX_EPOCH, &document);
        let whole = document.to_string();
        assert_eq!(alert.json(Some(whole.len())), whole);
        assert_eq!(alert.json(None), whole);
        assert!(alert.json(Some(whole.len() - 1)).len() < whole.len());
    }

    #[test]
    fn a_cut_text_keeps_its_start_and_its_end() {
        assert_eq!(cut("/usr/lib/python3.11/site-packages/evil.pth", 23), "/usr/lib/p...s/evil.pth");
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("ää\u{1F600}ää", 9), "ä...ä");
    }
}
