use super::*;

const DISK: (u32, u32) = (8, 1);
const MEMORY: (u32, u32) = (0, 1);
/// When what was seen last began to run.
const NOW: u64 = 10_000_000_000;

/// A program on the disk whose file has this inode number.
fn program(path: &str, inode: u64) -> LocatedProgram {
    LocatedProgram {
        path: Some(path.into()),
        id: Some(file(inode)),
        device: Some(DISK),
        changed: Some(0),
        is_script: false,
    }
}

fn file(inode: u64) -> FileId {
    FileId { device: DISK, inode }
}

fn exited(inode: u64) -> Option<CurrentProgram<'static>> {
    Some(CurrentProgram {
        evidence: Evidence::ExitRecord,
        path: None,
        id: Some(file(inode)),
        may_be_unrecorded: false,
        since: Some(NOW),
    })
}

fn seen(path: &str, inode: u64) -> Option<CurrentProgram<'_>> {
    Some(CurrentProgram {
        evidence: Evidence::Proc,
        path: Some(Path::new(path)),
        id: Some(file(inode)),
        may_be_unrecorded: true,
        since: Some(NOW),
    })
}

fn in_memory() -> Option<CurrentProgram<'static>> {
    Some(CurrentProgram {
        evidence: Evidence::ExitRecord,
        path: None,
        id: Some(FileId { device: MEMORY, inode: 99 }),
        may_be_unrecorded: false,
        since: Some(NOW),
    })
}

/// The path that is named, by what evidence, and whether that may exclude.
fn outcome(history: &History<'_>) -> (Option<String>, Evidence, bool) {
    let named = history.decide();
    assert_eq!(named.evidence == Evidence::Unknown, named.path.is_none() && named.id.is_none(), "{named:?}");
    (named.path.map(|path| path.display().to_string()), named.evidence, named.confidence == Confidence::Confirmed)
}

fn right(path: &str, evidence: Evidence, sure: bool) -> (Option<String>, Evidence, bool) {
    (Some(path.to_owned()), evidence, sure)
}

const NOBODY: (Option<String>, Evidence, bool) = (None, Evidence::Unknown, false);

#[test]
fn one_exec_before_the_write_and_an_exit_record_of_the_same_file_agree() {
    let (shell, cp) = (program("/bin/sh", 1), program("/bin/cp", 2));
    let history = History {
        current: exited(2),
        inherited: Some(&shell),
        before: vec![&cp],
        execs: Some(1),
        ..History::default()
    };
    // Just started: what was before may have written while the exec was under way.
    assert_eq!(outcome(&history), right("/bin/cp", Evidence::ExitRecord, false));
    assert_eq!(history.decide().corroborated_by, [Evidence::ExecRecord]);
    let alive = History { current: seen("/bin/cp", 2), ..history.clone() };
    assert_eq!(outcome(&alive), right("/bin/cp", Evidence::Proc, false));
    let quiet = History { is_quiet: true, ..history.clone() };
    assert_eq!(outcome(&quiet), right("/bin/cp", Evidence::ExitRecord, true));
    assert_eq!(outcome(&History { is_quiet: true, ..alive }), right("/bin/cp", Evidence::Proc, true));
    assert_eq!(outcome(&History { had_threads: true, ..history }), NOBODY);
}

#[test]
fn a_fork_without_exec_is_named_by_what_its_parent_ran() {
    let shell = program("/bin/sh", 1);
    let history = History { current: exited(1), inherited: Some(&shell), execs: Some(0), ..History::default() };
    assert_eq!(outcome(&history), right("/bin/sh", Evidence::ExitRecord, true));
    assert_eq!(history.decide().corroborated_by, [Evidence::ForkLineage]);
    let unread = History { current: None, may_have_inherited: true, ..history.clone() };
    assert_eq!(outcome(&unread), right("/bin/sh", Evidence::ForkLineage, false));
    // With CLONE_PARENT the parent is not what it is a copy of, and the name at its end tells.
    assert_eq!(outcome(&History { current: None, ..history }), NOBODY);
}

#[test]
fn who_wrote_and_then_ran_another_program_is_named_as_what_wrote() {
    let (shell, python) = (program("/bin/sh", 1), program("/usr/bin/python3", 2));
    let history = History {
        current: exited(2),
        before: vec![&shell],
        after: vec![&python],
        execs: Some(2),
        ..History::default()
    };
    assert_eq!(outcome(&history), right("/bin/sh", Evidence::ExecRecord, false));
    let alive = History { current: seen("/usr/bin/python3", 2), ..history.clone() };
    assert_eq!(outcome(&alive), right("/bin/sh", Evidence::ExecRecord, false));
    // The exec is told a moment after the executable has changed.
    assert_eq!(outcome(&History { execs: Some(1), ..alive }), NOBODY);
    // Looked at before the exec.
    let before = History { current: seen("/bin/sh", 1), ..history };
    assert_eq!(outcome(&before), right("/bin/sh", Evidence::Proc, false));
}

#[test]
fn a_failed_exec_leaves_the_program_that_really_ran() {
    let (shell, broken) = (program("/bin/sh", 1), program("/tmp/broken", 2));
    let history = History { current: exited(1), before: vec![&shell, &broken], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), right("/bin/sh", Evidence::ExitRecord, false));
    assert_eq!(
        outcome(&History { current: seen("/bin/sh", 1), ..history.clone() }),
        right("/bin/sh", Evidence::Proc, false)
    );
    // Without the exit record nobody knows which of the two it was.
    assert_eq!(outcome(&History { current: None, ..history }), NOBODY);
    let forked = History {
        current: exited(1),
        inherited: Some(&shell),
        before: vec![&broken],
        execs: Some(0),
        ..History::default()
    };
    assert_eq!(outcome(&forked), right("/bin/sh", Evidence::ExitRecord, true));
    let unread = History { current: None, may_have_inherited: true, ..forked };
    assert_eq!(outcome(&unread), right("/bin/sh", Evidence::ForkLineage, false));
}

#[test]
fn a_program_in_memory_makes_every_other_name_doubtful() {
    let shell = program("/bin/sh", 1);
    let history = History { current: in_memory(), before: vec![&shell], execs: Some(2), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let candidates = history.decide().candidates;
    assert_eq!(candidates[0].path.as_deref(), Some(Path::new("/bin/sh")));
    assert_eq!(candidates[1].id.unwrap().device, MEMORY);
    // The number of execs alone does not help: the start of the shell may have failed.
    assert_eq!(outcome(&History { execs: Some(1), ..history.clone() }), NOBODY);
    assert_eq!(outcome(&History { execs: None, ..history.clone() }), NOBODY);
    // Back to the first program: the records look as if nothing else had run.
    assert_eq!(outcome(&History { current: exited(1), execs: Some(3), ..history }), NOBODY);
}

#[test]
fn without_an_exec_around_the_write_what_is_seen_last_is_what_wrote() {
    let (pip, old) = (program("/usr/bin/python3", 3), program("/bin/old", 4));
    // Whatever was not accounted for long before.
    let history = History {
        current: seen("/usr/bin/python3", 3),
        before: vec![&old, &pip],
        execs: Some(1),
        is_quiet: true,
        ..History::default()
    };
    assert_eq!(outcome(&history), right("/usr/bin/python3", Evidence::Proc, true));
    assert_eq!(
        outcome(&History { current: exited(3), ..history }),
        right("/usr/bin/python3", Evidence::ExitRecord, true)
    );
}

#[test]
fn an_executable_that_a_process_has_itself_shown_as_is_contradicted_by_what_was_recorded() {
    let (evil, python) = (program("/tmp/evil", 5), program("/usr/bin/python3", 3));
    let history = History {
        current: seen("/usr/bin/python3", 3),
        before: vec![&evil],
        execs: Some(1),
        is_quiet: true,
        ..History::default()
    };
    assert_eq!(outcome(&history), NOBODY);
    assert_eq!(outcome(&History { is_quiet: false, ..history.clone() }), NOBODY);
    // One of the programs it ran left no record: then it may be what it is shown as, unless it could lie.
    let unseen = History { execs: Some(2), ..history.clone() };
    assert_eq!(outcome(&unseen), right("/usr/bin/python3", Evidence::Proc, false));
    let liar = seen("/usr/bin/python3", 3).map(|last| CurrentProgram { may_be_unrecorded: false, ..last });
    assert_eq!(outcome(&History { current: liar, ..unseen }), NOBODY);
    let dead = History { current: exited(3), of_sibling: Some(&python), ..history };
    assert_eq!(outcome(&dead), NOBODY);
}

#[test]
fn a_deleted_or_replaced_executable_keeps_its_name_and_never_excludes() {
    let gone = LocatedProgram { id: None, ..program("/tmp/tool", 6) };
    let history = History { current: exited(6), before: vec![&gone], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), right("/tmp/tool", Evidence::ExecRecord, false));
    assert!(history.decide().is_replaced);
    let replaced = LocatedProgram { changed: Some(NOW + 1), ..program("/tmp/tool", 7) };
    let alive = History { current: seen("/tmp/tool", 6), before: vec![&replaced], ..history.clone() };
    assert_eq!(outcome(&alive), right("/tmp/tool", Evidence::Proc, false));
    let dead = History { before: vec![&replaced], ..history };
    assert_eq!(outcome(&dead), right("/tmp/tool", Evidence::ExecRecord, false));
    assert!(dead.decide().is_replaced);
}

#[test]
fn a_file_that_another_device_number_is_shown_for_is_named_and_never_excludes() {
    let lower = program("/var/lib/layers/1/bin/tool", 8);
    let overlay = Some(CurrentProgram {
        evidence: Evidence::ExitRecord,
        path: None,
        may_be_unrecorded: false,
        since: Some(NOW),
        id: Some(FileId { device: (0, 77), inode: 8 }),
    });
    let history = History { current: overlay, before: vec![&lower], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), right("/var/lib/layers/1/bin/tool", Evidence::ExecRecord, false));
    let alive =
        overlay.map(|last| CurrentProgram { evidence: Evidence::Proc, path: Some(Path::new("/bin/tool")), ..last });
    assert_eq!(outcome(&History { current: alive, ..history }), right("/bin/tool", Evidence::Proc, false));
}

#[test]
fn without_fork_records_only_a_living_process_that_nothing_contradicts_is_sure() {
    let (shell, cp) = (program("/bin/sh", 1), program("/bin/cp", 2));
    let none = History { current: seen("/bin/sh", 1), ..History::default() };
    assert_eq!(outcome(&none), right("/bin/sh", Evidence::Proc, true));
    let same = History { before: vec![&shell], ..none.clone() };
    assert_eq!(outcome(&same), right("/bin/sh", Evidence::Proc, false));
    assert_eq!(outcome(&History { before: vec![&cp], ..none.clone() }), NOBODY);
    assert_eq!(outcome(&History { after: vec![&shell], ..none }), NOBODY);
    let dead = History { current: exited(2), before: vec![&cp], ..History::default() };
    assert_eq!(outcome(&dead), right("/bin/cp", Evidence::ExitRecord, false));
    let since = History { current: exited(2), before: vec![&shell], after: vec![&cp], ..History::default() };
    assert_eq!(outcome(&since), NOBODY);
}

#[test]
fn what_nothing_tells_is_unknown() {
    assert_eq!(outcome(&History::default()), NOBODY);
    assert_eq!(outcome(&History { execs: Some(0), ..History::default() }), NOBODY);
    assert_eq!(outcome(&History { execs: Some(1), ..History::default() }), NOBODY);
    // The exit record tells the file, but no record tells its path.
    let history = History { current: exited(9), execs: Some(0), ..History::default() };
    let named = history.decide();
    assert_eq!((named.path, named.id, named.evidence), (None, Some(file(9)), Evidence::ExitRecord));
    assert!(named.confidence != Confidence::Confirmed);
}

/// Every history of four steps by one process, with the records that the kernel would leave: what is
/// named is what wrote, and nothing else.
#[test]
fn no_history_of_execs_leads_to_a_wrong_name() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        Exec(usize),
        Failed(usize),
        Memory,
        Write,
    }
    let programs: Vec<LocatedProgram> = (0..3).map(|n| program(&format!("/bin/{n}"), n + 1)).collect();
    let mut steps = vec![Step::Memory, Step::Write];
    steps.extend((0..3).flat_map(|n| [Step::Exec(n), Step::Failed(n)]));
    let mut sequences: Vec<Vec<Step>> = vec![Vec::new()];
    for _ in 0..4 {
        sequences = sequences.iter().flat_map(|h| steps.iter().map(move |&s| [h.as_slice(), &[s]].concat())).collect();
    }
    let (mut named_right, mut unknown, mut wrong) = (0, 0, Vec::new());
    for sequence in
        sequences.iter().filter(|sequence| sequence.iter().filter(|step| **step == Step::Write).count() == 1)
    {
        // `None`: something in memory. It begins as a copy of program 0.
        let (mut runs, mut wrote, mut execs) = (Some(0), None, 0);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for step in sequence {
            let records = if wrote.is_none() { &mut before } else { &mut after };
            match *step {
                Step::Exec(n) => {
                    records.push(&programs[n]);
                    (runs, execs) = (Some(n), execs + 1);
                }
                Step::Failed(n) => records.push(&programs[n]),
                Step::Memory => (runs, execs) = (None, execs + 1),
                Step::Write => wrote = Some(runs),
            }
        }
        let exit = runs.map_or_else(in_memory, |n| exited(n as u64 + 1));
        let path = runs.map(|n| programs[n].path.clone().unwrap());
        let alive = match &path {
            Some(path) => CurrentProgram { evidence: Evidence::Proc, path: Some(path), ..exit.unwrap() },
            None => CurrentProgram { evidence: Evidence::Proc, path: Some(Path::new("/memfd:x")), ..exit.unwrap() },
        };
        for last in [exit, Some(alive), None] {
            let history = History {
                current: last,
                inherited: Some(&programs[0]),
                before: before.clone(),
                after: after.clone(),
                execs: Some(execs),
                ..History::default()
            };
            let named = history.decide();
            let truth = wrote.unwrap().map(|n| programs[n].path.clone().unwrap());
            match &named.path {
                None => unknown += 1,
                Some(path) if Some(path) == truth.as_ref() => named_right += 1,
                Some(path) if truth.is_none() && path == Path::new("/memfd:x") => named_right += 1,
                // A program in memory and a failed start of another one that cancel each other out: no record
                // tells these from one that succeeded. It takes a process that means to be mistaken.
                Some(_)
                    if sequence.contains(&Step::Memory) && sequence.iter().any(|s| matches!(s, Step::Failed(_))) =>
                {
                    assert!(named.confidence != Confidence::Confirmed, "{sequence:?} {last:?} {named:?}");
                }
                Some(_) => wrong.push(format!("{sequence:?} {last:?} {named:?}")),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {}",
        wrong.len(),
        wrong.len() + named_right + unknown,
        wrong[..wrong.len().min(40)].join("\n")
    );
    assert!(named_right > 500, "{named_right} right, {unknown} unknown");
}

#[test]
fn a_program_of_which_only_the_loader_left_a_record_is_what_is_seen_last() {
    let (shell, unseen) = (program("/bin/sh", 1), LocatedProgram::default());
    let history = History { current: in_memory(), before: vec![&shell, &unseen], execs: Some(2), ..History::default() };
    let named = history.decide();
    assert_eq!((named.evidence, named.path.as_ref(), named.id), (Evidence::ExitRecord, None, in_memory().unwrap().id));
    assert!(named.confidence != Confidence::Confirmed);
    let alive = History { current: seen("/run/private/tool", 7), ..history.clone() };
    assert_eq!(outcome(&alive), right("/run/private/tool", Evidence::Proc, false));
    let liar = seen("/usr/bin/python3", 3).map(|last| CurrentProgram { may_be_unrecorded: false, ..last });
    assert_eq!(outcome(&History { current: liar, ..history.clone() }), NOBODY);
    // After the write it says nothing of what wrote.
    let since = History { before: vec![&shell], after: vec![&unseen], ..history };
    assert_eq!(outcome(&since).0.as_deref().unwrap_or("/bin/sh"), "/bin/sh");
}

#[test]
fn an_inode_number_that_was_used_again_names_nobody_else() {
    let gone = LocatedProgram { id: None, changed: None, ..program("/tmp/one", 6) };
    let again = LocatedProgram { changed: Some(NOW + 5), ..program("/tmp/two", 6) };
    let history = History {
        current: exited(6),
        before: vec![&gone],
        execs: Some(1),
        of_sibling: Some(&again),
        ..History::default()
    };
    assert_eq!(outcome(&history), right("/tmp/one", Evidence::ExecRecord, false));
    assert_eq!(outcome(&History { execs: None, is_quiet: true, ..history }), NOBODY);
    // Copied and started within a tick of the clock: named, but not sure.
    let fresh = History { current: exited(6), before: vec![&again], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&fresh), right("/tmp/two", Evidence::ExitRecord, false));
}

#[test]
fn a_child_that_is_told_as_its_sibling_is_not_named_as_its_parent() {
    let (shell, caller) = (program("/bin/sh", 1), program("/tmp/caller", 2));
    let history = History { current: exited(2), inherited: Some(&shell), execs: Some(0), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let found = History { of_sibling: Some(&caller), ..history };
    assert_eq!(outcome(&found), right("/tmp/caller", Evidence::ExitRecord, false));
    let alive = History { current: seen("/tmp/caller", 2), of_sibling: None, ..found };
    assert_eq!(outcome(&alive), right("/tmp/caller", Evidence::Proc, false));
}

#[test]
fn a_program_that_died_while_it_was_started_did_not_write() {
    let (evil, python) = (program("/tmp/evil", 5), program("/usr/bin/python3", 3));
    // The executable is the new one already, and no exec was completed.
    let history = History { current: exited(3), before: vec![&evil, &python], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let forked = History { before: vec![&python], inherited: Some(&evil), execs: Some(0), ..history };
    assert_eq!(outcome(&forked), NOBODY);
    // Seen in this state before its exec was told.
    let seen = History { current: seen("/usr/bin/python3", 3), before: vec![], after: vec![&python], ..forked };
    assert_eq!((outcome(&seen), seen.decide().confidence), (NOBODY, Confidence::Doubted(Doubt::ExecFailed)));
}
