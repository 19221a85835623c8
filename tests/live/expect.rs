//! What an alert must say.

use crate::fixture::Backend;
use serde_json::Value;
use std::path::PathBuf;

/// Who is to be named as the writer, where the source can name one.
#[derive(Clone, Debug)]
pub enum By {
    /// A process that was alive for certain: it must be named.
    Alive(PathBuf),
    /// One that may have been gone when it was looked for: one of these files, or nobody.
    Perhaps(Vec<PathBuf>),
}

impl By {
    /// This test program.
    pub fn this_test() -> Self {
        By::Alive(std::env::current_exe().unwrap().canonicalize().unwrap())
    }
}

/// The name before a rename.
#[derive(Clone, Debug)]
enum Previous {
    None,
    Path(String),
    Beside,
}

/// One alert.
#[derive(Clone, Debug)]
pub struct Expected {
    path: String,
    action: &'static str,
    detection: &'static str,
    elastic: bool,
    by: By,
    previous: Previous,
    complete: Option<bool>,
}

impl Expected {
    /// An alert of the Sumo rule, which knows no exclusion, about this path as seen from the root,
    /// written by this test program.
    pub fn new(action: &'static str, path: impl Into<String>, detection: &'static str) -> Self {
        let path = path.into();
        Self {
            path,
            action,
            detection,
            elastic: false,
            by: By::this_test(),
            previous: Previous::None,
            complete: Some(true),
        }
    }

    /// The Elastic rule, which wants a known executable, matches too.
    pub fn elastic(self) -> Self {
        Self { elastic: true, ..self }
    }

    /// The Elastic rule matches unless it excludes this executable.
    pub fn elastic_unless_excluded(self, executable: &std::path::Path) -> Self {
        let is_excluded = executable.to_str().is_some_and(|path| path.starts_with("/usr/bin/python"));
        Self { elastic: !is_excluded, ..self }
    }

    /// Written by somebody else.
    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// Renamed from here.
    pub fn from(self, previous: impl Into<String>) -> Self {
        Self { previous: Previous::Path(previous.into()), ..self }
    }

    /// Renamed from a name in the same directory that the writer made up.
    pub fn renamed_beside(self) -> Self {
        Self { previous: Previous::Beside, ..self }
    }

    /// Whether the writer was seen to finish; `None` where it depends on who is faster.
    pub fn complete(self, complete: impl Into<Option<bool>>) -> Self {
        Self { complete: complete.into(), ..self }
    }

    /// The path it is about.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with this alert; empty when it is as expected.
    pub fn differences(&self, alert: &Alert, backend: Backend) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut compare = |what: &str, found: Option<&str>, wanted: Option<&str>| {
            if found != wanted {
                wrong.push(format!("{what} is {found:?} and should be {wanted:?}"));
            }
        };
        compare("event.kind", alert.text("/event/kind"), Some("alert"));
        compare("file.path", alert.text("/file/path"), Some(&self.path));
        compare("event.action", alert.text("/event/action"), Some(self.action));
        compare("detection_type", alert.text("/pyhookwatch/detection_type"), Some(self.detection));
        let previous = alert.text("/pyhookwatch/previous_path");
        match &self.previous {
            Previous::None => compare("previous_path", previous, None),
            Previous::Path(path) => compare("previous_path", previous, Some(path)),
            Previous::Beside => {
                let directory = |path: &str| path.rsplit_once('/').map(|(directory, _)| directory.to_owned());
                compare(
                    "previous_path's directory",
                    previous.and_then(directory).as_deref(),
                    directory(&self.path).as_deref(),
                );
            }
        }
        let executable = alert.text("/process/executable");
        let rulesets = if self.elastic && executable.is_some() { "sumo elastic" } else { "sumo" };
        compare("rules", Some(&alert.rulesets()), Some(rulesets));
        if let Some(complete) = self.complete {
            compare("complete", alert.flag("/pyhookwatch/complete"), Some(if complete { "true" } else { "false" }));
        }
        let evidence = alert.text("/pyhookwatch/writer/evidence");
        match (backend, &self.by) {
            (Backend::Inotify, _) => {
                compare("writer.evidence", evidence, Some("unavailable"));
                if alert.0.get("process").is_some() {
                    wrong.push("there is a process".into());
                }
            }
            (_, By::Alive(path)) => {
                compare("writer.evidence", evidence, Some("proc"));
                compare("process.executable", executable, path.to_str());
            }
            (_, By::Perhaps(paths)) => {
                let is_known = ["proc", "exit-record", "exec-record", "fork-lineage"].map(Some).contains(&evidence);
                let known: Vec<_> = paths.iter().filter_map(|path| path.to_str()).collect();
                if is_known != executable.is_some() || executable.is_some_and(|path| !known.contains(&path)) {
                    wrong.push(format!("the writer is {executable:?} ({evidence:?}) and should be one of {known:?}"));
                }
                if !is_known && evidence != Some("unknown") {
                    wrong.push(format!("writer.evidence is {evidence:?}"));
                }
            }
        }
        wrong
    }
}

/// A line of the daemon's output.
#[derive(Clone, Debug)]
pub struct Alert(pub Value);

impl Alert {
    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// The boolean at a JSON pointer, as a word.
    pub fn flag(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_bool().map(|flag| if flag { "true" } else { "false" })
    }

    /// The rulesets of the rules that matched, in their order.
    pub fn rulesets(&self) -> String {
        names(self.0.pointer("/pyhookwatch/rules"))
    }

    /// The rulesets of the rules that only an exclusion kept quiet.
    pub fn excluded(&self) -> String {
        names(self.0.pointer("/pyhookwatch/excluded"))
    }

    /// Why an exclusion of the rule of this ruleset did not count.
    pub fn exclusion_not_applied(&self, ruleset: &str) -> Option<&str> {
        let rules = self.0.pointer("/pyhookwatch/rules")?.as_array()?;
        let rule = rules.iter().find(|rule| rule["ruleset"] == ruleset)?;
        rule.pointer("/exclusion_not_applied/reason")?.as_str()
    }

    /// Seconds from the first record of the change to the alert, by the daemon's own clock.
    pub fn delay(&self) -> f64 {
        let time_of_day = |pointer| {
            let text = self.text(pointer).unwrap().strip_suffix('Z').unwrap();
            let (_, time) = text.split_once('T').unwrap();
            time.split(':').fold(0.0, |seconds, part| seconds * 60.0 + part.parse::<f64>().unwrap())
        };
        let day = 86_400.0;
        (time_of_day("/event/created") - time_of_day("/@timestamp") + day) % day
    }
}

fn names(rules: Option<&Value>) -> String {
    let rules = rules.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rules.iter().filter_map(|rule| rule["ruleset"].as_str()).collect::<Vec<_>>().join(" ")
}
