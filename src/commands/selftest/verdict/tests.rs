use super::*;
use serde_json::json;

const OWN: &str = "/usr/bin/pyhookwatch";

/// The outcome of a case with a correct alert that `change` has altered.
fn outcome(mechanism: Mechanism, must_name_writer: bool, change: impl Fn(&mut Value)) -> Outcome {
    let mut alert = json!({
        "event": { "action": "creation" },
        "process": { "executable": OWN, "pid": 7 },
        "pyhookwatch": { "content": { "class": "inert" }, "writer": { "evidence": "proc" } },
    });
    change(&mut alert);
    let mut result =
        CaseResult { mechanism, reason: None, ..CaseResult::without_alert("root", "", Outcome::Passed, "") };
    let expected = Expected { action: "creation", pid: 7, executable: OWN, must_name_writer, limitation: None };
    judge(&mut result, &alert, expected);
    assert_eq!(result.reason.is_some(), result.outcome != Outcome::Passed);
    result.outcome
}

#[test]
fn only_the_right_writer_action_and_content_pass() {
    let of = |must_name_writer, change: fn(&mut Value)| outcome(Mechanism::Fanotify, must_name_writer, change);
    for must_name_writer in [true, false] {
        assert_eq!(of(must_name_writer, |_| ()), Outcome::Passed);
        for wrong in [
            |alert: &mut Value| alert["process"]["pid"] = 8.into(),
            |alert: &mut Value| alert["process"]["executable"] = "/bin/sh".into(),
            |alert: &mut Value| alert["event"]["action"] = "change".into(),
            |alert: &mut Value| alert["event"] = Value::Null,
            |alert: &mut Value| alert["pyhookwatch"]["content"]["class"] = "hostile".into(),
            |alert: &mut Value| alert["pyhookwatch"]["content"] = Value::Null,
        ] {
            assert_eq!(of(must_name_writer, wrong), Outcome::Failed);
        }
    }
}

#[test]
fn an_unnamed_writer_is_a_failure_where_every_source_of_records_works() {
    let unnamed = |alert: &mut Value| alert["process"] = Value::Null;
    assert_eq!(outcome(Mechanism::Fanotify, true, unnamed), Outcome::Failed);
    assert_eq!(outcome(Mechanism::Fanotify, false, unnamed), Outcome::Degraded);
    assert_eq!(outcome(Mechanism::Inotify, true, unnamed), Outcome::Passed);
}
