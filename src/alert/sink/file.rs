//! Delivery to a file, and the writing of records that standard output shares with it.
//!
//! All writing is done on tokio's threads for blocking calls: a stalled disk stalls one output.

use super::error::OutputError;
use super::worker::{Failure, Sink};
use crate::alert::{Alert, Format};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that alerts are appended to.
pub(super) struct FileSink {
    path: PathBuf,
    format: Format,
    /// `None` after a failed reopening: alerts wait, instead of going to a file that was rotated away.
    records: Option<Records>,
}

impl FileSink {
    /// Opens the file at once, creating it with mode 0640 less the umask.
    ///
    /// # Errors
    /// The file cannot be opened, is a symbolic link, or is not a regular file.
    pub fn new(path: PathBuf, format: Format) -> Result<Self, OutputError> {
        let records = Some(open(&path)?);
        Ok(Self { path, format, records })
    }

    /// Opens the file anew without holding up the runtime.
    async fn open_again(&mut self) -> Result<(), Failure> {
        let path = self.path.clone();
        let opened = tokio::task::spawn_blocking(move || open(&path)).await;
        let opened = opened.map_err(|error| Failure::Later(error.to_string()))?;
        self.records = Some(opened.map_err(|error| Failure::Later(error.to_string()))?);
        Ok(())
    }
}

impl Sink for FileSink {
    async fn deliver(&mut self, alert: &Arc<Alert>) -> Result<(), Failure> {
        if self.records.is_none() {
            self.open_again().await?;
        }
        let Some(records) = &mut self.records else {
            return Err(Failure::Later("the file is not open".to_owned()));
        };
        let written = records.write(alert, || record(alert, self.format, false)).await;
        match written {
            Ok(()) => Ok(()),
            Err(error) => {
                let path = self.path.display();
                Err(Failure::Later(format!("cannot write {path}: {error} (SIGHUP opens the file again)")))
            }
        }
    }

    /// A record that was begun in the old file is written again, whole, to the new one.
    async fn reopen(&mut self) -> Result<(), Failure> {
        self.records = None;
        self.open_again().await
    }
}

/// Opens for appending. With `O_NONBLOCK` a FIFO or device at the path cannot block the call; for a regular file the
/// flag has no effect.
fn open(path: &Path) -> Result<Records, OutputError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|reason| OutputError::open(path, reason))?;
    let facts = file.metadata().map_err(|reason| OutputError::open(path, reason))?;
    if !facts.is_file() {
        return Err(OutputError::NotRegular { path: path.to_owned() });
    }
    let mut records = Records::new(file);
    records.end_torn_line(facts.len());
    Ok(records)
}

/// What is written for one alert, with its newline.
pub(super) fn record(alert: &Alert, format: Format, color: bool) -> Vec<u8> {
    match format {
        Format::Ecs => alert.json(None) + "\n",
        Format::Text => alert.text(color),
    }
    .into_bytes()
}

/// Writes whole records to a descriptor, one `write` each. The rest of a short write goes out before anything else, so
/// that records never mix.
pub(super) struct Records {
    file: Arc<File>,
    /// The alert that was begun, and the bytes of it that are still to be written.
    begun: Option<(Arc<Alert>, Vec<u8>)>,
    /// The file ends in the middle of a line, left by an earlier run.
    torn: bool,
}

impl Records {
    pub fn new(file: File) -> Self {
        Self { file: Arc::new(file), begun: None, torn: false }
    }

    /// An earlier run can have ended in the middle of a line (disk full, power cut). The next record then begins with a
    /// newline.
    fn end_torn_line(&mut self, length: u64) {
        let mut last = [b'\n'];
        if let Some(end) = length.checked_sub(1) {
            // A file that cannot be read is taken as whole.
            let _ = self.file.read_at(&mut last, end);
        }
        self.torn = last != [b'\n'];
    }

    /// Writes one alert completely. After an error it may be called with the same alert, which
    /// continues where the error was, or with another one, which follows after the rest of the first.
    ///
    /// # Errors
    /// The error of `write(2)`. Interrupted calls are repeated.
    pub async fn write(&mut self, alert: &Arc<Alert>, record: impl FnOnce() -> Vec<u8>) -> io::Result<()> {
        if let Some((begun, rest)) = self.begun.take() {
            let (rest, written) = self.attempt(rest).await?;
            if written.is_err() {
                self.begun = Some((begun, rest));
                return written;
            }
            if Arc::ptr_eq(&begun, alert) {
                return Ok(());
            }
        }
        let mut bytes = record();
        if self.torn {
            bytes.insert(0, b'\n');
        }
        let length = bytes.len();
        let (rest, written) = self.attempt(bytes).await?;
        if rest.len() < length {
            self.torn = false;
            self.begun = written.is_err().then(|| (Arc::clone(alert), rest));
        }
        written
    }

    /// Returns the bytes that could not be written, and why.
    async fn attempt(&self, bytes: Vec<u8>) -> io::Result<(Vec<u8>, io::Result<()>)> {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || write_blocking(&file, bytes)).await.map_err(io::Error::other)
    }
}

/// Writes until everything is written or an error comes; returns what is left.
fn write_blocking(mut file: &File, mut bytes: Vec<u8>) -> (Vec<u8>, io::Result<()>) {
    while !bytes.is_empty() {
        match file.write(&bytes) {
            Ok(0) => return (bytes, Err(ErrorKind::WriteZero.into())),
            Ok(written) => drop(bytes.drain(..written.min(bytes.len()))),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (bytes, Err(error)),
        }
    }
    (bytes, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::time::SystemTime;

    fn alert() -> Arc<Alert> {
        Arc::new(Alert::new(Level::High, SystemTime::UNIX_EPOCH, &serde_json::json!({})))
    }

    fn refusal(path: &Path) -> String {
        open(path).err().expect("the file must be refused").to_string()
    }

    #[test]
    fn only_a_regular_file_is_opened_and_the_error_names_path_and_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let (link, socket) = (dir.path().join("link"), dir.path().join("socket"));
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(refusal(&link).contains("link: it is a symbolic link"), "{}", refusal(&link));
        assert!(refusal(Path::new("/dev/null")).contains("/dev/null: not a regular file"));
        assert!(refusal(&socket).contains("socket: not a regular file"));
        assert!(refusal(&dir.path().join("none/alerts")).contains("none/alerts: No such file"));
    }

    #[test]
    fn a_created_file_is_not_readable_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        open(&path).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o137, 0);
    }

    #[tokio::test]
    async fn a_line_torn_by_an_earlier_run_is_ended_before_the_next_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts");
        std::fs::write(&path, "{\"torn").unwrap();
        for record in [b"one\n", b"two\n"] {
            open(&path).unwrap().write(&alert(), || record.to_vec()).await.unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"torn\none\ntwo\n");
    }

    #[tokio::test]
    async fn after_a_short_write_the_record_is_finished_and_nothing_is_written_twice() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let mut records = Records::new(File::from(OwnedFd::from(writer)));
        let (first, second) = (alert(), alert());
        let long = [vec![b'x'; 4_000_000], b"\n".to_vec()].concat();
        let full = records.write(&first, || long.clone()).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        // The first was dropped meanwhile: its rest still comes before the second.
        while records.write(&second, || b"second\n".to_vec()).await.is_err() {}
        drop(records);
        assert!(reader.join().unwrap().unwrap() == [long, b"second\n".to_vec()].concat());
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut records = Records::new(full);
        let error = records.write(&alert(), || b"one\n".to_vec()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(records.begun.is_none(), "the alert is still in the queue and can be dropped there");
    }
}
