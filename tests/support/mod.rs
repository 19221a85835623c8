//! What the tests share that start the daemon: scratch trees, processes, their output as events with
//! deadlines, and what a test needs of the machine.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of this")]

pub mod daemon;
pub mod helper;
pub mod kernel;
pub mod needs;
pub mod process;
pub mod schema;
pub mod tree;
pub mod wait;

pub use daemon::DaemonUnderTest;
pub use helper::{Helper, OWN_MOUNTS, py};
pub(crate) use needs::needs;
pub use process::{CommandOutput, Lines, PROGRAM, Running, print, program, spawn, succeed, write};
pub use tree::{PACKAGES, ScratchTree, plant_in};
pub use wait::{eventually, patience, scaled, wait_until, wait_until_older};
