use super::*;
use crate::writer::process_record::MAX_STARTS;
use crate::writer::records::taskstats::Comm;

fn exit(pid: u32) -> Exit {
    Exit {
        pid,
        parent: 1,
        uid: 0,
        gid: 0,
        comm: Comm::default(),
        executable: None,
        never_ran_exec: None,
        elapsed_us: Some(0),
        exit_code: 0,
        is_whole_process: true,
    }
}

fn name(name: &str) -> HandleName {
    HandleName { fsid: 1, handle_type: 1, handle: Box::new([1; 8]), name: name.as_bytes().into() }
}

fn names(table: &ProcessTable, id: ProcessKey) -> Vec<String> {
    let starts = table.get(id).unwrap().starts();
    let name = |start: &Start| match &*start.program {
        Program::Recorded(name) => String::from_utf8_lossy(&name.name).into_owned(),
        Program::Seen { path, .. } => path.display().to_string(),
    };
    starts.map(name).collect()
}

fn assign(table: &mut ProcessTable) {
    table.assign(&mut |program| matches!(&**program, Program::Recorded(name) if name.name.ends_with(b".sh")));
}

#[test]
fn the_starts_of_a_process_are_in_order_and_without_loaders() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exec(7, 110);
    for (sequence, file) in ["script.sh", "bash", "ld-linux-x86-64.so.2"].into_iter().enumerate() {
        table.add_start(7, sequence as u64, 90, name(file));
    }
    table.add_start(8, 3, 90, name("ld-linux-x86-64.so.2"));
    assign(&mut table);
    assert_eq!(names(&table, table.process_at(7, 200).unwrap()), ["script.sh", "bash"]);
    // Started as `ld.so program`, the loader is the program.
    assert_eq!(names(&table, table.process_at(8, 200).unwrap()), ["ld-linux-x86-64.so.2"]);
}

#[test]
fn an_exec_record_read_after_the_end_of_its_process_is_assigned_to_it() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exec(7, 110);
    table.exit(exit(7), 0, 500);
    table.add_start(7, 1, 90, name("cp"));
    assign(&mut table);
    let [id] = table.candidates_for_pid(7, 90, 600)[..] else { panic!() };
    assert_eq!(names(&table, id), ["cp"]);
}

#[test]
fn two_processes_of_one_pid_are_distinguished_if_every_exec_has_its_record() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exec(7, 110);
    table.fork(1, 7, 200);
    table.exec(7, 210);
    table.exit(exit(7), 0, 150);
    table.exit(exit(7), 150, 900);
    for (sequence, file) in ["run.sh", "one", "two"].into_iter().enumerate() {
        table.add_start(7, sequence as u64, 90, name(file));
    }
    assign(&mut table);
    let processes = table.candidates_for_pid(7, 90, 1000);
    assert_eq!(processes.len(), 2);
    assert_eq!(names(&table, processes[0]), ["run.sh", "one"]);
    assert_eq!(names(&table, processes[1]), ["two"]);
    assert!(!table.get(processes[0]).unwrap().ambiguous);
    assert!(processes.iter().all(|id| table.get(*id).unwrap().end.as_ref().unwrap().record.is_some()));
}

#[test]
fn two_processes_of_one_pid_with_an_extra_record_are_ambiguous() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exec(7, 110);
    table.fork(1, 7, 200);
    for (sequence, file) in ["one", "failed"].into_iter().enumerate() {
        table.add_start(7, sequence as u64, 90, name(file));
    }
    assign(&mut table);
    assert!(table.candidates_for_pid(7, 90, 1000).iter().all(|id| table.get(*id).unwrap().ambiguous));
}

#[test]
fn a_process_that_ended_earlier_is_no_candidate_for_its_pid() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 1_000_000_000);
    // Its age gives a closer bound of its end than the time of the read.
    table.exit(Exit { elapsed_us: Some(1000), ..exit(7) }, 0, 9_000_000_000);
    table.fork(1, 7, 2_000_000_000);
    assert_eq!(table.candidates_for_pid(7, 1_900_000_000, 3_000_000_000).len(), 1);
    assert_eq!(table.candidates_for_pid(7, 500_000_000, 3_000_000_000).len(), 2);
    assert_eq!(table.candidates_for_pid(7, 500_000_000, 1_500_000_000).len(), 1);
}

#[test]
fn an_observation_replaces_earlier_records() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exec(7, 110);
    table.observe(7, Observed { time: 150, program: None, start_time: Some(1), parent: Some(1) });
    table.observe(1, Observed { time: 151, program: None, start_time: Some(0), parent: None });
    table.link_parents();
    // Reported late.
    table.exec(7, 140);
    let process = table.get(table.process_at(7, 200).unwrap()).unwrap();
    assert!(process.execs.is_empty());
    assert_eq!(table.candidates_for_pid(7, 0, 1000).len(), 1);
    table.exec(7, 160);
    assert_eq!(table.get(table.process_at(7, 200).unwrap()).unwrap().execs, [160]);
}

#[test]
fn a_fork_reported_after_the_process_was_observed_is_the_same_process() {
    let mut table = ProcessTable::default();
    table.observe(1, Observed { time: 90, program: None, start_time: Some(0), parent: None });
    table.observe(7, Observed { time: 150, program: None, start_time: Some(1), parent: Some(1) });
    table.fork(1, 7, 100);
    assert_eq!(table.len(), 2);
    let process = table.get(table.process_at(7, 200).unwrap()).unwrap();
    assert_eq!((process.forked_at, process.parent), (Some(100), table.process_at(1, 200)));
}

#[test]
fn memory_is_bounded_for_running_and_ended_processes() {
    let mut table = ProcessTable::default();
    for pid in 1..100_000 {
        table.fork(1, pid, u64::from(pid));
        table.add_start(pid, u64::from(pid), 0, name(&format!("program-{pid}")));
        table.exit(exit(pid), 0, u64::from(pid));
        if table.unassigned() > 1000 {
            assign(&mut table);
        }
    }
    assert!(table.len() <= MAX_ENDED + MAX_LIVING, "{}", table.len());
    assert!(table.living.len() <= MAX_LIVING && table.latest.len() <= table.len());
    assert!(table.programs.len() <= MAX_PROGRAMS);
    let mut table = ProcessTable::default();
    for pid in 1..100_000 {
        table.fork(1, pid, u64::from(pid));
    }
    assert_eq!(table.len(), MAX_LIVING);
    for sequence in 0..100_000 {
        table.exec(99_999, sequence);
        table.add_start(99_999, sequence, 0, name("x"));
    }
    assign(&mut table);
    let process = table.get(table.process_at(99_999, u64::MAX).unwrap()).unwrap();
    assert!(process.ambiguous && process.execs.len() <= 2 * MAX_STARTS && process.starts().count() <= MAX_STARTS);
}

#[test]
fn a_reset_forgets_every_process_and_keeps_waiting_exec_records() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.add_start(7, 1, 90, name("cp"));
    table.reset(200);
    assert_eq!((table.len(), table.unassigned()), (0, 1));
    assert_eq!(table.process_at(7, u64::MAX), None);
}

#[test]
fn an_ended_process_holds_its_pid_until_its_parent_waits_and_a_predecessor_does_not() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.exit(exit(7), 0, 150);
    assert!(table.process_at(7, 400_000_000_000).is_some());
    // Without its fork record the start is unknown.
    table.exit(exit(8), 0, 150);
    assert_eq!(table.process_at(8, 400_000_000_000), None);
}

#[test]
fn the_loaders_record_shows_that_a_start_was_an_earlier_attempt() {
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.add_start(7, 1, 90, name("dpkg"));
    table.add_start(7, 3, 90, name("ld-linux-x86-64.so.2"));
    assign(&mut table);
    let process = table.get(table.process_at(7, 200).unwrap()).unwrap();
    let start = process.starts().next().unwrap();
    // A write between them is not by that program.
    assert_eq!((start.is_before(2), start.is_before(4)), (false, true));
}

#[test]
fn living_processes_are_kept_up_to_the_limit() {
    let mut table = ProcessTable::default();
    for pid in 1..9_000 {
        table.fork(0, pid, u64::from(pid));
    }
    for pid in 10_000..60_000 {
        table.fork(1, pid, u64::from(pid));
        table.exit(exit(pid), 0, u64::from(pid));
    }
    assert!((1..9_000).all(|pid| table.process_at(pid, 100_000).is_some()));
}

/// Before Linux 5.19 the end of a main thread looks like that of a process without threads.
#[test]
fn on_an_old_kernel_the_end_of_a_main_thread_is_not_the_end_of_its_process() {
    let of_a_task = || Exit { is_whole_process: false, ..exit(7) };
    let of_the_last = || Exit { elapsed_us: None, ..exit(7) };
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    table.thread(7);
    assert!(table.exit(of_a_task(), 150, 200));
    let id = table.process_at(7, 1000).unwrap();
    assert!(table.get(id).unwrap().end.is_none(), "a thread processes on");
    assert!(table.exit(of_the_last(), 1000, 2000));
    assert_eq!(table.get(id).unwrap().end.as_ref().unwrap().before, 2000);

    // Its threads were made before the records began.
    let mut table = ProcessTable::default();
    table.fork(1, 7, 100);
    assert!(table.exit(of_a_task(), 150, 200));
    assert!(table.exit(of_the_last(), 9_000_000_000, 9_000_000_100), "no fork was lost");
    // The number of a thread is no pid.
    assert!(table.exit(Exit { pid: 8, ..of_a_task() }, 150, 200));
    assert!(!table.exit(Exit { pid: 9, ..of_the_last() }, 150, 200));
}
