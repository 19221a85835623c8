//! Lists of packages that anybody may have written: never a panic, and no entry leads elsewhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::hook::provenance::{dpkg, record};

fuzz_target!(|list: &[u8]| {
    let mut conffiles = dpkg::Conffiles::default();
    for line in list.split(|byte| *byte == b'\n') {
        for entry in [record::entry(line), record::legacy_entry(line)].into_iter().flatten() {
            assert!(!entry.path.starts_with(b"/"));
            assert!(!entry.path.split(|byte| *byte == b'/').any(|part| part == b".."));
            // Legacy entries have no hash and may look like another entry of a RECORD.
        }
        if let Some((path, _)) = conffiles.line(line) {
            assert!(path.len() + 32 < line.len());
        }
        if let Some((path, _)) = dpkg::md5sum(line) {
            assert!(dpkg::may_be_of(line, &path));
        }
        let merged = dpkg::merged(line, true);
        assert_eq!(dpkg::merged(&merged, true), merged);
        dpkg::is_relevant(&merged);
    }
});
