//! A change that did not happen, for `explain` and for the test cases of rules.

use crate::event::{Action, Confidence, Doubt, Evidence, Executable, Hook, Process, Writer};
use crate::rules::fields::{self, Facts, FieldValue, Values};
use crate::writer::identity;
use std::path::PathBuf;

/// See the module.
#[derive(Default)]
pub struct HypotheticalChange {
    /// The changed file.
    pub path: PathBuf,
    /// What is done to it.
    pub action: Action,
    /// Executable of the writer.
    pub executable: Option<PathBuf>,
    /// Arguments of the writer, separated by blanks.
    pub command_line: Option<String>,
    /// Evidence for the executable; by default that of a living process.
    pub evidence: Option<Evidence>,
}

impl HypotheticalChange {
    /// The writer. An executable is confirmed if the evidence is that of a living process.
    pub fn writer(&self) -> Writer {
        let executable = self.executable.as_ref();
        let arguments = self.command_line.as_deref().unwrap_or_default().split_ascii_whitespace();
        let process = Process {
            executable: executable.map(|path| Executable { path: path.clone(), deleted: false, is_host_file: true }),
            arguments: arguments.map(|word| word.as_bytes().to_vec()).collect(),
            ..Process::default()
        };
        let default = if executable.is_some() { Evidence::Proc } else { Evidence::Unknown };
        let evidence = self.evidence.unwrap_or(default);
        let confidence = match (executable, evidence) {
            (None, _) => Confidence::Doubted(Doubt::ExecutableUnknown),
            (Some(_), Evidence::Proc) => Confidence::Confirmed,
            (Some(_), _) => Confidence::Doubted(Doubt::OneRecord),
        };
        let mut writer =
            Writer { evidence, confidence, process: Some(process), ..Writer::unknown(Doubt::ExecutableUnknown) };
        identity::identify(&mut writer, None);
        writer
    }

    /// The fields that rules see.
    pub fn values(&self, hook: &Hook, writer: &Writer) -> Values {
        fields::values(&Facts {
            action: self.action,
            path: &self.path,
            previous_path: None,
            hook,
            writer,
            user_name: None,
        })
    }
}

/// The value of a field, in the type that rules compare.
///
/// # Errors
/// There is no such field, or it is a number and the value is not.
pub fn parse_value(name: &str, value: &str) -> Result<(&'static str, FieldValue), String> {
    let field = fields::find(name).ok_or_else(|| fields::no_such_field(name))?;
    let value = if fields::NUMBERS.contains(&field.name) {
        FieldValue::Number(value.parse().map_err(|_| format!("{name} is a number, and {value} is none"))?)
    } else {
        FieldValue::Text(value.to_owned())
    };
    Ok((field.name, value))
}
