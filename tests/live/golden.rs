//! Golden alerts: `tests/golden` has one directory for each detection type, and its README.md describes them.

use crate::expect::Alert;
use crate::fixture::{Backend, Fixture, Session};
use crate::support::{Helper, needs, succeed, wait_until_older};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// One directory below `tests/golden`.
struct Case {
    directory: PathBuf,
}

impl Case {
    fn all() -> Vec<Self> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let directories = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let mut cases: Vec<_> = directories.map(|directory| Self { directory }).collect();
        cases.sort_by(|one, other| one.directory.cmp(&other.directory));
        cases
    }

    fn name(&self) -> &str {
        self.directory.file_name().unwrap().to_str().unwrap()
    }

    /// The detection type that the directory is named after.
    fn detection_type(&self) -> String {
        self.name().replace('-', "_").to_uppercase()
    }

    /// Lays out the files that are there before the daemon starts.
    fn prepare(&self, root: &Path) {
        let before = self.directory.join("before");
        if before.is_dir() {
            succeed(Command::new("cp").arg("-rT").arg(before).arg(root));
            succeed(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(root));
        }
    }

    /// The alerts of this case, masked, as text.
    fn alerts(&self, session: &mut Session) -> String {
        let mut alerts: Vec<Value> = session.alerts_before_a_sentinel().into_iter().map(masked).collect();
        alerts.sort_by_key(|alert| alert["file"]["path"].to_string());
        serde_json::to_string_pretty(&alerts).unwrap() + "\n"
    }
}

/// The values that differ from run to run, by JSON pointer, and what stands for them.
const VOLATILE: [(&str, &str); 13] = [
    ("/@timestamp", "<time>"),
    ("/event/created", "<time>"),
    ("/event/sequence", "<number>"),
    ("/event/id", "<number>"),
    ("/host", "<machine>"),
    ("/agent", "<machine>"),
    ("/process", "<writer>"),
    ("/pyhookwatch/writer", "<writer>"),
    ("/file/inode", "<number>"),
    ("/file/device", "<number>"),
    ("/file/mtime", "<time>"),
    ("/file/ctime", "<time>"),
    ("/pyhookwatch/count", "<number>"),
];

fn masked(alert: Alert) -> Value {
    let Alert(mut alert) = alert;
    for (pointer, mask) in VOLATILE {
        if let Some(value) = alert.pointer_mut(pointer) {
            *value = mask.into();
        }
    }
    // A writer that has ended is named without its user.
    for key in ["user", "container"] {
        alert.as_object_mut().unwrap().shift_remove(key);
    }
    let message = alert["message"].as_str().unwrap();
    let unmasked = message.split_once(" by /").map_or(message, |(before, _)| before);
    alert["message"] = format!("{unmasked} by <writer>").into();
    alert
}

/// The names after `detection_type:` and `type:` in the shipped rules.
fn detection_types() -> BTreeSet<String> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let files = fs::read_dir(rules).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let is_name =
        |word: &&str| word.contains('_') && word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    let types_of = |text: String| {
        let words = text.split("type: ").skip(1).filter_map(|rest| rest.split([' ', '\n', '}', ',']).next());
        words.filter(is_name).map(str::to_owned).collect::<Vec<_>>()
    };
    files.flat_map(types_of).collect()
}

#[test]
fn every_detection_type_of_the_shipped_rules_has_a_golden_alert() {
    let types = detection_types();
    assert!(types.len() > 20, "only {types:?}");
    let cases: BTreeSet<String> = Case::all().iter().map(Case::detection_type).collect();
    assert_eq!(cases, types, "tests/golden has one directory for each detection type of config/rules");
}

#[test]
fn each_case_raises_its_golden_alerts() {
    needs!(Fanotify, Records);
    let fixture = Fixture::new().with_all_rules();
    let cases = Case::all();
    cases.iter().for_each(|case| case.prepare(&fixture.root()));
    let root = fixture.root();
    // What is younger than 100 ms when the daemon starts counts as new.
    for tree in ["opt/l", "opt/m", "opt/n"] {
        wait_until_older(&root.join(tree).join("lib/python3.12"), Duration::from_millis(500));
    }
    let mut session = fixture.start(Backend::Fanotify);
    session.wait_for_the_baseline();
    session.alerts_before_a_sentinel();
    let mut command = Command::new("/bin/sh");
    command.current_dir(root);
    let mut shell = Helper::shell(command);
    shell.run("umask 022");
    let is_written = std::env::var_os("PYHOOKWATCH_WRITE_GOLDEN").is_some_and(|value| value == "1");
    let mut wrong = String::new();
    for case in &cases {
        // The shell is alive when the daemon looks for the writer.
        shell.run(&format!(". '{}'", case.directory.join("steps.sh").display()));
        let alerts = case.alerts(&mut session);
        if !alerts.contains(&format!("\"detection_type\": {:?}", case.detection_type())) {
            let _ = writeln!(wrong, "{}: no alert of the type {}:\n{alerts}", case.name(), case.detection_type());
        }
        let golden = case.directory.join("alerts.json");
        if is_written {
            fs::write(&golden, &alerts).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != alerts {
            let _ = writeln!(
                wrong,
                "{}: other alerts than {} (PYHOOKWATCH_WRITE_GOLDEN=1 writes it):\n{alerts}",
                case.name(),
                golden.display()
            );
        }
    }
    if !wrong.is_empty() {
        session.fail(&wrong);
    }
    session.stop();
}
