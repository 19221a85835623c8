//! The status socket: the daemon sends one JSON document to each client, and closes the connection.
//!
//! Only root and the daemon's own user get an answer: the mode of the socket restricts others, and SO_PEERCRED is
//! checked too. The daemon reads nothing from a client. It serves few clients at once, each for a short time, so a
//! client that never reads blocks nothing.

use super::status_report::StatusReport;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Clients served at once; more are rejected.
const CLIENTS: usize = 4;
/// Length of the queue of connections.
const BACKLOG: i32 = 8;
/// A client that has not read its answer by then is disconnected.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// Wait after a failed accept, for example when descriptors are short.
const PAUSE: Duration = Duration::from_millis(100);
/// Write permission for others than the owner.
const OTHERS_WRITE: u32 = 0o022;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum NoSocket {
    /// Another daemon listens on the path.
    #[error("another daemon answers there already")]
    Taken,
    /// Another user could change its directory.
    #[error("its directory {} {}", .0.display(), .1)]
    Directory(PathBuf, String),
    /// The kernel refuses it.
    #[error(transparent)]
    Refused(#[from] io::Error),
}

/// See the module. Removed when dropped.
pub struct StatusSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, so that the socket of another daemon is not removed.
    id: (u64, u64),
    clients: Arc<Semaphore>,
}

/// A client that may have an answer.
pub struct Client {
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
}

impl StatusSocket {
    /// Listens on the path, and replaces the socket of a daemon that has ended. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    /// See [`NoSocket`].
    pub fn open(path: &Path) -> Result<Self, NoSocket> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        check(directory)?;
        let descriptor = match listen(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let left = std::fs::symlink_metadata(path)?;
                if !left.file_type().is_socket() {
                    return Err(NoSocket::Refused(io::Error::other("a file that is no socket has the name")));
                }
                // Only a socket without a listener refuses; one with a full queue would block.
                if !is_left_behind(path) {
                    return Err(NoSocket::Taken);
                }
                std::fs::remove_file(path)?;
                listen(path)?
            }
            other => other?,
        };
        let made = std::fs::symlink_metadata(path)?;
        let listener = UnixListener::from_std(descriptor)?;
        let clients = Arc::new(Semaphore::new(CLIENTS));
        Ok(Self { listener, path: path.to_path_buf(), id: (made.dev(), made.ino()), clients })
    }

    /// The next client that may have an answer. Cancel-safe.
    pub async fn client(&self) -> Client {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let own = rustix::process::geteuid().as_raw();
            let is_entitled = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own);
            if let Some(permit) = self.clients.clone().try_acquire_owned().ok().filter(|_| is_entitled) {
                return Client { stream, _permit: permit };
            }
        }
    }
}

impl Client {
    /// Sends the report in a task of its own.
    pub fn send_report(self, report: &StatusReport) {
        match serde_json::to_string(report) {
            Ok(document) => self.send(document + "\n"),
            Err(error) => log::error!("the status cannot be written as JSON: {error}"),
        }
    }

    fn send(self, document: String) {
        tokio::spawn(async move {
            // A client that is late gets nothing, like one that has gone.
            let _ = tokio::time::timeout(SEND_TIMEOUT, self.write(document.as_bytes())).await;
        });
    }

    async fn write(&self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.id);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            log::warn!("the status socket {} cannot be removed: {error}", self.path.display());
        }
    }
}

/// The next client of a daemon that may have no socket.
pub async fn next(socket: Option<&StatusSocket>) -> Client {
    match socket {
        Some(socket) => socket.client().await,
        None => std::future::pending().await,
    }
}

/// Checks that no other user can create a socket in the directory. Creates it if its parent exists.
fn check(directory: &Path) -> Result<(), NoSocket> {
    let refused = |why: &str| NoSocket::Directory(directory.to_path_buf(), why.to_owned());
    let found = match std::fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .mode(0o755)
                .create(directory)
                .map_err(|error| refused(&format!("cannot be made: {error}")))?;
            std::fs::symlink_metadata(directory)?
        }
        other => other.map_err(|error| refused(&format!("cannot be examined: {error}")))?,
    };
    let own = rustix::process::geteuid().as_raw();
    match () {
        () if !found.is_dir() => Err(refused("is no directory")),
        () if found.uid() != 0 && found.uid() != own => Err(refused("belongs to another user")),
        () if found.mode() & OTHERS_WRITE != 0 => Err(refused("can be written to by others")),
        () => Ok(()),
    }
}

/// A socket at this path that only its owner can connect to, from the first moment on.
fn listen(path: &Path) -> io::Result<StdListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The name gets the mode of the socket, less the umask.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(StdListener::from(socket))
}

/// Whether its listener has ended.
fn is_left_behind(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|socket| rustix::net::connect(&socket, &SocketAddrUnix::new(path)?));
    matches!(connected, Err(rustix::io::Errno::CONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream as StdStream;

    fn socket_path() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.sock");
        (directory, path)
    }

    #[tokio::test]
    async fn a_client_gets_one_document_and_the_end() {
        let (_directory, path) = socket_path();
        let socket = StatusSocket::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut text = String::new();
                StdStream::connect(path).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        socket.client().await.send("x".repeat(1 << 20));
        let text = tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
        assert_eq!(text.len(), 1 << 20);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_living_daemon_is_kept_and_that_of_an_ended_one_is_replaced() {
        let (_directory, path) = socket_path();
        let living = StatusSocket::open(&path).unwrap();
        assert!(matches!(StatusSocket::open(&path), Err(NoSocket::Taken)));
        assert!(path.exists());
        drop(living);
        // The state after a daemon was killed.
        drop(listen(&path).unwrap());
        assert!(path.exists());
        let socket = StatusSocket::open(&path).unwrap();
        // Another process has replaced it: it must stay.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        drop(socket);
        assert!(path.exists());
        assert!(StatusSocket::open(&path).is_err(), "a file is never replaced");
    }

    #[tokio::test]
    async fn clients_that_never_read_hold_their_permits_only_for_a_while() {
        let (_directory, path) = socket_path();
        let socket = StatusSocket::open(&path).unwrap();
        let silent: Vec<StdStream> = (0..CLIENTS).map(|_| StdStream::connect(&path).unwrap()).collect();
        for _ in &silent {
            socket.client().await.send("x".repeat(8 << 20));
        }
        let mut late = StdStream::connect(&path).unwrap();
        let turned_away = tokio::time::timeout(Duration::from_millis(200), socket.client()).await;
        assert!(turned_away.is_err());
        late.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut text = Vec::new();
        assert!(late.read_to_end(&mut text).is_err() || text.is_empty());
        // The permits are returned although no client has read.
        let end = tokio::time::Instant::now() + Duration::from_secs(20);
        while socket.clients.available_permits() < CLIENTS && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(socket.clients.available_permits(), CLIENTS);
    }

    #[tokio::test]
    async fn a_directory_that_others_can_write_to_gets_no_socket() {
        let (directory, path) = socket_path();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(StatusSocket::open(&path), Err(NoSocket::Directory(..))));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(matches!(StatusSocket::open(&link.join("x")), Err(NoSocket::Directory(..))));
    }
}
