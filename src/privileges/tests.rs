use super::*;

/// Runs in a thread of its own, because capabilities belong to threads.
fn in_new_thread(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(test).join().unwrap();
}

#[test]
fn dropped_capabilities_cannot_be_raised_again() {
    in_new_thread(|| {
        drop_to(Role::Files);
        raise(Role::Reader).unwrap();
        let sets = rustix::thread::capabilities(None).unwrap();
        assert!((sets.permitted - CapabilitySet::DAC_READ_SEARCH).is_empty());
        assert_eq!(sets.effective, sets.permitted);
        drop_to(Role::Nothing);
        raise(Role::Files).unwrap();
        assert!(rustix::thread::capabilities(None).unwrap().permitted.is_empty());
        assert!(!can_locate());
        assert_eq!(missing().len(), CAPABILITIES.len());
    });
}

#[test]
fn a_raised_role_can_be_lowered_and_raised_again() {
    in_new_thread(|| {
        let before = rustix::thread::capabilities(None).unwrap().permitted;
        raise(Role::Nothing).unwrap();
        assert!(rustix::thread::capabilities(None).unwrap().effective.is_empty());
        raise(Role::Reader).unwrap();
        let sets = rustix::thread::capabilities(None).unwrap();
        assert_eq!((sets.permitted, sets.effective), (before, before & Role::Reader.capabilities()));
    });
}

/// The rows `| role | threads | capability | needed for |` of the decision.
#[test]
fn the_table_of_the_decision_has_the_capabilities_of_each_role() {
    let decision = include_str!("../../docs/decisions/010-privileges.md");
    let mut documented = Vec::new();
    for line in decision.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, role, _, capability, _, _] = cells[..]
            && (capability.starts_with("CAP_") || capability == "none")
        {
            documented.push((role.to_owned(), capability.to_owned()));
        }
    }
    let mut expected = Vec::new();
    for role in [Role::Reader, Role::Files, Role::Nothing] {
        let own = CAPABILITIES.iter().filter(|capability| capability.roles.contains(&role));
        let before = expected.len();
        expected.extend(own.map(|capability| (format!("`{role:?}`"), capability.name.to_owned())));
        if expected.len() == before {
            expected.push((format!("`{role:?}`"), "none".to_owned()));
        }
    }
    assert_eq!(documented, expected);
}
