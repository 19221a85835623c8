//! Compares the records about a process with its current program, and decides what to name.
//!
//! [`Agreement::decision`] is the decision table. docs/decisions/007 holds the same table with a reason for each row,
//! and a test compares the two.

use crate::event::Confidence::{self, Confirmed, Doubted};
use crate::event::Doubt;

/// The program to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The current program, by `/proc` or the exit record alone.
    Current(Confidence),
    /// The current program; the exec record or the lineage before the write names the same file.
    Corroborated(Confidence),
    /// The program of the last exec record before the write, or the inherited one.
    Recorded(Doubt),
    /// No program.
    Nobody(Doubt),
}

/// Declares [`Agreement`] and its decision table.
macro_rules! decision_table {
    ($($(#[$meta:meta])* $agreement:ident => $decision:ident($confidence:expr),)*) => {
        /// How the records agree with the current program: what the process ran when `/proc` was read, or at its end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Agreement { $($(#[$meta])* $agreement,)* }

        impl Agreement {
            /// Every row, in the order of the table.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$agreement,)*];

            /// The decision table.
            pub const fn decision(self) -> Decision {
                match self { $(Self::$agreement => Decision::$decision($confidence),)* }
            }
        }
    };
}

decision_table! {
    /// The last record before the write names the current program, and no exec came near the write.
    Agrees => Corroborated(Confirmed),
    /// The process is alive and no record names a program.
    NothingRecorded => Current(Confirmed),
    /// As `Agrees`, but the exec may not have been complete at the write.
    JustStarted => Corroborated(Doubted(Doubt::JustStarted)),
    /// As `Agrees`, but execs are not counted: an unrecorded one may lie between.
    Uncounted => Corroborated(Doubted(Doubt::ExecsUncounted)),
    /// As `Agrees`, but the file changed after its program was started. An inode number may be used again.
    YoungFile => Corroborated(Doubted(Doubt::OneRecord)),
    /// A start after that of the current program failed.
    LaterStartFailed => Corroborated(Doubted(Doubt::ExecFailed)),
    /// The process inherited the current program or started it earlier, and the records do not account for every exec.
    FailedStart => Current(Doubted(Doubt::ExecFailed)),
    /// The exit record holds a file whose path is known from an earlier program or a sibling process.
    EarlierProgram => Current(Doubted(Doubt::OneRecord)),
    /// The recorded path had another file by the time it was looked up.
    Replaced => Current(Doubted(Doubt::OneRecord)),
    /// An overlay filesystem shows the recorded file with its own device number.
    BehindOverlay => Current(Doubted(Doubt::OneRecord)),
    /// Only the loader's record is there: the program is on an unmarked filesystem.
    Unmarked => Current(Doubted(Doubt::NoExecRecord)),
    /// One exec more than exec records.
    ExtraExec => Current(Doubted(Doubt::NoExecRecord)),
    /// The process is a copy of another one than its parent (CLONE_PARENT).
    ReparentedClone => Current(Doubted(Doubt::Disagreement)),
    /// The exit record holds a file, and nothing leads to its path.
    PathUnknown => Current(Doubted(Doubt::PathUnknown)),
    /// The process has ended and no record shows its current program.
    RecordedOnly => Recorded(Doubt::OneRecord),
    /// As `Replaced`, known only by the exit record.
    ReplacedAfterEnd => Recorded(Doubt::OneRecord),
    /// The current program was started after the write.
    RanSince => Recorded(Doubt::RanSince),
    /// As `RanSince`, but execs are not counted.
    RanSinceUncounted => Nobody(Doubt::RanSince),
    /// Other threads may have written while the process started its current program.
    OtherThreads => Nobody(Doubt::OtherThreads),
    /// A start failed, and the current program does not show which one.
    UnclearFailedStart => Nobody(Doubt::ExecFailed),
    /// A program left no record, and the current program does not show which one wrote.
    UnrecordedProgram => Nobody(Doubt::NoExecRecord),
    /// Only the lineage names a program, and the name at the end of the process is another one.
    UnconfirmedLineage => Nobody(Doubt::LineageOnly),
    /// The process has ended, and execs are not counted.
    EndedUncounted => Nobody(Doubt::ExecsUncounted),
    /// No record names a program.
    NoRecord => Nobody(Doubt::NoRecord),
    /// The records name another program.
    Contradicts => Nobody(Doubt::Disagreement),
}

impl Agreement {
    /// The same for a process that started a program near the write.
    pub fn near_an_exec(self) -> Self {
        if self == Self::Agrees { Self::JustStarted } else { self }
    }

    /// The same for a process whose execs are not counted.
    pub fn without_counted_execs(self) -> Self {
        if self == Self::Agrees { Self::Uncounted } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Confidence;

    const DOCUMENT: &str = include_str!("../../docs/decisions/007-naming-writers.md");

    /// The row of the table in the document: agreement, named program, doubt.
    fn row(agreement: Agreement) -> [String; 3] {
        let (named, confidence) = match agreement.decision() {
            Decision::Current(confidence) => ("current program", confidence),
            Decision::Corroborated(confidence) => ("current program, corroborated", confidence),
            Decision::Recorded(doubt) => ("recorded program", Confidence::Doubted(doubt)),
            Decision::Nobody(doubt) => ("nobody", Confidence::Doubted(doubt)),
        };
        let doubt = confidence.doubt().map_or("none", Doubt::as_str);
        [format!("`{agreement:?}`"), named.to_owned(), doubt.to_owned()]
    }

    #[test]
    fn the_table_in_decision_007_is_the_table_in_the_code() {
        let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
        let documented: Vec<[String; 3]> = rows
            .map(|line| line.split(" | ").collect::<Vec<_>>())
            .map(|cells| match cells.as_slice() {
                [agreement, _, named, doubt] => [format!("`{agreement}"), (*named).to_owned(), (*doubt).to_owned()],
                _ => panic!("a row needs four cells: {cells:?}"),
            })
            .collect();
        let coded: Vec<[String; 3]> = Agreement::ALL.iter().copied().map(row).collect();
        assert_eq!(documented, coded);
    }
}
