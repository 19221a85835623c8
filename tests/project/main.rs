//! Checks of the project itself: the shape of the code, its words, its documents and its packaging.
//! No test here starts the daemon.

// Clippy allows these in functions marked #[test] only, not in the functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod architecture;
mod change_path;
mod manual;
mod packaging;
mod source;
mod words;
