use super::*;
use crate::writer::records::test_needs;
use proptest::prelude::*;
use rustix::net::SendFlags;
use rustix::net::netlink::SocketAddrNetlink;
use std::process::Command;

const TIME: u64 = 0x0123_4567_89ab_cdef;

/// A message as the kernel makes it, with room for the longest event.
fn message_of(what: u32, numbers: &[u32]) -> Vec<u8> {
    let mut event: Vec<u8> = [what, 7].into_iter().flat_map(u32::to_ne_bytes).collect();
    event.extend(TIME.to_ne_bytes());
    event.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
    event.resize(40, 0);
    request(6, &event)
}

fn parsed_events(datagram: &[u8]) -> Vec<Result<ProcessEvent, Malformed>> {
    events(datagram).collect()
}

#[test]
fn a_fork_names_both_processes_and_not_the_forking_thread() {
    let event = ProcessEvent::Fork { parent: 100, child: 200, time: TIME };
    assert_eq!(parsed_events(&message_of(FORK, &[101, 100, 200, 200])), [Ok(event)]);
}

#[test]
fn a_new_thread_is_not_a_new_process() {
    let event = ProcessEvent::Thread { process: 200, time: TIME };
    assert_eq!(parsed_events(&message_of(FORK, &[101, 100, 201, 200])), [Ok(event)]);
}

#[test]
fn an_exec_by_a_thread_names_its_process() {
    let event = ProcessEvent::Exec { pid: 200, time: TIME };
    assert_eq!(parsed_events(&message_of(EXEC, &[201, 200])), [Ok(event)]);
}

#[test]
fn other_kinds_and_other_connectors_are_skipped() {
    let exit = 0x8000_0000;
    assert_eq!(parsed_events(&message_of(exit, &[1, 1, 0, 17])), []);
    assert_eq!(parsed_events(&message_of(ACKNOWLEDGEMENT, &[0])), []);
    let mut other = message_of(FORK, &[1, 1, 2, 2]);
    other[20] = 9; // the value
    assert_eq!(parsed_events(&other), []);
}

#[test]
fn an_acknowledgement_has_the_number_of_its_request() {
    let parsed: Vec<_> = super::parsed(&message_of(ACKNOWLEDGEMENT, &[1])).collect();
    assert_eq!(parsed, [Ok(Parsed::Acknowledged { number: 6, error: 1 })]);
}

#[test]
fn several_messages_of_one_datagram_are_all_read() {
    let both = [message_of(EXEC, &[1, 1]), message_of(EXEC, &[2, 2])].concat();
    assert_eq!(parsed_events(&both).len(), 2);
}

#[test]
fn a_message_cut_anywhere_is_malformed() {
    let whole = message_of(FORK, &[1, 1, 2, 2]);
    for length in 1..whole.len() {
        let parsed = parsed_events(&whole[..length]);
        assert!(matches!(parsed[..], [Err(_)]), "{length}: {parsed:?}");
    }
}

#[test]
fn an_event_that_claims_more_than_its_message_is_malformed() {
    let mut message = message_of(EXEC, &[1, 1]);
    message[32..34].copy_from_slice(&u16::MAX.to_ne_bytes());
    assert!(matches!(parsed_events(&message)[..], [Err(_)]));
}

#[test]
fn nothing_after_a_malformed_event_is_read() {
    let mut bad = message_of(EXEC, &[1, 1]);
    bad[32..34].copy_from_slice(&u16::MAX.to_ne_bytes());
    let all = [message_of(EXEC, &[1, 1]), bad, message_of(EXEC, &[2, 2])].concat();
    assert!(matches!(parsed_events(&all)[..], [Ok(_), Err(_)]));
}

proptest! {
    #[test]
    fn whatever_the_bytes_the_parser_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parsed_events(&bytes).len() <= bytes.len() / 16 + 1);
    }

    #[test]
    fn whatever_one_byte_is_the_parser_ends(at in 0usize..92, byte: u8) {
        let mut message = message_of(FORK, &[1, 1, 2, 2]);
        if let Some(target) = message.get_mut(at) {
            *target = byte;
        }
        prop_assert!(parsed_events(&message).len() <= 2);
    }
}

/// Runs a program to its end and returns its pid.
fn run(program: &str) -> u32 {
    let mut child = Command::new(program).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    child.id()
}

fn drained(connector: &mut Connector) -> (Vec<ProcessEvent>, Drained) {
    let mut events = Vec::new();
    let drained = connector.drain(&mut |event| events.push(event)).unwrap();
    assert_eq!(drained.records, events.len());
    (events, drained)
}

#[test]
fn a_child_is_reported_with_its_parent_and_then_its_exec_with_rising_times() {
    if !test_needs::met("a_child_is_reported_with_its_parent_and_then_its_exec_with_rising_times") {
        return;
    }
    let mut connector = Connector::open().unwrap();
    let children: Vec<u32> = (0..3).map(|_| run("true")).collect();
    let (events, drained) = drained(&mut connector);
    assert_eq!(drained.lost, 0);
    let mut last = 0;
    for pid in children {
        let of_child: Vec<_> = events
            .iter()
            .filter(|event| match event {
                ProcessEvent::Fork { child, .. } => *child == pid,
                ProcessEvent::Exec { pid: who, .. } => *who == pid,
                ProcessEvent::Thread { .. } => false,
            })
            .collect();
        let [ProcessEvent::Fork { parent, time: made, .. }, ProcessEvent::Exec { time: ran, .. }] = of_child[..] else {
            panic!("{of_child:?}");
        };
        assert_eq!(*parent, std::process::id());
        assert!(last < *made && made < ran, "{last} {made} {ran}");
        last = *ran;
    }
}

#[test]
fn a_new_thread_of_this_process_is_reported() {
    if !test_needs::met("a_new_thread_of_this_process_is_reported") {
        return;
    }
    let mut connector = Connector::open().unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    let (events, _) = drained(&mut connector);
    let own =
        |event: &ProcessEvent| matches!(event, ProcessEvent::Thread { process, .. } if *process == std::process::id());
    assert!(events.iter().any(own), "{events:?}");
}

#[test]
fn records_that_do_not_fit_count_as_lost_and_reading_continues() {
    if !test_needs::met("records_that_do_not_fit_count_as_lost_and_reading_continues") {
        return;
    }
    let mut connector = Connector::with_receive_buffer(16 << 10).unwrap();
    let children = 40;
    let mine: Vec<u32> = (0..children).map(|_| run("true")).collect();
    let (events, first) = drained(&mut connector);
    let seen =
        events.iter().filter(|event| matches!(event, ProcessEvent::Exec { pid, .. } if mine.contains(pid))).count();
    assert!(seen < children, "everything fitted");
    assert!(first.lost >= (children - seen) as u64, "{first:?}, {seen} seen");
    // Other tests may start processes meanwhile, but not so many that none of these ever fits.
    let after = (0..100).any(|_| {
        drained(&mut connector);
        let child = run("true");
        let (events, last) = drained(&mut connector);
        last.lost == 0 && events.iter().any(|event| matches!(event, ProcessEvent::Exec { pid, .. } if *pid == child))
    });
    assert!(after, "no record after an overflow");
}

#[test]
fn a_datagram_of_another_process_is_ignored() {
    if !test_needs::met("a_datagram_of_another_process_is_ignored") {
        return;
    }
    let mut connector = Connector::open().unwrap();
    let stranger = Socket::open(CONNECTOR, 0, 1 << 16).unwrap();
    let lie = message_of(EXEC, &[0x7fff_fff0, 0x7fff_fff0]);
    let to_group = SocketAddrNetlink::new(0, GROUP);
    rustix::net::sendto(stranger.as_fd(), &lie, SendFlags::empty(), &to_group).unwrap();
    let to_port = SocketAddrNetlink::new(connector.socket.port(), 0);
    let refused = rustix::net::sendto(stranger.as_fd(), &lie, SendFlags::empty(), &to_port);
    assert_eq!(refused, Err(rustix::io::Errno::CONNREFUSED));
    let child = run("true");
    let (events, _) = drained(&mut connector);
    let executed = |who: u32| events.iter().any(|event| matches!(event, ProcessEvent::Exec { pid, .. } if *pid == who));
    assert!(executed(child), "{events:?}");
    assert!(!executed(0x7fff_fff0));
}

#[test]
fn in_a_pid_namespace_opening_fails() {
    test_needs::in_a_namespace("--pid", "writer::records::connector::tests::inside_a_pid_namespace");
}

#[test]
#[ignore = "run by in_a_pid_namespace_opening_fails"]
fn inside_a_pid_namespace() {
    let error = Connector::open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
}

#[test]
fn in_a_network_namespace_opening_fails() {
    test_needs::in_a_namespace("--net", "writer::records::connector::tests::inside_a_network_namespace");
}

#[test]
#[ignore = "run by in_a_network_namespace_opening_fails"]
fn inside_a_network_namespace() {
    let error = Connector::open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
}
