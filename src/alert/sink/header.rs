//! The two syslog headers, as bytes before the message.

use super::settings::{Protocol, SyslogSettings};
use crate::alert::Alert;
use crate::alert::utc::utc;
use ::syslog::{Facility, Formatter5424, LogFormat, Severity};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// The tag of RFC 3164, the APP-NAME of RFC 5424.
const NAME: &str = "pyhookwatch";

/// Longest HOSTNAME that RFC 5424 section 6 allows, in bytes.
const MAX_HOSTNAME: usize = 255;

/// Gives the local time's offset from UTC at a moment; it changes with summer time.
pub type LocalOffset = fn(SystemTime) -> UtcOffset;

/// Writes the header of one output's messages.
pub(super) enum Header {
    Rfc3164 { formatter: Formatter3164, local_offset: LocalOffset },
    Rfc5424(Formatter5424),
}

impl Header {
    /// The header for this process; the hostname is read once, here.
    pub fn new(settings: &SyslogSettings, local_offset: LocalOffset) -> Self {
        let (facility, pid) = (settings.facility, std::process::id());
        match settings.protocol {
            Protocol::Rfc3164 => Self::Rfc3164 { formatter: Formatter3164 { facility, pid }, local_offset },
            Protocol::Rfc5424 => {
                // Always set: the crate would write `localhost` where the RFC wants `-`.
                let hostname = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
                let hostname = Some(printable_hostname(&hostname));
                Self::Rfc5424(Formatter5424 { facility, hostname, process: NAME.to_owned(), pid })
            }
        }
    }

    /// The header of one alert, up to and including the space before the message. Its time is that of the alert, not that
    /// of the delivery.
    ///
    /// # Errors
    /// Those of the `syslog` crate when writing to memory fails, which cannot happen.
    pub fn of(&self, alert: &Alert, severity: Severity) -> Result<Vec<u8>, ::syslog::Error> {
        let time = utc(alert.time);
        let mut header = Vec::with_capacity(128);
        match self {
            Self::Rfc3164 { formatter, local_offset } => {
                let local = time.checked_to_offset(local_offset(alert.time)).unwrap_or(time);
                formatter.format(&mut header, severity, (local, ""))?;
            }
            Self::Rfc5424(formatter) => {
                formatter.format(&mut header, severity, (0, BTreeMap::new(), ""))?;
                replace_time(&mut header, time);
            }
        }
        Ok(header)
    }
}

/// The header that glibc's `syslog(3)` sends to the local socket: RFC 3164 without a hostname, in local time, the day
/// padded with a space. The crate's own formatter writes UTC and pads with a zero.
pub(super) struct Formatter3164 {
    pub facility: Facility,
    pub pid: u32,
}

impl LogFormat<(OffsetDateTime, &str)> for Formatter3164 {
    fn format<W: Write>(&self, w: &mut W, severity: Severity, message: (OffsetDateTime, &str)) -> ::syslog::Result<()> {
        const STAMP: &[BorrowedFormatItem<'_>] =
            format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second]");
        let (time, message) = message;
        // Cannot fail: every part of the description is a part of an `OffsetDateTime`.
        let stamp = time.format(STAMP).unwrap_or_default();
        let priority = self.facility as u8 | severity as u8;
        write!(w, "<{priority}>{stamp} {NAME}[{}]: {message}", self.pid).map_err(::syslog::Error::Write)
    }
}

/// Replaces the time of formatting, which the crate always writes, by `time`: the second field of the header.
fn replace_time(header: &mut Vec<u8>, time: OffsetDateTime) {
    // At most six digits of the second: RFC 5424 section 6.2.3.
    let time = time.replace_nanosecond(time.microsecond() * 1000).unwrap_or(time);
    let mut spaces = header.iter().enumerate().filter_map(|(at, byte)| (*byte == b' ').then_some(at));
    if let (Some(before), Some(after), Ok(stamp)) = (spaces.next(), spaces.next(), time.format(&Rfc3339)) {
        header.splice(before + 1..after, stamp.into_bytes());
    }
}

/// A HOSTNAME of RFC 5424: printable ASCII without spaces. Anything else would break the header.
fn printable_hostname(raw: &[u8]) -> String {
    let name: String =
        raw.iter().filter(|byte| byte.is_ascii_graphic()).take(MAX_HOSTNAME).map(|byte| char::from(*byte)).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use std::time::Duration;

    /// 2026-11-02 23:04:05.123456789 UTC.
    fn alert() -> Alert {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_793_660_645, 123_456_789);
        Alert::new(Level::High, time, &serde_json::json!({}))
    }

    fn header(header: &Header) -> String {
        String::from_utf8(header.of(&alert(), Severity::LOG_CRIT).unwrap()).unwrap()
    }

    fn rfc3164(local_offset: LocalOffset) -> String {
        header(&Header::Rfc3164 {
            formatter: Formatter3164 { facility: Facility::LOG_AUTHPRIV, pid: 4321 },
            local_offset,
        })
    }

    #[test]
    fn the_rfc_3164_header_is_the_one_of_glibc_with_a_space_padded_day() {
        assert_eq!(rfc3164(|_| UtcOffset::UTC), "<82>Nov  2 23:04:05 pyhookwatch[4321]: ");
    }

    #[test]
    fn the_rfc_3164_header_has_local_time() {
        let berlin: LocalOffset = |_| UtcOffset::from_hms(1, 0, 0).unwrap();
        assert_eq!(rfc3164(berlin), "<82>Nov  3 00:04:05 pyhookwatch[4321]: ");
    }

    #[test]
    fn the_rfc_5424_header_has_the_time_of_the_alert_in_microseconds() {
        let formatter = Formatter5424 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: Some("web1".to_owned()),
            process: NAME.to_owned(),
            pid: 4321,
        };
        let golden = "<82>1 2026-11-02T23:04:05.123456Z web1 pyhookwatch 4321 0 - ";
        assert_eq!(header(&Header::Rfc5424(formatter)), golden);
    }

    #[test]
    fn a_hostname_cannot_break_the_header() {
        assert_eq!(printable_hostname(b"web1.example\n"), "web1.example");
        assert_eq!(printable_hostname(b"a b\x00\xffc"), "abc");
        assert_eq!(printable_hostname(b" \n"), "-");
        assert_eq!(printable_hostname(&[b'x'; 300]).len(), MAX_HOSTNAME);
    }

    #[test]
    fn a_clock_before_1970_does_not_stop_an_alert() {
        assert_eq!(utc(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), OffsetDateTime::UNIX_EPOCH);
    }
}
