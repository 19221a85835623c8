//! The result of a scan.

use crate::commands::exit::Exit;
use crate::event::{ContentClass, Hook, HookKind, HookLocation, Provenance};
use crate::hook::sites::{FoundHook, Inventory};
use std::path::PathBuf;

/// A hook, and the report of its content.
pub struct JudgedHook {
    /// Where it was found.
    pub found: FoundHook,
    /// The hook.
    pub hook: Hook,
}

impl JudgedHook {
    /// Whether the table shows it. Unchanged parts of Python with unremarkable content are only counted.
    pub fn is_remarkable(&self) -> bool {
        let is_bad = matches!(self.hook.content.class, ContentClass::Hostile | ContentClass::Suspicious);
        let is_changed = matches!(self.hook.provenance, Provenance::Changed(_));
        let is_part_of_python = matches!(
            self.found.hook_path.kind,
            HookKind::Site
                | HookKind::StdlibBoot
                | HookKind::StdlibFile
                | HookKind::Interpreter
                | HookKind::BundledWheel
        );
        is_bad || is_changed || !(is_part_of_python || self.found.hook_path.location == HookLocation::Elsewhere)
    }
}

/// Everything that `scan` found.
pub struct Report {
    /// The directory that is treated as `/`.
    pub root: PathBuf,
    /// The Pythons and the paths of the hooks.
    pub inventory: Inventory,
    /// The hooks in the order of their paths.
    pub hooks: Vec<JudgedHook>,
    /// Hooks that could not be read, and why.
    pub skipped: Vec<(PathBuf, String)>,
}

impl Report {
    /// The number of hooks of this class.
    pub fn count(&self, class: ContentClass) -> usize {
        self.hooks.iter().filter(|judged| judged.hook.content.class == class).count()
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        if self.count(ContentClass::Hostile) > 0 {
            Exit::Finding
        } else if self.inventory.unreadable > 0 || !self.skipped.is_empty() {
            Exit::NoPermission
        } else {
            Exit::Fine
        }
    }
}
