//! Datagrams about processes: never a panic, and nothing after a malformed record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::writer::records::{connector, taskstats};

fuzz_target!(|bytes: &[u8]| {
    let events: Vec<_> = connector::events(bytes).collect();
    assert!(events.iter().rev().skip(1).all(Result::is_ok));
    // The family is chosen so that the fuzzer meets it: the kind of the first message.
    let family = bytes.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
    let exits: Vec<_> = taskstats::exits(bytes, family).collect();
    assert!(exits.iter().rev().skip(1).all(Result::is_ok));
    for exit in exits.into_iter().flatten() {
        assert!(exit.comm.as_bytes().len() <= 32 && !exit.comm.as_bytes().contains(&0));
    }
});
