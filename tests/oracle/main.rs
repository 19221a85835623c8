//! Parsers and rules compared with other sources of truth: real shells and Pythons, corpora, and tables written from the
//! definitions of the public rules.

// Clippy allows these in functions marked #[test] only, not in the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod content;
mod grammar_limits;
mod seed_parity;
mod shell;
mod site;
