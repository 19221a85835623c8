//! The attribution gate: is every writer named, also one that is already gone, and never a wrong one?
//!
//! Writers of many shapes put hundreds of hook files each before the real binary on the real kernel, in
//! three modes: normal, with every core loaded, and with the watchers stopped until every writer is dead.
//! Each alert is judged: right, unknown or wrong. Two peers watch the same writes: fatrace, and a plain
//! reader of `/proc`. The table goes to standard error and to `attribution.tsv` in cargo's target
//! directory. A flood of processes shows what the records cost.
//!
//! For work on it: `PYHOOKWATCH_GATE_SHAPES=cp,mv` and `PYHOOKWATCH_GATE_MODES=normal,stopped` choose,
//! `PYHOOKWATCH_GATE_WRITES=50` writes less.
//!
//! It needs root and a C compiler; without them it is skipped with a line on standard error (see `support::needs`).

// Clippy allows these in functions marked #[test] only, not in the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod daemon;
mod flood;
mod gate;
mod peers;
mod requirements;
mod score;
mod shapes;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tree;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps the tests of this program apart: each measures the whole machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
