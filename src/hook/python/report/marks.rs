//! What was found that matters only together with something else. A set of marks is a `u32`.

/// Runs a text that is not in the source.
pub const EXECUTES: u32 = 1;
/// Decodes.
pub const DECODES: u32 = 1 << 1;
/// Uses the network.
pub const NETWORK: u32 = 1 << 2;
/// Starts a process.
pub const SPAWNS: u32 = 1 << 3;
/// Forks.
pub const FORKS: u32 = 1 << 4;
/// Replaces one descriptor by another.
pub const DUPLICATES: u32 = 1 << 5;
/// Starts a thread.
pub const THREAD: u32 = 1 << 6;
/// Calls native code.
pub const NATIVE: u32 = 1 << 7;
/// Makes memory for native code.
pub const NATIVE_MEMORY: u32 = 1 << 8;
/// Makes a file in memory.
pub const MEMORY_FILE: u32 = 1 << 9;
/// Writes to a file that the system runs later.
pub const WRITES_PERSISTENCE: u32 = 1 << 10;
/// Reads the whole environment.
pub const HARVEST: u32 = 1 << 11;
/// Loads objects.
pub const DESERIALISES: u32 = 1 << 12;
/// Writes downloaded or decoded data.
pub const WRITES_FETCHED: u32 = 1 << 13;
/// Walks Python's classes.
pub const WALKS: u32 = 1 << 14;
/// Makes a file executable, moves or links it.
pub const CHANGES_FILES: u32 = 1 << 15;
/// Runs a file as code or loads a module from one.
pub const RUNS_FILE: u32 = 1 << 16;
