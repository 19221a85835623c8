//! The plain values that travel from stage to stage.
//!
//! Nothing here reads, decides or formats. Paths, names, command lines and the kernel's `comm` are
//! bytes that an attacker can choose; they stay bytes (`PathBuf`, `Vec<u8>`) until
//! [`crate::escape`] makes them printable.

mod change;
mod document;
mod handle_name;
mod hook;
mod loss;
mod verdict;
pub(crate) mod words;
mod writer;

pub use change::{Action, Change, FileEvent, FileRef, Interest, Seen};
pub use document::{DocumentHeader, SCHEMA_VERSION};
pub use handle_name::{HandleName, HandleNameRef};
pub use hook::{
    ContentClass, ContentReport, EnvironmentSetting, FileFacts, FileState, Hook, HookForm, HookKind, HookLocation,
    HookPath, Provenance, Signal, Signals, SpecialFile,
};
pub use loss::{LossCause, LossReport};
pub use verdict::{DeniedExclusion, ExcludedRule, Level, Match, RuleInfo, Verdict};
pub use words::UnknownWord;
pub(crate) use words::words;
pub use writer::{
    Candidate, Confidence, Credentials, Doubt, Evidence, Executable, FileId, LivingAncestor, Process, Script, Writer,
};
