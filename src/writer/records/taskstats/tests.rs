use super::*;
use crate::writer::records::test_needs;
use proptest::prelude::*;
use rustix::net::SendFlags;
use rustix::net::netlink::SocketAddrNetlink;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FAMILY: u16 = 30;

fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A record of task 201, which belongs to process 200.
fn stats(version: u16, flag: u8) -> Vec<u8> {
    let mut bytes = vec![0; if version >= 12 { 416 } else { 368 }];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(AT_VERSION, &version.to_ne_bytes());
    put(AT_FLAG, &[flag]);
    put(AT_COMM, b"\xff name");
    for (at, number) in [(AT_EXIT_CODE, 256u32), (AT_UID, 1000), (AT_GID, 1001), (AT_PID, 201), (AT_PARENT, 100)] {
        put(at, &number.to_ne_bytes());
    }
    put(AT_ELAPSED, &5u64.to_ne_bytes());
    if version >= 12 {
        put(AT_GROUP, &200u32.to_ne_bytes());
        put(AT_GROUP_ELAPSED, &50u64.to_ne_bytes());
        // Major 259, minor 0x12345: bits of both are spread.
        put(AT_EXECUTABLE_DEVICE, &(0x45u64 | 259 << 8 | 0x123 << 20).to_ne_bytes());
        put(AT_EXECUTABLE_INODE, &(1u64 << 40).to_ne_bytes());
    }
    bytes
}

fn message_of(stats: &[u8], group: Option<u32>) -> Vec<u8> {
    let of_task = [attribute_of(1, &201u32.to_ne_bytes()), attribute_of(TYPE_STATS, stats)].concat();
    let mut payload = vec![COMMAND_NEW, 1, 0, 0];
    payload.extend(attribute_of(6, b"")); // padding that some architectures need
    payload.extend(attribute_of(TYPE_TASK, &of_task));
    if let Some(group) = group {
        let sums = vec![0; stats.len()];
        let of_group = [attribute_of(TYPE_GROUP_ID, &group.to_ne_bytes()), attribute_of(TYPE_STATS, &sums)].concat();
        payload.extend(attribute_of(TYPE_GROUP, &of_group));
    }
    netlink::message(FAMILY, 0, 0, &payload)
}

fn parsed(datagram: &[u8]) -> Vec<Result<Exit, Malformed>> {
    exits(datagram, FAMILY).collect()
}

#[test]
fn the_record_of_the_last_task_is_that_of_the_process() {
    let parsed = parsed(&message_of(&stats(13, AGROUP), Some(200)));
    let [Ok(exit)] = parsed[..] else { panic!("{parsed:?}") };
    assert_eq!((exit.pid, exit.parent, exit.uid, exit.gid), (200, 100, 1000, 1001));
    assert_eq!((exit.elapsed_us.unwrap(), exit.exit_code, exit.comm.as_bytes()), (50, 256, &b"\xff name"[..]));
    assert_eq!(exit.executable, Some(FileId { device: (259, 0x12345), inode: 1 << 40 }));
    assert_eq!((exit.is_whole_process, exit.never_ran_exec), (true, None));
    assert_eq!(format!("{:?}", exit.comm), "\"\\xff name\"");
}

#[test]
fn a_thread_that_is_not_the_last_is_skipped() {
    assert_eq!(parsed(&message_of(&stats(13, AFORK), None)), []);
}

#[test]
fn only_a_main_thread_shows_whether_it_ran_a_program() {
    for (flag, ran_none) in [(AGROUP, false), (AGROUP | AFORK, true)] {
        let mut stats = stats(12, flag);
        stats[AT_PID..AT_PID + 4].copy_from_slice(&200u32.to_ne_bytes());
        let parsed = parsed(&message_of(&stats, None));
        assert!(
            matches!(parsed[..], [Ok(Exit { never_ran_exec: Some(found), .. })] if found == ran_none),
            "{parsed:?}"
        );
    }
}

#[test]
fn a_process_of_the_kernel_has_no_executable() {
    let mut stats = stats(13, AGROUP);
    stats[AT_EXECUTABLE_DEVICE..AT_EXECUTABLE_DEVICE + 16].fill(0);
    assert!(matches!(parsed(&message_of(&stats, None))[..], [Ok(Exit { executable: None, .. })]));
}

#[test]
fn on_an_older_kernel_only_the_second_attribute_marks_the_whole_process() {
    let last = parsed(&message_of(&stats(10, 0), Some(200)));
    let [Ok(exit)] = last[..] else { panic!("{last:?}") };
    assert_eq!((exit.pid, exit.is_whole_process, exit.executable), (200, true, None));
    // The record has the age of a thread.
    assert_eq!(exit.elapsed_us, None);
    let single = parsed(&message_of(&stats(10, AFORK), None));
    let [Ok(exit)] = single[..] else { panic!("{single:?}") };
    assert_eq!((exit.pid, exit.is_whole_process, exit.never_ran_exec), (201, false, Some(true)));
    let unknown = parsed(&message_of(&stats(10, 0), None));
    assert!(matches!(unknown[..], [Ok(Exit { never_ran_exec: None, .. })]), "{unknown:?}");
}

#[test]
fn a_version_without_its_fields_is_read_as_an_older_one() {
    let parsed = parsed(&message_of(&stats(13, AGROUP)[..390], None));
    assert!(matches!(parsed[..], [Ok(Exit { executable: None, is_whole_process: false, .. })]), "{parsed:?}");
}

#[test]
fn other_families_and_commands_are_skipped() {
    let mut message = message_of(&stats(13, AGROUP), None);
    assert_eq!(exits(&message, FAMILY + 1).count(), 0);
    message[16] = COMMAND_GET;
    assert_eq!(parsed(&message), []);
}

#[test]
fn a_message_cut_anywhere_is_malformed() {
    let whole = message_of(&stats(13, AGROUP), Some(200));
    for length in 1..whole.len() {
        let parsed = parsed(&whole[..length]);
        assert!(matches!(parsed[..], [Err(_)]), "{length}: {parsed:?}");
    }
}

#[test]
fn nothing_after_a_malformed_record_is_read() {
    let good = message_of(&stats(13, AGROUP), None);
    let all = [good.clone(), message_of(&[0; 20], None), good].concat();
    assert!(matches!(parsed(&all)[..], [Ok(_), Err(_)]));
}

proptest! {
    #[test]
    fn whatever_the_bytes_the_parser_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parsed(&bytes).len() <= bytes.len() / 16 + 1);
    }

    #[test]
    fn whatever_one_byte_is_the_parser_ends(at in 0usize..460, byte: u8) {
        let mut message = message_of(&stats(13, AGROUP), None);
        if let Some(target) = message.get_mut(at) {
            *target = byte;
        }
        prop_assert!(parsed(&message).len() <= 2);
    }
}

fn drained(taskstats: &mut Taskstats) -> (Vec<Exit>, Drained) {
    let mut exits = Vec::new();
    let drained = taskstats.drain(&mut |exit| exits.push(exit)).unwrap();
    assert_eq!(drained.records, exits.len());
    (exits, drained)
}

fn only(exits: &[Exit], wanted: impl Fn(&Exit) -> bool) -> Exit {
    let found: Vec<_> = exits.iter().filter(|exit| wanted(exit)).collect();
    assert_eq!(found.len(), 1, "{exits:?}");
    *found[0]
}

/// The file that a command name leads to, as the records name it.
fn file_id(path: &std::path::Path) -> FileId {
    let metadata = std::fs::metadata(path).unwrap();
    let device = metadata.dev();
    FileId { device: (rustix::fs::major(device), rustix::fs::minor(device)), inode: metadata.ino() }
}

#[test]
fn an_exit_record_has_pid_parent_user_name_and_executable() {
    if !test_needs::met("an_exit_record_has_pid_parent_user_name_and_executable") {
        return;
    }
    let mut taskstats = Taskstats::open().unwrap();
    if !taskstats.has_executables() {
        return;
    }
    let mut child = Command::new("/bin/false").uid(12345).gid(54321).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let (exits, drained) = drained(&mut taskstats);
    assert_eq!(drained.lost, 0);
    let exit = only(&exits, |exit| exit.pid == child.id());
    assert_eq!((exit.parent, exit.uid, exit.gid), (std::process::id(), 12345, 54321));
    assert_eq!((exit.comm.as_bytes(), exit.exit_code), (&b"false"[..], 1 << 8));
    assert_eq!(exit.executable, Some(file_id("/bin/false".as_ref())));
    assert_eq!((exit.never_ran_exec, exit.is_whole_process), (Some(false), true));
    assert!(exit.elapsed_us > Some(0));
}

#[test]
fn a_subshell_is_recognised_as_a_copy_that_ran_no_program() {
    if !test_needs::met("a_subshell_is_recognised_as_a_copy_that_ran_no_program") {
        return;
    }
    let mut taskstats = Taskstats::open().unwrap();
    let mut shell = Command::new("/bin/sh").args(["-c", "(exit 3) ; :"]).spawn().unwrap();
    assert!(shell.wait().unwrap().success());
    let (exits, _) = drained(&mut taskstats);
    let subshell = only(&exits, |exit| exit.parent == shell.id());
    assert_eq!((subshell.exit_code, subshell.never_ran_exec), (3 << 8, Some(true)));
    let shell = only(&exits, |exit| exit.pid == shell.id());
    assert_eq!(shell.never_ran_exec, Some(false));
    assert_eq!(shell.executable, subshell.executable);
}

/// A program whose first thread ends at once, and whose second ends at the end of standard input.
const LEADER_ENDS_FIRST: &str = r"
    #include <pthread.h>
    #include <unistd.h>
    static void *last(void *unused) { char byte; while (read(0, &byte, 1) > 0) {} return unused; }
    int main(void) { pthread_t thread; pthread_create(&thread, 0, last, 0); pthread_exit(0); }
";

#[test]
fn a_process_ends_with_its_last_thread_even_after_the_main_thread() {
    if !test_needs::met("a_process_ends_with_its_last_thread_even_after_the_main_thread") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("threads.c"), directory.path().join("threads"));
    std::fs::write(&source, LEADER_ENDS_FIRST).unwrap();
    let compiled = Command::new("cc").arg("-pthread").arg("-o").arg(&program).arg(&source).status().unwrap();
    assert!(compiled.success());

    let mut taskstats = Taskstats::open().unwrap();
    if !taskstats.has_executables() {
        return;
    }
    let mut child = Command::new(&program).stdin(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ") {
        assert!(Instant::now() < deadline, "the leader does not end");
        std::thread::yield_now();
    }
    let (before, _) = drained(&mut taskstats);
    assert!(before.iter().all(|exit| exit.pid != child.id()), "reported while a thread lives: {before:?}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let (after, _) = drained(&mut taskstats);
    let exit = only(&after, |exit| exit.pid == child.id());
    assert_eq!((exit.executable, exit.never_ran_exec), (Some(file_id(&program)), None));
}

#[test]
fn records_that_do_not_fit_count_as_lost_and_reading_continues() {
    if !test_needs::met("records_that_do_not_fit_count_as_lost_and_reading_continues") {
        return;
    }
    let run = || {
        let mut child = Command::new("true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
        child.id()
    };
    let mut taskstats = Taskstats::with_receive_buffer(16 << 10).unwrap();
    let children = 40;
    let mine: Vec<u32> = (0..children).map(|_| run()).collect();
    let (exits, first) = drained(&mut taskstats);
    let seen = exits.iter().filter(|exit| mine.contains(&exit.pid)).count();
    assert!(seen < children, "everything fitted");
    assert!(first.lost >= (children - seen) as u64, "{first:?}, {seen} seen");
    // Other tests may end processes meanwhile, but not so many that none of these ever fits.
    let after = (0..100).any(|_| {
        drained(&mut taskstats);
        let child = run();
        let (exits, last) = drained(&mut taskstats);
        last.lost == 0 && exits.iter().any(|exit| exit.pid == child)
    });
    assert!(after, "no record after an overflow");
}

#[test]
fn the_kernel_refuses_datagrams_of_other_processes() {
    if !test_needs::met("the_kernel_refuses_datagrams_of_other_processes") {
        return;
    }
    let taskstats = Taskstats::open().unwrap();
    let stranger = Socket::open(GENERIC, 0, 1 << 16).unwrap();
    let lie = message_of(&stats(13, AGROUP), Some(200));
    let to_port = SocketAddrNetlink::new(taskstats.socket.port(), 0);
    let refused = rustix::net::sendto(stranger.as_fd(), &lie, SendFlags::empty(), &to_port);
    assert_eq!(refused, Err(rustix::io::Errno::CONNREFUSED));
}

#[test]
fn in_a_pid_namespace_opening_fails() {
    test_needs::in_a_namespace("--pid", "writer::records::taskstats::tests::inside_a_pid_namespace");
}

#[test]
#[ignore = "run by in_a_pid_namespace_opening_fails"]
fn inside_a_pid_namespace() {
    let error = Taskstats::open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
}

#[test]
fn in_a_network_namespace_opening_fails() {
    test_needs::in_a_namespace("--net", "writer::records::taskstats::tests::inside_a_network_namespace");
}

#[test]
#[ignore = "run by in_a_network_namespace_opening_fails"]
fn inside_a_network_namespace() {
    let error = Taskstats::open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
}
