//! The inventory: which Pythons, searched directories and start-up files there are below a root, found by walking.
//!
//! * The walk opens each directory from its parent: never through a symbolic link, never into another filesystem than
//!   that of the top.
//! * It classifies only names that a start-up file can have.
//! * A symbolic link in place of a searched directory is resolved below the root, as Python would, and its target is
//!   listed under the link's path. [`Inventory::search_directory`] does so for a directory that a `.pth` file adds.
//!
//! At most [`MAX_FOUND`] are kept; unreadable directories are counted, and the first of each part is named.

mod file_names;
mod found;
mod inventory;
mod pythons;
mod scan;
#[cfg(test)]
mod tests;

pub use found::FoundHook;
pub use inventory::{Inventory, MAX_FOUND};
pub use pythons::{Python, PythonRole, SearchedDirectory, prefix};
pub use scan::{Progress, take_inventory};
