//! One fact about how a place is watched.

/// How well something is watched, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Changes are not detected.
    Blind,
    /// Not every change is detected, or the writer is not named.
    Degraded,
    /// Every change is detected, and its writer can be named.
    Guarded,
}

impl State {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::Degraded => "degraded",
            Self::Guarded => "guarded",
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Its effect on the place. Guarded: it is information only.
    pub state: State,
    /// Its word in the JSON document: an interface.
    pub code: &'static str,
    /// The reason.
    pub reason: String,
    /// What to do. Empty: nothing.
    pub advice: &'static str,
}
