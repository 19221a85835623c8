//! What an alert is made of.

use crate::event::{Change, Hook, Verdict, Writer};

/// Everything that the alert of one change contains.
pub struct Finding<'a> {
    /// What was changed.
    pub change: &'a Change,
    /// The one of the change's writers that the verdict is about.
    pub writer: &'a Writer,
    /// What the file is and what would run.
    pub hook: &'a Hook,
    /// The judgement of the rules; at least one matches.
    pub verdict: &'a Verdict,
    /// Names of users, where known.
    pub names: Names,
}

/// Names of the users in a finding.
#[derive(Debug, Default)]
pub struct Names {
    /// The writer's effective user.
    pub user: Option<String>,
    /// The user who logged in.
    pub login: Option<String>,
    /// The file's owner.
    pub owner: Option<String>,
}
