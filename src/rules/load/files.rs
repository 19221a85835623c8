//! Directories of rule files.

use super::origin::Origin;
use super::text::text_of_rules;
use crate::diagnostic::Diagnostic;
use crate::rules::filter::KnownNames;
use crate::rules::rule::Rule;
use crate::secure_open;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Largest rule file, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Most rule files of one directory.
const MAX_FILES: usize = 10_000;

/// Reads every `*.yml` and `*.yaml` of a directory, in the order of their names. The diagnostics hold every error of
/// every file; a missing directory is one, unless it may be missing. A file that others could have written is read
/// with a warning.
pub fn directory(path: &Path, may_be_missing: bool, known: KnownNames) -> (Vec<Rule>, Vec<Diagnostic>) {
    let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
    let (files, insecure_because) = match rule_files(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_be_missing => return (rules, diagnostics),
        Err(error) => {
            let message = format!("cannot read the rules directory: {error}; create it, or name another one");
            diagnostics.push(Diagnostic::new(path, None, message).because_of(&error));
            return (rules, diagnostics);
        }
    };
    diagnostics.extend(insecure_because.iter().map(|why| Diagnostic::insecure(path, why)));
    if files.len() > MAX_FILES {
        diagnostics.push(Diagnostic::new(path, None, format!("more than {MAX_FILES} rule files; merge some")));
    }
    let ruleset = path.file_name().map_or_else(|| "local".into(), |name| name.to_string_lossy().into_owned());
    for file in files.iter().take(MAX_FILES) {
        match read(file) {
            Ok((text, of_file)) => {
                // The directory has its own warning already.
                let of_file = of_file.filter(|why| Some(why) != insecure_because.as_ref());
                diagnostics.extend(of_file.map(|why| Diagnostic::insecure(file, &why)));
                let origin = Origin { file, ruleset: &ruleset, embedded: false };
                let (found, more) = text_of_rules(&text, &origin, known);
                rules.extend(found);
                diagnostics.extend(more);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    (rules, diagnostics)
}

/// The rule files in a directory, and why others could have put them there.
fn rule_files(directory: &Path) -> std::io::Result<(Vec<PathBuf>, Option<String>)> {
    let secure_open::Opened { file, insecure_because } = secure_open::open(directory)?;
    let mut files = Vec::new();
    for entry in rustix::fs::Dir::new(file)? {
        let path = directory.join(OsStr::from_bytes(entry?.file_name().to_bytes()));
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok((files, insecure_because))
}

/// The text of a rule file, and why others could have written it.
fn read(path: &Path) -> Result<(String, Option<String>), Diagnostic> {
    let error = |message: String| Diagnostic::new(path, None, message);
    let advice = "make it readable, or remove it";
    let refused =
        |cause: std::io::Error| error(format!("cannot read the rule file: {cause}; {advice}")).because_of(&cause);
    let secure_open::Opened { file, insecure_because } = secure_open::open(path).map_err(refused)?;
    if !file.metadata().map_err(refused)?.is_file() {
        return Err(error(format!("not a regular file; {advice}")));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(refused)?;
    if text.len() as u64 > MAX_FILE {
        return Err(error(format!("the rule file is larger than {MAX_FILE} bytes; split it")));
    }
    Ok((text, insecure_because))
}
