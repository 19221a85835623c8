//! `pyhookwatch check`: loads the configuration and the rules, and runs the rules' own test cases.

use super::exit::Exit;
use super::output::{print, print_diagnostics, print_warning};
use super::overrides::Overrides;
use super::rule_tests;
use crate::diagnostic::{self, Diagnostic};
use crate::escape;
use crate::event::RuleInfo;
use crate::hook;
use crate::privileges;
use crate::rules::{self, RuleSet};
use std::path::PathBuf;

/// Prints every problem, or the list of rules if there is none.
pub fn check(config: Option<PathBuf>, rules: Vec<PathBuf>) -> Exit {
    let overrides = Overrides { config, rules, ..Overrides::default() };
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut warnings = Vec::new();
    let settings = match overrides.configure() {
        Ok(config) => {
            warnings = config.warnings;
            config.rules
        }
        Err(found) => {
            problems.extend(found);
            // The rules named on the command line can be checked without the configuration.
            rules::Settings { directories: overrides.rules, disabled: Vec::new() }
        }
    };
    let rules = match RuleSet::load(&settings, hook::kind::names) {
        Ok((rules, of_rules)) => {
            warnings.extend(of_rules);
            rules
        }
        Err(found) => {
            problems.extend(found);
            return print_diagnostics(&problems);
        }
    };
    match diagnostic::reject_insecure(warnings, privileges::is_privileged()) {
        Ok(warnings) => warnings.iter().for_each(print_warning),
        Err(refused) => problems.extend(refused),
    }
    problems.extend(rule_tests::run(&rules));
    if !problems.is_empty() {
        return print_diagnostics(&problems);
    }
    let list: String = rules.infos().map(|rule| rule_line(rule)).collect();
    let (rules, tests) = (rules.infos().count(), rules.tests().count());
    print(&format!("the configuration and {rules} rules are valid, and {tests} test cases of the rules pass:\n{list}"));
    Exit::Fine
}

fn rule_line(rule: &RuleInfo) -> String {
    let RuleInfo { id, ruleset, .. } = rule;
    format!("  {id}  {} ({ruleset}, {})\n", escape::one_line(&rule.name), rule.level.as_str())
}
