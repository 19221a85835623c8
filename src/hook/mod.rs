//! The third stage: what is the file, what would run, and which package owns it? It gathers facts for the rules, reads
//! through the directory of the event, and limits everything that it reads.
//!
//! [`kind`] knows a hook by its path and [`tracked_paths`] by what other hooks lead to; [`content`] reads the file once;
//! [`classify`] reads the bytes with the grammar of the kind; [`follow`] reads what the hook leads to;
//! [`provenance`] searches the lists of packages.

mod baseline;
pub mod birth;
pub mod bytecode;
pub mod classify;
pub mod content;
pub mod env;
pub mod follow;
pub mod kind;
pub mod location;
pub mod provenance;
pub mod pth;
pub mod python;
pub mod search_path;
pub mod sites;
pub mod start;
pub mod tracked_paths;
pub mod venv;

use crate::event::{
    ContentClass, ContentReport, FileFacts, FileRef, FileState, Hook, HookKind, HookPath, Signal, SpecialFile,
};
use baseline::Baseline;
use content::{Content, Limits};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tracked_paths::TrackedPaths;

/// The start-up files of one machine, and what is known of them.
pub struct Surface {
    root: PathBuf,
    tracked: Arc<TrackedPaths>,
    packages: provenance::PackageDb,
    /// When the watch began: later changes have events of their own.
    since: SystemTime,
    baseline: Baseline,
}

/// The cost of reading a hook and its targets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Bytes hashed.
    pub hashed: u64,
    /// Bytes parsed.
    pub parsed: u64,
}

impl Surface {
    /// The start-up files below this root, watched since this moment.
    pub fn new(root: &Path, tracked: Arc<TrackedPaths>, since: SystemTime) -> Self {
        Self {
            root: root.to_owned(),
            tracked,
            packages: provenance::PackageDb::new(root),
            since,
            baseline: Baseline::default(),
        }
    }

    /// The directory treated as `/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The paths that are tracked because hooks lead to them.
    pub fn tracked(&self) -> &TrackedPaths {
        &self.tracked
    }

    /// What the path is to Python; `known` where a source had to find out.
    pub fn classify(&self, file: &FileRef, known: Option<HookPath>) -> HookPath {
        known.unwrap_or_else(|| self.tracked.classify(&file.path))
    }

    /// A file with its metadata, without its content: enough for a file that is no hook.
    pub fn unread(&self, file: &FileRef, path: HookPath) -> Hook {
        Hook { file: content::metadata(file), ..Hook::new(path) }
    }

    /// Everything about a changed file of this classification, and what reading it has cost.
    pub fn inspect(&mut self, file: &FileRef, path: HookPath, limits: Limits) -> (Hook, Spent) {
        let (mut hook, content) = read_only(&self.root, file, path, limits);
        let mut spent = Spent {
            hashed: content.md5.map_or(0, |_| content.facts.size.unwrap_or_default()),
            parsed: content.head.len() as u64,
        };
        if hook.path.kind == HookKind::Other {
            return (hook, spent);
        }
        spent.parsed += follow::look_around(&self.root, &self.tracked, file, &mut hook);
        hook.provenance = match &hook.real_path {
            // The package that matters is the one of the link's target.
            Some(target) => {
                let target = FileRef { path: target.clone(), directory: None };
                self.packages.of(&target, &content.facts, content.md5)
            }
            None => self.packages.of(file, &hook.file, content.md5),
        };
        self.compare_with_baseline(&file.path, &mut hook);
        (hook, spent)
    }

    /// Records a file that was there before the watch began, so that a later change is compared with it.
    pub fn record_baseline(&mut self, path: &Path, hook: &Hook) {
        if hook.file.changed.is_some_and(|changed| changed < self.since) {
            self.baseline.record(path, hook);
        }
        self.track(path, hook);
    }

    /// Tracks the files and directories that the hook leads to.
    pub fn track(&mut self, path: &Path, hook: &Hook) {
        follow::track(&self.tracked, path, hook);
    }

    fn compare_with_baseline(&mut self, path: &Path, hook: &mut Hook) {
        match hook.path.kind {
            HookKind::Environment => {
                let settings = std::mem::take(&mut hook.content.settings);
                hook.content.settings = self.baseline.new_settings(path, settings);
                hook.content.signals = classify::signals_of(&hook.content.settings);
            }
            HookKind::VenvConfig if self.baseline.has_home_moved(path, hook) => {
                hook.content.signals.insert(Signal::HomeMoved);
            }
            _ => {}
        }
    }
}

/// Reads a file, or the target of a link, and nothing around it.
pub fn read_only(root: &Path, file: &FileRef, path: HookPath, limits: Limits) -> (Hook, Content) {
    let mut content = content::read(file, limits);
    let facts = content.facts.clone();
    let mut real_path = None;
    if let FileState::SymbolicLink(target) = &facts.state {
        (content, real_path) = follow::target(root, &file.path, target, limits);
    }
    let mut hook = Hook { real_path, ..hook_of(path, &file.path, facts, &content) };
    if let FileState::SymbolicLink(target) = &hook.file.state {
        hook.content.signals.extend(search_path::signals(target.as_os_str().as_encoded_bytes()));
    }
    (hook, content)
}

/// A hook that need not exist, for `explain`: from its path, and from content if there is any.
pub fn hypothetical(path: &Path, content: Option<&[u8]>) -> Hook {
    let hook_path = kind::of(path);
    let Some(content) = content else { return Hook::new(hook_path) };
    let head = content.get(..content::MAX_PARSED).unwrap_or(content);
    let facts = FileFacts { state: FileState::Regular, size: Some(content.len() as u64), ..FileFacts::default() };
    let content = Content { facts: facts.clone(), whole: head.len() == content.len(), head: head.to_vec(), md5: None };
    hook_of(hook_path, path, facts, &content)
}

/// A hook from its path and its content alone.
fn hook_of(hook_path: HookPath, path: &Path, file: FileFacts, content: &Content) -> Hook {
    let report = match content.facts.state {
        FileState::Regular => {
            let mut report = classify::classify(hook_path, path, &content.head, !content.whole);
            report.signals.extend(classify::signals_of(&report.settings));
            report
        }
        FileState::Special(SpecialFile::Directory) => ContentReport::of(ContentClass::Inert),
        _ => ContentReport::of(ContentClass::Unknown),
    };
    Hook { file, content: report, ..Hook::new(hook_path) }
}

#[cfg(test)]
mod tests;
