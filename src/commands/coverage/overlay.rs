//! What this kernel tells of writes through an overlay: found by mounting one and writing, as the self-test does.

use super::{Finding, State};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// See the module.
pub enum Overlay {
    /// Each way to write, in the self-test's words, and whether it was told.
    Tried(Vec<(String, bool)>),
    /// Why it is not known.
    NotEstablished(String),
}

impl Overlay {
    /// Whether new names, renames and writes to existing files are all told.
    pub fn tells_everything(&self) -> bool {
        matches!(self, Self::Tried(ways) if ways.iter().all(|(_, is_told)| *is_told))
    }

    /// What it means for a tree on an overlay.
    pub fn finding(&self) -> Option<Finding> {
        let reason = match self {
            _ if self.tells_everything() => return None,
            Self::Tried(ways) => {
                let missing = ways.iter().filter(|(_, is_told)| !is_told).map(|(way, _)| match way.as_str() {
                    "overlay-creation" => "new files",
                    "overlay-rename" => "renames",
                    _ => "writes to existing files",
                });
                format!(
                    "not all that is done through an overlay is told here: {}",
                    missing.collect::<Vec<_>>().join(", ")
                )
            }
            Self::NotEstablished(reason) => {
                format!("not established what this kernel tells of writes through an overlay: {reason}")
            }
        };
        let advice = "Linux 6.5 and later tell everything; before it, new names and renames";
        Some(Finding { state: State::Degraded, code: "overlay-incomplete", reason, advice })
    }
}

/// Has a child of this program mount an overlay in a mount namespace of its own and write through it.
pub fn try_out() -> Overlay {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("pyhookwatch").args(["selftest", "--json", "--overlay-only"]).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Overlay::NotEstablished(error.to_string()),
    };
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let places = document["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |place: &Value, key: &str| place[key].as_str().unwrap_or_default().to_owned();
    let of_overlay: Vec<&Value> = places.iter().filter(|place| text(place, "name").starts_with("overlay-")).collect();
    if let Some(not_tried) = of_overlay.iter().find(|place| text(place, "outcome") == "not-tried") {
        return Overlay::NotEstablished(text(not_tried, "reason"));
    }
    match of_overlay.is_empty() {
        true => Overlay::NotEstablished("the self-test could not try it".into()),
        false => {
            // Another fault than silence, such as a writer that is not named, is none of the overlay.
            let is_told = |place: &Value| place["latency_ms"].is_number();
            Overlay::Tried(of_overlay.iter().map(|place| (text(place, "name"), is_told(place))).collect())
        }
    }
}
