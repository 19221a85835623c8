use super::*;
use crate::commands::selftest::places::WAYS;
use serde_json::json;

const OWN: &str = "/usr/bin/pyhookwatch";
const PID: u32 = 7;

/// What becomes of a place of which this is told.
fn outcome(mechanism: Mechanism, names_all: bool, change: impl Fn(&mut Value)) -> Outcome {
    let mut record = json!({
        "event": { "action": "creation" },
        "process": { "executable": OWN, "pid": PID },
        "pyhookwatch": { "content": { "class": "inert" }, "writer": { "evidence": "proc" } },
    });
    change(&mut record);
    let mut result = PlaceResult {
        place: "root".into(),
        description: String::new(),
        fs_type: None,
        mechanism,
        outcome: Outcome::Passed,
        latency_us: None,
        writer: None,
        reason: None,
    };
    judge(&mut result, &record, &WAYS[0], PID, Path::new(OWN), names_all, None);
    assert_eq!(result.reason.is_some(), result.outcome != Outcome::Passed);
    result.outcome
}

#[test]
fn only_the_right_writer_action_and_content_pass() {
    let of = |names_all, change: fn(&mut Value)| outcome(Mechanism::Fanotify, names_all, change);
    for names_all in [true, false] {
        assert_eq!(of(names_all, |_| ()), Outcome::Passed);
        for wrong in [
            |record: &mut Value| record["process"]["pid"] = 8.into(),
            |record: &mut Value| record["process"]["executable"] = "/bin/sh".into(),
            |record: &mut Value| record["event"]["action"] = "change".into(),
            |record: &mut Value| record["event"] = Value::Null,
            |record: &mut Value| record["pyhookwatch"]["content"]["class"] = "hostile".into(),
            |record: &mut Value| record["pyhookwatch"]["content"] = Value::Null,
        ] {
            assert_eq!(of(names_all, wrong), Outcome::Failed);
        }
    }
}

#[test]
fn a_writer_that_is_not_named_is_a_failure_where_all_records_are_there() {
    let unnamed = |record: &mut Value| record["process"] = Value::Null;
    assert_eq!(outcome(Mechanism::Fanotify, true, unnamed), Outcome::Failed);
    assert_eq!(outcome(Mechanism::Fanotify, false, unnamed), Outcome::Degraded);
    assert_eq!(outcome(Mechanism::Inotify, true, unnamed), Outcome::Passed);
}
