use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// A report in which every field has a value.
pub fn example() -> StatusReport {
    let time = || "2026-01-01T00:00:00Z".to_owned();
    let rules = || vec![DecidedRule { name: "A rule".into(), decided_by: "selection".into() }];
    StatusReport {
        pyhookwatch: DocumentHeader::default(),
        version: "1.2.3".into(),
        pid: 7,
        boot_id: Some("b".into()),
        started: time(),
        uptime_seconds: 90_061,
        root: "/".into(),
        backend: "auto".into(),
        fanotify: FanotifyStatus { active: false, reason: Some("EPERM".into()) },
        filesystems: vec![FilesystemStatus {
            mount_points: vec!["/srv".into(), "/mnt".into()],
            fs_type: "nfs".into(),
            device: "0:9".into(),
            mechanism: Mechanism::Nothing,
            reason: Some("a network filesystem".into()),
            in_watch_trees: true,
        }],
        inotify: vec![InotifyTree {
            tree: "/usr".into(),
            watched: 3,
            failed: 1,
            example: Some(FailedWatch { path: "/usr/lib".into(), reason: "no space left".into() }),
        }],
        evidence: vec![EvidenceStatus {
            name: "exec-records".into(),
            available: Availability::Missing,
            detail: Some("exec records".into()),
        }],
        rules: RulesStatus {
            loaded: 44,
            warnings: 1,
            last_reload: Some(Reload { time: time(), result: ReloadResult::Refused, problems: 2 }),
        },
        counters: Counters {
            records: 10,
            unresolved: 5,
            alerts: 2,
            alerts_by_level: [(Level::Low, 1), (Level::Medium, 0), (Level::High, 1)].into(),
            excluded: 3,
            repeated: 4,
            losses: 1,
            losses_by_cause: [(crate::event::LossCause::QueueOverflow, 1)].into(),
        },
        recent_alerts: vec![RecentChange {
            time: time(),
            path: "/x.pth".into(),
            executable: Some("/usr/bin/cp".into()),
            level: Some(Level::High),
            rules: rules(),
        }],
        recent_excluded: vec![RecentChange {
            time: time(),
            path: "/y.pth".into(),
            executable: None,
            level: None,
            rules: rules(),
        }],
        outputs: vec![OutputStatus {
            name: "syslog /dev/log".into(),
            active: false,
            waiting: 2,
            delivered: 1,
            dropped: 3,
        }],
        capacity: Capacity { tracked_paths_full: true, directories_to_list: 0 },
    }
}

/// The paths of all values that are no objects: `counters.alerts`, `filesystems[].device`.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    // The keys of these two are levels and causes.
    let is_table = path.ends_with("_by_level") || path.ends_with("_by_cause");
    match value {
        Value::Object(members) if !is_table => {
            for (key, member) in members {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(member, &below, found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn the_documented_fields_are_those_of_the_report() {
    let mut fields = BTreeSet::new();
    leaves(&serde_json::to_value(example()).unwrap(), "", &mut fields);
    let table =
        include_str!("../../../docs/status.md").lines().skip_while(|line| !line.starts_with("| field |")).skip(2);
    let first_column = table.map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let documented: BTreeSet<String> =
        first_column.flat_map(|cell| cell.split(", ")).map(|field| field.trim_matches('`').to_owned()).collect();
    assert_eq!(documented, fields, "left: docs/status.md, right: StatusReport");
}
