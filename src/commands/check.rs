//! `pyhookwatch check`.

use super::exit::Exit;
use super::output::{print, print_diagnostics, print_warning};
use super::overrides::Overrides;
use super::rule_tests;
use crate::diagnostic::{self, Diagnostic};
use crate::hook;
use crate::privileges;
use crate::rules::{self, RuleSet};
use std::path::PathBuf;

/// Checks the configuration and the rules; prints every problem of both.
pub fn check(config: Option<PathBuf>, rules: Vec<PathBuf>) -> Exit {
    let overrides = Overrides { config, rules, ..Overrides::default() };
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut remarks = Vec::new();
    let settings = match overrides.configure() {
        Ok(config) => {
            remarks = config.warnings;
            config.rules
        }
        Err(found) => {
            problems.extend(found);
            // The configuration is wrong, but the rules named on the command line can be checked.
            rules::Settings { directories: overrides.rules, disabled: Vec::new() }
        }
    };
    match RuleSet::load(&settings, hook::kind::names) {
        Ok((rules, warnings)) => {
            remarks.extend(warnings);
            match diagnostic::reject_insecure(remarks, privileges::is_privileged()) {
                Ok(remarks) => remarks.iter().for_each(|remark| print_warning(format_args!("{remark}"))),
                Err(refused) => problems.extend(refused),
            }
            problems.extend(rule_tests::run(&rules));
            if problems.is_empty() {
                let list: String = rules
                    .infos()
                    .map(|rule| {
                        format!(
                            "  {}  {} ({}, {})\n",
                            rule.id,
                            crate::escape::one_line(&rule.name),
                            rule.ruleset,
                            rule.level.as_str()
                        )
                    })
                    .collect();
                print(&format!(
                    "configuration and rules are right; {} rules, {} of their own test cases hold:\n{list}",
                    rules.infos().count(),
                    rules.tests().count()
                ));
                return Exit::Fine;
            }
        }
        Err(found) => problems.extend(found),
    }
    print_diagnostics(&problems)
}
