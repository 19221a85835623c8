//! The third stage: what is it, what would run, and whose is it? Facts for the rules, found through the directory
//! of the event, with a cap on everything read.
//!
//! [`kind`] knows a hook by its path and [`tracked_paths`] by what other hooks lead to; [`content`] reads the file once;
//! [`classify`] reads the bytes with the grammar of the kind; [`follow`] looks at what the hook leads to;
//! [`provenance`] asks the lists of packages.

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
    ContentClass, ContentReport, EnvironmentSetting, FileFacts, FileRef, FileState, Hook, HookKind, HookPath, Signal,
};
use content::{Content, Limits};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tracked_paths::TrackedPaths;

/// Environment files whose settings are remembered, and environments whose `home` is.
const MAX_REMEMBERED: usize = 4096;

/// The start-up surface of one machine: what is known of it, and how to look at a file of it.
pub struct Surface {
    root: PathBuf,
    tracked: Arc<TrackedPaths>,
    ledger: provenance::PackageDb,
    /// Before this moment nothing was watched: what was changed later has an event of its own.
    since: SystemTime,
    /// What environment files set when they were looked at last, as hashes of variable and value.
    settings: HashMap<PathBuf, Box<[u64]>>,
    /// `home` of the virtual environments, as hashes.
    homes: HashMap<PathBuf, u64>,
    keys: RandomState,
}

/// What reading a hook, and what it leads to, has cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Bytes hashed.
    pub hashed: u64,
    /// Bytes parsed.
    pub parsed: u64,
}

impl Surface {
    /// The surface below this root, watched since this moment.
    pub fn new(root: &Path, tracked: Arc<TrackedPaths>, since: SystemTime) -> Self {
        Self {
            root: root.to_owned(),
            tracked,
            ledger: provenance::PackageDb::new(root),
            since,
            settings: HashMap::new(),
            homes: HashMap::new(),
            keys: RandomState::new(),
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

    /// What is known without reading the file: enough for a file that is no hook and that few rules want.
    pub fn unread(&self, file: &FileRef, path: HookPath) -> Hook {
        Hook { file: content::metadata(file), ..Hook::new(path) }
    }

    /// Everything about a changed file, and what it cost to know it.
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
            // A link is as good as what it leads to.
            Some(end) => {
                let end = FileRef { path: end.clone(), directory: None };
                self.ledger.of(&end, &content.facts, content.md5)
            }
            None => self.ledger.of(file, &hook.file, content.md5),
        };
        match hook.path.kind {
            HookKind::Environment => self.keep_what_is_new(&file.path, &mut hook),
            HookKind::VenvConfig => self.compare_home(&file.path, &mut hook),
            _ => {}
        }
        (hook, spent)
    }

    /// Remembers a file that was there before the watch began, so that a later change can be told from it.
    pub fn record_baseline(&mut self, path: &Path, hook: &Hook) {
        let is_old = hook.file.changed.is_some_and(|changed| changed < self.since);
        match hook.path.kind {
            HookKind::Environment if is_old => self.remember_settings(path, &hook.content.settings),
            HookKind::VenvConfig if is_old => self.remember_home(path, hook),
            _ => {}
        }
        follow::track(&self.tracked, path, hook);
    }

    /// Learns where the hook leads.
    pub fn track(&mut self, path: &Path, hook: &Hook) {
        follow::track(&self.tracked, path, hook);
    }

    /// Leaves only the settings that were not there before.
    fn keep_what_is_new(&mut self, path: &Path, hook: &mut Hook) {
        let now = hook.content.settings.clone();
        let before = self.settings.get(path).map(|known| &**known).unwrap_or_default();
        hook.content.settings.retain(|setting| {
            // Of a value that was cut, what was cut off is not known.
            setting.value.len() >= Hook::MAX_LINE || !before.contains(&self.key(setting))
        });
        hook.content.signals = classify::signals_of(&hook.content.settings);
        self.remember_settings(path, &now);
    }

    fn key(&self, setting: &EnvironmentSetting) -> u64 {
        self.keys.hash_one((setting.variable, &setting.value))
    }

    fn remember_settings(&mut self, path: &Path, settings: &[EnvironmentSetting]) {
        let keys: Box<[u64]> = settings.iter().map(|setting| self.key(setting)).collect();
        if keys.is_empty() {
            self.settings.remove(path);
        } else if self.settings.len() < MAX_REMEMBERED || self.settings.contains_key(path) {
            // Past the bound a setting that was there before is reported as new.
            self.settings.insert(path.to_owned(), keys);
        }
    }

    /// `home` of an environment that was known with another one has moved.
    fn compare_home(&mut self, path: &Path, hook: &mut Hook) {
        let home = self.keys.hash_one(&hook.content.paths);
        if self.homes.get(path).is_some_and(|known| *known != home) {
            hook.content.signals.insert(Signal::HomeMoved);
        }
        self.remember_home(path, hook);
    }

    fn remember_home(&mut self, path: &Path, hook: &Hook) {
        if self.homes.len() < MAX_REMEMBERED || self.homes.contains_key(path) {
            self.homes.insert(path.to_owned(), self.keys.hash_one(&hook.content.paths));
        }
    }
}

/// Reads a file, and at the end of a link what it leads to. No more than that: what is around it is another question.
pub fn read_only(root: &Path, file: &FileRef, at: HookPath, limits: Limits) -> (Hook, Content) {
    let mut content = content::read(file, limits);
    let facts = content.facts.clone();
    let mut end = None;
    if let FileState::SymbolicLink(target) = &facts.state {
        // What Python runs is at the other end.
        (content, end) = follow::target(root, &file.path, target, limits);
    }
    let mut hook = hook_of(at, &file.path, facts, &content);
    if let FileState::SymbolicLink(target) = &hook.file.state {
        hook.content.signals.extend(search_path::signals(target.as_os_str().as_encoded_bytes()));
    }
    hook.real_path = end;
    (hook, content)
}

/// A hook as `explain` sees it: the path, and possibly content that was never planted.
pub fn hypothetical(path: &Path, content: Option<&[u8]>) -> Hook {
    let at = kind::of(path);
    let Some(content) = content else { return Hook::new(at) };
    let head = content.get(..content::MAX_PARSED).unwrap_or(content);
    let content = Content {
        facts: FileFacts { state: FileState::Regular, size: Some(content.len() as u64), ..FileFacts::default() },
        whole: head.len() == content.len(),
        head: head.to_vec(),
        md5: None,
    };
    let facts = content.facts.clone();
    hook_of(at, path, facts, &content)
}

/// What the path and the content tell, without a look at anything else.
fn hook_of(at: crate::event::HookPath, path: &Path, file: FileFacts, content: &Content) -> Hook {
    if content.facts.state != FileState::Regular {
        let class = match content.facts.state {
            FileState::Special("directory") => ContentClass::Inert,
            _ => ContentClass::Unknown,
        };
        return Hook { file, content: ContentReport::of(class), ..Hook::new(at) };
    }
    let mut content = classify::classify(at, path, &content.head, !content.whole);
    content.signals.extend(classify::signals_of(&content.settings));
    Hook { file, content, ..Hook::new(at) }
}

#[cfg(test)]
mod tests;
