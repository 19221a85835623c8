use super::*;
use crate::alert::Alert;
use crate::alert::utc::timestamp;
use crate::event::{Action, Change, FileState, Hook, Level, LossReport, Match, Verdict, Writer};
use crate::event::{
    Candidate, Confidence, ContentClass, ContentReport, Credentials, DeniedExclusion, Doubt, EnvironmentSetting,
    Evidence, ExcludedRule, Executable, FileFacts, FileId, FileRef, HookForm, HookKind, HookLocation, HookPath,
    LivingAncestor, LossCause, Process, RuleInfo, Script, Seen,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

fn rule(level: Level, risk_score: u8) -> Arc<RuleInfo> {
    Arc::new(RuleInfo {
        id: "id".into(),
        name: "A rule".into(),
        ruleset: "set".into(),
        level,
        is_baseline: false,
        risk_score,
        description: "what it is about".into(),
        references: vec!["https://example.org/rule".into()],
        tags: vec!["attack.persistence".into(), "attack.t1546.018".into(), "other.tag".into()],
        origin: "embedded".into(),
    })
}

fn matched(level: Level, risk_score: u8) -> Match {
    Match {
        rule: rule(level, risk_score),
        detection_type: "PTH_FILE_CREATED".into(),
        decided_by: "selection".into(),
        exclusion_not_applied: Some(DeniedExclusion { filter: "filter".into(), doubt: Doubt::OneRecord }),
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

fn process(pid: u32, bytes: &[u8]) -> Process {
    Process {
        pid,
        start_time: Some(1),
        comm: bytes.to_vec(),
        executable: Some(Executable { path: path_of(bytes), deleted: false, is_host_file: true }),
        arguments: vec![bytes.to_vec(), bytes.to_vec()],
        arguments_truncated: false,
        user: Some(Credentials { real: 0, effective: Some(33), login: Some(1000), session: Some(3) }),
        working_directory: Some(path_of(bytes)),
        terminal: Some("pts/3".into()),
        in_host_mounts: Some(true),
        ..Process::default()
    }
}

fn writer(bytes: &[u8]) -> Writer {
    let gone = Process { is_gone: true, ..process(5, bytes) };
    let id = FileId { device: (8, 1), inode: 77 };
    let candidate = |evidence, path| Candidate { evidence, path, id: Some(id) };
    Writer {
        evidence: Evidence::Proc,
        confidence: Confidence::Confirmed,
        process: Some(process(7, bytes)),
        corroborated_by: vec![Evidence::ExitRecord],
        parents: vec![process(6, bytes), gone],
        candidates: vec![candidate(Evidence::ExecRecord, Some(path_of(bytes))), candidate(Evidence::ExitRecord, None)],
        script: Some(Script { name: path_of(bytes), is_module: false, is_recorded: true }),
        installer: Some("pip"),
        ancestor_installer: Some("uv"),
        container_id: Some("abc".into()),
        unit: Some("session-3.scope".into()),
        living_ancestor: Some(LivingAncestor {
            pid: 9,
            container_id: Some("abc".into()),
            unit: Some("x.service".into()),
            user: Some(Credentials { real: 0, effective: None, login: Some(1000), session: Some(4) }),
            terminal: Some("pts/1".into()),
            working_directory: Some(path_of(bytes)),
        }),
    }
}

/// A finding in which every text that others choose is `bytes`.
fn alert_of(bytes: &[u8]) -> Alert {
    let file_path = PathBuf::from("/d").join(path_of(bytes));
    let writer = Arc::new(writer(bytes));
    let change = Change {
        classification: None,
        action: Action::Rename,
        file: FileRef { path: file_path.clone(), directory: None },
        previous_path: Some(file_path),
        writers: vec![writer.clone(), Arc::new(Writer { process: Some(process(8, bytes)), ..Writer::unavailable() })],
        more_writers: false,
        complete: true,
        records: 2,
        first: Seen::now(),
        last: Seen::now(),
    };
    let hook = Hook {
        file: FileFacts {
            state: FileState::Regular,
            sha256: Some([0xab; 32]),
            mode: Some(0o644),
            ..FileFacts::default()
        },
        content: ContentReport {
            runs: vec![bytes.to_vec()],
            settings: vec![EnvironmentSetting {
                variable: "PYTHONPATH",
                line: 3,
                text: bytes.to_vec(),
                value: bytes.to_vec(),
            }],
            ..ContentReport::of(ContentClass::Unknown)
        },
        ..Hook::new(HookPath {
            kind: HookKind::Pth,
            form: HookForm::File,
            location: HookLocation::Site,
            version: Some((3, 11)),
        })
    };
    let verdict = Verdict {
        matches: vec![matched(Level::High, 73), matched(Level::Low, 99)],
        level: Some(Level::High),
        risk_score: 99,
        excluded: vec![ExcludedRule { rule: rule(Level::Low, 21), decided_by: "filter".into() }],
    };
    let finding = Finding { change: &change, writer: &writer, hook: &hook, verdict: &verdict, names: Names::default() };
    Composer::new().alert(&finding).unwrap()
}

fn strings<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(list) => list.iter().for_each(|value| strings(value, found)),
        Value::Object(map) => map.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_has_every_established_fact() {
    let document = alert_of(b"x.pth").document();
    let at = |pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/file/path"), "/d/x.pth");
    assert_eq!(at("/file/mode"), "0644");
    assert_eq!(at("/file/hash/sha256"), "ab".repeat(32));
    assert_eq!(at("/event/action"), "rename");
    assert_eq!((at("/event/severity"), at("/event/risk_score")), (4.into(), 99.into()));
    assert_eq!((at("/process/pid"), at("/process/parent/pid")), (7.into(), 6.into()));
    assert_eq!(at("/pyhookwatch/writer/ancestors/0/pid"), 5);
    assert_eq!(at("/pyhookwatch/writer/other_writers/0/pid"), 8);
    assert_eq!(at("/user/id"), "33");
    assert_eq!(at("/pyhookwatch/writer/login_user/id"), "1000");
    assert_eq!(at("/process/working_directory"), "x.pth");
    assert_eq!(at("/process/parent/user/id"), "33");
    assert_eq!(at("/process/parent/gone"), Value::Null);
    assert_eq!(at("/pyhookwatch/writer/ancestors/0/gone"), true);
    for (field, value) in [
        ("evidence", json!("proc")),
        ("confidence", json!("high")),
        ("corroborated_by", json!(["exit-record"])),
        ("script", json!({ "name": "x.pth", "module": false, "recorded": true })),
        ("installer", json!("pip")),
        ("ancestor_installer", json!("uv")),
        ("login_session", json!(3)),
        ("terminal", json!("pts/3")),
        ("mount_namespace", json!("host")),
        ("unit", json!("session-3.scope")),
        ("living_ancestor/pid", json!(9)),
        ("living_ancestor/login_user/id", json!("1000")),
        ("living_ancestor/working_directory", json!("x.pth")),
        ("candidates/0", json!({ "evidence": "exec-record", "executable": "x.pth", "device": "8:1", "inode": "77" })),
        ("candidates/1", json!({ "evidence": "exit-record", "device": "8:1", "inode": "77" })),
    ] {
        assert_eq!(at(&format!("/pyhookwatch/writer/{field}")), value, "{field}");
    }
    assert_eq!(at("/threat/technique/id"), json!(["T1546"]));
    assert_eq!(at("/threat/technique/subtechnique/id"), json!(["T1546.018"]));
    assert_eq!(at("/threat/tactic/id"), json!(["TA0003"]));
    assert_eq!(at("/pyhookwatch/rules/0/exclusion_not_applied/reason"), Doubt::OneRecord.as_str());
}

#[test]
fn a_file_time_beyond_all_calendars_does_not_end_the_program() {
    let beyond = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i64::MAX as u64);
    assert_eq!(timestamp(beyond), "1970-01-01T00:00:00.000000Z");
    let ten_thousand = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_900);
    assert_eq!(timestamp(ten_thousand), "1970-01-01T00:00:00.000000Z");
    let before = SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(1);
    assert_eq!(timestamp(before), "1970-01-01T00:00:00.000000Z");
}

#[test]
fn what_is_not_known_is_absent() {
    let document = alert_of(b"x").document();
    for absent in ["/file/size", "/file/inode", "/file/owner", "/file/mtime", "/user/name", "/pyhookwatch/shortened"] {
        assert_eq!(document.pointer(absent), None, "{absent}");
    }
}

#[test]
fn sequence_numbers_rise_by_one_with_losses_among_them() {
    let mut composer = Composer::new();
    let loss = LossReport::counted(LossCause::QueueOverflow, 3, "a\nb");
    let sequence = |alert: Alert| alert.document()["event"]["sequence"].as_u64().unwrap();
    assert_eq!((sequence(composer.loss(&loss)), sequence(composer.loss(&loss))), (1, 2));
    let record = composer.loss(&loss).document();
    assert_eq!(record["message"], "loss: queue-overflow (3 lost): a\\nb");
    assert_eq!((&record["event"]["kind"], &record["event"]["action"]), (&json!("pipeline_error"), &json!("loss")));
}

#[test]
fn the_text_form_says_who_what_which_rule_and_what_next() {
    let text = alert_of(b"x.pth").text(false);
    for expected in [
        "HIGH PTH_FILE_CREATED /d/x.pth",
        "who      x.pth (pid 7), user 33, login 1000, session 3, terminal pts/3, unit session-3.scope, container abc, \
         in x.pth\n",
        "script   x.pth (the kernel recorded its start), installer pip (by its name), started by installer uv (by its \
         name)\n",
        "parents  x.pth (pid 6) < x.pth (pid 5, gone)\n",
        "evidence proc: read while the process lived, checked against its pidfd; corroborated by exit-record\n",
        "unclear  not established: exec-record names x.pth, exit-record names device 8:1 inode 77\n",
        "exclusion filter not applied: only one kind of record names the writer",
        "next ",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains('\x1b'));
    assert!(alert_of(b"x").text(true).contains('\x1b'));
}

proptest! {
    #[test]
    fn whatever_others_chose_neither_breaks_a_line_nor_forges_a_field(
        bytes in proptest::collection::vec(any::<u8>().prop_filter("no NUL", |byte| *byte != 0), 1..60)
    ) {
        let alert = alert_of(&bytes);
        let mut texts = Vec::new();
        let document = alert.document();
        strings(&document, &mut texts);
        for text in texts {
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
        }
        let line = alert.json(None);
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(&serde_json::from_str::<Value>(&line).unwrap(), &document);
        // As many lines as of a harmless finding: nothing chosen by others begins one.
        prop_assert_eq!(alert.text(false).lines().count(), alert_of(b"x").text(false).lines().count());
        prop_assert!(!alert.text(false).chars().any(|c| c.is_control() && c != '\n'));
    }
}
