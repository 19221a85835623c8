//! The baseline: one scan of the machine after the start, in a thread of its own. It finds the modules, directories
//! and files that existing hooks lead to, and the settings that environment files have already.
//!
//! Changes are watched from the first moment. Until the baseline is complete, an old setting counts as new, and a
//! module that a hook imports is not known as one.

use super::channel::{EventSender, PipelineInput};
use super::shared_filter::SharedFilter;
use crate::event::{HookKind, HookLocation, HookPath, LossCause, LossReport};
use crate::hook;
use crate::hook::birth;
use crate::hook::content::Limits;
use crate::hook::sites;
use crate::source::Message;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the thread checks for room in the channel.
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// Starts the thread. A file changed after `since` is not part of the baseline. The thread ends after the scan,
/// or when the channel is closed.
///
/// # Errors
/// When there can be no thread.
pub fn start(
    root: PathBuf,
    trees: &[PathBuf],
    since: SystemTime,
    filter: SharedFilter,
    events: EventSender,
) -> io::Result<()> {
    let tops = if root == Path::new("/") { trees.to_vec() } else { vec![root.clone()] };
    std::thread::Builder::new()
        .name("phw-baseline".into())
        .spawn(move || record(&root, &tops, since, &filter, &events))?;
    Ok(())
}

fn record(root: &Path, tops: &[PathBuf], since: SystemTime, filter: &SharedFilter, events: &EventSender) {
    let tracked = filter.tracked();
    let inventory = sites::take_inventory(root, tops, &|_| ());
    for directory in inventory.pythons.iter().flat_map(|python| &python.directories) {
        if birth::was_there_before(root, &directory.path, since) {
            tracked.add_baseline_directory(directory.path.clone());
        }
        if let Some(end) = &directory.real_path {
            tracked.add_directory(end.clone(), directory.location);
        }
    }
    for found in inventory.hooks.iter().filter(|found| leads_elsewhere(&found.hook_path)) {
        // Gone or unreadable: its next change is reported without a comparison.
        let Ok(file) = inventory.open(found) else { continue };
        let limits = Limits { hash: 0, ..Limits::default() };
        let (hook, _) = hook::read_only(root, &file, tracked.classify(&file.path), limits);
        // Events of the kernel take precedence.
        while !events.has_room() {
            std::thread::sleep(CHECK_EVERY);
        }
        if !events.send_blocking(PipelineInput::Baseline(file.path, Box::new(hook))) {
            return;
        }
    }
    if inventory.truncated {
        let detail = "there are more hooks than are kept: modules that some of them import are not watched";
        let loss = LossReport::new(LossCause::Unreadable, detail);
        events.send_blocking(PipelineInput::Source(Message::Loss(loss)));
    }
}

/// Whether the hook can lead to other files, or has settings to compare with.
fn leads_elsewhere(path: &HookPath) -> bool {
    match path.kind {
        HookKind::Environment | HookKind::VenvConfig => true,
        kind => kind.leads_on() && path.location != HookLocation::Elsewhere,
    }
}
