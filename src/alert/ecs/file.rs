//! The file in the document, in the words of ECS.

use super::finding::Names;
use super::json::{insert, path};
use crate::alert::utc::timestamp;
use crate::escape;
use crate::event::{Change, FileState, Hook};
use serde_json::{Map, Value, json};

/// `file`.
pub(super) fn file(change: &Change, hook: &Hook, names: &Names) -> Value {
    let facts = &hook.file;
    let mut file = Map::new();
    file.insert("path".into(), path(&change.file.path).into());
    insert(&mut file, "name", change.file.path.file_name().map(|name| escape::reversible(name.as_encoded_bytes())));
    insert(&mut file, "directory", change.file.path.parent().map(path));
    let kind = match &facts.state {
        FileState::Regular => Some("file"),
        FileState::SymbolicLink(_) => Some("symlink"),
        FileState::Special(what) => Some(what.as_str()),
        _ => None,
    };
    insert(&mut file, "type", kind);
    if let FileState::SymbolicLink(target) = &facts.state {
        file.insert("target_path".into(), path(target).into());
    }
    insert(&mut file, "inode", facts.inode.map(|inode| inode.to_string()));
    insert(&mut file, "device", facts.device.map(|(major, minor)| format!("{major}:{minor}")));
    insert(&mut file, "owner", names.owner.clone());
    insert(&mut file, "uid", facts.owner.map(|uid| uid.to_string()));
    insert(&mut file, "gid", facts.group.map(|gid| gid.to_string()));
    insert(&mut file, "mode", facts.mode.map(|mode| format!("{mode:04o}")));
    insert(&mut file, "size", facts.size);
    insert(&mut file, "mtime", facts.modified.map(timestamp));
    if let Some(hash) = facts.sha256 {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        file.insert("hash".into(), json!({ "sha256": hex }));
    }
    Value::Object(file)
}
