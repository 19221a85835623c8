//! The daemon: starts the stages and their threads, and connects them.
//!
//! Threads: the fanotify reader (`reader`), inotify where it is needed, the directory scanner, the baseline until it is
//! complete, and the main thread. A tokio current-thread runtime on it does everything after the channel. Helper
//! threads write to files and standard output.

mod baseline;
mod budget;
mod channel;
mod debounce;
mod directory_scanner;
mod evidence;
mod inotify_feed;
mod losses;
mod pending_batch;
mod pipeline;
mod reader;
mod serve;
mod shared_filter;
mod shutdown;
mod signals;
mod sources;
mod startup;
mod stats;
mod status_collector;
pub mod status_report;
mod status_socket;
mod systemd;
mod throttle;
pub mod watch_plan;

pub use serve::{Failure, run};
