//! The real binary on the real kernel: every shape of a change that a writer can give it, by every
//! source, with the writers, mounts and installers that are met in practice.
//!
//! Each test has a directory of its own that the daemon takes for `/`, so they run side by side. Most
//! need root. A test that lacks what it needs says so loudly and passes; with
//! `PYHOOKWATCH_REQUIRE_LIVE=1` in the environment it fails. `tests/prepare.sh` installs what the
//! tests need. What only newer kernels can do is tried first; with `PYHOOKWATCH_ANY_KERNEL=1` a test that this kernel
//! makes impossible says so and passes.

// Clippy lets the functions marked #[test] do this, but not those they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod actor;
mod disguise;
mod environment;
mod expect;
mod harness;
mod installers;
mod kernel;
mod mounts;
mod names;
mod needs;
mod orphans;
mod process;
mod records;
mod records_missing;
mod shapes;
#[path = "../common/slowness.rs"]
mod slowness;
mod surface;
mod writers;

/// Makes of one scenario a test for each source: `fn name(scene: Scene, backend: Backend) { ... }`.
/// What the scenario needs besides the sources stands in brackets.
macro_rules! with_each_backend {
    ($($(#[$doc:meta])* [$($need:ident),*] fn $name:ident($scene:ident, $backend:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use crate::harness::{Backend, Scene};
            use crate::needs::{self, Need};

            $(#[$doc])*
            fn scenario($scene: Scene, $backend: Backend) $body

            #[test]
            fn with_fanotify() {
                if needs::met(concat!(module_path!(), "::with_fanotify"), &[Need::Fanotify $(, Need::$need)*]) {
                    scenario(Scene::new(), Backend::Fanotify);
                }
            }

            #[test]
            fn with_inotify() {
                if needs::met(concat!(module_path!(), "::with_inotify"), &[$(Need::$need),*]) {
                    scenario(Scene::new(), Backend::Inotify);
                }
            }
        }
    )*};
}
pub(crate) use with_each_backend;
