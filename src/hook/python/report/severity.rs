//! How remarkable a finding is, by the kind of file it is in.

use crate::event::ContentClass;

/// What kind of file the code is in, which decides how remarkable a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A line of a `.pth` file: one strong signal is hostile.
    Line,
    /// `sitecustomize`, `usercustomize`, a PYTHONSTARTUP script.
    Customize,
    /// A whole module of a library: only strong combinations are hostile.
    Module,
}

/// How remarkable a finding is. Each level is at least as bad as the one before, in every kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Normal everywhere.
    Info,
    /// Unusual in a `.pth` line.
    Notice,
    /// Unusual in a start-up file.
    Low,
    /// Never seen in a benign `.pth` line, seldom in a customisation file, common in modules.
    Medium,
    /// Not the business of a start-up file, common in modules.
    High,
    /// Not the business of a start-up file, possible in a module.
    Severe,
    /// No benign code does this.
    Critical,
}

impl Severity {
    /// For code beyond a limit of the analysis: what is not read may be anything, and no benign hook is so large.
    pub const BEYOND_LIMIT: Self = Self::Severe;

    /// The class of content with such a finding.
    pub fn class(self, strictness: Strictness) -> ContentClass {
        use ContentClass::{Hostile, Neutral, Suspicious};
        let (line, customize, module) = match self {
            Self::Info => (Neutral, Neutral, Neutral),
            Self::Notice => (Suspicious, Neutral, Neutral),
            Self::Low => (Suspicious, Suspicious, Neutral),
            Self::Medium => (Hostile, Suspicious, Neutral),
            Self::High => (Hostile, Hostile, Neutral),
            Self::Severe => (Hostile, Hostile, Suspicious),
            Self::Critical => (Hostile, Hostile, Hostile),
        };
        match strictness {
            Strictness::Line => line,
            Strictness::Customize => customize,
            Strictness::Module => module,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_severity_is_at_least_as_bad_as_the_one_before() {
        use Severity::*;
        for pair in [Info, Notice, Low, Medium, High, Severe, Critical].windows(2) {
            for strictness in [Strictness::Line, Strictness::Customize, Strictness::Module] {
                assert!(pair[0].class(strictness) <= pair[1].class(strictness), "{pair:?} {strictness:?}");
            }
        }
    }
}
