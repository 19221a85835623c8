//! The subcommands, one module each.

mod check;
mod coverage;
mod exit;
mod explain;
mod hypothetical;
mod local_filesystems;
mod output;
mod overrides;
mod rule_tests;
mod run;
mod scan;
mod selftest;
mod status;
mod style;

pub use check::check;
pub use coverage::{CoverageRequest, coverage};
pub use exit::{EXIT_CODES, Exit, help as exit_codes_help};
pub use explain::{ExplainRequest, explain, parse_field};
pub use hypothetical::HypotheticalChange;
pub use overrides::Overrides;
pub use run::run;
pub use scan::{ScanRequest, scan};
pub use selftest::{HelperAction, selftest, selftest_helper};
pub use status::status;
