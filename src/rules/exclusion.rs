//! The promise about exclusions: only a confirmed writer is excluded.

use crate::event::{Confidence, Doubt, Executable, Writer};

/// Whether a rule's condition on the writer may suppress an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It counts.
    Allowed,
    /// It does not count: the rule matches, and the alert shows the reason.
    Denied(Doubt),
}

impl Exclusion {
    /// Decides for one writer. The evidence must be confirmed, and the executables of the writer and of its parent
    /// must be this host's files at their paths: not deleted, and no look-alikes in another mount namespace. A rule may
    /// exclude by the parent too.
    pub fn of(writer: &Writer) -> Self {
        let process = writer.process.as_ref();
        let Some(executable) = process.and_then(|process| process.executable.as_ref()) else {
            let missing = if process.is_none() { Doubt::ProcessUnknown } else { Doubt::ExecutableUnknown };
            return Self::Denied(writer.confidence.doubt().unwrap_or(missing));
        };
        if executable.deleted {
            return Self::Denied(Doubt::ExecutableDeleted);
        }
        if !executable.is_host_file {
            return Self::Denied(Doubt::NotHostFile);
        }
        if process.and_then(|process| process.in_host_users) == Some(false) {
            return Self::Denied(Doubt::OwnUserNamespace);
        }
        let parent = writer.parents.first().and_then(|parent| parent.executable.as_ref());
        let is_foreign = |executable: &Executable| executable.deleted || !executable.is_host_file;
        if parent.is_some_and(is_foreign) {
            return Self::Denied(Doubt::ParentNotHostFile);
        }
        match writer.confidence {
            Confidence::Confirmed => Self::Allowed,
            Confidence::Doubted(doubt) => Self::Denied(doubt),
        }
    }

    /// The reason against it, if there is one.
    pub fn doubt(self) -> Option<Doubt> {
        match self {
            Self::Allowed => None,
            Self::Denied(doubt) => Some(doubt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    fn executable(deleted: bool, is_host_file: bool) -> Option<Executable> {
        Some(Executable { path: "/bin/cp".into(), deleted, is_host_file })
    }

    /// A writer that may be excluded, but for this change.
    fn decide(change: impl FnOnce(&mut Writer, &mut Process)) -> Exclusion {
        let mut writer = Writer { confidence: Confidence::Confirmed, ..Writer::unknown(Doubt::NoRecord) };
        let mut process = Process { executable: executable(false, true), ..Process::default() };
        change(&mut writer, &mut process);
        writer.process = Some(process);
        Exclusion::of(&writer)
    }

    #[test]
    fn a_confirmed_writer_with_the_host_s_executable_may_be_excluded() {
        assert_eq!(decide(|_, _| ()), Exclusion::Allowed);
        let with_parent = |parent: Option<Executable>| {
            decide(|writer, _| writer.parents.push(Process { executable: parent, ..Process::default() }))
        };
        assert_eq!(with_parent(executable(false, true)), Exclusion::Allowed);
        assert_eq!(with_parent(None), Exclusion::Allowed);
        assert_eq!(with_parent(executable(true, true)), Exclusion::Denied(Doubt::ParentNotHostFile));
        assert_eq!(with_parent(executable(false, false)), Exclusion::Denied(Doubt::ParentNotHostFile));
    }

    #[test]
    fn every_doubt_denies_the_exclusion() {
        let unconfirmed = Confidence::Doubted(Doubt::OneRecord);
        for (decision, doubt) in [
            (decide(|_, process| process.executable = None), Doubt::ExecutableUnknown),
            (decide(|_, process| process.executable = executable(true, true)), Doubt::ExecutableDeleted),
            (decide(|_, process| process.executable = executable(false, false)), Doubt::NotHostFile),
            (decide(|_, process| process.in_host_users = Some(false)), Doubt::OwnUserNamespace),
            (decide(|writer, _| writer.confidence = unconfirmed), Doubt::OneRecord),
            (Exclusion::of(&Writer::unknown(Doubt::NoPidfd)), Doubt::NoPidfd),
        ] {
            assert_eq!(decision, Exclusion::Denied(doubt));
        }
        let confirmed = Writer { confidence: Confidence::Confirmed, ..Writer::unknown(Doubt::NoRecord) };
        assert_eq!(Exclusion::of(&confirmed), Exclusion::Denied(Doubt::ProcessUnknown));
    }
}
