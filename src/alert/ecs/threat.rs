//! Tactics and techniques of MITRE ATT&CK.

use crate::event::Verdict;
use serde_json::{Value, json};

/// `threat`: the ATT&CK tags of all matching rules.
pub(super) fn threat(verdict: &Verdict) -> Value {
    let mut tags: Vec<&str> = Vec::new();
    for tag in verdict.matches.iter().flat_map(|found| &found.rule.tags) {
        if let Some(tag) = tag.strip_prefix("attack.")
            && !tags.contains(&tag)
        {
            tags.push(tag);
        }
    }
    let tactics: Vec<_> = tags.iter().filter_map(|tag| TACTICS.iter().find(|(word, _, _)| word == tag)).collect();
    let is_technique = |tag: &str| {
        tag.strip_prefix('t').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    let ids = |with_dot: bool| -> Vec<String> {
        tags.iter()
            .filter(|tag| is_technique(tag) && tag.contains('.') == with_dot)
            .map(|tag| tag.to_uppercase())
            .collect()
    };
    let mut techniques = ids(false);
    let sub = ids(true);
    for parent in sub.iter().filter_map(|id| id.split('.').next()) {
        if !techniques.iter().any(|id| id == parent) {
            techniques.push(parent.to_owned());
        }
    }
    let named = |ids: &[String]| -> Vec<&str> {
        ids.iter().filter_map(|id| TECHNIQUES.iter().find(|(known, _)| known == id)).map(|(_, name)| *name).collect()
    };
    json!({
        "framework": "MITRE ATT&CK",
        "tactic": {
            "id": tactics.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(),
            "name": tactics.iter().map(|(_, _, name)| *name).collect::<Vec<_>>(),
        },
        "technique": {
            "id": techniques,
            "name": named(&techniques),
            "subtechnique": { "id": sub, "name": named(&sub) },
        },
    })
}

const TECHNIQUES: [(&str, &str); 3] =
    [("T1546", "Event Triggered Execution"), ("T1546.018", "Python Startup Hooks"), ("T1574", "Hijack Execution Flow")];

const TACTICS: [(&str, &str, &str); 14] = [
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource-development", "TA0042", "Resource Development"),
    ("initial-access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege-escalation", "TA0004", "Privilege Escalation"),
    ("defense-evasion", "TA0005", "Defense Evasion"),
    ("credential-access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral-movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("command-and-control", "TA0011", "Command and Control"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("impact", "TA0040", "Impact"),
];
