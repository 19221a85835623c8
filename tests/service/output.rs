//! The daemon's outputs besides its standard output.

use crate::support::{eventually, patience, schema};
use serde_json::Value;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A datagram socket in the place of a syslog daemon.
pub struct SyslogSocket(UnixDatagram);

impl SyslogSocket {
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(patience())).unwrap();
        Self(socket)
    }

    /// The next message: its syslog header, its record, and its length in bytes.
    pub fn message(&self) -> (String, Value, usize) {
        let mut buffer = vec![0; 200_000];
        let length = loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => break length,
                // The kernel does not restart a receive with a timeout after the machine was suspended.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no message within {:?}: {error}", patience()),
            }
        };
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let (header, record) = text.split_at(text.find('{').unwrap());
        (header.to_owned(), schema::valid(record), length)
    }

    pub fn record(&self) -> Value {
        self.message().1
    }
}

/// Waits until a file has this many lines, and returns them.
pub fn lines_of(path: &Path, count: usize) -> Vec<String> {
    let mut last = 0;
    eventually(&format!("{count} lines in {}", path.display()), || {
        let text = fs::read_to_string(path).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        last = whole.lines().count().max(last);
        (last >= count).then(|| whole.lines().map(str::to_owned).collect())
    })
}

/// The records of a file of alerts, each checked against the schema.
pub fn records_of(path: &Path, count: usize) -> Vec<Value> {
    lines_of(path, count).iter().map(|line| schema::valid(line)).collect()
}

/// The sequence numbers of records.
pub fn sequences(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["event"]["sequence"].as_u64().expect("a sequence number")).collect()
}
