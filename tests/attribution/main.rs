//! The attribution gate: is every writer named, also one that is already gone, and never a wrong one?
//!
//! Writers of many shapes put hundreds of hook files each before the real binary on the real kernel, in
//! three modes: normal, with every core loaded, and with the watchers stopped until every writer is dead.
//! Each alert is judged: right, unknown or wrong. Two peers watch the same writes: fatrace, and a plain
//! reader of `/proc`. The table goes to standard output and to `attribution.tsv` in cargo's target
//! directory. A flood of processes shows what the records cost.
//!
//! For work on it: `PYHOOKWATCH_GATE_SHAPES=cp,mv` and `PYHOOKWATCH_GATE_MODES=normal,stopped` choose,
//! `PYHOOKWATCH_GATE_WRITES=50` writes less.
//!
//! It needs root and a C compiler. Without them it says so loudly and passes; with
//! `PYHOOKWATCH_REQUIRE_LIVE=1` in the environment it fails.

// Clippy lets the functions marked #[test] do this, but not those they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod daemon;
mod flood;
mod gate;
mod kernel;
mod needs;
mod peers;
mod requirements;
mod score;
mod shapes;
#[path = "../common/slowness.rs"]
mod slowness;
mod stage;
mod table;
mod watcher;
