//! The clock of the process connector's records.

use rustix::time::ClockId;

/// This moment in nanoseconds of CLOCK_MONOTONIC, which stands still while the machine sleeps.
pub fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// A start time in clock ticks since boot (`/proc/PID/stat` field 22) in nanoseconds of CLOCK_MONOTONIC.
pub fn of_ticks(start_time: u64) -> u64 {
    let asleep = nanoseconds(ClockId::Boottime).saturating_sub(now());
    let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
    start_time.saturating_mul(tick).saturating_sub(asleep)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
}
