//! The result of one kind of package list.

/// How one kind of list knows a file, in ascending order of weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ownership {
    /// There are no such lists here.
    NoLists,
    /// No list names the file.
    Unlisted,
    /// A list could not be read, or its installer may not have written it yet.
    Unknown,
    /// A list names the file without a hash, or the file's own hash is missing.
    Unverified,
    /// The list of this package has another hash.
    Mismatch(String),
    /// The list of this package has this hash.
    Match(String),
}

impl Ownership {
    /// Adds the entry of a package's list: the first match counts, else a mismatch, else a name without a hash.
    pub fn add<H: PartialEq>(&mut self, package: String, listed: Option<H>, actual: Option<H>) {
        let found = match (listed, actual) {
            (Some(listed), Some(actual)) if listed == actual => Self::Match(package),
            (Some(_), Some(_)) => Self::Mismatch(package),
            _ => Self::Unverified,
        };
        if !matches!((&*self, &found), (Self::Match(_), _) | (Self::Mismatch(_), Self::Unverified)) {
            *self = found;
        }
    }
}
