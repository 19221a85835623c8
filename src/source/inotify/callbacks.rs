//! The callbacks of the inotify source, and the text of notify's errors.

use crate::source::message::Message;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Whether a file of this name may be a hook.
pub type NameFilter = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Takes the messages. One thread calls it, and it must not wait.
pub type Emit = Box<dyn FnMut(Message) + Send>;

/// Whether the file at `path` may be a hook.
pub fn may_be_hook(filter: &NameFilter, path: &Path) -> bool {
    path.file_name().is_some_and(|name| filter(name.as_bytes()))
}

/// A short text for the error.
pub fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the limit fs.inotify.max_user_watches is reached".into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        notify::ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
