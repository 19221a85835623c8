//! Sigma conditions: `selection and not 1 of filter_*`.
//!
//! `sigma-rust` evaluates the selections, and this module the condition over them. Two things need its structure, which
//! the crate does not expose: `explain` (the decisive selection), and the promise that only a confirmed writer is
//! excluded (which selections *suppress* the rule). A test compares every evaluation with the crate's own.

use std::collections::BTreeMap;

/// Longest condition, in bytes.
const MAX_LENGTH: usize = 4096;
/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: usize = 32;

/// Which selections are true, by name.
pub type Truth = BTreeMap<String, bool>;

/// A parsed condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One selection by name.
    Selection(String),
    /// `1 of` these selections (already looked up by pattern).
    OneOf(Vec<String>),
    /// `all of` these selections.
    AllOf(Vec<String>),
    /// `not`.
    Not(Box<Condition>),
    /// `and`.
    And(Box<Condition>, Box<Condition>),
    /// `or`.
    Or(Box<Condition>, Box<Condition>),
}

impl Condition {
    /// Parses a condition over selections of these names.
    ///
    /// # Errors
    /// A sentence about the error: an unknown selection, a pattern that matches none, a missing parenthesis, or
    /// anything else that is not a Sigma condition.
    pub fn parse(text: &str, selections: &[String]) -> Result<Self, String> {
        if !text.is_ascii() {
            return Err("the condition contains a character that is not ASCII".into());
        }
        if text.len() > MAX_LENGTH {
            return Err(format!("the condition is longer than {MAX_LENGTH} bytes"));
        }
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut parser = Parser { tokens: spaced.split_ascii_whitespace().collect(), position: 0, selections };
        let condition = parser.or(0)?;
        match parser.next() {
            None => Ok(condition),
            Some(token) => Err(format!("unexpected `{token}` in the condition")),
        }
    }

    /// The value of the condition.
    pub fn evaluate(&self, truth: &Truth) -> bool {
        self.value(truth, &[], false)
    }

    /// The value when these selections cannot suppress: under an odd number of `not` they count as false, elsewhere as
    /// they are. True wherever [`Self::evaluate`] is.
    pub fn evaluate_unsuppressed(&self, truth: &Truth, by: &[&str]) -> bool {
        self.value(truth, by, false)
    }

    fn value(&self, truth: &Truth, unsuppressed: &[&str], negated: bool) -> bool {
        let is_true = |name: &String| {
            truth.get(name).copied().unwrap_or(false) && !(negated && unsuppressed.contains(&name.as_str()))
        };
        let value = |inner: &Self| inner.value(truth, unsuppressed, negated);
        match self {
            Self::Selection(name) => is_true(name),
            Self::OneOf(names) => names.iter().any(is_true),
            Self::AllOf(names) => names.iter().all(is_true),
            Self::Not(inner) => !inner.value(truth, unsuppressed, !negated),
            Self::And(left, right) => value(left) && value(right),
            Self::Or(left, right) => value(left) || value(right),
        }
    }

    /// Selections that can suppress the rule by being true: those under an odd number of `not`.
    pub fn suppressing(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.collect_suppressing(false, &mut names);
        names
    }

    fn collect_suppressing<'a>(&'a self, negated: bool, names: &mut Vec<&'a str>) {
        match self {
            Self::Selection(name) if negated => names.push(name),
            Self::OneOf(list) | Self::AllOf(list) if negated => names.extend(list.iter().map(String::as_str)),
            Self::Not(inner) => inner.collect_suppressing(!negated, names),
            Self::And(left, right) | Self::Or(left, right) => {
                left.collect_suppressing(negated, names);
                right.collect_suppressing(negated, names);
            }
            _ => {}
        }
    }

    /// The selections that settled the value, in the order of the condition: for `and` that is false
    /// the first part that is false, for `or` that is true the first part that is true.
    pub fn deciders(&self, truth: &Truth) -> Vec<&str> {
        let value = self.evaluate(truth);
        match self {
            Self::Selection(name) => vec![name],
            Self::OneOf(names) | Self::AllOf(names) => {
                let one_settles = matches!(self, Self::OneOf(_)) == value;
                let has_value = |name: &&String| truth.get(*name).copied().unwrap_or(false) == value;
                let settling = names.iter().filter(has_value).map(String::as_str);
                if one_settles { settling.take(1).collect() } else { settling.collect() }
            }
            Self::Not(inner) => inner.deciders(truth),
            Self::And(left, right) | Self::Or(left, right) => {
                let short_circuits = matches!(self, Self::Or(..)) == value;
                match (short_circuits, left.evaluate(truth) == value) {
                    (true, true) => left.deciders(truth),
                    (true, false) => right.deciders(truth),
                    (false, _) => [left.deciders(truth), right.deciders(truth)].concat(),
                }
            }
        }
    }
}

struct Parser<'a> {
    tokens: Vec<&'a str>,
    position: usize,
    selections: &'a [String],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let token = self.tokens.get(self.position).copied();
        self.position += 1;
        token
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.tokens.get(self.position).is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.position += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Condition, String> {
        let mut left = self.and(depth)?;
        while self.take("or") {
            left = Condition::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Condition, String> {
        let mut left = self.not(depth)?;
        while self.take("and") {
            left = Condition::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err(format!("the condition is nested deeper than {MAX_DEPTH}"));
        }
        if self.take("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            return if self.take(")") { Ok(inner) } else { Err("a `(` in the condition is never closed".into()) };
        }
        let one = self.take("1");
        if one || self.take("all") {
            if !self.take("of") {
                return Err("expected `of` after `1` or `all` in the condition".into());
            }
            let names = self.named()?;
            return Ok(if one { Condition::OneOf(names) } else { Condition::AllOf(names) });
        }
        match self.next() {
            None => Err("the condition ends too early".into()),
            Some(name) if self.selections.iter().any(|known| known == name) => {
                Ok(Condition::Selection(name.to_owned()))
            }
            Some(name) => Err(format!("the condition names `{name}`, which is no selection of this rule")),
        }
    }

    /// The selections that `them`, a name or a pattern with `*` means.
    fn named(&mut self) -> Result<Vec<String>, String> {
        let pattern = self.next().ok_or("the condition ends too early")?;
        let matches = |name: &str| pattern.eq_ignore_ascii_case("them") || like(pattern, name);
        let names: Vec<String> = self.selections.iter().filter(|name| matches(name)).cloned().collect();
        if names.is_empty() {
            return Err(format!("`{pattern}` in the condition matches no selection of this rule"));
        }
        Ok(names)
    }
}

/// `*` matches any characters, everything else itself.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((literal, rest)) => text.strip_prefix(literal).is_some_and(|text| {
            rest.is_empty() || (0..=text.len()).any(|start| text.get(start..).is_some_and(|tail| like(rest, tail)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Vec<String> {
        ["a", "b", "filter_x", "filter_y"].map(str::to_owned).to_vec()
    }

    fn truth(values: [bool; 4]) -> Truth {
        names().into_iter().zip(values).collect()
    }

    #[test]
    fn filters_are_what_suppresses() {
        let condition = Condition::parse("a and not 1 of filter_*", &names()).unwrap();
        assert_eq!(condition.suppressing(), ["filter_x", "filter_y"]);
        let condition = Condition::parse("not (a and not b)", &names()).unwrap();
        assert_eq!(condition.suppressing(), ["a"]);
    }

    #[test]
    fn the_decider_is_the_first_part_that_settles_the_value() {
        let condition = Condition::parse("a and b and not 1 of filter_*", &names()).unwrap();
        assert_eq!(condition.deciders(&truth([true, false, true, false])), ["b"]);
        assert_eq!(condition.deciders(&truth([true, true, false, true])), ["filter_y"]);
        let matched = truth([true, true, false, false]);
        assert_eq!(condition.deciders(&matched), ["a", "b", "filter_x", "filter_y"]);
    }

    #[test]
    fn a_text_that_is_no_condition_is_refused_with_the_reason() {
        for (text, word) in [
            ("", "too early"),
            ("a and", "too early"),
            ("a b", "unexpected `b`"),
            ("a) or (b", "unexpected `)`"),
            ("(a", "never closed"),
            ("1 filter_*", "expected `of`"),
            ("c", "no selection"),
            ("1 of c*", "matches no selection"),
            ("a und ä", "not ASCII"),
        ] {
            let error = Condition::parse(text, &names()).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(Condition::parse(&"(".repeat(2000), &names()).is_err());
        assert!(Condition::parse(&"not ".repeat(1000), &names()).is_err());
    }

    /// The crate's evaluation of the same condition over the same truth.
    fn by_the_crate(text: &str, truth: &Truth) -> bool {
        let selections: String = truth.keys().map(|name| format!("  {name}:\n    {name}: 'yes'\n")).collect();
        let yaml = format!("title: t\nlogsource:\n  category: c\ndetection:\n{selections}  condition: {text}\n");
        let mut event = sigma_rust::Event::new();
        for (name, value) in truth {
            event.insert(name.clone(), if *value { "yes" } else { "no" });
        }
        sigma_rust::rule_from_yaml(&yaml).unwrap().is_match(&event)
    }

    /// The condition with `not` only before single selections, each of which is called `not NAME`.
    fn renamed(condition: &Condition, negated: bool) -> Condition {
        let leaf = |name: &String| {
            if negated {
                Condition::Not(Box::new(Condition::Selection(format!("not {name}"))))
            } else {
                Condition::Selection(name.clone())
            }
        };
        let or = |left, right| Condition::Or(Box::new(left), Box::new(right));
        let and = |left, right| Condition::And(Box::new(left), Box::new(right));
        match condition {
            Condition::Selection(name) => leaf(name),
            Condition::OneOf(names) if negated => names.iter().map(leaf).reduce(and).unwrap(),
            Condition::OneOf(names) => names.iter().map(leaf).reduce(or).unwrap(),
            Condition::AllOf(names) if negated => names.iter().map(leaf).reduce(or).unwrap(),
            Condition::AllOf(names) => names.iter().map(leaf).reduce(and).unwrap(),
            Condition::Not(inner) => renamed(inner, !negated),
            Condition::And(left, right) if negated => or(renamed(left, true), renamed(right, true)),
            Condition::And(left, right) => and(renamed(left, false), renamed(right, false)),
            Condition::Or(left, right) if negated => and(renamed(left, true), renamed(right, true)),
            Condition::Or(left, right) => or(renamed(left, false), renamed(right, false)),
        }
    }

    fn conditions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("a"),
            Just("b"),
            Just("filter_x"),
            Just("1 of filter_*"),
            Just("all of filter_*"),
            Just("1 of them"),
            Just("all of them")
        ]
        .prop_map(str::to_owned);
        leaf.prop_recursive(4, 24, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|c| format!("not {c}")),
                inner.clone().prop_map(|c| format!("({c})")),
                (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("{l} and {r}")),
                (inner.clone(), inner).prop_map(|(l, r)| format!("{l} or {r}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_condition_has_the_value_that_sigma_rust_gives_it(text in conditions(), values in any::<[bool; 4]>()) {
            let truth = truth(values);
            let condition = Condition::parse(&text, &names()).unwrap();
            prop_assert_eq!(condition.evaluate(&truth), by_the_crate(&text, &truth));
        }

        #[test]
        fn a_false_selection_never_suppresses(text in conditions(), values in any::<[bool; 4]>()) {
            // A false condition stays false when a selection that cannot suppress becomes false.
            let mut truth = truth(values);
            let condition = Condition::parse(&text, &names()).unwrap();
            let before = condition.evaluate(&truth);
            let suppressing: Vec<String> = condition.suppressing().into_iter().map(str::to_owned).collect();
            for (name, value) in &mut truth {
                if !suppressing.contains(name) {
                    *value = false;
                }
            }
            prop_assert!(before || !condition.evaluate(&truth));
        }

        #[test]
        fn a_selection_that_cannot_suppress_is_false_where_it_is_negated_and_only_there(
            text in conditions(), values in any::<[bool; 4]>(), chosen in any::<[bool; 4]>(),
        ) {
            let mut truth = truth(values);
            let condition = Condition::parse(&text, &names()).unwrap();
            let all = names();
            let by: Vec<&str> = all.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| name.as_str()).collect();
            let plain = condition.evaluate(&truth);
            let unsuppressed = condition.evaluate_unsuppressed(&truth, &by);
            prop_assert!(unsuppressed || !plain);
            prop_assert_eq!(condition.evaluate_unsuppressed(&truth, &[]), plain);
            // The same with every negated occurrence under a name of its own.
            let renamed = renamed(&condition, false);
            prop_assert!(renamed.suppressing().iter().all(|name| name.starts_with("not ")));
            for name in &all {
                let value = truth[name] && !by.contains(&name.as_str());
                truth.insert(format!("not {name}"), value);
            }
            prop_assert_eq!(unsuppressed, renamed.evaluate(&truth));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,200}") {
            let _ = Condition::parse(&text, &names());
        }
    }
}
