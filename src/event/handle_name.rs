//! A name in a directory that a file handle identifies, as in a fanotify record.

/// A name and the file handle of its directory; outlives the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandleName {
    /// Filesystem id, both words as `statvfs(3)` has them in `f_fsid`.
    pub fsid: u64,
    /// Type of the directory's handle.
    pub handle_type: i32,
    /// Handle of the directory, for `open_by_handle_at(2)`; at most 128 bytes.
    pub handle: Box<[u8]>,
    /// Name in that directory: no slash, no NUL, not empty, any other bytes.
    pub name: Box<[u8]>,
}

/// As [`HandleName`], borrowed from the buffer that holds the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleNameRef<'a> {
    /// See [`HandleName::fsid`].
    pub fsid: u64,
    /// See [`HandleName::handle_type`].
    pub handle_type: i32,
    /// See [`HandleName::handle`].
    pub handle: &'a [u8],
    /// See [`HandleName::name`].
    pub name: &'a [u8],
}

impl HandleName {
    /// Borrows it.
    pub fn as_ref(&self) -> HandleNameRef<'_> {
        HandleNameRef { fsid: self.fsid, handle_type: self.handle_type, handle: &self.handle, name: &self.name }
    }
}

impl HandleNameRef<'_> {
    /// Copies it.
    pub fn to_owned(&self) -> HandleName {
        HandleName {
            fsid: self.fsid,
            handle_type: self.handle_type,
            handle: self.handle.into(),
            name: self.name.into(),
        }
    }
}
