//! The bytes of a fanotify queue: never a panic, and what is read is what fanotify-fid reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::source::fanotify::record::records;

fuzz_target!(|bytes: &[u8]| {
    let ours: Vec<_> = records(bytes).map_while(Result::ok).collect();
    let (theirs, _) = fanotify_fid::fid::parse_fid_events_reported(bytes);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!((ours.mask, ours.pid), (theirs.mask(), theirs.pid()));
    }
    assert!(ours.len() <= theirs.len());
});
