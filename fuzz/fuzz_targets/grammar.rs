//! Any bytes under each grammar of the hook stage: never a panic, always within the caps, and nothing that
//! is executed is taken for a model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pyhookwatch::event::Hook;
use pyhookwatch::hook::env;
use pyhookwatch::hook::pth;
use pyhookwatch::hook::start;
use pyhookwatch::hook::venv;
use std::path::Path;

const PATHS: [&str; 11] = [
    "/root/.profile",
    "/root/.config/fish/config.fish",
    "/root/.config/fish/fish_variables",
    "/root/.cshrc",
    "/etc/environment",
    "/etc/default/x",
    "/etc/security/pam_env.conf",
    "/etc/systemd/system/a.service",
    "/etc/crontab",
    "/etc/sudoers",
    "/etc/ssh/sshd_config",
];

fuzz_target!(|content: &[u8]| {
    let parsed = pth::parse(content);
    assert!(parsed.lines.len() <= pth::MAX_IMPORTS + 2 * pth::MAX_OTHERS);
    assert_eq!(parsed.imports, pth::executed(content).count());
    assert!(!pth::is_model_weights(content) || parsed.imports == 0);
    pth::parse_beginning(content);
    pth::name_signals(content);
    let started = start::parse(content);
    assert!(started.entries.len() <= start::MAX_ENTRIES && started.imports.len() <= Hook::MAX_IMPORTS);
    venv::pyvenv(content);
    venv::build_directory(content);
    assert!(venv::path_file(content).paths.len() <= venv::MAX_PATHS);
    for path in PATHS {
        let settings = env::settings(Path::new(path), content);
        assert!(settings.len() <= 50);
        for setting in &settings {
            assert!(setting.value.len() <= Hook::MAX_LINE && setting.text.len() <= Hook::MAX_LINE);
            env::value_signals(setting);
        }
    }
});
