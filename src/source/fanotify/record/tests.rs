#![allow(clippy::print_stderr)]

use super::*;
use proptest::prelude::*;
use std::os::fd::AsFd;

/// An info record with its header, padded to four bytes as the kernel does.
fn info(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + INFO_HEADER).next_multiple_of(4);
    let mut bytes = vec![kind, 0];
    bytes.extend((length as u16).to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(length, 0);
    bytes
}

fn named(kind: u8, fsid: u64, handle: &[u8], name: &[u8]) -> Vec<u8> {
    let mut payload = fsid.to_ne_bytes().to_vec();
    payload.extend((handle.len() as u32).to_ne_bytes());
    payload.extend(1i32.to_ne_bytes());
    payload.extend(handle);
    payload.extend(name);
    payload.push(0);
    info(kind, &payload)
}

fn pidfd(number: i32) -> Vec<u8> {
    info(libc::FAN_EVENT_INFO_TYPE_PIDFD, &number.to_ne_bytes())
}

fn event_bytes(mask: u64, pid: i32, infos: &[Vec<u8>]) -> Vec<u8> {
    let infos = infos.concat();
    let mut bytes = ((METADATA + infos.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend([VERSION, 0]);
    bytes.extend((METADATA as u16).to_ne_bytes());
    bytes.extend(mask.to_ne_bytes());
    bytes.extend((-1i32).to_ne_bytes());
    bytes.extend(pid.to_ne_bytes());
    bytes.extend(infos);
    bytes
}

fn parse(bytes: &[u8]) -> Vec<Result<Record<'_>, Malformed>> {
    records(bytes).collect()
}

const NAME: u8 = libc::FAN_EVENT_INFO_TYPE_DFID_NAME;
const OLD: u8 = libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME;
const NEW: u8 = libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME;

#[test]
fn a_creation_has_directory_name_and_process() {
    let bytes = event_bytes(libc::FAN_CREATE, 42, &[named(NAME, 7, b"handle!!", b"a\xff.pth"), pidfd(9)]);
    let parsed = parse(&bytes);
    let record = parsed[0].as_ref().unwrap();
    assert_eq!((record.mask, record.pid, record.pidfd), (libc::FAN_CREATE, 42, Some(9)));
    let name = record.name.as_ref().unwrap();
    assert_eq!((name.fsid, name.handle, name.name), (7, &b"handle!!"[..], &b"a\xff.pth"[..]));
    assert_eq!(parsed.len(), 1);
}

#[test]
fn a_rename_has_both_names() {
    let bytes = event_bytes(libc::FAN_RENAME, 1, &[named(OLD, 7, b"h1", b"tmp"), named(NEW, 7, b"h2", b"x.pth")]);
    let record = parse(&bytes).remove(0).unwrap();
    assert_eq!(record.old_name.unwrap().name, b"tmp");
    assert_eq!(record.name.unwrap().name, b"x.pth");
}

#[test]
fn a_record_of_a_later_kernel_is_skipped() {
    let bytes = event_bytes(1, 1, &[info(200, b"whatever"), named(NAME, 7, b"h", b"x")]);
    assert_eq!(parse(&bytes)[0].as_ref().unwrap().name.as_ref().unwrap().name, b"x");
}

#[test]
fn an_overflow_has_no_name() {
    let bytes = event_bytes(libc::FAN_Q_OVERFLOW, 0, &[]);
    let record = parse(&bytes).remove(0).unwrap();
    assert_eq!((record.mask, record.name), (libc::FAN_Q_OVERFLOW, None));
}

#[test]
fn every_broken_length_ends_the_batch_after_the_events_before_it() {
    let good = event_bytes(1, 1, &[named(NAME, 7, b"h", b"x")]);
    let broken = |offset: usize, value: &[u8]| {
        let mut bytes = event_bytes(1, 1, &[named(NAME, 7, b"h", b"x")]);
        bytes[offset..offset + value.len()].copy_from_slice(value);
        [good.clone(), bytes, good.clone()].concat()
    };
    for (what, bytes) in [
        ("event_len 0", broken(0, &0u32.to_ne_bytes())),
        ("event_len 23", broken(0, &23u32.to_ne_bytes())),
        ("event_len past the end", broken(0, &u32::MAX.to_ne_bytes())),
        ("version", broken(4, &[4])),
        ("metadata_len short", broken(6, &20u16.to_ne_bytes())),
        ("metadata_len long", broken(6, &u16::MAX.to_ne_bytes())),
        ("info length 0", broken(METADATA + 2, &0u16.to_ne_bytes())),
        ("info length long", broken(METADATA + 2, &u16::MAX.to_ne_bytes())),
        ("handle length", broken(METADATA + INFO_HEADER + 8, &u32::MAX.to_ne_bytes())),
    ] {
        let parsed = parse(&bytes);
        assert_eq!(parsed.len(), 2, "{what}");
        assert!(parsed[0].is_ok(), "{what}");
        assert_eq!(parsed[1].as_ref().unwrap_err().offset, good.len(), "{what}");
    }
}

#[test]
fn a_name_with_a_slash_or_without_an_end_or_empty_is_refused() {
    for name in [&b"a/b"[..], b"", b"../x"] {
        assert!(parse(&event_bytes(1, 1, &[named(NAME, 7, b"h", name)]))[0].is_err(), "{name:?}");
    }
    let mut endless = named(NAME, 7, b"h", b"abc");
    while endless.last() == Some(&0) {
        endless.pop();
    }
    let length = endless.len() as u16;
    endless[2..4].copy_from_slice(&length.to_ne_bytes());
    assert!(parse(&event_bytes(1, 1, &[endless]))[0].is_err());
}

/// The same bytes read by the crate that is the best text on this layout.
fn agrees_with_the_oracle(bytes: &[u8]) {
    let ours: Vec<_> = parse(bytes).into_iter().map_while(Result::ok).collect();
    let (theirs, _) = fanotify_fid::fid::parse_fid_events_reported(bytes);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!((ours.mask, ours.pid), (theirs.mask(), theirs.pid()));
        let theirs_name = match theirs.rename_target() {
            Some(side) => side.name().as_encoded_bytes(),
            None => theirs.dfid_name_raw(),
        };
        assert_eq!(ours.name.as_ref().map_or(&b""[..], |name| name.name), theirs_name);
        let old = theirs.rename_source().map(|side| side.name().as_encoded_bytes().to_vec());
        assert_eq!(ours.old_name.as_ref().map(|name| name.name.to_vec()), old);
    }
    assert!(ours.len() <= theirs.len());
}

#[test]
fn what_this_kernel_queues_is_read_as_the_oracle_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let Ok(mut group) = super::super::group::Group::open() else {
        assert!(std::env::var_os("PYHOOKWATCH_REQUIRE_LIVE").is_none(), "needs CAP_SYS_ADMIN");
        return eprintln!("SKIPPED (needs CAP_SYS_ADMIN): what_this_kernel_queues_is_read_as_the_oracle_reads_it");
    };
    group.mark_filesystem(directory.path()).unwrap();
    std::fs::write(directory.path().join("a.pth"), "x").unwrap();
    std::fs::rename(directory.path().join("a.pth"), directory.path().join("b.pth")).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let bytes = group.read(&mut buffer).unwrap().unwrap();
    agrees_with_the_oracle(bytes);
    let mut names = Vec::new();
    for record in records(bytes) {
        let record = record.unwrap();
        // Adopted, so that this test leaks no descriptor.
        let pidfd = record.pidfd.and_then(crate::sys::adopt_pidfd);
        if record.pid.unsigned_abs() == std::process::id() {
            names.push(record.name.unwrap().name.to_vec());
            assert!(crate::sys::pidfd_holds_pid(pidfd.unwrap().as_fd()));
        }
    }
    assert!(names.contains(&b"a.pth".to_vec()) && names.contains(&b"b.pth".to_vec()), "{names:?}");
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>().prop_filter("no NUL, no slash", |byte| !matches!(byte, 0 | b'/')), 1..255)
}

fn events() -> impl Strategy<Value = Vec<u8>> {
    let handle = || proptest::collection::vec(any::<u8>(), 0..128);
    let one = (any::<u64>(), any::<i32>(), handle(), component(), component(), any::<bool>(), any::<i32>()).prop_map(
        |(mask, pid, handle, name, old, renamed, fd)| {
            let names = if renamed {
                vec![named(OLD, 1, &handle, &old), named(NEW, 2, &handle, &name), pidfd(fd)]
            } else {
                vec![named(NAME, 1, &handle, &name), pidfd(fd)]
            };
            event_bytes(mask, pid, &names)
        },
    );
    proptest::collection::vec(one, 0..8).prop_map(|events| events.concat())
}

proptest! {
    #[test]
    fn well_formed_events_are_read_as_the_oracle_reads_them(bytes in events()) {
        prop_assert!(records(&bytes).all(|record| record.is_ok()));
        agrees_with_the_oracle(&bytes);
    }

    #[test]
    fn events_with_a_flipped_byte_never_panic_and_end(mut bytes in events(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let count = records(&bytes).count();
        prop_assert!(count <= bytes.len() / METADATA + 1);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(records(&bytes).count() <= bytes.len() / METADATA + 1);
    }
}
