//! The fourth stage: does it matter? Sigma rules over the facts, and nothing else: a rule runs no code, and the code
//! holds no policy but one promise.
//!
//! The promise: a condition on the *writer* suppresses an alert only if the writer is confirmed ([`Exclusion`]).
//! For any other writer the rule matches, and the alert names the exclusion that did not count and the reason.

pub mod condition;
mod embedded;
mod exclusion;
pub mod fields;
pub mod filter;
pub mod load;
mod rule;
mod rule_set;
pub mod verdict;

pub use embedded::EMBEDDED;
pub use exclusion::Exclusion;
pub use rule::{Outcome, RuleTest};
pub use rule_set::{RuleSet, SITE_RULES, Settings};
