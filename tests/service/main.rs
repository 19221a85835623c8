//! The whole program as an administrator meets it: the real binary, as root, on real files below a
//! fresh `--root`, with a real syslog daemon.
//!
//! A test that needs root says so loudly and passes without it; with `PYHOOKWATCH_REQUIRE_LIVE=1` it
//! fails instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test that cannot go on must stop"
)]

mod check;
mod coverage;
mod documented;
mod explain;
mod file_output;
mod hostile;
mod manager;
mod others;
mod output;
mod oversize;
mod powers;
mod privileges;
mod reload;
mod rsyslog;
mod scan;
mod schema;
mod secrets;
mod selftest;
mod shutdown;
mod stalled;
mod status;
mod steady;
#[path = "../support/mod.rs"]
mod support;
mod syslog;
mod usage;
