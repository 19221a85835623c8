//! The real binary on the real kernel: every kind of change, by every source, with the writers, mounts and installers
//! of real machines.
//!
//! Each test has a directory of its own that the daemon takes for `/`, so they run side by side. Most need root; a test
//! that lacks something is skipped with a line on standard error (see `support::needs`). `tests/prepare.sh` installs
//! what the tests need.

// Clippy lets the functions marked #[test] do this, but not those they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod disguise;
mod environment;
mod expect;
mod fixture;
mod golden;
mod installers;
mod mounts;
mod names;
mod orphans;
mod process;
mod records;
mod records_missing;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod surface;
mod writers;

/// Makes a test for each source of one scenario: `fn name(fixture: Fixture, backend: Backend) { ... }`.
/// The brackets hold what the scenario needs besides the source.
macro_rules! with_each_backend {
    ($($(#[$doc:meta])* [$($need:ident),*] fn $name:ident($fixture:ident, $backend:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use crate::fixture::{Backend, Fixture};
            use crate::support::needs;

            $(#[$doc])*
            fn scenario($fixture: Fixture, $backend: Backend) $body

            #[test]
            fn with_fanotify() {
                needs!(Fanotify $(, $need)*);
                scenario(Fixture::new(), Backend::Fanotify);
            }

            #[test]
            fn with_inotify() {
                needs!($($need),*);
                scenario(Fixture::new(), Backend::Inotify);
            }
        }
    )*};
}
pub(crate) use with_each_backend;
