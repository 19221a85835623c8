# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pyhookwatch_global_optspecs
    string join \n h/help V/version
end

function __fish_pyhookwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pyhookwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pyhookwatch_using_subcommand
    set -l cmd (__fish_pyhookwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -s V -l version -d 'Print version'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "run" -d 'Watch, and alert, until SIGTERM'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "explain" -d 'Say which rules match a change, which do not, and what decided'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "check" -d 'Check the configuration and the rules; every problem with file and line'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "scan" -d 'List what Python would run at start-up now, and whose it is'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "coverage" -d 'Say what guards each place where Python runs something by itself, what is blind there, and why'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "selftest" -d 'Plant harmless hooks in a scratch tree and see that each is told, how fast, and with its writer'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "status" -d 'Ask the running daemon how it does: what it watches, what it has told, excluded and lost'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "selftest-helper" -d 'A process of the self-test'
complete -c pyhookwatch -n "__fish_pyhookwatch_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l config -d 'Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l rules -d 'Directory of more rules (*.yml); a rule replaces an earlier one of the same id. Repeatable' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l root -d 'Treat DIR as `/`: watch only below it, and match and report paths as seen from there' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l backend -d 'How to watch: auto (fanotify, inotify where it is refused), fanotify, inotify' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l output -d 'Where alerts go instead of the configured outputs: stdout, syslog, syslog:unix:PATH, file:PATH. Repeatable' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -l format -d 'How alerts are written: ecs (JSON) or text. By default text on a terminal, ecs elsewhere' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l config -d 'Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l rules -d 'Directory of more rules (*.yml); a rule replaces an earlier one of the same id. Repeatable' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l path -d 'The changed file' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l action -d 'What was done to it: creation, change, rename, deletion, attribute, mount' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l exe -d 'Executable of the writer, taken as verified; without it the writer is unknown' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l command-line -d 'Arguments of the writer, separated by blanks: gives CommandLine, WriterScript and Installer' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l evidence -d 'How the executable is known: proc (by default), exit-record, exec-record or fork-lineage, of which one alone lets no exclusion count' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l field -d 'Set a field of docs/rules.md, whatever the rest says of it. Repeatable' -r
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l content -d 'Judge this file\'s content as if it were at PATH' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -l json -d 'Print JSON'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand explain" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -l config -d 'Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -l rules -d 'Directory of more rules (*.yml); a rule replaces an earlier one of the same id. Repeatable' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand check" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -l root -d 'Treat DIR as `/`: a mounted image, a container\'s root' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -l json -d 'Print one JSON object (docs/scan.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l config -d 'Configuration file (TOML); by default /etc/pyhookwatch/pyhookwatch.toml if it is there' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l root -d 'Treat DIR as `/`, as `run --root` does' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -l json -d 'Print one JSON object (docs/coverage.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand coverage" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -l overlay-only -d 'Only what is written through an overlay'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -l json -d 'Print one JSON object (docs/selftest.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -l socket -d 'The daemon\'s socket; by default the one of the configuration' -r -F
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -l json -d 'Print the daemon\'s JSON object (docs/status.md)'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand status" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand selftest-helper" -s h -l help -d 'Print help'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "run" -d 'Watch, and alert, until SIGTERM'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "explain" -d 'Say which rules match a change, which do not, and what decided'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "check" -d 'Check the configuration and the rules; every problem with file and line'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "scan" -d 'List what Python would run at start-up now, and whose it is'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "coverage" -d 'Say what guards each place where Python runs something by itself, what is blind there, and why'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "selftest" -d 'Plant harmless hooks in a scratch tree and see that each is told, how fast, and with its writer'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "status" -d 'Ask the running daemon how it does: what it watches, what it has told, excluded and lost'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "selftest-helper" -d 'A process of the self-test'
complete -c pyhookwatch -n "__fish_pyhookwatch_using_subcommand help; and not __fish_seen_subcommand_from run explain check scan coverage selftest status selftest-helper help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
