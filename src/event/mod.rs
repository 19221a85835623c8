//! The plain values that travel from stage to stage.
//!
//! Nothing here reads, decides or formats. Paths, names, command lines and the kernel's `comm` are
//! bytes chosen by whoever made the change; they stay bytes (`PathBuf`, `Vec<u8>`) until
//! [`crate::escape`] makes them printable.

mod document;
mod hook;
mod writer;

pub use document::{DocumentHeader, SCHEMA_VERSION};
pub use hook::{
    ContentClass, ContentReport, EnvironmentSetting, FileFacts, FileState, Hook, HookForm, HookKind, HookLocation,
    HookPath, Provenance, Signal, Signals,
};
pub use writer::{
    Candidate, Confidence, Credentials, Doubt, Evidence, Executable, FileId, HandleName, LivingAncestor, Locate,
    Process, Script, Writer,
};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What was done to a file. The words are an interface: `--action`, the rules' `EventAction` and
/// `event.action` of the alert all use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The name is new: a created file, a hard link, a symbolic link.
    #[default]
    Creation,
    /// An existing file was written, truncated, or opened for writing and closed.
    Change,
    /// The name was given by a rename, of the file or of a directory above it.
    Rename,
    /// The name was removed.
    Deletion,
    /// Owner, mode or times were changed.
    Attribute,
    /// A mount now covers the path.
    Mount,
}

impl Action {
    /// Every action with its word.
    pub const ALL: [(Action, &'static str); 6] = [
        (Action::Creation, "creation"),
        (Action::Change, "change"),
        (Action::Rename, "rename"),
        (Action::Deletion, "deletion"),
        (Action::Attribute, "attribute"),
        (Action::Mount, "mount"),
    ];

    /// The word used in rules, alerts and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Creation => "creation",
            Action::Change => "change",
            Action::Rename => "rename",
            Action::Deletion => "deletion",
            Action::Attribute => "attribute",
            Action::Mount => "mount",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find_map(|(action, name)| (name == word).then_some(action)).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("unknown action: use one of {}", words.join(", "))
        })
    }
}

/// One record of a kernel queue about one name, as a source hands it over. Several of them make one
/// [`Change`].
#[derive(Clone, Debug)]
pub struct FileEvent {
    /// What happened to the name.
    pub action: Action,
    /// The writer is done with this file: it was closed after writing, or renamed into place.
    pub complete: bool,
    /// The event is about a directory (only a renamed one is of interest: what came with it must be
    /// listed).
    pub is_directory: bool,
    /// Found by listing a renamed directory, not told by the kernel; `seen` is that of the
    /// directory's record.
    pub listed: bool,
    /// Where the file is.
    pub file: FileRef,
    /// The name before a rename, when the kernel told both.
    pub previous_path: Option<PathBuf>,
    /// Who did it.
    pub writer: Arc<Writer>,
    /// When the record was read.
    pub seen: Seen,
}

/// A file by path, and by the directory that really held it at the time of the event.
#[derive(Clone, Debug)]
pub struct FileRef {
    /// Absolute path, below `--root` when one is set. Any bytes but NUL; at most 4,096 of them.
    pub path: PathBuf,
    /// `O_PATH` descriptor of the directory, so that the content is read from the directory of the
    /// event even if the path leads elsewhere by then. `None`: open by path (inotify).
    pub directory: Option<Arc<OwnedFd>>,
}

/// A moment on both clocks: the wall clock for people, the monotonic one for deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Wall clock, for `@timestamp`.
    pub wall: SystemTime,
    /// Monotonic clock, for deadlines.
    pub monotonic: Instant,
}

impl Seen {
    /// This moment.
    pub fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }
}

/// Whether a name is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// No rule can want it.
    None,
    /// It may be the name of a hook: whether it is one, its directory tells.
    InPlace,
    /// A rule names it.
    Always,
}

/// One logical change of one hook file: what create + write + close, a rename or a link amount to.
#[derive(Debug)]
pub struct Change {
    /// The strongest action seen: a name that appeared is a creation or a rename even if it was also
    /// written.
    pub action: Action,
    /// Where the file is.
    pub file: FileRef,
    /// The name before a rename.
    pub previous_path: Option<PathBuf>,
    /// Every distinct process that took part, the first one first; never empty, at most
    /// [`Change::MAX_WRITERS`].
    pub writers: Vec<Arc<Writer>>,
    /// More processes than that took part.
    pub more_writers: bool,
    /// The writer was seen to finish (close, rename, link). Otherwise the file may still be open.
    pub complete: bool,
    /// Kernel records that were merged into this change.
    pub records: u32,
    /// First record.
    pub first: Seen,
    /// Last record.
    pub last: Seen,
}

impl Change {
    /// How many distinct writers of one change are kept.
    pub const MAX_WRITERS: usize = 4;
}

/// Sigma's levels, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For context only.
    Informational,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Level; 5] = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// The word used in rules and alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// `event.severity`: 1 (informational) to 5 (critical).
    pub fn severity(self) -> u8 {
        match self {
            Level::Informational => 1,
            Level::Low => 2,
            Level::Medium => 3,
            Level::High => 4,
            Level::Critical => 5,
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.as_str() == word).ok_or(())
    }
}

/// What identifies a rule, in verdicts, alerts and `explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInfo {
    /// Unique id; a rule of the same id loaded later replaces it.
    pub id: String,
    /// The rule's title (ECS `rule.name`).
    pub name: String,
    /// `elastic`, `sumo`, `pyhookwatch`, or the directory's name for a site's own (ECS `rule.ruleset`).
    pub ruleset: String,
    /// Sigma level.
    pub level: Level,
    /// It judges by names alone (`baseline: true`): where a rule that knows more matches too, that one's level is the
    /// alert's.
    pub is_baseline: bool,
    /// 0 to 100.
    pub risk_score: u8,
    /// What it is about.
    pub description: String,
    /// Links.
    pub references: Vec<String>,
    /// Sigma tags, e.g. `attack.t1546.018`.
    pub tags: Vec<String>,
    /// File the rule came from, or `embedded`.
    pub origin: String,
}

/// A rule that matched.
#[derive(Clone, Debug)]
pub struct Match {
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// What it calls the finding, e.g. `PTH_FILE_CREATED`.
    pub detection_type: String,
    /// The selections that settled it.
    pub decided_by: String,
    /// An exclusion of the rule matched but did not count: its name, and why.
    pub exclusion_not_applied: Option<(String, Doubt)>,
}

/// A rule that would have matched but for an exclusion that counts.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Which rule.
    pub rule: Arc<RuleInfo>,
    /// The filter that excluded.
    pub decided_by: String,
}

/// What the rules say of one change.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Matching rules: those that are no baseline first, then by level, highest first.
    pub matches: Vec<Match>,
    /// Rules silenced by an exclusion.
    pub excluded: Vec<Exclusion>,
}

impl Verdict {
    /// Adds what was found for another writer of the same change: a rule that matches for anybody
    /// matches.
    pub fn add(&mut self, other: Verdict) {
        for found in other.matches {
            if !self.matches.iter().any(|known| known.rule.id == found.rule.id) {
                self.matches.push(found);
            }
        }
        self.sort();
        self.excluded.retain(|excluded| !self.matches.iter().any(|found| found.rule.id == excluded.rule.id));
    }

    /// The level of the change: the highest of the matching rules, and of a baseline only where nothing else matches.
    pub fn level(&self) -> Option<Level> {
        let found = |baseline: bool| self.matches.iter().filter(move |found| found.rule.is_baseline == baseline);
        let highest = |matches: &mut dyn Iterator<Item = &Match>| matches.map(|found| found.rule.level).max();
        highest(&mut found(false)).or_else(|| highest(&mut found(true)))
    }

    /// Puts the matches into their order.
    pub fn sort(&mut self) {
        self.matches.sort_by_key(|found| (found.rule.is_baseline, std::cmp::Reverse(found.rule.level)));
    }
}

/// A time in which changes may have gone unseen, and why. Never silent: each becomes a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossReport {
    /// Cause, in one word of [`LossReport`]'s constants.
    pub cause: &'static str,
    /// How many changes were lost; `None` when that is not known.
    pub lost: Option<u64>,
    /// What it means, for people.
    pub detail: String,
}

impl LossReport {
    /// The kernel's queue overflowed.
    pub const QUEUE_OVERFLOW: &'static str = "queue-overflow";
    /// The program's own channel or memory queue was full.
    pub const CHANNEL_FULL: &'static str = "channel-full";
    /// The kernel's records could not be parsed; the group was rebuilt.
    pub const BAD_RECORD: &'static str = "bad-record";
    /// A place could not be read, listed or watched.
    pub const UNREADABLE: &'static str = "unreadable";
    /// Records about processes were lost: writers of that time may be unknown.
    pub const ATTRIBUTION: &'static str = "attribution";
    /// An output dropped alerts.
    pub const OUTPUT_DROPPED: &'static str = "output-dropped";
}
