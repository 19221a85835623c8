//! The index of the watches: which directories have one, and which could not get one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most directories without a watch that are remembered: a report of so many means at least so many.
const MAX_FAILURES: usize = 10_000;
/// Failures of one tree shown in its report.
const EXAMPLES: usize = 3;

/// How much of one tree is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeReport {
    /// The top of the tree.
    pub root: PathBuf,
    /// Directories with a watch, the root included; 0 if the root is missing.
    pub watched: usize,
    /// Directories known to have none.
    pub failed: usize,
    /// Some of them, with the reason.
    pub examples: Vec<(PathBuf, String)>,
}

/// What is watched and what could not be. The reports share it, so it is never locked across a call that waits.
pub(super) struct WatchIndex {
    pub(super) roots: Vec<PathBuf>,
    /// Ordered by components, so that a directory and all below it are neighbours.
    pub(super) watched: BTreeSet<PathBuf>,
    failures: BTreeMap<PathBuf, String>,
}

impl WatchIndex {
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, watched: BTreeSet::new(), failures: BTreeMap::new() }
    }

    fn watched_below(&self, top: &Path) -> impl Iterator<Item = &PathBuf> {
        let from_top = (Bound::Included(top), Bound::Unbounded);
        self.watched.range::<Path, _>(from_top).take_while(move |path| path.starts_with(top))
    }

    fn failures_below(&self, top: &Path) -> impl Iterator<Item = (&PathBuf, &String)> {
        let from_top = (Bound::Included(top), Bound::Unbounded);
        self.failures.range::<Path, _>(from_top).take_while(move |(path, _)| path.starts_with(top))
    }

    /// Whether a directory had this path, watched or not.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.watched.contains(path) || self.failures_below(path).next().is_some()
    }

    pub(super) fn insert(&mut self, path: &Path) {
        self.failures.remove(path);
        self.watched.insert(path.to_path_buf());
    }

    pub(super) fn fail(&mut self, path: &Path, reason: String) {
        if self.failures.len() < MAX_FAILURES || self.failures.contains_key(path) {
            self.failures.insert(path.to_path_buf(), reason);
        }
    }

    /// Removes `top` and everything below; returns what was watched.
    pub(super) fn remove_below(&mut self, top: &Path) -> Vec<PathBuf> {
        let failed: Vec<PathBuf> = self.failures_below(top).map(|(path, _)| path.clone()).collect();
        for path in failed {
            self.failures.remove(&path);
        }
        let watched: Vec<PathBuf> = self.watched_below(top).cloned().collect();
        for path in &watched {
            self.watched.remove(path);
        }
        watched
    }

    pub(super) fn report(&self) -> Vec<TreeReport> {
        let tree = |root: &PathBuf| TreeReport {
            root: root.clone(),
            watched: self.watched_below(root).count(),
            failed: self.failures_below(root).count(),
            examples: self
                .failures_below(root)
                .take(EXAMPLES)
                .map(|(path, reason)| (path.clone(), reason.clone()))
                .collect(),
        };
        self.roots.iter().map(tree).collect()
    }
}

pub(super) fn lock(index: &Mutex<WatchIndex>) -> MutexGuard<'_, WatchIndex> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_index_keeps_neighbours_apart_and_bounds_its_failures() {
        let mut index = WatchIndex::new(vec![PathBuf::from("/a")]);
        for path in ["/a", "/a/b", "/a-b", "/ab", "/a/b/c"] {
            index.insert(Path::new(path));
        }
        for number in 0..MAX_FAILURES + 5 {
            index.fail(Path::new(&format!("/a/{number}")), "reason".into());
        }
        let report = index.report();
        let tree = report.first().unwrap();
        assert_eq!((tree.watched, tree.failed, tree.examples.len()), (3, MAX_FAILURES, EXAMPLES));
        assert_eq!(index.remove_below(Path::new("/a")).len(), 3);
        assert_eq!((index.watched.len(), index.failures.len()), (2, 0));
    }
}
