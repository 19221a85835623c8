//! What was there before: one look over the machine after the start, in a thread of its own. The hooks that are found
//! tell which modules, directories and files to watch besides; the environment files, what they set already.
//!
//! Changes are watched from the first moment; until this look is over, a setting that was there before counts as new,
//! and a module that a hook imports is not known as one.

use super::watch::{EventSender, SharedFilter};
use crate::event::{HookKind, HookLocation, LossCause, LossReport};
use crate::hook;
use crate::hook::content::Limits;
use crate::hook::follow;
use crate::hook::sites;
use crate::source::Message;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often it is looked whether there is room again.
const WAIT: Duration = Duration::from_millis(5);

/// Starts the look; what was made after `since` was not there before. It ends by itself, or with the first message that nobody takes any more.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    root: PathBuf,
    trees: &[PathBuf],
    since: SystemTime,
    filter: SharedFilter,
    handover: EventSender,
) -> io::Result<()> {
    let tops = match root == Path::new("/") {
        true => trees.to_vec(),
        false => vec![root.clone()],
    };
    std::thread::Builder::new()
        .name("pyhookwatch-stk".into())
        .spawn(move || look(&root, &tops, since, &filter, &handover))?;
    Ok(())
}

fn look(root: &Path, tops: &[PathBuf], since: SystemTime, filter: &SharedFilter, handover: &EventSender) {
    let inventory = sites::take_inventory(root, tops, &|_| ());
    for directory in inventory.pythons.iter().flat_map(|python| &python.directories) {
        if follow::was_there_before(root, &directory.path, since) {
            filter.tracked_paths().add_baseline_directory(directory.path.clone());
        }
        if let Some(end) = &directory.real_path {
            filter.tracked_paths().add_directory(end.clone(), directory.location);
        }
    }
    let leads_on = inventory.hooks.iter().filter(|found| match found.hook_path.kind {
        HookKind::Environment | HookKind::VenvConfig => true,
        HookKind::Pth | HookKind::Start | HookKind::Sitecustomize | HookKind::Usercustomize => {
            found.hook_path.location != HookLocation::Elsewhere
        }
        _ => false,
    });
    for found in leads_on {
        // Gone since, or not to be reached: then its next change tells.
        let Ok(file) = inventory.open(found) else { continue };
        let limits = Limits { hash: 0, ..Limits::default() };
        let (hook, _) = hook::read_only(root, filter.tracked_paths(), &file, limits);
        // The kernel's queue comes first.
        while !handover.has_room() {
            std::thread::sleep(WAIT);
        }
        if handover.sender.blocking_send(Message::Known(file.path, Box::new(hook))).is_err() {
            return;
        }
    }
    if inventory.truncated {
        let _ = handover.sender.blocking_send(Message::LossReport(LossReport {
            cause: LossCause::Unreadable,
            count: None,
            detail: "there are more hooks than are kept: modules that some of them import are not watched".into(),
        }));
    }
}
