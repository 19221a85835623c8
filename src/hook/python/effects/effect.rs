//! What the functions of Python's library do, as far as it matters here.

/// What a name does when it is called or passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Runs its argument as code.
    Execute,
    /// Makes code of its argument.
    Compile,
    /// Runs a file or a module as code.
    RunFile,
    /// Gives a prompt or a debugger, or what was typed.
    Console,
    /// Decodes or decompresses.
    Decode,
    /// Loads marshalled or pickled objects.
    Deserialise,
    /// Starts a process.
    Spawn,
    /// Makes a copy of this process.
    Fork,
    /// Puts a descriptor in the place of another.
    Duplicate,
    /// A file without a name in a directory.
    MemoryFile,
    /// Talks to the network.
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
    /// How modules are found.
    ImportHook,
    /// Writes, moves or links files.
    FileChange,
}
