//! Writes the hook of a test case, by a helper process.

use super::cases::{DIRECTORY_RENAME, Technique};
use super::helper::{self, CONTENT, FinishedHelper, HelperAction};
use super::watcher::Watcher;
use std::path::Path;

/// Writes the hook. `staging` holds what is renamed or linked into place.
///
/// # Errors
/// Why the technique is not possible here.
pub fn plant(technique: &Technique, hook: &Path, staging: &Path, watcher: &Watcher) -> Result<FinishedHelper, String> {
    let text = |error: std::io::Error| error.to_string();
    if !technique.pauses_watcher {
        return start_helper(technique, hook, staging);
    }
    watcher.pause().map_err(text)?;
    let finished = start_helper(technique, hook, staging);
    watcher.resume().map_err(text)?;
    finished
}

fn start_helper(technique: &Technique, hook: &Path, staging: &Path) -> Result<FinishedHelper, String> {
    let text = |error: std::io::Error| error.to_string();
    match technique.action {
        HelperAction::Rename if technique.name == DIRECTORY_RENAME => {
            helper::start(technique.action, &[&staging.join("packages"), hook.parent().unwrap_or(hook)])
        }
        HelperAction::Rename => {
            // On the filesystem of the hook, under a name that is no hook's.
            let staged = hook.with_file_name("pyhookwatch-selftest.staged");
            if hook.exists() {
                std::fs::remove_file(hook).map_err(text)?;
            }
            std::fs::write(&staged, CONTENT).map_err(text)?;
            helper::start(technique.action, &[&staged, hook])
        }
        HelperAction::Link => {
            let linked = staging.join("linked");
            std::fs::write(&linked, CONTENT).map_err(text)?;
            helper::start(technique.action, &[&linked, hook])
        }
        action => helper::start(action, &[hook]),
    }
}
