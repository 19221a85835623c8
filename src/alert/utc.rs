//! Times in UTC.

use std::time::SystemTime;
use time::OffsetDateTime;
use time::macros::format_description;

/// A moment in UTC. A file's time before 1970 or after 9999 becomes 1970: the `time` crate's own conversion panics there.
pub(super) fn utc(time: SystemTime) -> OffsetDateTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = i128::try_from(since.as_nanos()).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// RFC 3339 in UTC with microseconds; the epoch for a time that cannot be written.
pub fn timestamp(time: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    utc(time).format(&format).unwrap_or_else(|_| "1970-01-01T00:00:00.000000Z".into())
}
