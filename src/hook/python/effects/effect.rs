//! What the functions of Python's library do, as far as it matters here.

/// What a name does when it is called or passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Runs its argument as code.
    Execute,
    /// Compiles its argument.
    Compile,
    /// Runs a file or a module as code.
    RunFile,
    /// Opens a prompt or a debugger, or reads user input.
    Console,
    /// Decodes or decompresses.
    Decode,
    /// Loads marshalled or pickled objects.
    Deserialise,
    /// Starts a process.
    Spawn,
    /// Forks the process.
    Fork,
    /// Replaces one descriptor by another.
    Duplicate,
    /// Makes a file in memory.
    MemoryFile,
    /// Uses the network.
    Network,
    /// Calls native code.
    Native,
    /// Makes memory for native code.
    NativeMemory,
    /// Starts a thread.
    Thread,
    /// Imports by name.
    Import,
    /// Loads a module from a file.
    Loader,
    /// Changes how modules are found.
    ImportHook,
    /// Writes, moves or links files.
    FileChange,
}
