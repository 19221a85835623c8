//! The earlier settings of environment files and virtual environments: the program reports only differences.

use crate::event::{EnvironmentSetting, Hook, HookKind};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

/// Files kept of each kind. Past it, a setting that was there before is reported as new.
const MAX_FILES: usize = 4096;

/// The last known state of files, as keyed hashes: no content is kept in memory.
#[derive(Default)]
pub(super) struct Baseline {
    /// Variables and values that each environment file sets.
    settings: HashMap<PathBuf, Box<[u64]>>,
    /// `home` of each virtual environment.
    homes: HashMap<PathBuf, u64>,
    keys: RandomState,
}

impl Baseline {
    /// Records the state of this file.
    pub(super) fn record(&mut self, path: &Path, hook: &Hook) {
        match hook.path.kind {
            HookKind::Environment => self.record_settings(path, &hook.content.settings),
            HookKind::VenvConfig => self.record_home(path, hook),
            _ => {}
        }
    }

    /// Returns the settings that this file did not have before, and records its present ones.
    pub(super) fn new_settings(&mut self, path: &Path, settings: Vec<EnvironmentSetting>) -> Vec<EnvironmentSetting> {
        let before = self.settings.get(path).map(|known| &**known).unwrap_or_default();
        // The end of a value that was cut is not known, so it can differ.
        let is_new = |setting: &&EnvironmentSetting| {
            setting.value.len() >= Hook::MAX_LINE || !before.contains(&self.key(setting))
        };
        let new = settings.iter().filter(is_new).cloned().collect();
        self.record_settings(path, &settings);
        new
    }

    /// Whether the `home` of a known virtual environment is another one now. Records the present one.
    pub(super) fn has_home_moved(&mut self, path: &Path, hook: &Hook) -> bool {
        let home = self.keys.hash_one(&hook.content.paths);
        let has_moved = self.homes.get(path).is_some_and(|known| *known != home);
        self.record_home(path, hook);
        has_moved
    }

    fn key(&self, setting: &EnvironmentSetting) -> u64 {
        self.keys.hash_one((setting.variable, &setting.value))
    }

    fn record_settings(&mut self, path: &Path, settings: &[EnvironmentSetting]) {
        let keys: Box<[u64]> = settings.iter().map(|setting| self.key(setting)).collect();
        if keys.is_empty() {
            self.settings.remove(path);
        } else if self.settings.len() < MAX_FILES || self.settings.contains_key(path) {
            self.settings.insert(path.to_owned(), keys);
        }
    }

    fn record_home(&mut self, path: &Path, hook: &Hook) {
        if self.homes.len() < MAX_FILES || self.homes.contains_key(path) {
            self.homes.insert(path.to_owned(), self.keys.hash_one(&hook.content.paths));
        }
    }
}
