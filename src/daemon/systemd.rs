//! Notifies systemd (`sd_notify(3)`) that the daemon is ready, reloading, stopping or alive, with a status line.
//!
//! The protocol is one datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. Without that variable
//! nothing is sent.

use rustix::time::ClockId;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Longest wait for systemd to take a message: watching has precedence.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest status that is sent, in bytes. systemd ignores a message of 4096 bytes or more, with the watchdog ping in
/// it. The names of a hundred mount points are longer than that.
const MAX_STATUS: usize = 2048;

/// The socket of systemd, if it started this process.
pub struct SystemdNotifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Sent again only when it changes, because systemd forwards each status to all its listeners.
    last_status: String,
    ticks: Option<Interval>,
}

impl SystemdNotifier {
    /// Finds it by the environment variables. Inside a tokio runtime.
    pub fn find() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| match open(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                log::warn!("systemd cannot be reached at {}: {error}", crate::escape::reversible(name.as_bytes()));
                None
            }
        });
        let (interval, pid) = (std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok());
        let interval = watchdog(interval.as_deref(), pid.as_deref(), std::process::id());
        let ticks = interval.filter(|_| socket.is_some()).map(|interval| {
            // Half of it, as `sd_watchdog_enabled(3)` advises.
            let mut ticks = tokio::time::interval_at(Instant::now() + interval / 2, interval / 2);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { socket, last_status: String::new(), ticks }
    }

    /// Sends READY=1 after the start or a reload.
    pub fn ready(&mut self, status: String) {
        self.send(&format!("READY=1\nSTATUS={}", beginning(&status)));
        self.last_status = status;
    }

    /// Sends RELOADING=1.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=Reading configuration and rules again"));
    }

    /// The shutdown has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Judging and delivering what was seen");
    }

    /// Waits until the next watchdog ping is due; for ever if there is no watchdog.
    pub async fn watchdog_due(&mut self) {
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Sends WATCHDOG=1. Call it only when every thread has made progress.
    pub fn watchdog_ping(&mut self, status: String) {
        if self.last_status == status {
            self.send("WATCHDOG=1")
        } else {
            self.send(&format!("WATCHDOG=1\nSTATUS={}", beginning(&status)))
        }
        self.last_status = status;
    }

    fn send(&self, message: &str) {
        let Some((socket, manager)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), manager) {
            log::warn!("systemd did not take `{}`: {error}", message.lines().next().unwrap_or_default());
        }
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(Path::new(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok((socket, manager))
}

/// The status, cut to [`MAX_STATUS`].
fn beginning(status: &str) -> &str {
    let ends = status.char_indices().map(|(at, character)| at + character.len_utf8());
    status.get(..ends.take_while(|end| *end <= MAX_STATUS).last().unwrap_or_default()).unwrap_or_default()
}

/// The longest time between two watchdog pings, if systemd wants them of the process `own`.
fn watchdog(microseconds: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let microseconds = microseconds?.parse().ok().filter(|&microseconds: &u64| microseconds > 1)?;
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    is_meant.then(|| Duration::from_micros(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn manager(name: &OsStr) -> SystemdNotifier {
        SystemdNotifier { socket: Some(open(name).unwrap()), last_status: String::new(), ticks: None }
    }

    #[test]
    fn a_path_and_an_abstract_name_are_both_reached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        manager(path.as_os_str()).ready("Fine".to_owned());
        assert_eq!(received(&socket), "READY=1\nSTATUS=Fine");

        let name = format!("pyhookwatch-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager(OsStr::new(&format!("@{name}"))).stopping();
        assert!(received(&socket).starts_with("STOPPING=1\n"));
    }

    #[test]
    fn a_reload_has_the_time_of_the_monotonic_clock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let now = || rustix::time::clock_gettime(ClockId::Monotonic).tv_sec;
        let before = now();
        manager(path.as_os_str()).reloading();
        let message = received(&socket);
        let stamp = message.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        let seconds = stamp.parse::<i64>().unwrap() / 1_000_000;
        assert!(message.starts_with("RELOADING=1\n") && before <= seconds && seconds <= now(), "{message}");
    }

    #[test]
    fn a_status_is_sent_only_when_it_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut manager = manager(path.as_os_str());
        for (status, message) in [("1 alert", "WATCHDOG=1\nSTATUS=1 alert"), ("1 alert", "WATCHDOG=1")] {
            manager.watchdog_ping(status.to_owned());
            assert_eq!(received(&socket), message);
        }
    }

    #[test]
    fn a_status_of_any_length_leaves_the_message_short_enough() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut manager = manager(path.as_os_str());
        let long = "x".to_owned() + &"é".repeat(5000);
        manager.ready(long.clone());
        let message = received(&socket);
        assert!(message.starts_with("READY=1\nSTATUS=xé") && (2000..4096).contains(&message.len()));
        manager.watchdog_ping(long);
        assert_eq!(received(&socket), "WATCHDOG=1");
    }

    #[test]
    fn the_watchdog_interval_counts_only_for_this_process() {
        let minute = Some(Duration::from_secs(60));
        for (microseconds, pid, interval) in [
            (Some("60000000"), Some("7"), minute),
            (Some("60000000"), None, minute),
            (Some("60000000"), Some("8"), None),
            (Some("60000000"), Some("x"), None),
            (Some("0"), Some("7"), None),
            (Some("-1"), Some("7"), None),
            (None, Some("7"), None),
        ] {
            assert_eq!(watchdog(microseconds, pid, 7), interval, "{microseconds:?} {pid:?}");
        }
    }
}
