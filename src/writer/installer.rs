//! Recognises installers by the names of their executables, scripts and modules. Pure.
//!
//! A name proves nothing: anyone can give a file the name of an installer.

use super::interpreter::{base_name, is_interpreter, program_name};
use crate::event::{Process, Script};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The installer with the name of this process's executable, script or module.
pub fn installer(process: &Process, script: Option<&Script>) -> Option<&'static str> {
    match script {
        Some(script) if script.is_module => of_module(script.name.as_os_str().as_bytes()),
        Some(script) => of_script(&script.name, &process.arguments),
        // The arguments could not be read. The kernel names a process after the `#!` script that it started.
        None if process.arguments.is_empty() && is_interpreter(process) => of_name(&process.comm),
        None => of_name(program_name(process)),
    }
}

fn of_module(module: &[u8]) -> Option<&'static str> {
    // `python -m pip`, `python -m pip._internal.cli.main`.
    match module.split(|&byte| byte == b'.').next().unwrap_or_default() {
        // It installs pip.
        b"ensurepip" => Some("pip"),
        package => of_name(package),
    }
}

fn of_script(script: &Path, arguments: &[Vec<u8>]) -> Option<&'static str> {
    match base_name(script) {
        b"setup.py" => arguments.iter().any(|word| word == b"install" || word == b"develop").then_some("setuptools"),
        b"get-pip.py" | b"pip.pyz" | b"__pip-runner__.py" => Some("pip"),
        // A package run as a directory: `python .../site-packages/pip`.
        b"__main__.py" => of_name(base_name(script.parent()?)),
        name => of_name(name),
    }
}

fn of_name(name: &[u8]) -> Option<&'static str> {
    let is_version = |rest: &[u8]| {
        let rest = rest.strip_prefix(b"-").unwrap_or(rest);
        rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    match name {
        b"uv" | b"uvx" => Some("uv"),
        b"poetry" => Some("poetry"),
        b"pipx" => Some("pipx"),
        b"pdm" => Some("pdm"),
        b"hatch" => Some("hatch"),
        b"conda" | b"_conda" | b"conda.exe" => Some("conda"),
        b"mamba" => Some("mamba"),
        b"micromamba" => Some("micromamba"),
        b"dpkg" => Some("dpkg"),
        b"apt" | b"apt-get" => Some("apt"),
        b"rpm" => Some("rpm"),
        b"dnf" | b"dnf-3" | b"dnf5" | b"microdnf" => Some("dnf"),
        b"yum" => Some("yum"),
        b"apk" => Some("apk"),
        b"zypper" => Some("zypper"),
        b"pacman" => Some("pacman"),
        b"snap" | b"snapd" => Some("snap"),
        _ => {
            let of = |word: &str| name.strip_prefix(word.as_bytes()).is_some_and(is_version);
            ["pip", "easy_install"].into_iter().find(|word| of(word))
        }
    }
}
