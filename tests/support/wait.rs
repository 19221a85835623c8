//! Waits with a deadline.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// The longest wait for anything that must happen: generous, because a loaded machine is slow, not wrong.
pub fn patience() -> Duration {
    scaled(Duration::from_secs(30))
}

/// A wait that is long enough on an ordinary machine, multiplied by `PYHOOKWATCH_TEST_SLOWNESS` in the
/// environment: a whole number, by default 1. An emulated machine needs more.
pub fn scaled(wait: Duration) -> Duration {
    let factor = std::env::var("PYHOOKWATCH_TEST_SLOWNESS").ok();
    wait * factor.map_or(1, |factor| factor.parse().expect("PYHOOKWATCH_TEST_SLOWNESS is a whole number"))
}

/// The time between two looks at a condition that the kernel reports no event for.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks until `attempt` gives a result. For conditions without an event, such as the content of a file
/// that another program writes.
///
/// # Panics
/// After [`patience`], with `what`.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "{what}: did not happen within {:?}", patience());
        std::thread::sleep(INTERVAL);
    }
}

/// Waits until a file or directory was last changed this long ago. The daemon treats fresh ones differently, and
/// nothing but time makes them old.
pub fn wait_until_older(path: &Path, age: Duration) {
    let changed = std::fs::symlink_metadata(path).unwrap();
    let changed = Duration::new(changed.ctime().try_into().unwrap(), changed.ctime_nsec().try_into().unwrap());
    wait_until("the file grows old", || UNIX_EPOCH.elapsed().is_ok_and(|now| now > changed + age));
}

/// Looks until `condition` holds; see [`eventually`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
