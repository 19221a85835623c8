//! How slow the machine is, for tests that wait for something: an emulated one needs more time for the same.

use std::time::Duration;

/// A wait that is long enough on an ordinary machine, made longer by `PYHOOKWATCH_TEST_SLOWNESS` in the environment, a
/// whole number (default 1).
pub fn patient(wait: Duration) -> Duration {
    let factor = std::env::var("PYHOOKWATCH_TEST_SLOWNESS").ok();
    wait * factor.map_or(1, |factor| factor.parse().expect("PYHOOKWATCH_TEST_SLOWNESS is a whole number"))
}
