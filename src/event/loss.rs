//! Losses: changes or writers that may have gone unseen.

use super::words::words;

words! {
    /// Why something was lost (`pyhookwatch.loss.cause`).
    LossCause {
        /// The kernel's queue overflowed.
        QueueOverflow = "queue-overflow",
        /// The daemon's own channel or queue was full.
        ChannelFull = "channel-full",
        /// The kernel's records could not be parsed, so the group was opened anew.
        BadRecord = "bad-record",
        /// A file or directory could not be read, listed or watched.
        Unreadable = "unreadable",
        /// Records about processes were lost: writers of that time may be unknown.
        Attribution = "attribution",
        /// An output dropped alerts.
        OutputDropped = "output-dropped",
    }
}

/// A loss. Never silent: each becomes a record in the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossReport {
    /// Why.
    pub cause: LossCause,
    /// How many changes or alerts were lost; `None` when the number is not known.
    pub count: Option<u64>,
    /// What was lost, in one sentence for people.
    pub detail: String,
}

impl LossReport {
    /// A loss of unknown size.
    pub fn new(cause: LossCause, detail: impl Into<String>) -> Self {
        Self { cause, count: None, detail: detail.into() }
    }

    /// A loss of this many changes or alerts.
    pub fn counted(cause: LossCause, count: u64, detail: impl Into<String>) -> Self {
        Self { cause, count: Some(count), detail: detail.into() }
    }
}
