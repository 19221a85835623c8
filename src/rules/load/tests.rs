use super::*;
use crate::event::{Doubt, HookKind, Level};
use crate::rules::Exclusion;
use crate::rules::fields;
use crate::rules::rule::Rule;
use proptest::prelude::*;
use std::path::Path;

fn known(_: HookKind) -> &'static [&'static str] {
    &[]
}

fn load(text: &str) -> (Vec<Rule>, Vec<String>) {
    let origin = Origin { file: Path::new("test.yml"), ruleset: "rules.d", embedded: false };
    let (rules, diagnostics) = text_of_rules(text, &origin, known);
    (rules, diagnostics.iter().map(ToString::to_string).collect())
}

const GOOD: &str = "\
title: A rule
id: 11111111-2222-3333-4444-555555555555
level: medium
logsource:
  product: linux
  category: file_event
detection:
  selection:
    TargetFilename|endswith: /x.py
  condition: selection
";

#[test]
fn a_plain_sigma_rule_loads_with_the_defaults_for_absent_keys() {
    let (rules, diagnostics) = load(GOOD);
    assert_eq!(diagnostics, Vec::<String>::new());
    let info = &rules[0].info;
    assert_eq!((info.ruleset.as_str(), info.level, info.risk_score), ("rules.d", Level::Medium, 47));
    assert!(rules[0].detection_types.is_empty());
}

#[test]
fn two_rules_in_one_file_are_both_loaded() {
    let second = GOOD.replace("11111111", "99999999");
    assert_eq!(load(&format!("{GOOD}---\n{second}")).0.len(), 2);
}

#[test]
fn a_site_s_rule_cannot_claim_the_ruleset_of_an_embedded_one() {
    assert_eq!(load(&format!("{GOOD}ruleset: elastic\n")).0[0].info.ruleset, "rules.d");
    assert_eq!(load(&format!("{GOOD}ruleset: ours\n")).0[0].info.ruleset, "ours");
}

#[test]
fn every_error_of_a_rule_is_reported_with_its_line() {
    let text = "\
title: Wrong in many ways
id: not an id
level: hihg
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    TargetFileName|endswith: /x.py
  other:
    TargetFilename|wrong: x
  star:
    TargetFilename: '*ab?c'
  condition: selection and missing
risk_score: 50
";
    let (rules, diagnostics) = load(text);
    assert!(rules.is_empty());
    for expected in [
        "test.yml:2: the rule needs an `id`",
        "test.yml:3: `level` must be",
        "test.yml:4: only rules for `product: linux`",
        "test.yml:8: `selection`: there is no field `TargetFileName`; did you mean `TargetFilename`?",
        "test.yml:10: `other`:",
        "test.yml:12: `star`: `*ab?c`: a `?` after a `*`",
        "test.yml:14: the condition names `missing`",
    ] {
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.starts_with(expected)), "{expected}\n{diagnostics:#?}");
    }
}

#[test]
fn text_that_is_no_rule_is_refused_with_a_line() {
    for (text, expected) in [
        ("", "test.yml: the file holds no rule"),
        ("a: [", "test.yml:"),
        ("just text", "the rule has no `detection`"),
        ("title: x\ndetection: 3\n", "the rule has no `detection`"),
        ("title: x\ndetection: {a: {TargetFilename: x}}\n", "has no `condition`"),
    ] {
        let (rules, diagnostics) = load(text);
        assert!(rules.is_empty(), "{text}");
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.contains(expected)), "{text}: {diagnostics:?}");
    }
}

#[test]
fn a_file_of_brackets_is_refused_at_once() {
    let (rules, diagnostics) = load(&"[".repeat(400_000));
    assert!(rules.is_empty());
    assert!(diagnostics[0].contains("opening brackets"), "{diagnostics:?}");
}

#[test]
fn wrong_own_keys_are_reported() {
    for (line, expected) in [
        ("risk_score: 101\n", "from 0 to 100"),
        ("risk_score: high\n", "a number from 0 to 100"),
        ("detection_type: [{when: nothing, type: X}]\n", "names `nothing`"),
        ("detection_type: a b\n", "a detection type must be"),
    ] {
        let (_, diagnostics) = load(&format!("{GOOD}{line}"));
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.contains(expected)), "{line}: {diagnostics:?}");
    }
}

#[test]
fn the_first_detection_type_that_holds_is_taken() {
    let text = format!("{GOOD}detection_type:\n  - when: not selection\n    type: A\n  - type: B\n");
    let (rules, diagnostics) = load(&text);
    assert_eq!(diagnostics, Vec::<String>::new());
    let mut event = sigma_rust::Event::new();
    event.insert("TargetFilename", "/a/x.py");
    let outcome = rules[0].outcome(&event, Exclusion::Allowed);
    assert!(outcome.matched);
    assert_eq!(outcome.detection_type, "B");
}

#[test]
fn any_condition_on_the_writer_that_silences_is_an_exclusion_whatever_its_name() {
    let text = GOOD.replace(
        "  condition: selection\n",
        "  harmless:\n    Image: /bin/cp\n  condition: selection and not harmless\n",
    );
    let (rules, _) = load(&text);
    let mut event = sigma_rust::Event::new();
    event.insert("TargetFilename", "/a/x.py");
    event.insert("Image", "/bin/cp");
    assert!(!rules[0].outcome(&event, Exclusion::Allowed).matched);
    let unconfirmed = rules[0].outcome(&event, Exclusion::Denied(Doubt::OneRecord));
    assert!(unconfirmed.matched);
    assert_eq!(unconfirmed.exclusion, Some(("harmless".into(), Exclusion::Denied(Doubt::OneRecord))));
}

/// The rule with this filter, as `field: value`, that silences it.
fn with_filter(filter: &str) -> (Vec<Rule>, Vec<String>) {
    let condition = format!("  filter:\n    {filter}\n  condition: selection and not filter\n");
    load(&GOOD.replace("  condition: selection\n", &condition))
}

#[test]
fn a_field_of_the_writer_that_is_only_referred_to_makes_an_exclusion() {
    let mut event = sigma_rust::Event::new();
    event.insert("TargetFilename", "/a/x.py");
    event.insert("Image", "/a/x.py");
    for filter in ["TargetFilename|fieldref: Image", "TargetFilename|FieldRef: [HookKind, Image]"] {
        let (rules, diagnostics) = with_filter(filter);
        assert_eq!(diagnostics, Vec::<String>::new());
        let matched = |of_writer| rules[0].outcome(&event, of_writer).matched;
        // Where one referred field is absent, the crate takes none: such a filter does not silence.
        assert_eq!(
            (matched(Exclusion::Allowed), matched(Exclusion::Denied(Doubt::OneRecord))),
            (filter.contains('['), true),
            "{filter}"
        );
        assert!(rules[0].selections.iter().any(|selection| selection.name == "filter" && selection.of_writer));
    }
}

#[test]
fn a_field_that_is_referred_to_must_exist() {
    for (filter, expected) in [
        ("TargetFilename|fieldref: Imago", "there is no field `Imago`; did you mean `Image`?"),
        ("TargetFilename|fieldref: [Image, Imago]", "there is no field `Imago`"),
        ("TargetFilename|fieldref: 3", "needs the name of a field"),
    ] {
        let (rules, diagnostics) = with_filter(filter);
        assert!(rules.is_empty());
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.contains(expected)), "{filter}: {diagnostics:?}");
    }
}

#[test]
fn an_old_name_of_a_field_works_and_gives_a_warning_with_its_line() {
    let text = GOOD.replace("TargetFilename|endswith: /x.py", "HookPlace|contains: site");
    let origin = Origin { file: Path::new("test.yml"), ruleset: "rules.d", embedded: false };
    let (rules, diagnostics) = text_of_rules(&text, &origin, known);
    assert_eq!(diagnostics.iter().filter(|found| found.is_warning()).count(), diagnostics.len());
    let expected = "test.yml:9: the field `HookPlace` is now called `HookLocation`";
    assert!(diagnostics[0].to_string().starts_with(expected), "{diagnostics:?}");
    let mut event = sigma_rust::Event::new();
    event.insert("HookLocation", "user-site");
    assert!(rules[0].outcome(&event, Exclusion::Allowed).matched);
}

#[test]
fn the_old_and_the_new_name_in_one_selection_are_refused() {
    let text = GOOD.replace("TargetFilename|endswith: /x.py", "HookPlace: site\n    HookLocation: etc");
    let (rules, diagnostics) = load(&text);
    assert!(rules.is_empty());
    let expected = "test.yml:9: `HookPlace` is the old name of `HookLocation`, which stands in the same selection";
    assert!(diagnostics[0].starts_with(expected), "{diagnostics:?}");
}

#[test]
fn a_selection_of_the_writer_in_both_polarities_excludes_where_it_is_negated() {
    let text = GOOD.replace(
        "  condition: selection\n",
        "  pkg:\n    Image: /bin/pip\n  tmp:\n    ParentImage: /tmp/x\n  other:\n    User: root\n  \
         condition: (selection and pkg and not tmp) or (selection and other and not pkg)\n",
    );
    let (rules, diagnostics) = load(&text);
    assert_eq!(diagnostics, Vec::<String>::new());
    let mut event = sigma_rust::Event::new();
    for (field, value) in
        [("TargetFilename", "/a/x.py"), ("Image", "/bin/pip"), ("ParentImage", "/tmp/x"), ("User", "root")]
    {
        event.insert(field, value);
    }
    assert!(!rules[0].outcome(&event, Exclusion::Allowed).matched);
    let unconfirmed = rules[0].outcome(&event, Exclusion::Denied(Doubt::OneRecord));
    assert!(unconfirmed.matched);
    assert_eq!(unconfirmed.exclusion, Some(("pkg, tmp".into(), Exclusion::Denied(Doubt::OneRecord))));
    // Only the first half can match now: `pkg` must stay true there while `tmp` does not count.
    event.insert("User", "nobody");
    assert!(!rules[0].outcome(&event, Exclusion::Allowed).matched);
    assert!(rules[0].outcome(&event, Exclusion::Denied(Doubt::OneRecord)).matched);
    // Without an exclusion that is true nothing is silenced, and nothing matches.
    event.insert("Image", "/bin/cp");
    assert!(!rules[0].outcome(&event, Exclusion::Denied(Doubt::OneRecord)).matched);
}

#[test]
fn numbers_match_as_numbers_and_as_text() {
    use crate::event::{Action, Confidence, Credentials, Evidence, Process, Writer};
    let path = Path::new("/a/x.py");
    let hook = crate::hook::hypothetical(path, None);
    let user = Some(Credentials { real: 0, effective: Some(0), login: Some(u32::MAX - 1), session: None });
    let process = Some(Process { pid: 42, user, ..Process::default() });
    let writer = Writer {
        evidence: Evidence::Proc,
        confidence: Confidence::Confirmed,
        process,
        ..Writer::unknown(Doubt::NoRecord)
    };
    let facts = fields::Facts {
        action: Action::Creation,
        path,
        previous_path: None,
        hook: &hook,
        writer: &writer,
        user_name: None,
    };
    for (field, expected) in [
        ("UserId: 0", true),
        ("UserId: '0'", true),
        ("UserId: [5, 0]", true),
        ("UserId|lte: 0", true),
        ("UserId: 1", false),
        ("UserId|gt: 0", false),
        ("ProcessId: 42", true),
        ("ProcessId: '4?'", true),
        ("ProcessId|gt: 41", true),
        ("LoginUserId: 4294967294", true),
        ("LoginUserId|lt: 1000", false),
    ] {
        let (rules, diagnostics) = load(&GOOD.replace("TargetFilename|endswith: /x.py", field));
        assert_eq!(diagnostics, Vec::<String>::new(), "{field}");
        assert_eq!(
            rules[0].outcome(&fields::event(&fields::values(&facts)), Exclusion::Allowed).matched,
            expected,
            "{field}"
        );
    }
}

#[test]
fn a_value_that_is_null_is_refused_with_the_way_out() {
    for filter in ["Image: null", "Image:", "Image: [/bin/cp, null]", "Image|contains: ~"] {
        let (rules, diagnostics) = with_filter(filter);
        assert!(rules.is_empty());
        assert!(
            diagnostics.iter().any(|diagnostic| diagnostic.contains("write `Image|exists: false`")),
            "{diagnostics:?}"
        );
    }
    let (rules, diagnostics) = with_filter("Image|exists: false");
    assert_eq!((rules.len(), diagnostics), (1, Vec::new()));
}

#[test]
fn a_question_mark_after_a_star_is_refused_also_where_the_star_is_implied() {
    for (filter, refused) in [
        ("TargetFilename|endswith: 'site?customize.py'", true),
        ("TargetFilename|contains: 'site?customize'", true),
        ("TargetFilename|cased|EndsWith: [x, 'a?b']", true),
        ("TargetFilename: '*a?b'", true),
        (r"TargetFilename: 'a\\*b?c'", true),
        ("TargetFilename|startswith: '/a/site?customize'", false),
        ("TargetFilename: '/a?b*'", false),
        (r"TargetFilename|endswith: 'a\?b'", false),
        (r"TargetFilename: 'a\*b?c'", false),
        ("TargetFilename|re: '.*a?b'", false),
        ("TargetFilename|base64offset|contains: 'a?b'", false),
    ] {
        let (rules, diagnostics) = with_filter(filter);
        assert_eq!(rules.is_empty(), refused, "{filter}: {diagnostics:?}");
        assert!(
            !refused || diagnostics.iter().any(|diagnostic| diagnostic.contains("a `?` after a `*`")),
            "{diagnostics:?}"
        );
    }
}

#[test]
fn the_embedded_rules_have_no_diagnostic() {
    for (name, text) in crate::rules::EMBEDDED {
        let origin = Origin { file: Path::new(name), ruleset: "pyhookwatch", embedded: true };
        let (rules, diagnostics) = text_of_rules(text, &origin, crate::hook::kind::names);
        assert_eq!(diagnostics, Vec::new());
        assert!(rules.iter().all(|rule| rule.names.is_some()), "{name} has a rule without file names");
    }
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused(text in "(?s).{0,300}") {
        let _ = load(&text);
    }

    #[test]
    fn a_rule_with_any_character_replaced_is_loaded_or_refused(at in any::<prop::sample::Index>(), by in any::<char>()) {
        let mut characters: Vec<char> = GOOD.chars().collect();
        let at = at.index(characters.len());
        characters[at] = by;
        let _ = load(&characters.into_iter().collect::<String>());
    }
}
