use super::*;

const DISK: (u32, u32) = (8, 1);
const MEMORY: (u32, u32) = (0, 1);
/// When the current program was started.
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

/// The named path, the evidence, and whether an exclusion may count.
fn outcome(history: &History<'_>) -> (Option<String>, Evidence, bool) {
    let named = history.decide();
    assert_eq!(named.evidence == Evidence::Unknown, named.path.is_none() && named.id.is_none(), "{named:?}");
    (named.path.map(|path| path.display().to_string()), named.evidence, named.confidence == Confidence::Confirmed)
}

fn writer(path: &str, evidence: Evidence, confirmed: bool) -> (Option<String>, Evidence, bool) {
    (Some(path.to_owned()), evidence, confirmed)
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
    // Just started: the previous program may have written during the exec.
    assert_eq!(outcome(&history), writer("/bin/cp", Evidence::ExitRecord, false));
    assert_eq!(history.decide().corroborated_by, [Evidence::ExecRecord]);
    let alive = History { current: seen("/bin/cp", 2), ..history.clone() };
    assert_eq!(outcome(&alive), writer("/bin/cp", Evidence::Proc, false));
    let quiet = History { is_quiet: true, ..history.clone() };
    assert_eq!(outcome(&quiet), writer("/bin/cp", Evidence::ExitRecord, true));
    assert_eq!(outcome(&History { is_quiet: true, ..alive }), writer("/bin/cp", Evidence::Proc, true));
    assert_eq!(outcome(&History { had_threads: true, ..history }), NOBODY);
}

#[test]
fn a_fork_without_exec_is_named_by_what_its_parent_ran() {
    let shell = program("/bin/sh", 1);
    let history = History { current: exited(1), inherited: Some(&shell), execs: Some(0), ..History::default() };
    assert_eq!(outcome(&history), writer("/bin/sh", Evidence::ExitRecord, true));
    assert_eq!(history.decide().corroborated_by, [Evidence::ForkLineage]);
    let unread = History { current: None, may_have_inherited: true, ..history.clone() };
    assert_eq!(outcome(&unread), writer("/bin/sh", Evidence::ForkLineage, false));
    // With CLONE_PARENT it is a copy of another process, and its name at the end differs.
    assert_eq!(outcome(&History { current: None, ..history }), NOBODY);
}

#[test]
fn a_process_that_wrote_and_then_ran_another_program_has_the_name_of_the_first() {
    let (shell, python) = (program("/bin/sh", 1), program("/usr/bin/python3", 2));
    let history = History {
        current: exited(2),
        before: vec![&shell],
        after: vec![&python],
        execs: Some(2),
        ..History::default()
    };
    assert_eq!(outcome(&history), writer("/bin/sh", Evidence::ExecRecord, false));
    let alive = History { current: seen("/usr/bin/python3", 2), ..history.clone() };
    assert_eq!(outcome(&alive), writer("/bin/sh", Evidence::ExecRecord, false));
    // The kernel reports the exec a moment after the executable has changed.
    assert_eq!(outcome(&History { execs: Some(1), ..alive }), NOBODY);
    // Read before the exec.
    let before = History { current: seen("/bin/sh", 1), ..history };
    assert_eq!(outcome(&before), writer("/bin/sh", Evidence::Proc, false));
}

#[test]
fn a_failed_exec_leaves_the_program_that_really_ran() {
    let (shell, broken) = (program("/bin/sh", 1), program("/tmp/broken", 2));
    let history = History { current: exited(1), before: vec![&shell, &broken], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), writer("/bin/sh", Evidence::ExitRecord, false));
    assert_eq!(
        outcome(&History { current: seen("/bin/sh", 1), ..history.clone() }),
        writer("/bin/sh", Evidence::Proc, false)
    );
    // Without the exit record either of the two may have written.
    assert_eq!(outcome(&History { current: None, ..history }), NOBODY);
    let forked = History {
        current: exited(1),
        inherited: Some(&shell),
        before: vec![&broken],
        execs: Some(0),
        ..History::default()
    };
    assert_eq!(outcome(&forked), writer("/bin/sh", Evidence::ExitRecord, true));
    let unread = History { current: None, may_have_inherited: true, ..forked };
    assert_eq!(outcome(&unread), writer("/bin/sh", Evidence::ForkLineage, false));
}

#[test]
fn after_a_program_in_memory_no_other_is_named() {
    let shell = program("/bin/sh", 1);
    let history = History { current: in_memory(), before: vec![&shell], execs: Some(2), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let candidates = history.decide().candidates;
    assert_eq!(candidates[0].path.as_deref(), Some(Path::new("/bin/sh")));
    assert_eq!(candidates[1].id.unwrap().device, MEMORY);
    // The number of execs alone is not enough: the start of the shell may have failed.
    assert_eq!(outcome(&History { execs: Some(1), ..history.clone() }), NOBODY);
    assert_eq!(outcome(&History { execs: None, ..history.clone() }), NOBODY);
    // Back to the first program: the records look as if nothing else had run.
    assert_eq!(outcome(&History { current: exited(1), execs: Some(3), ..history }), NOBODY);
}

#[test]
fn without_an_exec_near_the_write_the_current_program_wrote() {
    let (pip, old) = (program("/usr/bin/python3", 3), program("/bin/old", 4));
    // One start long before has no exec.
    let history = History {
        current: seen("/usr/bin/python3", 3),
        before: vec![&old, &pip],
        execs: Some(1),
        is_quiet: true,
        ..History::default()
    };
    assert_eq!(outcome(&history), writer("/usr/bin/python3", Evidence::Proc, true));
    assert_eq!(
        outcome(&History { current: exited(3), ..history }),
        writer("/usr/bin/python3", Evidence::ExitRecord, true)
    );
}

#[test]
fn a_record_contradicts_an_executable_that_the_process_chose() {
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
    // One of its programs left no record, so it may run what /proc shows, unless it could choose that.
    let unseen = History { execs: Some(2), ..history.clone() };
    assert_eq!(outcome(&unseen), writer("/usr/bin/python3", Evidence::Proc, false));
    let chosen = seen("/usr/bin/python3", 3).map(|last| CurrentProgram { may_be_unrecorded: false, ..last });
    assert_eq!(outcome(&History { current: chosen, ..unseen }), NOBODY);
    let dead = History { current: exited(3), of_sibling: Some(&python), ..history };
    assert_eq!(outcome(&dead), NOBODY);
}

#[test]
fn a_deleted_or_replaced_executable_is_named_with_a_doubt() {
    let gone = LocatedProgram { id: None, ..program("/tmp/tool", 6) };
    let history = History { current: exited(6), before: vec![&gone], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), writer("/tmp/tool", Evidence::ExecRecord, false));
    assert!(history.decide().is_replaced);
    let replaced = LocatedProgram { changed: Some(NOW + 1), ..program("/tmp/tool", 7) };
    let alive = History { current: seen("/tmp/tool", 6), before: vec![&replaced], ..history.clone() };
    assert_eq!(outcome(&alive), writer("/tmp/tool", Evidence::Proc, false));
    let dead = History { before: vec![&replaced], ..history };
    assert_eq!(outcome(&dead), writer("/tmp/tool", Evidence::ExecRecord, false));
    assert!(dead.decide().is_replaced);
}

#[test]
fn a_file_with_another_device_number_in_the_overlay_is_named_with_a_doubt() {
    let lower = program("/var/lib/layers/1/bin/tool", 8);
    let overlay = Some(CurrentProgram {
        evidence: Evidence::ExitRecord,
        path: None,
        may_be_unrecorded: false,
        since: Some(NOW),
        id: Some(FileId { device: (0, 77), inode: 8 }),
    });
    let history = History { current: overlay, before: vec![&lower], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), writer("/var/lib/layers/1/bin/tool", Evidence::ExecRecord, false));
    let alive =
        overlay.map(|last| CurrentProgram { evidence: Evidence::Proc, path: Some(Path::new("/bin/tool")), ..last });
    assert_eq!(outcome(&History { current: alive, ..history }), writer("/bin/tool", Evidence::Proc, false));
}

#[test]
fn without_fork_records_only_an_uncontradicted_living_process_is_confirmed() {
    let (shell, cp) = (program("/bin/sh", 1), program("/bin/cp", 2));
    let none = History { current: seen("/bin/sh", 1), ..History::default() };
    assert_eq!(outcome(&none), writer("/bin/sh", Evidence::Proc, true));
    let same = History { before: vec![&shell], ..none.clone() };
    assert_eq!(outcome(&same), writer("/bin/sh", Evidence::Proc, false));
    assert_eq!(outcome(&History { before: vec![&cp], ..none.clone() }), NOBODY);
    assert_eq!(outcome(&History { after: vec![&shell], ..none }), NOBODY);
    let dead = History { current: exited(2), before: vec![&cp], ..History::default() };
    assert_eq!(outcome(&dead), writer("/bin/cp", Evidence::ExitRecord, false));
    let since = History { current: exited(2), before: vec![&shell], after: vec![&cp], ..History::default() };
    assert_eq!(outcome(&since), NOBODY);
}

#[test]
fn without_evidence_the_writer_is_unknown() {
    assert_eq!(outcome(&History::default()), NOBODY);
    assert_eq!(outcome(&History { execs: Some(0), ..History::default() }), NOBODY);
    assert_eq!(outcome(&History { execs: Some(1), ..History::default() }), NOBODY);
    // The exit record holds the file, but no record holds its path.
    let history = History { current: exited(9), execs: Some(0), ..History::default() };
    let named = history.decide();
    assert_eq!((named.path, named.id, named.evidence), (None, Some(file(9)), Evidence::ExitRecord));
    assert!(named.confidence != Confidence::Confirmed);
}

/// Tries every history of four steps with the records that the kernel would leave. Only the program that wrote is
/// named.
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
    let (mut named_correctly, mut unknown, mut wrong) = (0, 0, Vec::new());
    for sequence in
        sequences.iter().filter(|sequence| sequence.iter().filter(|step| **step == Step::Write).count() == 1)
    {
        // `None`: a program in memory. The process begins as a copy of program 0.
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
                Some(path) if Some(path) == truth.as_ref() => named_correctly += 1,
                Some(path) if truth.is_none() && path == Path::new("/memfd:x") => named_correctly += 1,
                // A program in memory and a failed start of another cancel each other out: the records are those of
                // one successful start. Only a process that intends this does it.
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
        wrong.len() + named_correctly + unknown,
        wrong[..wrong.len().min(40)].join("\n")
    );
    assert!(named_correctly > 500, "{named_correctly} correct, {unknown} unknown");
}

#[test]
fn a_program_with_only_a_loader_record_is_the_current_one() {
    let (shell, unseen) = (program("/bin/sh", 1), LocatedProgram::default());
    let history = History { current: in_memory(), before: vec![&shell, &unseen], execs: Some(2), ..History::default() };
    let named = history.decide();
    assert_eq!((named.evidence, named.path.as_ref(), named.id), (Evidence::ExitRecord, None, in_memory().unwrap().id));
    assert!(named.confidence != Confidence::Confirmed);
    let alive = History { current: seen("/run/private/tool", 7), ..history.clone() };
    assert_eq!(outcome(&alive), writer("/run/private/tool", Evidence::Proc, false));
    let chosen = seen("/usr/bin/python3", 3).map(|last| CurrentProgram { may_be_unrecorded: false, ..last });
    assert_eq!(outcome(&History { current: chosen, ..history.clone() }), NOBODY);
    // Started after the write, it is not the writer.
    let since = History { before: vec![&shell], after: vec![&unseen], ..history };
    assert_eq!(outcome(&since).0.as_deref().unwrap_or("/bin/sh"), "/bin/sh");
}

#[test]
fn a_reused_inode_number_names_no_other_program() {
    let gone = LocatedProgram { id: None, changed: None, ..program("/tmp/one", 6) };
    let again = LocatedProgram { changed: Some(NOW + 5), ..program("/tmp/two", 6) };
    let history = History {
        current: exited(6),
        before: vec![&gone],
        execs: Some(1),
        of_sibling: Some(&again),
        ..History::default()
    };
    assert_eq!(outcome(&history), writer("/tmp/one", Evidence::ExecRecord, false));
    assert_eq!(outcome(&History { execs: None, is_quiet: true, ..history }), NOBODY);
    // Copied and started within a tick of the clock: named with a doubt.
    let fresh = History { current: exited(6), before: vec![&again], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&fresh), writer("/tmp/two", Evidence::ExitRecord, false));
}

#[test]
fn a_child_recorded_as_a_sibling_does_not_get_its_parents_name() {
    let (shell, caller) = (program("/bin/sh", 1), program("/tmp/caller", 2));
    let history = History { current: exited(2), inherited: Some(&shell), execs: Some(0), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let found = History { of_sibling: Some(&caller), ..history };
    assert_eq!(outcome(&found), writer("/tmp/caller", Evidence::ExitRecord, false));
    let alive = History { current: seen("/tmp/caller", 2), of_sibling: None, ..found };
    assert_eq!(outcome(&alive), writer("/tmp/caller", Evidence::Proc, false));
}

#[test]
fn a_program_that_died_while_it_was_started_did_not_write() {
    let (evil, python) = (program("/tmp/evil", 5), program("/usr/bin/python3", 3));
    // The executable is already the new one, and no exec was completed.
    let history = History { current: exited(3), before: vec![&evil, &python], execs: Some(1), ..History::default() };
    assert_eq!(outcome(&history), NOBODY);
    let forked = History { before: vec![&python], inherited: Some(&evil), execs: Some(0), ..history };
    assert_eq!(outcome(&forked), NOBODY);
    // Read in this state before the kernel reported the exec.
    let seen = History { current: seen("/usr/bin/python3", 3), before: vec![], after: vec![&python], ..forked };
    assert_eq!((outcome(&seen), seen.decide().confidence), (NOBODY, Confidence::Doubted(Doubt::ExecFailed)));
}
