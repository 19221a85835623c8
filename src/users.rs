//! User names from `/etc/passwd`.
//!
//! Read as a file and not by getpwuid(3): NSS modules run in the process, and a query to LDAP can hang. A user outside
//! of the file has no name here.

use std::collections::HashMap;
use std::io::Read;
use std::time::SystemTime;

/// Bytes read of the file.
const MAX_PASSWD: u64 = 16 << 20;

/// The users of this machine; the file is read again when its modification time changes.
#[derive(Debug, Default)]
pub struct Users {
    modified: Option<SystemTime>,
    names: HashMap<u32, String>,
}

impl Users {
    /// The name of a user. `None` also for a name with other characters than letters, digits and `_.-$@`.
    pub fn name(&mut self, uid: u32) -> Option<&str> {
        self.refresh();
        self.names.get(&uid).map(String::as_str)
    }

    fn refresh(&mut self) {
        let modified = std::fs::metadata("/etc/passwd").and_then(|metadata| metadata.modified()).ok();
        if modified.is_some() && modified == self.modified {
            return;
        }
        let mut text = Vec::new();
        if std::fs::File::open("/etc/passwd").and_then(|file| file.take(MAX_PASSWD).read_to_end(&mut text)).is_ok() {
            self.names = parse(&text);
            self.modified = modified;
        }
    }
}

/// `name:password:uid:...` (passwd(5)); the first entry of a uid counts, as for getpwuid(3).
fn parse(text: &[u8]) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next().and_then(|name| std::str::from_utf8(name).ok());
        let uid = fields.nth(1).and_then(|uid| std::str::from_utf8(uid).ok()?.parse().ok());
        if let (Some(name), Some(uid)) = (name, uid)
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-$@".contains(&byte))
        {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_uid_counts_and_broken_lines_are_skipped() {
        let names = parse(b"root:x:0:0::/:/bin/sh\ntoor:x:0:0\n\n:x:3\nbad\nbin:x:y\na b:x:5\nsvc$:x:7:\n");
        assert_eq!(names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(names.get(&7).map(String::as_str), Some("svc$"));
        assert_eq!(names.len(), 2);
    }
}
