//! The filter of the hot path: by name, and for common names by path.

use crate::event::{HookKind, HookLocation, HookPath, Interest};
use crate::hook::tracked_paths::TrackedPaths;
use crate::rules::filter::NameFilter;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by all threads that find changes. A reload replaces the names of the rules as a whole.
#[derive(Clone, Default)]
pub struct SharedFilter {
    names: Arc<RwLock<Arc<NameFilter>>>,
    tracked: Arc<TrackedPaths>,
}

/// A path that a rule may want.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// See [`crate::event::FileEvent::classification`].
    pub classification: Option<HookPath>,
}

impl SharedFilter {
    /// Replaces the names by those of these rules.
    pub fn replace(&self, filter: NameFilter) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(filter);
    }

    /// Whether any rule may want this name. No allocation, no system call.
    pub fn interest(&self, name: &[u8]) -> Interest {
        match self.names.read().unwrap_or_else(PoisonError::into_inner).interest(name) {
            Interest::None if self.tracked.may_match(name) => Interest::InPlace,
            interest => interest,
        }
    }

    /// Whether any rule may want the file of this path, whose name is of this interest.
    pub fn accept(&self, interest: Interest, path: &Path) -> Option<Accepted> {
        match interest {
            Interest::None => None,
            // The hook stage classifies it later, when more tracked paths are known.
            Interest::Always => Some(Accepted { classification: None }),
            Interest::InPlace => {
                let found = self.tracked.classify(path);
                // Another hook may still lead to a path elsewhere, which changes its location.
                let is_final = found.location != HookLocation::Elsewhere;
                (found.kind != HookKind::Other).then(|| Accepted { classification: Some(found).filter(|_| is_final) })
            }
        }
    }

    /// The paths that the hook stage tracks on this machine.
    pub fn tracked(&self) -> &Arc<TrackedPaths> {
        &self.tracked
    }
}
